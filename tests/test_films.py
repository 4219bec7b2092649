"""Films: kept from trainings, written and read back, and put in an order that stays."""

from __future__ import annotations

import json
from dataclasses import asdict
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import load_file, save_file

from course_lib.data.crops import CropScheme
from course_lib.data.datasets import CropDataset
from course_lib.data.loading import load_source
from course_lib.evidence.films import Film, first_layers, load_films
from course_lib.experiments.reference import KEPT, keep_films, save_films
from course_lib.networks.trunk import by_frequency
from course_lib.profiles import start
from course_lib.training.trained import pretrain


def write(path: Path, method: str = "rotnet", data: Any = None, last: int = 200, seed: int = 0, **more: Any) -> None:
    """A finished training's file, without its weights; the value of every filter is the training's last step."""
    data = data or {"source": "china", "n": 1, "scheme": asdict(CropScheme())} | more
    facts = {"method": method, "seed": seed, "profile": {"name": "quick"}, "data": data}
    tensors = {
        "history.film": torch.full((24, 32, 3, 5, 5), float(last + seed)),
        "history.film_steps": torch.linspace(0, last, 24).long(),
    }
    save_file(tensors, path, {"facts": json.dumps(facts)})


def film(method: str, n: int = 1, source: str = "china", frames: int = 3, seed: int = 0) -> Film:
    pixels = torch.randn(frames, 8, 3, 5, 5, generator=torch.Generator().manual_seed(seed))
    return Film(method, n, source, pixels, torch.arange(frames) ** 2)


def test_a_training_becomes_a_film(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A real one of four steps, on two pictures: its facts have all that the key needs."""
    monkeypatch.setenv("COURSE_RUNS", str(tmp_path))
    course = start("quick", 0)
    trained = pretrain("rotnet", course, CropDataset(load_source("noise", 2), d=300, seed=0), steps=4)
    (kept,) = keep_films((tmp_path / "trained").glob("*.safetensors"), "quick").values()
    assert kept.key == "rotnet/2/noise" and kept.steps.tolist() == trained.history.film_steps.tolist()
    assert torch.equal(kept.frames, trained.history.film)


def test_labels_have_a_film_too(tmp_path: Path) -> None:
    data = {"name": "photos10", "n": 6_000, "pixels": "a hash"}
    write(tmp_path / "a.safetensors", "supervised", data)
    assert list(keep_films(tmp_path.glob("*"), "quick")) == ["supervised/6000/photos10"]


def test_one_film_a_key_the_longest_of_the_least_seed(tmp_path: Path) -> None:
    for i, (last, seed) in enumerate([(50, 0), (200, 0), (900, 1), (100, 0)]):
        write(tmp_path / f"{i}.safetensors", last=last, seed=seed)
    (kept,) = keep_films(tmp_path.glob("*"), "quick").values()
    assert int(kept.steps[-1]) == 200 and (kept.frames == 200).all()
    assert len(kept.frames) == len(kept.steps) == KEPT and int(kept.steps[0]) == 0


def test_other_augmentations_and_profiles_are_left_out(tmp_path: Path) -> None:
    write(tmp_path / "a.safetensors", scheme=asdict(CropScheme(beta=0.5)))
    write(tmp_path / "b.safetensors")
    assert list(keep_films([tmp_path / "a.safetensors"], "quick")) == []
    assert list(keep_films([tmp_path / "b.safetensors"], "standard")) == []
    assert list(keep_films([tmp_path / "b.safetensors"], "quick")) == ["rotnet/1/china"]


def test_films_come_in_the_courses_order(tmp_path: Path) -> None:
    wanted = [("rotnet", 1), ("rotnet", 10), ("rotnet", 1000), ("deepcluster", 10), ("bigan", 1), ("supervised", 9)]
    for i, (method, n) in enumerate(reversed(wanted)):
        write(tmp_path / f"{i}.safetensors", method, n=n)
    assert list(keep_films(tmp_path.glob("*"), "quick")) == [f"{method}/{n}/china" for method, n in wanted]


def test_films_are_read_as_they_were_written(tmp_path: Path) -> None:
    films = {one.key: one for one in (film("rotnet"), film("bigan", 1000, "a/b"), film("rotnet", 10, frames=1))}
    again = load_films(save_films(films, tmp_path / "films.safetensors"))
    assert list(again) == list(films)
    for key, one in films.items():
        assert again[key].key == key and torch.equal(again[key].steps, one.steps)
        assert torch.equal(again[key].frames, one.frames.half().float())


def test_the_file_has_the_promised_form(tmp_path: Path) -> None:
    path = save_films({"rotnet/1/china": film("rotnet")}, tmp_path / "films.safetensors")
    (tensor,) = load_file(path).values()
    assert tensor.dtype == torch.float16 and tensor.shape == (3, 8, 3, 5, 5)


def test_a_filter_keeps_its_place_over_an_ordered_film() -> None:
    one = film("rotnet")
    ordered = one.ordered()
    order = by_frequency(one.frames[-1])
    assert torch.equal(ordered.frames, one.frames[:, order]) and not torch.equal(ordered.frames, one.frames)
    assert torch.equal(by_frequency(ordered.frames[-1]), torch.arange(8))


def test_a_frame_is_found_by_its_share_of_the_film() -> None:
    one = film("rotnet", frames=5)
    for share, i in ((0, 0), (0.4, 2), (1, 4)):
        frame, step = one.at(share)
        assert torch.equal(frame, one.frames[i]) and step == i**2
    assert film("PCA", frames=1).at(0.7)[1] == 0


def test_first_layers_are_one_a_method_on_the_fewest_pictures() -> None:
    shown = [film("rotnet", 1, "noise", seed=1), film("rotnet", 10, seed=2), film("rotnet", 1, seed=3), film("bigan")]
    layers = first_layers({one.key: one for one in shown})
    assert list(layers) == ["random", "rotnet", "bigan"]
    assert torch.equal(layers["rotnet"], shown[2].ordered().frames[-1]), "neither of noise, nor of ten"
    assert first_layers({}) == {}


def test_a_film_says_what_it_was_trained_on() -> None:
    assert film("rotnet", 1000, "kilo").pictures == "N = 1,000, kilo"
    assert film("random", 0, "").pictures == "no pictures"
