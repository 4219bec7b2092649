"""Grading a class: every submission in a process of its own, and the views of what came of it.

What is finished is never run again, whoever was killed: the records are kept, and the views are made from them.
"""

from __future__ import annotations

import fcntl
import hashlib
import json
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Executor, Future, as_completed
from contextlib import contextmanager
from dataclasses import asdict
from pathlib import Path
from typing import Any

from course_lib.grading.intake import Submission, take_in
from course_lib.grading.records import MOST_RUNS, VERSION, Rules, record_path, secret_of, submission_path
from course_lib.grading.reports import line_of, write_views
from course_lib.grading.runner import remove_leftovers
from course_lib.grading.sandbox import require_level
from course_lib.grading.trusted import trusted_notebooks
from course_lib.support.errors import CourseError
from course_lib.support.executors import executor_of, run_module
from course_lib.support.files import make_folder, read_record, write_file

_BESIDES = 120  # seconds that a run, and the judging, may take beside the learner's cells


def grade(
    paths: Sequence[Path],
    folder: Path,
    rules: Rules,
    jobs: int = 1,
    scheduler: str = "",
    secret: str = "",
    say: Callable[[str], None] = print,
) -> list[Submission]:
    """Grade all submissions in these files, folders and zips into `folder`, and write the views.

    jobs: submissions at a time, here. scheduler: the address of a Dask scheduler whose workers grade instead, and see
    `folder` by the same path. say: is given a line for each result. Whatever a submission holds or does, it is one
    result and stops no other. Raises CourseError where the sandbox does not work here, and where another grading is
    writing to the folder.
    """
    if not scheduler:
        require_level(rules.sandbox)
    if inside := [path for path in paths if path.resolve() in (folder.resolve(), *folder.resolve().parents)]:
        raise CourseError(f"{folder} lies in {inside[0]}, and would be graded with it; choose another --out")
    folder = make_folder(folder)
    with _alone_in(folder):
        remove_leftovers()
        secret_of(folder, secret)
        with executor_of(jobs, scheduler) as executor:
            graded = _graded(paths, folder, rules, executor, say)
        write_views(graded, folder, rules)
    return graded


def _graded(
    paths: Sequence[Path], folder: Path, rules: Rules, executor: Executor, say: Callable[[str], None]
) -> list[Submission]:
    graded: list[Submission] = []
    futures: dict[str, Future] = {}  # by the SHA-256 of the content: twice the same file is graded once
    waiting: dict[Future, list[Submission]] = {}
    for one in take_in(paths, [notebook.name for notebook in trusted_notebooks()]):
        graded.append(one)
        if one.problem:
            say(line_of(one))
            continue
        name = hashlib.sha256(one.content).hexdigest()
        if name not in futures:
            if not submission_path(folder, name).exists():
                write_file(submission_path(folder, name), one.content)
            futures[name] = executor.submit(grade_apart, str(folder), name, rules)
        one.content = b""
        waiting.setdefault(futures[name], []).append(one)
    for future in as_completed(waiting):
        try:
            record = future.result()
            problem = record["reason"]
        except CourseError as error:
            record, problem = None, f"It could not be graded: {error}"
        for one in waiting[future]:
            one.record, one.problem = record, problem
            say(line_of(one))
    return sorted(graded, key=lambda one: (one.learner, one.file))


def grade_apart(folder: str, submission: str, rules: Rules) -> dict[str, Any]:
    """Grade one submission in a process that ends with this one; returns its record.

    Raises CourseError where that process leaves none. A function of plain values, so that a scheduler can call it.
    """
    path = record_path(Path(folder), submission, rules, secret_of(Path(folder)))
    longest = (MOST_RUNS + 1) * (rules.total + _BESIDES) + _BESIDES
    arguments = [folder, submission, json.dumps(asdict(rules))]
    return run_module("course_lib.grading.one", arguments, lambda: read_record(path, VERSION), longest)


@contextmanager
def _alone_in(folder: Path) -> Iterator[None]:
    with (folder / ".lock").open("w") as file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            raise CourseError(f"another grading writes to {folder}; wait for it, or choose another --out") from None
        yield
