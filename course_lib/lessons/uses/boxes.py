"""Boxes in one picture: those that are true, and those that a detector found."""

from __future__ import annotations

from typing import NamedTuple

from torch import Tensor


class Boxes(NamedTuple):
    """What is in a picture. boxes: (n, 4) float32, left, top, right and bottom in pixels from the picture's corner.
    labels: (n,) int64, 1 for the first class, since 0 is the background. difficult: (n,) bool, what nobody is blamed
    for missing."""

    boxes: Tensor
    labels: Tensor
    difficult: Tensor

    @property
    def easy(self) -> Boxes:
        """Without the difficult ones."""
        return Boxes(*(part[~self.difficult] for part in self))


class Found(NamedTuple):
    """What a detector says is in a picture. boxes: (n, 4) as above. labels: (n,). scores: (n,) in [0, 1]."""

    boxes: Tensor
    labels: Tensor
    scores: Tensor

    def above(self, score: float) -> Found:
        """Those with a score of at least `score`."""
        return Found(*(part[self.scores >= score] for part in self))
