"""Drawing the questions of an exercise: the same for the same seed, and nowhere near a special case."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Generator, Tensor


def draws_of(seed: int) -> Generator:
    """Random numbers of this seed, apart from everyone else's."""
    return Generator().manual_seed(seed)


def between(low: float, high: float, n: int, draws: Generator) -> Tensor:
    """(n,) uniform numbers."""
    return low + (high - low) * torch.rand(n, generator=draws)


def whole(low: int, high: int, draws: Generator) -> int:
    """A whole number from low to high, both included."""
    return int(torch.randint(low, high + 1, (), generator=draws))


def factors(n: int, draws: Generator) -> Tensor:
    """(n,) factors from 0.6 to 1.4 that stay away from 1."""
    side = torch.randint(0, 2, (n,), generator=draws) * 2 - 1
    return 1 + side * between(0.15, 0.4, n, draws)


def pictures(n: int, side: int, draws: Generator) -> Tensor:
    """Smooth pictures (n, 3, side, side) in [-1, 1], none of which looks the same turned or mirrored."""
    coarse = torch.rand(n, 3, 3, 3, generator=draws) * 2 - 1
    return F.interpolate(coarse, size=side, mode="bilinear", align_corners=True)
