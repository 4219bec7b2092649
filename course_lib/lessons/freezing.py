"""Accuracy over the depth that is frozen, the panel of one depth, and three examinations side by side (notebook 07)."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from itertools import combinations
from typing import Any

import ipywidgets as widgets
import numpy as np
import pandas as pd
from matplotlib.figure import Figure

from course_lib.networks.alexnet import LAYERS
from course_lib.pictures.charts import chart, legend_beside
from course_lib.pictures.drawing import Paper
from course_lib.pictures.figures import Picture
from course_lib.pictures.panel import Drawn, Panel, named_slider, panel_over
from course_lib.probes.transfer import describe_depth
from course_lib.support.palette import ASIDE, FROZEN, colours_of, marker_of

_ROW, _TOP = 30, 96  # pixels


def accuracy_by_depth(rows: Sequence[dict[str, Any]], title: str) -> Picture:
    """Accuracy over the depth that is frozen, one line per network; all begin where nothing is. Bars: 95 % intervals.

    rows: as `course_lib.evidence.results.retrained_row` makes them; of several seeds the mean is drawn. Rows of
    fine-tuning are left out. Scattering has one depth, and so a mark of its own.
    """
    (figure, axes), words = chart(7.5, 4.2), []
    lines = _curves(rows)
    colours = colours_of(lines)
    for i, (name, curve) in enumerate(lines.items()):
        alone = len(curve) == 1
        axes.errorbar(
            curve.index + 0.06 * (i - (len(lines) - 1) / 2),  # so that intervals do not lie on each other
            100 * curve["accuracy"],
            100 * np.stack([curve["accuracy"] - curve["low"], curve["high"] - curve["accuracy"]]),
            color=colours[name],
            marker=marker_of(name),
            markersize=13 if alone else 6,
            linestyle="none" if alone else "-",
            elinewidth=1,
            label=name,
        )
        words.append(f"{name} " + ", ".join(f"{100 * row.accuracy:.0f} at {row.Index}" for row in curve.itertuples()))
    axes.set(title=title, ylabel="accuracy in %", xlabel="layers that are frozen", xticks=range(len(LAYERS) + 1))
    axes.set_xticklabels(["none", *(f"conv1-{layer[-1]}" if i else layer for i, layer in enumerate(LAYERS))])
    legend_beside(axes)
    return Picture(figure, f"{title}. Accuracy in percent over the number of frozen layers: {'; '.join(words)}")


def _curves(rows: Sequence[dict[str, Any]]) -> dict[str, pd.DataFrame]:
    """For each network accuracy, low and high by depth; that with nothing frozen belongs to all but scattering."""
    table = pd.DataFrame([row for row in rows if row["measure"] == describe_depth(row["depth"])])
    means = table.groupby(["method", "depth"], sort=False)[["accuracy", "low", "high"]].mean()
    common = means.loc[["none"]].droplevel(0) if "none" in means.index else means.iloc[:0].droplevel(0)
    names = [name for name in dict.fromkeys(table["method"]) if name != "none"]
    own = {name: means.loc[name] for name in names}
    return {name: curve if name == "scattering" else pd.concat([common, curve]) for name, curve in own.items()}


def depth_panel(rows: Sequence[dict[str, Any]], depth: int) -> Drawn:
    """The network as blocks, the frozen ones marked, and a bar for each network at this depth."""
    curves, said = _curves(rows), []
    colours = colours_of(curves)
    paper = Paper(640, _TOP + _ROW * len(curves) + 12)
    _draw_blocks(paper, depth)
    for i, (name, curve) in enumerate(curves.items()):
        middle = _TOP + _ROW * i + 11
        paper.name(middle, name)
        if depth not in curve.index:
            paper.write(paper.at(0), middle, "only in place of conv1 and conv2", colour=ASIDE)
            continue
        share = curve.loc[depth, "accuracy"]
        paper.bar(middle, share, colours[name])
        said.append(f"{name} {share:.0%}")
    return paper.pixels, f"{describe_depth(depth).capitalize()}, the rest trained with labels: {', '.join(said)}"


def _draw_blocks(paper: Paper, depth: int) -> None:
    """conv1 to conv5 and the head in a row; the frozen ones in another colour, with another word and a double frame."""
    wide, step = 84, 100
    paper.pen.line((24, 38, 24 + step * len(LAYERS), 38), fill="black", width=2)
    for i, name in enumerate((*LAYERS, "head")):
        x, frozen = 24 + i * step, i < depth
        paper.pen.rectangle((x, 14, x + wide, 62), fill=FROZEN if frozen else "white", outline="black")
        if frozen:
            paper.pen.rectangle((x + 3, 17, x + wide - 3, 59), outline="black")
        paper.write(x + wide / 2, 22, name, "ma")
        paper.write(x + wide / 2, 40, "frozen" if frozen else "trained", "ma")


def three_exams(shares: Mapping[str, Mapping[str, Mapping[str, float]]], title: str) -> Picture:
    """Several examinations of the same networks side by side, one panel per layer: where lines cross, they disagree.

    shares: for each layer, for each network, accuracies as shares of 1 by the examination's name.
    """
    figure = Figure(figsize=(9, 4), layout="constrained")
    panels, words = figure.subplots(1, len(shares), sharey=True, squeeze=False)[0], []
    colours = colours_of(name for networks in shares.values() for name in networks)
    for axes, (layer, networks) in zip(panels, shares.items()):
        for name, exams in networks.items():
            heights = [100 * share for share in exams.values()]
            axes.plot(list(exams), heights, color=colours[name], marker=marker_of(name), markersize=7, label=name)
            words.append(f"{layer} of {name} " + ", ".join(f"{e} {h:.0f}" for e, h in zip(exams, heights)))
        axes.set(title=f"layers up to {layer}")
        axes.grid(axis="y", alpha=0.3)
        axes.margins(x=0.12)
    panels[0].set_ylabel("accuracy in %")
    panels[-1].legend(loc="center left", bbox_to_anchor=(1.01, 0.5), frameon=False)
    figure.suptitle(title)
    return Picture(figure, f"{title}. Accuracies in percent: {'; '.join(words)}")


def explore_depth(rows: Sequence[dict[str, Any]]) -> Panel:
    """Choose how deep the network is frozen, and see each network's accuracy at that depth."""
    depth = named_slider("depth", 2, widgets.IntSlider, min=0, max=len(LAYERS))
    return panel_over([depth], lambda: depth_panel(rows, depth.value))


def same_order(one: Sequence[float], other: Sequence[float]) -> float:
    """Of all pairs of networks, the share that two lists of their accuracies put in the same order.

    1: the same ranking; 0: the reverse; a pair that is level in one of the lists counts half. It is (1 + tau) / 2 with
    Kendall's tau. Raises ValueError for lists of different lengths, or of fewer than two.
    """
    if len(one) != len(other) or len(one) < 2:
        raise ValueError(f"two lists of the same length, at least 2, are needed; got {len(one)} and {len(other)}")
    pairs = list(combinations(range(len(one)), 2))
    signs = [(one[i] - one[j]) * (other[i] - other[j]) for i, j in pairs]
    return sum(1.0 if sign > 0 else 0.5 if sign == 0 else 0.0 for sign in signs) / len(pairs)
