"""Notebook 06: linear probes: what they are given, and what they minimise."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
import torch.nn.functional as F
from torch import Generator, Tensor

from course_lib.exercises.compare import difference, each, is_pair
from course_lib.exercises.drawing import between, for_each, one_between, whole
from course_lib.exercises.exercise import Quiz, of_any, of_number
from course_lib.exercises.plain import name_of
from course_lib.lessons.probing import probe_loss
from course_lib.probes.classifier import logits, standardise
from course_lib.probes.features import pool_side


def _features(train: int, test: int, f: int, draws: Generator) -> tuple[Tensor, Tensor]:
    return 3 + 2 * torch.randn(train, f, generator=draws), 4 + torch.randn(test, f, generator=draws)


def _explain_standardise(given: Any, train: Tensor, test: Tensor) -> str:
    if not is_pair(given):
        return "Two tensors are expected: return train, test."
    expected = standardise(train, test)
    if wrong := difference(given[0], expected[0], 1e-3):
        return f"Training features: {wrong}"
    if not (wrong := difference(given[1], expected[1], 1e-3)):
        return ""
    if not difference(given[1], standardise(test, test)[1], 1e-3):
        return "You standardise the test features by their own mean: the probe was trained on others."
    if not difference(given[1], _by_all(train, test)[1], 1e-3):
        return "The test pictures take part in the mean: that is a leak."
    return f"Test features: {wrong}"


def _by_all(train: Tensor, test: Tensor) -> tuple[Tensor, Tensor]:
    """The training features as they should be, the test features by the mean and spread of both sets together."""
    return standardise(train, train)[0], standardise(torch.cat([train, test]), test)[1]


def _layers(draws: Generator) -> list[tuple]:
    """Maps that have to be pooled, then maps that are small already, then more channels than numbers."""
    pooled = [(whole(48, 96, draws), whole(3, 5, draws)) for _ in range(4)]
    small = [whole(4, 9, draws) for _ in range(2)]
    return [
        *((torch.zeros(1, n, 64, 64), int(n * (side + 0.8) ** 2)) for n, side in pooled),
        *((torch.zeros(1, whole(8, 12, draws), side, side), whole(1_600, 1_900, draws)) for side in small),
        (torch.zeros(1, whole(60, 90, draws), 6, 6), whole(20, 50, draws)),
    ]


def _explain_side(given: Any, maps: Tensor, numbers: int) -> str:
    channels, height = maps.shape[1:3]
    if type(given) is not int:
        return f"A whole number is expected, an `int`; your function returned {name_of(given)}."
    if given == pool_side(maps, numbers):
        return ""
    if given < 1:
        return "Nothing at all is left of a map; keep at least one number, however many channels there are."
    if given > height:
        return "Your maps come out larger than they were; pooling can only make them smaller."
    named = (words for words, side in reversed(_SIDES.items()) if given == side(maps, numbers))
    return next(named, f"A layer of {channels} maps of {height} x {height} gets another side.")


def _fitted(side: Callable[[int, int], float]) -> Callable[[Tensor, int], int]:
    """Answers to 06.side that bring a side, from the channels and the numbers, within its limits."""
    return lambda maps, numbers: max(1, min(maps.shape[2], int(side(maps.shape[1], numbers))))


_SIDES = {
    "You share the numbers out over one map; but every channel has one.": _fitted(lambda c, n: n**0.5),
    "That is how many numbers a map may keep; its side is asked for.": _fitted(lambda c, n: n / c),
    "You rounded up, and have more numbers than allowed.": _fitted(lambda c, n: (n / c) ** 0.5 + 0.5),
}


def _classifiers(n: int, f: int, classes: int, draws: Generator) -> tuple[Tensor, Tensor, Tensor, float]:
    """Weights with biases that are clearly not 0, and features, labels and a decay that matters."""
    weights = torch.cat([torch.randn(f, classes, generator=draws), between(0.5, 1.5, classes, draws)[None]])
    x, y = torch.randn(n, f, generator=draws), torch.randint(0, classes, (n,), generator=draws)
    return weights, x, y, one_between(0.1, 0.5, draws)


def _loss(weights: Tensor, x: Tensor, y: Tensor, penalty: Tensor | float, reduction: str = "mean") -> Tensor:
    return F.cross_entropy(logits(weights, x), y, reduction=reduction) + penalty


def _penalty(weights: Tensor, decay: float) -> Tensor:
    return decay / 2 * weights[:-1].square().sum()


EXERCISES = {
    "06.standardise": of_any(
        standardise,
        for_each(_features, (200, 50, 5), (80, 120, 3)),
        each(_explain_standardise),
        {
            "by their own mean": lambda a, b: (standardise(a, a)[0], standardise(b, b)[0]),
            "that is a leak": _by_all,
            "Training features": lambda a, b: (a - a.mean(), b - a.mean()),
            "Test features": lambda a, b: (standardise(a, b)[0], b),
        },
        "easy · 5 minutes",
        "Mean and spread of what: of all numbers, or of each feature over the pictures? And of which pictures?",
        "`train.mean(0)` and `train.std(0)` have one number per feature. Keep both, and use them twice.",
        "Subtract the mean and divide by the spread plus a millionth or so, in `train` and in `test`; return both.",
    ),
    "06.side": of_any(
        pool_side,
        _layers,
        each(_explain_side),
        {
            **_SIDES,
            "larger than they were": lambda x, n: max(1, int((n / x.shape[1]) ** 0.5)),
            "keep at least one": lambda x, n: min(x.shape[2], int((n / x.shape[1]) ** 0.5)),
            "A whole number is expected": lambda x, n: (n / x.shape[1]) ** 0.5,
        },
        "easy · 5 minutes",
        "Each channel has a map, and all maps get the same side s. How many numbers is that? How large may s be?",
        "channels * s * s must not exceed `numbers`: s is the root of `numbers / channels`, rounded down by `int`.",
        "`channels, height = maps.shape[1:3]`. Then two limits: at most `height` with `min`, at least 1 with `max`.",
    ),
    "06.loss": of_number(
        probe_loss,
        for_each(_classifiers, (30, 6, 4), (50, 3, 5)),
        {
            "The bias should have no penalty.": lambda w, x, y, d: _loss(w, x, y, d / 2 * w.square().sum()),
            "The penalty is missing.": lambda w, x, y, d: _loss(w, x, y, 0),
            "Your penalty is twice what it should be.": lambda w, x, y, d: _loss(w, x, y, 2 * _penalty(w, d)),
            "Penalise the squared weights, not their length.": lambda w, x, y, d: _loss(w, x, y, d / 2 * w[:-1].norm()),
            "Add up the squared weights; no mean.": lambda w, x, y, d: _loss(w, x, y, d / 2 * w[:-1].square().mean()),
            "Take the mean cross-entropy, not the sum.": lambda w, x, y, d: _loss(w, x, y, _penalty(w, d), "sum"),
            "Your logits lack the bias.": lambda w, x, y, d: F.cross_entropy(x @ w[:-1], y) + _penalty(w, d),
            "Leave the softmax out.": lambda w, x, y, d: F.cross_entropy(logits(w, x).softmax(1), y) + _penalty(w, d),
        },
        "medium · 8 minutes",
        "Two parts: how wrong the logits are, how large the weights. Which row of the weights has no feature?",
        "The logits are `x @ weights[:-1] + weights[-1]`; `F.cross_entropy(logits, y)` is their mean cross-entropy.",
        "Add `decay / 2 * weights[:-1].square().sum()`: the last row, the bias, is left out.",
        others={"one number is expected": lambda w, x, y, d: _loss(w, x, y, 0, "none")},
    ),
}

QUIZZES = {
    "06.best": Quiz(
        "What is wrong with reporting the best of many settings on the test set?",
        ("Nothing, if all methods do it.", "The one with more settings then wins."),
        ("The test set has become part of the training.", "Yes, and the number is too good."),
        ("It takes too long.", "True, and beside the point."),
    )
}
