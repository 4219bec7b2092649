"""Films of first layers: kept from finished trainings, in one small file that travels with the course.

Taught in notebook 05.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path

import torch
from safetensors import safe_open
from torch import Tensor

from course_lib.data.sources import GENERATED
from course_lib.networks.trunk import by_frequency
from course_lib.support.palette import COLOURS


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
    for film in sorted(films.values(), key=place_of):
        if film.source not in GENERATED:
            chosen.setdefault(film.method, film)
    if not chosen:
        return {}
    layers = {"random": next(iter(chosen.values())).frames[0]} | {
        name: film.frames[-1] for name, film in chosen.items()
    }
    return {name: filters[by_frequency(filters)] for name, filters in layers.items()}


def place_of(film: Film) -> tuple[bool, int, int, str]:
    """Methods in the order of their colours, labels last; then from few pictures to many."""
    known = [*COLOURS, film.method].index(film.method)
    return film.method == "supervised", known, film.n, film.source
