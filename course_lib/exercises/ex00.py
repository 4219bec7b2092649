"""Notebook 00: how exercises work."""

from __future__ import annotations

from collections.abc import Callable

from course_lib.crops import area_share
from course_lib.exercises import Exercise


def _share(function: Callable[..., float]) -> str:
    given = function(20.0, 30.0, 100.0, 40.0)
    if not isinstance(given, (int, float)):
        return f"Your function returned {type(given).__name__}, and a number is expected."
    expected = area_share(20.0, 30.0, 100.0, 40.0)
    if abs(given - expected) < 1e-9:
        return ""
    if abs(given - 1 / expected) < 1e-9:
        return "It is upside down: the crop's area is the part, the photograph's the whole."
    if abs(given - 100 * expected) < 1e-9:
        return "A share of 1 is asked for, not percent."
    if abs(given - (20 + 30) / (100 + 40)) < 1e-9:
        return "An area is a product of two sides, not a sum."
    return "Your number is not the crop's area divided by the photograph's."


EXERCISES = {"00.share": Exercise(area_share, _share)}
