"""Films of first layers: kept from finished trainings, in one small file that travels with the course.

Taught in notebook 05.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass, replace
from pathlib import Path

import torch
from safetensors import safe_open
from safetensors.torch import save
from torch import Tensor

from course_lib.data.crops import CropScheme
from course_lib.data.sources import GENERATED
from course_lib.networks.filters import by_frequency
from course_lib.support.palette import COLOURS
from course_lib.support.files import write_file

KEPT = 12
"""Frames of a film that are kept: the first, the last, and some between, in half precision, so that twenty films stay
below 1.5 MB at `quick`."""


@dataclass(frozen=True)
class Film:
    """The first layer of one network while it was trained.

    method: what trained it. n, source: on how many pictures, and which; n is 0 where there were none. frames:
    (frames, channels, 3, k, k) float32 with BatchNorm folded in, at the training steps `steps` (frames,).
    """

    method: str
    n: int
    source: str
    frames: Tensor
    steps: Tensor

    @property
    def key(self) -> str:
        """METHOD/N/SOURCE, its name in the file."""
        return f"{self.method}/{self.n}/{self.source}"

    @property
    def pictures(self) -> str:
        """What it was trained on, in words."""
        return f"N = {self.n:,}, {self.source}" if self.n else "no pictures"

    def at(self, share: float) -> tuple[Tensor, int]:
        """The frame (channels, 3, k, k) at `share` of the film, in [0, 1], and its training step."""
        i = round(share * (len(self.frames) - 1))
        return self.frames[i], int(self.steps[i])

    def ordered(self) -> Film:
        """The same film with its filters in the order that they end in, slow before fast: each keeps its place."""
        return replace(self, frames=self.frames[:, by_frequency(self.frames[-1])])


def keep_films(files: Iterable[Path], profile: str) -> dict[str, Film]:
    """The films in finished trainings (`course_lib.training.trained`) at a profile, shortened, by their keys.

    Trainings with other augmentations than the course's are left out. Of several with one key, that of the least seed
    is kept, and of these the longest.
    """
    found = [one for path in sorted(files) if (one := _read(path, profile))]
    first: dict[str, Film] = {}
    for _, film in sorted(found, key=lambda one: (one[0], -int(one[1].steps[-1]))):
        first.setdefault(film.key, _shortened(film))
    return {film.key: film for film in sorted(first.values(), key=_place)}


def save_films(films: Mapping[str, Film], path: Path) -> Path:
    """Write films into one file: frames in float16 under their keys, and all their steps as JSON beside them.

    Raises CourseError where the disk is full or the folder cannot be written to.
    """
    frames = {key: film.frames.half().contiguous() for key, film in films.items()}
    steps = {key: film.steps.tolist() for key, film in films.items()}
    return write_file(path, save(frames, {"steps": json.dumps(steps)}))


def load_films(path: Path) -> dict[str, Film]:
    """The films in a file that `save_films` wrote, in its order."""
    films = {}
    with safe_open(path, "pt") as file:
        for key, steps in json.loads(file.metadata()["steps"]).items():
            method, n, source = key.split("/", 2)
            films[key] = Film(method, int(n), source, file.get_tensor(key).float(), torch.tensor(steps))
    return films


def first_layers(films: Mapping[str, Film]) -> dict[str, Tensor]:
    """One trained first layer (channels, 3, k, k) for each method, and the random one that they began as, each ordered
    from slow to fast change. Of a method's films, that of the fewest pictures; generated images are left aside."""
    chosen: dict[str, Film] = {}
    for film in sorted(films.values(), key=_place):
        if film.source not in GENERATED:
            chosen.setdefault(film.method, film)
    if not chosen:
        return {}
    layers = {"random": next(iter(chosen.values())).frames[0]} | {
        name: film.frames[-1] for name, film in chosen.items()
    }
    return {name: filters[by_frequency(filters)] for name, filters in layers.items()}


def _place(film: Film) -> tuple[bool, int, int, str]:
    """Methods in the order of their colours, labels last; then from few pictures to many."""
    known = [*COLOURS, film.method].index(film.method)
    return film.method == "supervised", known, film.n, film.source


def _read(path: Path, profile: str) -> tuple[int, Film] | None:
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
