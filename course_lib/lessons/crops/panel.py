"""The pictures of the crop explorer: pure functions of a scheme's numbers, drawn in a few milliseconds (notebook 01).

A panel of crops shows the source images with some crops outlined; beside them the crops; below them how area, ratio
and angle are spread, with the law that they were drawn by.
"""

from __future__ import annotations

import math
from dataclasses import replace
from typing import NamedTuple

import numpy as np
import torch
from PIL import Image
from torch import Tensor

from course_lib.data.crops import Crops, CropScheme, Parts
from course_lib.data.render import render
from course_lib.data.sources import Source
from course_lib.lessons.crops.measures import AXIS_LABELS, LAWS, measured
from course_lib.pictures.drawing import Paper
from course_lib.pictures.figures import draw_outlines, photograph, tile, to_pixels
from course_lib.support.errors import unknown
from course_lib.support.palette import COUNTED, LAW, PENS, rgb

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
) -> tuple[np.ndarray, str]:
    """64 crops of `side` pixels: pixels (height, width, 3) uint8, of one size for all values, and words.

    parts: functions to use in place of the library's. backdrop: of this source, to save the time of making it.
    Raises ValueError for a side that is not in SIDES.
    """
    if side not in SIDES:
        raise ValueError(f"side must be one of {', '.join(map(str, SIDES))}, got {side}")
    crops = scheme.sample(source, _COUNTED, seed, parts=parts)
    numbers, shown = measured(source, crops), crops[: _COLUMNS**2]
    canvas = np.full((_SHEET, _LEFT + 3 * _GAP + _SHEET, 3), 255, np.uint8)
    canvas[:_TOP, :_LEFT] = _outlined(backdrop or make_backdrop(source), shown[: len(PENS)])
    bottom = _SHEET
    for name, values in reversed(numbers.items()):
        chart = _histogram(name, values, scheme)
        canvas[bottom - len(chart) : bottom, :_LEFT] = chart
        bottom -= len(chart) + 1
    canvas[:, -_SHEET:] = _sheet(to_pixels(render(source, shown, side, torch.uint8)))
    return canvas, _in_words(source, scheme, side, numbers["area"])


def _in_words(source: Source, scheme: CropScheme, side: int, share: np.ndarray) -> str:
    """What a panel shows, for screen readers."""
    return (
        f"Crops of {source.name} at {side} px: beta {scheme.beta:.1e}, gamma {scheme.gamma:.2f}, alpha "
        f"{scheme.alpha:.0f}, flip {scheme.flip:.1f}, jitter {scheme.jitter:.1f}, {scheme.area_law} area. Half of them "
        f"cover less than {np.median(share):.0%} of their image, and {(share < 0.1).mean():.0%} less than a tenth."
    )


def _sheet(pixels: np.ndarray) -> np.ndarray:
    """64 crops (64, side, side, 3) uint8 in eight rows; those that are outlined have a frame in their colour."""
    step = _CELL + _GAP
    crops = tile(pixels, _COLUMNS, _CELL // pixels.shape[1], _GAP)
    canvas = np.pad(crops, ((_GAP, _GAP), (_GAP, _GAP), (0, 0)), constant_values=255)
    for i, colour in enumerate(PENS):
        canvas[: step + _GAP, i * step : (i + 1) * step + _GAP] = rgb(colour)
        canvas[_GAP:step, i * step + _GAP : (i + 1) * step] = crops[:_CELL, i * step : i * step + _CELL]
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


def _outlined(backdrop: Backdrop, crops: Crops) -> np.ndarray:
    """The source images with crops outlined, or where an image is too small for that, with a frame about it."""
    places = torch.from_numpy(backdrop.places[crops.source.long()])
    corners = crops.corners * places[:, None, 4:] + places[:, None, :2]
    frames = places[:, None, :2] + places[:, None, 2:4] * torch.tensor([[0, 0], [1, 0], [1, 1], [0, 1]])
    return draw_outlines(backdrop.pixels, torch.where(places[:, None, 2:3] < 24, frames, corners))


def _histogram(name: str, values: np.ndarray, scheme: CropScheme) -> np.ndarray:
    """How one number of the crops is spread, and the law that it was drawn by as a line: pixels uint8."""
    law, edges = LAWS[name]
    counts, expected = np.histogram(values, edges)[0], len(values) * np.diff(law(scheme, edges))
    scale = _BARS / max(counts.max(), expected.max(), 1)
    width = (_LEFT - 12) // len(counts)
    margin = (_LEFT - width * len(counts)) // 2
    paper, bins = Paper(_LEFT, _BARS + 30, margin, margin, size=11), margin + width * np.arange(len(edges))
    for x, count in zip(bins.tolist(), counts.tolist()):
        paper.pen.rectangle((x, _BARS - round(count * scale), x + width - 2, _BARS), fill=COUNTED)
    paper.pen.line((margin, _BARS, _LEFT - margin, _BARS), fill="black")
    stairs = np.stack([bins.repeat(2)[1:-1], (_BARS - expected * scale).repeat(2)], 1)
    paper.pen.line(stairs.ravel().tolist(), fill=LAW, width=2)
    for value, text in _TICKS[name].items():
        share = float(np.interp(value, edges, np.linspace(0, 1, len(edges))))
        paper.stroke(share, _BARS, _BARS + 3)
        paper.write(paper.at(share), _BARS + 3, text, "ma")
    paper.write(_LEFT / 2, _BARS + 15, AXIS_LABELS[name], "ma")
    return paper.pixels


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
