"""The course executed: as papermill and nbval do it, without a network; and the runner, which must be able to fail.

One run is shared by all tests that look at an executed course. By default it is of the notebooks up to 08,
with right answers, at few steps and with few pictures; with the mark `full`, of the others, and of some as they are.
"""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from pathlib import Path

import nbformat
import pytest
from conftest import ROOT
from learners import ANSWERS, a_mistake, answered, right_answers, tagged
from nbformat import NotebookNode

from course_lib.data.labelled import photos10
from course_lib.exercises import find_exercises
from course_lib.experiments.execution import execute, hidden_errors
from course_lib.networks.alexnet import LAYERS
from course_lib.pictures.figures import to_pixels
from course_lib.pictures.png import encode_png
from course_lib.support.notebooks import find_notebooks, write_notebook

BAD = ROOT / "tests/bad_notebooks"
COURSE = find_notebooks()
STEPS = 8
"""Of trainings in the notebooks as they are: enough for all that a notebook does, and for its memory. At their whole
length they are run for the reference, which tests of their own look at."""
FEW_STEPS = 3
CORE = 9
"""Notebooks whose answered run is not left to the mark `full`: 00 to 08."""
SHIPPED = ("03", "06", "09")
"""Of the notebooks as they are, those run here: they take the most memory, and publish probes of every method."""

PROBED = {"06": {"random", "rotnet", "supervised"}, "09": {"random", "jigsaw", "pirl"}, "13": {"rotnet"}}
"""The methods whose probes a notebook publishes, beside those that another has trained."""

BAD_ENDS = {
    "00_is_fine": "",
    "01_raises": "ValueError: beta must lie in (0, 1], got 2",
    "02_exits_quietly": "cell 3 never ran",
    "03_fails_inside_a_widget": "in a widget: ZeroDivisionError: hidden in the widget",
    "04_kills_its_kernel": "the kernel died",
    "05_fails_at_another_seed": "",
    "06_never_ends": "a cell took more than 3 seconds",
}


@pytest.mark.parametrize("name", BAD_ENDS)
def test_the_runner_can_fail(name: str, tmp_path: Path) -> None:
    result = execute(BAD / f"{name}.ipynb", tmp_path / f"{name}.ipynb", {}, {}, timeout=3)
    assert BAD_ENDS[name] in result.error
    assert (result.status == "ok") == (BAD_ENDS[name] == "")
    assert result.seconds > 0 and result.peak_mb > 20


def test_parameters_reach_the_notebook(tmp_path: Path) -> None:
    path = BAD / "05_fails_at_another_seed.ipynb"
    assert "this seed fails" in execute(path, tmp_path / "out {0}.ipynb", {"SEED": 1}, {}).error


def test_no_environment_is_left_behind(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COURSE_RUNS", "before")
    execute(BAD / "01_raises.ipynb", tmp_path / "out.ipynb", {}, {"COURSE_RUNS": "inside", "COURSE_NEW": "x"})
    assert os.environ["COURSE_RUNS"] == "before" and "COURSE_NEW" not in os.environ


BLOCK = """
import os, socket

connect, getaddrinfo = socket.socket.connect, socket.getaddrinfo

def refuse(what):
    with open(os.environ["BLOCKED"], "a") as log:
        print(what, file=log)
    raise OSError(f"blocked in this test: {what}")

def local_connect(self, address):
    local = self.family == socket.AF_UNIX or str(address[0]).startswith(("127.", "localhost", "::1"))
    return connect(self, address) if local else refuse(address)

def local_getaddrinfo(host, *args, **kwargs):
    local = host in (None, "", "localhost", "127.0.0.1", "0.0.0.0", "::1")
    return getaddrinfo(host, *args, **kwargs) if local else refuse(host)

socket.socket.connect, socket.getaddrinfo = local_connect, local_getaddrinfo
"""


@pytest.fixture(scope="module")
def offline(tmp_path_factory: pytest.TempPathFactory) -> dict[str, str]:
    """An environment in which Python opens no connection beyond this machine, in kernels too, and logs each attempt."""
    folder = tmp_path_factory.mktemp("offline")
    (folder / "sitecustomize.py").write_text(BLOCK)
    cache = {"COURSE_CACHE": str(folder / "cache"), "BLOCKED": str(folder / "blocked.log")}
    paths = os.pathsep.join(filter(None, (str(folder), os.environ.get("PYTHONPATH"))))
    return {**os.environ, **cache, "PYTHONPATH": paths}


@pytest.fixture(scope="module")
def few(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Few of the bundled labelled pictures, as a folder: what a notebook does with answers takes no more."""
    data, folder = photos10(train=120, test=100), tmp_path_factory.mktemp("pictures") / "few"
    for part, images, labels in (
        ("train", data.train_images, data.train_labels),
        ("test", data.test_images, data.test_labels),
    ):
        for i, (image, label) in enumerate(zip(to_pixels(images), labels.tolist())):
            path = folder / part / data.classes[label] / f"{i:03}.png"
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(encode_png(image))
    return folder


def shortened(notebook: NotebookNode, few: Path) -> NotebookNode:
    """The notebook with short trainings and few labelled pictures."""
    cell, data = tagged(notebook, "parameters"), f"folder:{few}"
    for name, value in (("STEPS", FEW_STEPS), ("DATA", data)):
        cell.source = re.sub(rf"^{name} = [^#\n]*", f"{name} = {value!r}  ", cell.source, flags=re.MULTILINE)
    for cell in notebook.cells:
        cell.source = cell.source.replace('load_labelled("photos10"', f"load_labelled({data!r}")
    return notebook


OTHER_FOLDER = """
from pathlib import Path
import course_lib.support.notebooks

course_lib.support.notebooks.notebooks_folder = lambda: Path({folder!r})
"""


def course_run(folder: Path, environment: dict[str, str], *more: str) -> Path:
    """The whole course by the command that the README prints, without a network; the folder it wrote."""
    out = folder / "out"
    command = [sys.executable, "-m", "course_lib", "run", "--out", str(out), "--json", str(folder / "copy.json"), *more]
    done = subprocess.run(command, capture_output=True, text=True, env=environment, cwd=ROOT, timeout=3300)
    (out / "printed.txt").write_text(done.stdout)
    assert done.returncode == 0, done.stdout + done.stderr
    return out


def run_answered(paths: list[Path], offline: dict[str, str], few: Path, folder: Path) -> Path:
    """Notebooks with right answers to all exercises, which must all be right; at few steps, with few pictures."""
    for path in paths:
        (folder / "notebooks").mkdir(exist_ok=True)
        write_notebook(folder / "notebooks" / path.name, shortened(right_answers(path), few))
    start = Path(offline["PYTHONPATH"].split(os.pathsep)[0]) / "sitecustomize.py"
    (folder / "sitecustomize.py").write_text(start.read_text() + OTHER_FOLDER.format(folder=str(folder / "notebooks")))
    own = os.pathsep.join([str(folder), offline["PYTHONPATH"]])
    return course_run(folder, offline | {"COURSE_STRICT": "1", "PYTHONPATH": own})


@pytest.fixture(scope="module")
def answered_run(offline: dict[str, str], few: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The notebooks that hold the paper's claims."""
    return run_answered(COURSE[:CORE], offline, few, tmp_path_factory.mktemp("answered"))


@pytest.fixture(scope="module")
def answered_rest(offline: dict[str, str], few: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Those that go on from there."""
    return run_answered(COURSE[CORE:], offline, few, tmp_path_factory.mktemp("rest"))


@pytest.fixture(scope="module")
def shipped_run(offline: dict[str, str], tmp_path_factory: pytest.TempPathFactory) -> Path:
    """As the README runs it, with all labelled pictures but short trainings: those that need the most memory."""
    return course_run(
        tmp_path_factory.mktemp("shipped"), offline, "--only", ",".join(SHIPPED), "-p", "STEPS", str(STEPS)
    )


RUNS = ["answered_run", *(pytest.param(name, marks=pytest.mark.full) for name in ("answered_rest", "shipped_run"))]


@pytest.fixture(scope="module", params=RUNS)
def run(request: pytest.FixtureRequest) -> Path:
    """An executed course."""
    return request.getfixturevalue(request.param)


def executed(run: Path) -> list[Path]:
    """The notebooks of an executed course, in order: all that were to be run."""
    found = sorted((run / "notebooks").glob("*.ipynb"))
    meant = (COURSE[:CORE], COURSE[CORE:], find_notebooks(list(SHIPPED)))
    assert [path.name for path in found] in [[path.name for path in paths] for paths in meant]
    return found


def test_the_block_blocks(offline: dict[str, str]) -> None:
    for url in ("http://192.0.2.1/", "https://example.org/"):
        code = f"import urllib.request; urllib.request.urlopen({url!r}, timeout=5)"
        tried = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, env=offline)
        assert tried.returncode == 1 and "blocked in this test" in tried.stderr
    log = Path(offline["BLOCKED"])
    assert len(log.read_text().splitlines()) == 2
    log.unlink()


def test_the_course_runs_without_a_network(run: Path, offline: dict[str, str]) -> None:
    summary = json.loads((run / "results.json").read_text())
    assert [n["name"] for n in summary["notebooks"]] == [path.stem for path in executed(run)]
    assert {n["status"] for n in summary["notebooks"]} == {"ok"}
    assert not Path(offline["BLOCKED"]).exists(), "something asked for the network"


def test_each_notebook_keeps_below_its_memory(run: Path) -> None:
    """1.2 GB, with the largest build of torch there is; seconds are measured and not tested."""
    for notebook in json.loads((run / "results.json").read_text())["notebooks"]:
        assert 100 < notebook["peak_mb"] < 1200, notebook


def test_the_results_have_the_promised_form(run: Path) -> None:
    summary = json.loads((run / "results.json").read_text())
    assert {"name", "status", "seconds", "peak_mb"} <= set(summary["notebooks"][0])
    stems = {path.stem[:2] for path in executed(run)}
    methods = set().union(*(published for stem, published in PROBED.items() if stem in stems))
    looked = {("random, looked", "conv2")} if "06" in stems else set()
    expected = {(method, layer) for method in methods for layer in LAYERS} | looked
    assert {(row["method"], row["layer"]) for row in summary["probes"]} == expected
    for row in summary["probes"]:
        assert set(row) - {"left_out"} == {"method", "source", "n", "data", "layer", "accuracy", "low", "high", "seed"}
        assert 0.1 < row["accuracy"] < 1 and row["data"] in ("photos10", "folder:few") and row["seed"] == 0
    assert (run.parent / "copy.json").read_text() == (run / "results.json").read_text()


def test_the_run_prints_what_it_cost_and_what_came_of_it(run: Path) -> None:
    printed = (run / "printed.txt").read_text()
    for words in (executed(run)[-1].stem, "peak MB", "conv5", "random", "index.html", "-m jupyterlab notebooks"):
        assert words in printed


def test_one_page_has_all_pictures_with_their_words(run: Path) -> None:
    page = (run / "index.html").read_text()
    shown = [
        output.data["text/html"]
        for path in executed(run)
        for cell in nbformat.read(path, 4).cells
        for output in cell.get("outputs", [])
        if "<img" in output.get("data", {}).get("text/html", "")
    ]
    assert len(shown) > 15 and all(picture in page for picture in shown)
    tags = re.findall(r"<img[^>]*?>", page)
    assert len(tags) == len(shown) + 1
    assert all(re.search(r'alt="[^"]{10,}"', tag) and "data:image/png" in tag for tag in tags)
    assert not re.search(r'(?:src|href)="https?:', page), "the page is complete in itself"


def test_no_output_is_a_bare_picture(run: Path) -> None:
    """A picture that did not go through show() has no alternative text."""
    for path in executed(run):
        for cell in nbformat.read(path, 4).cells:
            assert not any("image/png" in output.get("data", {}) for output in cell.get("outputs", []))


def nbval(paths: list[Path], environment: dict[str, str]) -> subprocess.CompletedProcess[str]:
    options = ["--nbval-lax", "--nbval-current-env", "--nbval-cell-timeout=900", "-q", "-n0", "-p", "no:cacheprovider"]
    command = [sys.executable, "-m", "pytest", *options, "--rootdir", str(paths[0].parent), *map(str, paths)]
    return subprocess.run(command, capture_output=True, text=True, env=environment, timeout=3300)


@pytest.mark.parametrize("name", RUNS[:2])
def test_right_answers_carry_the_course(name: str, request: pytest.FixtureRequest) -> None:
    for path in executed(request.getfixturevalue(name)):
        assert path.read_text().count("right. Going on with your function") == len(ANSWERS[path.stem[:2]])


def test_wrong_answers_pass_nbval(answered_run: Path, few: Path, offline: dict[str, str], tmp_path: Path) -> None:
    """In two notebooks, of which one shows panels and the other trains; what a check says to a mistake is tested for
    each in `test_exercises`."""
    paths = find_notebooks(["01", "06"])
    for path in paths:
        write_notebook(tmp_path / path.name, shortened(answered(path, a_mistake), few))
    journal = tmp_path / "journal.json"
    own = {"COURSE_RUNS": str(answered_run), "COURSE_LIVE": "1", "COURSE_JOURNAL": str(journal)}
    done = nbval([tmp_path / path.name for path in paths], offline | own)
    assert done.returncode == 0, done.stdout[-4000:]
    attempts = {attempt["key"]: attempt["right"] for attempt in json.loads(journal.read_text())["attempts"]}
    assert attempts == {key: False for key in find_exercises() if key[:2] in ("01", "06")}
    cells = sum(cell.cell_type == "code" for path in paths for cell in nbformat.read(path, 4).cells)
    assert f"{cells} passed" in done.stdout


def test_nbval_can_fail(offline: dict[str, str]) -> None:
    done = nbval([BAD / "01_raises.ipynb"], offline)
    assert done.returncode == 1 and "beta must lie in" in done.stdout


def test_hidden_errors_are_none_in_a_clean_run(run: Path) -> None:
    for path in executed(run):
        assert list(hidden_errors(nbformat.read(path, 4))) == []
