"""The sandbox itself: what it holds against, that nothing is left of it, and that a class is graded once whoever dies.

The attacks run on this machine alone, within the limits of the sandbox, and end with it.
"""

from __future__ import annotations

import csv
import os
import random
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import psutil
import pytest
from conftest import ROOT, missing, need, require
from handing_in import CORPUS, copied_from_the_library, handed_in, write

from course_lib.grading import sandbox
from course_lib.grading.batch import grade, grade_apart
from course_lib.grading.bubblewrap import Job, bubblewrapped, environment, python_folders
from course_lib.grading.records import Rules, submission_path
from course_lib.grading.sandbox import require_level
from course_lib.grading.trusted import trusted_notebooks
from course_lib.support.errors import CourseError

LOOP = CORPUS.RIGHT | {
    "01.box": "import subprocess\nsubprocess.Popen(['sleep', '600'], start_new_session=True)\nwhile True: pass\n"
}


@pytest.fixture(autouse=True, scope="module")
def bubblewrap() -> None:
    require("bwrap", "--ro-bind", "/", "/", "true")


def grade_command(*arguments: object) -> list[str]:
    return [sys.executable, "-m", "course_lib", "grade", *map(str, arguments)]


def table(folder: Path) -> list[dict[str, str]]:
    with (folder / "grades.csv").open(newline="", encoding="utf-8") as file:
        return list(csv.DictReader(file))


def without_seconds(folder: Path) -> list[dict[str, str]]:
    return [{key: value for key, value in row.items() if key != "seconds"} for row in table(folder)]


def eventually(is_so: Callable[[], bool], seconds: float) -> bool:
    until = time.monotonic() + seconds
    while not is_so() and time.monotonic() < until:
        time.sleep(0.02)
    return is_so()


QUICK = ("02_rotnet", "07_frozen_layers_and_scattering")
"""Notebooks whose exercises are asked in plain values alone, and in a setting."""

NOTEBOOKS = [pytest.param(one.name, marks=[] if one.name in QUICK else pytest.mark.full) for one in trusted_notebooks()]


@pytest.mark.parametrize("notebook", NOTEBOOKS)
def test_right_answers_to_every_exercise_get_all_points(notebook: str, tmp_path: Path) -> None:
    exercises = next(one for one in trusted_notebooks() if one.name == notebook).exercises
    answers = {exercise.key: copied_from_the_library(exercise.key, exercise.name) for exercise in exercises}
    inbox = write(tmp_path / "inbox", {"ada.ipynb": handed_in(answers, notebook)})
    (graded,) = grade([inbox], tmp_path / "out", Rules())
    assert graded.record, graded.problem
    assert [(one["key"], one["words"]) for one in graded.record["exercises"]] == [(key, "") for key in answers]
    assert graded.record["sandbox"] == table(tmp_path / "out")[0]["sandbox"] == "bubblewrap"


CHOSEN = """
from course_lib.__main__ import main
from course_lib.grading.attacks import corpus
from course_lib.grading.attacks.corpus import RIGHT, TARGET, Attack

{of_all}
main(["grade", "--self-test", "--jobs", "2"])
"""

THREE = """
every = corpus.attacks
names = ("os exit", "equal to everything", "inspect")
corpus.attacks = lambda place: [attack for attack in every(place) if attack.name in names]
"""

BROKEN = """
corpus.attacks = lambda _: [Attack("unearned", 3, RIGHT[TARGET]), Attack("lost", 4, "bounding_box = 3")]
"""


def self_test(of_all: str) -> tuple[int, list[str]]:
    """The exit status of a self-test with these attacks of all, and the lines that it printed."""
    command = [sys.executable, "-c", CHOSEN.format(of_all=of_all)]
    done = subprocess.run(command, capture_output=True, text=True, cwd=ROOT)
    assert done.stdout, done.stderr
    return done.returncode, done.stdout.splitlines()


def test_three_attacks_get_nothing() -> None:
    """One that ends its kernel, one that lies, and one that looks for the answer."""
    status, said = self_test(THREE)
    assert (status, said[-1]) == (0, "attacks 3, forged 0, lost 0, left 0"), said


@pytest.mark.full
def test_no_attack_forges_or_takes_a_point_or_stays() -> None:
    status, said = self_test("")
    count = len(CORPUS.attacks(CORPUS.Place(ROOT, ROOT, 1)))
    assert (status, said[-1]) == (0, f"attacks {count}, forged 0, lost 0, left 0"), said


@pytest.mark.full
def test_a_self_test_that_finds_something_says_so() -> None:
    """The corpus, broken on purpose: an honest answer that must get nothing, and a wrong one that must get a point."""
    status, said = self_test(BROKEN)
    assert (status, said[-1]) == (1, "attacks 2, forged 1, lost 1, left 0"), said
    assert "unearned: must get 3, got 4" in said


def lives(process: psutil.Process) -> bool:
    """Whether a process still runs; what nobody has buried yet does not."""
    try:
        return process.is_running() and process.status() != psutil.STATUS_ZOMBIE
    except psutil.Error:
        return False


def family(process: psutil.Process) -> list[psutil.Process]:
    return [process, *process.children(recursive=True)]


def test_nothing_is_left_a_second_after_the_grader_is_killed(tmp_path: Path) -> None:
    inbox = write(tmp_path / "inbox", {"ada.ipynb": handed_in(LOOP)})
    command = grade_command(inbox, "--out", tmp_path / "out", "--cell", 300, "--total", 300)
    going = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, cwd=ROOT)
    grader = psutil.Process(going.pid)
    assert eventually(lambda: any("sleep" in one.name() for one in family(grader)), 200), "the submission is running"
    everyone = family(grader)
    assert len(everyone) >= 6  # grader, one, bubblewrap, its init, papermill, the kernel, the detached child
    going.send_signal(signal.SIGKILL)
    going.wait()
    assert eventually(lambda: not any(map(lives, everyone)), 1), everyone


@pytest.mark.full
def test_killed_at_any_time_it_goes_on_and_ends_the_same(tmp_path: Path) -> None:
    wrong = CORPUS.RIGHT | {"01.flip": "def flip_map(flipped): return flipped"}
    files = {f"{name}.ipynb": handed_in(CORPUS.RIGHT | {"x": ""}, "01") for name in ("ada",)}
    files |= {
        "bob.ipynb": handed_in(wrong),
        "eve.ipynb": b"{",
        "mia.ipynb": handed_in({"01.size": CORPUS.RIGHT["01.size"]}),
    }
    inbox, out, draws = write(tmp_path / "inbox", files), tmp_path / "out", random.Random(0)
    command = grade_command(inbox, "--out", out, "--jobs", 2, "--secret", "same")
    finished: dict[Path, int] = {}
    for _ in range(3):
        going = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, cwd=ROOT)
        time.sleep(draws.uniform(2, 12))
        going.send_signal(signal.SIGKILL)
        going.wait()
        assert all(path.stat().st_mtime_ns == time_ns for path, time_ns in finished.items()), "what is finished is kept"
        finished = {path: path.stat().st_mtime_ns for path in out.glob("records/*.json")}
    contents = []
    for _ in range(2):
        subprocess.run(command, check=True, capture_output=True, cwd=ROOT)
        contents.append({path: path.read_bytes() for path in out.rglob("*") if path.is_file()})
    assert contents[0] == contents[1]
    assert all(path.stat().st_mtime_ns == time_ns for path, time_ns in finished.items())
    assert [(row["learner"], row["total"]) for row in table(out)] == [
        ("ada", "4"),
        ("bob", "3"),
        ("eve", "0"),
        ("mia", "1"),
    ]
    grade([inbox], tmp_path / "again", Rules(), jobs=2, secret="same")
    assert without_seconds(tmp_path / "again") == without_seconds(out)


@pytest.mark.full
def test_dask_grades_and_survives_a_worker(tmp_path: Path) -> None:
    distributed = need("distributed")
    files = {
        f"{name}.ipynb": handed_in({"01.size": f"# {name}\n" + CORPUS.RIGHT["01.size"]})
        for name in ("a", "b", "c", "d")
    }
    inbox = write(tmp_path / "inbox", files)
    with distributed.LocalCluster(n_workers=2, threads_per_worker=1, dashboard_address=None) as cluster:
        victim = next(iter(cluster.workers.values())).pid
        killer = subprocess.Popen(["sh", "-c", f"sleep 4; kill -9 {victim}"])
        grade([inbox], tmp_path / "out", Rules(), scheduler=cluster.scheduler_address)
        killer.wait()
    assert [(row["learner"], row["total"]) for row in table(tmp_path / "out")] == [(name, "1") for name in "abcd"]


def test_a_sandbox_that_does_not_start_is_nobodys_zero(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    bad = tmp_path / "bin/bwrap"
    bad.parent.mkdir()
    bad.write_text("#!/bin/sh\necho 'no name spaces here' >&2\nexit 1\n")
    bad.chmod(0o755)
    monkeypatch.setenv("PATH", str(bad.parent), prepend=os.pathsep)
    write(tmp_path / "out", {"submissions/x.ipynb": handed_in(CORPUS.RIGHT)})
    with pytest.raises(CourseError, match="the sandbox did not start: no name spaces here"):
        grade_apart(str(tmp_path / "out"), "x", Rules())
    assert submission_path(tmp_path / "out", "x").exists() and not [*(tmp_path / "out").glob("records/*")]
    with pytest.raises(CourseError, match="no name spaces here"):
        require_level("bubblewrap")


def test_no_level_is_taken_in_the_place_of_another(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sandbox.shutil, "which", lambda name: None)
    inbox = write(tmp_path / "inbox", {"ada.ipynb": handed_in(CORPUS.RIGHT)})
    with pytest.raises(CourseError, match="there is no program bwrap.*--sandbox limits"):
        grade([inbox], tmp_path / "out", Rules())
    assert not (tmp_path / "out").exists()


def test_the_sandbox_shows_nothing_of_the_graders(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("A_TOKEN", "secret")
    job = Job(*(tmp_path / name for name in ("input", "library", "work")))
    assert "secret" not in str(environment(job, "bubblewrap")) and "HOME" in environment(job, "limits")
    argv = bubblewrapped(job, ["true"], None, [Path(sys.prefix) / "course"])
    shown = [argv[i + 1] for i, word in enumerate(argv) if word.endswith("bind")]
    assert str(ROOT) not in shown and str(Path.home()) not in shown and "/" not in shown and "/etc" not in shown
    assert argv.index(str(Path(sys.prefix) / "course")) > argv.index(str(Path(sys.prefix))), "hidden after it is shown"
    assert {"--unshare-net", "--unshare-pid", "--die-with-parent"} <= set(argv)


@pytest.fixture
def as_an_ordinary_user(tmp_path: Path) -> Iterator[Callable[..., subprocess.CompletedProcess]]:
    """Runs `python -m course_lib` as a user without rights; as it is where the tests are run by one."""
    out, user = tmp_path / "theirs", 61_000
    out.mkdir()
    if os.getuid():
        prefix: list[str] = []
    else:
        os.chown(out, user, user)
        tmp_path.chmod(0o755)
        prefix = ["bwrap", "--bind", "/", "/", "--dev-bind", "/dev", "/dev", "--perms", "0755", "--tmpfs", "/root"]
        prefix += ["--perms", "1777", "--tmpfs", "/tmp"]
        for kind, path in [*(("--ro-bind", one) for one in (*python_folders(), ROOT)), ("--bind", tmp_path)]:
            for parent in [*reversed(path.parents)][1:]:
                prefix += ["--perms", "0755", "--dir", str(parent)]
            prefix += [kind, str(path), str(path)]
        prefix.append("--")
        prefix += ["setpriv", f"--reuid={user}", f"--regid={user}", "--clear-groups", "--no-new-privs"]
    environ = {"PATH": os.environ["PATH"], "PYTHONPATH": str(ROOT), "HOME": str(out), "OMP_NUM_THREADS": "1"}

    def run(*arguments: object) -> subprocess.CompletedProcess:
        return subprocess.run(
            [*prefix, *grade_command(*arguments)], capture_output=True, text=True, env=environ, cwd=ROOT
        )

    yield run


@pytest.mark.parametrize("level", [pytest.param("bubblewrap", marks=pytest.mark.full), "limits"])
def test_an_ordinary_user_grades_too(level: str, tmp_path: Path, as_an_ordinary_user: Callable) -> None:
    child = "import subprocess\nsubprocess.Popen(['sleep', '60'], start_new_session=True)\n"
    answers = CORPUS.RIGHT | {"01.box": child + CORPUS.RIGHT["01.box"], "01.flip": "import os\nos._exit(0)"}
    inbox, out = write(tmp_path / "inbox", {"ada.ipynb": handed_in(answers)}), tmp_path / "theirs/out"
    done = as_an_ordinary_user(inbox, "--out", out, "--sandbox", level)
    if "Creating new namespace failed" in done.stderr or "No permissions to create" in done.stderr:
        missing("a sandbox in a sandbox is forbidden here")
    assert done.returncode == 0, done.stderr
    (row,) = table(out)
    assert (row["total"], row["sandbox"]) == ("3", level), row
    assert "it ended the kernel" in row["reason"]


def test_at_the_level_limits_root_takes_another_user_or_refuses(tmp_path: Path) -> None:
    if os.getuid():
        pytest.skip("this is about root")
    if sandbox._others_can_read(Path(sys.executable)):
        require_level("limits")
        return
    with pytest.raises(CourseError, match="as another user, who cannot read"):
        require_level("limits")


def test_memory_and_disk_are_limited_for_all_processes_together(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("input", "library", "work"):
        (tmp_path / name).mkdir()
    job = Job(*(tmp_path / name for name in ("input", "library", "work")))
    ready = "import os, time; os.write(int(os.environ['READY']), b'ready')\n"
    memory = ready + "for _ in range(3):\n  if os.fork() == 0: x = b'x' * 60_000_000; time.sleep(20)\ntime.sleep(20)"
    disk = ready + "for i in range(9):\n  open(f'/scratch/{i}', 'wb').write(b'x' * 30_000_000)\ntime.sleep(20)"
    monkeypatch.setattr(sandbox, "MEMORY", 150_000_000)
    monkeypatch.setattr(sandbox, "DISK", 100_000_000)
    for code, why in ((ready + "time.sleep(0.1)", ""), (memory, "memory"), (disk, "disk")):
        end = sandbox.run(job, [sys.executable, "-c", code], "bubblewrap", 15)
        assert (end.why, end.ready) == (why, "ready")
    assert sandbox.run(job, [sys.executable, "-c", "print(1 / 0)"], "bubblewrap", 5).ready.startswith(
        "ZeroDivisionError"
    )


@pytest.mark.full
def test_the_cost_of_a_plain_right_submission(tmp_path: Path) -> None:
    """As a multiple of importing PyTorch, which it does twice, since this machine's seconds swing."""
    start = time.perf_counter()
    subprocess.run([sys.executable, "-c", "import torch"], check=True)
    middle = time.perf_counter()
    write(tmp_path / "out", {"submissions/x.ipynb": handed_in(CORPUS.RIGHT)})
    record = grade_apart(str(tmp_path / "out"), "x", Rules())
    ratio = (time.perf_counter() - middle) / (middle - start)
    assert sum(one["points"] for one in record["exercises"]) == 4
    assert ratio < 6, f"a submission takes {ratio:.1f} times the import of PyTorch"
