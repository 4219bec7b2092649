"""Templates in pictures: what they want and avoid, what they find, and the panel of C and rounds. For notebook 12."""

from __future__ import annotations

import functools
import math
from collections.abc import Mapping, Sequence

import ipywidgets as widgets
import numpy as np
from PIL import Image, ImageDraw, ImageFont
from torch import Tensor

from course_lib.lessons.one_example.detections import DIRECTIONS, HogPyramid, by_cell, detect, suppress
from course_lib.lessons.one_example.exemplar import Round, Template, mine
from course_lib.pictures.charts import chart
from course_lib.pictures.figures import Picture, side_by_side, to_pixels
from course_lib.pictures.panel import Drawn, Panel, named_slider, panel_over
from course_lib.support.palette import PENS, RIGHT, WRONG

_CELL, _GAP = 24, 8  # pixels of a cell of strokes, and between two pictures
_DASH = 8  # pixels of a dash, and between two
_SHOWN = 5  # boxes
_ROUNDS = 6


def templates(image: Tensor, box: Tensor, exemplar: Tensor, made: Mapping[str, Template], caption: str) -> Picture:
    """The box (4,) of a picture (3, H, W) uint8, its edges (36, rows, columns), and of each template what it wants and
    what it avoids."""
    left, top, right, bottom = (round(place) for place in box.tolist())
    patch = to_pixels(image[None, :, top:bottom, left:right])[0]
    panels = {"the one example": patch, "its edges": strokes(exemplar)}
    for name, one in made.items():
        panels |= {f"{name} wants": strokes(one.weights), f"{name} avoids": strokes(-one.weights)}
    return Picture(side_by_side(panels, 1.9, 2.2), f"{caption}. From left to right: {', '.join(panels)}")


def strokes(weights: Tensor) -> np.ndarray:
    """A map or a template (36, rows, columns) as strokes along the edges that it answers to, the brighter the more:
    pixels (height, width, 3) uint8. What is below zero is not drawn; give the negative of a template to see it."""
    amounts = by_cell(weights).clamp(min=0)
    amounts = (amounts / amounts.max().clamp(min=1e-12)).permute(1, 2, 0).numpy()
    rows, columns = amounts.shape[:2]
    canvas = Image.new("L", (columns * _CELL, rows * _CELL))
    pen, reach = ImageDraw.Draw(canvas), 0.45 * _CELL
    for row, column, k in sorted(np.ndindex(amounts.shape), key=lambda place: amounts[place]):  # the strongest on top
        across = math.pi * (k + 0.5) / DIRECTIONS  # an edge runs at right angles to its gradient
        x, y = (column + 0.5) * _CELL, (row + 0.5) * _CELL
        dx, dy = -math.sin(across) * reach, math.cos(across) * reach
        pen.line((x - dx, y - dy, x + dx, y + dy), fill=round(255 * amounts[row, column, k]), width=2)
    return np.repeat(np.asarray(canvas)[:, :, None], 3, 2)


def mining_picture(rounds: Sequence[Round], caption: str) -> Picture:
    """How many new windows of the negatives scored above -1 before each round, and how many it was fitted to."""
    hard, used = [one.hard for one in rounds], [one.used for one in rounds]
    (figure, axes), numbers = chart(6, 2.6), range(1, len(rounds) + 1)
    axes.plot(numbers, hard, color=PENS[1], marker="o", label="new hard negatives")
    axes.plot(numbers, used, color=PENS[0], marker="s", linestyle="--", label="negatives fitted to")
    axes.set(yscale="log", xlabel="round", ylabel="windows", xticks=list(numbers))
    axes.legend(frameon=False)
    each = "; ".join(f"round {i}: {h:,} and {u:,}" for i, h, u in zip(numbers, hard, used))
    return Picture(figure, f"{caption}. New hard negatives, and negatives fitted to: {each}")


def detections_picture(
    image: Tensor, boxes: Tensor, chances: Tensor, caption: str, true: Tensor | None = None
) -> Picture:
    """The boxes (n, 4) that were found in a picture (3, H, W) uint8, with the chance (n,) that each is right."""
    words = [f"{chance:.0%}" for chance in chances]
    pixels = draw_boxes(to_pixels(image[None])[0], boxes, words, true)
    where = f"; the dashed box is where the example was taken: {_in_words(true)}" if true is not None else ""
    each = ", ".join(f"{word} at {_in_words(box)}" for box, word in zip(boxes[:3], words))
    return Picture(pixels, f"{caption}: {len(boxes)} boxes, the first {each or 'none'}{where}")


def _in_words(box: Tensor) -> str:
    left, top, right, bottom = box.tolist()
    return f"({left:.0f}, {top:.0f}) to ({right:.0f}, {bottom:.0f})"


def draw_boxes(pixels: np.ndarray, boxes: Tensor, words: Sequence[str], true: Tensor | None = None) -> np.ndarray:
    """Boxes (n, 4) with a word at each on pixels (H, W, 3) uint8, the first ones thicker; the true one dashed."""
    canvas = Image.fromarray(pixels)
    pen, font = ImageDraw.Draw(canvas), ImageFont.load_default(13)
    for i, (box, word) in reversed(list(enumerate(zip(boxes.tolist(), words)))):
        pen.rectangle(box, outline="white", width=5 if i == 0 else 3)
        pen.rectangle(box, outline=WRONG, width=3 if i == 0 else 1)
        left, top, right, bottom = pen.textbbox((box[0] + 3, box[1] + 2), word, font=font)
        pen.rectangle((left - 2, top - 1, right + 2, bottom + 1), fill="white")
        pen.text((box[0] + 3, box[1] + 2), word, fill="black", font=font)
    if true is not None:
        _dashed(pen, true.tolist())
    return np.asarray(canvas)


def _dashed(pen: ImageDraw.ImageDraw, box: Sequence[float]) -> None:
    left, top, right, bottom = box
    for x in np.arange(left, right, 2 * _DASH):
        for y in (top, bottom):
            pen.line((x, y, min(x + _DASH, right), y), fill=RIGHT, width=3)
    for y in np.arange(top, bottom, 2 * _DASH):
        for x in (left, right):
            pen.line((x, y, x, min(y + _DASH, bottom)), fill=RIGHT, width=3)


def explore_template(image: Tensor, photograph: HogPyramid, exemplar: Tensor, maps: Sequence[Tensor]) -> Panel:
    """Move C and the rounds of mining of an exemplar SVM, and see its template and what it finds in a picture.

    image: (3, H, W) uint8, and photograph its pyramid. exemplar, maps: as in `mine`. After the last round that found
    anything new, nothing changes.
    """
    cost = named_slider("C", 0.01, widgets.FloatLogSlider, base=10, min=-4, max=0, step=0.5, readout_format=".0e")
    rounds = named_slider("rounds", _ROUNDS, widgets.IntSlider, min=1, max=_ROUNDS)

    @functools.cache
    def mined(value: float) -> list[Round]:
        return mine(exemplar, maps, _ROUNDS, value)

    def draw() -> Drawn:
        done = mined(cost.value)
        shown = min(rounds.value, len(done))
        pixels, words = template_panel(image, photograph, done[shown - 1])
        return pixels, f"C {cost.value:.0e}, round {shown} of {len(done)}. {words}"

    return panel_over([cost, rounds], draw)


def template_panel(image: Tensor, photograph: HogPyramid, fitted: Round) -> Drawn:
    """What one round of mining gave: its best boxes on a picture (3, H, W) uint8, and beside it the template's strokes,
    above what it wants and below what it avoids."""
    found = suppress(detect(fitted.template, photograph))[:_SHOWN]
    scores = [f"{score:.2f}" for score in found.scores]
    left = draw_boxes(to_pixels(image[None])[0], found.boxes, scores)
    wants, avoids = (strokes(sign * fitted.template.weights) for sign in (1, -1))
    right = np.concatenate([wants, np.full((_GAP, wants.shape[1], 3), 255, np.uint8), avoids])
    height = max(len(left), len(right))
    words = (
        f"{fitted.hard:,} new hard negatives in other photographs; fitted to {fitted.used} negatives; "
        f"objective {fitted.objective:.3f}. The best boxes score {', '.join(scores) or 'below -1'}"
    )
    return np.concatenate([_padded(left, height), _padded(right, height)], 1), words


def _padded(pixels: np.ndarray, height: int) -> np.ndarray:
    return np.pad(pixels, ((0, height - len(pixels)), (0, _GAP), (0, 0)), constant_values=255)
