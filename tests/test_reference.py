"""The reference command: from nothing to files, and onward after an interrupt."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import save_file

from course_lib import reference, results
from course_lib.errors import CourseError
from course_lib.networks import LAYERS
from course_lib.notebooks import NotebookResult
from course_lib.probes import ProbeResult
from course_lib.results import probe_rows

METHODS = ("random", "rotnet", "supervised")


class Course:
    """Stands in for the notebooks: writes what a run leaves behind, in no time."""

    def __init__(self) -> None:
        self.ran: list[str] = []
        self.fails = ""

    def __call__(self, parameters: dict[Path, dict[str, Any]], profile: str, folder: Path) -> list[NotebookResult]:
        trained = folder / "trained"
        trained.mkdir(exist_ok=True)
        for method in METHODS[1:]:
            save_file({"history.film": torch.rand(2, 32, 3, 5, 5)}, trained / f"{method}-0.safetensors")
        done = []
        for path, values in parameters.items():
            self.ran.append(f"{path.stem} {values['SEED']} {values.get('DATA', '')}".strip())
            error = "ValueError: no" if path.stem == self.fails else ""
            done.append(NotebookResult(path.stem, "failed" if error else "ok", 3.0, 900.0, error))
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
        probed = [ProbeResult(layer, 0.5 + seed / 100, 0.9, 0.1, 3_000) for layer in LAYERS]
        return [row for method in METHODS for row in probe_rows(method, "china", 1, name, probed, seed)]


@pytest.fixture
def course(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Course:
    (tmp_path / "assets").mkdir()
    for module in (reference, results):
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
    assert [len(n["seconds"]) for n in summary["notebooks"]] == [2] * 7, "every notebook is timed once a seed"
    assert set(results.load_reference_filters("quick")) == set(METHODS)
    for name in ("crops", "filters", "layers"):
        assert (tmp_path / f"assets/figures/{name}.png").read_bytes().startswith(b"\x89PNG")
    assert course.ran[-1] == "00_start_here 1", "the notebook that shows the reference runs after it is there"


def test_finished_runs_are_kept(course: Course, tmp_path: Path) -> None:
    reference.make_reference("quick", [0], ["photos10"], tmp_path / "runs")
    course.ran.clear()
    reference.make_reference("quick", [0, 1], ["photos10"], tmp_path / "runs")
    assert course.ran and all(line.split()[1] == "1" for line in course.ran)


def test_no_reference_is_made_of_a_failed_run(course: Course, tmp_path: Path) -> None:
    course.fails = "02_rotnet"
    with pytest.raises(CourseError, match="no reference was made, because of 02_rotnet: ValueError: no"):
        reference.make_reference("quick", [0], ["photos10"], tmp_path / "runs")
    assert not list((tmp_path / "assets").iterdir())
