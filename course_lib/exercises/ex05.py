"""Notebook 05: first-layer filters as they act, how many directions they have, and how alike two sets are."""

from __future__ import annotations

import math
from typing import Any

import torch
import torch.nn.functional as F
from scipy.optimize import linear_sum_assignment
from torch import Tensor

from course_lib.exercises.compare import difference, each, explain_numbers, fits, numbers
from course_lib.exercises.drawing import between, draws_of
from course_lib.exercises.exercise import Exercise, Mistake, Quiz
from course_lib.networks.filters import effective_rank, matched_similarity
from course_lib.networks.trunk import fold_batchnorm

_COLUMN = (slice(None), None, None, None)


def _filters_and_norms(seed: int) -> list[tuple]:
    draws = draws_of(seed)
    return [
        (torch.randn(n, 3, k, k, generator=draws), between(0.4, 0.8, n, draws), between(1.5, 3, n, draws))
        for n, k in ((4, 5), (6, 3))
    ]


def _explain_fold(given: Any, filters: Tensor, gain: Tensor, variance: Tensor) -> str:
    expected = fold_batchnorm(filters, gain, variance)
    wrong = difference(given, expected)
    if not wrong or not fits(given, expected):
        return wrong
    if not difference(given, filters * (gain / variance)[_COLUMN], 1e-3):
        return "You divide by the variance: BatchNorm divides by its square root."
    if not difference(given, filters * (gain * variance.sqrt())[_COLUMN], 1e-3):
        return "You multiply by the standard deviation: BatchNorm divides by it."
    if not difference(given, filters / variance.sqrt()[_COLUMN], 1e-3):
        return "The gain is missing."
    return wrong


def _filters(seed: int) -> list[tuple]:
    """Directions of unequal strength, so that no two ways of counting them agree."""
    draws = draws_of(seed)
    return [(_strengths(n) * torch.randn(n, 3, k, k, generator=draws),) for n, k in ((12, 4), (9, 5))]


def _strengths(n: int) -> Tensor:
    return torch.linspace(0.2, 2, n)[_COLUMN]


def _explain_rank(questions: list[tuple], answers: list[Any]) -> str:
    given = numbers(answers)
    if isinstance(given, str):
        return given
    each_values = [torch.linalg.svdvals(filters.flatten(1)).double() for (filters,) in questions]
    powers = [values.square() for values in each_values]
    ratios = [float(p.square().sum() / p.sum().square()) for p in powers]
    mistakes = {
        "You count every direction alike, however weak: weigh each by its power.": [float(len(p)) for p in powers],
        "The power of a direction is its singular value squared.": [
            float(values.sum().square() / values.square().sum()) for values in each_values
        ],
        "It is upside down: one direction alone gives 1.": ratios,
        "Above the line stands the sum's square, not the sum.": [float(p.sum() / p.square().sum()) for p in powers],
        "The exponential of an entropy; here squares are asked for.": [_entropy_of(p / p.sum()) for p in powers],
    }
    return explain_numbers(given, [effective_rank(filters) for (filters,) in questions], mistakes)


def _entropy_of(shares: Tensor) -> float:
    return math.exp(-(shares * shares.log()).sum())


def _entropy_rank(filters: Tensor) -> float:
    return _entropy_of(torch.linalg.svdvals(filters.flatten(1)).square() / filters.square().sum())


def _two_sets(seed: int) -> list[tuple]:
    draws = draws_of(seed)
    return [_set_and_partners(k, draws) for k in (4, 5)]


def _set_and_partners(k: int, draws: torch.Generator) -> tuple[Tensor, Tensor]:
    """Eight filters and their partners: some of the other sign, some with rivals, of unequal lengths, in no order."""
    one, other = torch.randn(2, 8, 3, k, k, generator=draws)
    other[:4] = one[:4] - 0.3 * other[:4]
    other[4:6] = -one[4:6] + 0.5 * other[4:6]
    other[6] = other[0] + 0.2 * other[6]
    one[7] = one[1] + 0.6 * one[7]
    sizes = torch.linspace(0.5, 3, 8)[_COLUMN]
    return one * sizes, other.roll(3, 0) * sizes.flip(0)


def _cosines(one: Tensor, other: Tensor) -> Tensor:
    return F.normalize(one.flatten(1)) @ F.normalize(other.flatten(1)).T


def _products(one: Tensor, other: Tensor) -> Tensor:
    return one.flatten(1) @ other.flatten(1).T


def _paired(scores: Tensor, maximize: bool = True) -> float:
    """The mean score (n, n) of the best pairing, one to one; or of the worst."""
    return float(scores[linear_sum_assignment(scores.numpy(), maximize=maximize)].mean())


def _explain_match(questions: list[tuple], answers: list[Any]) -> str:
    given = numbers(answers)
    if isinstance(given, str):
        return given
    cosines, expected = [_cosines(*pair) for pair in questions], [matched_similarity(*pair) for pair in questions]
    sizes = [c.abs() for c in cosines]
    mistakes = {
        "A partner with the sign turned counts for nothing with you: take absolute values first.": [
            _paired(c) for c in cosines
        ],
        "Each filter takes its best partner, and some take the same one.": [float(s.amax(1).mean()) for s in sizes],
        "Each partner takes its best filter, and some filters are taken twice.": [
            float(s.amax(0).mean()) for s in sizes
        ],
        "You pair them in the order they come in, not as well as can be.": [float(s.diag().mean()) for s in sizes],
        "You found the worst pairing: `linear_sum_assignment` minimises unless told otherwise.": [
            _paired(s, maximize=False) for s in sizes
        ],
        "You pair by products, in which long filters count for more: bring each to length 1 first.": [
            _paired(_products(*pair).abs()) for pair in questions
        ],
        "That is the sum over the pairs; their mean is asked for.": [8 * value for value in expected],
    }
    return explain_numbers(given, expected, mistakes)


EXERCISES = {
    "05.fold": Exercise(
        fold_batchnorm,
        _filters_and_norms,
        each(_explain_fold),
        (
            Mistake(lambda w, g, v: w * (g / v)[_COLUMN], "divide by the variance"),
            Mistake(lambda w, g, v: w * (g * v.sqrt())[_COLUMN], "multiply by the standard deviation"),
            Mistake(lambda w, g, v: w / v.sqrt()[_COLUMN], "gain is missing"),
            Mistake(lambda w, g, v: w * g / v.sqrt(), "It raised RuntimeError"),
        ),
        "medium",
        6,
        (
            "Work out the factor of each filter first: a tensor (c,). What has to happen before it can multiply "
            "filters of four dimensions?",
            "The factor is the gain divided by the root of variance plus eps. Broadcasting lines up the *last* "
            "dimensions, so it needs three more behind its own.",
            "`factor[:, None, None, None]` has the shape (c, 1, 1, 1); `.sqrt()` takes the root.",
        ),
    ),
    "05.rank": Exercise(
        effective_rank,
        _filters,
        _explain_rank,
        (
            Mistake(lambda w: torch.linalg.matrix_rank(w.flatten(1)), "every direction alike"),
            Mistake(lambda w: torch.linalg.svdvals(w.flatten(1)).sum() ** 2 / w.square().sum(), "value squared"),
            Mistake(lambda w: 1 / effective_rank(w), "upside down"),
            Mistake(lambda w: effective_rank(w) / w.square().sum(), "not the sum"),
            Mistake(_entropy_rank, "exponential of an entropy"),
            Mistake(lambda w: torch.linalg.svdvals(w), "one number is expected"),
            Mistake(lambda w: effective_rank(w[:, :1]), "Another number is expected"),
        ),
        "easy",
        5,
        (
            "Filters are rows of a matrix once `flatten(1)` has made them so. What does `torch.linalg.svdvals` give?",
            "Square the singular values once, and call the result power: both sums of the formula are sums over it.",
            "Above the line stands `power.sum().square()`; below it the sum of what, squared? `.item()` makes a float.",
        ),
    ),
    "05.match": Exercise(
        matched_similarity,
        _two_sets,
        _explain_match,
        (
            Mistake(lambda a, b: _paired(_cosines(a, b)), "sign turned"),
            Mistake(lambda a, b: _cosines(a, b).abs().amax(1).mean(), "some take the same one"),
            Mistake(lambda a, b: _cosines(a, b).abs().amax(0).mean(), "some filters are taken twice"),
            Mistake(lambda a, b: _cosines(a, b).abs().diag().mean(), "in the order they come in"),
            Mistake(lambda a, b: _paired(_cosines(a, b).abs(), False), "worst pairing"),
            Mistake(lambda a, b: _paired(_products(a, b).abs()), "length 1 first"),
            Mistake(lambda a, b: len(a) * matched_similarity(a, b), "sum over the pairs"),
            Mistake(lambda a, b: None, "returned nothing"),
        ),
        "medium",
        8,
        (
            "First a table of likenesses, a row for each filter of the one and a column for each of the other.",
            "`F.normalize(filters.flatten(1))` brings each filter to length 1; the product of two such tables, one "
            "turned by `.T`, has the cosines. Mind their signs.",
            "`linear_sum_assignment(scores.numpy(), maximize=True)` gives rows and columns; index the table with both, "
            "and take the mean.",
        ),
    ),
}

QUIZZES = {
    "05.smooth": Quiz(
        "PCA of patches gives smooth filters too. What follows?",
        {
            "That RotNet learned nothing.": "Notebook 06 measures that; a picture cannot.",
            "That smooth filters are no proof of a good task.": "Yes: the statistics of photographs suffice.",
            "That PCA is the better method.": "It says which directions vary most, not which are useful.",
        },
        "That smooth filters are no proof of a good task.",
    )
}
