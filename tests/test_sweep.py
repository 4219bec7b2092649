"""The grid: which cells there are, that each is run once whatever happens, here and by a scheduler, and its table.

The cells run a stand-in for the notebook that trains nothing, so that a whole grid takes seconds.
"""

from __future__ import annotations

import json
import os
import random
import signal
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Callable
from dataclasses import asdict
from pathlib import Path

import psutil
import pytest
from click.testing import CliRunner
from conftest import ROOT, need
from nbformat.v4 import new_code_cell, new_notebook

from course_lib.__main__ import main
from course_lib.data.crops import CropScheme
from course_lib.evidence.results import TABLE_VERSION, load_table, own_table
from course_lib.experiments import cells, sweep
from course_lib.experiments.cells import RECORD, Cell, record_of, run_apart
from course_lib.experiments.sweep import Grid, expected
from course_lib.support import executors
from course_lib.support.errors import CourseError
from course_lib.support.files import runs_folder
from course_lib.support.notebooks import EXPERIMENT, find_notebooks, read_parameters, write_notebook

STANDS_IN = """
import os, time
from IPython.display import display

with open(os.environ["RAN"], "a") as log:
    print(METHOD, SEED, LEFT_OUT, file=log)
if METHOD == os.environ.get("FAILS"):
    raise ValueError("this method fails here")
time.sleep(float(os.environ.get("LASTS", 0)))
same = {"method": METHOD, "source": SOURCE, "n": N, "data": DATA, "left_out": LEFT_OUT, "seed": SEED}
rows = [same | {"layer": "conv1", "accuracy": 0.5 + SEED / 100, "low": 0.4, "high": 0.6}]
display({"application/vnd.course-lib.probes+json": rows, "text/plain": "rows"}, raw=True)
"""

MACHINE = {"device": "2 CPU cores", "torch": "2"}

PATCH = """
from pathlib import Path
import course_lib.support.notebooks

course_lib.support.notebooks.notebooks_folder = lambda: Path({folder!r})
"""


@pytest.fixture
def log(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The stand-in in place of the course's notebook, in all processes started here; gives the log of its runs."""
    folder = tmp_path / "stand-in"
    folder.mkdir()
    parameters = (find_notebooks([EXPERIMENT])[0], read_parameters(find_notebooks([EXPERIMENT])[0]))[1]
    first = new_code_cell("\n".join(f"{k} = {v!r}" for k, v in parameters.items()), metadata={"tags": ["parameters"]})
    kernel = {"kernelspec": {"name": "python3", "display_name": "Python 3", "language": "python"}}
    write_notebook(
        folder / f"{EXPERIMENT}.ipynb", new_notebook(cells=[first, new_code_cell(STANDS_IN)], metadata=kernel)
    )
    (folder / "sitecustomize.py").write_text(PATCH.format(folder=str(folder)))
    monkeypatch.setenv("PYTHONPATH", os.pathsep.join([str(folder), str(ROOT)]))
    monkeypatch.setenv("RAN", str(tmp_path / "ran.log"))
    monkeypatch.setattr("course_lib.support.notebooks.notebooks_folder", lambda: folder)
    return tmp_path / "ran.log"


def grid(**changes: object) -> Grid:
    given = {"methods": ["rotnet"], "seeds": [0], "data": ["photos10"], "photographs": "set:photos10"}
    return Grid(**(given | {"numbers": ["1"], "sources": [], "left_out": []} | changes))


def cell(**changes: object) -> Cell:
    return Cell(**({"method": "rotnet", "source": "china", "n": 1, "left_out": ""} | BASE | changes))


BASE = {"seed": 0, "data": "photos10", "profile": "quick"}


@pytest.fixture
def stand_in(monkeypatch: pytest.MonkeyPatch) -> Callable[..., list[dict[str, str]]]:
    """Puts a function in the place of the process of a cell, for what is decided around it; gives the environments that
    it was called with."""

    def put(record: Callable[[Cell, Path], object] = lambda *_: None) -> list[dict[str, str]]:
        seen: list[dict[str, str]] = []

        def run(command: list[str], env: dict[str, str], **_: object) -> subprocess.CompletedProcess[str]:
            seen.append(env)
            folder, facts = command[-2:]
            record(Cell(**json.loads(facts)), Path(folder))
            return subprocess.CompletedProcess(command, 0, "", "")

        monkeypatch.setattr(executors.subprocess, "run", run)
        return seen

    return put


def recorded(cell: Cell, folder: Path) -> None:
    """The record of a cell that was run by other code."""
    row = {"method": cell.method, "layer": "conv1", "seed": cell.seed, "left_out": cell.left_out, "accuracy": 0.5}
    record = {"version": TABLE_VERSION, "cell": asdict(cell), "code": "another", "machine": MACHINE}
    cells.keep(record | {"seconds": 1.0, "peak_mb": 1.0, "rows": [row]}, cell, folder)


def ran(log: Path) -> list[str]:
    return log.read_text().splitlines() if log.exists() else []


def test_one_axis_at_a_time_about_the_centre() -> None:
    found = Grid(["rotnet", "bigan"], [0, 1], ["photos10", "cifar10"], "/photos").cells()
    of_rotnet = [c for c in found if c.method == "rotnet" and c.seed == 1]
    assert {(c.source, c.n) for c in of_rotnet if not c.left_out} == {
        ("china", 1),
        ("/photos", 10),
        ("/photos", 1000),
        ("set:photos10", 0),
        ("set:cifar10", 0),
        ("noise", 1),
        ("flat", 1),
        ("dead_leaves", 1),
    }
    assert {(c.source, c.n, c.left_out) for c in of_rotnet if c.left_out} == {
        ("china", 1, part) for part in ("crop", "rotation", "colour", "flip", "all")
    }
    assert Counter(c.method for c in found) == {"rotnet": 26, "bigan": 26, "random": 2, "supervised": 4}
    assert {c.data for c in found if c.method == "supervised"} == {"photos10", "cifar10"}
    assert len({c.name for c in found}) == len(found), "every cell has a folder of its own"


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"methods": ["supervised"]}, "no method called 'supervised'"),
        ({"left_out": ["blur"]}, "no part of the scheme called 'blur'"),
        ({"numbers": ["some"]}, "N takes whole numbers and all"),
    ],
)
def test_axes_that_are_none(change: dict[str, list[str]], words: str) -> None:
    with pytest.raises(CourseError, match=words):
        grid(**change).cells()


def test_the_notebook_takes_what_a_cell_gives() -> None:
    taken = read_parameters(find_notebooks([EXPERIMENT])[0])
    assert set(cell().parameters()) == set(taken) - {"OR_QUICK"}
    for part in sweep.LEFT_OUT:
        assert CropScheme().without(part) != CropScheme()


def test_names_differ_where_cells_do_and_hold_no_path() -> None:
    one, other = cell(source="/home/ada/my photos"), cell(source="/home/bob/my photos")
    assert one.name != other.name and one.name.startswith("rotnet_n1_my-photos_seed0_")
    assert cell(left_out="all").name.startswith("rotnet_n1_china_without-all_seed0_")
    assert cell().name == "rotnet_n1_china_seed0_b40b37cd", (
        "cells that were finished before there was `pictures` are found"
    )
    assert cell(pictures=500).name != cell().name


def test_other_probes_than_the_profiles_make_another_table() -> None:
    assert grid().kind == "quick" and {c.pictures for c in grid().cells()} == {0}
    assert grid(pictures=500).kind == "quick-500" and {c.pictures for c in grid(pictures=500).cells()} == {500}


def test_a_sweep_runs_every_cell_once_and_writes_one_table(log: Path, tmp_path: Path) -> None:
    asked = grid(left_out=["crop"])
    path = sweep.sweep(asked, tmp_path / "out", jobs=2)
    assert sorted(ran(log)) == ["rotnet 0 ", "rotnet 0 crop"]
    rows = load_table(path)
    assert [row["accuracy"] for row in rows] == [0.5, 0.5]
    origin = {"profile", "steps", "version", "code", "device", "torch", "seconds", "peak_mb", "left_out"}
    assert all(origin <= set(row) for row in rows)
    assert expected(asked.cells(), tmp_path / "out")[0] == 0
    path = sweep.sweep(grid(seeds=[0, 1]), tmp_path / "out")
    assert ran(log)[2:] == ["rotnet 1 "], "finished cells are not run again, and a new seed is"
    assert sorted(row["accuracy"] for row in load_table(path)) == [0.5, 0.5, 0.51]


@pytest.mark.full
def test_a_failing_cell_stops_no_other(log: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("FAILS", "rotnet")
    asked = grid(methods=["rotnet", "bigan"])
    with pytest.raises(CourseError, match="1 of 2 cells failed; the first: rotnet.*this method fails here"):
        sweep.sweep(asked, tmp_path / "out")
    assert [row["method"] for row in load_table(tmp_path / "out" / sweep.TABLE)] == ["bigan"]
    monkeypatch.delenv("FAILS")
    assert len(load_table(sweep.sweep(asked, tmp_path / "out"))) == 2
    assert len(ran(log)) == 3


def left_running(folder: Path) -> list[psutil.Process]:
    return [p for p in psutil.process_iter(["cmdline"]) if str(folder) in " ".join(p.info["cmdline"] or [])]


@pytest.mark.full
def test_killed_at_any_time_it_goes_on(log: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("LASTS", "0.3")
    out, draws = tmp_path / "out", random.Random(0)
    command = [sys.executable, "-m", "course_lib", "sweep", "--methods", "rotnet", "--n", "1", "--sources", ""]
    command += ["--left-out", "crop,flip", "--seeds", "0,1", "--jobs", "2", "--out", str(out)]
    finished: dict[Path, int] = {}
    for _ in range(4):
        going = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, cwd=ROOT)
        time.sleep(draws.uniform(3, 7))
        going.send_signal(signal.SIGKILL)
        going.wait()
        deadline = time.monotonic() + 20
        while left_running(out) and time.monotonic() < deadline:
            time.sleep(0.1)
        assert not left_running(out), "what a killed sweep had started ends with it"
        assert all(path.stat().st_mtime_ns == time_ns for path, time_ns in finished.items())
        finished = {path: path.stat().st_mtime_ns for path in out.glob(f"*/{RECORD}")}
    done = subprocess.run(command, capture_output=True, text=True, cwd=ROOT)
    assert done.returncode == 0, done.stderr
    rows = load_table(out / sweep.TABLE)
    assert len(rows) == 6 and len({(row["seed"], row["left_out"]) for row in rows}) == 6
    assert all(path.stat().st_mtime_ns == time_ns for path, time_ns in finished.items())


@pytest.mark.skipif(sys.platform != "linux", reason="only Linux tells a process of its parent's end")
@pytest.mark.parametrize(("parent", "goes_on"), [("ours", True), ("another", False), ("none", True)])
def test_a_process_whose_parent_has_ended_ends_too(parent: str, goes_on: bool) -> None:
    code = "import os; from course_lib.support import executors; executors.end_with_parent(); print(dict(os.environ))"
    told = {"ours": {"COURSE_PARENT": str(os.getpid())}, "another": {"COURSE_PARENT": "1"}, "none": {}}[parent]
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, cwd=ROOT, env=os.environ | told)
    assert (done.returncode == 0) == goes_on and ("has ended" in done.stderr) == (not goes_on)
    assert "COURSE_PARENT" not in done.stdout, "its own children are not told of it"


def test_a_damaged_record_is_run_again(stand_in: Callable, tmp_path: Path) -> None:
    seen = stand_in(recorded)
    sweep.sweep(grid(), tmp_path)
    record = tmp_path / cell().name / RECORD
    for content in ("", "{", "[]", json.dumps({"version": TABLE_VERSION + 1})):
        record.write_text(content)
        assert record_of(cell(), tmp_path) is None
    sweep.sweep(grid(), tmp_path)
    assert len(seen) == 2 and record_of(cell(), tmp_path)


def test_cells_of_other_code_are_kept_and_said(stand_in: Callable, tmp_path: Path) -> None:
    seen = stand_in()
    recorded(cell(), tmp_path)
    one = ["--methods", "rotnet", "--n", "1", "--sources", "", "--left-out", "", "--seeds", "0"]
    said = CliRunner().invoke(main, ["sweep", *one, "--out", str(tmp_path)])
    assert said.exit_code == 0 and "1 finished cells were run by other code" in said.output and not seen


def test_a_cell_that_says_nothing_is_an_error(stand_in: Callable, tmp_path: Path) -> None:
    stand_in()
    with pytest.raises(CourseError, match="its process left no record .exit 0"):
        run_apart(cell(), tmp_path)


@pytest.mark.parametrize(("jobs", "given", "wanted"), [(1, "", None), (2, "", "2"), (8, "", "1"), (2, "3", "3")])
def test_jobs_share_the_cores(
    jobs: int, given: str, wanted: str | None, stand_in: Callable, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    seen = stand_in(recorded)
    monkeypatch.setattr("course_lib.experiments.sweep.cpu_cores", lambda: 4)
    monkeypatch.delenv("OMP_NUM_THREADS", raising=False)
    if given:
        monkeypatch.setenv("OMP_NUM_THREADS", given)
    sweep.sweep(grid(), tmp_path / "out", jobs)
    assert [env.get("OMP_NUM_THREADS") for env in seen] == [wanted]


def test_a_dry_run_runs_nothing(log: Path, tmp_path: Path) -> None:
    asked = ["sweep", "--methods", "rotnet", "--seeds", "0", "--out", str(tmp_path / "out"), "--dry-run"]
    said = CliRunner().invoke(main, asked)
    assert said.exit_code == 0 and "14 cells, 14 to run, about 14 minutes" in said.output
    assert not ran(log) and not (tmp_path / "out").exists()


@pytest.mark.parametrize("content", ["", "{", '{"method": "rotnet"}\n', "[]\n"])
def test_what_is_no_table_is_refused(content: str, tmp_path: Path) -> None:
    path = tmp_path / "table.jsonl"
    path.write_text(content)
    if content:
        with pytest.raises(CourseError, match="is no table of a sweep"):
            load_table(path)
    else:
        assert load_table(path) == []


def test_a_table_of_another_version_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "table.jsonl"
    path.write_text(json.dumps({"version": TABLE_VERSION + 1}) + "\n")
    with pytest.raises(CourseError, match=f"of version {TABLE_VERSION + 1}, and this course reads {TABLE_VERSION}"):
        load_table(path)


def test_ones_own_table_comes_first(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("course_lib.evidence.results.assets_folder", lambda: tmp_path / "assets")
    assert own_table("quick") == []
    kept = tmp_path / "assets/reference/quick-sweep.jsonl"
    kept.parent.mkdir(parents=True)
    row = {"version": TABLE_VERSION, "of": "the reference"}
    kept.write_text(json.dumps(row))
    assert own_table("quick") == [row]
    (runs_folder("sweep", "quick") / sweep.TABLE).write_text(json.dumps(row | {"of": "mine"}))
    assert own_table("quick") == [row | {"of": "mine"}]


@pytest.mark.full
def test_dask_runs_the_cells_and_survives_a_worker(log: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    distributed = need("distributed")
    monkeypatch.setenv("LASTS", "1")
    asked = grid(seeds=[0, 1, 2], left_out=["crop"])
    with distributed.LocalCluster(n_workers=2, threads_per_worker=1, dashboard_address=None) as cluster:
        victim = next(iter(cluster.workers.values())).pid
        killer = subprocess.Popen(["sh", "-c", f"sleep 3; kill -9 {victim}"])
        path = sweep.sweep(asked, tmp_path / "out", scheduler=cluster.scheduler_address)
        killer.wait()
    assert len(load_table(path)) == 6
    assert len({(row["seed"], row["left_out"]) for row in load_table(path)}) == 6


def test_a_scheduler_that_does_not_answer(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    need("distributed")
    with pytest.raises(CourseError, match="no Dask scheduler answers at 'tcp://127.0.0.1:9'"):
        sweep.sweep(grid(), tmp_path, scheduler="tcp://127.0.0.1:9")
