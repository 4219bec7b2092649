"""The pictures of notebook 11: transfers side by side, and what a search finds, as figures and as panels of pixels."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
from matplotlib.figure import Figure
from PIL import Image, ImageDraw, ImageFont
from torch import Tensor

from course_lib.lessons.uses.retrieval import NEAREST, Search
from course_lib.lessons.uses.style import Transfer
from course_lib.pictures.figures import RIGHT, WRONG, Picture, to_pixels

_LARGE = 240  # pixels of each picture in a panel of a transfer
_TILE, _FRAME, _GAP = 64, 4, 6  # pixels of a found picture, of its frame, and between two
_LEFT, _TOP = 150, 24  # pixels for names
_MARKS = {True: tuple(bytes.fromhex(RIGHT[1:])), False: tuple(bytes.fromhex(WRONG[1:]))}


def transfers_picture(content: Tensor, style: Tensor, made: Mapping[str, Transfer], title: str) -> Picture:
    """A content and a style picture (3, side, side), and behind them what each network made of the two."""
    panels = {"content": content, "style": style} | {name: one.image for name, one in made.items()}
    figure = Figure(figsize=(1.9 * len(panels), 2.3), layout="constrained")
    for axes, (name, image) in zip(figure.subplots(1, len(panels)), panels.items()):
        axes.imshow(to_pixels(image[None])[0], interpolation="nearest")
        axes.set(xticks=[], yticks=[])
        axes.set_title(name, fontsize=10)
    each = "; ".join(f"{name}: {_missing(one)}" for name, one in made.items())
    return Picture(figure, f"{title}, each in its own eyes. {each}" if made else title)


def _missing(made: Transfer) -> str:
    return f"{made.style:.3f} of the style is missing, {made.content:.2f} of the content lost"


def transfer_panel(
    content: Tensor, style: Tensor, made: Transfer, network: str, weight: float
) -> tuple[np.ndarray, str]:
    """Content, style and what one network made of them: pixels (height, width, 3) uint8 of one size, and words."""
    shown = np.concatenate([_enlarged(image) for image in (content, style, made.image)], 1)
    words = f"{network} after {made.step} steps, style {weight:.2g} to content 1, in its own eyes"
    return shown, f"{words}: {_missing(made)}"


def _enlarged(image: Tensor) -> np.ndarray:
    pixels = Image.fromarray(to_pixels(image[None])[0]).resize((_LARGE, _LARGE), Image.Resampling.BICUBIC)
    return np.pad(np.asarray(pixels), ((0, 0), (0, _GAP), (0, 0)), constant_values=255)


def search_panel(searches: Mapping[str, Search], query: int, layer: str, k: int = NEAREST) -> tuple[np.ndarray, str]:
    """What each network's layer takes for the most alike to a test picture, a row each, best first.

    A frame says whether the class is the query's, by its colour and, where it is not, by a cross. Pixels (height,
    width, 3) uint8, and words.
    """
    data = next(iter(searches.values())).data
    label, step = int(data.test_labels[query]), _TILE + 2 * _FRAME + _GAP
    canvas = Image.new("RGB", (_LEFT + step * (k + 1) + 2 * _GAP, _TOP + step * len(searches)), "white")
    pen, font, said = ImageDraw.Draw(canvas), ImageFont.load_default(13), []
    pen.text((_LEFT, 4), "asked for", fill="black", font=font)
    pen.text((_LEFT + step + 2 * _GAP, 4), f"found by {layer}, the most alike first", fill="black", font=font)
    for row, (name, search) in enumerate(searches.items()):
        top = _TOP + row * step
        pen.text((_LEFT - 10, top + step // 2), name, fill="black", font=font, anchor="rm")
        canvas.paste(_thumbnail(data.test_images[query]), (_LEFT + _FRAME, top + _FRAME))
        found = search.nearest(query, layer, k)
        for place, i in enumerate(found):
            left = _LEFT + 2 * _GAP + step * (place + 1)
            _framed(canvas, pen, data.train_images[i], left, top, int(data.train_labels[i]) == label)
        right = sum(int(data.train_labels[i]) == label for i in found)
        said.append(f"{name} {right} of {k}")
    return np.asarray(canvas), f"{data.classes[label]} asked for, by {layer}: of the same class are {', '.join(said)}"


def _thumbnail(image: Tensor) -> Image.Image:
    return Image.fromarray(to_pixels(image[None])[0]).resize((_TILE, _TILE), Image.Resampling.NEAREST)


def _framed(canvas: Image.Image, pen: ImageDraw.ImageDraw, image: Tensor, left: int, top: int, right: bool) -> None:
    far = _TILE + 2 * _FRAME
    pen.rectangle((left, top, left + far - 1, top + far - 1), fill=_MARKS[right])
    canvas.paste(_thumbnail(image), (left + _FRAME, top + _FRAME))
    if not right:
        x, y = left + far - 16, top + 4
        for ends in ((x, y, x + 11, y + 11), (x, y + 11, x + 11, y)):
            pen.line(ends, fill="white", width=5)
            pen.line(ends, fill=_MARKS[right], width=3)


def thumbnails(images: Tensor, queries: Sequence[int]) -> list[Picture]:
    """Some of pictures (n, 3, side, side) uint8, each enlarged, to be clicked on."""
    return [Picture(np.asarray(_thumbnail(images[i])), f"picture {i}") for i in queries]


def judged_table(judgements: Mapping[str, Mapping[str, float]]) -> str:
    """Who made a picture, a row each, and what share of the style's loss each network still sees in it, as text."""
    names = list(judgements)
    lines = ["made by, seen by" + "".join(f"{name:>18}" for name in names)]
    lines += [f"{maker:16}" + "".join(f"{seen[name]:18.3f}" for name in names) for maker, seen in judgements.items()]
    return "\n".join(lines)
