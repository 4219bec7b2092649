"""Checking a learner's function, and choosing the one to go on with."""

from __future__ import annotations

import ast
import inspect
import os
import textwrap
from collections.abc import Callable, Sequence
from typing import Any

from course_lib.exercises.asking import ask
from course_lib.exercises.exercise import find_exercise
from course_lib.exercises.journal import note_attempt
from course_lib.exercises.plain import Raised
from course_lib.support.errors import CourseError

_tried: dict[str, Callable[..., Any]] = {}  # the last attempt at each exercise that this process has seen


def check(key: str, function: Callable[..., Any]) -> Callable[..., Any]:
    """Say in a line whether the learner's function is right, note it in the journal, and return the one to go on with.

    Raises CourseError for an id that does not exist, and under COURSE_STRICT=1 for a function that is not right.
    """
    exercise = find_exercise(key)
    if not attempted(function):
        print(f"{key}: not attempted yet. Going on with the course's own function.")
        return exercise.answer
    problem = examine(key, function)
    _tried[key] = function
    note_attempt(key, not problem)
    if not problem:
        print(f"{key}: right. Going on with your function.")
        return function
    if os.environ.get("COURSE_STRICT") == "1":
        raise CourseError(f"{key}: {problem}")
    print(f"{key}: not yet. {problem} Going on with the course's own function.")
    return exercise.answer


def last_attempt(key: str) -> Callable[..., Any] | None:
    """The learner's function that `check` saw last in this process; its name may stand for the library's by now."""
    return _tried.get(key)


def examine(key: str, function: Callable[..., Any], seed: int = 0) -> str:
    """Ask a function the questions of this seed, here and now, and judge what it answers."""
    exercise = find_exercise(key)
    questions = exercise.questions(seed)
    return judge(key, questions, ask(function, questions, exercise.setting))


def judge(key: str, questions: Sequence[tuple], answers: Sequence[Any]) -> str:
    """What is wrong with the answers to an exercise's questions, in a sentence; "" where they are right.

    answers: plain data, as `ask` or `decode` give it. The learner's function is neither needed nor called.
    """
    if len(answers) != len(questions):
        return f"There are {len(questions)} questions, and {len(answers)} answers."
    for answer in answers:
        if isinstance(answer, Raised):
            return f"It raised {answer.kind}: {answer.message}."
    try:
        return find_exercise(key).explain(list(questions), list(answers))
    except Exception as error:  # no answer, however odd, may end the judge
        return f"Your answer is not of the kind asked for, and cannot be compared ({type(error).__name__})."


def attempted(function: Callable[..., Any]) -> bool:
    """Whether a function's body holds more than a docstring, `...` and `pass`."""
    try:
        tree = ast.parse(textwrap.dedent(inspect.getsource(function)))
    except (OSError, TypeError, SyntaxError):  # a lambda, or made by exec: somebody wrote something
        return True
    first = tree.body[0]
    if not isinstance(first, ast.FunctionDef):
        return True
    return not all(isinstance(node, ast.Pass) or _is_constant(node) for node in first.body)


def _is_constant(node: ast.stmt) -> bool:
    """A docstring or `...`."""
    return isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant)
