"""The command line: what it does, how it ends, and the sentences it says when it cannot go on."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import psutil
import pytest
from click.testing import CliRunner, Result
from conftest import ROOT, require

from course_lib.__main__ import main
from course_lib.authoring import headers
from course_lib.data.loading import from_here
from course_lib.experiments.reference import _without_path
from course_lib.experiments.runs import new_run_folder
from course_lib.profiles import PROFILES
from course_lib.support import files, notebooks
from course_lib.support.errors import CourseError
from course_lib.support.files import make_folder, write_file

BAD = ROOT / "tests/bad_notebooks"
SANDBOX = ("--bind", "/", "/", "--dev", "/dev")


def invoke(*words: str) -> Result:
    return CliRunner().invoke(main, list(words))


@pytest.fixture
def bad_course(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(notebooks, "notebooks_folder", lambda: BAD)


@pytest.mark.usefixtures("bad_course")
def test_a_failed_cell_is_exit_status_1(tmp_path: Path) -> None:
    done = invoke("run", "--only", "00,01,03", "--out", str(tmp_path / "out"))
    assert done.exit_code == 1
    assert "01_raises failed: ValueError: beta must lie in (0, 1], got 2" in done.output
    assert "03_fails_inside_a_widget failed: in a widget: ZeroDivisionError" in done.output
    summary = json.loads((tmp_path / "out/results.json").read_text())
    assert [n["status"] for n in summary["notebooks"]] == ["ok", "failed", "failed"], "one failure stops no other"
    assert "got 2" in (tmp_path / "out/index.html").read_text()


@pytest.mark.usefixtures("bad_course")
def test_a_clean_run_is_exit_status_0(tmp_path: Path) -> None:
    done = invoke("run", "--only", "00_is_fine", "--out", str(tmp_path / "out"), "-p", "SEED", "4")
    assert done.exit_code == 0, done.output
    executed = (tmp_path / "out/notebooks/00_is_fine.ipynb").read_text()
    assert "seed 4 profile quick" in executed


@pytest.mark.usefixtures("bad_course")
def test_runs_go_to_fresh_folders(tmp_path: Path) -> None:
    for _ in range(2):
        assert invoke("run", "--only", "00").exit_code == 0
    assert len(list((tmp_path / "runs").glob("20*/results.json"))) == 2


@pytest.mark.parametrize(
    ("words", "says"),
    [
        (["--only", "77"], "there is no notebook called '77'; there is 00_start_here, 01_one_image"),
        (["-p", "BETTA", "1"], "there is no parameter called 'BETTA'; there is ALL, ALPHA, BETA, BOXES, CONTENT, DATA"),
        (["-p", "SEED", "one"], "the parameter SEED takes int, as in 0; got 'one'"),
        (["-p", "OR_QUICK", "maybe"], "the parameter OR_QUICK takes bool"),
        (["--only", ","], "--only takes numbers or names of notebooks, as in 02,06; got ','"),
        (["-p", "PROFILE", "fast"], "there is no profile called 'fast'"),
        (["--profile", "fast"], "there is no profile called 'fast'; there is quick, standard, paper"),
    ],
)
def test_what_does_not_exist_is_answered_with_what_does(words: list[str], says: str) -> None:
    done = invoke("run", *words)
    assert done.exit_code == 2 and says in done.output and "Traceback" not in done.output


def test_a_profile_without_its_gpu_is_refused_before_anything_runs(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    import torch

    monkeypatch.setattr("course_lib.profiles.this_device", lambda: torch.device("cpu"))
    done = invoke("run", "--profile", "standard", "--out", str(tmp_path / "out"))
    assert done.exit_code == 2 and "needs a GPU and none was found" in done.output
    assert not (tmp_path / "out").exists()


def test_nothing_is_written_over(tmp_path: Path) -> None:
    (tmp_path / "thesis.txt").write_text("two years of work")
    done = invoke("run", "--out", str(tmp_path))
    assert done.exit_code == 2 and "is not empty; give a new folder" in done.output


def test_a_file_where_a_folder_is_needed(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    done = invoke("run", "--out", str(tmp_path / "file/out"))
    assert done.exit_code == 2 and "choose another folder" in done.output


def test_a_read_only_folder(tmp_path: Path) -> None:
    """In a name space where the folder is mounted read-only, so that it holds for the superuser too."""
    require("bwrap", *SANDBOX, "true")
    code = (
        "from pathlib import Path; from course_lib.experiments.runs import new_run_folder;"
        f"new_run_folder(Path({str(tmp_path)!r}))"
    )
    command = ["bwrap", *SANDBOX, "--ro-bind", str(tmp_path), str(tmp_path), sys.executable, "-c", code]
    done = subprocess.run(command, capture_output=True, text=True, timeout=120)
    assert "CourseError" in done.stderr and "cannot be written to; choose another folder" in done.stderr


def test_a_full_disk_loses_nothing(tmp_path: Path) -> None:
    """On a disk of a megabyte: the sentence, the old file as it was, and no leftovers."""
    require("bwrap", *SANDBOX, "true")
    code = """
from course_lib.support.errors import CourseError
from course_lib.support.files import write_file
from pathlib import Path
write_file("/full/results.json", "old")
try:
    write_file("/full/results.json", b"x" * 2_000_000)
except CourseError as error:
    print(error)
print(Path("/full/results.json").read_text(), [p.name for p in Path("/full").iterdir()])
"""
    disk = ["--size", "1000000", "--tmpfs", "/full"]
    command = ["bwrap", *SANDBOX, *disk, sys.executable, "-c", code]
    done = subprocess.run(command, capture_output=True, text=True, timeout=120)
    assert "the disk is full; free some space and run again" in done.stdout, done.stderr
    assert "old ['results.json']" in done.stdout


def test_a_full_disk_ends_a_run_with_a_sentence(tmp_path: Path) -> None:
    require("bwrap", *SANDBOX, "true")
    disk = ["--size", "100000", "--tmpfs", "/full"]
    inside = [sys.executable, "-m", "course_lib", "run", "--only", "00", "--out", "/full/out"]
    command = ["bwrap", *SANDBOX, "--proc", "/proc", *disk, *inside]
    done = subprocess.run(command, capture_output=True, text=True, cwd=ROOT, timeout=300)
    assert done.returncode == 2 and "the disk is full" in done.stderr and "Traceback" not in done.stderr


@pytest.mark.parametrize(("number", "says"), [(28, "disk is full"), (30, "cannot be written to"), (5, "Input/output")])
def test_what_a_disk_says_becomes_a_sentence(
    number: int, says: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(*_: object, **__: object) -> None:
        raise OSError(number, os.strerror(number))

    monkeypatch.setattr(files.os, "fsync", fail)
    with pytest.raises(CourseError, match=says):
        write_file(tmp_path / "file", "content")


def test_write_file_replaces_whole_files(tmp_path: Path) -> None:
    path = tmp_path / "file"
    write_file(path, "old")
    write_file(path, b"new")
    assert path.read_text() == "new" and list(tmp_path.iterdir()) == [path]
    assert make_folder(tmp_path / "a/b").is_dir()


def test_two_runs_in_one_second_have_two_folders(tmp_path: Path) -> None:
    folders = {new_run_folder() for _ in range(3)}
    assert len(folders) == 3 and all(f.parent == tmp_path / "runs" for f in folders)


def test_ctrl_c_keeps_what_was_finished_and_leaves_no_kernel(tmp_path: Path) -> None:
    code = (
        "import signal; signal.signal(signal.SIGINT, signal.default_int_handler);"  # ignored where tests run behind `&`
        "from pathlib import Path; from course_lib.support import notebooks; from course_lib.__main__ import main;"
        f"notebooks.notebooks_folder = lambda: Path({str(BAD)!r});"
        f"main(['run', '--only', '00,06', '--out', {str(tmp_path / 'out')!r}])"
    )
    process = subprocess.Popen([sys.executable, "-c", code], stdout=subprocess.PIPE, stderr=subprocess.STDOUT)
    asleep = tmp_path / "out/notebooks/06_never_ends.ipynb"
    while not asleep.exists():
        assert process.poll() is None
        time.sleep(0.1)
    time.sleep(4)
    kernels = psutil.Process(process.pid).children(recursive=True)
    assert kernels
    process.send_signal(signal.SIGINT)
    assert process.wait(60) != 0
    summary = json.loads((tmp_path / "out/results.json").read_text())
    assert [n["name"] for n in summary["notebooks"]] == ["00_is_fine"]
    assert not psutil.wait_procs(kernels, timeout=10)[1]


def test_lint_command(tmp_path: Path) -> None:
    assert invoke("lint").exit_code == 0
    done = invoke("lint", str(BAD / "01_raises.ipynb"))
    assert done.exit_code == 1 and "one cell tagged set-up" in done.output


def test_badges_are_written_everywhere(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    originals = [*notebooks.find_notebooks(), *notebooks.find_notebooks([notebooks.EXPERIMENT])]
    copies = [tmp_path / path.name for path in originals]
    for copy, path in zip(copies, originals):
        copy.write_bytes(path.read_bytes())
    readme = tmp_path / "README.md"
    readme.write_bytes((ROOT / "README.md").read_bytes())
    monkeypatch.setattr(headers, "find_notebooks", lambda only=(): copies[-1:] if only else copies[:-1])
    monkeypatch.chdir(tmp_path)
    done = invoke("badges", "--repo", "ada/one-image")
    assert done.exit_code == 0 and len(done.output.splitlines()) == len(copies) + 1
    for copy in copies:
        text = copy.read_text()
        assert f"colab.research.google.com/github/ada/one-image/blob/main/notebooks/{copy.name}" in text
        assert "git+https://github.com/ada/one-image" in text and "OWNER/NAME" not in text
    assert "mybinder.org/v2/gh/ada/one-image/main" in readme.read_text()
    assert invoke("badges", "--repo", "ada/one-image").output == "nothing to change\n"
    assert invoke("badges", "--repo", "nonsense").exit_code == 2


def test_a_reference_names_no_path_of_a_machine() -> None:
    assert _without_path("folder:/home/ada/cifar10") == "folder:cifar10"
    assert _without_path("photos10") == "photos10"


def test_a_path_is_seen_from_where_the_user_stands(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "mine.png").touch()
    (tmp_path / "china").mkdir()
    monkeypatch.chdir(tmp_path)
    assert from_here("SOURCE", "mine.png") == str(tmp_path / "mine.png")
    assert from_here("DATA", "folder:china") == f"folder:{tmp_path / 'china'}"
    for name, value in (("SOURCE", "china"), ("SOURCE", "gone.png"), ("DATA", "cifar10"), ("SEED", "1")):
        assert from_here(name, value) == value
    assert make_folder("runs") == tmp_path / "runs"


@pytest.mark.usefixtures("bad_course")
def test_the_profile_that_ran_is_the_one_recorded(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    import torch

    from course_lib import profiles

    monkeypatch.setattr(profiles, "this_device", lambda: torch.device("cpu"))
    monkeypatch.setattr(notebooks, "read_parameters", lambda _: {"PROFILE": "quick", "OR_QUICK": False})
    words = ["--profile", "standard", "-p", "OR_QUICK", "true", "--out", str(tmp_path / "out")]
    done = invoke("run", "--only", "00_is_fine", *words, "--json", str(tmp_path / "new/copy.json"))
    assert done.exit_code == 0, done.output
    assert json.loads((tmp_path / "new/copy.json").read_text())["profile"] == "quick"


def test_seeds_that_are_no_numbers_are_refused() -> None:
    done = invoke("reference", "--seeds", "0,a")
    assert done.exit_code == 2 and "--seeds takes whole numbers, as in 0,1,2; got '0,a'" in done.output


def test_the_help_names_every_command_without_loading_torch() -> None:
    code = "import sys; from course_lib.__main__ import main; main(['--help'], standalone_mode=False)"
    done = subprocess.run(
        [sys.executable, "-c", f"{code}; print('torch' in sys.modules)"], capture_output=True, text=True, cwd=ROOT
    )
    listed = {line.split()[0] for line in done.stdout.partition("Commands:")[2].splitlines() if line.startswith("  ")}
    assert {"badges", "bench", "claims", "grade", "headers", "lint", "reference", "release", "run"} <= listed
    assert {"sweep", "train"} <= listed and done.stdout.endswith("False\n")
    wrong = invoke("runn")
    assert wrong.exit_code == 2 and "No such command 'runn'" in wrong.output


def test_the_help_names_the_profiles_that_there_are() -> None:
    assert f"One of {', '.join(PROFILES)}." in invoke("run", "--help").output


def test_a_network_trained_on_the_command_line_is_what_a_notebook_loads(capsys: pytest.CaptureFixture[str]) -> None:
    from course_lib.data.datasets import CropDataset
    from course_lib.data.loading import load_source
    from course_lib.profiles import start
    from course_lib.training.trained import pretrain

    done = CliRunner().invoke(main, ["train", "rotnet", "--source", "flower", "--steps", "2"])
    assert done.exit_code == 0 and "rotnet: 2 of 2 steps" in done.output, done.output
    course = start("quick")
    crops = CropDataset(load_source("flower"), d=course.profile.d, side=course.profile.side, seed=0)
    assert pretrain("rotnet", course, crops, 2).loaded
    wrong = CliRunner().invoke(main, ["train", "rotnett"])
    assert wrong.exit_code == 2 and "there is no method called 'rotnett'" in wrong.output
