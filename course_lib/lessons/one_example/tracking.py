"""Following one patch through a camera's walk, with a filter from its first frame alone. Taught in notebook 12."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
import torch
from torch import Tensor

from course_lib.lessons.one_example.correlation import correlate, find_peak, inside


class Track(NamedTuple):
    """Where the centre of the patch was found in every frame, (n, 2) x and y in pixels, and how sharp each peak was,
    (n,)."""

    places: Tensor
    sharpness: Tensor

    def errors(self, true: Tensor) -> Tensor:
        """How many pixels the found centres lie from the true ones (n, 2): (n,)."""
        return (self.places - true).norm(dim=1)


def window_at(frame: Tensor, centre: Tensor, side: int) -> Tensor:
    """The window of `side` pixels about a point (2,), x and y, of a grey frame (H, W); moved inwards where it would
    stick out."""
    x, y = (min(max(round(c - side / 2), 0), size - side) for c, size in zip(centre.tolist(), frame.shape[::-1]))
    return frame[y : y + side, x : x + side]


def windows_beside(frame: Tensor, centre: Tensor, side: int, count: int, seed: int = 0) -> Tensor:
    """`count` windows of a grey frame (H, W), at least half a side from the point: (count, side, side).

    They are the negatives: what the object is not, from the same frame.
    """
    rng, found = np.random.default_rng(seed), []
    middle = centre.numpy()
    while len(found) < count:
        place = rng.uniform(side / 2, np.array(frame.shape[::-1]) - side / 2)
        if np.abs(place - middle).max() >= side / 2:
            found.append(window_at(frame, torch.from_numpy(place), side))
    return torch.stack(found)


def track(frames: Tensor, template: Tensor) -> Track:
    """Where a filter (h, w) has its peak in each of the grey frames (n, H, W).

    Each frame is searched as a whole, so that what is lost can be found again.
    """
    height, width = template.shape
    peaks = [find_peak(inside(correlate(frame, template), height, width)) for frame in frames]
    places = torch.tensor([[peak.x + width / 2, peak.y + height / 2] for peak in peaks])
    return Track(places, torch.tensor([peak.sharpness for peak in peaks]))
