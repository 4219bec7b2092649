"""Where a learner's function and the library's part."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor

from course_lib.exercises.asking import ask
from course_lib.exercises.checking import judge, last_attempt
from course_lib.exercises.exercise import find_exercise
from course_lib.exercises.plain import Raised, name_of

if TYPE_CHECKING:
    from course_lib.pictures.figures import Picture

_SEEDS = 5
_ACROSS = 8  # pictures in a row
_FEW = 12  # numbers that are printed one by one


def diff(key: str, function: Callable[..., Any] | None = None) -> Picture | None:
    """Print the first question to which a function answers otherwise than the library's, and what parts the answers.

    Pictures are also given, side by side with those expected: the eye finds what is wrong, and the code has still to be
    found. Expected numbers and tensors are not, since to see them is to have the answer to a small question; what is
    said of them is how far off yours are, and where. Returns the pictures as one, or None where there are none.

    function: without it, the last that `check` saw. Raises CourseError for an id that does not exist.
    """
    exercise, asked = find_exercise(key), 0
    if (function := function or last_attempt(key)) is None:
        print(f"{key}: there is nothing of yours to compare yet; write something, and run its check.")
        return None
    for seed in range(_SEEDS):
        for question in exercise.questions(seed):
            (given,) = ask(function, [question], exercise.setting)
            if problem := judge(key, [question], [given]):
                (expected,) = ask(exercise.answer, [question], exercise.setting)
                print(_in_words(key, question, given, expected, problem))
                return _side_by_side(key, question, given, expected)
            asked += 1
    print(f"{key}: your function and the course's agree on {asked} questions.")
    return None


def _in_words(key: str, question: tuple, given: Any, expected: Any, problem: str) -> str:
    lines = [f"{key}: they part at this question."]
    lines += [f"  argument {i}: {describe(value)}" for i, value in enumerate(question, 1)]
    if not isinstance(given, Raised):
        lines.append(f"  your answer: {describe(given)}")
    return "\n".join([*lines, f"  {problem}", *_where(given, expected)])


def describe(value: Any) -> str:
    """A value in a line: small ones whole, large tensors by their shape and range."""
    if isinstance(value, tuple | list) and any(isinstance(one, Tensor) for one in value):
        return "; ".join(describe(one) for one in value)
    if isinstance(value, Tensor) and value.numel() > _FEW:
        parts = torch.view_as_real(value) if value.is_complex() else value.double()
        ends = f"from {parts.min():.3g} to {parts.max():.3g}"
        return f"{name_of(value)} of shape {tuple(value.shape)}, {str(value.dtype)[6:]}, {ends}"
    if isinstance(value, Tensor):
        return f"{name_of(value)} of shape {tuple(value.shape)}: {_rounded(value.tolist())}"
    return str(value.to_dict()) if name_of(value) == "Series" else repr(_rounded(value))[:400]


def _rounded(value: Any) -> Any:
    if isinstance(value, float):
        return float(f"{value:.4g}")
    return type(value)(map(_rounded, value)) if type(value) in (list, tuple) else value


def _where(given: Any, expected: Any) -> list[str]:
    """Of each pair of tensors of one shape that part: the place where they part most."""
    if isinstance(given, tuple | list) and isinstance(expected, tuple | list) and len(given) == len(expected):
        return [line for pair in zip(given, expected) for line in _where(*pair)]
    if not isinstance(given, Tensor) or not isinstance(expected, Tensor) or given.shape != expected.shape:
        return []
    gap = (given.to(torch.complex128) - expected.to(torch.complex128)).abs().nan_to_num(torch.inf)
    if not gap.dim() or not gap.numel() or not gap.any():
        return []
    place = [int(i) for i in torch.unravel_index(gap.argmax(), gap.shape)]
    differ = int((gap > 1e-6).sum())
    return [f"  The largest difference, {gap.max():.3g}, is at {place}; {differ} of {gap.numel()} numbers differ."]


def is_pictures(value: Any) -> bool:
    """Whether a value can be looked at: (n, 3, h, w) of real numbers."""
    return isinstance(value, Tensor) and value.dim() == 4 and value.shape[1] == 3 and value.is_floating_point()


def _side_by_side(key: str, question: tuple, given: Any, expected: Any) -> Picture | None:
    rows = {f"argument {i}": value for i, value in enumerate(question, 1) if is_pictures(value)}
    if is_pictures(given):
        rows["yours"] = given
    if is_pictures(expected):
        rows["expected"] = expected
    if is_pictures(given) and is_pictures(expected) and given.shape == expected.shape:
        gap = (given - expected).abs().nan_to_num()
        rows["difference"] = 2 * gap / gap.max().clamp(min=1e-12) - 1  # black where there is none
    if not rows:
        return None
    from course_lib.pictures.figures import crop_rows

    words = f"The first question of {key} to which the two answer differently, in rows: {', '.join(rows)}"
    return crop_rows({name: _row(value) for name, value in rows.items()}, words)


def _row(value: Tensor) -> Tensor:
    """At most eight pictures, white where there are fewer; those that leave [-1, 1] are brought back to it."""
    value = value[:_ACROSS].float().nan_to_num()
    value = value / value.abs().max().clamp(min=1)
    return torch.cat([value, torch.ones(_ACROSS - len(value), *value.shape[1:])])
