"""Rows, tables, bands, and what a notebook says of them."""

from __future__ import annotations

import json
from pathlib import Path

import pandas as pd
import pytest
from nbformat.v4 import new_code_cell, new_notebook, new_output

from course_lib.evidence import results
from course_lib.evidence.results import MIME, accuracy_table, band, compare, measure_row, probe_rows, publish
from course_lib.experiments.execution import published_rows
from course_lib.networks.alexnet import LAYERS
from course_lib.probes.classifier import ProbeResult


def rows(method: str = "rotnet", accuracy: float = 0.5, seed: int = 0) -> list[dict]:
    probed = [ProbeResult(layer, accuracy + i / 100, 0.9, 0.1, 3_000) for i, layer in enumerate(LAYERS)]
    return probe_rows(method, "china", 1, "photos10", probed, seed)


def test_a_row_has_the_promised_keys() -> None:
    assert set(rows()[0]) == {"method", "source", "n", "data", "layer", "accuracy", "low", "high", "seed"}


def test_the_table_averages_seeds_and_orders_layers() -> None:
    table = accuracy_table(rows(accuracy=0.5) + rows(accuracy=0.6, seed=1))
    assert list(table.columns) == ["data", "method", "source", "n", *LAYERS]
    assert table.loc[0, "conv1"] == 55.0 and table.loc[0, "conv5"] == 59.0


def test_rows_are_found_in_a_notebooks_outputs() -> None:
    output = new_output("display_data", data={MIME: rows(), "text/plain": "a table"})
    notebook = new_notebook(cells=[new_code_cell("publish(rows)", outputs=[output]), new_code_cell("1")])
    assert published_rows(notebook) == rows()


def test_shares_are_published_as_percent(monkeypatch: pytest.MonkeyPatch) -> None:
    shown: list[dict] = []
    monkeypatch.setattr("IPython.display.display", lambda data, raw: shown.append(data))
    row = {"measure": "conv1 frozen", "method": "rotnet", "accuracy": 0.473, "low": 0.43, "high": 0.51, "seed": 0}
    publish([row])
    assert shown[0][MIME] == [row], "a script gets shares of 1"
    assert "47.3" in shown[0]["text/plain"] and "accuracy, %" in shown[0]["text/plain"]


def test_a_band_holds_one_more_seed_19_times_in_20() -> None:
    """The prediction interval of three normal numbers, by simulation."""
    from numpy.random import default_rng

    draws = default_rng(0).normal(size=(4000, 4))
    inside = [low <= row[3] <= high for row in draws for low, high in [band(row[:3])]]
    assert sum(inside) / len(inside) == pytest.approx(0.95, abs=0.015)
    with pytest.raises(ValueError, match="at least two seeds, got 1"):
        band([0.5])


@pytest.fixture
def reference(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "reference").mkdir()
    probes = rows(accuracy=0.50) + rows(accuracy=0.52, seed=1) + rows(accuracy=0.54, seed=2)
    measures = [measure_row("accuracy of the task", "rotnet", "china", 9, 0.9 + s / 100, s) for s in range(3)]
    measures.append(measure_row("another", "rotnet", "china", 9, 0.5, 9))  # whose seed is none of those compared with
    summary = {"probes": probes, "measures": measures, "seeds": [0, 1, 2], "date": "2026-01-01"}
    content = json.dumps(summary | {"machine": {"device": "2 CPU cores"}})
    (tmp_path / "reference/quick.json").write_text(content)
    monkeypatch.setattr(results, "assets_folder", lambda: tmp_path)


@pytest.mark.usefixtures("reference")
def test_yours_beside_the_band(capsys: pytest.CaptureFixture[str]) -> None:
    table = compare(rows(accuracy=0.53) + rows("supervised", 0.9), "quick")
    assert isinstance(table, pd.DataFrame) and len(table) == 5 and set(table["band"]) == {"inside"}
    assert table.loc[0, "yours"] == 53.0 and table.loc[0, "from"] < 50 and table.loc[0, "to"] > 54
    said = capsys.readouterr().out
    assert "seeds [0, 1, 2] on 2 CPU cores" in said and "5 of your 10 numbers have no counterpart" in said
    assert set(compare(rows(accuracy=0.9), "quick")["band"]) == {"outside"}
    other = [row | {"source": "flower"} for row in rows()]
    assert compare(other, "quick") is None
    assert "the reference at 'quick' has none of your numbers" in capsys.readouterr().out
    assert compare([], "quick") is None and "no number of yours" in capsys.readouterr().out


@pytest.mark.usefixtures("reference")
def test_measures_are_compared_too() -> None:
    table = compare([measure_row("accuracy of the task", "rotnet", "china", 9, 0.915, 7)], "quick")
    assert table.loc[0, "band"] == "inside" and table.loc[0, "yours"] == 0.92


def test_without_a_reference_nothing_is_compared(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(results, "assets_folder", lambda: tmp_path)
    assert compare(rows(), "quick") is None
    assert "no reference was measured at 'quick'" in capsys.readouterr().out


def test_the_committed_reference_is_whole() -> None:
    """Every layer of every method, at least three seeds, and what it was measured on."""
    reference = results.load_reference("quick")
    assert len(reference["seeds"]) >= 3
    assert {"command", "date", "commit", "machine", "notebooks"} <= set(reference)
    for data in ("photos10", "folder:cifar10-jpeg75"):
        for method in ("random", "rotnet", "supervised"):
            for layer in LAYERS:
                same = [r for r in reference["probes"] if (r["data"], r["method"], r["layer"]) == (data, method, layer)]
                assert sorted(r["seed"] for r in same) == [0, 1, 2, 3, 4], "the whole course has three, the probes more"
    films = results.load_reference_films("quick")
    assert {"rotnet/1/china", "deepcluster/1/china", "bigan/1/china", "supervised/6000/photos10"} <= set(films)
    assert all(len(film.frames) == len(film.steps) > 1 and film.frames.isfinite().all() for film in films.values())
    assert "/" not in json.dumps(reference["probes"])


def test_without_a_reference_there_are_no_films(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(results, "assets_folder", lambda: tmp_path)
    assert results.load_reference_films("quick") == {}


def test_one_photograph_beats_the_random_network_at_conv2_by_more_than_the_spread() -> None:
    """The course's first claim, on both labelled sets of the committed reference."""
    frame = pd.DataFrame(results.load_reference("quick")["probes"]).query("layer == 'conv2'")
    for _, part in frame.groupby("data"):
        by_seed = part.pivot_table("accuracy", "seed", "method")
        gain = by_seed["rotnet"] - by_seed["random"]
        assert len(gain) == 5 and gain.mean() > gain.std()
        assert gain.mean() > max(by_seed["rotnet"].std(), by_seed["random"].std())
