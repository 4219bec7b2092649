"""Help with an exercise: hints in stages, where an answer first differs, and the library's own, after an attempt."""

from __future__ import annotations

import inspect
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor

from course_lib.exercises.asking import ask
from course_lib.exercises.checking import judge, last_attempt
from course_lib.exercises.exercise import find_exercise
from course_lib.exercises.journal import hints_taken, note_hints, was_attempted
from course_lib.exercises.plain import Raised, name_of

if TYPE_CHECKING:
    from course_lib.pictures.figures import Picture

_SEEDS = 5
_ACROSS = 8  # pictures in a row
_FEW = 12  # numbers that are printed one by one


def hint(key: str, stage: int = 0) -> None:
    """Print the next hint for an exercise, each time one stage further; or, with a stage from 1, that one again.

    Raises CourseError for an id that does not exist, and ValueError for a stage that does not.
    """
    hints = find_exercise(key).hints
    if not 0 <= stage <= len(hints):
        raise ValueError(f"{key} has {len(hints)} hints, so stage must lie in 1 to {len(hints)}, got {stage}")
    taken = hints_taken(key)
    shown = stage or min(taken + 1, len(hints))
    note_hints(key, max(taken, shown))
    print(f"{key}, hint {shown} of {len(hints)}. {hints[shown - 1]}")
    if shown == len(hints):
        print(f'That was the last. Once you have tried, reveal("{key}") shows how the course does it.')


def reveal(key: str) -> None:
    """Print the course's own function, once `check` has seen an attempt of yours.

    Raises CourseError for an id that does not exist.
    """
    answer = find_exercise(key).answer
    if not was_attempted(key):
        print(f"{key}: write something first, even if it is wrong, and run its check. Then ask again.")
        return
    print(f"The answer is the library's own function, in {answer.__module__}:\n")
    print(inspect.getsource(answer))


def diff(key: str, function: Callable[..., Any] | None = None) -> Picture | None:
    """Print the first question to which a function's answer differs from the library's, and how the two differ.

    Pictures are shown side by side with those expected: to see what is wrong is not yet to know how to write it.
    Expected numbers and tensors are not shown, since they would give away a small answer; instead you learn how far off
    yours are, and where. Returns the pictures as one, or None where there are none.

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
    lines = [f"{key}: your answer first differs for this input."]
    lines += [f"  argument {i}: {_described(value)}" for i, value in enumerate(question, 1)]
    if not isinstance(given, Raised):
        lines.append(f"  your answer: {_described(given)}")
    return "\n".join([*lines, f"  {problem}", *_where(given, expected)])


def _described(value: Any) -> str:
    """A value in a line: small ones whole, large tensors by their shape and range."""
    if isinstance(value, tuple | list) and any(isinstance(one, Tensor) for one in value):
        return "; ".join(_described(one) for one in value)
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
    """For each pair of tensors of one shape that differ: the place where they differ most."""
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


def _is_pictures(value: Any) -> bool:
    """Whether a value can be looked at: (n, 3, h, w) of real numbers."""
    return isinstance(value, Tensor) and value.dim() == 4 and value.shape[1] == 3 and value.is_floating_point()


def _side_by_side(key: str, question: tuple, given: Any, expected: Any) -> Picture | None:
    named = {f"argument {i}": value for i, value in enumerate(question, 1)} | {"yours": given, "expected": expected}
    rows = {name: value for name, value in named.items() if _is_pictures(value)}
    if _is_pictures(given) and _is_pictures(expected) and given.shape == expected.shape:
        gap = (given - expected).abs().nan_to_num()
        rows["difference"] = 2 * gap / gap.max().clamp(min=1e-12) - 1  # black where there is none
    if not rows:
        return None
    from course_lib.pictures.figures import crop_rows

    words = f"The first question of {key} to which the two answers differ, in rows: {', '.join(rows)}"
    return crop_rows({name: _row(value) for name, value in rows.items()}, words)


def _row(value: Tensor) -> Tensor:
    """At most eight pictures, white where there are fewer; those that leave [-1, 1] are scaled back to it."""
    value = value[:_ACROSS].float().nan_to_num()
    value = value / value.abs().max().clamp(min=1)
    return torch.cat([value, torch.ones(_ACROSS - len(value), *value.shape[1:])])
