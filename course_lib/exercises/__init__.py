"""Exercises that never block.

`f = check("02.turns", f)` goes on with the learner's function where it is right, with the library's where it is not.
The answer is the library's own function; there is no second copy.

One file a notebook, `ex02.py` for notebook 02, with its exercises in a dictionary EXERCISES.
"""

from __future__ import annotations

import ast
import importlib
import inspect
import os
import pkgutil
import textwrap
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from course_lib.errors import CourseError, unknown


@dataclass(frozen=True)
class Exercise:
    """A function for the learner to write.

    answer: the library's function. diagnose: takes the learner's function, and says in a sentence what is wrong with
    it, in kind and without the answer; an empty text means that it is right.
    """

    answer: Callable[..., Any]
    diagnose: Callable[[Callable[..., Any]], str]


def find_exercises() -> dict[str, Exercise]:
    """All exercises by their ids, such as `02.turns`."""
    return {key: exercise for name in _files() for key, exercise in _exercises_in(name).items()}


def find_exercise(key: str) -> Exercise:
    """The exercise of this id. Only its own file is imported: those of all notebooks together take 60 MB.

    Raises CourseError for an id that does not exist, and lists those that do.
    """
    name = f"ex{key.partition('.')[0]}"
    known = _exercises_in(name) if name in _files() else {}
    if key not in known:
        raise unknown("exercise", key, list(find_exercises()))
    return known[key]


def _files() -> list[str]:
    return sorted(module.name for module in pkgutil.iter_modules(__path__) if module.name.startswith("ex"))


def _exercises_in(name: str) -> dict[str, Exercise]:
    return importlib.import_module(f"{__name__}.{name}").EXERCISES


def check(key: str, function: Callable[..., Any]) -> Callable[..., Any]:
    """Say in a line whether the learner's function is right, and return the one to go on with.

    Raises CourseError for an id that does not exist, and under COURSE_STRICT=1 for a function that is not right.
    """
    exercise = find_exercise(key)
    if not attempted(function):
        print(f"{key}: not attempted yet. Going on with the course's own function.")
        return exercise.answer
    problem = diagnose(exercise, function)
    if not problem:
        print(f"{key}: right. Going on with your function.")
        return function
    if os.environ.get("COURSE_STRICT") == "1":
        raise CourseError(f"{key}: {problem}")
    print(f"{key}: not yet. {problem} Going on with the course's own function.")
    return exercise.answer


def diagnose(exercise: Exercise, function: Callable[..., Any]) -> str:
    """What is wrong with a function, in a sentence; an exception of its own is named, and is not passed on."""
    try:
        return exercise.diagnose(function)
    except Exception as error:  # whatever the learner's code raises is feedback, never a stop
        return f"It raised {type(error).__name__}: {error}."


def attempted(function: Callable[..., Any]) -> bool:
    """Whether a function's body has anything but a docstring, `...` and `pass`."""
    try:
        tree = ast.parse(textwrap.dedent(inspect.getsource(function)))
    except (OSError, TypeError, SyntaxError):  # a lambda, or made by exec: somebody has done something
        return True
    first = tree.body[0]
    if not isinstance(first, ast.FunctionDef):
        return True
    return not all(isinstance(node, ast.Pass) or _is_constant(node) for node in first.body)


def _is_constant(node: ast.stmt) -> bool:
    """A docstring or `...`."""
    return isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant)
