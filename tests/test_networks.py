"""AlexNet's shapes, its layers by name, and its filters."""

from __future__ import annotations

import pytest
import torch

from course_lib.networks.alexnet import CHANNELS, LAYERS, AlexNet, head
from course_lib.networks.trunk import conv1_filters, fold_batchnorm
from course_lib.support.errors import CourseError


@pytest.mark.parametrize(
    ("side", "conv1", "conv5", "features"),
    [
        (224, (64, 55), (256, 13), 256 * 6 * 6),
        (128, (64, 31), (256, 7), 256 * 3 * 3),
        (64, (64, 64), (256, 16), 256 * 8 * 8),
        (32, (64, 32), (256, 8), 256 * 4 * 4),
    ],
)
def test_shapes(side: int, conv1: tuple[int, int], conv5: tuple[int, int], features: int) -> None:
    trunk = AlexNet(side).eval()
    with torch.inference_mode():
        maps = trunk.features(torch.zeros(1, 3, side, side))
        assert trunk(torch.zeros(2, 3, side, side)).shape == (2, features)
    assert tuple(maps) == LAYERS and trunk.out_features == features
    assert [m.shape[1] for m in maps.values()] == list(CHANNELS)
    assert (maps["conv1"].shape[1:3], maps["conv5"].shape[1:3]) == (conv1, conv5)
    assert all((m >= 0).all() for m in maps.values()), "the maps are taken after the ReLU"


def test_no_further_than_the_deepest_layer_asked_for() -> None:
    trunk = AlexNet(32, width=0.25).eval()
    trunk.conv3.register_forward_hook(lambda *_: pytest.fail("conv3 was computed"))
    assert list(trunk.features(torch.zeros(1, 3, 32, 32), ["conv2"])) == ["conv2"]


def test_a_layer_does_not_depend_on_which_others_are_asked_for() -> None:
    trunk, images = AlexNet(32, width=0.25).eval(), torch.rand(3, 3, 32, 32)
    assert torch.equal(trunk.features(images)["conv4"], trunk.features(images, ["conv4"])["conv4"])


def test_errors_name_what_there_is() -> None:
    trunk = AlexNet(32, width=0.25)
    with pytest.raises(CourseError, match="'conv6'; there is conv1, conv2"):
        trunk.features(torch.zeros(1, 3, 32, 32), ["conv6"])
    with pytest.raises(ValueError, match="at least 16 pixels, got 8"):
        AlexNet(8)


def test_conv1_keeps_filters_to_look_at() -> None:
    assert conv1_filters(AlexNet(32, width=0.05)).shape == (32, 3, 5, 5)


def test_folded_filters_act_as_convolution_and_batchnorm_do() -> None:
    trunk, images = AlexNet(32, width=0.25), torch.rand(8, 3, 32, 32)
    trunk(images), trunk.eval()
    conv, norm, _ = trunk.conv1
    torch.nn.init.uniform_(norm.weight, 0.5, 2)
    both = norm(conv(images))
    folded = torch.nn.functional.conv2d(images, conv1_filters(trunk), padding=2)
    offset = norm.bias - norm.running_mean * norm.weight / (norm.running_var + norm.eps).sqrt()
    assert torch.allclose(folded + offset[:, None, None], both, atol=1e-4)


def test_fold_batchnorm_is_one_factor_a_filter() -> None:
    folded = fold_batchnorm(torch.ones(2, 3, 5, 5), torch.tensor([2.0, 3.0]), torch.tensor([4.0, 9.0]), eps=0)
    assert torch.allclose(folded, torch.ones(2, 3, 5, 5))


def test_head_gives_one_score_an_answer() -> None:
    assert head(10, 4, 32)(torch.zeros(5, 10)).shape == (5, 4)


def test_a_smaller_first_layer_answers_the_same_and_turns_further() -> None:
    images, turned, answers = torch.rand(16, 3, 32, 32) * 2 - 1, {}, {}
    for first in (1.0, 0.2):
        torch.manual_seed(0)
        trunk = AlexNet(32, width=0.1, first=first)
        before = trunk.conv1[0].weight.detach().clone()
        answers[first] = trunk(images)
        answers[first].square().sum().backward()
        with torch.no_grad():
            trunk.conv1[0].weight.sub_(trunk.conv1[0].weight.grad, alpha=1e-6)
        turned[first] = 1 - torch.cosine_similarity(before.flatten(1), trunk.conv1[0].weight.flatten(1)).mean().item()
    assert torch.allclose(answers[1.0], answers[0.2], atol=2e-3)
    assert turned[0.2] > 10 * turned[1.0] > 1e-6
