"""The pictures of notebook 12: templates as strokes, boxes on photographs, correlation planes, what they measure."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from PIL import Image, ImageDraw, ImageFont
from torch import Tensor

from course_lib.lessons.one_example.correlation import Peak
from course_lib.lessons.one_example.exemplar import Round, Template
from course_lib.lessons.one_example.hog import DIRECTIONS, by_cell
from course_lib.lessons.one_example.tracking import Track
from course_lib.networks.alexnet import LAYERS
from course_lib.pictures.figures import COLOURS, MARKERS, RIGHT, WRONG, Picture, to_pixels

_CELL = 24  # pixels of a cell of strokes
_FOUND, _TRUE = tuple(bytes.fromhex(WRONG[1:])), tuple(bytes.fromhex(RIGHT[1:]))
_LINES = ("#0072B2", "#D55E00", "#009E73", "#CC79A7")
_DASHES = ("-", "--", ":", "-.")  # a second mark beside the colour
_HAND_MADE = {"HOG": ("#E69F00", "--"), "pixels": ("#7A3B69", ":")}


def strokes(weights: Tensor, cell: int = _CELL) -> np.ndarray:
    """A map or a template (36, rows, columns) as strokes along the edges that it answers to, the brighter the more:
    pixels (height, width, 3) uint8. What is below zero is not drawn; give the negative of a template to see it."""
    amounts = by_cell(weights).clamp(min=0)
    amounts = (amounts / amounts.max().clamp(min=1e-12)).permute(1, 2, 0).numpy()
    rows, columns = amounts.shape[:2]
    canvas = Image.new("L", (columns * cell, rows * cell))
    pen, reach = ImageDraw.Draw(canvas), 0.45 * cell
    for row, column, k in sorted(np.ndindex(amounts.shape), key=lambda place: amounts[place]):  # the strongest on top
        across = math.pi * (k + 0.5) / DIRECTIONS  # an edge runs at right angles to its gradient
        x, y = (column + 0.5) * cell, (row + 0.5) * cell
        dx, dy = -math.sin(across) * reach, math.cos(across) * reach
        pen.line((x - dx, y - dy, x + dx, y + dy), fill=round(255 * amounts[row, column, k]), width=2)
    return np.repeat(np.asarray(canvas)[:, :, None], 3, 2)


def templates(image: Tensor, box: Tensor, exemplar: Tensor, made: Mapping[str, Template], caption: str) -> Picture:
    """The box (4,) of a picture (3, H, W) uint8, its edges (36, rows, columns), and of each template what it wants and
    what it avoids."""
    left, top, right, bottom = (round(place) for place in box.tolist())
    patch = to_pixels(image[None, :, top:bottom, left:right])[0]
    panels = {"the one example": patch, "its edges": strokes(exemplar)}
    for name, one in made.items():
        panels |= {f"{name} wants": strokes(one.weights), f"{name} avoids": strokes(-one.weights)}
    figure = Figure(figsize=(1.9 * len(panels), 2.2), layout="constrained")
    for axes, (name, pixels) in zip(figure.subplots(1, len(panels)), panels.items()):
        _look(axes, pixels, name)
    return Picture(figure, f"{caption}. From left to right: {', '.join(panels)}")


def _look(axes: Axes, pixels: np.ndarray, title: str, **how: object) -> None:
    axes.imshow(pixels, **how)
    axes.set(xticks=[], yticks=[])
    axes.set_title(title, fontsize=10)


def draw_boxes(pixels: np.ndarray, boxes: Tensor, words: Sequence[str], true: Tensor | None = None) -> np.ndarray:
    """Boxes (n, 4) with a word at each on pixels (H, W, 3) uint8, the first ones thicker; the true one dashed."""
    canvas = Image.fromarray(pixels)
    pen, font = ImageDraw.Draw(canvas), ImageFont.load_default(13)
    for i, (box, word) in reversed(list(enumerate(zip(boxes.tolist(), words)))):
        pen.rectangle(box, outline="white", width=5 if i == 0 else 3)
        pen.rectangle(box, outline=_FOUND, width=3 if i == 0 else 1)
        left, top, right, bottom = pen.textbbox((box[0] + 3, box[1] + 2), word, font=font)
        pen.rectangle((left - 2, top - 1, right + 2, bottom + 1), fill="white")
        pen.text((box[0] + 3, box[1] + 2), word, fill="black", font=font)
    if true is not None:
        _dashed(pen, true.tolist())
    return np.asarray(canvas)


def _dashed(pen: ImageDraw.ImageDraw, box: Sequence[float], dash: int = 8) -> None:
    left, top, right, bottom = box
    for x in np.arange(left, right, 2 * dash):
        for y in (top, bottom):
            pen.line((x, y, min(x + dash, right), y), fill=_TRUE, width=3)
    for y in np.arange(top, bottom, 2 * dash):
        for x in (left, right):
            pen.line((x, y, x, min(y + dash, bottom)), fill=_TRUE, width=3)


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


def mark(pixels: np.ndarray, found: Tensor, true: Tensor) -> np.ndarray:
    """On pixels (H, W, 3) uint8 a circle where something was found, (2,) x and y, and a cross where it truly is."""
    canvas = Image.fromarray(pixels)
    pen = ImageDraw.Draw(canvas)
    (x, y), (u, v) = found.tolist(), true.tolist()
    for colour, width in (("white", 5), (_TRUE, 2)):
        pen.line((u - 8, v, u + 8, v), fill=colour, width=width)
        pen.line((u, v - 8, u, v + 8), fill=colour, width=width)
    for colour, width, r in (("white", 5, 11), (_FOUND, 2, 10)):
        pen.ellipse((x - r, y - r, x + r, y + r), outline=colour, width=width)
    return np.asarray(canvas)


def grey_pixels(values: Tensor) -> np.ndarray:
    """Numbers (H, W) as grey pixels (H, W, 3) uint8, from their least to their greatest."""
    low, high = values.min(), values.max()
    grey = ((values - low) / (high - low).clamp(min=1e-12) * 255).round().byte()
    return np.repeat(grey.numpy()[:, :, None], 3, 2)


def planes(frame: Tensor, found: Mapping[str, tuple[Tensor, Peak]], caption: str) -> Picture:
    """A grey frame (H, W), and beside it the correlation plane of each filter with its peak circled."""
    figure = Figure(figsize=(2.6 * (1 + len(found)), 2.8), layout="constrained")
    first, *others = figure.subplots(1, 1 + len(found))
    _look(first, frame.numpy(), "the frame", cmap="gray")
    for axes, (name, (plane, peak)) in zip(others, found.items()):
        _look(axes, plane.numpy(), f"{name}: {peak.sharpness:.0f}", cmap="gray")
        axes.plot(peak.x, peak.y, "o", markersize=14, markerfacecolor="none", markeredgecolor=WRONG, markeredgewidth=2)
    each = "; ".join(f"{name} {p.sharpness:.1f} at ({p.x}, {p.y})" for name, (_, p) in found.items())
    return Picture(figure, f"{caption}. Peak-to-sidelobe ratio and place of the peak: {each}")


def track_errors(tracks: Mapping[str, Track], true: Tensor, caption: str, limit: float = 40) -> Picture:
    """How far each filter was from the true centres (n, 2), frame by frame, in pixels; drawn up to `limit`."""
    figure = Figure(figsize=(8, 2.8), layout="constrained")
    axes, words = figure.subplots(), []
    for (name, track), colour, dash in zip(tracks.items(), _LINES, _DASHES):
        errors = track.errors(true)
        axes.plot(errors.clamp(max=limit).numpy(), color=colour, linestyle=dash, label=name)
        words.append(f"{name} median {errors.median():.1f}, lost by more than 5 in {(errors > 5).float().mean():.0%}")
    axes.set(xlabel="frame", ylabel="error in pixels", ylim=(0, limit * 1.02))
    axes.grid(axis="y", alpha=0.3)
    axes.legend(loc="center left", bbox_to_anchor=(1.01, 0.5), frameon=False)
    return Picture(figure, f"{caption}. Error in pixels: {'; '.join(words)}")


def mining_picture(rounds: Sequence[Round], caption: str) -> Picture:
    """How many new windows of the negatives scored above -1 before each round, and how many it was fitted to."""
    hard, used = [one.hard for one in rounds], [one.used for one in rounds]
    figure = Figure(figsize=(6, 2.6), layout="constrained")
    axes, numbers = figure.subplots(), range(1, len(rounds) + 1)
    axes.plot(numbers, hard, color=_LINES[1], marker="o", label="newly taken for the object, or nearly")
    axes.plot(numbers, used, color=_LINES[0], marker="s", linestyle="--", label="learned from")
    axes.set(yscale="log", xlabel="round", ylabel="windows", xticks=list(numbers))
    axes.legend(frameon=False)
    each = "; ".join(f"round {i}: {h:,} and {u:,}" for i, h, u in zip(numbers, hard, used))
    return Picture(figure, f"{caption}. Windows newly taken for the object, or nearly, and learned from: {each}")


def precision_by_layer(precisions: Mapping[tuple[str, str], Tensor], chance: float, caption: str) -> Picture:
    """Mean average precision by layer, a line a network; by hand, level lines. Bars: a standard error over places.

    precisions: by (who, layer), (p,) each; without a layer for what no network made.
    """
    figure = Figure(figsize=(7.5, 3.6), layout="constrained")
    axes, words = figure.subplots(), []
    for name in dict.fromkeys(who for who, layer in precisions if layer):
        some = [precisions[name, layer] for layer in LAYERS]
        means, errors = ([float(value) for value in each] for each in (map(_mean, some), map(_error, some)))
        axes.errorbar(LAYERS, means, errors, color=COLOURS.get(name), marker=MARKERS.get(name), capsize=3, label=name)
        words.append(f"{name} " + ", ".join(f"{layer} {mean:.2f}" for layer, mean in zip(LAYERS, means)))
    for name, (colour, dash) in _HAND_MADE.items():
        axes.axhline(level := _mean(precisions[name, ""]), color=colour, linestyle=dash, label=name)
        words.append(f"{name} {level:.2f}")
    axes.axhline(chance, color="black", linewidth=1, label="chance")
    axes.set(ylabel="average precision", ylim=(0, 1), title=caption)
    axes.grid(axis="y", alpha=0.3)
    axes.legend(loc="center left", bbox_to_anchor=(1.01, 0.5), frameon=False)
    return Picture(figure, f"{caption}. Mean over places: {'; '.join(words)}; chance {chance:.2f}")


def _mean(values: Tensor) -> float:
    return float(values.mean())


def _error(values: Tensor) -> float:
    return float(values.std() / len(values) ** 0.5)
