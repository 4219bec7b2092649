"""Notebook 03: the nearest centre, and drawing so that no group is the best answer to everything."""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor

from course_lib.clustering import nearest
from course_lib.exercises import Exercise
from course_lib.exercises.compare import difference
from course_lib.pretext.deepcluster import balanced


def _nearest(function: Callable[[Tensor, Tensor], Tensor]) -> str:
    draws = torch.Generator().manual_seed(0)
    x = torch.randn(200, 6, generator=draws)
    # Of different lengths, so that a large product is not the same as a small distance.
    centres = torch.randn(9, 6, generator=draws) * torch.linspace(0.3, 2, 9)[:, None]
    expected, given = nearest(x, centres), function(x.clone(), centres.clone())
    if not isinstance(given, Tensor) or given.shape != expected.shape:
        if isinstance(given, Tensor) and given.shape == (9,):
            return "You found the nearest row of every centre; asked for is the nearest centre of every row."
        return difference(given, expected)
    if given.is_floating_point():
        return "Your answer holds distances; asked for are the centres' numbers, as `argmin` gives them."
    if torch.equal(given, torch.cdist(x, centres).argmax(1)):
        return "You found the farthest centre."
    if torch.equal(given, (x @ centres.T).argmax(1)):
        return "The largest product is not the smallest distance: a long centre wins too often. Its square is missing."
    wrong = int((given != expected).sum())
    return f"{wrong} of {len(x)} rows have another centre that is nearer." if wrong else ""


def _balanced(function: Callable[[Tensor], Tensor]) -> str:
    labels = torch.tensor([0] * 12 + [1] * 3 + [4] * 5)  # groups 2 and 3 are empty
    expected, given = balanced(labels), function(labels.clone())
    if not isinstance(given, Tensor) or given.shape != expected.shape:
        return difference(given, expected)
    if not difference(given, expected):
        return ""
    total = float(given.sum())
    if torch.allclose(given.double(), torch.full_like(expected, 1 / len(labels)), atol=1e-6):
        return "Every crop is as likely as every other: the largest group is then drawn most."
    if not difference(given, expected * 3 / 5):
        return "Your chances count the empty groups as well; they get a share that nobody draws."
    if not difference(given / total, expected):
        return f"The proportions are right, but your chances add up to {total:.3g} instead of 1."
    if torch.equal(given.argsort(stable=True), torch.bincount(labels)[labels].argsort(stable=True)):
        return "The crops of large groups come out more likely, and they should be less likely."
    return difference(given, expected)


EXERCISES = {"03.nearest": Exercise(nearest, _nearest), "03.balanced": Exercise(balanced, _balanced)}
