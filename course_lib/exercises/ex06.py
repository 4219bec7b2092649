"""Notebook 06: linear probes."""

from __future__ import annotations

from collections.abc import Callable

import torch

from course_lib.exercises import Exercise
from course_lib.exercises.compare import difference
from course_lib.probes import standardise


def _standardise(function: Callable[..., tuple]) -> str:
    generator = torch.Generator().manual_seed(0)
    train, test = 3 + 2 * torch.randn(200, 5, generator=generator), 4 + torch.randn(50, 5, generator=generator)
    expected, given = standardise(train, test), function(train.clone(), test.clone())
    if not isinstance(given, tuple) or len(given) != 2:
        return "Two tensors are expected: return train, test."
    if wrong := difference(given[0], expected[0], 1e-3):
        return f"Training features: {wrong}"
    if not (wrong := difference(given[1], expected[1], 1e-3)):
        return ""
    if not difference(given[1], standardise(test, test)[1], 1e-3):
        return "You standardise the test features by their own mean: the probe then meets features it never learned."
    both = torch.cat([train, test])
    if not difference(given[1], standardise(both, test)[1], 1e-3):
        return "The test pictures have a say in the mean: that is a leak."
    return f"Test features: {wrong}"


EXERCISES = {"06.standardise": Exercise(standardise, _standardise)}
