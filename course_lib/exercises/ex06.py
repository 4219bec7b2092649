"""Notebook 06: linear probes."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor

from course_lib.exercises.compare import difference, each
from course_lib.exercises.drawing import draws_of
from course_lib.exercises.exercise import Exercise, Mistake, Quiz
from course_lib.probes import standardise


def _features(seed: int) -> list[tuple]:
    draws = draws_of(seed)
    return [
        (3 + 2 * torch.randn(train, f, generator=draws), 4 + torch.randn(test, f, generator=draws))
        for train, test, f in ((200, 50, 5), (80, 120, 3))
    ]


def _explain_standardise(given: Any, train: Tensor, test: Tensor) -> str:
    if not isinstance(given, tuple | list) or len(given) != 2:
        return "Two tensors are expected: return train, test."
    expected = standardise(train, test)
    if wrong := difference(given[0], expected[0], 1e-3):
        return f"Training features: {wrong}"
    if not (wrong := difference(given[1], expected[1], 1e-3)):
        return ""
    if not difference(given[1], standardise(test, test)[1], 1e-3):
        return "You standardise the test features by their own mean: the probe then meets features it never learned."
    if not difference(given[1], _by_all(train, test)[1], 1e-3):
        return "The test pictures have a say in the mean: that is a leak."
    return f"Test features: {wrong}"


def _by_all(train: Tensor, test: Tensor) -> tuple[Tensor, Tensor]:
    """The training features as they should be, the test features by the mean and spread of both sets together."""
    return standardise(train, train)[0], standardise(torch.cat([train, test]), test)[1]


def _each_by_its_own(train: Tensor, test: Tensor) -> tuple[Tensor, Tensor]:
    return standardise(train, train)[0], standardise(test, test)[0]


EXERCISES = {
    "06.standardise": Exercise(
        standardise,
        _features,
        each(_explain_standardise),
        (
            Mistake(_each_by_its_own, "by their own mean"),
            Mistake(_by_all, "that is a leak"),
            Mistake(lambda a, b: (a - a.mean(), b - a.mean()), "Training features"),
            Mistake(lambda a, b: (standardise(a, b)[0], b), "Test features"),
        ),
        "easy",
        5,
        (
            "Mean and spread of what: of all numbers together, or of each feature over the pictures? And of which "
            "pictures?",
            "`train.mean(0)` and `train.std(0)` have one number a feature. Keep both, and use them twice.",
            "Subtract the mean and divide by the spread plus a millionth or so, in `train` and in `test` alike; return "
            "both.",
        ),
    )
}

QUIZZES = {
    "06.best": Quiz(
        "What is wrong with reporting the best of many settings on the test set?",
        {
            "Nothing, if all methods do it.": "The one with more settings then wins.",
            "The test set has become part of the training.": "Yes, and the number is too good.",
            "It takes too long.": "True, and beside the point.",
        },
        "The test set has become part of the training.",
    )
}
