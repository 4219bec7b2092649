"""The training tasks, one file each: what a method is, and how long and how fast it is trained.

A method is a `Method`, below, with its own recipes; its file is named as in tables and ends with `METHOD = ...`.
Nothing else has to be changed for a new one.
"""

from __future__ import annotations

import importlib
import math
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any, ClassVar, NamedTuple

import numpy as np
import torch
from torch import Tensor, nn
from torch.optim.lr_scheduler import LambdaLR

from course_lib.networks.trunk import Trunk
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


@dataclass(frozen=True)
class Recipe:
    """How a method is trained at one profile.

    steps, batch: how many batches, of how many crops or pictures each. learning_rate: the highest.
    weight_decay: as the optimiser takes it. optimiser: "sgd" (Nesterov, momentum 0.9) or "adam" (beta1 0.5).
    schedule: a key of SCHEDULES. rounds: parts of equal length, before each of which the method may prepare itself.
    """

    steps: int
    batch: int
    learning_rate: float
    weight_decay: float = 5e-4
    optimiser: str = "sgd"
    schedule: str = "one cycle"
    rounds: int = 1

    def __post_init__(self) -> None:
        if self.steps < 1 or self.batch < 1 or self.rounds < 1:
            given = f"{self.steps}, {self.batch} and {self.rounds}"
            raise ValueError(f"steps, batch and rounds must be at least 1, got {given}")
        if self.schedule not in SCHEDULES or self.optimiser not in OPTIMISERS:
            known = f"{', '.join(SCHEDULES)}; {', '.join(OPTIMISERS)}"
            raise ValueError(f"schedule and optimiser must be among {known}; got {self.schedule}, {self.optimiser}")

    @property
    def round_steps(self) -> int:
        """Steps of a round; the last may be shorter."""
        return -(-self.steps // self.rounds)


def one_cycle(done: float) -> float:
    """Up over the first fifth, then down to nothing, both along a cosine (Smith and Topin 2018)."""
    if done < 0.2:
        return 0.04 + 0.96 * (1 - math.cos(math.pi * done / 0.2)) / 2
    return (1 + math.cos(math.pi * (done - 0.2) / 0.8)) / 2


def constant(done: float) -> float:
    """The same rate to the end, as DeepCluster has it."""
    return 1.0


def three_drops(done: float) -> float:
    """A tenth, a hundredth and a thousandth of it from 3, 6 and 9 tenths on, as RotNet has it on ImageNet."""
    return 0.1 ** sum(done >= drop for drop in (0.3, 0.6, 0.9))


def late_decay(done: float) -> float:
    """Constant for half of the time, then exponentially down to a hundredth, as BiGAN has it."""
    return 0.01 ** max(0.0, 2 * done - 1)


SCHEDULES: dict[str, Callable[[float], float]] = {
    "one cycle": one_cycle,
    "constant": constant,
    "three drops": three_drops,
    "late decay": late_decay,
}
"""The share of the highest rate, from the share of the training that is done, in [0, 1)."""


OPTIMISERS = {
    "sgd": partial(torch.optim.SGD, momentum=0.9, nesterov=True),
    "adam": partial(torch.optim.Adam, betas=(0.5, 0.999)),
}


def make_optimiser(parameters: Iterable[nn.Parameter], recipe: Recipe) -> torch.optim.Optimizer:
    """The recipe's optimiser, with all its arithmetic in one kernel."""
    make = OPTIMISERS[recipe.optimiser]
    return make(parameters, recipe.learning_rate, weight_decay=recipe.weight_decay, fused=True)


def make_schedule(optimiser: torch.optim.Optimizer, recipe: Recipe, done: int = 0) -> LambdaLR:
    """The recipe's schedule as it stands after `done` steps: a function of the step alone, with no state to keep."""
    for group in optimiser.param_groups:
        group["initial_lr"] = recipe.learning_rate
    factor = SCHEDULES[recipe.schedule]
    return LambdaLR(optimiser, lambda step: factor(step / recipe.steps), last_epoch=done - 1)


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
