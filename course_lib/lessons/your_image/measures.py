"""What notebook 13 measures: how alike neighbouring pixels are, and how good predictions were."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor


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
