"""The grid of methods and images, one choice at a time, its panel, and what others published. Taught in notebook 08."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from typing import Any

import ipywidgets as widgets
import numpy as np

from course_lib.data.sources import GENERATED
from course_lib.networks.alexnet import LAYERS
from course_lib.pictures.charts import chart
from course_lib.pictures.drawing import pixels_of
from course_lib.pictures.panel import Drawn, Panel, panel_over
from course_lib.pretext.method import method_names
from course_lib.support.palette import COLOURS, GREY

_RANGE = (30, 75)  # the accuracies in percent that the picture spans where all lie within


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
    of_one_photograph = row["n"] == 1 and row["source"] not in GENERATED
    return (row.get("left_out") or "nothing") if of_one_photograph else ""


def _content(row: dict[str, Any]) -> str:
    if row["method"] == "random":
        return "untrained"
    if row.get("left_out") or row["n"] != 1:
        return ""
    return row["source"] if row["source"] in GENERATED else "photograph"


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


def grid_panel(rows: Iterable[dict[str, Any]], data: str, method: str, choice: str, layer: str) -> Drawn:
    """One dot per seed, and a stroke at their mean, for every value of a choice; empty where nothing was measured."""
    chosen = [row for row in along(choice, rows, data) if row["layer"] == layer]
    chosen = [row for row in chosen if row["method"] in (method, "random", "supervised")]
    values = {value: [100 * r["accuracy"] for r in chosen if r[choice] == value] for value in CHOICES[choice][1]}
    figure, axes = chart(6.8, 2.7)
    axes.set_yticks(range(len(values)), list(values))
    every = [accuracy for some in values.values() for accuracy in some]
    low, high = min([_RANGE[0], *every]), max([_RANGE[1], *every])
    axes.set(xlabel="accuracy in %", xlim=(low - 1, high + 1), ylim=(len(values) - 0.4, -0.6))
    axes.grid(axis="x", alpha=0.3)
    for i, (name, some) in enumerate(values.items()):
        colour = COLOURS[{"0": "random", "untrained": "random", "labels": "supervised"}.get(name, method)]
        axes.plot(some, [i] * len(some), "o", markerfacecolor="none", markeredgecolor=colour, markersize=7)
        if some:
            axes.plot(np.mean(some), i, "|", color=colour, markersize=16, markeredgewidth=2.5)
        else:
            axes.get_yticklabels()[i].set_color(GREY)
    each = ", ".join(f"{name} {np.mean(some):.1f}" for name, some in values.items() if some)
    return pixels_of(figure), f"{method}, {layer}, probes on {data} in percent by {choice}: {each or 'not measured'}"


def explore_grid(rows: Sequence[dict[str, Any]]) -> Panel:
    """The probe rows of a sweep, one choice at a time: by images, by what was left out, by what the image shows."""
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


SOURCE = "Zhang, Isola and Efros, Split-brain autoencoders, CVPR 2017, table 2"

_IMAGENET = {
    "supervised": (1_281_167, (19.3, 36.3, 44.2, 48.3, 50.5)),
    "random": (0, (11.6, 17.1, 16.9, 16.3, 14.1)),
    "k-means": (None, (17.5, 23.0, 24.5, 23.2, 20.6)),  # how many images it was given, that table does not say
    "bigan": (1_281_167, (17.7, 24.5, 31.0, 29.9, 28.0)),
}


def imagenet_rows() -> list[dict[str, Any]]:
    """Linear probes of AlexNet on ImageNet, 1,000 classes, top-1: `{method, n, data, layer, accuracy}`, shares of 1.

    The four rows of Asano et al.'s first table that they took from `SOURCE`, and that we could check there: training
    with labels, random filters, k-means (Krähenbühl et al. 2016) and BiGAN on all images (Donahue et al. 2017).
    """
    return [
        {"method": method, "n": n, "data": "ImageNet", "layer": layer, "accuracy": accuracy / 100}
        for method, (n, accuracies) in _IMAGENET.items()
        for layer, accuracy in zip(LAYERS, accuracies)
    ]
