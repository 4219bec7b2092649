"""The loop: it learns, repeats itself, can be interrupted, and says when it fails."""

from __future__ import annotations

import dataclasses
from pathlib import Path

import pytest
import torch
import torch.nn.functional as F

from course_lib.data.datasets import CropDataset, LabelledImages
from course_lib.data.labelled import photos10
from course_lib.data.loading import load_source
from course_lib.pretext.method import Batch, Recipe, find_method, method_names
from course_lib.pretext.rotnet import RotNet, four_turns, turn_loss
from course_lib.pretext.supervised import Supervised, augment
from course_lib.profiles import PROFILES, Course, runnable_profile, start
from course_lib.support.errors import CourseError
from course_lib.training.loop import fit
from course_lib.training.steps import _film_steps
from course_lib.training.trained import pretrain, untrained

TINY = dataclasses.replace(PROFILES["quick"], width=0.1, hidden=32, d=500)
COURSE = Course(TINY, 0, torch.device("cpu"))


@pytest.fixture(autouse=True)
def tiny_recipes(monkeypatch: pytest.MonkeyPatch) -> None:
    for method in (RotNet, Supervised):
        monkeypatch.setitem(method.RECIPES, "quick", Recipe(steps=8, batch=8, learning_rate=0.01))


@pytest.fixture(scope="module")
def crops() -> CropDataset:
    return CropDataset(load_source("china"), d=500, side=32)


@pytest.fixture(scope="module")
def labelled() -> LabelledImages:
    return photos10(32, 200, 100)


def rotnet(seed: int = 0) -> RotNet:
    torch.manual_seed(seed)
    return RotNet.build(TINY, None)


def weights(method: torch.nn.Module) -> torch.Tensor:
    return torch.cat([p.detach().flatten() for p in method.parameters()])


def test_methods_are_found_by_their_files() -> None:
    assert {"rotnet", "supervised"} <= set(method_names())
    assert find_method("rotnet") is RotNet
    with pytest.raises(CourseError, match="'rotnett'; there is .*rotnet"):
        find_method("rotnett")


def test_rotnet_sees_all_four_turns(crops: CropDataset) -> None:
    images, turns = rotnet().views(crops, torch.tensor([3, 5, 7]))
    assert turns.tolist() == [0] * 3 + [1] * 3 + [2] * 3 + [3] * 3
    assert (images - four_turns(crops[torch.tensor([3, 5, 7])])).abs().max() < 1e-4


def test_the_loss_of_turns_takes_their_order_for_the_label(crops: CropDataset) -> None:
    _, turns = rotnet().views(crops, torch.tensor([3, 5, 7]))
    logits = torch.randn(len(turns), 4)
    assert turn_loss(logits)[0] == F.cross_entropy(logits, turns)
    loss, accuracy = turn_loss(20 * F.one_hot(turns).float())
    assert loss < 1e-3 and accuracy == 1


def test_rotnet_learns_its_task(crops: CropDataset) -> None:
    method = rotnet()
    history = fit(method, crops, Recipe(60, 16, 0.03))
    assert history.loss[:5].mean() > 1.2 and history.loss[-10:].mean() < 0.7
    assert history.accuracy[-10:].mean() > 0.6
    assert not method.training


def test_supervised_learns_its_labels(labelled: LabelledImages) -> None:
    torch.manual_seed(0)
    method = Supervised.build(TINY, labelled)
    history = fit(method, labelled, Recipe(60, 32, 0.03))
    assert history.accuracy[-10:].mean() > 0.3


def test_the_same_seed_gives_the_same_network(crops: CropDataset) -> None:
    first, second, other = rotnet(), rotnet(), rotnet()
    fit(first, crops, Recipe(4, 8, 0.03), seed=1)
    fit(second, crops, Recipe(4, 8, 0.03), seed=1)
    fit(other, crops, Recipe(4, 8, 0.03), seed=2)
    assert torch.equal(weights(first), weights(second))
    assert not torch.equal(weights(first), weights(other))


def test_the_film_begins_untrained_and_ends_trained(crops: CropDataset) -> None:
    method = rotnet()
    before = method.trunk.conv1[0].weight.detach().clone()
    history = fit(method, crops, Recipe(30, 8, 0.03))
    assert history.film.shape[1:] == before.shape and len(history.film) == len(history.film_steps)
    assert history.film_steps[0] == 0 and history.film_steps[-1] == 30
    cosine = torch.cosine_similarity(history.film[0].flatten(1), before.flatten(1))
    assert (cosine > 1 - 1e-5).all(), "frame 0 is the network before its first step, up to a factor a filter"
    assert not torch.allclose(history.film[0], history.film[-1], atol=1e-3)


@pytest.mark.parametrize("steps", [1, 2, 24, 1000])
def test_frames_are_in_order_and_distinct(steps: int) -> None:
    frames = _film_steps(steps)
    assert frames == sorted(set(frames)) and frames[0] == 0 and frames[-1] < steps and len(frames) <= 24


@pytest.mark.parametrize("at", [7, 12])
def test_an_interrupt_leaves_a_network_that_can_be_used(
    at: int, crops: CropDataset, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    original = RotNet.loss
    calls = iter(range(1000))

    def interrupted(self: RotNet, data: CropDataset, index: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        if next(calls) == at:
            raise KeyboardInterrupt
        return original(self, data, index)

    monkeypatch.setattr(RotNet, "loss", interrupted)
    method = rotnet()
    history = fit(method, crops, Recipe(50, 8, 0.03))
    assert history.stopped is not None and 0 < history.stopped == len(history.loss) < 50
    assert history.film_steps[-1] == history.stopped and len(history.film) == len(history.film_steps)
    assert "stopped by hand, and the network can be used as it is" in capsys.readouterr().out
    assert method(crops[:4]).isfinite().all()


def test_a_loss_that_is_no_number_is_named(crops: CropDataset) -> None:
    method = rotnet()
    with pytest.raises(RuntimeError, match="no number at step .*lower the learning rate, now 1e\\+25"):
        fit(method, crops, Recipe(8, 8, 1e25))


@pytest.mark.parametrize(("steps", "batch"), [(0, 8), (8, 0)])
def test_steps_and_batch_must_be_positive(steps: int, batch: int) -> None:
    with pytest.raises(ValueError, match="at least 1, got"):
        Recipe(steps, batch, 0.1)


def test_draws_depend_on_seed_and_step_alone() -> None:
    draw = rotnet().draw
    assert torch.equal(draw(100, 5, 1, 7), draw(100, 5, 1, 7))
    assert not torch.equal(draw(100, 5, 1, 7), draw(100, 5, 1, 8))
    assert draw(3, 1000, 0, 0).unique().tolist() == [0, 1, 2]


def test_augment_shifts_and_mirrors_each_picture_for_itself() -> None:
    images = (torch.rand(1, 3, 32, 32) * 2 - 1).expand(60, 3, 32, 32)
    batch = Batch(torch.arange(60), 0, 0, 0)
    varied = augment(images, batch)
    assert varied.shape == images.shape and varied.abs().max() <= 1
    assert len({one.numpy().tobytes() for one in varied}) > 30, "the pictures share a shift"
    assert torch.equal(varied[20:40], augment(images[20:40], batch.part(20, 40))), "it depends on the picture's place"
    inside = images[0, :, 8:24, 8:24]
    at_home = [one for one in (*varied, *varied.flip(3)) if torch.equal(one[:, 8:24, 8:24], inside)]
    assert at_home, "no picture is left where it was, mirrored or not"


def test_a_training_says_whether_its_picture_was_seen(crops: CropDataset, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("course_lib.training.trained.has_front_end", lambda: True)
    drawn: list[object] = []
    monkeypatch.setattr("course_lib.pictures.figures.show", drawn.append)
    grown, loaded = (pretrain("rotnet", COURSE, crops, steps=4) for _ in range(2))
    assert grown.seen and not loaded.seen
    grown.replay(crops)
    assert not drawn, "it grew before somebody's eyes"
    loaded.replay(crops)
    (picture,) = drawn
    assert picture.caption.startswith("rotnet")


def test_train_or_load(crops: CropDataset, capsys: pytest.CaptureFixture[str]) -> None:
    first, second = pretrain("rotnet", COURSE, crops), pretrain("rotnet", COURSE, crops)
    assert not first.loaded and second.loaded
    assert torch.equal(weights(first.method), weights(second.method))
    for part in ("loss", "accuracy", "film", "film_steps"):
        assert torch.equal(getattr(first.history, part), getattr(second.history, part))
    assert first.history.precision == second.history.precision
    assert "loaded, as it was trained before" in capsys.readouterr().out


def test_anything_that_matters_is_trained_anew(crops: CropDataset) -> None:
    pretrain("rotnet", COURSE, crops)
    assert not pretrain("rotnet", COURSE, crops, steps=3).loaded
    assert not pretrain("rotnet", dataclasses.replace(COURSE, seed=1), crops).loaded
    assert not pretrain("rotnet", COURSE, CropDataset(load_source("flower"), d=500, side=32)).loaded
    assert pretrain("rotnet", COURSE, crops).loaded


def test_a_damaged_training_is_left_aside(
    crops: CropDataset, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    pretrain("rotnet", COURSE, crops)
    (kept,) = (tmp_path / "runs/trained").glob("rotnet-*.safetensors")
    for content in (b"", kept.read_bytes()[:500], b"something else entirely"):
        kept.write_bytes(content)
        assert not pretrain("rotnet", COURSE, crops).loaded
        assert "is damaged" in capsys.readouterr().out
    assert pretrain("rotnet", COURSE, crops).loaded


def test_an_interrupted_training_is_not_kept(crops: CropDataset, monkeypatch: pytest.MonkeyPatch) -> None:
    with monkeypatch.context() as patch:
        patch.setattr(RotNet, "views", lambda *_: (_ for _ in ()).throw(KeyboardInterrupt))
        assert pretrain("rotnet", COURSE, crops).history.stopped == 0
    assert not pretrain("rotnet", COURSE, crops).loaded


def test_all_methods_begin_with_the_same_trunk(crops: CropDataset, labelled: LabelledImages) -> None:
    random = untrained(COURSE).state_dict()
    for name, data in (("rotnet", crops), ("deepcluster", crops), ("bigan", crops), ("supervised", labelled)):
        torch.manual_seed(COURSE.seed)
        trunk = find_method(name).build(TINY, data).trunk.state_dict()
        factor = 1 if name in ("rotnet", "supervised") else 1 / TINY.first  # conv1's size, which changes no answer
        trunk["conv1.0.weight"] /= factor
        assert all(torch.allclose(trunk[key], random[key]) for key in random)


def test_a_profile_without_its_gpu(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    monkeypatch.setattr("course_lib.profiles.this_device", lambda: torch.device("cpu"))
    with pytest.raises(CourseError, match="'standard' needs a GPU and none was found"):
        start("standard")
    assert start("standard", or_quick=True).profile.name == "quick"
    assert "going on at 'quick', as OR_QUICK allows" in capsys.readouterr().out
    with pytest.raises(CourseError, match="'fast'; there is quick, standard, paper"):
        runnable_profile("fast")


@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a GPU")
def test_rotnet_learns_on_a_gpu() -> None:
    data = CropDataset(load_source("china").to("cuda"), d=500, side=32)
    history = fit(rotnet().cuda(), data, Recipe(60, 16, 0.03))
    assert history.precision == "bfloat16" and history.accuracy[-10:].mean() > 0.6


@pytest.mark.parametrize("steps", range(1, 8))
def test_a_training_may_be_as_short_as_one_step(steps: int, crops: CropDataset) -> None:
    history = fit(rotnet(), crops, Recipe(steps, 4, 0.01))
    assert len(history.loss) == steps and len(history.film) == len(history.film_steps)


def test_a_full_disk_does_not_cost_the_training(
    crops: CropDataset, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def full(*_: object) -> None:
        raise CourseError("runs/trained: the disk is full")

    monkeypatch.setattr("course_lib.training.checkpoints.write_file", full)
    assert not pretrain("rotnet", COURSE, crops).loaded
    assert "What was trained can be used here and now, but it is not kept" in capsys.readouterr().out


@pytest.mark.parametrize("seed", [-1, 2**63])
def test_a_seed_out_of_range_is_refused_in_a_sentence(seed: int) -> None:
    with pytest.raises(CourseError, match=f"SEED must be a whole number .*, got {seed}"):
        start("quick", seed)
