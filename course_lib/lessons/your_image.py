"""A photograph of one's own: what is in it, how networks compare, and a page about it. Taught in notebook 13."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from datetime import datetime
from pathlib import Path
from typing import NamedTuple

import pandas as pd
import torch
from torch import Tensor

from course_lib.evidence.intervals import Accuracies, as_table
from course_lib.evidence.results import load_reference, load_reference_table
from course_lib.pictures.charts import chart
from course_lib.pictures.figures import Picture
from course_lib.profiles import Course
from course_lib.support.files import fill_template, runs_folder, write_file
from course_lib.support.machine import describe_machine
from course_lib.support.palette import COLOURS


def neighbours(grey: Tensor) -> float:
    """Pearson's correlation of each pixel with the one to its right, in a picture (H, W).

    Near 1 in photographs, near 0 in white noise; 0 by definition in a picture of one brightness, which has no variance.
    Taught in notebook 13.
    """
    pairs = torch.stack([grey[:, :-1].flatten(), grey[:, 1:].flatten()]).double()
    spreads = pairs.std(1)
    if not spreads.min() > 0:
        return 0.0
    return float(pairs.corrcoef()[0, 1])


def brier(sure: Sequence[float], right: Sequence[bool]) -> float:
    """The mean of (sure - right)^2: the confidence in each prediction, a share of 1, and 1 for right (Brier 1950).

    0 is perfect, 1 always sure and always wrong. Raises ValueError for no prediction at all. Taught in notebook 13.
    """
    if not sure:
        raise ValueError("a score needs at least one prediction, got none")
    return sum((one - came) ** 2 for one, came in zip(sure, right, strict=True)) / len(sure)


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
    figure, axes = chart(7.5, 0.42 * len(known) + 1.3)
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


class Section(NamedTuple):
    """A part of the page: a heading, a sentence or two, pictures with their captions, and a table if there is one."""

    heading: str
    words: str
    pictures: Sequence[Picture] = ()
    table: pd.DataFrame | None = None


def page_html(title: str, sections: Sequence[Section], course: Course) -> str:
    """The page as HTML that asks for no other file; whatever is in a name stays text."""
    return fill_template(
        "lessons/your_image.html.j2",
        title=title,
        sections=sections,
        profile=course.profile.name,
        seed=course.seed,
        date=datetime.now().strftime("%d %B %Y, %H:%M"),
        machine=describe_machine(),
    )


def save_page(name: str, html: str) -> Path:
    """Write a page to `pages/` of the runs, as a file named after the photograph; CourseError for a full disk."""
    return write_file(runs_folder("pages") / f"{plain_name(name)}.html", html)


def plain_name(name: str) -> str:
    """A name that every file system takes: letters, digits, dots and dashes, at most 60 of them."""
    return re.sub(r"[^\w.-]+", "-", name).strip("-.")[:60] or "photograph"
