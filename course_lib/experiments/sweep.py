"""The grid of notebook 08: method x images x augmentation x seed, each cell a run of the notebook `experiment`.

`python -m course_lib sweep` runs the cells that are not finished, several at a time if asked, here or on the workers of
a Dask scheduler, and writes one table. Taught in notebook 08.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Sequence
from concurrent.futures import as_completed
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from tqdm import tqdm

from course_lib.data.crops import PARTS_OF_SCHEME
from course_lib.data.sources import GENERATED
from course_lib.evidence.results import TABLE, TABLE_VERSION
from course_lib.experiments.cells import RECORD, Cell, keep, record_of, run_apart
from course_lib.experiments.runs import code_digest
from course_lib.pretext.method import without_labels
from course_lib.support.errors import CourseError, unknown
from course_lib.support.executors import executor_of
from course_lib.support.files import read_record, write_file
from course_lib.support.machine import cpu_cores
from course_lib.support.notebooks import EXPERIMENT, find_notebooks

LEFT_OUT = (*PARTS_OF_SCHEME, "all")
_GUESS = 60.0  # seconds a cell, while none is finished


@dataclass(frozen=True)
class Grid:
    """Which cells there are: one axis at a time is moved away from the centre, one photograph and the whole scheme.

    methods: without labels. numbers: N, the images to learn from: "1" is `photograph`, "10" and "1000" are drawn from
    `photographs` (a folder, or set:NAME), "all" are the training pictures of each labelled set without their labels,
    and "0" are the two bounds, the untrained network and the supervised one. sources: other single images in the
    photograph's place. left_out: parts of the scheme. data: labelled sets. steps, pictures: as in `Cell`.
    """

    methods: Sequence[str]
    seeds: Sequence[int]
    data: Sequence[str]
    photographs: str
    numbers: Sequence[str] = ("0", "1", "10", "1000", "all")
    sources: Sequence[str] = GENERATED
    left_out: Sequence[str] = LEFT_OUT
    photograph: str = "china"
    profile: str = "quick"
    steps: int = 0
    pictures: int = 0

    @property
    def kind(self) -> str:
        """The name of its table; probes with other pictures than the profile's have a table of their own."""
        return f"{self.profile}-{self.pictures}" if self.pictures else self.profile

    def cells(self) -> list[Cell]:
        """All cells, those of a seed together, so that an interrupted grid has whole seeds."""
        self._check()
        return list(dict.fromkeys(cell for seed in self.seeds for cell in self._cells_of(seed)))

    def _check(self) -> None:
        known = without_labels(self.profile)
        for what, given, allowed in (("method", self.methods, known), ("part of the scheme", self.left_out, LEFT_OUT)):
            if wrong := [name for name in given if name not in allowed]:
                raise unknown(what, wrong[0], allowed)
        if wrong := [number for number in self.numbers if number != "all" and not number.isdigit()]:
            raise CourseError(f"N takes whole numbers and all, as in 0,1,10,1000,all; got {wrong[0]!r}")

    def _cells_of(self, seed: int) -> Iterator[Cell]:
        base = Cell("", self.photograph, 1, "", seed, ",".join(self.data), self.profile, self.steps, self.pictures)
        if "0" in self.numbers:
            yield replace(base, method="random", source="none", n=0)
            for name in self.data:
                yield replace(base, method="supervised", source=name, n=0, data=name)
        for method in self.methods:
            for source, n in self._images():
                yield replace(base, method=method, source=source, n=n)
            for left_out in self.left_out:
                yield replace(base, method=method, left_out=left_out)

    def _images(self) -> Iterator[tuple[str, int]]:
        """The sources, each with the number of pictures drawn from it; 0 takes all."""
        for number in self.numbers:
            if number == "1":
                yield self.photograph, 1
            elif number == "all":
                yield from ((f"set:{name}", 0) for name in self.data)
            elif number != "0":
                yield self.photographs, int(number)
        yield from ((source, 1) for source in self.sources)


def sweep(grid: Grid, folder: Path, jobs: int = 1, scheduler: str = "") -> Path:
    """Run the cells of a grid that are not finished below `folder`, and write the table of all that are.

    jobs: cells at a time on this machine. scheduler: the address of a Dask scheduler, whose workers run them instead.
    A cell that fails does not stop the others. Returns the table's path. Raises CourseError when any cell failed.
    """
    cells, failed = grid.cells(), []
    waiting = [cell for cell in cells if not record_of(cell, folder)]
    _warn_of_other_code(cells, folder)
    # Trainings that each take every core wait for each other, and are many times slower than one after another.
    cores = max(1, cpu_cores() // jobs) if jobs > 1 and not scheduler else 0
    done = len(cells) - len(waiting)
    with (
        executor_of(jobs, scheduler) as executor,
        tqdm(total=len(cells), initial=done, desc="cells", unit="cell", smoothing=0.1) as bar,
    ):
        running = {executor.submit(run_apart, cell, folder, cores): cell for cell in waiting}
        for future in as_completed(running):
            try:
                keep(future.result(), running[future], folder)  # again, for a worker may have another disk
            except CourseError as error:
                failed.append(f"{running[future].name}: {error}")
            bar.update()
    path = write_file(folder / TABLE, as_lines(rows_of(folder, grid.pictures)))
    if failed:
        raise CourseError(f"{len(failed)} of {len(cells)} cells failed; the first: {failed[0]}")
    return path


def expected(cells: Sequence[Cell], folder: Path) -> tuple[int, float]:
    """How many cells are still to be run, and the seconds that they will take one after another by those finished."""
    records = [record for cell in cells if (record := record_of(cell, folder))]
    mean = sum(record["seconds"] for record in records) / len(records) if records else _GUESS
    return len(cells) - len(records), (len(cells) - len(records)) * mean


def rows_of(folder: Path, pictures: int = 0) -> list[dict[str, Any]]:
    """The rows of all finished cells below `folder`, of any grid, each with its profile, code, machine and cost.

    pictures: of the probes, as in `Cell`; cells with others are left out, since theirs is another measurement.
    """
    rows = []
    for path in sorted(folder.glob(f"*/{RECORD}")):
        record = read_record(path, TABLE_VERSION)
        if record and record["cell"].get("pictures", 0) == pictures:
            origin = {key: record["cell"][key] for key in ("profile", "steps")}
            origin |= {"version": TABLE_VERSION, "code": record["code"]}
            machine = {key: record["machine"][key] for key in ("device", "torch")}
            cost = {"seconds": record["seconds"], "peak_mb": record["peak_mb"]}
            rows += [row | origin | machine | cost for row in record["rows"]]
    return rows


def as_lines(rows: Iterable[dict[str, Any]]) -> str:
    """A table's text: one line of JSON per row."""
    return "".join(json.dumps(row) + "\n" for row in rows)


def _warn_of_other_code(cells: Sequence[Cell], folder: Path) -> None:
    """Say so where finished cells were run by other code; they are kept, since a comment must not cost days of work."""
    now = code_digest(*find_notebooks([EXPERIMENT]))
    other = sum(record["code"] != now for cell in cells if (record := record_of(cell, folder)))
    if other:
        print(f"{other} finished cells were run by other code than today's and are kept; a new --out runs them again")
