"""The course's notebooks: linted, executed as papermill and nbval do it, and without a network.

And the tools themselves: with notebooks that are bad on purpose, they must fail.
"""

from __future__ import annotations

import copy
import json
import os
import re
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import nbformat
import pytest
from conftest import ROOT
from nbformat import NotebookNode
from nbformat.v4 import new_code_cell, new_markdown_cell, new_output

from course_lib.authoring.headers import fill
from course_lib.authoring.lint import lint
from course_lib.data.labelled import photos10
from course_lib.exercises import find_exercises
from course_lib.experiments.execution import execute, hidden_errors
from course_lib.networks.alexnet import LAYERS
from course_lib.pictures.figures import to_pixels
from course_lib.pictures.png import encode_png
from course_lib.support.notebooks import EXPERIMENT, find_notebooks, read_parameters, strip, title, write_notebook

BAD = ROOT / "tests/bad_notebooks"
COURSE = find_notebooks()
(SAMPLE,) = find_notebooks(["06"])
STEPS = 40
"""Of the trainings here that take a number of steps: enough for all that a notebook does, and for its memory. At their
whole length they are run for the reference, which tests of their own look at."""


@pytest.mark.parametrize("path", COURSE, ids=lambda path: path.stem)
def test_the_anatomy_of_a_notebook(path: Path) -> None:
    assert lint(path) == []


@pytest.mark.parametrize("path", COURSE, ids=lambda path: path.stem)
def test_a_notebook_says_what_it_was_measured_at(path: Path) -> None:
    assert "Measured at `quick` on" in nbformat.read(path, 4).cells[0].source


def test_the_experiment_has_the_form_of_the_others() -> None:
    (path,) = find_notebooks([EXPERIMENT])
    assert lint(path) == [] and path not in COURSE


def damaged(change: Callable[[NotebookNode], None], folder: Path) -> Path:
    """A copy of a good notebook with one thing changed."""
    notebook = copy.deepcopy(nbformat.read(SAMPLE, 4))
    change(notebook)
    path = folder / "99_bad.ipynb"
    write_notebook(path, notebook)
    return path


def code(notebook: NotebookNode, tag: str) -> NotebookNode:
    return next(cell for cell in notebook.cells if tag in cell.metadata.get("tags", []))


def replace(old: str, new: str) -> Callable[[NotebookNode], None]:
    """Replaces a text everywhere in the notebook."""

    def change(notebook: NotebookNode) -> None:
        assert any(old in cell.source for cell in notebook.cells)
        for cell in notebook.cells:
            cell.source = cell.source.replace(old, new)

    return change


def add(*cells: NotebookNode) -> Callable[[NotebookNode], None]:
    return lambda notebook: notebook.cells.extend(cells)


DAMAGE: list[tuple[str, Callable[[NotebookNode], None]]] = [
    ("has outputs or a count", add(new_code_cell("1", outputs=[new_output("stream", text="1")]))),
    ("has outputs or a count", add(new_code_cell("1", execution_count=3))),
    ("holds widget state", lambda nb: nb.metadata.update(widgets={"state": {}})),
    ("no kernelspec", lambda nb: nb.metadata.pop("kernelspec")),
    ("0 cells tagged parameters", lambda nb: code(nb, "parameters").metadata.pop("tags")),
    ("more than `NAME = scalar`", lambda nb: code(nb, "parameters").update(source="SEEDS = [0, 1]")),
    ("more than `NAME = scalar`", lambda nb: code(nb, "parameters").update(source="import os\nSEED = 0")),
    ("only the set-up cell may", add(new_code_cell("!pip install something"))),
    ("only the set-up cell may", add(new_code_cell("if True:\n    %pip install something"))),
    ("one cell tagged set-up", replace("--no-deps", "--upgrade")),
    ("26 lines of code", add(new_code_cell("\n".join("x = 1" for _ in range(26))))),
    ("picture without alternative text", add(new_markdown_cell("![](figure.png)"))),
    ("<img> without alt", add(new_markdown_cell('<img src="figure.png">'))),
    ("<img> without alt", add(new_markdown_cell('<img src="figure.png" alt="">'))),
    ("picture without a caption", add(new_code_cell("import matplotlib.pyplot as plt"))),
    ("picture without a caption", add(new_code_cell("display(figure)"))),
    ("one heading of level 1", add(new_markdown_cell("# Another title"))),
    ("skip a level", add(new_markdown_cell("#### Too deep"))),
    ("types a result into the prose ('57.3 %')", add(new_markdown_cell("It reaches 57.3 % here."))),
    ("types a result into the prose", add(new_markdown_cell("It has an accuracy of 0.57."))),
    ("types a result into the prose", add(new_markdown_cell("It gains five points, from 52 to 57 percent."))),
    ("lacks **Claim.**", replace("**Claim.**", "Claim:")),
    ("lacks **Predict.**", replace("**Predict.**", "Guess.")),
    ("lacks a section that begins with 'Limits'", replace("## Limits", "## Ends")),
    ("lacks a section that begins with 'Control'", replace("## Control", "## Other")),
    ("which is no exercise", replace('check("06.standardise"', 'check("06.none"')),
    ("it has 0 exercises, and 3 are needed", replace("check(", "look(")),
    ("it has 2 exercises", replace('check("06.standardise"', 'look("06.standardise"')),
    (
        "lacks the heading '### Exercise 06.standardise · easy",
        replace("06.standardise · easy", "06.standardise · hard"),
    ),
    ("it asks for no prediction", replace('predict("06.part"', 'guess("06.part"')),
    ("compares it 0 times", replace('came_out("06.part"', 'print("06.part"')),
    ("which nobody predicts", add(new_code_cell('came_out("06.none", "conv1")'))),
    ("'question' is made where a prediction is asked for", add(new_code_cell("print(question)"))),
    ("which is no quiz", replace('quiz("06.best")', 'quiz("06.none")')),
    ("it has no quiz", replace('quiz("06.best")', 'print("06.best")')),
]


@pytest.mark.parametrize(("words", "change"), DAMAGE, ids=[f"{i}-{words}" for i, (words, _) in enumerate(DAMAGE)])
def test_the_lint_can_fail(words: str, change: Callable[[NotebookNode], None], tmp_path: Path) -> None:
    problems = lint(damaged(change, tmp_path))
    assert len(problems) == 1 and words in problems[0], problems


def test_the_lint_survives_what_is_no_notebook(tmp_path: Path) -> None:
    for i, content in enumerate(("", "{", "[]", '{"cells": 3}')):
        path = tmp_path / f"{i}.ipynb"
        path.write_text(content)
        assert "is no notebook" in lint(path)[0]


def test_strip_leaves_what_the_author_wrote(tmp_path: Path) -> None:
    clean = SAMPLE.read_text()

    def run(notebook: NotebookNode) -> None:
        notebook.metadata.widgets = {"state": {}}
        for i, cell in enumerate(c for c in notebook.cells if c.cell_type == "code"):
            cell.outputs, cell.execution_count = [new_output("stream", text="x")], i
            cell.metadata.papermill = {"duration": 1}

    path = damaged(run, tmp_path)
    assert path.read_text() != clean
    strip(path)
    assert path.read_text() == clean


def test_fill_replaces_only_between_its_comments() -> None:
    text = "a <!-- x -->old<!-- /x --> b <!-- y -->kept<!-- /y -->"
    assert fill(text, "x", "new") == "a <!-- x -->new<!-- /x --> b <!-- y -->kept<!-- /y -->"
    assert fill(text, "z", "new") == text


def test_titles_and_parameters() -> None:
    assert title(COURSE[0]) == "0 · Start here"
    for path in COURSE:
        parameters = read_parameters(path)
        assert parameters["PROFILE"] == "quick" and parameters["SEED"] == 0 and parameters["OR_QUICK"] is False


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
def run(offline: dict[str, str], tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The whole course as the README runs it, but with short trainings, and without a network."""
    out = tmp_path_factory.mktemp("run") / "out"
    command = [sys.executable, "-m", "course_lib", "run", "-p", "STEPS", str(STEPS), "--out", str(out)]
    command += ["--json", str(out.parent / "copy.json")]
    done = subprocess.run(command, capture_output=True, text=True, env=offline, cwd=ROOT, timeout=3300)
    (out / "printed.txt").write_text(done.stdout)
    assert done.returncode == 0, done.stdout + done.stderr
    return out


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
    assert [n["name"] for n in summary["notebooks"]] == [path.stem for path in COURSE]
    assert {n["status"] for n in summary["notebooks"]} == {"ok"}
    assert not Path(offline["BLOCKED"]).exists(), "something asked for the network"


def test_each_notebook_keeps_below_its_memory(run: Path) -> None:
    """1.2 GB, with the largest build of torch there is; seconds are measured and not tested."""
    for notebook in json.loads((run / "results.json").read_text())["notebooks"]:
        assert 100 < notebook["peak_mb"] < 1200, notebook


def test_the_results_have_the_promised_form(run: Path) -> None:
    summary = json.loads((run / "results.json").read_text())
    assert {"name", "status", "seconds", "peak_mb"} <= set(summary["notebooks"][0])
    assert {(row["method"], row["layer"]) for row in summary["probes"]} == {
        *((method, layer) for method in ("random", "rotnet", "supervised", "jigsaw", "pirl") for layer in LAYERS),
        ("random, looked", "conv2"),
    }
    for row in summary["probes"]:
        assert set(row) - {"left_out"} == {"method", "source", "n", "data", "layer", "accuracy", "low", "high", "seed"}
        assert 0.1 < row["accuracy"] < 1 and row["data"] == "photos10" and row["seed"] == 0
    assert (run.parent / "copy.json").read_text() == (run / "results.json").read_text()


def test_the_run_prints_what_it_cost_and_what_came_of_it(run: Path) -> None:
    printed = (run / "printed.txt").read_text()
    for words in ("06_linear_probes", "peak MB", "conv5", "supervised", "index.html", "-m jupyterlab notebooks"):
        assert words in printed


def test_one_page_has_all_pictures_with_their_words(run: Path) -> None:
    page = (run / "index.html").read_text()
    shown = [
        output.data["text/html"]
        for path in COURSE
        for cell in nbformat.read(run / "notebooks" / path.name, 4).cells
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
    for path in COURSE:
        for cell in nbformat.read(run / "notebooks" / path.name, 4).cells:
            assert not any("image/png" in output.get("data", {}) for output in cell.get("outputs", []))


def nbval(paths: list[Path], environment: dict[str, str]) -> subprocess.CompletedProcess[str]:
    options = ["--nbval-lax", "--nbval-current-env", "--nbval-cell-timeout=900", "-q", "-n0", "-p", "no:cacheprovider"]
    command = [sys.executable, "-m", "pytest", *options, "--rootdir", str(paths[0].parent), *map(str, paths)]
    return subprocess.run(command, capture_output=True, text=True, env=environment, timeout=3300)


def test_the_course_passes_nbval_with_wrong_answers(
    run: Path, few: Path, offline: dict[str, str], tmp_path: Path
) -> None:
    for path in COURSE:
        write_notebook(tmp_path / path.name, shortened(answered(path, a_mistake), few))
    journal = tmp_path / "journal.json"
    own = {"COURSE_RUNS": str(run), "COURSE_LIVE": "1", "COURSE_JOURNAL": str(journal)}
    done = nbval([tmp_path / path.name for path in COURSE], offline | own)
    assert done.returncode == 0, done.stdout[-4000:]
    attempts = {attempt["key"]: attempt["right"] for attempt in json.loads(journal.read_text())["attempts"]}
    assert attempts == dict.fromkeys(find_exercises(), False)
    cells = sum(cell.cell_type == "code" for path in COURSE for cell in nbformat.read(path, 4).cells)
    assert f"{cells} passed" in done.stdout


def test_nbval_can_fail(offline: dict[str, str]) -> None:
    done = nbval([BAD / "01_raises.ipynb"], offline)
    assert done.returncode == 1 and "beta must lie in" in done.stdout


def test_hidden_errors_are_none_in_a_clean_run(run: Path) -> None:
    for path in COURSE:
        assert list(hidden_errors(nbformat.read(run / "notebooks" / path.name, 4))) == []


ANSWERS = {
    "00": {
        "area_share": "return width * height / (image_width * image_height)",
        "smallest_side": "area = beta * image_width * image_height\n    return area**0.5",
        "points_above": "mean, least = sum(shares) / len(shares), sum(floor) / len(floor)\n"
        "    return (mean - least) * 100",
    },
    "01": {
        "crop_size": "return (area / ratio) ** 0.5, (area * ratio) ** 0.5",
        "bounding_box": "c, s = angle.cos().abs(), angle.sin().abs()\n"
        "    return width * c + height * s, width * s + height * c",
        "flip_map": "maps = torch.eye(2).repeat(len(flipped), 1, 1)\n    maps[flipped, 0, 0] = -1\n    return maps",
        "colour_map": "grey = torch.tensor([0.299, 0.587, 0.114]).expand(3, 3)\n    s = saturation[:, None, None]\n"
        "    mix = (s * torch.eye(3) + (1 - s) * grey) * (brightness * contrast)[:, None, None]\n"
        "    rest = ((1 - contrast) * brightness * mean_grey)[:, None, None].expand(-1, 3, 1)\n"
        "    return torch.cat([mix, rest], 2)",
    },
    "02": {
        "four_turns": "return torch.cat([images.rot90(k, (2, 3)) for k in range(4)])",
        "turn_loss": "n = len(logits) // 4\n    turns = torch.tensor([k for k in range(4) for _ in range(n)])\n"
        "    turns = turns.to(logits.device)\n"
        "    right = logits.log_softmax(1).gather(1, turns[:, None])\n"
        "    return -right.mean(), (logits.argmax(1) == turns).sum() / len(turns)",
        "turned_maps": "right, down, centre = affine.unbind(2)\n    for _ in range(quarter_turns):\n"
        "        right, down = down, -right\n    return torch.stack([right, down, centre], 2)",
    },
    "03": {
        "nearest": "return ((x[:, None] - centres) ** 2).sum(2).argmin(1)",
        "nmi": "pairs = torch.unique(torch.stack([a, b], 1), dim=0, return_inverse=True)[1]\n"
        "    h, k = entropy(a), entropy(b)\n    return (h + k - entropy(pairs)) / (h * k) ** 0.5",
        "balanced": "n = torch.bincount(labels)\n    return 1.0 / (n[labels] * (n > 0).sum())",
    },
    "04": {
        "game": "f, one = F.binary_cross_entropy_with_logits, torch.ones_like(real)\n    none = 0 * one\n"
        "    return f(real, one) + f(made, none), f(real, none) + f(made, one)",
        "found_again": "a, b = images.flatten(1), again.flatten(1)\n    own = torch.arange(len(a), device=a.device)\n"
        "    return (torch.cdist(a, b).argmin(1) == own).float().mean()",
        "spread": "a, b = ((x - x.mean(0)).square().mean(0).sqrt().mean() for x in (made, real))\n    return a / b",
    },
    "05": {
        "fold_batchnorm": "return filters * (gain / (variance + eps) ** 0.5).view(-1, 1, 1, 1)",
        "effective_rank": "rows = filters.flatten(1)\n    gram = rows @ rows.T\n"
        "    return float(gram.trace() ** 2 / (gram * gram).sum())",
        "matched_similarity": "a, b = (x.flatten(1) / x.flatten(1).norm(dim=1, keepdim=True) for x in (one, other))\n"
        "    alike = (a @ b.T).abs()\n    rows, columns = linear_sum_assignment(-alike.numpy())\n"
        "    return float(alike[rows, columns].mean())",
    },
    "06": {
        "standardise": "m, s = train.mean(0), train.std(0) + 1e-5\n    return (train - m) / s, (test - m) / s",
        "pool_side": "_, channels, height, _ = maps.shape\n    s = 1\n"
        "    while s < height and channels * (s + 1) ** 2 <= numbers:\n        s += 1\n    return s",
        "probe_loss": "scores = x @ weights[:-1] + weights[-1]\n"
        "    wrong = -scores.log_softmax(1)[torch.arange(len(y), device=y.device), y].mean()\n"
        "    return wrong + decay * (weights[:-1] ** 2).sum() / 2",
    },
    "07": {
        "freeze": "for number in range(1, depth + 1):\n        layer = getattr(trunk, f'conv{number}')\n"
        "        layer.eval()\n        for weight in layer.parameters():\n            weight.requires_grad = False\n"
        "    return trunk",
        "first_order": "f, b = torch.fft.fft2, torch.fft.ifft2\n"
        "    return b(f(abs(b(f(images) * wave))) * window).real",
        "same_order": "import numpy as np\n    n = len(one)\n"
        "    a, b = (np.sign(np.subtract.outer(v, v)) for v in (one, other))\n"
        "    return float((1 + (a * b).sum() / (n * (n - 1))) / 2)",
    },
    "08": {
        "paired": "both = [seed for seed in one.index if seed in other.index]\n    return one[both] - other[both]",
        "interval": "x = pd.Series(points)\n    reach = stdtrit(len(x) - 1, 0.975) * x.sem()\n"
        "    return x.mean() - reach, x.mean() + reach",
        "above": 'return "holds" if low > bound else "undecided" if high > bound else "fails"',
    },
    "09": {
        "spread_out": "chosen = [0]\n    while len(chosen) < count:\n"
        "        apart = (candidates[:, None] != candidates[chosen]).sum(2)\n"
        "        chosen.append(int(apart.amin(1).argmax()))\n    return torch.tensor(chosen)",
        "normalise": "x = tiles - tiles.mean((2, 3), keepdim=True)\n"
        "    return x / (x.square().mean((2, 3), keepdim=True) + 1e-8) ** 0.5",
        "nce": "own, noise = (near - offset).sigmoid(), (far - offset).sigmoid()\n"
        "    return (-own.log() - (1 - noise).log().sum(1)).mean()",
        "moved": "mixed = momentum * rows + (1 - momentum) * embedding\n"
        "    return mixed / mixed.norm(dim=1, keepdim=True)",
    },
    "10": {
        "parameters_below": "counts = [m * t // g * k * k + m + m for t, m, k, g in convolutions]\n"
        "    return [sum(counts[:n]) for n in range(1, len(counts) + 1)]",
        "read_at": "import numpy as np\n    return float(np.interp(depth, depths, shares))",
        "reached": "way, gone = supervised - random, trained - random\n    return gone / way",
    },
    "11": {
        "gram": "n, c, h, w = maps.shape\n    return torch.einsum('nihw,njhw->nij', maps, maps) / (h * w)",
        "precision_at": "a = queries / queries.norm(dim=1, keepdim=True)\n"
        "    b = gallery / gallery.norm(dim=1, keepdim=True)\n"
        "    order = (a @ b.T).argsort(1, descending=True)[:, :k]\n"
        "    return float((gallery_labels[order] == labels[:, None]).float().mean())",
        "overlap": "rows = []\n    for a in boxes.tolist():\n        rows.append([])\n"
        "        for b in others.tolist():\n            wide = max(0, min(a[2], b[2]) - max(a[0], b[0]))\n"
        "            high = max(0, min(a[3], b[3]) - max(a[1], b[1]))\n"
        "            both = sum((c[2] - c[0]) * (c[3] - c[1]) for c in (a, b))\n"
        "            rows[-1].append(wide * high / (both - wide * high))\n    return torch.tensor(rows)",
        "average_precision": "n, area, best = len(right), 0.0, 0.0\n    hits = right.int().cumsum(0).tolist()\n"
        "    for i in reversed(range(n)):\n        best = max(best, hits[i] / (i + 1))\n"
        "        area += best * bool(right[i]) / positives\n    return area",
    },
    "12": {
        "objective": "found = (1 - (positive @ weights + bias)).clamp(min=0)\n"
        "    passed = (1 + (negatives @ weights + bias)).clamp(min=0)\n"
        "    return weights @ weights / 2 + C1 * found + C2 * passed.sum()",
        "whiten": "return torch.linalg.inv(covariance) @ (positive - mean)",
        "correlate": "f = torch.fft.fft2\n    spectrum = f(image) * f(template, s=image.shape).conj()\n"
        "    return torch.fft.ifft2(spectrum).real",
    },
    "13": {
        "neighbours": "a, b = grey[:, :-1].flatten().double(), grey[:, 1:].flatten().double()\n"
        "    a, b = a - a.mean(), b - b.mean()\n    scale = (a.square().sum() * b.square().sum()).sqrt()\n"
        "    return float((a * b).sum() / scale) if scale > 1e-9 else 0.0",
        "beaten": "return [name for name, seeds in zip(names, accuracies) if all(mine > one for one in seeds)]",
        "brier": "return sum((s - int(r)) ** 2 for s, r in zip(sure, right)) / len(sure)",
    },
}
"""What a learner may write, in words of its own; never the library's functions."""


STUB = re.compile(r"(def (\w+)\((.*?)\).*?\n.*\n)    \.\.\.")
"""Of an exercise: up to its docstring's end; its name; its parameters."""


def answered(path: Path, body: Callable[[str, str, str], str]) -> NotebookNode:
    """A notebook in which every exercise has a body, given the exercise's id and its function's name and parameters."""
    notebook = nbformat.read(path, 4)
    for cell in exercises(notebook):
        (key,) = re.findall(r"check\(\"([^\"]+)\"", cell.source)
        cell.source, count = STUB.subn(lambda m, key=key: f"{m[1]}    {body(key, m[2], m[3])}", cell.source)
        assert count == 1, f"{key} has no stub"
    return notebook


@pytest.fixture(scope="module")
def few(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A twentieth of the bundled labelled pictures, as a folder: what a notebook does with answers takes no more."""
    data, folder = photos10(train=300, test=200), tmp_path_factory.mktemp("few")
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
    """The notebook with the trainings that the whole course has had, so that it finds their networks, and with few
    labelled pictures."""
    cell = code(notebook, "parameters")
    for name, value in (("STEPS", STEPS), ("DATA", f"folder:{few}")):
        cell.source = re.sub(rf"^{name} = [^#\n]*", f"{name} = {value!r}  ", cell.source, flags=re.MULTILINE)
    return notebook


def exercises(notebook: NotebookNode) -> list[NotebookNode]:
    return [cell for cell in notebook.cells if "exercise" in cell.metadata.get("tags", [])]


def a_mistake(key: str, name: str, parameters: str) -> str:
    """The first of an exercise's typical mistakes."""
    given = ", ".join(part.partition(":")[0].strip() for part in re.split(r",\s*(?![^\[]*\])", parameters))
    return f"return __import__('course_lib.exercises').exercises.find_exercise({key!r}).mistakes[0].function({given})"


Carry = Callable[..., str]


@pytest.fixture
def carry(tmp_path: Path, run: Path, few: Path) -> Carry:
    """What a changed notebook printed, when it was executed with the networks that the whole course has trained."""

    def printed(notebook: NotebookNode, path: Path, strict: str = "") -> str:
        write_notebook(tmp_path / path.name, shortened(notebook, few))
        environment = {"COURSE_LIVE": "0", "COURSE_RUNS": str(run), "COURSE_STRICT": strict}
        result = execute(tmp_path / path.name, tmp_path / "out.ipynb", {}, environment)
        assert result.error == ""
        return (tmp_path / "out.ipynb").read_text()

    return printed


@pytest.mark.parametrize("path", COURSE, ids=lambda path: path.stem)
def test_a_learners_right_answers_carry_the_notebook(path: Path, carry: Carry) -> None:
    own = ANSWERS[path.stem[:2]]
    printed = carry(answered(path, lambda key, name, _: own[name]), path, strict="1")
    assert printed.count("right. Going on with your function") == len(own)


@pytest.mark.parametrize("path", COURSE, ids=lambda path: path.stem)
def test_a_notebook_runs_without_its_exercises(path: Path, carry: Carry) -> None:
    notebook = nbformat.read(path, 4)
    notebook.cells = [cell for cell in notebook.cells if "exercise" not in cell.metadata.get("tags", [])]
    printed = carry(notebook, path)
    assert "not attempted yet" not in printed


def test_every_exercise_has_an_answer_in_a_learners_words() -> None:
    for path in COURSE:
        assert len(exercises(nbformat.read(path, 4))) == len(ANSWERS[path.stem[:2]]) >= 3
