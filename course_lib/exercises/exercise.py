"""What an exercise is, and a quiz, and where each is found: one file a notebook, `ex02.py` for notebook 02."""

from __future__ import annotations

import importlib
import pkgutil
import re
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from course_lib.support.errors import unknown


@dataclass(frozen=True)
class Mistake:
    """A wrong answer that learners give, and words that are in its diagnosis and in no other mistake's."""

    function: Callable[..., Any]
    words: str


@dataclass(frozen=True)
class Exercise:
    """A function for the learner to write: plain data in, plain data out (`plain.py`).

    answer: the library's function; there is no second copy. questions: from a seed, tuples of arguments, at least two;
    the same for the same seed. explain: from questions, however many, and what was answered to them, what is wrong in a
    sentence, in kind and without the right answer; "" where it is right. It never calls the learner's function.

    mistakes: typical wrong answers, which `explain` tells apart at any seed. difficulty: easy, medium or hard. hints:
    in stages, the last nearly the answer. setting: a name in `settings.SETTINGS`, for what is not plain data.
    """

    answer: Callable[..., Any]
    questions: Callable[[int], list[tuple]]
    explain: Callable[[list[tuple], list[Any]], str]
    mistakes: tuple[Mistake, ...]
    difficulty: str
    minutes: int
    hints: tuple[str, ...]
    setting: str = ""


@dataclass(frozen=True)
class Quiz:
    """A question, its choices each with what is said to whoever takes it, and which of them is right."""

    question: str
    reasons: dict[str, str]
    right: str


def find_exercises() -> dict[str, Exercise]:
    """All exercises by their ids, such as `02.turns`."""
    return {key: one for name in _files() for key, one in _file(name).EXERCISES.items()}


def exercises_of(number: str) -> dict[str, Exercise]:
    """The exercises of one notebook, such as "02". Raises CourseError where it has none."""
    name = f"ex{number}"
    if name not in _files():
        raise unknown("notebook with exercises", number, [file.removeprefix("ex") for file in _files()])
    return _file(name).EXERCISES


def find_exercise(key: str) -> Exercise:
    """The exercise of this id. Only its own file is imported: those of all notebooks together take 60 MB.

    Raises CourseError for an id that does not exist, and lists those that do.
    """
    return _find("exercise", key, "EXERCISES")


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
