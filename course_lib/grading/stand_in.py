"""What `course_lib.exercises` is in the sandbox: it hands functions back unjudged, and asks them questions.

It is copied there in place of the package, which holds the answers' formulas; only `asking` and `plain` come with it.
It runs among the learner's code and so promises nothing: what it writes is a claim, judged elsewhere.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

_handed_in: dict[str, Callable[..., Any]] = {}


class NotYours(Exception):
    """The course's own function was called in the place of an answer."""


class NotDefined(Exception):
    """There is no function to ask."""


def check(key: str, function: Callable[..., Any]) -> Callable[..., Any]:
    """Keep the function for the questions, and go on with it."""
    _handed_in[key] = function
    return function


def reply(key: str, function: Callable[..., Any] | None, setting: str, questions: str, place: str) -> None:
    """Write to `place` what the function answers to the questions in a file; each is asked once."""
    from course_lib.exercises.asking import ask
    from course_lib.exercises.plain import decode, encode

    asked = decode(json.loads(Path(questions).read_text()))
    answers = ask(_handed_in.get(key) or function or _nothing, asked, setting)
    written = Path(f"{place}.new")
    written.unlink(missing_ok=True)
    written.write_text(json.dumps(encode(answers)))
    written.replace(place)


def _nothing(*_: Any) -> None:
    raise NotDefined("the answer cell defines no function of the exercise's name")


def __getattr__(name: str) -> Callable[..., None]:
    """Hints, predictions and whatever else a learner left in an answer cell: nothing happens."""
    if name.startswith("__"):
        raise AttributeError(name)
    return lambda *_, **__: None
