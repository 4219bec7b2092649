"""The reference command: from nothing to files, and onward after an interrupt."""

from __future__ import annotations

import json
import zipfile
from dataclasses import asdict
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import save_file

from course_lib.authoring import headers
from course_lib.authoring.headers import write_measured
from course_lib.data.datasets import CropDataset
from course_lib.data.loading import load_labelled, load_source
from course_lib.evidence import results
from course_lib.evidence.results import TABLE_VERSION, band, load_reference, probe_rows
from course_lib.experiments import reference
from course_lib.experiments.cells import Cell, keep
from course_lib.experiments.execution import NotebookResult
from course_lib.experiments.sweep import Grid
from course_lib.networks.alexnet import LAYERS
from course_lib.probes.classifier import ProbeResult
from course_lib.probes.probe import probe
from course_lib.profiles import start
from course_lib.support.errors import CourseError
from course_lib.support.files import make_folder
from course_lib.support.notebooks import find_notebooks
from course_lib.training.trained import pretrain, untrained

GPU = {"device": "an H100", "torch": "2"}
METHODS = ("random", "rotnet", "supervised")


class Course:
    """Stands in for the notebooks: writes what a run leaves behind, in no time."""

    def __init__(self) -> None:
        self.ran: list[str] = []
        self.fails = ""
        self.seconds = 3.0
        self.accuracy = 0.5

    def __call__(self, parameters: dict[Path, dict[str, Any]], profile: str, folder: Path) -> list[NotebookResult]:
        trained = folder / "trained"
        trained.mkdir(exist_ok=True)
        for method in METHODS[1:]:
            film = {"history.film": torch.rand(2, 32, 3, 5, 5), "history.film_steps": torch.tensor([0, 9])}
            facts = {"method": method, "seed": 0, "profile": {"name": profile}, "data": {"name": "china", "n": 1}}
            save_file(film, trained / f"{method}-0.safetensors", {"facts": json.dumps(facts)})
        done = []
        for path, values in parameters.items():
            self.ran.append(f"{path.stem} {values['SEED']} {values.get('DATA', '')}".strip())
            error = "ValueError: no" if path.stem == self.fails else ""
            done.append(NotebookResult(path.stem, "failed" if error else "ok", self.seconds, 900.0, error))
            if path.stem.startswith("06"):
                done[-1].probes = self.rows(values["SEED"], values["DATA"])
        summary = {
            "notebooks": [{"name": r.name, "seconds": r.seconds, "peak_mb": r.peak_mb} for r in done],
            "probes": [row for r in done for row in r.probes],
            "measures": [],
        }
        (folder / "results.json").write_text(json.dumps(summary))
        return done

    def rows(self, seed: int, data: str) -> list[dict[str, Any]]:
        name = reference._without_path(data)
        probed = [ProbeResult(layer, self.accuracy + seed / 100, 0.9, 0.1, 3_000) for layer in LAYERS]
        return [row for method in METHODS for row in probe_rows(method, "china", 1, name, probed, seed)]


@pytest.fixture
def course(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Course:
    (tmp_path / "assets").mkdir()
    for module in (reference, results, headers):
        monkeypatch.setattr(module, "assets_folder", lambda: tmp_path / "assets")
    course = Course()
    monkeypatch.setattr(reference, "run_notebooks", course)
    return course


def test_a_reference_is_made_from_nothing(course: Course, tmp_path: Path) -> None:
    data = ["photos10", "folder:/home/ada/birds"]
    path = reference.make_reference("quick", [0, 1], data, tmp_path / "runs")
    summary = json.loads(path.read_text())
    assert summary["command"].endswith("--seeds 0,1 --data photos10 --data folder:birds")
    assert len(summary["probes"]) == 2 * 2 * len(METHODS) * len(LAYERS)
    assert [len(n["seconds"]) for n in summary["notebooks"]] == [2] * len(find_notebooks()), "each is timed once a seed"
    assert list(results.load_reference_films("quick")) == [f"{method}/1/china" for method in METHODS[1:]]
    for name in ("crops", "filters", "layers"):
        assert (tmp_path / f"assets/figures/{name}.png").read_bytes().startswith(b"\x89PNG")
    packed = zipfile.ZipFile(tmp_path / "runs/assets.zip")
    assert {"assets/reference/quick.json", "assets/figures/layers.png"} <= set(packed.namelist())
    assert packed.read("assets/reference/quick.json") == path.read_bytes()
    assert course.ran[-1] == "00_start_here 1", "the notebook that shows the reference runs after it is there"


def test_finished_runs_are_kept(course: Course, tmp_path: Path) -> None:
    reference.make_reference("quick", [0], ["photos10"], tmp_path / "runs")
    course.ran.clear()
    reference.make_reference("quick", [0, 1], ["photos10"], tmp_path / "runs")
    assert course.ran and all(line.split()[1] == "1" for line in course.ran)


def test_a_grid_that_was_swept_becomes_part_of_it(course: Course, tmp_path: Path) -> None:
    cell = Cell("rotnet", "china", 1, "crop", 0, "photos10", "quick")
    machine = {"device": "2 CPU cores", "torch": "2"}
    record = {"version": TABLE_VERSION, "cell": asdict(cell), "code": "abc", "machine": machine}
    keep(
        record | {"seconds": 30, "peak_mb": 900, "rows": [{"layer": "conv1", "seed": 0}]}, cell, tmp_path / "runs/sweep"
    )
    reference.make_reference("quick", [0], ["photos10"], tmp_path / "runs")
    (row,) = results.load_reference_table("quick")
    assert row["layer"] == "conv1" and row["code"] == "abc" and row["device"] == "2 CPU cores"


def test_a_few_cells_become_part_of_it_without_a_run_of_the_notebooks(
    course: Course, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As on a machine that can be had for minutes: today one seed, and another on another day."""
    for seed in (0, 1):
        cell, folder = Cell("rotnet", "china", 1, "", seed, "cifar10", "standard"), tmp_path / f"sweep-{seed}"
        course({}, "standard", make_folder(folder / cell.name))
        record = {"version": TABLE_VERSION, "cell": asdict(cell), "code": "abc", "machine": GPU}
        probed = [ProbeResult(layer, 0.7 + 0.02 * seed, 0.9, 0.1, 10_000) for layer in LAYERS]
        rows = [row | {"left_out": ""} for row in probe_rows("rotnet", "china", 1, "cifar10", probed, seed)]
        keep(record | {"seconds": 90, "peak_mb": 2500, "rows": rows}, cell, folder)
        path = reference.keep_sweep(Grid(["rotnet"], [seed], ["cifar10"], "", profile="standard"), folder)
    assert {row["seed"] for row in results.load_reference_table("standard")} == {0, 1}, "the other day's stays"
    assert list(results.load_reference_films("standard")) == [f"{method}/1/china" for method in METHODS[1:]]
    files = {f"assets/reference/standard-{what}" for what in ("sweep.jsonl", "films.safetensors")}
    assert files == set(zipfile.ZipFile(path).namelist())
    readme, results_page = tmp_path / "README.md", tmp_path / "assets/README.md"
    readme.write_text("# No block")
    results_page.write_text("<!-- standard --><!-- /standard -->")
    (tmp_path / "assets/reference/quick.json").write_text('{"notebooks": [], "machine": {"device": "", "torch": ""}}')
    monkeypatch.setattr(headers, "find_notebooks", list)
    assert write_measured(readme) == [results_page], "a block is filled in the page that it stands in"
    table = results_page.read_text()
    assert f"| rotnet | 1 of china | cifar10 | 0, 1 |{' 71.0 ± 1.4 |' * len(LAYERS)}" in table
    assert "At `standard` on an H100, torch 2; " in table


def test_cells_with_other_probes_are_kept_apart(course: Course, tmp_path: Path) -> None:
    for pictures in (0, 500):
        cell = Cell("rotnet", "china", 1, "", 0, "photos10", "quick", pictures=pictures)
        folder = tmp_path / "one for both"
        course({}, "quick", make_folder(folder / cell.name))
        record = {"version": TABLE_VERSION, "cell": asdict(cell), "code": "abc", "machine": GPU}
        probed = [ProbeResult("conv2", 0.5 + pictures / 1e4, 0.9, 0.1, 10)]
        keep(
            record | {"seconds": 9, "peak_mb": 9, "rows": probe_rows("rotnet", "china", 1, "x", probed, 0)},
            cell,
            folder,
        )
        grid = Grid(["rotnet"], [0], ["photos10"], "", pictures=pictures)
        path = reference.keep_sweep(grid, folder)
    tables = [results.load_reference_table(kind) for kind in ("quick", "quick-500")]
    assert [[row["accuracy"] for row in table] for table in tables] == [[0.5], [0.55]]
    assert "assets/reference/quick-500-sweep.jsonl" in zipfile.ZipFile(path).namelist()


def test_a_part_is_measured_again_and_the_rest_stays(course: Course, tmp_path: Path) -> None:
    with pytest.raises(CourseError, match="no reference at 'quick' to measure a part of again"):
        reference.measure_again("quick", ["07"], ["photos10"], tmp_path / "again")
    before = json.loads(reference.make_reference("quick", [0, 1], ["photos10"], tmp_path / "runs").read_text())
    course.ran.clear()
    course.seconds = 5.0
    after = json.loads(reference.measure_again("quick", ["07"], ["photos10"], tmp_path / "again").read_text())
    assert course.ran == [f"07_frozen_layers_and_scattering {seed} photos10" for seed in (0, 1)]
    (again,) = after.pop("again")
    assert again["command"].endswith("reference --profile quick --only 07 --data photos10") and again["commit"]
    changed = [new for old, new in zip(before["notebooks"], after["notebooks"]) if old != new]
    assert [(cost["name"], cost["seconds"]) for cost in changed] == [("07_frozen_layers_and_scattering", [5.0, 5.0])]
    assert {**after, "notebooks": 0} == {**before, "notebooks": 0}
    course.seconds = 7.0
    other = json.loads(reference.measure_again("quick", ["07"], ["cifar10"], tmp_path / "other").read_text())
    assert other["notebooks"] == after["notebooks"], "on other pictures it costs something else"


def test_the_probes_are_measured_again_on_every_set(course: Course, tmp_path: Path) -> None:
    sets = ["photos10", "cifar10"]
    before = json.loads(reference.make_reference("quick", [0, 1], sets, tmp_path / "runs").read_text())
    course.ran.clear()
    course.accuracy = 0.7
    after = json.loads(reference.measure_again("quick", ["06"], ["cifar10"], tmp_path / "again").read_text())
    assert course.ran == [f"06_linear_probes {seed} cifar10" for seed in (0, 1, 0, 1)], "once to be timed, once for all"
    same = [(old, new) for old, new in zip(before["probes"], after["probes"]) if old == new]
    assert {old["data"] for old, _ in same} == {"photos10"} and len(same) == len(before["probes"]) / 2
    assert min(row["accuracy"] for row in after["probes"] if row["data"] == "cifar10") == 0.7
    films = results.load_reference_films("quick")
    more = json.loads(reference.measure_again("quick", ["06"], sets, tmp_path / "more", seeds=[5]).read_text())
    assert more["probes"][: len(after["probes"])] == after["probes"], "other seeds come to those that there are"
    assert {(row["seed"], row["data"]) for row in more["probes"][len(after["probes"]) :]} == {
        (5, name) for name in sets
    }
    assert (
        more["notebooks"] == after["notebooks"]
        and more["seeds"] == [0, 1]
        and "--seeds 5" in more["again"][-1]["command"]
    )
    assert all(
        torch.equal(film.frames, films[key].frames) for key, film in results.load_reference_films("quick").items()
    )


def test_no_reference_is_made_of_a_failed_run(course: Course, tmp_path: Path) -> None:
    course.fails = "02_rotnet"
    with pytest.raises(CourseError, match="no reference was made, because of 02_rotnet: ValueError: no"):
        reference.make_reference("quick", [0], ["photos10"], tmp_path / "runs")
    assert not list((tmp_path / "assets").iterdir())


@pytest.mark.full
def test_a_seed_measured_again_is_inside_its_band(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Seed 0 of the random network and of RotNet, trained and probed again, against the committed reference."""
    kept = load_reference("quick")["probes"]
    monkeypatch.setenv("COURSE_RUNS", str(tmp_path))
    course = start("quick", 0)
    crops = CropDataset(load_source("china"), d=course.profile.d, side=course.profile.side, seed=0)
    data = load_labelled("photos10", course.profile.side).take(course.profile.train, course.profile.test)
    for method, trunk in (("random", untrained(course)), ("rotnet", pretrain("rotnet", course, crops).trunk)):
        for found in probe(trunk, data, numbers=course.profile.numbers):
            asked = (method, "photos10", found.layer)
            seeds = [row["accuracy"] for row in kept if (row["method"], row["data"], row["layer"]) == asked]
            low, high = band(seeds)
            assert len(seeds) >= 3 and low <= found.accuracy <= high, asked
