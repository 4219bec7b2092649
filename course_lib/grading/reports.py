"""The reports of a grading: a table for the school's system, a page for each learner, and a page about the class."""

from __future__ import annotations

import csv
import hashlib
import io
import re
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import groupby
from pathlib import Path
from typing import Any

from course_lib.grading.intake import Submission
from course_lib.grading.judging import VERDICTS
from course_lib.grading.records import Rules
from course_lib.grading.trusted import trusted_notebooks
from course_lib.support.files import fill_template, write_file


@dataclass
class Row:
    """A learner.

    page: the file name of the feedback. status: "graded", "partly graded" or "not graded". reason: what an instructor
    should know. results: by exercise, of the notebooks that were handed in.
    """

    name: str
    page: str
    status: str
    reason: str
    results: dict[str, dict[str, Any]]
    pictures: list[dict[str, str]]
    seconds: float

    @property
    def total(self) -> int:
        """All points."""
        return sum(result["points"] for result in self.results.values())


def write_views(graded: Sequence[Submission], folder: Path, rules: Rules) -> None:
    """Write grades.csv, index.html and a page in feedback/ for each learner, all made from the records alone."""
    rows = [_row(name, list(files)) for name, files in groupby(graded, lambda one: one.learner)]  # sorted by learner
    exercises = _columns(rows)
    write_file(folder / "grades.csv", table(rows, exercises, rules))
    for row in rows:
        write_file(folder / "feedback" / row.page, _page("grading/feedback.html.j2", row=row, rules=rules))
    write_file(folder / "index.html", summary(rows, exercises, rules))


def _row(name: str, files: list[Submission]) -> Row:
    whole = [one.record for one in files if one.record and not one.problem]
    results: dict[str, dict[str, Any]] = {}
    for result in (result for record in whole for result in record["exercises"]):
        known = results.get(result["key"])
        if known is None or result["points"] > known["points"]:  # of two files with the same exercise the better counts
            results[result["key"]] = result
    status = "graded" if len(whole) == len(files) else "partly graded" if whole else "not graded"
    reasons = [one.problem if len(files) == 1 else f"{one.file}: {one.problem}" for one in files if one.problem]
    for key, result in results.items():
        words = result["words"] if result["verdict"] in ("stopped", "missing") else result["note"]
        reasons += [f"{key}: {words}"] if words else []
    for notebook, count in Counter(record["notebook"] for record in whole).items():
        reasons += [f"{count} files of {notebook}; the better answers count."] if count > 1 else []
    pictures = [picture for record in whole for picture in record["pictures"]]
    seconds = round(sum(record["seconds"] for record in whole), 1)
    return Row(readable(name), page_name(name), status, readable(" ".join(reasons)), results, pictures, seconds)


def page_name(name: str) -> str:
    """A file name for a learner's page: the name itself where any system allows it, else its letters and a hash."""
    if re.fullmatch(r"[a-z0-9][a-z0-9_-]{0,60}", name) and not re.search(r"-[0-9a-f]{10}$", name):
        return f"{name}.html"  # a name that ends like a hash could be another's page
    likeness = re.sub(r"[^\w-]+", "-", readable(name))[:40].strip("-")
    digest = hashlib.sha256(name.encode("utf-8", "surrogateescape")).hexdigest()[:10]
    return f"{likeness}-{digest}.html".lstrip("-")


def _columns(rows: Sequence[Row]) -> list[str]:
    """The exercises of all notebooks that anyone handed in, in the course's order."""
    seen = {key for row in rows for key in row.results}
    return [exercise.key for notebook in trusted_notebooks() for exercise in notebook.exercises if exercise.key in seen]


def table(rows: Sequence[Row], exercises: Sequence[str], rules: Rules) -> str:
    """The text of grades.csv: a row per learner, a column per exercise, empty where its notebook was not handed in."""
    file = io.StringIO()
    writer = csv.writer(file, lineterminator="\n", quoting=csv.QUOTE_NONNUMERIC)
    writer.writerow(["learner", *exercises, "total", "of", "status", "reason", "sandbox", "seconds"])
    for row in rows:
        points = [row.results[key]["points"] if key in row.results else "" for key in exercises]
        rest = [row.total, len(exercises), row.status, _harmless(row.reason), rules.sandbox, row.seconds]
        writer.writerow([_harmless(row.name), *points, *rest])
    return file.getvalue()


def _harmless(text: str) -> str:
    """A text that no spreadsheet takes for a formula."""
    return f"'{text}" if text.startswith(tuple("=+-@\t\r\n＝＋－＠")) else text


def summary(rows: Sequence[Row], exercises: Sequence[str], rules: Rules) -> str:
    """The page about the class: the distribution of the totals, and the commonest mistake in each exercise."""
    totals = Counter(row.total for row in rows if row.status != "not graded")
    spread = [(points, totals[points]) for points in range(len(exercises) + 1)]
    about = [_about(key, [row.results[key] for row in rows if key in row.results]) for key in exercises]
    return _page("grading/class.html.j2", rows=rows, spread=spread, exercises=about, verdicts=VERDICTS, rules=rules)


def _about(key: str, results: Sequence[dict[str, Any]]) -> dict[str, Any]:
    verdicts = Counter(result["verdict"] for result in results)
    said = [result["words"] for result in results if result["words"] and result["verdict"] != "missing"]
    alike: dict[str, list[str]] = {}
    for words in said:  # whose numbers differ from learner to learner
        alike.setdefault(re.sub(r"\d[\d.e+-]*", "#", words), []).append(words)
    most = max(alike.values(), key=len, default=[])
    return {"key": key, "verdicts": verdicts, "common": most[0] if most else "", "count": len(most)}


def _page(template: str, **values: Any) -> str:
    return fill_template(template, **values).encode("utf-8", "replace").decode()


def line_of(one: Submission) -> str:
    """A result in a line: who, the points, the level of the sandbox, and how long it took."""
    who = _printable(" ".join(one.learner.split())[:60])
    if one.record is None or one.problem:
        return f"{who}: not graded. {_printable(one.problem)}"
    points = sum(exercise["points"] for exercise in one.record["exercises"])
    most = len(one.record["exercises"])
    return f"{who}: {points} of {most}, {one.record['sandbox']}, {one.record['seconds']} s"


def _printable(text: str) -> str:
    """A text that a terminal shows and never takes for a command."""
    return "".join(one if one.isprintable() else "?" for one in readable(text))


def readable(name: str) -> str:
    """A name that any file can hold: what is not a Unicode character is written as its number."""
    return name.encode("utf-8", "backslashreplace").decode()
