"""What an exercise is, and a quiz, and where each is found: one file per notebook, `ex02.py` for notebook 02."""

from __future__ import annotations

import importlib
import pkgutil
import re
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from torch import Generator

from course_lib.exercises.compare import Explain, Mistakes, one_number, one_tensor
from course_lib.support.errors import unknown

Draw = Callable[[Generator], list[tuple]]
"""From random numbers, at least two questions, each a tuple of arguments."""


@dataclass(frozen=True)
class Exercise:
    """A function for the learner to write: plain data in, plain data out (`plain.py`).

    answer: the library's function; there is no second copy. explain: from any number of questions and the answers to
    them, what is wrong, in a sentence that does not give the right answer away; "" where nothing is wrong. It never
    calls the learner's function.

    mistakes: typical wrong answers, each under words that are in its diagnosis, at any seed, and in no other one's.
    effort: how hard it is, and how long it takes, as in its heading. hints: in stages, the last nearly the answer.
    setting: a name in `asking.SETTINGS`, for arguments or results that are not plain data.
    """

    answer: Callable[..., Any]
    draw: Draw
    explain: Explain
    mistakes: Mistakes
    effort: str
    hints: tuple[str, ...]
    setting: str = ""

    def questions(self, seed: int) -> list[tuple]:
        """The questions of this seed: the same each time."""
        return self.draw(Generator().manual_seed(seed))


def of_any(
    answer: Callable[..., Any],
    draw: Draw,
    explain: Explain,
    mistakes: Mistakes,
    effort: str,
    *hints: str,
    setting: str = "",
) -> Exercise:
    """An exercise whose answers are explained in a way of its own; the fields are those of `Exercise`."""
    return Exercise(answer, draw, explain, mistakes, effort, hints, setting)


def of_number(
    answer: Callable[..., Any], draw: Draw, mistakes: Mistakes, *about: str, others: Mistakes | None = None
) -> Exercise:
    """An exercise whose answers are one number each.

    mistakes: wrong functions, each under the sentence for an answer that has its numbers. about: effort, and hints.
    others: mistakes that are recognised in another way, as in `Exercise`.
    """
    return of_any(answer, draw, one_number(answer, mistakes), {**mistakes, **(others or {})}, *about)


def of_tensor(
    answer: Callable[..., Any], draw: Draw, mistakes: Mistakes, *about: str, others: Mistakes | None = None, **how: Any
) -> Exercise:
    """The same for answers of one tensor each, or two. how: `one_tensor`'s tolerance, near and further."""
    return of_any(answer, draw, one_tensor(answer, mistakes, **how), {**mistakes, **(others or {})}, *about)


class Quiz:
    """A question, and its choices, each with what is said to a learner who takes it; a right one's begins with Yes."""

    def __init__(self, question: str, *choices: tuple[str, str]) -> None:
        """choices: each with its reason."""
        self.question = question
        self.reasons = dict(choices)

    @property
    def right(self) -> str:
        """The choice that is right."""
        return next(choice for choice, reason in self.reasons.items() if reason.startswith("Yes"))


def find_exercises() -> dict[str, Exercise]:
    """All exercises by their ids, such as `02.turns`."""
    return {key: one for name in _files() for key, one in _file(name).EXERCISES.items()}


def find_exercise(key: str) -> Exercise:
    """The exercise of this id. Only its own file is imported: those of all notebooks together take 60 MB.

    Raises CourseError for an id that does not exist, and lists those that do.
    """
    return _find("exercise", key, "EXERCISES")


def stand_ins(number: str) -> dict[str, Callable[..., Any]]:
    """For a notebook, such as "02": the answers to its exercises, under the names that the exercises give them.

    They stand in until a learner's own take their place, so that a notebook runs without a cell that was deleted.
    Raises CourseError for a notebook without exercises.
    """
    name = f"ex{number}"
    if name not in _files():
        raise unknown("notebook with exercises", number, [file.removeprefix("ex") for file in _files()])
    return {exercise.answer.__name__: exercise.answer for exercise in _file(name).EXERCISES.values()}


def find_quizzes() -> dict[str, Quiz]:
    """All quizzes by their ids, such as `02.noise`."""
    return {key: one for name in _files() for key, one in _file(name).QUIZZES.items()}


def find_quiz(key: str) -> Quiz:
    """The quiz of this id. Raises CourseError for an id that does not exist, and lists those that do."""
    return _find("quiz", key, "QUIZZES")


def _find(what: str, key: str, table: str) -> Any:
    name = f"ex{key.partition('.')[0]}"
    known = getattr(_file(name), table) if name in _files() else {}
    if key not in known:
        raise unknown(what, key, [other for file in _files() for other in getattr(_file(file), table)])
    return known[key]


def _files() -> list[str]:
    here = [str(Path(__file__).parent)]
    return sorted(module.name for module in pkgutil.iter_modules(here) if re.fullmatch(r"ex\d\d", module.name))


def _file(name: str) -> Any:
    return importlib.import_module(f"course_lib.exercises.{name}")
