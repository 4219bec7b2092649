"""The controls of a probe: each does what its name says, on pictures where the answer is known."""

from __future__ import annotations

import pytest
import torch

from course_lib.data.datasets import CropDataset, LabelledImages
from course_lib.data.sources import Source, generate
from course_lib.networks.alexnet import LAYERS, AlexNet
from course_lib.probes import controls as module
from course_lib.probes.classifier import ProbeResult
from course_lib.probes.controls import colours, controls, looked, patch_network, patches, permuted, pixels, whitening
from course_lib.probes.probe import probe


def network(seed: int = 0) -> AlexNet:
    torch.manual_seed(seed)
    return AlexNet(32, 0.1).eval()


def crops() -> CropDataset:
    return CropDataset(Source.from_images([generate("dead_leaves", 160, 120)], "leaves"), d=300, side=32)


def coloured(count: int = 200) -> LabelledImages:
    """Noise in which class 0 is reddish, class 1 bluish."""
    generator = torch.Generator().manual_seed(0)
    labels = torch.arange(count) % 2
    images = torch.randint(0, 128, (count, 3, 32, 32), generator=generator)
    images[torch.arange(count), 2 * labels] += 100
    half = count // 2
    images = images.to(torch.uint8)
    return LabelledImages("colours", ("red", "blue"), images[:half], labels[:half], images[half:], labels[half:])


def test_one_call_gives_all_controls() -> None:
    found = controls(network(1), coloured(), crops(), network(0), supervised=network(2), layer="conv2", numbers=200)
    named = "the network, random, random, looked, k-means of patches, whitened patches, supervised, pixels, colours, "
    assert ", ".join(found) == named + "permuted labels"
    assert found["colours"].accuracy == found["pixels"].accuracy == 1
    assert all(result.tested == 100 for result in found.values())
    assert "supervised" not in controls(network(1), coloured(), crops(), network(0), numbers=200)


def test_permuted_labels_are_at_chance_where_the_right_ones_are_not() -> None:
    data = coloured(1_000)
    assert probe(network(), data, ["conv1"], 200)[0].accuracy > 0.95
    low, high = permuted(network(), data, "conv1", 200).interval
    assert low - 0.1 < 0.5 < high + 0.1


def test_looking_changes_the_statistics_and_no_weight() -> None:
    random = network()
    before = {key: value.clone() for key, value in random.state_dict().items()}
    after = looked(random, crops()).state_dict()
    changed = {key.rsplit(".", 1)[1] for key in before if not torch.equal(before[key], after[key])}
    assert changed == {"running_mean", "running_var", "num_batches_tracked"}
    assert all(torch.equal(before[key], value) for key, value in random.state_dict().items())


@pytest.mark.parametrize("kind", ["kmeans", "pca"])
def test_the_first_layer_is_made_of_patches_and_the_rest_is_not(kind: str) -> None:
    random = network()
    made = patch_network(random, crops(), kind)
    old, new = random.conv1[0].weight, made.conv1[0].weight
    assert not torch.allclose(old, new) and torch.equal(random.conv2[0].weight, made.conv2[0].weight)
    assert torch.allclose(new.flatten(1).norm(dim=1), old.flatten(1).norm(dim=1).mean().expand(len(new)), rtol=1e-4)
    assert made.features(torch.zeros(2, 3, 32, 32), LAYERS)["conv5"].isfinite().all()
    if kind == "pca":
        half = len(new) // 2
        assert torch.allclose(new[:half], -new[half:])
    with pytest.raises(ValueError, match="kmeans or pca, got 'ica'"):
        patch_network(random, crops(), "ica")


def test_whitened_patches_are_white() -> None:
    flat = torch.randn(4_000, 12, generator=torch.Generator().manual_seed(0)) @ torch.diag(torch.linspace(3, 5, 12))
    directions, strengths = whitening(flat)
    white = (flat - flat.mean(0)) @ directions.T / strengths
    assert torch.allclose(torch.cov(white.T), torch.eye(12), atol=0.03)
    assert (strengths[:-1] >= strengths[1:]).all()


def test_patches_are_cut_where_they_lie() -> None:
    images = torch.arange(2 * 3 * 8 * 8.0).view(2, 3, 8, 8)
    flat = patches(images, 5)
    assert flat.shape == (2 * 2 * 2, 75)
    assert torch.equal(flat[1].view(3, 5, 5), images[0, :, 0:5, 2:7])


def test_the_histogram_counts_colours_wherever_they_lie() -> None:
    images = torch.zeros(1, 3, 4, 4, dtype=torch.uint8)
    images[0, 0, 0, :2] = 255
    found = colours(images).square()
    assert found.shape == (1, 512) and found.sum() == pytest.approx(1)
    assert found[0, 0] == pytest.approx(14 / 16) and found[0, 7 * 64] == pytest.approx(2 / 16)


def test_pixels_are_as_many_as_asked_for() -> None:
    images = torch.randint(0, 256, (2, 3, 32, 32), dtype=torch.uint8)
    assert pixels(images, 1_000).shape == (2, 3 * 18 * 18)
    assert torch.equal(pixels(images, 9_216), images.flatten(1).float())


def test_few_crops_are_enough_to_look_at(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "_SEEN", 150)
    assert looked(network(), crops()).conv1[1].num_batches_tracked == 2


def test_what_is_known_is_not_measured_again(monkeypatch: pytest.MonkeyPatch) -> None:
    known = {name: ProbeResult("conv1", 0.123, 0.2, 0.1, 100) for name in ("the network", "random", "supervised")}
    asked = []
    monkeypatch.setattr(module, "probe", lambda trunk, *rest: asked.append(trunk) or probe(trunk, *rest))
    found = controls(network(1), coloured(), crops(), network(0), network(2), numbers=200, known=known)
    assert {name: found[name] for name in known} == known and len(asked) == 3
