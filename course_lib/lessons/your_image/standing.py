"""Where a network's accuracy stands among those of the same method on pictures that were measured before.

Taught in notebook 13.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from matplotlib.figure import Figure

from course_lib.evidence.intervals import Accuracies, as_table
from course_lib.evidence.results import load_reference, load_reference_table
from course_lib.pictures.figures import Picture
from course_lib.support.palette import COLOURS


def known_accuracies(method: str, layer: str, data: str, profile: str) -> dict[str, list[float]]:
    """What our own runs of a profile measured with `method` on single pictures, and the untrained network's, looked.

    Accuracies in percent, one for each seed, by the name of the picture; the worst on average first. Empty where none
    was made yet.
    """
    reference = load_reference(profile) or {"probes": []}
    rows = [*reference["probes"], *load_reference_table(profile)]
    if not rows:
        return {}
    at = Accuracies(as_table(rows), data)
    found = {"untrained": at.random(layer, looked=True)} | at.single_pictures(method, layer)
    measured = {name: by_seed for name, by_seed in found.items() if len(by_seed)}
    return {name: measured[name].tolist() for name in sorted(measured, key=lambda name: measured[name].mean())}


def beaten(mine: float, names: Sequence[str], accuracies: Sequence[Sequence[float]]) -> list[str]:
    """The pictures that an accuracy is above with every one of their seeds, in the order given. Taught in notebook 13.

    names: of the pictures. accuracies: of each, one for each seed. Two pictures that teach the same would pass it one
    time in (seeds + 1), by chance alone.
    """
    return [name for name, by_seed in zip(names, accuracies, strict=True) if mine > max(by_seed)]


def standing_picture(mine: float, known: Mapping[str, Sequence[float]], name: str, title: str) -> Picture:
    """The accuracies of known pictures, a row each and a dot for each seed; `mine` is a line that is called `name`."""
    figure = Figure(figsize=(7.5, 0.42 * len(known) + 1.3), layout="constrained")
    axes = figure.subplots()
    axes.axvline(mine, color=COLOURS["deepcluster"], linewidth=2)
    label = {"ha": "center", "color": COLOURS["deepcluster"], "backgroundcolor": "white"}
    axes.text(mine, -0.75, f"{name}, {mine:.1f}", **label)
    for row, accuracies in enumerate(known.values()):
        axes.plot(accuracies, [row] * len(accuracies), "o", color=COLOURS["rotnet"], markersize=8, alpha=0.7)
    axes.set_yticks(range(len(known)), list(known))
    axes.set(xlabel="accuracy in %", ylim=(len(known) - 0.4, -1.3))  # the first on top
    axes.grid(axis="x", alpha=0.3)
    each = "; ".join(f"{one} {', '.join(f'{a:.1f}' for a in accuracies)}" for one, accuracies in known.items())
    return Picture(figure, f"{title}: {name} {mine:.1f} percent, the line; a dot for each seed of {each}")
