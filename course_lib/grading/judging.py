"""Judging replies. This process has never imported, and never runs, a learner's code."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from course_lib.exercises import judge
from course_lib.exercises.plain import Raised, decode
from course_lib.grading.library import NOT_YOURS
from course_lib.grading.runner import Replies
from course_lib.grading.submission import Answer

_LONGEST = 600  # characters of the words about an answer
VERDICTS = ("right", "wrong", "stopped", "not attempted", "missing")


def results_of(
    answers: Mapping[str, Answer], questions: Mapping[str, list[tuple]], replies: Replies
) -> list[dict[str, Any]]:
    """The result of every exercise, in order, as a record holds it: with the key; a verdict, one of VERDICTS, and the
    points for it; words, what went wrong; note and code, as in `Answer`. answers: all of them, attempted or not."""
    results = []
    for key, answer in answers.items():
        verdict, words = _verdict(key, answer, questions[key], replies)
        about = {"note": answer.note, "code": answer.source, "points": int(verdict == "right")}
        results.append({"key": key, "verdict": verdict, "words": words} | about)
    return results


def _verdict(key: str, answer: Answer, questions: list[tuple], replies: Replies) -> tuple[str, str]:
    if not answer.source:
        return "missing", answer.note or "There is no answer cell for it."
    if not answer.attempted:
        return "not attempted", ""
    if key not in replies.values:
        return "stopped", f"It was stopped: {replies.stopped.get(key, 'it was not reached')}."
    words = _problem(key, questions, replies)
    return ("wrong", words[:_LONGEST]) if words else ("right", "")


def _problem(key: str, questions: list[tuple], replies: Replies) -> str:
    try:
        given = decode(replies.values[key])
    except ValueError as error:
        return f"The reply cannot be read: {error}."
    if type(given) is not list:
        return "The reply is no list of answers."
    raised = {answer.kind for answer in given if type(answer) is Raised}
    if "NotYours" in raised:
        return f"{NOT_YOURS[0].upper()}{NOT_YOURS[1:]}."
    if "NotDefined" in raised:
        error = replies.errors.get(key)
        return f"The cell raised {error}." if error else "The cell defines no function of the exercise's name."
    words = judge(key, questions, given)
    if words and "NameError" in raised:
        words += " Only answer cells are run: put what yours needs, imports included, into it."
    return words
