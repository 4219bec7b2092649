"""A run of the course: notebooks executed in order into a fresh folder, and what came of it on one page."""

from __future__ import annotations

import json
import sys
from collections.abc import Sequence
from dataclasses import asdict
from datetime import datetime
from pathlib import Path
from typing import Any

import nbformat

from course_lib.evidence.results import accuracy_table
from course_lib.experiments.execution import NotebookResult, execute
from course_lib.pictures.charts import accuracy_by_layer
from course_lib.support.errors import CourseError
from course_lib.support.files import make_folder, runs_folder, write_file
from course_lib.support.machine import describe_machine
from course_lib.support.templates import templates

CELL_SECONDS = {"quick": 1800}
"""The longest that a cell may take before it counts as hung; other profiles have no limit."""


def new_run_folder(out: Path | None = None) -> Path:
    """A fresh folder: `out`, or one named by the time below runs/.

    Raises CourseError where `out` holds something, so that no earlier run is written over.
    """
    if out is None:
        out = runs_folder() / datetime.now().strftime("%Y-%m-%d_%H-%M-%S")
        while out.exists():  # two runs in one second
            out = out.with_name(out.name + "+")
    folder = make_folder(out)
    if any(folder.iterdir()):
        raise CourseError(f"{folder} is not empty; give a new folder, so that nothing in it is written over")
    return folder


def run_notebooks(
    parameters: dict[Path, dict[str, Any]], profile: str, folder: Path, json_path: Path | None = None
) -> list[NotebookResult]:
    """Execute the notebooks that are the keys of `parameters`, in order; a failed one does not stop the next.

    Writes the executed notebooks, results.json and index.html into `folder`, after every notebook anew. Networks
    trained by one notebook are loaded by the next, but nothing is taken from an earlier run.
    """
    results: list[NotebookResult] = []
    notebooks = make_folder(folder / "notebooks")
    environment = {"COURSE_LIVE": "0", "COURSE_RUNS": str(folder), "COURSE_JOURNAL": str(folder / "journal.json")}
    for path, values in parameters.items():
        result = execute(path, notebooks / path.name, values, environment, CELL_SECONDS.get(profile))
        results.append(result)
        print(f"{result.name}: {result.status}, {result.seconds} s, {result.peak_mb:.0f} MB", file=sys.stderr)
        summary = json.dumps(summarise(results, profile), indent=1)
        write_file(folder / "results.json", summary)
        if json_path:
            write_file(json_path, summary)
        write_file(folder / "index.html", report(results, profile, notebooks))
    return results


def summarise(results: Sequence[NotebookResult], profile: str) -> dict[str, Any]:
    """The content of results.json."""
    keys = ("name", "status", "seconds", "peak_mb", "error")
    return {
        "profile": profile,
        "machine": describe_machine(),
        "notebooks": [{key: asdict(result)[key] for key in keys} for result in results],
        "probes": [row for result in results for row in result.probes],
        "measures": [row for result in results for row in result.measures],
    }


def report(results: Sequence[NotebookResult], profile: str, notebooks: Path) -> str:
    """One HTML page, complete in itself, with the figures and all pictures of the executed notebooks."""
    rows = [row for result in results for row in result.probes]
    return (
        templates()
        .get_template("experiments/report.html.j2")
        .render(
            profile=profile,
            date=datetime.now().strftime("%d %B %Y, %H:%M"),
            machine=describe_machine(),
            notebooks=[asdict(result) | _title_and_pictures(notebooks / f"{result.name}.ipynb") for result in results],
            table=accuracy_table(rows).to_html(border=0, index=False) if rows else "",
            layers=accuracy_by_layer(_of_one_source_each(rows), "Linear probes").html() if rows else "",
        )
    )


def _of_one_source_each(rows: Sequence[dict[str, Any]]) -> list[dict[str, Any]]:
    """Of each method the rows of the source that comes first: two photographs are no two seeds of one."""
    first: dict[str, str] = {}
    return [row for row in rows if first.setdefault(row["method"], row["source"]) == row["source"]]


def _title_and_pictures(path: Path) -> dict[str, Any]:
    notebook = nbformat.read(path, 4)
    pictures = [
        output.data["text/html"]
        for cell in notebook.cells
        for output in cell.get("outputs", [])
        if "<img" in output.get("data", {}).get("text/html", "")
    ]
    lines = [line for cell in notebook.cells if cell.cell_type == "markdown" for line in cell.source.splitlines()]
    title = next((line.removeprefix("# ") for line in lines if line.startswith("# ")), path.stem)
    return {"title": title, "pictures": pictures}


def describe(results: Sequence[NotebookResult], folder: Path) -> str:
    """What a run prints at its end."""
    width = max(len(result.name) for result in results)
    lines = [f"{'notebook':{width}}  status  seconds  peak MB"]
    for r in results:
        lines.append(f"{r.name:{width}}  {r.status:6}  {r.seconds:7.1f}  {r.peak_mb:7.0f}")
    lines += [f"{r.name} failed: {r.error}" for r in results if r.error]
    rows = [row for result in results for row in result.probes]
    if rows:
        lines += ["", "Linear probes, test accuracy in %:", accuracy_table(rows).to_string(index=False)]
    lines += [
        "",
        f"Pictures:  open {folder / 'index.html'} in a browser",
        f"Notebooks: {sys.executable} -m jupyterlab notebooks",
    ]
    return "\n".join(lines)
