"""Comparing a learner's answer with the library's, and saying how far off it is."""

from __future__ import annotations

from typing import Any

from torch import Tensor


def difference(given: Any, expected: Tensor, tolerance: float = 1e-4) -> str:
    """What parts an answer from the expected tensor, in a sentence; empty where they agree to `tolerance`."""
    if given is None:
        return "Your function returned nothing; does it end with `return`?"
    if not isinstance(given, Tensor):
        return f"Your function returned {type(given).__name__}, and a tensor is expected."
    if given.shape != expected.shape:
        return f"Your answer has the shape {tuple(given.shape)}, and {tuple(expected.shape)} is expected."
    gap = (given.double() - expected.double()).abs()
    if not gap.isfinite().all():
        return "Your answer holds numbers that are not finite."
    largest, scale = gap.max().item(), expected.abs().max().item() + 1e-12
    if largest <= tolerance * max(scale, 1.0):
        return ""
    near = "close, but not equal" if largest < 0.05 * scale else "the right shape, but other values"
    return f"{near.capitalize()}: the largest difference is {largest:.3g}."
