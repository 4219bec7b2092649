"""One cell of the grid of notebook 08: a run of the notebook `experiment`, in a folder of its own.

`python -m course_lib.experiments.cells FOLDER CELL` runs one cell, given as JSON, and does nothing where the cell is
finished already; any scheduler can start it as often as it likes.
"""

from __future__ import annotations

import hashlib
import json
import os
import re
import shutil
import sys
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from course_lib.evidence.results import TABLE_VERSION
from course_lib.support.errors import CourseError
from course_lib.support.executors import end_with_parent, run_module
from course_lib.support.files import make_folder, read_record, write_file
from course_lib.support.machine import describe_machine
from course_lib.support.notebooks import EXPERIMENT, find_notebooks

RECORD = "cell.json"
"""The file that a finished cell leaves in its folder."""


@dataclass(frozen=True)
class Cell:
    """What is trained and probed: the parameters of the notebook `experiment`.

    method: a pretext method, "random" or "supervised". source, n: the images; n = 0 takes all. left_out: a part of the
    scheme, as in `CropScheme.without`. data: labelled sets to probe with, and for "supervised" to learn from, with
    commas between them. steps: 0 takes the recipe's. pictures: the most that a probe is trained with, and the most that
    it is tested with; 0 takes the profile's numbers.
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
        """The name of the cell's folder: readable, and different for every other cell."""
        parts = [self.method]
        if self.method not in ("random", "supervised"):
            parts += [f"n{self.n or 'all'}", Path(self.source).name]
        parts += [f"without-{self.left_out}"] if self.left_out else []
        readable = re.sub(r"[^\w.-]+", "-", "_".join([*parts, f"seed{self.seed}"]))
        known = {key: value for key, value in asdict(self).items() if value or key != "pictures"}
        facts = json.dumps(known, sort_keys=True)  # without `pictures` as long as it is 0, since older cells have none
        return f"{readable}_{hashlib.sha256(facts.encode()).hexdigest()[:8]}"

    def parameters(self) -> dict[str, Any]:
        """The fields under the names that the notebook's parameters have."""
        return {key.upper(): value for key, value in asdict(self).items()}


def record_of(cell: Cell, folder: Path) -> dict[str, Any] | None:
    """The record of a finished cell below `folder`; None where the cell is not finished or its record not whole."""
    return read_record(folder / cell.name / RECORD, TABLE_VERSION)


def keep(record: dict[str, Any], cell: Cell, folder: Path) -> None:
    """Write a finished cell's record, whole or not at all: the last thing that a cell does."""
    write_file(folder / cell.name / RECORD, json.dumps(record, indent=1))


def run_here(cell: Cell, folder: Path) -> dict[str, Any]:
    """Run a cell in this process, unless it is finished, and return its record.

    An interrupted training resumes from its checkpoint. Raises CourseError where the notebook fails.
    """
    if record := record_of(cell, folder):
        return record
    from course_lib.experiments.runs import code_digest, run_notebooks

    (path,) = find_notebooks([EXPERIMENT])
    (result,) = run_notebooks({path: cell.parameters()}, cell.profile, make_folder(folder / cell.name))
    if result.error:
        raise CourseError(result.error)
    shutil.rmtree(folder / cell.name / "checkpoints", ignore_errors=True)
    record = {"version": TABLE_VERSION, "cell": asdict(cell), "code": code_digest(path), "machine": describe_machine()}
    record |= {"seconds": result.seconds, "peak_mb": result.peak_mb, "rows": result.probes}
    keep(record, cell, folder)
    return record


def run_apart(cell: Cell, folder: Path, cores: int = 0) -> dict[str, Any]:
    """Run a cell in a process of its own, which ends with this one; the memory that it took is freed with it.

    cores: how many it may use; 0 sets no limit, and an OMP_NUM_THREADS that was set outside goes before it. Raises
    CourseError where the notebook fails. A function of plain values, so that a scheduler can call it elsewhere.
    """
    limit = {"OMP_NUM_THREADS": str(cores)} if cores else {}
    arguments = [str(folder), json.dumps(asdict(cell))]
    return run_module(__name__, arguments, lambda: record_of(cell, folder), environment=limit | os.environ)


def main() -> None:
    """`python -m course_lib.experiments.cells FOLDER CELL`."""
    end_with_parent()
    folder, cell = sys.argv[1:]
    try:
        run_here(Cell(**json.loads(cell)), Path(folder))
    except CourseError as error:
        sys.exit(str(error))


if __name__ == "__main__":
    main()
