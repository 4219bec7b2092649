"""Where layers are, accuracies over four kinds of depth, and a panel of all networks at one depth (notebook 10)."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import ipywidgets as widgets
import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from course_lib.lessons.depths.depth import AXES, LABELS, ONE_IMAGE, RANDOM, Accuracies, Place, curve, read_at
from course_lib.pictures.drawing import Paper
from course_lib.pictures.figures import Picture
from course_lib.pictures.panel import Drawn, Panel, named_slider, panel_over
from course_lib.support.palette import ASIDE, BLACK, GREY, NETWORK_COLOURS, NETWORK_MARKERS

_LINES = {RANDOM: ":", ONE_IMAGE: "-", LABELS: "--"}
_NAMES = 24  # in a row of a panel at most
_ROW = 34  # pixels

Places = Mapping[str, Sequence[Place]]
"""The places of each network's layers, by its name."""


def where_layers_are(places: Places, title: str) -> Picture:
    """Each network's layers on a line, by each of AXES: layers above each other are equally deep by that axis."""
    figure, words = Figure(figsize=(9, 1.1 * len(places) + 3.6), layout="constrained"), []
    for axes, name in zip(figure.subplots(2, 2).flat, AXES):
        groups = {network: _together(of, name) for network, of in places.items()}
        for i, (network, one) in enumerate(groups.items()):
            axes.plot(list(one), [i] * len(one), color=NETWORK_COLOURS[network], marker=NETWORK_MARKERS[network])
            words.append(f"by {name}, {network} ends at {AXES[name].read(list(one)[-1])}")
        axes.margins(x=0.1)
        axes.set(title=f"by {name}", xlabel=AXES[name].words, ylim=(len(places) - 0.5, -0.9))
        for i, one in enumerate(groups.values()):
            _names(axes, one, i)
        axes.set_yticks(range(len(places)), list(places))
        _ticks(axes, name)
    figure.suptitle(title)
    return Picture(figure, f"{title}. Layers above each other are equally deep: {'; '.join(words)}")


def _names(axes: Axes, groups: Mapping[float, Sequence[str]], height: int) -> None:
    """The layers' names above their marks, but for those that would lie on the name before."""
    low, high = axes.get_xlim()
    last = -np.inf
    for depth, layers in groups.items():
        if depth - last > (high - low) / _NAMES:
            place = {"textcoords": "offset points", "fontsize": 8, "rotation": 40}
            axes.annotate(_shortly(layers), (depth, height), (-2, 6), **place)
            last = depth


def _together(of: Sequence[Place], axis: str) -> dict[float, list[str]]:
    """The layers at each depth."""
    found: dict[float, list[str]] = {}
    for place in of:
        found.setdefault(AXES[axis].depth(place), []).append(place.layer)
    return found


def _shortly(layers: Sequence[str]) -> str:
    """Some layers in a row, as in conv3-5."""
    first, last = layers[0], layers[-1]
    if first == last:
        return first
    return f"{first}-{last[-1]}" if first[:-1] == last[:-1] else f"{first}-{last}"


def _ticks(axes: Axes, axis: str) -> None:
    """Ticks in the units of the axis, and not in their logarithms."""
    if axis in ("resolution", "parameters"):
        low, high = axes.get_xlim()
        axes.set_xticks(range(int(np.ceil(low)), int(np.floor(high)) + 1))
        axes.xaxis.set_major_formatter(lambda x, _: AXES[axis].read(x))


def readings(measured: Mapping[str, Accuracies], places: Places, title: str) -> Picture:
    """The same accuracies over each of AXES: RotNet's between its bounds, the untrained network and the labels.

    measured: by network, what trained it, and layer.
    """
    figure, words = Figure(figsize=(11, 3.9), layout="constrained"), []
    panels = figure.subplots(1, len(AXES), sharey=True)
    every = [(network, kind, shares) for network, by_kind in measured.items() for kind, shares in by_kind.items()]
    for axes, name in zip(panels, AXES):
        for network, kind, shares in every:
            depths, values = curve(places[network], shares, name)
            own = kind == ONE_IMAGE
            look = {"marker": NETWORK_MARKERS[network], "markersize": 6 if own else 3, "linewidth": 2 if own else 1}
            look |= {"color": NETWORK_COLOURS[network], "label": f"{network}, {kind}"}
            axes.plot(depths, [100 * value for value in values], _LINES[kind], **look)
        axes.set(title=f"by {name}", xlabel=AXES[name].words)
        axes.grid(axis="y", alpha=0.3)
        _ticks(axes, name)
    for network, kind, shares in every:
        (first, low), *_, (last, high) = shares.items()
        words.append(f"{network} {kind} {100 * low:.0f} at {first} and {100 * high:.0f} at {last}")
    panels[0].set_ylabel("accuracy in %")
    panels[-1].legend(loc="center left", bbox_to_anchor=(1.01, 0.5), frameon=False, fontsize=9)
    figure.suptitle(title)
    return Picture(figure, f"{title}. The same numbers over four kinds of depth; in percent, {'; '.join(words)}")


def place_panel(measured: Mapping[str, Accuracies], places: Places, axis: str, share: float) -> Drawn:
    """All networks at one depth: their layers on lines, a mark at the depth, and a bar for the accuracy there.

    axis: a key of AXES. share: of the way from the least depth of any network to the greatest.
    """
    every = [AXES[axis].depth(place) for of in places.values() for place in of]
    low, high = min(every), max(every)
    depth, half, said = low + share * (high - low), _ROW * len(measured), []
    paper = Paper(640, 2 * half + 84, left=150, right=60)
    paper.stroke(share, 8, half + 14, width=2)
    paper.write(paper.at(0), half + 29, f"{AXES[axis].words}: {AXES[axis].read(depth)}")
    paper.write(paper.at(0), 2 * half + 67, "bar: RotNet, grey: untrained, black: labels", colour=ASIDE)
    for i, (network, by_kind) in enumerate(measured.items()):
        layers = [(AXES[axis].depth(place) - low) / (high - low) for place in places[network]]
        _draw_track(paper, 24 + _ROW * i, network, layers)
        curves = {kind: curve(places[network], shares, axis) for kind, shares in by_kind.items()}
        first, *_, last = curves[ONE_IMAGE][0]
        inside = first - 1e-9 <= depth <= last + 1e-9
        read = {kind: read_at(min(max(depth, first), last), *one) for kind, one in curves.items()} if inside else {}
        _draw_reading(paper, half + 63 + _ROW * i, network, read)
        words = ", ".join(f"{kind} {share:.0%}" for kind, share in read.items())
        said.append(f"{network} {words or 'has no layer here'}")
    return paper.pixels, f"By {axis}, at {AXES[axis].read(depth)} ({AXES[axis].words}): {'; '.join(said)}"


def _draw_track(paper: Paper, y: float, network: str, layers: Sequence[float]) -> None:
    """A network's layers, shares of the whole depth, as dots on its line."""
    colour, xs = NETWORK_COLOURS[network], [paper.at(share) for share in layers]
    paper.name(y, network)
    paper.pen.line((xs[0], y, xs[-1], y), fill=colour, width=3)
    for x in xs:
        paper.pen.ellipse((x - 5, y - 5, x + 5, y + 5), fill=colour, outline="white")


def _draw_reading(paper: Paper, y: float, network: str, read: Mapping[str, float]) -> None:
    """RotNet's accuracy as a bar, with a grey stroke at the untrained network's and a black one at the labels'."""
    paper.name(y, network)
    if not read:
        paper.write(paper.at(0), y, "has no layer here", colour=ASIDE)
        return
    paper.bar(y, read[ONE_IMAGE], NETWORK_COLOURS[network], words_at=max(read.values()))
    for kind, colour in ((RANDOM, GREY), (LABELS, BLACK)):
        paper.stroke(read[kind], y - 14, y + 14, width=3, colour=colour)


def explore_places(measured: Mapping[str, Accuracies], places: Places) -> Panel:
    """Move through probed networks by any measure of depth, and compare them at the same depth."""
    axis = widgets.Dropdown(options=list(AXES), value="stage", description="by", layout={"width": "200px"})
    share = named_slider("depth", 1.0, widgets.FloatSlider, min=0, max=1, step=0.02)
    return panel_over([axis, share], lambda: place_panel(measured, places, axis.value, share.value))
