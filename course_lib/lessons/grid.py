"""The grid of notebook 08, one choice at a time: rows by what they have of it, and the picture that drop-downs move."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from typing import Any

import ipywidgets as widgets
import numpy as np
from PIL import Image, ImageDraw, ImageFont

from course_lib.data.sources import GENERATED
from course_lib.networks.alexnet import LAYERS
from course_lib.pictures.figures import COLOURS
from course_lib.pictures.panel import Panel, panel_over
from course_lib.pretext.method import method_names

_WIDE, _ROW, _LEFT, _ROWS = 680, 34, 130, 7  # pixels, and how many rows there is room for
_RANGE = (0.3, 0.75)  # the accuracies that the picture spans where all lie within


def _images(row: dict[str, Any]) -> str:
    if row["method"] == "random":
        return "0"
    if row["method"] == "supervised":
        return "labels" if row["source"] == row["data"] else ""
    if row.get("left_out") or row["source"] in GENERATED:
        return ""
    return "all" if row["source"] == row["data"] else f"{row['n']:,}"


def _left_out(row: dict[str, Any]) -> str:
    if row["method"] == "random":
        return "untrained"
    return (row.get("left_out") or "nothing") if _of_one_photograph(row) else ""


def _content(row: dict[str, Any]) -> str:
    if row["method"] == "random":
        return "untrained"
    if row.get("left_out") or row["n"] != 1:
        return ""
    return row["source"] if row["source"] in GENERATED else "photograph"


def _of_one_photograph(row: dict[str, Any]) -> bool:
    return row["n"] == 1 and row["source"] not in GENERATED


CHOICES: dict[str, tuple[Callable[[dict[str, Any]], str], tuple[str, ...]]] = {
    "images": (_images, ("0", "1", "10", "1,000", "all", "labels")),
    "left out": (_left_out, ("nothing", "flip", "colour", "rotation", "crop", "all", "untrained")),
    "content": (_content, ("photograph", "dead_leaves", "noise", "flat", "untrained")),
}
"""For each choice: which of its values a probe row has, an empty text for none, and the values in order."""


def along(choice: str, rows: Iterable[dict[str, Any]], data: str) -> list[dict[str, Any]]:
    """The probe rows on one labelled set that differ in one choice only, each with its value under the choice's name.

    choice: "images", "left out" or "content". Where two rows measured the same thing with the same seed, the last
    counts.
    """
    value_of, values = CHOICES[choice]
    found = {}
    for row in rows:
        if row["data"] == data and (value := value_of(row)) in values:
            found[row["method"], value, row["layer"], row["seed"]] = row | {choice: value}
    return list(found.values())


def grid_panel(
    rows: Iterable[dict[str, Any]], data: str, method: str, choice: str, layer: str
) -> tuple[np.ndarray, str]:
    """One dot a seed, and a stroke at their mean, for every value of a choice: pixels (height, width, 3) uint8, and
    words. What has not been measured stays empty."""
    chosen = [row for row in along(choice, rows, data) if row["layer"] == layer]
    chosen = [row for row in chosen if row["method"] in (method, "random", "supervised")]
    values = {value: [r["accuracy"] for r in chosen if r[choice] == value] for value in CHOICES[choice][1]}
    canvas = Image.new("RGB", (_WIDE, _ROW * _ROWS + 30), "white")
    pen, font = ImageDraw.Draw(canvas), ImageFont.load_default(13)
    every = [value for some in values.values() for value in some]
    low, high = min([_RANGE[0], *every]), max([_RANGE[1], *every])
    _scale(pen, font, low, high)
    for i, (name, some) in enumerate(values.items()):
        colour = COLOURS[{"0": "random", "untrained": "random", "labels": "supervised"}.get(name, method)]
        _dots(pen, font, 10 + _ROW * i, name, [_across(value, low, high) for value in some], colour)
    each = ", ".join(f"{name} {100 * np.mean(some):.1f}" for name, some in values.items() if some)
    return np.asarray(canvas), f"{method}, {layer}, probes on {data} in percent by {choice}: {each or 'not measured'}"


def _across(value: float, low: float, high: float) -> float:
    return _LEFT + (_WIDE - _LEFT - 60) * (value - low) / (high - low)


def _scale(pen: ImageDraw.ImageDraw, font: Any, low: float, high: float) -> None:
    """A light line at every tenth, with its percent below."""
    for tenth in range(11):
        if low <= tenth / 10 <= high:
            x, bottom = _across(tenth / 10, low, high), _ROW * _ROWS + 4
            pen.line((x, 0, x, bottom), fill="#dddddd", width=1)
            pen.text((x, bottom + 4), f"{10 * tenth}%", fill="black", font=font, anchor="ma")


def _dots(pen: ImageDraw.ImageDraw, font: Any, top: int, name: str, places: list[float], colour: str) -> None:
    pen.text((_LEFT - 14, top + 4), name, fill="black" if places else "#999999", font=font, anchor="ra")
    for x in places:
        pen.ellipse((x - 5, top + 6, x + 5, top + 16), outline=colour, width=2)
    if places:
        mean = sum(places) / len(places)
        pen.line((mean, top, mean, top + 22), fill=colour, width=3)


def explore_grid(rows: Sequence[dict[str, Any]]) -> Panel:
    """The probe rows of a sweep, one choice at a time: by images, by what was left out, by what the image held."""
    sets = list(dict.fromkeys(row["data"] for row in rows))
    methods = [name for name in method_names() if name in {row["method"] for row in rows} - {"supervised"}]
    options = {"probes on": sets, "method": methods, "choice": list(CHOICES), "layer": list(LAYERS)}
    data, method, choice, layer = (
        widgets.Dropdown(options=some, description=name, layout={"width": "240px"}) for name, some in options.items()
    )
    layer.value = "conv2"
    return panel_over(
        [data, method, choice, layer], lambda: grid_panel(rows, data.value, method.value, choice.value, layer.value)
    )
