"""Asking a function questions, and taking down what it answers, as plain data.

This runs wherever the learner's function runs, and knows no right answer; judging is done elsewhere.
"""

from __future__ import annotations

import copy
from collections.abc import Callable, Sequence
from typing import Any

from course_lib.exercises.plain import Raised, plain
from course_lib.exercises.settings import SETTINGS


def ask(function: Callable[..., Any], questions: Sequence[tuple], setting: str = "") -> list[Any]:
    """What a function answers to each question, a tuple of its arguments: plain data, or `Raised`.

    It is called once for each, on copies, so that neither a change of its arguments nor a second call changes anything.
    setting: the name in SETTINGS of what stands between plain data and the function.
    """
    return [_answer(function, question, setting) for question in questions]


def _answer(function: Callable[..., Any], question: tuple, setting: str) -> Any:
    try:
        arguments = copy.deepcopy(question)
        if not setting:
            return plain(function(*arguments))
        arranged = SETTINGS[setting].arrange(*arguments)
        return plain(SETTINGS[setting].observe(function(*arranged), arranged))
    except (Exception, SystemExit) as error:  # whatever the learner's code raises is feedback, never a stop
        return Raised(type(error).__name__, _message(error))


def _message(error: BaseException) -> str:
    try:
        return str(error)[:500]
    except Exception:  # a message that cannot be written down
        return ""
