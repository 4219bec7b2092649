"""Comparing a learner's answers with the library's, and saying in kind how far off they are."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Sequence
from typing import Any

import numpy as np
import torch
from torch import Tensor

from course_lib.exercises.plain import name_of

_NOTHING = "Your function returned nothing; does it end with `return`?"


def difference(given: Any, expected: Tensor, tolerance: float = 1e-4) -> str:
    """What parts an answer from the expected tensor, in a sentence; empty where they agree to `tolerance`."""
    if given is None:
        return _NOTHING
    if not isinstance(given, Tensor):
        return f"Your function returned {name_of(given)}, and a tensor is expected."
    if given.shape != expected.shape:
        return f"Your answer has the shape {tuple(given.shape)}, and {tuple(expected.shape)} is expected."
    if given.is_complex() and not expected.is_complex():
        return "Your answer holds complex numbers, and real ones are expected."
    gap = (given.to(torch.complex128) - expected.to(torch.complex128)).abs()
    if not gap.isfinite().all():
        return "Your answer holds numbers that are not finite."
    largest, scale = gap.max().item(), expected.abs().max().item() + 1e-12
    if largest <= tolerance * max(scale, 1.0):
        return ""
    near = "close, but not equal" if largest < 0.05 * scale else "the right shape, but other values"
    return f"{near.capitalize()}: the largest difference is {largest:.3g}."


def fits(given: Any, expected: Tensor) -> bool:
    """Whether an answer is a tensor of the expected shape, so that its values can be looked at."""
    return isinstance(given, Tensor) and given.shape == expected.shape


def numbers(answers: Iterable[Any]) -> list[float] | str:
    """Answers of one finite number each, as floats; or what the first that is none is instead, in a sentence."""
    found = []
    for given in answers:
        if isinstance(given, Tensor | np.ndarray | np.generic) and math.prod(given.shape) == 1:
            given = given.item()
        if given is None:
            return _NOTHING
        if not isinstance(given, int | float) or isinstance(given, bool):
            return f"Your function returned {name_of(given)}, and one number is expected."
        found.append(float(given))
    return found if all(map(math.isfinite, found)) else "Your answer is a number that is not finite."


def same(one: Sequence[float], other: Sequence[float], tolerance: float = 1e-3) -> bool:
    """Whether numbers agree one by one, to a share `tolerance` of their size."""
    return all(math.isclose(a, b, rel_tol=tolerance, abs_tol=1e-9) for a, b in zip(one, other, strict=True))


def explain_numbers(given: Sequence[float], expected: Sequence[float], mistakes: dict[str, Sequence[float]]) -> str:
    """What is wrong with numbers: "" for nothing; else the sentence whose numbers they are, or how far off they are."""
    if same(given, expected):
        return ""
    known = (words for words, values in mistakes.items() if same(given, values))
    largest = max(abs(a - b) for a, b in zip(given, expected))
    return next(known, f"Another number is expected: the largest difference is {largest:.3g}.")


def first_problem(problems: Iterable[str]) -> str:
    """The first sentence that is not empty; "" where all are."""
    return next(filter(None, problems), "")


def each(explain: Callable[..., str]) -> Callable[[list[tuple], list[Any]], str]:
    """From an explanation of one answer, `explain(given, *question)`, that of the first answer that is wrong."""
    return lambda questions, answers: first_problem(explain(given, *q) for q, given in zip(questions, answers))
