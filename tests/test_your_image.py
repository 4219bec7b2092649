"""A photograph of one's own: measures against oracles, the page that is complete in itself, and the gallery."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from click.testing import CliRunner
from conftest import ROOT
from PIL import Image
from sklearn.metrics import brier_score_loss
from test_panels import upload

from course_lib.__main__ import main
from course_lib.data.images import read_photograph, to_grey
from course_lib.data.loading import load_source
from course_lib.data.sources import generate
from course_lib.experiments import runs as course_runs
from course_lib.experiments.execution import NotebookResult
from course_lib.lessons.crops.sliders import explore_crops
from course_lib.lessons.your_image import (
    Section,
    beaten,
    brier,
    known_accuracies,
    neighbours,
    page_html,
    plain_name,
    save_page,
    standing_picture,
)
from course_lib.pictures.figures import crop_sheet
from course_lib.pictures.png import encode_png
from course_lib.profiles import start
from course_lib.support.errors import CourseError


def test_neighbours_is_numpys_correlation() -> None:
    picture = to_grey(read_photograph("china"))
    left, right = picture[:, :-1].numpy().ravel(), picture[:, 1:].numpy().ravel()
    assert neighbours(picture) == pytest.approx(np.corrcoef(left, right)[0, 1])


def test_neighbours_tells_photographs_from_noise_and_a_flat_grey() -> None:
    assert abs(neighbours(to_grey(generate("noise")))) < 0.02
    assert neighbours(to_grey(generate("flat"))) == 0
    assert min(neighbours(to_grey(read_photograph(name))) for name in ("china", "flower", "astronaut")) > 0.9


def test_brier_is_scikit_learns() -> None:
    sure, right = [0.9, 0.6, 0.35, 1.0], [True, False, True, True]
    assert brier(sure, right) == pytest.approx(brier_score_loss(right, sure))
    with pytest.raises(ValueError, match="at least one prediction, got none"):
        brier([], [])


def test_beaten_is_above_every_seed_and_no_less() -> None:
    assert beaten(2.0, ["a", "b", "c"], [[1, 1.9], [1, 2.0], [1, 3]]) == ["a"]


def test_known_pictures_are_those_of_the_reference() -> None:
    known = known_accuracies("rotnet", "conv2", "photos10", "quick")
    assert set(known) == {"untrained", "flat", "noise", "dead_leaves", "china"}
    seeds = {name: len(by_seed) for name, by_seed in known.items()}
    assert seeds == dict.fromkeys(known, 3) | {"untrained": 5, "china": 5}, "the probes' seeds, and the grid's"
    means = [np.mean(by_seed) for by_seed in known.values()]
    assert means == sorted(means) and 10 < means[0] < means[-1] < 100
    assert set(known_accuracies("deepcluster", "conv2", "photos10", "quick")) == {"untrained", "china"}
    assert known_accuracies("rotnet", "conv2", "nothing", "quick") == {}
    assert known_accuracies("rotnet", "conv2", "photos10", "paper") == {}


def test_the_standing_says_in_words_what_it_shows() -> None:
    picture = standing_picture(55.25, {"flat": [50.0, 51.5], "china": [56.0, 57.0]}, "mine", "conv2")
    for words in ("conv2: mine 55.2 percent", "flat 50.0, 51.5", "china 56.0, 57.0"):
        assert words in picture.caption
    assert picture.png()[:4] == b"\x89PNG"


@pytest.mark.parametrize("name", ["a/../b c.jpg", "..", "", "<b>ü</b>", "x" * 300, 'a"b\n'])
def test_a_plain_name_is_one_that_any_system_takes(name: str) -> None:
    assert re.fullmatch(r"\w[\w.-]{0,59}", plain_name(name)) and ".." not in plain_name(name)[:2]


def test_a_page_is_complete_in_itself_and_a_name_stays_text() -> None:
    pictures = [crop_sheet(torch.zeros(2, 3, 8, 8), "Two <i>grey</i> crops")]
    html = page_html("<script>alert(1)</script>", [Section("What & why", "<b>words</b>", pictures)], start())
    assert "<script" not in html and "<b>words" not in html and "<i>" not in html and "What &amp; why" in html
    assert re.findall(r"<img alt=\"([^\"]+)\" src=\"data:image/png", html) == ["Two &lt;i&gt;grey&lt;/i&gt; crops"]
    assert not re.search(r"(?:src|href)=\"(?!data:)", html) and "default-src 'none'" in html
    path = save_page("my photograph.jpg", html)
    assert path.name == "my-photograph.jpg.html" and path.read_text(encoding="utf-8") == html


def test_the_explorer_hands_on_what_it_shows() -> None:
    panel = explore_crops(load_source("china"))
    assert panel.source.name == "china"
    choice = next(w for w in _all(panel.box) if getattr(w, "description", "") == "image")
    choice.value = "flower"
    assert panel.source.name == "flower"
    upload(panel, "broken.png", b"no picture")
    assert panel.source.name == "flower"
    upload(panel, "mine.png", encode_png(generate("noise", 200, 150).permute(1, 2, 0).contiguous().numpy()))
    assert panel.source.name == "mine.png" and panel.source.sizes.tolist() == [[200, 150]]


def _all(widget: Any) -> list[Any]:
    return [widget, *(one for child in getattr(widget, "children", ()) for one in _all(child))]


def photograph(path: Path, seed: int = 0) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(generate("dead_leaves", 160, 120, seed).permute(1, 2, 0).numpy()).save(path)
    return path


@pytest.fixture
def runs(monkeypatch: pytest.MonkeyPatch) -> list[dict[str, Any]]:
    """The parameters of notebook 13's runs, each of which writes a page and does nothing else."""
    seen: list[dict[str, Any]] = []

    def run(parameters: dict[Path, dict[str, Any]], profile: str, folder: Path) -> list[NotebookResult]:
        ((path, given),) = parameters.items()
        seen.append(given)
        (folder / "pages").mkdir(exist_ok=True)
        (folder / "pages/x.html").write_text("page")
        error = "it broke" if "broken" in given["SOURCE"] else ""
        return [NotebookResult(path.stem, "ok", 1.0, 1.0, error)]

    monkeypatch.setattr(course_runs, "run_notebooks", run)
    return seen


def test_every_photograph_has_its_page_and_the_gallery_leads_there(
    tmp_path: Path, runs: list[dict[str, Any]], monkeypatch: pytest.MonkeyPatch
) -> None:
    digested: list[Path] = []
    monkeypatch.setattr(course_runs, "code_digest", lambda notebook: digested.append(notebook) or "digest")
    folder = tmp_path / "pictures"
    for i, name in enumerate(("a.png", "b & <c>.png", "ö.jpg", "broken in the run.png")):
        photograph(folder / name, i)
    (folder / "no picture.jpg").write_text("text")
    out = tmp_path / "out"
    entries = course_runs.make_gallery([folder, folder / "a.png"], {"SEED": 1}, "quick", out)
    found = {entry.name: entry for entry in entries}
    assert len(entries) == 5 and len(runs) == 4
    assert [path.name for path in digested] == ["13_your_image.ipynb"], "once for all of them"
    assert {"rotnet", "deepcluster", "bigan"} <= set(runs[0]["METHODS"].split(", "))
    assert runs[0]["SEED"] == 1 and runs[0]["SOURCE"] == str(folder / "a.png")
    assert found["broken in the run.png"].error == "it broke" and "picture" in found["no picture.jpg"].error
    html = (out / "index.html").read_text(encoding="utf-8")
    assert "<c>" not in html and html.count("<img alt=") == 3 and "it broke" in html
    pages = [one.page for one in entries if one.page]
    assert len(pages) == 3 and all(f'href="{page}"' in html for page in pages)
    assert len([*out.glob("*/page.html")]) == 3


def test_a_page_that_is_there_is_kept_and_another_question_is_another_page(
    tmp_path: Path, runs: list[dict[str, Any]]
) -> None:
    path, out = photograph(tmp_path / "a.png"), tmp_path / "out"
    for _ in range(2):
        course_runs.make_gallery([path], {}, "quick", out)
    assert len(runs) == 1
    course_runs.make_gallery([path], {"SEED": 2}, "quick", out)
    assert len(runs) == 2
    photograph(path, seed=5)
    course_runs.make_gallery([path], {}, "quick", out)
    assert len(runs) == 3


def test_a_path_that_is_not_there_and_a_folder_without_pictures(tmp_path: Path) -> None:
    with pytest.raises(CourseError, match="is not there; give --image a picture"):
        course_runs.make_gallery([tmp_path / "none.png"], {}, "quick", tmp_path / "out")
    with pytest.raises(CourseError, match="holds no pictures"):
        course_runs.make_gallery([tmp_path], {}, "quick", tmp_path / "out")


@pytest.mark.full
def test_the_command_makes_a_real_page(tmp_path: Path) -> None:
    path, out = photograph(tmp_path / "my photograph.png"), tmp_path / "out"
    command = [sys.executable, "-m", "course_lib", "run", "--image", str(path), "--out", str(out)]
    command += ["-p", "STEPS", "2", "-p", "METHODS", "rotnet"]
    done = subprocess.run(command, capture_output=True, text=True, cwd=ROOT)
    assert done.returncode == 0, done.stdout + done.stderr
    (page,) = out.glob("my-photograph-*/page.html")
    html = page.read_text(encoding="utf-8")
    for words in ("my photograph.png", "Layer by layer", "rotnet at conv2", "dead_leaves"):
        assert words in html
    assert html.count("<img alt=") == 4 and not re.search(r"(?:src|href)=\"(?!data:)", html)
    changed = page.stat().st_mtime_ns
    again = subprocess.run(command, capture_output=True, text=True, cwd=ROOT)
    assert again.returncode == 0 and page.stat().st_mtime_ns == changed


@pytest.mark.parametrize("more", [["--only", "02"], ["--json", "x.json"], ["-p", "SOURCE", "china"]])
def test_the_gallery_takes_no_other_notebook(more: list[str], tmp_path: Path) -> None:
    done = CliRunner().invoke(main, ["run", "--image", str(tmp_path), *more])
    assert done.exit_code == 2 and "leave out --only, --json and -p SOURCE" in done.output
