"""Notebook 05: first-layer filters as they act, how many directions they have, and how similar two sets are."""

from __future__ import annotations

import math

import torch
import torch.nn.functional as F
from scipy.optimize import linear_sum_assignment
from torch import Generator, Tensor

from course_lib.exercises.drawing import between, for_each
from course_lib.exercises.exercise import Quiz, of_number, of_tensor
from course_lib.lessons.first_layers import effective_rank, matched_similarity
from course_lib.networks.trunk import fold_batchnorm

_COLUMN = (slice(None), None, None, None)


def _filters_and_norms(n: int, k: int, draws: Generator) -> tuple[Tensor, Tensor, Tensor]:
    return torch.randn(n, 3, k, k, generator=draws), between(0.4, 0.8, n, draws), between(1.5, 3, n, draws)


def _filters(n: int, k: int, draws: Generator) -> tuple[Tensor]:
    """Directions of unequal strength, so that no two ways of counting them agree."""
    return (torch.linspace(0.2, 2, n)[_COLUMN] * torch.randn(n, 3, k, k, generator=draws),)


def _strengths(filters: Tensor) -> Tensor:
    return torch.linalg.svdvals(filters.flatten(1)).double()


def _entropy_rank(filters: Tensor) -> float:
    shares = _strengths(filters).square() / filters.double().square().sum()
    return math.exp(-(shares * shares.log()).sum())


def _set_and_partners(k: int, draws: Generator) -> tuple[Tensor, Tensor]:
    """Eight filters and their partners: some negated, some with rivals, of unequal lengths, in another order."""
    one, other = torch.randn(2, 8, 3, k, k, generator=draws)
    other[:4] = one[:4] - 0.3 * other[:4]
    other[4:6] = -one[4:6] + 0.5 * other[4:6]
    other[6] = other[0] + 0.2 * other[6]
    one[7] = one[1] + 0.6 * one[7]
    sizes = torch.linspace(0.5, 3, 8)[_COLUMN]
    return one * sizes, other.roll(3, 0) * sizes.flip(0)


def _cosines(one: Tensor, other: Tensor) -> Tensor:
    return F.normalize(one.flatten(1)) @ F.normalize(other.flatten(1)).T


def _paired(scores: Tensor, maximize: bool = True) -> float:
    """The mean score (n, n) of the best pairing, one to one; or of the worst."""
    return float(scores[linear_sum_assignment(scores.numpy(), maximize=maximize)].mean())


EXERCISES = {
    "05.fold": of_tensor(
        fold_batchnorm,
        for_each(_filters_and_norms, (4, 5), (6, 3)),
        {
            "You divide by the variance: BatchNorm divides by its square root.": lambda w, g, v: w * (g / v)[_COLUMN],
            "You multiply by the standard deviation; BatchNorm divides.": lambda w, g, v: w * (g * v.sqrt())[_COLUMN],
            "The gain is missing.": lambda w, g, v: w / v.sqrt()[_COLUMN],
        },
        "medium · 6 minutes",
        "Work out the factor of each filter, a tensor (c,). How can it multiply filters of four dimensions?",
        "The factor is the gain divided by the root of variance plus eps. Broadcasting lines up the *last* "
        "dimensions, so the factor needs three more behind its own.",
        "`factor[:, None, None, None]` has the shape (c, 1, 1, 1); `.sqrt()` takes the root.",
        others={"It raised RuntimeError": lambda w, g, v: w * g / v.sqrt()},
        near=1e-3,
    ),
    "05.rank": of_number(
        effective_rank,
        for_each(_filters, (12, 4), (9, 5)),
        {
            "You count every direction alike, however weak: weigh each by its power.": len,
            "A direction's power is its singular value squared.": lambda w: _strengths(w).sum() ** 2 / w.square().sum(),
            "It is upside down: one direction alone gives 1.": lambda w: 1 / effective_rank(w),
            "The numerator is the square of the sum, not the sum.": lambda w: effective_rank(w) / w.square().sum(),
            "That is the exponential of an entropy; here squares are asked for.": _entropy_rank,
        },
        "easy · 5 minutes",
        "`flatten(1)` makes the filters the rows of a matrix. What does `torch.linalg.svdvals` give?",
        "Square the singular values once, and call the result power: both sums of the formula are sums over it.",
        "The numerator is `power.sum().square()`; of what is the denominator the sum? `.item()` makes a float.",
        others={
            "one number is expected": lambda w: torch.linalg.svdvals(w),
            "Another number is expected": lambda w: effective_rank(w[:, :1]),
        },
    ),
    "05.match": of_number(
        matched_similarity,
        for_each(_set_and_partners, (4,), (5,)),
        {
            "You give a negated partner no credit: take absolute values first.": lambda a, b: _paired(_cosines(a, b)),
            "Each filter takes its best partner; some share one.": lambda a, b: _cosines(a, b).abs().amax(1).mean(),
            "Each partner takes its best filter; some share one.": lambda a, b: _cosines(a, b).abs().amax(0).mean(),
            "You pair them in the order given, not in the best way.": lambda a, b: _cosines(a, b).abs().diag().mean(),
            "That is the worst pairing: the sum is to be maximised.": lambda a, b: _paired(_cosines(a, b).abs(), False),
            "Long filters count more: normalise first.": lambda a, b: _paired((a.flatten(1) @ b.flatten(1).T).abs()),
            "That is the sum over the pairs; their mean is asked for.": lambda a, b: len(a) * matched_similarity(a, b),
        },
        "medium · 8 minutes",
        "First make a table of similarities, with a row per filter of one set and a column per filter of the other.",
        "`F.normalize(filters.flatten(1))` scales each filter to length 1; the product of two such tables, one "
        "transposed by `.T`, has the cosines. Mind their signs.",
        "`linear_sum_assignment(scores.numpy(), maximize=True)` gives rows and columns: index with both, take a mean.",
        others={"returned nothing": lambda a, b: None},
    ),
}

QUIZZES = {
    "05.smooth": Quiz(
        "PCA of patches gives smooth filters too. What follows?",
        ("That RotNet learned nothing.", "Notebook 06 measures that; a picture cannot."),
        ("That smooth filters are no proof of a good task.", "Yes: the statistics of photographs suffice."),
        ("That PCA is the better method.", "It says which directions vary most, not which are useful."),
    )
}
