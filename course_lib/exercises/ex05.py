"""Notebook 05: first-layer filters."""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor

from course_lib.exercises import Exercise
from course_lib.exercises.compare import difference
from course_lib.networks import fold_batchnorm


def _fold(function: Callable[..., Tensor]) -> str:
    generator = torch.Generator().manual_seed(0)
    filters = torch.randn(4, 3, 5, 5, generator=generator)
    gain, variance = torch.rand(2, 4, generator=generator).add(0.5).unbind()
    expected, given = fold_batchnorm(filters, gain, variance), function(filters.clone(), gain.clone(), variance.clone())
    wrong = difference(given, expected)
    if not wrong or not isinstance(given, Tensor) or given.shape != expected.shape:
        return wrong
    column = (slice(None), None, None, None)
    if not difference(given, filters * (gain / variance)[column], 1e-3):
        return "You divide by the variance: BatchNorm divides by its square root."
    if not difference(given, filters * variance.sqrt()[column] * gain[column], 1e-3):
        return "You multiply by the standard deviation: BatchNorm divides by it."
    if not difference(given, filters / variance.sqrt()[column], 1e-3):
        return "The gain is missing."
    return wrong


EXERCISES = {"05.fold": Exercise(fold_batchnorm, _fold)}
