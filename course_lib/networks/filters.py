"""The order that first-layer filters are shown in: from slow to fast change."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor


def shapes_in_space(filters: Tensor) -> Tensor:
    """The part of filters (n, c, k, k) that is one shape in one colour: (n, k, k), of length 1.

    The first singular vector over space: a filter's pattern without its colour.
    """
    return F.normalize(torch.linalg.svd(filters.flatten(2).float(), full_matrices=False)[2][:, 0]).view(
        len(filters), *filters.shape[2:]
    )


def by_frequency(filters: Tensor) -> Tensor:
    """The order (n,) of filters (n, c, k, k) from slow to fast change, and among equals by direction."""
    size = 16
    spectrum = torch.fft.fft2(shapes_in_space(filters), s=(size, size)).abs().square()[..., : size // 2]
    fy = torch.fft.fftfreq(size, device=filters.device)[:, None].expand(size, size // 2)
    fx = torch.fft.fftfreq(size, device=filters.device)[: size // 2].expand(size, size // 2)
    strongest = spectrum.flatten(1).argmax(1)
    speed, turn = torch.hypot(fx, fy).flatten()[strongest], torch.atan2(fy, fx).flatten()[strongest]
    return (torch.round(speed * 8) * 10 + turn).argsort(stable=True)
