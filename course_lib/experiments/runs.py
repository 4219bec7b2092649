"""Runs of notebooks into a folder: of the course, with one page about it, and of notebook 13 on many photographs."""

from __future__ import annotations

import base64
import hashlib
import io
import json
import sys
from collections.abc import Iterator, Sequence
from dataclasses import asdict
from datetime import datetime
from pathlib import Path
from typing import Any, NamedTuple
from urllib.parse import quote

import nbformat
from PIL import Image

from course_lib.data.images import list_images
from course_lib.data.loading import load_source
from course_lib.evidence.results import accuracy_table
from course_lib.experiments.execution import NotebookResult, execute
from course_lib.lessons.your_image import plain_name
from course_lib.pictures.charts import accuracy_by_layer
from course_lib.pictures.figures import photograph
from course_lib.pretext.method import without_labels
from course_lib.support.errors import CourseError
from course_lib.support.files import fill_template, hash_of_spine, make_folder, runs_folder, sha256_of, write_file
from course_lib.support.machine import describe_machine
from course_lib.support.notebooks import find_notebooks, title
from course_lib.training.trained import hash_of

CELL_SECONDS = {"quick": 1800}
"""The longest that a cell may take before it counts as hung; other profiles have no limit."""

YOURS = "13"
"""The notebook that makes a page of one photograph."""

_THUMBNAIL = (480, 360)  # pixels


def code_digest(notebook: Path) -> str:
    """A hash of everything that determines a notebook's numbers: the spine of the library and the notebook itself."""
    return hashlib.sha256((hash_of_spine("evidence") + sha256_of(notebook)).encode()).hexdigest()[:12]


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

    Writes the executed notebooks, results.json and index.html into `folder`, again after every notebook. Networks
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
        for copy in filter(None, (folder / "results.json", json_path)):
            write_file(copy, summary)
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
    return fill_template(
        "experiments/report.html.j2",
        profile=profile,
        date=datetime.now().strftime("%d %B %Y, %H:%M"),
        machine=describe_machine(),
        notebooks=[asdict(result) | _title_and_pictures(notebooks / f"{result.name}.ipynb") for result in results],
        table=accuracy_table(rows).to_html(border=0, index=False) if rows else "",
        layers=accuracy_by_layer(_of_one_source_each(rows), "Linear probes").html() if rows else "",
    )


def _of_one_source_each(rows: Sequence[dict[str, Any]]) -> list[dict[str, Any]]:
    """Of each method the rows of the source that comes first: two photographs are no two seeds of one."""
    first: dict[str, str] = {}
    return [row for row in rows if first.setdefault(row["method"], row["source"]) == row["source"]]


def _title_and_pictures(path: Path) -> dict[str, Any]:
    outputs = (output for cell in nbformat.read(path, 4).cells for output in cell.get("outputs", []))
    shown = [output.get("data", {}).get("text/html", "") for output in outputs]
    return {"title": title(path), "pictures": [html for html in shown if "<img" in html]}


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
    lines += ["", f"Pictures:  open {folder / 'index.html'} in a browser"]
    return "\n".join([*lines, f"Notebooks: {sys.executable} -m jupyterlab notebooks"])


class Entry(NamedTuple):
    """A photograph of the gallery: its name, its page as seen from the gallery's folder, "" where there is none, why
    that is, and itself, small, as JPEG in base64."""

    name: str
    page: str
    error: str
    thumbnail: str


def make_gallery(images: Sequence[Path], parameters: dict[str, Any], profile: str, folder: Path) -> list[Entry]:
    """Make a page for every photograph in `images`, files and folders of them, below `folder`, and index.html there.

    parameters: of notebook 13, which is run once for each; all methods are trained unless METHODS says otherwise. A
    page that is there already, of the same pixels, parameters and code, is kept; a training that was broken off goes
    on. A picture that cannot be used costs no other its page. Raises CourseError for a path that is not there, and for
    a folder without pictures.
    """
    paths, entries = list(photographs(images)), []
    parameters = {"METHODS": ", ".join(without_labels(profile))} | parameters
    (notebook,) = find_notebooks([YOURS])
    code = code_digest(notebook)
    for path in paths:
        entry = _entry(path, notebook, code, parameters, profile, make_folder(folder))
        print(f"{entry.name}: {entry.error or entry.page}")
        entries.append(entry)
        write_file(folder / "index.html", fill_template("experiments/gallery.html.j2", entries=entries))
    return entries


def photographs(images: Sequence[Path]) -> Iterator[Path]:
    """The picture files that paths of files and folders name, each once."""
    for path in images:
        if not path.exists():
            raise CourseError(f"{path} is not there; give --image a picture, or a folder of pictures")
    found = (one for path in images for one in (list_images(path) if path.is_dir() else [path]))
    yield from dict.fromkeys(one.absolute() for one in found)


def _entry(path: Path, notebook: Path, code: str, parameters: dict[str, Any], profile: str, folder: Path) -> Entry:
    try:
        thumbnail = _thumbnail(path)
    except CourseError as error:
        return Entry(path.name, "", str(error), "")
    facts = {"pixels": sha256_of(path), "parameters": parameters, "profile": profile, "code": code}
    place = folder / f"{plain_name(path.stem)}-{hash_of(facts)}"
    page = place / "page.html"
    if not page.exists():
        (result,) = run_notebooks({notebook: parameters | {"SOURCE": str(path)}}, profile, make_folder(place))
        if result.error:
            return Entry(path.name, "", result.error, thumbnail)
        (made,) = (place / "pages").glob("*.html")
        made.replace(page)
    return Entry(path.name, quote(page.relative_to(folder).as_posix()), "", thumbnail)


def _thumbnail(path: Path) -> str:
    """Raises CourseError for what is no picture, or too small a one to learn from."""
    small, buffer = Image.fromarray(photograph(load_source(str(path)))), io.BytesIO()
    small.thumbnail(_THUMBNAIL)
    small.save(buffer, "JPEG", quality=85)
    return base64.b64encode(buffer.getvalue()).decode()
