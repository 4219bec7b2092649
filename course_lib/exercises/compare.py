"""Comparing a learner's answers with the library's, and saying what kind of difference there is."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any

import numpy as np
import torch
from torch import Tensor

from course_lib.exercises.plain import name_of

Mistakes = Mapping[str, Callable[..., Any]]
"""Wrong functions, each under what is said of whoever answers as they do."""

Explain = Callable[[list[tuple], list[Any]], str]
"""From questions, and the answers to them, what is wrong, in a sentence; "" where nothing is."""

_NOTHING = "Your function returned nothing; does it end with `return`?"
_TWO = "Two values are expected: return both, separated by a comma."


def difference(given: Any, expected: Tensor | tuple[Tensor, ...], tolerance: float = 1e-4) -> str:
    """How an answer differs from the expected tensor, or two tensors, in a sentence; "" where they agree."""
    if isinstance(expected, tuple):
        return first_problem(difference(*pair) for pair in zip(given, expected)) if is_pair(given) else _TWO
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


def fits(given: Any, expected: Tensor | tuple[Tensor, ...]) -> bool:
    """Whether an answer is a tensor of the expected shape, or two, so that its values can be compared."""
    if isinstance(expected, tuple):
        return is_pair(given) and all(map(fits, given, expected))
    return isinstance(given, Tensor) and given.shape == expected.shape


def is_pair(given: Any) -> bool:
    """Whether an answer is two values."""
    return isinstance(given, tuple | list) and len(given) == 2


def two_means(given: Any) -> Tensor | str:
    """Two answers of one number each, as a tensor (2,); or what is there instead, in a sentence."""
    if not is_pair(given):
        return _TWO
    if not all(isinstance(one, Tensor) and one.dim() == 0 for one in given):
        return "Each of the two should be one number, a tensor without dimensions; is a mean missing?"
    return torch.stack([one.float() for one in given])


def numbers(answers: Iterable[Any]) -> list[float] | str:
    """Answers of one finite number each, as floats; or what the first other answer is, in a sentence."""
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


def explain_numbers(given: Sequence[float], expected: Sequence[float], mistakes: Mapping[str, Sequence[float]]) -> str:
    """What is wrong with numbers: "" for nothing; else the mistake that gives them all, or how far off they are."""
    if same(given, expected):
        return ""
    known = (words for words, values in mistakes.items() if same(given, values))
    largest = max(abs(a - b) for a, b in zip(given, expected))
    return next(known, f"Another number is expected: the largest difference is {largest:.3g}.")


def one_number(right: Callable[..., Any], wrong: Mistakes) -> Explain:
    """An explanation of answers of one number each, from the right function and the wrong ones."""

    def explain(questions: list[tuple], answers: list[Any]) -> str:
        if isinstance(given := numbers(answers), str):
            return given
        expected, *others = ([float(one(*question)) for question in questions] for one in (right, *wrong.values()))
        return explain_numbers(given, expected, dict(zip(wrong, others)))

    return explain


def one_tensor(
    right: Callable[..., Any],
    wrong: Mistakes,
    *,
    tolerance: float = 1e-4,
    near: float | None = None,
    further: Callable[..., str] | None = None,
) -> Explain:
    """The same for answers of one tensor each, or two.

    near: how near an answer has to be to a wrong function's, by default `tolerance`. further: what else is said of a
    wrong answer of the right shape, from (given, expected, *question); "" for nothing.
    """

    def explain(given: Any, *question: Any) -> str:
        expected = right(*question)
        problem = difference(given, expected, tolerance)
        if not problem or not fits(given, expected):
            return problem
        named = match(given, wrong, question, tolerance if near is None else near)
        return named or (further and further(given, expected, *question)) or problem

    return each(explain)


def match(given: Any, wrong: Mistakes, question: Sequence[Any], tolerance: float) -> str:
    """What is said of the wrong function that gives this answer to a question; "" where none does."""
    return next((words for words, f in wrong.items() if not difference(given, f(*question), tolerance)), "")


def first_problem(problems: Iterable[str]) -> str:
    """The first sentence that is not empty; "" where all are."""
    return next(filter(None, problems), "")


def each(explain: Callable[..., str]) -> Explain:
    """From an explanation of one answer, `explain(given, *question)`, that of the first answer that is wrong."""
    return lambda questions, answers: first_problem(explain(given, *q) for q, given in zip(questions, answers))
