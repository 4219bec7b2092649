"""What is in a picture, before any network looks: how alike neighbouring pixels are. Taught in notebook 13."""

from __future__ import annotations

import torch
from torch import Tensor


def neighbours(grey: Tensor) -> float:
    """How alike neighbours are: Pearson's correlation of each pixel with the one to its right, in a picture (H, W).

    Near 1 in photographs, near 0 in white noise; 0 by definition in a picture of one brightness, which has no spread.
    Taught in notebook 13.
    """
    pairs = torch.stack([grey[:, :-1].flatten(), grey[:, 1:].flatten()]).double()
    spreads = pairs.std(1)
    if not spreads.min() > 0:
        return 0.0
    return float(pairs.corrcoef()[0, 1])
