"""How a network's accuracy compares with those of the same method on pictures that were measured before.

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
    """What our own runs of a profile measured with `method` on single pictures, and with the untrained network.

    Accuracies in percent, one for each seed, by the name of the picture; the worst on average first. Empty where there
    is none yet.
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
    """The pictures all of whose seeds are below an accuracy, in the order given. Taught in notebook 13.

    names: of the pictures. accuracies: of each, one for each seed. A picture that teaches as much as another would pass
    one time in (seeds + 1), by chance alone.
    """
    return [name for name, by_seed in zip(names, accuracies, strict=True) if mine > max(by_seed)]


def standing_picture(mine: float, known: Mapping[str, Sequence[float]], name: str, title: str) -> Picture:
    """The accuracies of known pictures, one row each and one dot per seed; `mine` is a line labelled `name`."""
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
