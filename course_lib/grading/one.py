"""Grading one submission: `python -m course_lib.grading.one FOLDER SHA256 RULES`.

FOLDER is a grading's output folder, which holds the submission and the secret; RULES are given as JSON. It does nothing
where the record is there already, so that any scheduler can start it as often as it likes.
"""

from __future__ import annotations

import json
import signal
import sys
import time
from pathlib import Path
from typing import Any

import course_lib
from course_lib.grading import records
from course_lib.grading.processes import adopt_orphans, end_descendants
from course_lib.grading.records import Rules
from course_lib.grading.submission import HandedIn, find_answer, fit, read_cells
from course_lib.grading.trusted import Trusted, trusted_notebooks
from course_lib.support.errors import CourseError
from course_lib.support.executors import end_with_parent
from course_lib.support.files import read_record, write_file


def grade_here(folder: Path, submission: str, rules: Rules) -> dict[str, Any]:
    """Grade a submission in this process, unless that is done, and return its record."""
    secret = records.secret_of(folder)
    path = records.record_path(folder, submission, rules, secret)
    if record := read_record(path, records.VERSION):
        return record
    content, start = records.submission_path(folder, submission).read_bytes(), time.perf_counter()
    record = {"version": records.VERSION, "submission": submission, "sandbox": rules.sandbox}
    record |= _graded(content, submission, secret, rules, folder)
    record["seconds"] = round(time.perf_counter() - start, 1)
    write_file(path, json.dumps(record, indent=1, sort_keys=True))
    return record


def _graded(content: bytes, submission: str, secret: str, rules: Rules, folder: Path) -> dict[str, Any]:
    """What a record says about the content of a submission."""
    try:
        cells = read_cells(content)
        notebook = notebook_of(cells)
    except CourseError as error:
        return {"status": "not graded", "reason": str(error), "notebook": "", "exercises": [], "pictures": []}
    results, outputs = _results(cells, notebook, submission, secret, rules, folder)
    from course_lib.grading.pictures import pictures_of

    shown = pictures_of([*outputs, *(output for cell in cells for output in cell.outputs)])
    return {"status": "graded", "reason": "", "notebook": notebook.name, "exercises": results, "pictures": shown}


def notebook_of(cells: list[HandedIn]) -> Trusted:
    """The course's notebook that a submission answers: the one that most of its answer cells belong to.

    Raises CourseError where there is none.
    """
    best = max(trusted_notebooks(), key=lambda notebook: fit(cells, notebook.exercises))
    if not fit(cells, best.exercises):
        raise CourseError("It has no answer cell of any of the course's notebooks.")
    return best


def _results(
    cells: list[HandedIn], notebook: Trusted, submission: str, secret: str, rules: Rules, folder: Path
) -> tuple[list[dict[str, Any]], list[Any]]:
    """The results of all exercises, and the outputs of the answer cells."""
    from course_lib.exercises import find_exercise
    from course_lib.grading.judging import results_of
    from course_lib.grading.runner import collect_replies

    answers = {exercise.key: find_answer(cells, exercise) for exercise in notebook.exercises}
    known = {key: find_exercise(key) for key in answers}
    questions = {key: one.questions(records.seed_of(secret, submission, key)) for key, one in known.items()}
    attempted = {key: answer.source for key, answer in answers.items() if answer.attempted}
    hidden = [folder.absolute(), *hidden_folders()]
    replies = collect_replies(notebook, attempted, questions, known, rules, hidden)
    return results_of(answers, questions, replies), replies.outputs


def hidden_folders() -> list[Path]:
    """The course itself, wherever it is installed: the sandbox must not show it, should Python's folders hold it."""
    library = Path(course_lib.__file__).parent
    installed = [Path(entry) / "course_lib" for entry in sys.path if entry]
    clone = [library.parent] if (library.parent / "notebooks").is_dir() else []
    return list(dict.fromkeys(path.absolute() for path in [library, *installed, *clone] if path.is_dir()))


def main() -> None:
    """`python -m course_lib.grading.one FOLDER SHA256 RULES`."""
    folder, submission, given = sys.argv[1:]
    rules = Rules(**json.loads(given))
    # Bubblewrap's processes end with this one at once; at the other level it first has to end what it started.
    end_with_parent(signal.SIGKILL if rules.sandbox == "bubblewrap" else signal.SIGTERM)
    signal.signal(signal.SIGTERM, lambda *_: sys.exit("ended from outside"))  # so that what was started ends, too
    adopt_orphans()
    try:
        grade_here(Path(folder), submission, rules)
    except CourseError as error:
        sys.exit(str(error))
    finally:
        end_descendants()


if __name__ == "__main__":
    main()
