"""Running a submission in the sandbox until every exercise that can reply has replied.

Where code ends the kernel, or the sandbox, or takes the later replies away, the first exercise without a reply is the
culprit: it is left out, and the rest runs again, so that the others keep their points. A kernel that was told to end
may answer a few cells more; so what died with it is asked once again by itself.
"""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import psutil

from course_lib.exercises import Exercise
from course_lib.exercises.plain import encode
from course_lib.grading.bubblewrap import Job
from course_lib.grading.intake import open_regular
from course_lib.grading.library import copy_library
from course_lib.grading.records import MOST_RUNS, Rules
from course_lib.grading.sandbox import limits, run
from course_lib.grading.trusted import Trusted, assemble
from course_lib.support.errors import CourseError
from course_lib.support.files import write_file

_PREFIX = "course-grading-"
_LARGEST_REPLY, _LARGEST_REPORT = 20_000_000, 30_000_000  # bytes
_MOST_VALUES = 1_000_000  # in one of these files: each takes a hundred times its bytes of memory
_OUTSIDE = {
    "total": "the whole took more than {total} seconds",
    "memory": "it took more memory than a submission may have",
    "disk": "it wrote more than a submission may",
}
_INSIDE = {
    "time": "it took more than {cell} seconds of the processor, or did nothing for longer",
    "deaf": "it took more than {cell} seconds of the processor, and could not be interrupted",
    "died": "it ended the kernel",
    "total": "the whole took more than {total} seconds",
}


@dataclass
class Replies:
    """What came out of the sandbox: claims.

    values: the replies by exercise, as JSON. errors: what an answer cell raised. stopped: why there is no reply, in
    words. outputs: what answer cells showed.
    """

    values: dict[str, Any] = field(default_factory=dict)
    errors: dict[str, str] = field(default_factory=dict)
    stopped: dict[str, str] = field(default_factory=dict)
    outputs: list[Any] = field(default_factory=list)


def collect_replies(
    trusted: Trusted,
    answers: Mapping[str, str],
    questions: Mapping[str, list[tuple]],
    exercises: Mapping[str, Exercise],
    rules: Rules,
    hidden: Sequence[Path],
) -> Replies:
    """Run a submission's answers, and return what came of it.

    answers: the learner's cell for each exercise that was attempted, in order. exercises: all of the notebook's, whose
    functions become stubs. hidden: folders that the sandbox must not show. Raises CourseError where the sandbox failed
    before any of the learner's code was run.
    """
    replies, asked = Replies(), dict(answers)
    with _workplace() as place:
        copy_library(place / "library", [exercise.answer for exercise in exercises.values()])

        def run_once(folder: str, asked: Mapping[str, str]) -> list[str]:
            """Ask these, and return the exercises that did not reply."""
            job = Job(place / folder / "input", place / "library", place / folder / "work")
            seen = job.seen(rules.sandbox)
            settings = {key: exercises[key].setting for key in asked}
            notebook = assemble(trusted, asked, settings, seen.input, seen.work)
            _prepare(job, notebook, {key: encode(questions[key]) for key in asked}, rules)
            command = [sys.executable, str(seen.input / "inside.py"), str(seen.input / "rules.json")]
            end = run(job, command, rules.sandbox, rules.total, hidden)
            if end.ready != "ready":
                raise CourseError(f"the sandbox did not start: {end.ready}")
            return _take(job, asked, end.why, rules, replies)

        for attempt in range(MOST_RUNS):
            missing = run_once(str(attempt), asked) if asked else []
            if len(missing) < 2:  # without it the others would reply no more than they did
                break
            del asked[missing[0]]
        late = {key: answer for key, answer in answers.items() if key not in replies.values}
        # A kernel may die some cells after the one that ended it.
        if _INSIDE["died"] in replies.stopped.values() and len(late) < len(answers):
            run_once("late", late)
    return replies


@contextmanager
def _workplace() -> Iterator[Path]:
    """A folder that is gone in the end, however deep or closed what was made in it."""
    folder = Path(tempfile.mkdtemp(prefix=f"{_PREFIX}{os.getpid()}-"))
    folder.chmod(0o711)  # where root is the grader, the code runs as another user
    try:
        yield folder
    finally:
        _remove(folder)


def remove_leftovers() -> None:
    """Remove the folders that killed gradings left behind."""
    for folder in Path(tempfile.gettempdir()).glob(f"{_PREFIX}*-*"):
        pid = folder.name.removeprefix(_PREFIX).partition("-")[0]
        if folder.lstat().st_uid == os.getuid() and pid.isdigit() and not psutil.pid_exists(int(pid)):
            _remove(folder)


def _remove(folder: Path) -> None:
    """As the shell does it: shutil.rmtree gives up a thousand folders deep."""
    for command in (["chmod", "-R", "u+rwX"], ["rm", "-rf"]):
        subprocess.run([*command, "--", str(folder)], capture_output=True)


def _prepare(job: Job, notebook: dict[str, Any], questions: Mapping[str, Any], rules: Rules) -> None:
    seen = job.seen(rules.sandbox)
    job.work.mkdir(parents=True)
    for key, asked in questions.items():
        write_file(job.input / f"{key}.json", json.dumps(asked))
    write_file(job.input / "notebook.ipynb", json.dumps(notebook))
    shutil.copy(Path(__file__).with_name("inside.py"), job.input / "inside.py")
    told = {"notebook": str(seen.input / "notebook.ipynb"), "report": str(seen.work / "report.json")}
    told |= {"cell": rules.cell, "total": rules.total, "limits": limits(rules.total)}
    write_file(job.input / "rules.json", json.dumps(told))


def _take(job: Job, asked: Mapping[str, str], ended: str, rules: Rules, replies: Replies) -> list[str]:
    """Add what a run left behind; returns the exercises that still have no reply. The first reply of each counts."""
    report = read_claim(job.work / "report.json", _LARGEST_REPORT)
    report = report if isinstance(report, dict) else {}
    for key in asked:
        answer, probe = _part(report, f"answer {key}"), _part(report, f"probe {key}")
        if key not in replies.values:
            value = read_claim(job.work / f"{key}.json", _LARGEST_REPLY)
            if value is not None:
                replies.values[key] = value
                replies.errors[key] = str(answer.get("error", ""))[:500]
                outputs = answer.get("outputs")
                replies.outputs += outputs if isinstance(outputs, list) else []
            else:
                how = next((part["ended"] for part in (answer, probe) if part.get("ended") in tuple(_INSIDE)), "")
                words = _OUTSIDE.get(ended) or _INSIDE.get(how) or "no reply came out of it"
                replies.stopped.setdefault(key, words.format(cell=rules.cell, total=rules.total))
    return [key for key in asked if key not in replies.values]


def _part(report: dict[str, Any], name: str) -> dict[str, Any]:
    part = report.get(name)
    return part if isinstance(part, dict) else {}


def read_claim(path: Path, limit: int) -> Any:
    """The JSON in a file that a learner's code may have written, or None where it is anything but a file of JSON.

    No link is followed, no pipe is waited for, and nothing is unpickled.
    """
    try:
        with open_regular(path) as file:
            content = file.read(limit + 1)
        values = sum(content.count(mark) for mark in (b"[", b"{", b","))
        return json.loads(content) if len(content) <= limit and values <= _MOST_VALUES else None
    except (CourseError, OSError, ValueError, RecursionError):
        return None
