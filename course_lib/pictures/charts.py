"""Numbers as pictures: a training as it stands, accuracies by layer and by choice, intervals, histograms."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from torch import Tensor

from course_lib.pictures.figures import Picture, draw_row, filter_pixels, tile
from course_lib.pretext.method import Shown
from course_lib.support.palette import BLACK, COLOURS, GREY, MARKERS, RIGHT, WRONG, colours_of, in_order, marker_of


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
        axes.plot(np.arange(1, len(values) + 1), values.numpy(), color=COLOURS.get(title, BLACK), linewidth=1)
        axes.set(xlabel="step", title=f"{title}: {name}", xlim=(0, steps))
    left.set_ylim(bottom=0)
    middle.set_ylim(0, 1.02)
    right.imshow(tile(filter_pixels(filters), 8, scale=6), interpolation="nearest")
    right.set(title="filters of conv1", xticks=[], yticks=[])
    if shown:
        for axes, images, name in zip(below[0].subplots(rows, 1).flat, shown.images.split(shown.columns), shown.rows):
            draw_row(axes, images, name)
    last = f"loss {loss[-10:].mean():.2f}, accuracy {accuracy[-10:].mean():.2f}" if len(loss) else "not begun"
    words = f"{title} at step {len(loss)} of {steps}: {last}; right, the filters of conv1"
    doing = f"; below, what it does by now: {', '.join(shown.rows)}" if shown else ""
    return Picture(figure, words + doing + (f". {pace}" if pace else ""))


def chart(width: float, height: float) -> tuple[Figure, Axes]:
    """A figure of so many inches with one chart."""
    figure = Figure(figsize=(width, height), layout="constrained")
    return figure, figure.subplots()


def legend_beside(axes: Axes) -> None:
    """Faint lines to read heights by, and a legend to the right of the chart, where it hides nothing."""
    axes.grid(axis="y", alpha=0.3)
    axes.legend(loc="center left", bbox_to_anchor=(1.01, 0.5), frameon=False)


def bar_chart(values: dict[str, float], caption: str, level: float, words: str, method: str = "rotnet") -> Picture:
    """Shares of 1 as bars under their names, with a dashed line at `level`, which is called `words`.

    method: whose colour the bars have.
    """
    figure, axes = chart(7, 0.5 * len(values) + 0.8)
    axes.barh(list(values), list(values.values()), color=COLOURS[method])
    plain = {"bbox": {"facecolor": "white", "edgecolor": "none", "pad": 1}, "zorder": 3}  # the line passes behind words
    axes.axvline(level, color="black", linestyle="--", linewidth=1)
    axes.bar_label(axes.containers[0], fmt="%.2f", padding=3, **plain)
    axes.text(level, -0.55, words, ha="left" if level < 0.1 else "center", fontsize=9, **plain)
    axes.set(xlim=(0, 1), ylim=(len(values) - 0.4, -0.8))  # the first on top
    each = ", ".join(f"{name} {value:.2f}" for name, value in values.items())
    return Picture(figure, f"{caption}: {each}; the line is {words}, {level:.2f}")


def accuracy_by_layer(rows: Sequence[dict], title: str, what: str = "accuracy") -> Picture:
    """Probe accuracy over the layers, one line per method; a band shows one standard deviation over seeds.

    rows: with method, layer, accuracy (a share of 1) and, of several, seed. what: another key with a share of 1, to be
    drawn in its place.
    """
    import seaborn as sns

    table, height = _in_percent(rows, what), f"{what} in %"
    methods = in_order(table["method"])
    figure, axes = chart(7, 4)
    sns.lineplot(
        table,
        x="layer",
        y=height,
        hue="method",
        hue_order=methods,
        style="method",
        style_order=methods,
        palette=colours_of(methods),
        markers={method: marker_of(method) for method in methods},
        dashes=False,
        errorbar="sd",
        ax=axes,
    )
    _finish(axes, title)
    means = table.groupby(["method", "layer"])[height].mean()
    words = "; ".join(f"{method} {_from_first_to_last(means[method])}" for method in methods)
    return Picture(figure, f"{title}. {what.capitalize()} in percent, {words}")


def _in_percent(rows: Sequence[dict], what: str) -> Any:
    """The rows as a table with one more column, that share in percent."""
    import pandas as pd

    return pd.DataFrame(list(rows)).assign(**{f"{what} in %": lambda table: 100 * table[what]})


def _finish(axes: Axes, title: str) -> None:
    import seaborn as sns

    sns.move_legend(axes, "upper left", bbox_to_anchor=(1, 1), title=None, frameon=False)  # so that it hides no line
    axes.set(title=title, xlabel="")
    axes.grid(axis="y", alpha=0.3)


def _from_first_to_last(by_layer: Any) -> str:
    """The ends of a series by layer in words; one of them where there is one."""
    ends = list(dict.fromkeys((by_layer.index[0], by_layer.index[-1])))
    return " and ".join(f"{by_layer[layer]:.0f} at {layer}" for layer in ends)


def accuracy_by_choice(rows: Sequence[dict], choice: str, order: Sequence[str], title: str) -> Picture:
    """Probe accuracy over the values of a choice, one marker per method; a bar shows one standard deviation over seeds.

    rows: with method, accuracy (a share of 1) and `choice`, whose values stand along the axis in this order.
    """
    import seaborn as sns

    table = _in_percent(rows, "accuracy")
    methods = [method for method in COLOURS if method in set(table["method"])]
    figure, axes = chart(7, 3.4)
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
    _finish(axes, title)
    means = table.groupby(["method", choice])["accuracy in %"].mean()
    words = "; ".join(
        f"{m}: " + ", ".join(f"{value} {means[m][value]:.1f}" for value in order if value in means[m]) for m in methods
    )
    return Picture(figure, f"{title}. Mean over seeds in percent, {words}")


def calibration_picture(sure: Sequence[float], right: Sequence[bool], few: int) -> Picture:
    """How sure somebody was of each answer, a share of 1, and the share that was right among answers about as sure.

    few: below so many answers, the caption says that they tell little.
    """
    figure, axes = chart(4.6, 4.2)
    axes.plot([0, 1], [0, 1], color="black", linestyle="--", linewidth=1)
    axes.set(xlabel="how sure you were", ylabel="share that was right", xlim=(0.2, 1.03), ylim=(-0.03, 1.03))
    groups = [[(s, r) for s, r in zip(sure, right) if min(4, int(5 * s)) == fifth] for fifth in range(5)]
    shares = [(*np.mean(group, 0), len(group)) for group in groups if group]
    for place, share, count in shares:
        axes.plot(place, share, "o", color=COLOURS["rotnet"], markersize=6 + 2 * min(count, 10))
        axes.annotate(str(count), (place, share), textcoords="offset points", xytext=(14, -4))
    each = "; ".join(f"about {place:.0%} sure, {share:.0%} of {count}" for place, share, count in shares)
    warning = f" {len(sure)} predictions are few: read no more into this than that." if len(sure) < few else ""
    words = f"How sure you were, and the share that was right, of {len(sure)} predictions{': ' + each if each else ''}."
    return Picture(figure, f"{words}{warning} On the dashed line the two agree.")


def forest(differences: Sequence[dict], bound: float, title: str) -> Picture:
    """Intervals of differences in points, one row each, with a dashed line at the bound that they are compared with.

    differences: with what, mean, low, high and verdict, as `course_lib.evidence.claims` gives them.
    """
    marks = {"holds": (RIGHT, "o"), "fails": (WRONG, "X"), "undecided": (GREY, "s")}
    figure, axes = chart(8, 0.34 * len(differences) + 1.1)
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
