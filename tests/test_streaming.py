"""Probes in a stream: they end where the cached ones do, and see the crops that were published."""

from __future__ import annotations

import pytest
import torch

from course_lib.data.datasets import LabelledImages, to_float
from course_lib.data.labelled import photos10
from course_lib.networks.alexnet import LAYERS, AlexNet
from course_lib.probes import probe as probes
from course_lib.probes import streaming
from course_lib.probes.classifier import standardise
from course_lib.probes.features import pooled_features
from course_lib.probes.probe import memory_needed, probe
from course_lib.probes.streaming import BATCH, VIEWS, crop_maps, cut, probe_streaming, rate
from course_lib.support.errors import CourseError


@pytest.fixture(scope="module")
def data() -> LabelledImages:
    return photos10(16, 300, 400)


def network() -> AlexNet:
    torch.manual_seed(0)
    return AlexNet(16, 0.05)


def test_the_published_schedule() -> None:
    rates = [rate(epoch / 36) for epoch in range(36)]
    expected = [1e-2] * 10 + [1e-3] * 10 + [1e-4] * 10 + [1e-5] * 6
    assert rates == pytest.approx(expected)
    assert (streaming.EPOCHS, BATCH, streaming.MOMENTUM, streaming.DECAY) == (36, 192, 0.9, 1e-5)


def test_ten_crops_are_the_corners_and_the_middle_of_256_pixels_at_224() -> None:
    """Pixel by pixel, and each mirrored: no picture is resampled, since the crops begin at whole pixels."""
    images = torch.rand(2, 3, 256, 256)
    ten = [cut(images, view.expand(2, 2, 3), 224) for view in VIEWS["published"].tested]
    corners = [(0, 0), (0, 32), (32, 0), (32, 32), (16, 16)]
    expected = [images[:, :, top : top + 224, left : left + 224] for top, left in corners]
    assert all(torch.allclose(a, b, atol=1e-4) for a, b in zip(ten, expected + [one.flip(3) for one in expected]))


def test_whole_views_are_the_pictures_themselves() -> None:
    images = torch.rand(8, 3, 32, 32)
    trained = crop_maps(VIEWS["whole"].scheme, 0, 0, 8)
    assert torch.allclose(cut(images, trained, 32), images, atol=1e-5)
    assert torch.allclose(cut(images, VIEWS["whole"].tested.expand(8, 2, 3), 32), images, atol=1e-5)


def test_training_crops_are_a_random_resized_crop() -> None:
    """Area in 8 to 100 %, ratio in 3/4 to 4/3, inside the picture, upright, mirrored half of the time; each its own."""
    maps = crop_maps(VIEWS["published"].scheme, 0, 0, 4_000)
    width, height = maps[:, 0, 0].abs(), maps[:, 1, 1]
    area, ratio = width * height, height / width
    assert 0.08 <= area.min() < 0.1 and 0.85 < area.max() <= 1 and 0.74 < ratio.min() < 0.77 < 1.3 < ratio.max() < 1.34
    assert maps[:, 0, 1].abs().max() == maps[:, 1, 0].abs().max() == 0
    assert (torch.stack([width, height], 1) + maps[:, :, 2].abs()).max() <= 1 + 1e-5
    assert 0.45 < (maps[:, 0, 0] < 0).float().mean() < 0.55
    assert torch.equal(maps[100:200], crop_maps(VIEWS["published"].scheme, 0, 100, 100))


def test_both_ways_end_at_the_same_answers(data: LabelledImages, monkeypatch: pytest.MonkeyPatch) -> None:
    """Like with like: whole pictures, the same decay, and time enough. Without one of them they do not."""
    for name, value in {"DECAY": 0.1, "RATE": 0.1, "BATCH": 100}.items():  # ten times as fast, for three steps a pass
        monkeypatch.setattr(streaming, name, value)
    monkeypatch.setattr(probes, "DECAYS", (0.1,))
    layers, sizes = ("conv1", "conv2"), {"numbers": 200}
    cached = probe(network(), data, layers, **sizes)
    stream = probe_streaming(network(), data, layers, **sizes, views="whole", epochs=60)
    for one, other in zip(cached, stream):
        assert (one.layer, one.decay, one.tested) == (other.layer, other.decay, other.tested)
        assert abs(one.accuracy - other.accuracy) <= 0.0125, "five of 400 pictures"
    short = probe_streaming(network(), data, layers, **sizes, views="whole", epochs=1)
    assert abs(cached[1].accuracy - short[1].accuracy) > 0.0125


def test_the_layers_do_not_disturb_each_other(data: LabelledImages) -> None:
    """One layer trained alone ends where it ends among five."""
    among = probe_streaming(network(), data, numbers=100, views="whole", epochs=2)[1]
    (alone,) = probe_streaming(network(), data, ["conv2"], numbers=100, views="whole", epochs=2)
    assert among == alone


def test_a_stream_is_repeatable_and_the_seed_matters(data: LabelledImages) -> None:
    a, b, c = (
        probe_streaming(network(), data, ["conv1"], 100, epochs=1, seed=seed)[0].train_accuracy for seed in (0, 0, 1)
    )
    assert a == b != c


def test_logits_of_all_views_are_averaged(data: LabelledImages, monkeypatch: pytest.MonkeyPatch) -> None:
    """By hand, from the heads that the stream trained."""
    kept = {}
    original = streaming._heads
    monkeypatch.setattr(streaming, "_heads", lambda *given: kept.setdefault("heads", original(*given)))
    trunk = network()
    (found,) = probe_streaming(trunk, data, ["conv2"], 100, epochs=1)
    trunk.eval(), kept["heads"].eval()
    with torch.no_grad():
        images, total = to_float(data.test_images), 0
        for view in VIEWS["published"].tested:
            x = probes.pool_layers(trunk, cut(images, view.expand(len(images), 2, 3), 16), ["conv2"], 100, "max")[
                "conv2"
            ]
            total = total + kept["heads"]["conv2"](x)
    assert found.accuracy == pytest.approx((total.argmax(1) == data.test_labels).float().mean().item(), abs=0.003)


def test_the_trunk_learns_nothing(data: LabelledImages) -> None:
    trunk = network()
    before = {key: value.clone() for key, value in trunk.state_dict().items()}
    probe_streaming(trunk, data, ["conv1"], 100, epochs=1)
    assert all(torch.equal(value, before[key]) for key, value in trunk.state_dict().items()) and trunk.training


def test_features_that_do_not_fit_are_streamed_and_said(
    data: LabelledImages, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    need = memory_needed(network(), data, LAYERS, 200, "max")
    monkeypatch.setattr(streaming, "EPOCHS", 1)
    monkeypatch.setattr(probe_streaming, "__defaults__", (*probe_streaming.__defaults__[:-2], 1, 0))
    monkeypatch.setattr(probes, "memory_left", lambda _: need)
    assert probe(network(), data, numbers=200)[0].decay in probes.DECAYS and not capsys.readouterr().out
    monkeypatch.setattr(probes, "memory_left", lambda _: need - 1)
    monkeypatch.setattr(probes, "pooled_features", None)
    results = probe(network(), data, numbers=200)
    said = capsys.readouterr().out
    assert said.count("\n") == 1 and "features of photos10 would take" in said and "in a stream instead" in said
    assert [r.layer for r in results] == list(LAYERS) and {r.decay for r in results} == {streaming.DECAY}


def test_the_memory_needed_is_that_of_the_features(data: LabelledImages) -> None:
    features = pooled_features(network(), data.train_images, numbers=200)
    kept = sum(x.nbytes for x in features.values()) * 700 / 300  # and of 400 test pictures
    most = max(features.values(), key=lambda x: x.shape[1])
    fit = sum(x.nbytes for x in standardise(most, most))
    need = memory_needed(network(), data, LAYERS, 200, "max")
    assert kept + fit < need < kept + 5 * fit


@pytest.mark.parametrize("way", [probe, probe_streaming])
def test_what_there_is_not_is_answered_with_what_there_is(way: object, data: LabelledImages) -> None:
    with pytest.raises(CourseError, match="no layer called 'fc7'; there is conv1, conv2, conv3, conv4, conv5"):
        way(network(), data, ["conv1", "fc7"])
    with pytest.raises(CourseError, match="no pooling called 'min'; there is max, average"):
        way(network(), data, pooling="min")
    with pytest.raises(CourseError, match="hold none of"):
        way(network(), data.take(4, 40))


def test_views_that_there_are_not_are_refused(data: LabelledImages) -> None:
    with pytest.raises(CourseError, match="no kind of view called 'five'; there is published, whole"):
        probe_streaming(network(), data, views="five")
