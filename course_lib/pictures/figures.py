"""A picture with the caption that is also its alternative text; sheets of crops and of filters."""

from __future__ import annotations

import base64
import html
import io
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any, NamedTuple

import numpy as np
import torch.nn.functional as F
from matplotlib import rcParams
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.text import Text
from matplotlib.ticker import LogFormatter, NullFormatter
from PIL import Image, ImageDraw
from torch import Tensor

from course_lib.data.crops import Crops
from course_lib.data.sources import Source
from course_lib.pictures.png import encode_png
from course_lib.support.palette import PENS, RIGHT, WRONG

_DPI = 100


class Picture(NamedTuple):
    """A figure, or pixels (height, width, 3) uint8, and what it shows in words."""

    image: Figure | np.ndarray
    caption: str

    def png(self) -> bytes:
        """The picture as a PNG file."""
        if isinstance(self.image, np.ndarray):
            return encode_png(self.image)
        buffer = io.BytesIO()
        with _plain_text(self.image):
            self.image.savefig(buffer, format="png", dpi=_DPI, facecolor="white", bbox_inches="tight")
        return buffer.getvalue()

    def html(self) -> str:
        """The picture as one piece of HTML, with its caption below and as alternative text."""
        data, words = base64.b64encode(self.png()).decode(), html.escape(self.caption)
        return (
            f'<figure style="margin:0"><img alt="{words}" src="data:image/png;base64,{data}" style="max-width:100%">'
            f"<figcaption><em>{words}</em></figcaption></figure>"
        )

    def bundle(self) -> dict[str, str]:
        """What a notebook shows: HTML, because Jupyter's own picture output has no place for alternative text."""
        return {"text/html": self.html(), "text/plain": self.caption}

    def _repr_mimebundle_(self, include: Any = None, exclude: Any = None) -> dict[str, str]:
        """So that a cell may end with a picture."""
        return self.bundle()


@contextmanager
def _plain_text(figure: Figure) -> Iterator[None]:
    """Draws all text as it stands: names of photographs, folders and classes are in it, and a `$` is no mathematics."""
    before, rcParams["text.parse_math"] = rcParams["text.parse_math"], False  # of the ticks that drawing makes
    try:
        for text in figure.findobj(Text):
            text.set_parse_math(False)
        for axis in (axis for axes in figure.axes for axis in (axes.xaxis, axes.yaxis)):
            if isinstance(axis.get_major_formatter(), LogFormatter):  # which writes mathematics
                axis.set_major_formatter(lambda x, _: f"{x:,.0f}" if x >= 1 else f"{x:.2g}")
                axis.set_minor_formatter(NullFormatter())
        yield
    finally:
        rcParams["text.parse_math"] = before


def show(picture: Picture) -> None:
    """Display a picture with its caption."""
    from IPython.display import display

    display(picture.bundle(), raw=True)


def to_pixels(images: Tensor) -> np.ndarray:
    """(n, 3, h, w) in [-1, 1], or uint8, as (n, h, w, 3) uint8."""
    if images.is_floating_point():
        images = ((images.detach().float() + 1) * 127.5).round().clamp(0, 255)
    return images.permute(0, 2, 3, 1).cpu().numpy().astype(np.uint8)


def tile(pixels: np.ndarray, columns: int, scale: int = 1, gap: int = 2) -> np.ndarray:
    """(n, h, w, 3) uint8 side by side in rows of `columns` on white, each pixel enlarged `scale` times."""
    pixels = pixels.repeat(scale, 1).repeat(scale, 2)
    rows = -(-len(pixels) // columns)
    empty = rows * columns - len(pixels)
    cells = np.pad(pixels, ((0, empty), (0, gap), (0, gap), (0, 0)), constant_values=255)
    height, width = cells.shape[1:3]
    lines = cells.reshape(rows, columns, height, width, 3).swapaxes(1, 2)
    return lines.reshape(rows * height, columns * width, 3)[: rows * height - gap, : columns * width - gap]


def crop_sheet(images: Tensor, caption: str, columns: int = 16, scale: int = 1) -> Picture:
    """Crops (n, 3, side, side) in [-1, 1] side by side."""
    return Picture(tile(to_pixels(images), columns, scale), caption)


def crop_rows(rows: dict[str, Tensor], caption: str) -> Picture:
    """Rows of crops (n, 3, side, side), as many in each, with the name of each row before it."""
    figure = Figure(figsize=(9, 0.72 * len(rows)), layout="constrained")
    for axes, (name, images) in zip(figure.subplots(len(rows), 1, squeeze=False)[:, 0], rows.items()):
        draw_row(axes, images, name)
    return Picture(figure, caption)


def draw_row(axes: Axes, images: Tensor, name: str) -> None:
    """Pictures (n, 3, h, w) side by side, with their name before them."""
    axes.imshow(tile(to_pixels(images), len(images), gap=3), interpolation="nearest")
    axes.set(xticks=[], yticks=[])
    axes.set_ylabel(name, rotation=0, ha="right", va="center")
    axes.spines[:].set_visible(False)


def photograph(source: Source, i: int = 0) -> np.ndarray:
    """Source image i: (H, W, 3) uint8."""
    return to_pixels(source.image(i)[None])[0]


def draw_outlines(pixels: np.ndarray, corners: Tensor) -> np.ndarray:
    """Crops with these corners (n, 4, 2) drawn as quadrilaterals on pixels (H, W, 3) uint8; a dot marks the corner that
    becomes the crop's top left, so that turns and mirror images can be distinguished."""
    canvas = Image.fromarray(pixels)
    pen = ImageDraw.Draw(canvas)
    for i, places in enumerate(corners.tolist()):
        points, colour = [tuple(place) for place in places], PENS[i % len(PENS)]
        pen.line([*points, points[0]], fill="white", width=4)
        pen.line([*points, points[0]], fill=colour, width=2)
        x, y = points[0]
        pen.ellipse((x - 4, y - 4, x + 4, y + 4), fill=colour, outline="white")
    return np.asarray(canvas)


def outlines(source: Source, crops: Crops, i: int = 0) -> Picture:
    """Where crops lie on source image i."""
    pixels = draw_outlines(photograph(source, i), crops[crops.source == i].corners)
    return Picture(pixels, f"{len(crops)} crops where they lie on {source.name}; the dot is the crop's top left corner")


def filter_pixels(filters: Tensor) -> np.ndarray:
    """First-layer filters (n, 3, k, k) as pictures (n, k, k, 3) uint8: grey is zero, each filter at full contrast.

    Filters of two slopes, (n, 2, k, k), show them as red and green.
    """
    filters = F.pad(filters, (0, 0, 0, 0, 0, 3 - filters.shape[1]))
    strongest = filters.abs().amax((1, 2, 3), keepdim=True).clamp(min=1e-12)
    return to_pixels(filters / strongest)


def filter_sheet(filters: Tensor, caption: str, scale: int = 6) -> Picture:
    """First-layer filters (n, 3, k, k) side by side."""
    return Picture(tile(filter_pixels(filters), 8, scale), caption)


def compare_filters(sets: dict[str, Tensor], caption: str) -> Picture:
    """First-layer filters (n, 3, k, k) of several networks, one panel each, under their names; three in a row."""
    sheets = {name: tile(filter_pixels(filters), 8, 6) for name, filters in sets.items()}
    height, width = next(iter(sheets.values())).shape[:2]
    return Picture(side_by_side(sheets, 3.6, 3.5 * height / width + 0.4, columns=min(len(sheets), 3)), caption)


def answers(images: Tensor, given: Sequence[str], right: Sequence[str]) -> Picture:
    """Pictures (n, 3, side, side) with the network's answer over each: a tick where it is right, a cross where not."""
    figure = side_by_side(dict(enumerate(to_pixels(images))), 1.2, 1.45, columns=8)
    for axes, said, true in zip(figure.axes, given, right):
        mark, colour = ("✓", RIGHT) if said == true else ("✗", WRONG)
        axes.set_title(f"{mark} {said}", color=colour, fontsize=10)
    count = sum(said == true for said, true in zip(given, right))
    return Picture(figure, f"The network's answers for {len(images)} crops; {count} of them are right")


def side_by_side(pictures: Mapping[Any, np.ndarray], width: float, height: float, columns: int = 0) -> Figure:
    """Pixels under their names in rows of `columns`, all in one row for 0; width, height: inches of each."""
    columns = columns or len(pictures)
    rows = -(-len(pictures) // columns)
    figure = Figure(figsize=(width * columns, height * rows), layout="constrained")
    for axes in figure.subplots(rows, columns, squeeze=False).flat:
        axes.axis("off")
    for axes, (name, pixels) in zip(figure.axes, pictures.items()):
        axes.imshow(pixels, interpolation="nearest", cmap="gray")
        axes.set_title(name, fontsize=10)
    return figure
