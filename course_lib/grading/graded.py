"""One file that was handed in and what came of it, as the class and its pages are told."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any


@dataclass
class Graded:
    """One file that was handed in, and its record; or why it has none.

    learner, file: as in `Submission`. record: as `grading.one` writes it. problem: in a sentence, or "".
    """

    learner: str
    file: str
    record: dict[str, Any] | None = None
    problem: str = ""


def line_of(one: Graded) -> str:
    """A result in a line: who, the points, the level of the sandbox, and how long it took."""
    who = _printable(" ".join(one.learner.split())[:60])
    if one.record is None or one.problem:
        return f"{who}: not graded. {_printable(one.problem)}"
    points = sum(exercise["points"] for exercise in one.record["exercises"])
    most = len(one.record["exercises"])
    return f"{who}: {points} of {most}, {one.record['sandbox']}, {one.record['seconds']} s"


def _printable(text: str) -> str:
    """A text that any terminal shows and none obeys."""
    return "".join(one if one.isprintable() else "?" for one in readable(text))


def readable(name: str) -> str:
    """A name that any file can hold: what is no character of Unicode is written as its number."""
    return name.encode("utf-8", "backslashreplace").decode()
