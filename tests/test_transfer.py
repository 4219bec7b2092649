"""Frozen layers stay as they are, what is above them learns, and what is kept is what would be computed."""

from __future__ import annotations

import copy
import json
import math
from pathlib import Path

import pytest
import tiny
import torch
from conftest import need
from scipy.stats import kendalltau

from course_lib.data.datasets import LabelledImages, to_float
from course_lib.evidence.results import publish, retrained_row
from course_lib.lessons.freezing import accuracy_by_depth, depth_panel, explore_depth, same_order, three_exams
from course_lib.lessons.scattering import CHANNELS, first_order, retrain_scattering, scattering_maps, wave, window
from course_lib.networks.alexnet import LAYERS, AlexNet
from course_lib.pretext.method import Batch, Recipe
from course_lib.probes import frozen, transfer
from course_lib.probes.classifier import ProbeResult
from course_lib.probes.frozen import begin_above, freeze, frozen_maps, run_layers
from course_lib.probes.transfer import Retrained, accuracy_of, describe_depth, retrain
from course_lib.profiles import PROFILES, Course
from course_lib.support.errors import CourseError
from course_lib.training.loop import fit


@pytest.fixture(autouse=True)
def plain(monkeypatch: pytest.MonkeyPatch) -> None:
    """float32, and a recipe of a few steps."""
    monkeypatch.setattr("course_lib.training.steps.arithmetic_of", lambda *_: tiny.Arithmetic())
    monkeypatch.setitem(Retrained.RECIPES, "quick", Recipe(4, 10, 0.02))


@pytest.fixture
def course() -> Course:
    return Course(PROFILES["quick"], 0, torch.device("cpu"))


@pytest.fixture
def trained() -> AlexNet:
    """A network with weights and statistics that no new one has."""
    torch.manual_seed(99)
    trunk = PROFILES["quick"].trunk()
    for _ in range(20):
        trunk(torch.rand(20, 3, 32, 32) * 2 - 1)
    return trunk.eval()


def pictures(count: int = 40, seed: int = 0) -> LabelledImages:
    """Noise that is reddish or bluish, by class."""
    generator = torch.Generator().manual_seed(seed)
    labels = torch.arange(count) % 2
    images = torch.randint(0, 128, (count, 3, 32, 32), generator=generator)
    images[torch.arange(count), 2 * labels] += 100
    images, half = images.to(torch.uint8), count // 2
    return LabelledImages("colours", ("red", "blue"), images[:half], labels[:half], images[half:], labels[half:])


def method(trunk: AlexNet, depth: int, frozen: int, course: Course) -> Retrained:
    return Retrained(begin_above(trunk, depth, course), frozen, 2, 16)


@pytest.mark.parametrize("depth", range(6))
def test_a_training_changes_every_layer_above_and_none_below(depth: int, course: Course, trained: AlexNet) -> None:
    one, data = method(trained, depth, depth, course), pictures()
    before = copy.deepcopy(one.state_dict())
    maps = frozen_maps(one.trunk, depth, data.train_images, data.train_labels)
    fit(one, maps, Recipe(3, 10, 0.05), shown=False)
    changed = {key.split(".")[1] for key, value in one.state_dict().items() if not torch.equal(before[key], value)}
    assert changed >= set(LAYERS[depth:]) and not changed & set(LAYERS[:depth])
    for key, value in trained.state_dict().items():
        if key.split(".")[0] in LAYERS[:depth]:
            assert torch.equal(one.trunk.state_dict()[key], value)


def test_fine_tuning_begins_with_the_trained_layers_and_moves_them(course: Course, trained: AlexNet) -> None:
    one, data = method(trained, 2, 0, course), pictures()
    assert torch.equal(one.trunk.conv2[0].weight, trained.conv2[0].weight)
    fit(one, frozen_maps(one.trunk, 0, data.train_images, data.train_labels), Recipe(3, 10, 0.05), shown=False)
    assert not torch.equal(one.trunk.conv2[0].weight, trained.conv2[0].weight)
    assert not torch.equal(one.trunk.conv1[1].running_mean, trained.conv1[1].running_mean)


def test_layers_above_are_the_same_for_every_network_and_another_for_every_seed(course: Course) -> None:
    torch.manual_seed(1)
    networks = [PROFILES["quick"].trunk() for _ in range(2)]
    one, other = (begin_above(trunk, 2, course).state_dict() for trunk in networks)
    same = {key.split(".")[0] for key in one if "weight" in key and torch.equal(one[key], other[key])}
    assert set(LAYERS[2:]) <= same and not torch.equal(one["conv1.0.weight"], other["conv1.0.weight"])
    again = begin_above(networks[0], 2, Course(course.profile, 1, course.device)).state_dict()
    assert not torch.equal(one["conv3.0.weight"], again["conv3.0.weight"])
    torch.manual_seed(course.seed)
    assert not torch.equal(one["conv3.0.weight"], PROFILES["quick"].trunk().conv3[0].weight), "nor its own beginning"


@pytest.mark.parametrize("depth", range(6))
def test_running_layers_in_two_parts_is_running_the_network(depth: int, trained: AlexNet) -> None:
    images = torch.rand(3, 3, 32, 32) * 2 - 1
    with torch.no_grad():
        whole = trained(images)
        parts = run_layers(trained, run_layers(trained, images, 0, depth), depth, 5).flatten(1)
    assert torch.allclose(whole, parts, atol=1e-5)


def test_kept_maps_are_those_that_would_be_computed(trained: AlexNet, monkeypatch: pytest.MonkeyPatch) -> None:
    data, index = pictures(), torch.tensor([3, 0, 3, 7])
    mirrored = torch.tensor([True, False, False, True])
    kept = frozen_maps(trained, 2, data.train_images, data.train_labels)
    monkeypatch.setattr(frozen, "memory_left", lambda device: 0)
    fresh = frozen_maps(trained, 2, data.train_images, data.train_labels)
    assert kept.kept is not None and fresh.kept is None
    assert torch.allclose(kept.read(index, mirrored), fresh.read(index, mirrored), atol=2e-3)
    assert not torch.allclose(kept.read(index, mirrored), kept.read(index, ~mirrored), atol=0.1)
    assert torch.allclose(fresh.read(index[:1], mirrored[:1]), fresh.answer(to_float(data.train_images[[3]].flip(3))))


def test_frozen_layers_stay_in_evaluation_mode_whatever_is_called(course: Course, trained: AlexNet) -> None:
    one = method(trained, 3, 3, course).train()
    modes = [getattr(one.trunk, layer)[1].training for layer in LAYERS]
    assert modes == [False, False, False, True, True] and one.head.training
    assert freeze(copy.deepcopy(trained).train(), 0).conv1[1].training


def test_pictures_are_mirrored_half_of_the_time(course: Course, trained: AlexNet) -> None:
    class Spy(transfer.FrozenMaps):
        def read(self, index: torch.Tensor, mirrored: torch.Tensor) -> torch.Tensor:
            seen.append(mirrored)
            return super().read(index, mirrored)

    seen, data = [], pictures()
    maps = frozen_maps(trained, 5, data.train_images, data.train_labels)
    one = method(trained, 5, 5, course)
    one.loss(Spy(maps.images, maps.labels, maps.answer, maps.kept), Batch(torch.arange(400) % 20, 0, 0, 0))
    assert 150 < int(seen[0].sum()) < 250


def test_retraining_tells_colours_apart_and_is_kept(
    course: Course,
    trained: AlexNet,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    tmp_path: Path,
) -> None:
    data = pictures(80)
    first = retrain("net", trained, 2, data, course, steps=15)
    assert first.accuracy > 0.9 and first.layer == "conv2" and first.tested == 40
    assert first.interval[0] <= first.accuracy <= first.interval[1]
    assert "net, conv1 to conv2 frozen: " in capsys.readouterr().out
    assert not list((tmp_path / "runs/checkpoints").glob("*"))
    monkeypatch.setattr(transfer, "fit", None)
    assert retrain("net", trained, 2, data, course, steps=15) == first
    for other in ({"steps": 14}, {"steps": 15, "tuned": True}):
        with pytest.raises(TypeError):
            retrain("net", trained, 2, data, course, **other)
    with pytest.raises(TypeError):
        retrain("net", trained, 2, pictures(80, seed=1), course, steps=15)
    (path,) = (tmp_path / "runs/retrained").glob("*.json")
    path.write_text(path.read_text()[:20])
    with pytest.raises(TypeError):
        retrain("net", trained, 2, data, course, steps=15)


def test_at_depth_none_every_network_is_the_same(
    course: Course, trained: AlexNet, monkeypatch: pytest.MonkeyPatch
) -> None:
    first = retrain("one", trained, 0, pictures(), course)
    monkeypatch.setattr(transfer, "fit", None)
    assert retrain("other", PROFILES["quick"].trunk(), 0, pictures(), course) == first


def test_a_retraining_that_was_stopped_goes_on(
    course: Course, trained: AlexNet, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    whole = retrain("net", trained, 3, pictures(), course, steps=6)
    for path in (tmp_path / "runs/retrained").glob("*.json"):
        path.unlink()
    with tiny.stopped_at(Retrained, 4), pytest.raises(KeyboardInterrupt, match="stopped at step 3"):
        retrain("net", trained, 3, pictures(), course, steps=6)
    assert not list((tmp_path / "runs/retrained").glob("*.json"))
    assert retrain("net", trained, 3, pictures(), course, steps=6) == whole


@pytest.mark.parametrize("depth", [-1, 6])
def test_a_depth_that_there_is_not(depth: int, course: Course, trained: AlexNet) -> None:
    with pytest.raises(CourseError, match=f"to 5, all layers; got {depth}"):
        retrain("net", trained, depth, pictures(), course)


def test_accuracy_counts_pictures(course: Course, trained: AlexNet) -> None:
    data = pictures(300)
    one = method(trained, 5, 5, course)
    maps = frozen_maps(one.trunk, 5, data.test_images, data.test_labels, copies=1)
    with torch.no_grad():
        said = one.eval()(run_layers(trained, to_float(data.test_images), 0, 5)).argmax(1)
    assert accuracy_of(one, maps) == pytest.approx((said == data.test_labels).float().mean().item(), abs=0.02)


# --- scattering


def test_the_transform_is_kymatios_once_and_kept(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    need("kymatio")
    from kymatio.scattering2d.frontend.torch_frontend import ScatteringTorch2D

    images = pictures(60).train_images
    maps = scattering_maps(images)
    assert maps.shape == (30, 243, 8, 8) and CHANNELS == 243
    expected = ScatteringTorch2D(2, (32, 32))(to_float(images))
    assert torch.allclose(maps.float(), expected.flatten(1, 2), atol=2e-3)
    (path,) = (tmp_path / "cache").glob("scattering-*.safetensors")
    monkeypatch.setattr("course_lib.lessons.scattering._transform", None)
    assert torch.equal(scattering_maps(images), maps)
    with pytest.raises(TypeError):
        scattering_maps(images.flip(3))
    path.write_bytes(path.read_bytes()[:1000])
    with pytest.raises(TypeError):
        scattering_maps(images)


def test_without_kymatio_a_sentence_says_what_to_do(course: Course, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("course_lib.lessons.scattering.find_spec", lambda name: None)
    with pytest.raises(CourseError, match="needs kymatio; install it with `pip install kymatio`"):
        retrain_scattering(pictures(), course)


def test_a_network_above_the_transform_learns(course: Course, monkeypatch: pytest.MonkeyPatch) -> None:
    need("kymatio")
    result = retrain_scattering(pictures(80), course, steps=15)
    assert result.accuracy > 0.9 and result.layer == "conv2"


def test_first_order_by_hand_hears_its_own_direction_and_not_the_phase() -> None:
    x = torch.arange(32) * 2 * math.pi / 4
    stripes = torch.stack([x.cos().expand(32, 32), x.sin().expand(32, 32), x.cos().expand(32, 32).T])
    strength = first_order(stripes, wave(32, 0.0), window(32)).mean((1, 2)).tolist()
    assert strength[0] == pytest.approx(strength[1], rel=1e-4) and strength[0] > 20 * strength[2]
    assert wave(32, 0.3)[0, 0] == 0 and window(32)[0, 0] == 1
    flat = first_order(torch.ones(1, 32, 32), wave(32, 0.3), window(32))
    assert flat.abs().max() < 1e-5


# --- orders, rows and pictures


@pytest.mark.parametrize("seed", range(5))
def test_the_share_of_pairs_is_kendalls(seed: int) -> None:
    one, other = torch.rand(2, 7, generator=torch.Generator().manual_seed(seed)).tolist()
    assert same_order(one, other) == pytest.approx((1 + kendalltau(one, other).statistic) / 2)
    with pytest.raises(ValueError, match="at least 2, are needed; got 7 and 6"):
        same_order(one, other[1:])


def rows() -> list[dict]:
    def row(name: str, depth: int, share: float, tuned: bool = False) -> dict:
        result = ProbeResult("x", share, share, 0.0, 1_000)
        return retrained_row(describe_depth(depth, tuned), name, "china", 1, pictures(), depth, result, 0)

    curves = {"rotnet": (0.6, 0.59, 0.55, 0.5, 0.45), "random, looked": (0.5, 0.45, 0.4, 0.3, 0.2)}
    found = [row("none", 0, 0.6), row("scattering", 2, 0.58), row("rotnet", 5, 0.95, tuned=True)]
    return found + [row(name, i + 1, share) for name, shares in curves.items() for i, share in enumerate(shares)]


def test_a_row_is_no_probe_and_says_what_was_frozen(capsys: pytest.CaptureFixture[str]) -> None:
    one = rows()[3]
    assert one["measure"] == "conv1 frozen" and one["labels"] == 20 and "layer" not in one
    assert one["low"] < one["accuracy"] < one["high"]
    publish(rows())
    assert describe_depth(0) == "nothing frozen" and describe_depth(3, tuned=True) == "fine-tuned from conv3"
    assert json.loads(json.dumps(rows())) == rows()


def test_the_pictures_say_their_numbers() -> None:
    picture = accuracy_by_depth(rows(), "Frozen")
    assert "rotnet 60 at 0, 60 at 1, 59 at 2" in picture.caption and "scattering 58 at 2" in picture.caption
    assert "95" not in picture.caption and picture.png().startswith(b"\x89PNG")
    exams = three_exams({"conv2": {"rotnet": {"probe": 0.5, "fine-tuned": 0.6}}}, "Exams")
    assert exams.caption.endswith("conv2 of rotnet probe 50, fine-tuned 60") and exams.png().startswith(b"\x89PNG")


def test_the_panel_of_depths() -> None:
    shown = [depth_panel(rows(), depth) for depth in range(6)]
    assert len({pixels.shape for pixels, _ in shown}) == 1 and len({pixels.tobytes() for pixels, _ in shown}) == 6
    assert shown[2][1].startswith("Conv1 to conv2 frozen, the rest trained with labels: ")
    assert "scattering 58%" in shown[2][1] and "scattering" not in shown[3][1] and "rotnet 60%" in shown[0][1]
    panel = explore_depth(rows())
    said = set()
    for depth in range(6):
        panel.box.children[0].children[0].value = depth
        said.add(panel.words.value)
        assert "<b>" not in panel.words.value
    assert len(said) == 6
