"""One cell of the grid of notebook 08: a run of the notebook `experiment`, in a folder of its own.

`python -m course_lib.experiments.cells FOLDER CELL` runs one cell, given as JSON, and does nothing where it is done
already; any scheduler can start it as often as it likes.
"""

from __future__ import annotations

import hashlib
import json
import os
import re
import shutil
import subprocess
import sys
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from course_lib.evidence.results import TABLE_VERSION
from course_lib.support.code import hash_of_spine
from course_lib.support.errors import CourseError
from course_lib.support.executors import ends_with_its_parent
from course_lib.support.files import make_folder, sha256_of, write_file

RECORD = "cell.json"
"""The file that a finished cell leaves in its folder."""


@dataclass(frozen=True)
class Cell:
    """What is trained and probed: the parameters of the notebook `experiment`.

    method: a pretext method, "random" or "supervised". source, n: the images; n = 0 takes all. left_out: a part of the
    scheme, as in `CropScheme.without`. data: labelled sets to probe with, and for "supervised" to learn from, with
    commas between them. steps: 0 takes the recipe's. pictures: that a probe is trained with, and as many that it is
    tested with, at most; 0 takes the profile's.
    """

    method: str
    source: str
    n: int
    left_out: str
    seed: int
    data: str
    profile: str
    steps: int = 0
    pictures: int = 0

    @property
    def name(self) -> str:
        """A folder's name that says what the cell is, and differs for every other cell."""
        parts = [self.method]
        if self.method not in ("random", "supervised"):
            parts += [f"n{self.n or 'all'}", Path(self.source).name]
        parts += [f"without-{self.left_out}"] if self.left_out else []
        readable = re.sub(r"[^\w.-]+", "-", "_".join([*parts, f"seed{self.seed}"]))
        known = {key: value for key, value in asdict(self).items() if value or key != "pictures"}  # younger than some
        facts = json.dumps(known, sort_keys=True)
        return f"{readable}_{hashlib.sha256(facts.encode()).hexdigest()[:8]}"

    def parameters(self) -> dict[str, Any]:
        """As the notebook takes them."""
        return {key.upper(): value for key, value in asdict(self).items()}


def code_digest(notebook: Path) -> str:
    """A hash of all that decides the numbers of a notebook's run: the spine of the library and the notebook."""
    return hashlib.sha256((hash_of_spine("evidence") + sha256_of(notebook)).encode()).hexdigest()[:12]


def record_of(cell: Cell, folder: Path) -> dict[str, Any] | None:
    """What a finished cell left below `folder`; None where it is not finished, or its record is not whole."""
    return read_record(folder / cell.name / RECORD)


def read_record(path: Path) -> dict[str, Any] | None:
    """A finished cell's record; None for a file that is not there, not whole, or of another version."""
    try:
        record = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return None
    return record if isinstance(record, dict) and record.get("version") == TABLE_VERSION else None


def keep(record: dict[str, Any], cell: Cell, folder: Path) -> None:
    """Write a finished cell's record, whole or not at all: the last thing that a cell does."""
    write_file(make_folder(folder / cell.name) / RECORD, json.dumps(record, indent=1))


def run_here(cell: Cell, folder: Path) -> dict[str, Any]:
    """Run a cell in this process, unless it is finished, and return its record.

    A training that was broken off goes on from its checkpoint. Raises CourseError where the notebook fails.
    """
    if record := record_of(cell, folder):
        return record
    from course_lib.experiments.runs import run_notebooks
    from course_lib.support.machine import describe_machine
    from course_lib.support.notebooks import EXPERIMENT, find_notebooks

    (path,) = find_notebooks([EXPERIMENT])
    (result,) = run_notebooks({path: cell.parameters()}, cell.profile, make_folder(folder / cell.name))
    if result.error:
        raise CourseError(f"{cell.name}: {result.error}")
    shutil.rmtree(folder / cell.name / "checkpoints", ignore_errors=True)
    record = {"version": TABLE_VERSION, "cell": asdict(cell), "code": code_digest(path), "machine": describe_machine()}
    record |= {"seconds": result.seconds, "peak_mb": result.peak_mb, "rows": result.probes}
    keep(record, cell, folder)
    return record


def run_apart(cell: Cell, folder: Path, cores: int = 0) -> dict[str, Any]:
    """Run a cell in a process of its own, which ends with this one; what it cost in memory goes with it.

    cores: that it may use; 0 leaves it all, and so does an OMP_NUM_THREADS that was set outside. Raises CourseError
    where the notebook fails. A function of plain values, so that a scheduler can call it elsewhere.
    """
    command = [sys.executable, "-m", "course_lib.experiments.cells", str(folder), json.dumps(asdict(cell))]
    shared = {"OMP_NUM_THREADS": str(cores)} if cores else {}
    done = subprocess.run(
        command, capture_output=True, text=True, preexec_fn=ends_with_its_parent(), env=shared | os.environ
    )
    record = record_of(cell, folder)
    if done.returncode or record is None:
        said = done.stderr.strip().splitlines() if done.returncode else []
        raise CourseError(said[-1] if said else f"{cell.name}: its process left no record (exit {done.returncode})")
    return record


def main() -> None:
    """`python -m course_lib.experiments.cells FOLDER CELL`."""
    folder, cell = sys.argv[1:]
    try:
        run_here(Cell(**json.loads(cell)), Path(folder))
    except CourseError as error:
        sys.exit(str(error))


if __name__ == "__main__":
    main()
