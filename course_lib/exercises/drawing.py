"""Drawing the questions of an exercise: the same for the same seed, and nowhere near a special case."""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Generator, Tensor


def for_each(one: Callable[..., tuple], *sizes: tuple) -> Callable[[Generator], list[tuple]]:
    """Draws a question of each size, as `one(*size, draws)` makes it."""
    return lambda draws: [one(*size, draws) for size in sizes]


def between(low: float, high: float, n: int, draws: Generator) -> Tensor:
    """(n,) uniform numbers."""
    return low + (high - low) * torch.rand(n, generator=draws)


def one_between(low: float, high: float, draws: Generator, digits: int = 2) -> float:
    """A uniform number, rounded."""
    return round(float(between(low, high, 1, draws)), digits)


def whole(low: int, high: int, draws: Generator) -> int:
    """A whole number from low to high, both included."""
    return int(torch.randint(low, high + 1, (), generator=draws))


def factors(n: int, draws: Generator) -> Tensor:
    """(n,) factors from 0.6 to 1.4 that stay away from 1."""
    side = torch.randint(0, 2, (n,), generator=draws) * 2 - 1
    return 1 + side * between(0.15, 0.4, n, draws)
