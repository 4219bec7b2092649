"""Films of first layers, taken from finished trainings and kept in one small file that travels with the course."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from dataclasses import asdict, replace
from pathlib import Path

import torch
from safetensors import safe_open
from safetensors.torch import save

from course_lib.data.crops import CropScheme
from course_lib.evidence.films import Film, place_of
from course_lib.support.files import write_file

KEPT = 12
"""Frames of a film that are kept: the first, the last, and some between, in half precision, so that twenty films stay
below 1.5 MB at `quick`."""


def keep_films(files: Iterable[Path], profile: str) -> dict[str, Film]:
    """The films in finished trainings (`course_lib.training.trained`) at a profile, shortened, by their keys.

    Trainings with other augmentations than the course's are left out. Of several with one key, that of the least seed
    is kept, and of these the longest.
    """
    found = [one for path in sorted(files) if (one := _film_of(path, profile))]
    first: dict[str, Film] = {}
    for _, film in sorted(found, key=lambda one: (one[0], -int(one[1].steps[-1]))):
        first.setdefault(film.key, _shortened(film))
    return {film.key: film for film in sorted(first.values(), key=place_of)}


def save_films(films: Mapping[str, Film], path: Path) -> Path:
    """Write films into one file: frames in float16 under their keys, and all their steps as JSON beside them.

    Raises CourseError where the disk is full or the folder cannot be written to.
    """
    frames = {key: film.frames.half().contiguous() for key, film in films.items()}
    steps = {key: film.steps.tolist() for key, film in films.items()}
    return write_file(path, save(frames, {"steps": json.dumps(steps)}))


def _film_of(path: Path, profile: str) -> tuple[int, Film] | None:
    """A training's seed and its film; None where the training is not of those that are kept: with the paper's whole
    scheme, and of an AlexNet, since filters of other sizes cannot be held against each other."""
    with safe_open(path, "pt") as file:
        facts = json.loads(file.metadata()["facts"])
        data = facts["data"]
        whole = data.get("scheme") in (None, asdict(CropScheme()))
        network = facts["profile"].get("network", "alexnet")  # older trainings do not say it, and had no choice
        if facts["profile"]["name"] != profile or network != "alexnet" or not whole:
            return None
        source = data["source"] if "source" in data else data["name"]
        frames, steps = file.get_tensor("history.film"), file.get_tensor("history.film_steps")
    return facts["seed"], Film(facts["method"], data["n"], source, frames, steps)


def _shortened(film: Film) -> Film:
    """At most KEPT frames, evenly chosen among those there are, which are dense where filters change most."""
    chosen = torch.linspace(0, len(film.steps) - 1, min(KEPT, len(film.steps))).round().long()
    return replace(film, frames=film.frames[chosen].float(), steps=film.steps[chosen])
