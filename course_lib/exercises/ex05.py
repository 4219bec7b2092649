"""Notebook 05: first-layer filters as they act, how many directions they have, and how alike two sets are."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import torch
import torch.nn.functional as F
from scipy.optimize import linear_sum_assignment
from torch import Tensor

from course_lib.exercises import Exercise
from course_lib.exercises.compare import difference
from course_lib.filters import effective_rank, matched_similarity
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


def _rank(function: Callable[[Tensor], float]) -> str:
    # Directions of unequal strength, so that no two ways of counting them agree.
    strengths = torch.linspace(0.2, 2, 12)[:, None]
    filters = (strengths * torch.randn(12, 48, generator=torch.Generator().manual_seed(0))).view(12, 3, 4, 4)
    given = _number(function(filters.clone()))
    if isinstance(given, str):
        return given
    values = torch.linalg.svdvals(filters.flatten(1))
    power = values.square()
    shares = power / power.sum()
    return _named(
        given,
        effective_rank(filters),
        {
            12: "You count every direction alike, however weak: weigh each by its power.",
            (values.sum().square() / power.sum()).item(): "The power of a direction is its singular value squared.",
            (power.square().sum() / power.sum().square()).item(): "It is upside down: one direction alone gives 1.",
            (power.sum() / power.square().sum()).item(): "Above the line stands the sum's square, not the sum.",
            math.exp(-(shares * shares.log()).sum()): "The exponential of an entropy; here squares are asked for.",
        },
    )


def _match(function: Callable[[Tensor, Tensor], float]) -> str:
    generator = torch.Generator().manual_seed(0)
    one, other = torch.randn(2, 8, 3, 4, 4, generator=generator)
    other[:4] = one[:4] - 0.3 * other[:4]
    other[4:6], other[6] = -one[4:6] + 0.5 * other[4:6], other[0] + 0.2 * other[6]  # of the other sign; and a rival
    sizes = torch.linspace(0.5, 3, 8)[:, None, None, None]
    one, other = one * sizes, other.roll(3, 0) * sizes.flip(0)
    given = _number(function(one.clone(), other.clone()))
    if isinstance(given, str):
        return given
    a, b = one.flatten(1), other.flatten(1)
    cosines = F.normalize(a) @ F.normalize(b).T
    least, products = _paired(-cosines.abs()), _paired((a @ b.T).abs())
    return _named(
        given,
        matched_similarity(one, other),
        {
            _paired(cosines): "A partner with the sign turned counts for nothing with you: take absolute values first.",
            cosines.abs().amax(1).mean().item(): "Each filter takes its best partner, and some take the same one.",
            cosines.abs().amax(0).mean().item(): "Each filter takes its best partner, and some take the same one.",
            cosines.abs().diag().mean().item(): "You pair them in the order they come in, not as well as can be.",
            -least: "You found the worst pairing: `linear_sum_assignment` minimises unless told otherwise.",
            products: "You pair by products, in which long filters count for more: bring each to length 1 first.",
            8 * matched_similarity(one, other): "That is the sum over the pairs; their mean is asked for.",
        },
    )


def _paired(scores: Tensor) -> float:
    """The mean score (n, n) of the best pairing, one to one."""
    return float(scores[linear_sum_assignment(scores.numpy(), maximize=True)].mean())


def _number(given: Any) -> float | str:
    """A number, or a tensor of one, as a float; anything else as a sentence."""
    if isinstance(given, Tensor) and given.numel() == 1:
        given = given.item()
    if given is None:
        return "Your function returned nothing; does it end with `return`?"
    try:
        return float(given)
    except (TypeError, ValueError):
        return f"Your function returned {type(given).__name__}, and one number is expected."


def _named(given: float, expected: float, mistakes: dict[float, str]) -> str:
    """The sentence of the mistake that gives this number; empty where it is the expected one."""
    if math.isclose(given, expected, rel_tol=1e-3):
        return ""
    known = (words for value, words in mistakes.items() if math.isclose(given, value, rel_tol=1e-3))
    return next(known, f"Your number is {given:.3g}, and {expected:.3g} is expected.")


EXERCISES = {
    "05.fold": Exercise(fold_batchnorm, _fold),
    "05.rank": Exercise(effective_rank, _rank),
    "05.match": Exercise(matched_similarity, _match),
}
