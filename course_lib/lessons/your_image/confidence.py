"""How good predictions were: sure and right, or sure and wrong. Taught in notebook 13."""

from __future__ import annotations

from collections.abc import Sequence


def brier(sure: Sequence[float], right: Sequence[bool]) -> float:
    """The mean of (sure - right)^2: how sure one was, shares of 1, against what came out, 1 for right (Brier 1950).

    0 is perfect, 1 always sure and always wrong. Raises ValueError for no prediction at all. Taught in notebook 13.
    """
    if not sure:
        raise ValueError("a score needs at least one prediction, got none")
    return sum((one - came) ** 2 for one, came in zip(sure, right, strict=True)) / len(sure)
