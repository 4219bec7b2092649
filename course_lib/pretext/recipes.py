"""How long and how fast a method is trained: optimiser and schedule. Each method's file holds its own recipes."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable
from dataclasses import dataclass

import torch
from torch import nn
from torch.optim.lr_scheduler import LambdaLR


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


def _sgd(parameters: Iterable[nn.Parameter], recipe: Recipe) -> torch.optim.Optimizer:
    return torch.optim.SGD(
        parameters, recipe.learning_rate, 0.9, weight_decay=recipe.weight_decay, nesterov=True, fused=True
    )


def _adam(parameters: Iterable[nn.Parameter], recipe: Recipe) -> torch.optim.Optimizer:
    return torch.optim.Adam(
        parameters, recipe.learning_rate, (0.5, 0.999), weight_decay=recipe.weight_decay, fused=True
    )


OPTIMISERS = {"sgd": _sgd, "adam": _adam}


def make_optimiser(parameters: Iterable[nn.Parameter], recipe: Recipe) -> torch.optim.Optimizer:
    """The recipe's optimiser, with all its arithmetic in one kernel."""
    return OPTIMISERS[recipe.optimiser](parameters, recipe)


def make_schedule(optimiser: torch.optim.Optimizer, recipe: Recipe, done: int = 0) -> LambdaLR:
    """The recipe's schedule as it stands after `done` steps: a function of the step alone, with no state to keep."""
    for group in optimiser.param_groups:
        group["initial_lr"] = recipe.learning_rate
    factor = SCHEDULES[recipe.schedule]
    return LambdaLR(optimiser, lambda step: factor(step / recipe.steps), last_epoch=done - 1)
