"""The training tasks, one file each.

A method is a `Method`, below; its file is named as in tables and ends with `METHOD = ...`. Nothing else has to be
changed for a new one.
"""

from __future__ import annotations

import importlib
from pathlib import Path
from typing import Any, ClassVar, NamedTuple

import numpy as np
import torch
from torch import Tensor, nn

from course_lib.networks.trunk import Trunk
from course_lib.pretext.recipes import Recipe
from course_lib.profiles import Profile
from course_lib.support.errors import CourseError, unknown


class Batch(NamedTuple):
    """The examples of a step, or a part of them where several devices share the step or memory is short.

    index: (n,) of the examples in the data. step: of the training. first: the place of the first example in the endless
    sequence of all that the training sees. Random numbers drawn by (seed, place) belong to the example, whatever the
    device that works on it.
    """

    index: Tensor
    seed: int
    step: int
    first: int

    def part(self, start: int, stop: int) -> Batch:
        """Examples `start` to `stop - 1` of this batch."""
        return self._replace(index=self.index[start:stop], first=self.first + start)

    def uniform(self, width: int) -> Tensor:
        """(n, width) float32 numbers in [-1, 1), a row an example, on the device of the index."""
        draws = -(-width // 4) * 4  # Philox gives four numbers a step of its counter
        n, bits = len(self.index), np.random.Philox(key=self.seed + NOISE)
        raw = bits.advance(self.first * draws // 4).random_raw(n * draws)
        numbers = (raw >> np.uint64(40)).astype(np.float32).reshape(n, draws)[:, :width]
        return torch.from_numpy(numbers * 2.0**-23 - 1).to(self.index.device)


NOISE = 1 << 64
"""Added to a seed, this gives noise that is independent of the crops drawn with the seed itself."""


class Shown(NamedTuple):
    """What a method can do by now: pictures (n, 3, side, side) in [-1, 1] in rows of `columns`, a word for each row."""

    images: Tensor
    columns: int
    rows: tuple[str, ...]


class Method(nn.Module):
    """What `course_lib.training.loop.fit` asks of a method."""

    trunk: Trunk
    RECIPES: ClassVar[dict[str, Recipe]]
    """How it is trained, at each profile that it is meant for."""

    @classmethod
    def build(cls, profile: Profile, data: Any) -> Method:
        """The method at a profile's sizes, for `data`: a CropDataset, or LabelledImages where labels are used."""
        raise NotImplementedError

    def loss(self, data: Any, batch: Batch) -> tuple[Tensor, Tensor]:
        """The mean loss of the batch, and the accuracy of the task: two scalars."""
        raise NotImplementedError

    def draw(self, total: int, count: int, seed: int, step: int) -> Tensor:
        """The indices (count,) of a step's examples, a pure function of the method's state, `seed` and `step`.

        At random with replacement; a method may draw otherwise.
        """
        return torch.from_numpy(np.random.default_rng((seed, step)).integers(total, size=count))

    def begin_round(self, data: Any, seed: int, number: int) -> list[nn.Parameter]:
        """Prepare round `number`. Returns the parameters that were drawn again, whose momentum is then reset."""
        return []

    def shown(self, data: Any) -> Shown | None:
        """What it can do by now, for the live picture; called in evaluation mode, without gradients."""
        return None


def method_names() -> list[str]:
    """The methods there are: the names of this folder's files that end with `METHOD = ...`."""
    return sorted(path.stem for path in Path(__file__).parent.glob("*.py") if "\nMETHOD = " in path.read_text("utf-8"))


def find_method(name: str) -> type[Method]:
    """The class of a method. Raises CourseError for a name that is not a file of this folder."""
    if name not in method_names():
        raise unknown("method", name, method_names())
    return importlib.import_module(f"{__package__}.{name}").METHOD


def find_recipe(name: str, profile: str) -> Recipe:
    """How a method is trained at a profile. Raises CourseError for a method, and for a profile that it is not meant
    for."""
    recipes = find_method(name).RECIPES
    if profile not in recipes:
        raise CourseError(f"{name} is not meant for the profile {profile!r}; choose {' or '.join(recipes)}")
    return recipes[profile]


def without_labels(profile: str) -> list[str]:
    """The methods that need no labels and are meant for a profile: those that a reference run and a sweep know."""
    return [name for name in method_names() if name != "supervised" and profile in find_method(name).RECIPES]
