"""The pictures that sliders move: pure functions of their parameters, composed in numpy so that they take no time.

A panel of crops shows the source images with some crops outlined; beside them the crops; below them how area, ratio
and angle are spread, with the law that they were drawn by.
"""

from __future__ import annotations

import functools
import math
from dataclasses import replace
from typing import NamedTuple

import numpy as np
import torch
from PIL import Image, ImageDraw, ImageFont
from torch import Tensor

from course_lib.data.crops import Crops, CropScheme, Parts
from course_lib.data.laws import LAWS, measured
from course_lib.data.render import render
from course_lib.data.sources import Source
from course_lib.pictures.figures import AXIS_LABELS, COLOURS, PEN_COLOURS, draw_outlines, paste, photograph, to_pixels
from course_lib.support.errors import unknown

SIDES = (8, 16, 32, 64)
"""Sides of a crop, in pixels, that the sheet can show: each divides its cell."""
SCHEME_PARTS = ("crop", "turn", "flip", "colour")

_COUNTED = 1_000  # crops in the histograms
_COLUMNS, _CELL, _GAP = 8, 64, 4
_LEFT, _TOP = 300, 212  # pixels of the source images' place
_SHEET = _COLUMNS * (_CELL + _GAP) + _GAP
_BARS = 78  # pixels of the highest bar
_TICKS = {
    "area": {0: "0", 0.5: "1/2", 1: "1"},
    "ratio": {1 / 4: "1/4", 1: "1", 4: "4"},
    "angle": {-90: "-90", 0: "0", 90: "90"},
}


class Backdrop(NamedTuple):
    """The source images as a panel shows them: pixels (height, width, 3) uint8, and for each image its left, top,
    width, height and pixels of the panel for a pixel of the image, (N, 5)."""

    pixels: np.ndarray
    places: np.ndarray


def crop_panel(
    source: Source,
    scheme: CropScheme,
    side: int = 32,
    seed: int = 0,
    parts: Parts | None = None,
    backdrop: Backdrop | None = None,
) -> np.ndarray:
    """A panel of 64 crops of `side` pixels: (height, width, 3) uint8, of one size for all values.

    parts: functions to use in place of the library's. backdrop: of this source, to save the time of making it.
    Raises ValueError for a side that is not in SIDES.
    """
    crops = counted_crops(source, scheme, seed, parts)
    return compose_panel(source, scheme, crops, measured(source, crops), side, backdrop or make_backdrop(source))


def counted_crops(source: Source, scheme: CropScheme, seed: int = 0, parts: Parts | None = None) -> Crops:
    """The crops whose numbers a panel counts; it shows the first 64 of them."""
    return scheme.sample(source, _COUNTED, seed, parts=parts)


def compose_panel(
    source: Source, scheme: CropScheme, crops: Crops, numbers: dict[str, np.ndarray], side: int, backdrop: Backdrop
) -> np.ndarray:
    """`crop_panel` from crops, and their numbers as `measured` gives them, that are there already."""
    if side not in SIDES:
        raise ValueError(f"side must be one of {', '.join(map(str, SIDES))}, got {side}")
    shown = crops[: _COLUMNS**2]
    canvas = np.full((_SHEET, _LEFT + 3 * _GAP + _SHEET, 3), 255, np.uint8)
    canvas[:_TOP, :_LEFT] = outlined(backdrop, shown[: len(PEN_COLOURS)])
    for i, (name, values) in enumerate(numbers.items()):
        chart = histogram(name, values, scheme)
        bottom = _SHEET - (2 - i) * (chart.shape[0] + 1)
        canvas[bottom - chart.shape[0] : bottom, :_LEFT] = chart
    canvas[:, -_SHEET:] = sheet(to_pixels(render(source, shown, side, torch.uint8)))
    return canvas


def sheet(pixels: np.ndarray) -> np.ndarray:
    """64 crops (64, side, side, 3) uint8 in eight rows; those that are outlined have a frame in their colour."""
    step = _CELL + _GAP
    canvas = np.full((_SHEET, _SHEET, 3), 255, np.uint8)
    for i, colour in enumerate(PEN_COLOURS):
        canvas[: step + _GAP, i * step : (i + 1) * step + _GAP] = colour
    paste(canvas[_GAP:, _GAP:], pixels, _COLUMNS, _CELL // pixels.shape[1], _GAP)
    return canvas


def make_backdrop(source: Source) -> Backdrop:
    """One image large, or N as small copies side by side."""
    n, (width, height) = len(source), source.sizes.double().mean(0).tolist()
    columns = max(range(1, n + 1), key=lambda c: min(_LEFT // c / width, _TOP // math.ceil(n / c) / height))
    rows = math.ceil(n / columns)
    cell_width, cell_height = _LEFT // columns, _TOP // rows
    pixels, places = np.full((_TOP, _LEFT, 3), 255, np.uint8), np.empty((n, 5))
    for i, (width, height) in enumerate(source.sizes.tolist()):
        scale = min((cell_width - (columns > 1)) / width, (cell_height - (rows > 1)) / height)
        size = max(1, int(width * scale)), max(1, int(height * scale))
        left, top = i % columns * cell_width, i // columns * cell_height
        small = Image.fromarray(photograph(source, i)).resize(size, Image.Resampling.BOX)
        pixels[top : top + size[1], left : left + size[0]] = small
        places[i] = left, top, *size, scale
    return Backdrop(pixels, places)


def outlined(backdrop: Backdrop, crops: Crops) -> np.ndarray:
    """The source images with crops outlined, or where an image is too small for that, with a frame about it."""
    places = torch.from_numpy(backdrop.places[crops.source.long()])
    corners = crops.corners * places[:, None, 4:] + places[:, None, :2]
    frames = places[:, None, :2] + places[:, None, 2:4] * torch.tensor([[0, 0], [1, 0], [1, 1], [0, 1]])
    return draw_outlines(backdrop.pixels, torch.where(places[:, None, 2:3] < 24, frames, corners))


def histogram(name: str, values: np.ndarray, scheme: CropScheme) -> np.ndarray:
    """How one number of the crops is spread, and the law that it was drawn by as a line: pixels uint8."""
    law, edges = LAWS[name]
    counts, expected = np.histogram(values, edges)[0], len(values) * np.diff(law(scheme, edges))
    canvas, left, width = _axes(name).copy(), *_bar_places(len(counts))
    scale = _BARS / max(counts.max(), expected.max(), 1)
    for i, count in enumerate(counts):
        canvas[_BARS - round(count * scale) : _BARS, left + i * width : left + (i + 1) * width - 1] = _BAR_COLOUR
    heights = _BARS - np.round(expected * scale).astype(int)
    for i, y in enumerate(heights):
        canvas[max(y - 1, 0) : y + 1, left + i * width : left + (i + 1) * width] = _LAW_COLOUR
    for i, (y, after) in enumerate(zip(heights, heights[1:]), 1):
        canvas[min(y, after) : max(y, after), left + i * width - 1 : left + i * width + 1] = _LAW_COLOUR
    return canvas


@functools.cache
def _axes(name: str) -> np.ndarray:
    edges, (left, width) = LAWS[name][1], _bar_places(len(LAWS[name][1]) - 1)
    canvas = Image.new("RGB", (_LEFT, _BARS + 30), "white")
    pen, font = ImageDraw.Draw(canvas), ImageFont.load_default(11)
    pen.line((left, _BARS, _LEFT - left, _BARS), fill="black")
    for value, text in _TICKS[name].items():
        x = left + width * float(np.interp(value, edges, np.arange(len(edges))))
        pen.line((x, _BARS, x, _BARS + 3), fill="black")
        pen.text((x, _BARS + 3), text, fill="black", font=font, anchor="ma")
    pen.text((_LEFT / 2, _BARS + 15), AXIS_LABELS[name], fill="black", font=font, anchor="ma")
    return np.array(canvas)


def _bar_places(count: int) -> tuple[int, int]:
    """Left edge of the first bar, and a bar's width."""
    width = (_LEFT - 12) // count
    return (_LEFT - width * count) // 2, width


def _rgb(colour: str) -> tuple[int, ...]:
    return tuple(bytes.fromhex(colour[1:]))


_BAR_COLOUR, _LAW_COLOUR = _rgb("#9ec9e2"), _rgb(COLOURS["deepcluster"])


def weaken(scheme: CropScheme, part: str, strength: float) -> CropScheme:
    """A scheme with one part of it taken away by degrees: at `strength` 1 it is whole, at 0 the part is gone.

    part: `crop` (area and ratio), `turn`, `flip` or `colour`. Raises CourseError for another.
    """
    if part not in SCHEME_PARTS:
        raise unknown("part of the augmentations", part, SCHEME_PARTS)
    if part == "crop":
        beta, gamma = (min(1.0, x + (1 - strength) * (1 - x)) for x in (scheme.beta, scheme.gamma))
        return replace(scheme, beta=beta, gamma=gamma)
    name = {"turn": "alpha", "flip": "flip", "colour": "jitter"}[part]
    return replace(scheme, **{name: getattr(scheme, name) * strength})


def part_rows(source: Source, scheme: CropScheme, seed: int = 0, columns: int = 12) -> dict[str, Tensor]:
    """The same crops, (columns, 3, 64, 64), by the whole scheme and then without each of SCHEME_PARTS."""
    schemes = {"all": scheme} | {f"no {part}": weaken(scheme, part, 0) for part in SCHEME_PARTS}
    return {name: render(source, one.sample(source, columns, seed), _CELL) for name, one in schemes.items()}
