"""What a learner did, in one file on this machine: attempts, hints taken, predictions, answers to quizzes.

It is sent nowhere. `journal_path` says where it is; delete the file to start over. Two notebooks that write at the same
instant may lose one of two notes, but never the file.
"""

from __future__ import annotations

import copy
import json
import os
from collections.abc import Callable
from datetime import datetime
from pathlib import Path
from typing import Any

from course_lib.support.errors import CourseError
from course_lib.support.files import cache_folder, make_folder, user_path, write_file

_EMPTY: dict[str, Any] = {"version": 1, "attempts": [], "hints": {}, "predictions": {}, "quizzes": {}}
_LONGEST = 2_000  # attempts kept

_unsaved: dict[Path | None, dict[str, Any]] = {}  # what could not be written, for as long as this process lives


def journal_path() -> Path:
    """The file: $COURSE_JOURNAL, or journal.json in the cache folder. A run of the whole course has its own.

    Raises CourseError where its folder cannot be written to, or where a folder stands in its place.
    """
    given = os.environ.get("COURSE_JOURNAL")
    path = user_path(given).absolute() if given else cache_folder() / "journal.json"
    if path.is_dir():
        raise CourseError(f"{path} is a folder, and the journal is a file; give COURSE_JOURNAL a file's path")
    return make_folder(path.parent) / path.name


def read_journal() -> dict[str, Any]:
    """All that was noted: attempts, a list; hints, predictions and quizzes, by their ids.

    A file that is damaged, or not a journal, is moved aside with a message.
    """
    path = _path()
    if path in _unsaved:
        return copy.deepcopy(_unsaved[path])
    if path is None or not path.exists():
        return copy.deepcopy(_EMPTY)
    try:
        found = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError, RecursionError):
        found = None
    return found if _is_journal(found) else _start_over(path)


def _path() -> Path | None:
    """The journal's path; None where nothing can be written, and only this process remembers."""
    try:
        return journal_path()
    except CourseError:
        return None


def _is_journal(found: Any) -> bool:
    whole = isinstance(found, dict) and found.get("version") == _EMPTY["version"]
    return whole and all(isinstance(found.get(name), type(empty)) for name, empty in _EMPTY.items())


def _start_over(path: Path) -> dict[str, Any]:
    aside = path.with_name(f"{path.name}.{datetime.now():%Y-%m-%d_%H-%M-%S}")
    try:
        path.replace(aside)
        print(f"{path} cannot be read as a journal; it was moved to {aside}, and a new one begins.")
    except OSError as error:
        print(f"{path} cannot be read as a journal ({error.strerror}); a new one begins, for this session.")
    return copy.deepcopy(_EMPTY)


def _write(change: Callable[[dict[str, Any]], None]) -> None:
    """Read the journal, change it, and write all of it; a disk that refuses it causes a message, and nothing else."""
    path, journal = _path(), read_journal()
    change(journal)
    try:
        write_file(journal_path(), json.dumps(journal, indent=1))
        _unsaved.pop(path, None)
    except CourseError as error:
        if path not in _unsaved:
            print(f"Your journal is kept for this session only. {error}")
        _unsaved[path] = journal


def _now() -> str:
    return datetime.now().isoformat(timespec="seconds")


def note_attempt(key: str, right: bool) -> None:
    """An attempt at an exercise, as `check` saw it."""
    entry = {"key": key, "right": right, "time": _now()}
    _write(lambda journal: journal.update(attempts=[*journal["attempts"], entry][-_LONGEST:]))


def was_attempted(key: str) -> bool:
    """Whether `check` has ever seen an attempt at this exercise."""
    return any(isinstance(entry, dict) and entry.get("key") == key for entry in read_journal()["attempts"])


def hints_taken(key: str) -> int:
    """How many stages of hints a learner has seen of an exercise."""
    taken = read_journal()["hints"].get(key, 0)
    return taken if isinstance(taken, int) else 0


def note_hints(key: str, taken: int) -> None:
    """How many stages of hints were seen."""
    _write(lambda journal: journal["hints"].update({key: taken}))


def note_prediction(key: str, choice: str, confidence: int) -> None:
    """What a learner expects to come out, and how sure of it, in percent; the last one before the outcome counts."""
    entry = {"choice": choice, "confidence": confidence, "time": _now()}
    _write(lambda journal: journal["predictions"].update({key: entry}))


def note_outcome(key: str, outcome: str) -> None:
    """What came out, beside the prediction; the first outcome stays, so that nobody is wise after the event."""
    _write(lambda journal: journal["predictions"][key].setdefault("outcome", outcome))


def prediction_of(key: str) -> dict[str, Any]:
    """What a learner said: choice, confidence in percent, and outcome where it is known; {} where nothing was said."""
    return predictions().get(key, {})


def predictions() -> dict[str, dict[str, Any]]:
    """All predictions by their ids; entries that are not predictions are left out."""
    said = read_journal()["predictions"]
    return {key: one for key, one in said.items() if isinstance(one, dict) and {"choice", "confidence"} <= set(one)}


def note_quiz(key: str, choice: str, right: bool) -> None:
    """The first answer to a question, and the number of tries."""

    def change(journal: dict[str, Any]) -> None:
        entry = journal["quizzes"].setdefault(key, {"first": choice, "right": right, "tries": 0, "time": _now()})
        entry["tries"] += 1

    _write(change)
