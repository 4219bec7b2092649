"""Networks from torchvision: their form, their layers by name, and that the course trains, keeps and probes them."""

from __future__ import annotations

import copy
from dataclasses import replace
from pathlib import Path

import pytest
import torch
import torchvision
from torch import nn
from torchvision.models.feature_extraction import get_graph_node_names

from course_lib.data.datasets import CropDataset, LabelledImages
from course_lib.data.labelled import photos10
from course_lib.data.sources import Source, generate
from course_lib.experiments.reference import keep_films
from course_lib.lessons.depths.depth import SIZES
from course_lib.networks.others import OTHERS, OtherTrunk
from course_lib.networks.trunk import Trunk, conv1_filters, first_convolution
from course_lib.pretext.method import Recipe
from course_lib.pretext.rotnet import RotNet
from course_lib.pretext.supervised import Supervised
from course_lib.probes.probe import probe
from course_lib.probes.streaming import probe_streaming
from course_lib.profiles import PROFILES, Course
from course_lib.support.errors import CourseError
from course_lib.support.files import runs_folder
from course_lib.training.arithmetic import Arithmetic
from course_lib.training.checkpoints import Checkpoints
from course_lib.training.loop import fit
from course_lib.training.trained import pretrain, untrained

NETWORKS = ["resnet18", "efficientnet_b0", pytest.param("resnet50", marks=pytest.mark.full)]
"""All of OTHERS; the two ResNets are one form of two depths."""

STAGES = {
    "resnet18": ("conv1", "layer1", "layer2", "layer3", "layer4"),
    "resnet50": ("conv1", "layer1", "layer2", "layer3", "layer4"),
    "efficientnet_b0": ("conv1", *(f"stage{i}" for i in range(1, 9))),
}
SIDES = {
    "resnet18": (32, 32, 16, 8, 4),
    "resnet50": (32, 32, 16, 8, 4),
    "efficientnet_b0": (32, 32, 32, 16, 8, 8, 4, 4, 4),
}


@pytest.fixture(autouse=True)
def plain_arithmetic(monkeypatch: pytest.MonkeyPatch) -> None:
    """float32 for every training, whatever the processor likes best."""
    monkeypatch.setattr("course_lib.training.steps.arithmetic_of", lambda *_: Arithmetic())


@pytest.fixture
def crops() -> CropDataset:
    return CropDataset(Source.from_images([generate("dead_leaves", 160, 120)], "leaves"), d=200, side=32)


@pytest.fixture
def data() -> LabelledImages:
    return photos10(32, 200, 100)


def course(network: str) -> Course:
    small = replace(PROFILES["quick"], hidden=32, stage_width=0.05)
    return Course(small, 0, torch.device("cpu")).using(network, 0)


def same(network: str) -> tuple[OtherTrunk, nn.Module]:
    """A trunk as in the paper, and torchvision's own network with the same weights."""
    torch.manual_seed(0)
    trunk, whole = OtherTrunk(network, 224).eval(), getattr(torchvision.models, network)(weights=None).eval()
    left_out = whole.load_state_dict(trunk.body.state_dict(), strict=False)
    assert not left_out.unexpected_keys and all(key.startswith(("fc", "classifier")) for key in left_out.missing_keys)
    return trunk, whole


@pytest.mark.parametrize("network", NETWORKS)
def test_features_are_those_of_torchvisions_own_forward(network: str) -> None:
    """At full width and 224 pixels nothing of the published form is changed."""
    (trunk, whole), seen = same(network), {}
    parts = {"conv1": "relu", **{f"layer{i}": f"layer{i}" for i in range(1, 5)}}
    if network.startswith("efficientnet"):
        parts = {"conv1": "features.0", **{f"stage{i}": f"features.{i}" for i in range(1, 9)}}
    for layer, name in parts.items():
        keep = lambda _, __, out, layer=layer: seen.setdefault(layer, out.clone())  # noqa: E731
        whole.get_submodule(name).register_forward_hook(keep)
    images = torch.rand(2, 3, 224, 224) * 2 - 1
    with torch.no_grad():
        whole(images)
        maps, answer = trunk.features(images), trunk(images)
    assert tuple(maps) == trunk.layers == STAGES[network]
    assert all(torch.allclose(maps[layer], seen[layer], atol=1e-5) for layer in trunk.layers)
    assert torch.allclose(answer, seen[trunk.layers[-1]].mean((2, 3)), atol=1e-5)
    assert answer.shape == (2, trunk.out_features)


@pytest.mark.parametrize("network", OTHERS)
def test_the_form_for_small_pictures(network: str) -> None:
    trunk = OtherTrunk(network, 32, 0.125).eval()
    with torch.no_grad():
        maps = trunk.features(torch.zeros(2, 3, 32, 32))
    assert tuple(one.shape[-1] for one in maps.values()) == SIDES[network]
    assert conv1_filters(trunk).shape == (16, 3, 3, 3)
    assert all(one.shape[1] >= 8 for one in maps.values())
    assert first_convolution(trunk)[0].stride == (1, 1)


@pytest.mark.parametrize("network", OTHERS)
def test_the_traced_network_ends_at_its_last_layer(network: str) -> None:
    names = set(dict(OtherTrunk(network, 32, 0.05).body.named_parameters()))
    assert not [name for name in names if name.startswith(("fc", "classifier"))]
    whole = getattr(torchvision.models, network)(weights=None)
    assert {"relu", "features.0"} & set(get_graph_node_names(whole)[1]), (
        "the names that are asked for are torchvision's"
    )


@pytest.mark.parametrize("network", OTHERS)
def test_a_layer_does_not_depend_on_which_others_are_asked_for(network: str) -> None:
    trunk, images = OtherTrunk(network, 32, 0.05).eval(), torch.rand(2, 3, 32, 32)
    last = trunk.layers[-1]
    assert list(trunk.features(images, [last])) == [last]
    assert torch.equal(trunk.features(images)[last], trunk.features(images, [last])[last])


@pytest.mark.parametrize("network", OTHERS)
def test_a_copy_learns_apart_from_its_original(network: str) -> None:
    trunk, images = OtherTrunk(network, 32, 0.05).eval(), torch.rand(8, 3, 32, 32)
    before, other = trunk(images), copy.deepcopy(trunk).train()
    other(images)
    assert torch.equal(trunk(images), before), "BatchNorm of the copy has looked, and not the original's"
    assert not torch.equal(other.eval()(images), before)


def test_errors_name_what_there_is() -> None:
    with pytest.raises(CourseError, match="'vgg16'; there is alexnet, resnet18, resnet50, efficientnet_b0"):
        OtherTrunk("vgg16")
    with pytest.raises(CourseError, match="'vgg16'; there is alexnet"):
        untrained(course("vgg16"))
    with pytest.raises(ValueError, match="at least 16 pixels, got 8"):
        OtherTrunk("resnet18", 8)
    with pytest.raises(CourseError, match="'conv5'; there is conv1, layer1"):
        OtherTrunk("resnet18", 32, 0.05).features(torch.zeros(1, 3, 32, 32), ["conv5"])


def test_the_seed_decides_the_weights_and_the_first_factor_scales_conv1() -> None:
    one, other = untrained(course("resnet18")), untrained(course("resnet18"))
    assert all(torch.equal(a, b) for a, b in zip(one.parameters(), other.parameters()))
    torch.manual_seed(0)
    larger = OtherTrunk("resnet18", 32, 0.05, first=1.0)
    ratio = first_convolution(one)[0].weight / first_convolution(larger)[0].weight
    assert torch.allclose(ratio, torch.tensor(PROFILES["quick"].first))


@pytest.mark.parametrize("network", NETWORKS)
def test_one_step_of_each_task_reaches_every_weight(network: str, crops: CropDataset, data: LabelledImages) -> None:
    own = course(network)
    for task, given in ((RotNet, crops), (Supervised, data)):
        torch.manual_seed(0)
        method = task.build(own.profile, given)
        before = [weight.clone() for weight in method.trunk.parameters()]
        history = fit(method, given, Recipe(1, 8, 0.1), shown=False)
        assert history.loss.isfinite().all() and len(history.film) == 2
        slopes = [weight.grad for weight in method.trunk.parameters()]
        assert all(slope is not None and slope.isfinite().all() for slope in slopes)
        moved = [not torch.equal(a, b) for a, b in zip(before, method.trunk.parameters())]
        assert sum(moved) > 0.9 * len(moved)


def test_a_training_is_kept_and_loaded_and_is_another_networks_for_another_network(
    crops: CropDataset, capsys: pytest.CaptureFixture[str]
) -> None:
    first = pretrain("rotnet", course("resnet18"), crops, 2)
    again = pretrain("rotnet", course("resnet18"), crops, 2)
    assert again.loaded and not first.loaded
    images = crops[:4]
    assert torch.equal(first.trunk(images), again.trunk(images))
    assert not pretrain("rotnet", course("alexnet"), crops, 2).loaded
    assert "loaded" in capsys.readouterr().out


def test_the_films_of_notebook_05_are_alexnets(crops: CropDataset) -> None:
    pretrain("rotnet", course("resnet18"), crops, 1)
    assert keep_films(runs_folder("trained").glob("*"), "quick") == {}
    pretrain("rotnet", course("alexnet"), crops, 1)
    assert list(keep_films(runs_folder("trained").glob("*"), "quick")) == ["rotnet/1/leaves"]


@pytest.mark.parametrize("network", ["resnet18", "efficientnet_b0"])
def test_a_broken_training_ends_where_an_unbroken_one_does(network: str, crops: CropDataset, tmp_path: Path) -> None:
    def begun() -> RotNet:
        torch.manual_seed(0)
        return RotNet.build(course(network).profile, crops)

    whole, recipe = begun(), Recipe(3, 4, 0.02, schedule="constant")
    fit(whole, crops, recipe, shown=False)
    kept = Checkpoints(tmp_path / "one.safetensors", "run")
    fit(begun(), crops, replace(recipe, steps=1), shown=False, checkpoints=kept)
    goes_on = begun()
    fit(goes_on, crops, recipe, shown=False, checkpoints=kept)
    assert all(torch.equal(a, b) for a, b in zip(whole.state_dict().values(), goes_on.state_dict().values()))


@pytest.mark.parametrize("network", NETWORKS)
def test_every_layer_is_probed(network: str, data: LabelledImages) -> None:
    trunk: Trunk = untrained(course(network))
    found = probe(trunk, data, numbers=50)
    assert tuple(one.layer for one in found) == trunk.layers
    assert all(0.05 < one.accuracy <= 1 for one in found) and max(one.accuracy for one in found) > 0.15
    streamed = probe_streaming(trunk, data, numbers=50, views="whole", epochs=1)
    assert [one.layer for one in streamed] == [one.layer for one in found]


def test_what_is_compared_at_each_profile_exists() -> None:
    assert set(SIZES) == set(PROFILES)
    assert all(set(size.networks) <= {"alexnet", *OTHERS} for size in SIZES.values())
    assert SIZES["standard"].networks == ("alexnet", *OTHERS)
