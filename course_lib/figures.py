"""Every picture of the course: a figure or pixels, with the caption that is also its alternative text."""

from __future__ import annotations

import base64
import html
import io
from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
import torch.nn.functional as F
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from PIL import Image, ImageDraw
from torch import Tensor

from course_lib.crops import Crops, CropScheme
from course_lib.laws import LAWS, measured
from course_lib.png import encode_png
from course_lib.pretext import Shown
from course_lib.sources import Source

# Okabe and Ito's palette, safe for colour-blind readers: one colour and one marker for each meaning, everywhere.
COLOURS = {
    "random": "#999999",
    "supervised": "#000000",
    "rotnet": "#0072B2",
    "deepcluster": "#D55E00",
    "bigan": "#009E73",
    "jigsaw": "#CC79A7",
    "pirl": "#56B4E9",
}
MARKERS = {
    "random": "o",
    "supervised": "s",
    "rotnet": "^",
    "deepcluster": "D",
    "bigan": "v",
    "jigsaw": "P",
    "pirl": "X",
}
PEN_COLOURS = tuple(tuple(bytes.fromhex(colour[1:])) for colour in list(COLOURS.values())[2:])
"""The colours that outlines take in turn."""

_OTHERS = ("#E69F00", "#8B5A00", "#7A3B69", "#004D40", "#5E5E00", "#1A237E")  # what is no method, in turn
RIGHT, WRONG = "#009E73", "#D55E00"

_DPI = 100
AXIS_LABELS = {"area": "area, as a share of the image's", "ratio": "height / width", "angle": "angle in degrees"}


class Picture(NamedTuple):
    """A figure, or pixels (height, width, 3) uint8, and what it shows in words."""

    image: Figure | np.ndarray
    caption: str

    def png(self) -> bytes:
        """The picture as a PNG file."""
        if isinstance(self.image, np.ndarray):
            return encode_png(self.image)
        buffer = io.BytesIO()
        self.image.savefig(buffer, format="png", dpi=_DPI, facecolor="white", bbox_inches="tight")
        return buffer.getvalue()

    def html(self) -> str:
        """The picture in itself, with its caption below and as alternative text."""
        data, words = base64.b64encode(self.png()).decode(), html.escape(self.caption)
        return (
            f'<figure style="margin:0"><img alt="{words}" src="data:image/png;base64,{data}" style="max-width:100%">'
            f"<figcaption><em>{words}</em></figcaption></figure>"
        )

    def bundle(self) -> dict[str, str]:
        """What a notebook shows: HTML, because Jupyter's own picture output has no place for alternative text."""
        return {"text/html": self.html(), "text/plain": self.caption}


def show(picture: Picture) -> None:
    """Display a picture with its caption."""
    from IPython.display import display

    display(picture.bundle(), raw=True)


def to_pixels(images: Tensor) -> np.ndarray:
    """(n, 3, h, w) in [-1, 1], or uint8, as (n, h, w, 3) uint8."""
    if images.is_floating_point():
        images = ((images.detach().float() + 1) * 127.5).round().clamp(0, 255)
    return images.permute(0, 2, 3, 1).cpu().numpy().astype(np.uint8)


def tile(pixels: np.ndarray, columns: int, scale: int = 1, gap: int = 2, background: int = 255) -> np.ndarray:
    """(n, h, w, 3) uint8 side by side in rows of `columns`, each pixel enlarged `scale` times."""
    height, width = (size * scale for size in pixels.shape[1:3])
    rows = -(-len(pixels) // columns)
    canvas = np.full((rows * (height + gap) - gap, columns * (width + gap) - gap, 3), background, np.uint8)
    paste(canvas, pixels, columns, scale, gap)
    return canvas


def paste(canvas: np.ndarray, pixels: np.ndarray, columns: int, scale: int = 1, gap: int = 2) -> None:
    """Put pictures (n, h, w, 3) onto a canvas in rows of `columns`, each pixel enlarged `scale` times."""
    pixels = pixels.repeat(scale, 1).repeat(scale, 2) if scale > 1 else pixels
    height, width = pixels.shape[1:3]
    for i, one in enumerate(pixels):
        y, x = i // columns * (height + gap), i % columns * (width + gap)
        canvas[y : y + height, x : x + width] = one


def crop_sheet(images: Tensor, caption: str, columns: int = 16, scale: int = 1) -> Picture:
    """Crops (n, 3, side, side) in [-1, 1] side by side."""
    return Picture(tile(to_pixels(images), columns, scale), caption)


def crop_rows(rows: dict[str, Tensor], caption: str) -> Picture:
    """Rows of crops (n, 3, side, side), as many in each, with the name of each row before it."""
    figure = Figure(figsize=(9, 0.72 * len(rows)), layout="constrained")
    for axes, (name, images) in zip(figure.subplots(len(rows), 1, squeeze=False)[:, 0], rows.items()):
        _row(axes, images, name)
    return Picture(figure, caption)


def _row(axes: Axes, images: Tensor, name: str) -> None:
    axes.imshow(tile(to_pixels(images), len(images), gap=3), interpolation="nearest")
    axes.set(xticks=[], yticks=[])
    axes.set_ylabel(name, rotation=0, ha="right", va="center")
    axes.spines[:].set_visible(False)


def photograph(source: Source, i: int = 0) -> np.ndarray:
    """Source image i: (H, W, 3) uint8."""
    return to_pixels(source.image(i)[None])[0]


def draw_outlines(pixels: np.ndarray, corners: Tensor) -> np.ndarray:
    """Crops with these corners (n, 4, 2) drawn as quadrilaterals on pixels (H, W, 3) uint8; a dot marks the corner that
    becomes the crop's top left, so that turns and mirror images can be told apart."""
    canvas = Image.fromarray(pixels)
    pen = ImageDraw.Draw(canvas)
    for i, places in enumerate(corners.tolist()):
        points, colour = [tuple(place) for place in places], PEN_COLOURS[i % len(PEN_COLOURS)]
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


def filter_sheet(filters: Tensor, caption: str, columns: int = 8, scale: int = 6) -> Picture:
    """First-layer filters (n, 3, k, k) side by side."""
    return Picture(tile(filter_pixels(filters), columns, scale), caption)


def compare_filters(sets: dict[str, Tensor], caption: str, columns: int = 8, scale: int = 6) -> Picture:
    """First-layer filters (n, 3, k, k) of several networks, one panel each, under their names; three in a row."""
    sheets = {name: tile(filter_pixels(filters), columns, scale) for name, filters in sets.items()}
    across = min(len(sheets), 3)
    down = -(-len(sheets) // across)
    height, width = next(iter(sheets.values())).shape[:2]
    figure = Figure(figsize=(3.6 * across, (3.5 * height / width + 0.4) * down), layout="constrained")
    for axes in figure.subplots(down, across, squeeze=False).flat:
        axes.axis("off")
    for axes, (name, sheet) in zip(figure.axes, sheets.items()):
        axes.imshow(sheet, interpolation="nearest")
        axes.set_title(name)
    return Picture(figure, caption)


def training_picture(
    title: str, loss: Tensor, accuracy: Tensor, steps: int, filters: Tensor, shown: Shown | None = None, pace: str = ""
) -> Picture:
    """A training as it stands: loss and accuracy of the task over the steps (done,), and the first layer's filters.

    shown: what the method can do by now, in rows below. pace: how fast it goes, for the caption.
    """
    rows = len(shown.rows) if shown else 0
    heights = [2.6, 0.62 * rows] if rows else [2.6]
    figure = Figure(figsize=(9, sum(heights)), layout="constrained")
    top, *below = figure.subfigures(len(heights), 1, height_ratios=heights, squeeze=False).flat
    left, middle, right = top.subplots(1, 3)
    for axes, values, name in ((left, loss, "loss"), (middle, accuracy, "accuracy of the task")):
        axes.plot(np.arange(1, len(values) + 1), values.numpy(), color=COLOURS.get(title, "#000000"), linewidth=1)
        axes.set(xlabel="step", title=f"{title}: {name}", xlim=(0, steps))
    left.set_ylim(bottom=0)
    middle.set_ylim(0, 1.02)
    right.imshow(tile(filter_pixels(filters), 8, scale=6), interpolation="nearest")
    right.set(title="filters of conv1", xticks=[], yticks=[])
    if shown:
        for axes, images, name in zip(below[0].subplots(rows, 1).flat, shown.images.split(shown.columns), shown.rows):
            _row(axes, images, name)
    last = f"loss {loss[-10:].mean():.2f}, accuracy {accuracy[-10:].mean():.2f}" if len(loss) else "not begun"
    words = f"{title} at step {len(loss)} of {steps}: {last}; right, the filters of conv1"
    doing = f"; below, what it does by now: {', '.join(shown.rows)}" if shown else ""
    return Picture(figure, words + doing + (f". {pace}" if pace else ""))


def answers(images: Tensor, given: Sequence[str], right: Sequence[str], columns: int = 8) -> Picture:
    """Pictures (n, 3, side, side) with the network's answer over each: a tick where it is right, a cross where not."""
    rows = -(-len(images) // columns)
    figure = Figure(figsize=(1.2 * columns, 1.45 * rows), layout="constrained")
    for axes in figure.subplots(rows, columns, squeeze=False).flat:
        axes.axis("off")
    for axes, pixels, said, true in zip(figure.axes, to_pixels(images), given, right):
        axes.imshow(pixels)
        mark, colour = ("✓", RIGHT) if said == true else ("✗", WRONG)
        axes.set_title(f"{mark} {said}", color=colour, fontsize=10)
    count = sum(said == true for said, true in zip(given, right))
    return Picture(figure, f"What the network says of {len(images)} crops; {count} answers are right")


def crop_histograms(source: Source, crops: Crops, scheme: CropScheme) -> Picture:
    """How crops are spread over area, ratio and angle, and the laws that the scheme drew them by."""
    figure = Figure(figsize=(9, 2.4), layout="constrained")
    values = measured(source, crops)
    for axes, (name, (law, edges)) in zip(figure.subplots(1, 3), LAWS.items()):
        axes.hist(values[name], bins=edges, color=COLOURS["rotnet"])
        axes.stairs(len(crops) * np.diff(law(scheme, edges)), edges, color=COLOURS["deepcluster"], linewidth=2)
        axes.set(xlabel=AXIS_LABELS[name], yticks=[])
    figure.axes[1].set_xscale("log", base=2)
    share = values["area"]
    words = f"median share of the area {np.median(share):.2f}, {(share < 0.1).mean():.0%} of the crops below a tenth"
    return Picture(figure, f"How {len(crops):,} crops are spread; the lines are the laws they were drawn by; {words}")


def bar_chart(values: dict[str, float], caption: str, level: float, words: str) -> Picture:
    """Shares of 1 as bars under their names, with a dashed line at `level`, which is called `words`."""
    figure = Figure(figsize=(7, 0.5 * len(values) + 0.8), layout="constrained")
    axes = figure.subplots()
    axes.barh(list(values), list(values.values()), color=COLOURS["rotnet"])
    axes.bar_label(axes.containers[0], fmt="%.2f", padding=3)
    axes.axvline(level, color="black", linestyle="--", linewidth=1)
    axes.text(level, -0.55, words, ha="center", fontsize=9)
    axes.set(xlim=(0, 1), ylim=(len(values) - 0.4, -0.8))  # the first on top
    each = ", ".join(f"{name} {value:.2f}" for name, value in values.items())
    return Picture(figure, f"{caption}: {each}; the line is {words}, {level:.2f}")


def accuracy_by_layer(rows: Sequence[dict], title: str) -> Picture:
    """Probe accuracy over the layers, one line a method; a band shows one standard deviation over seeds.

    rows: with method, layer, accuracy (a share of 1) and seed.
    """
    import pandas as pd
    import seaborn as sns

    table = pd.DataFrame(list(rows))
    table["accuracy in %"] = 100 * table["accuracy"]
    given = list(dict.fromkeys(table["method"]))
    methods = [method for method in COLOURS if method in given] + [m for m in given if m not in COLOURS]
    figure = Figure(figsize=(7, 4), layout="constrained")
    axes = figure.subplots()
    sns.lineplot(
        table,
        x="layer",
        y="accuracy in %",
        hue="method",
        hue_order=methods,
        style="method",
        style_order=methods,
        palette=_palette(methods),
        markers={method: MARKERS.get(method, "*") for method in methods},
        dashes=False,
        errorbar="sd",
        ax=axes,
    )
    axes.set(title=title, xlabel="")
    axes.grid(axis="y", alpha=0.3)
    means = table.groupby(["method", "layer"])["accuracy in %"].mean()
    words = "; ".join(f"{m} {means[m].iloc[0]:.0f} at conv1 and {means[m].iloc[-1]:.0f} at conv5" for m in methods)
    return Picture(figure, f"{title}. Accuracy in percent, {words}")


def _palette(names: Sequence[str]) -> dict[str, str]:
    """A method's own colour for a method's name, and another for every other name."""
    others = [name for name in names if name not in COLOURS]
    return {n: COLOURS.get(n) or _OTHERS[others.index(n) % len(_OTHERS)] for n in names}


def accuracy_by_choice(rows: Sequence[dict], choice: str, order: Sequence[str], title: str) -> Picture:
    """Probe accuracy over the values of one choice, one marker a method; a bar shows one standard deviation over seeds.

    rows: with method, accuracy (a share of 1) and `choice`, whose values stand along the axis in this order.
    """
    import pandas as pd
    import seaborn as sns

    table = pd.DataFrame(list(rows))
    table["accuracy in %"] = 100 * table["accuracy"]
    methods = [method for method in COLOURS if method in set(table["method"])]
    figure = Figure(figsize=(7, 3.4), layout="constrained")
    axes = figure.subplots()
    sns.pointplot(
        table,
        x=choice,
        y="accuracy in %",
        order=order,
        hue="method",
        hue_order=methods,
        palette=COLOURS,
        markers=[MARKERS[method] for method in methods],
        linestyle="none",
        dodge=0.1 * (len(methods) - 1),
        errorbar="sd",
        ax=axes,
    )
    axes.set(title=title, xlabel="")
    axes.grid(axis="y", alpha=0.3)
    means = table.groupby(["method", choice])["accuracy in %"].mean()
    words = "; ".join(
        f"{m}: " + ", ".join(f"{value} {means[m][value]:.1f}" for value in order if value in means[m]) for m in methods
    )
    return Picture(figure, f"{title}. Mean over seeds in percent, {words}")


def forest(differences: Sequence[dict], bound: float, title: str) -> Picture:
    """Intervals of differences in points, a row each, with a dashed line at the bound that they are held against.

    differences: with what, mean, low, high and verdict, as `course_lib.claims` gives them.
    """
    marks = {"holds": (RIGHT, "o"), "fails": (WRONG, "X"), "undecided": (COLOURS["random"], "s")}
    figure = Figure(figsize=(8, 0.34 * len(differences) + 1.1), layout="constrained")
    axes = figure.subplots()
    for verdict, (colour, marker) in marks.items():
        places = [(i, one) for i, one in enumerate(differences) if one["verdict"] == verdict]
        for i, one in places:
            axes.plot([one["low"], one["high"]], [i, i], color=colour, linewidth=2)
        axes.plot([one["mean"] for _, one in places], [i for i, _ in places], marker, color=colour, label=verdict)
    axes.axvline(bound, color="black", linestyle="--", linewidth=1)
    axes.set(title=title, xlabel="points", ylim=(len(differences) - 0.5, -0.5))
    axes.set_yticks(range(len(differences)), [one["what"] for one in differences])
    axes.legend(loc="center left", bbox_to_anchor=(1, 0.5), frameon=False)
    each = "; ".join(f"{d['what']} {d['low']:.1f} to {d['high']:.1f}, {d['verdict']}" for d in differences)
    return Picture(figure, f"{title}, bound {bound:g}: {each}")
