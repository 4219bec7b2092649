"""The pictures of notebook 07: accuracy over the depth that is frozen, and beside probes and fine-tuning."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import ipywidgets as widgets
import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from PIL import Image, ImageDraw, ImageFont

from course_lib.networks.alexnet import LAYERS
from course_lib.pictures.figures import COLOURS, MARKERS, Picture
from course_lib.pictures.panel import Panel, named_slider, panel_over
from course_lib.probes.transfer import describe_depth

_COLOURS = COLOURS | {"random, looked": COLOURS["random"], "rotnet, all": "#56B4E9", "scattering": "#E69F00"}
_MARKERS = MARKERS | {"random, looked": MARKERS["random"], "rotnet, all": "X", "scattering": "*"}
_OTHER = "#CC79A7"  # a network of the reader's own

_WIDE, _ROW, _TOP = 640, 30, 96  # pixels
_FROZEN, _TRAINED = "#BFE3F5", "#FFFFFF"


def accuracy_by_depth(rows: Sequence[dict[str, Any]], title: str) -> Picture:
    """Accuracy over the depth that is frozen, one line a network; all begin where nothing is. Bars: 95 % intervals.

    rows: as `course_lib.evidence.results.retrained_row` makes them; of several seeds the mean is drawn. Rows of
    fine-tuning are left out. Scattering has one depth, and so a mark of its own.
    """
    figure = Figure(figsize=(7.5, 4.2), layout="constrained")
    axes, words = figure.subplots(), []
    lines = _curves(rows)
    for i, (name, curve) in enumerate(lines.items()):
        shift = 0.06 * (i - (len(lines) - 1) / 2)  # so that intervals do not lie on each other
        _curve(axes, name, curve, shift)
        words.append(f"{name} " + ", ".join(f"{100 * row.accuracy:.0f} at {row.Index}" for row in curve.itertuples()))
    axes.set(title=title, ylabel="accuracy in %", xlabel="layers that are frozen", xticks=range(len(LAYERS) + 1))
    axes.set_xticklabels(["none", *(f"conv1-{layer[-1]}" if i else layer for i, layer in enumerate(LAYERS))])
    axes.grid(axis="y", alpha=0.3)
    axes.legend(loc="center left", bbox_to_anchor=(1.01, 0.5), frameon=False)
    return Picture(figure, f"{title}. Accuracy in percent over the number of frozen layers: {'; '.join(words)}")


def _curve(axes: Axes, name: str, curve: pd.DataFrame, shift: float) -> None:
    colour, marker = _COLOURS.get(name, _OTHER), _MARKERS.get(name, "P")
    alone = len(curve) == 1
    heights = 100 * curve["accuracy"]
    reach = 100 * np.stack([curve["accuracy"] - curve["low"], curve["high"] - curve["accuracy"]])
    axes.errorbar(
        curve.index + shift,
        heights,
        reach,
        color=colour,
        marker=marker,
        markersize=13 if alone else 6,
        linestyle="none" if alone else "-",
        elinewidth=1,
        label=name,
    )


def _curves(rows: Sequence[dict[str, Any]]) -> dict[str, pd.DataFrame]:
    """For each network accuracy, low and high by depth; that with nothing frozen belongs to all but scattering."""
    table = pd.DataFrame([row for row in rows if row["measure"] == describe_depth(row["depth"])])
    means = table.groupby(["method", "depth"], sort=False)[["accuracy", "low", "high"]].mean()
    common = means.loc[["none"]].droplevel(0) if "none" in means.index else means.iloc[:0].droplevel(0)
    names = [name for name in dict.fromkeys(table["method"]) if name != "none"]
    own = {name: means.loc[name] for name in names}
    return {name: curve if name == "scattering" else pd.concat([common, curve]) for name, curve in own.items()}


def depth_panel(rows: Sequence[dict[str, Any]], depth: int) -> tuple[np.ndarray, str]:
    """The network as blocks, the frozen ones marked, and a bar for each network at this depth.

    Pixels (height, width, 3) uint8, of one size for every depth, and words.
    """
    curves = _curves(rows)
    canvas = Image.new("RGB", (_WIDE, _TOP + _ROW * len(curves) + 12), "white")
    pen, font = ImageDraw.Draw(canvas), ImageFont.load_default(13)
    _blocks(pen, font, depth)
    said, left, width = [], 170, _WIDE - 250
    for i, (name, curve) in enumerate(curves.items()):
        top = _TOP + _ROW * i
        pen.text((left - 8, top + 3), name, fill="black", font=font, anchor="ra")
        if depth not in curve.index:
            pen.text((left, top + 3), "only in place of conv1 and conv2", fill="#777777", font=font)
            continue
        share = curve.loc[depth, "accuracy"]
        pen.rectangle((left, top, left + width * share, top + _ROW - 8), fill=_COLOURS.get(name, _OTHER))
        pen.text((left + width * share + 6, top + 3), f"{share:.0%}", fill="black", font=font)
        said.append(f"{name} {share:.0%}")
    return np.asarray(canvas), f"{describe_depth(depth).capitalize()}, the rest trained with labels: {', '.join(said)}"


def _blocks(pen: ImageDraw.ImageDraw, font: Any, depth: int) -> None:
    """conv1 to conv5 and the head in a row; the frozen ones in another colour, with another word and a double frame."""
    wide, step = 84, 100
    for i, name in enumerate((*LAYERS, "head")):
        x, frozen = 24 + i * step, i < depth
        pen.rectangle((x, 14, x + wide, 62), fill=_FROZEN if frozen else _TRAINED, outline="black")
        if frozen:
            pen.rectangle((x + 3, 17, x + wide - 3, 59), outline="black")
        pen.text((x + wide / 2, 22), name, fill="black", font=font, anchor="ma")
        pen.text((x + wide / 2, 40), "frozen" if frozen else "trained", fill="black", font=font, anchor="ma")
        if i < len(LAYERS):
            pen.line((x + wide, 38, x + step, 38), fill="black", width=2)


def three_exams(shares: Mapping[str, Mapping[str, Mapping[str, float]]], title: str) -> Picture:
    """Several examinations of the same networks side by side, one panel a layer: where lines cross, they disagree.

    shares: for each layer, for each network, accuracies as shares of 1 by the examination's name.
    """
    figure = Figure(figsize=(9, 4), layout="constrained")
    panels, words = figure.subplots(1, len(shares), sharey=True, squeeze=False)[0], []
    for axes, (layer, networks) in zip(panels, shares.items()):
        for name, exams in networks.items():
            colour, marker = _COLOURS.get(name, _OTHER), _MARKERS.get(name, "P")
            heights = [100 * share for share in exams.values()]
            axes.plot(list(exams), heights, color=colour, marker=marker, markersize=7, label=name)
            words.append(f"{layer} of {name} " + ", ".join(f"{e} {h:.0f}" for e, h in zip(exams, heights)))
        axes.set(title=f"layers up to {layer}")
        axes.grid(axis="y", alpha=0.3)
        axes.margins(x=0.12)
    panels[0].set_ylabel("accuracy in %")
    panels[-1].legend(loc="center left", bbox_to_anchor=(1.01, 0.5), frameon=False)
    figure.suptitle(title)
    return Picture(figure, f"{title}. Accuracies in percent: {'; '.join(words)}")


def explore_depth(rows: Sequence[dict[str, Any]]) -> Panel:
    """Choose how deep the network is frozen, and see what became of each at that depth."""
    depth = named_slider("depth", 2, widgets.IntSlider, min=0, max=len(LAYERS))
    return panel_over([depth], lambda: depth_panel(rows, depth.value))
