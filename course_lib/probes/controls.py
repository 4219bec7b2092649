"""Controls of a probe: what it reads where nothing was learned, or where there is nothing to read. Taught in notebook
06.

A trained network's number means something only above these. Each control goes through the same probe.
"""

from __future__ import annotations

import copy
from collections.abc import Mapping
from functools import partial

import torch
import torch.nn.functional as F
from torch import Tensor

from course_lib.data.datasets import CropDataset, LabelledImages
from course_lib.networks.alexnet import AlexNet
from course_lib.networks.trunk import Trunk
from course_lib.pretext.clustering import kmeans
from course_lib.probes.classifier import ProbeResult, fit_probe
from course_lib.probes.features import NUMBERS, pooled_features
from course_lib.probes.probe import probe

_LEVELS = 8  # of each colour in the histogram
_AT_ONCE = 200  # pictures that are worked on together
_PATCHED = 200  # crops that patches are cut from
_SEEN = 2_000  # crops that BatchNorm sees


def controls(
    trunk: AlexNet,
    data: LabelledImages,
    crops: CropDataset,
    random: AlexNet,
    supervised: AlexNet | None = None,
    layer: str = "conv1",
    numbers: int = NUMBERS,
    seed: int = 0,
    known: Mapping[str, ProbeResult] | None = None,
) -> dict[str, ProbeResult]:
    """The probe of `trunk` at a layer, and of everything that could explain it away, by name.

    random: an untrained network of the same form, which three controls start from. supervised: one that was trained
    with labels; left out where there is none. `pixels` and `colours` need no network and have no layer. known: results
    that are at hand, by the names given back, which are then not measured again.
    Raises CourseError for a layer that the trunk does not have.
    """
    data = data.to(next(trunk.parameters()).device)
    networks = {
        "the network": trunk,
        "random": random,
        "random, looked": looked(random, crops),
        "k-means of patches": patch_network(random, crops, "kmeans", seed),
        "whitened patches": patch_network(random, crops, "pca", seed),
    }
    if supervised is not None:
        networks["supervised"] = supervised
    known = known or {}
    found = {name: known.get(name) or probe(network, data, [layer], numbers)[0] for name, network in networks.items()}
    for name, read in {"pixels": partial(pixels, numbers=numbers), "colours": colours}.items():
        train, test = (read(part).to(data.device) for part in (data.train_images, data.test_images))
        found[name] = fit_probe(name, train, data.train_labels, test, data.test_labels, (0.1, 1.0))
    found["permuted labels"] = permuted(trunk, data, layer, numbers, seed)
    return found


def looked(random: Trunk, crops: CropDataset) -> Trunk:
    """An untrained network whose BatchNorm has seen crops: it knows the mean and spread of every answer, no more."""
    network = copy.deepcopy(random).train()
    with torch.no_grad():
        for first in range(0, min(_SEEN, len(crops)), 100):
            network(crops[first : first + 100])
    return network.eval()


def patch_network(random: AlexNet, crops: CropDataset, kind: str, seed: int = 0) -> AlexNet:
    """An untrained network whose conv1 is made of patches of the crops, with no network and no task.

    kind: "kmeans", centres of whitened patches (Coates, Lee and Ng 2011); "pca", whitened principal components, each
    with both signs, since behind it stands a ReLU. BatchNorm then looks at crops.
    """
    if kind not in ("kmeans", "pca"):
        raise ValueError(f"kind must be kmeans or pca, got {kind!r}")
    network = copy.deepcopy(random)
    weight = network.conv1[0].weight
    count, channels, k, _ = weight.shape
    flat = patches(crops[:_PATCHED], k)
    directions, strengths = whitening(flat)
    if kind == "pca":
        made = (directions / strengths[:, None])[: -(-count // 2)]
        made = torch.cat([made, -made])[:count]
    else:
        white = (flat - flat.mean(0)) @ directions.T / strengths
        centres = kmeans(white, count, seed=seed).centres
        made = centres / strengths @ directions
    made = F.normalize(made) * weight.detach().flatten(1).norm(dim=1).mean()
    weight.data[: len(made)] = made.view(-1, channels, k, k)
    return looked(network, crops)


def patches(images: Tensor, k: int) -> Tensor:
    """Patches of k x k pixels from pictures (n, c, side, side), every second place, as rows (patches, c * k * k)."""
    cut = images.unfold(2, k, 2).unfold(3, k, 2)
    return cut.permute(0, 2, 3, 1, 4, 5).flatten(0, 2).flatten(1)


def whitening(flat: Tensor) -> tuple[Tensor, Tensor]:
    """The directions in which rows (n, f) differ, the strongest first, (f, f), and their standard deviations (f,).

    A hundredth of the strongest is added, so that what hardly varies is not blown up to noise.
    """
    variances, vectors = torch.linalg.eigh(torch.cov(flat.T.float()))
    variances = variances.flip(0).clamp(min=0)
    return vectors.flip(1).T, (variances + 0.01 * variances[0]).sqrt()


def pixels(images: Tensor, numbers: int = NUMBERS) -> Tensor:
    """Pictures (n, 3, side, side) uint8, averaged down to at most `numbers` values each: (n, f)."""
    side = min(int((numbers / 3) ** 0.5), images.shape[-1])
    return torch.cat([F.adaptive_avg_pool2d(some.float(), side).flatten(1) for some in images.split(_AT_ONCE)])


def colours(images: Tensor) -> Tensor:
    """How often each of 8 x 8 x 8 colours occurs in pictures (n, 3, side, side) uint8: (n, 512) shares.

    Square roots of them, so that a linear classifier compares histograms by Hellinger's distance."""
    counts = torch.zeros(len(images), _LEVELS**3, device=images.device)
    for some, into in zip(images.split(_AT_ONCE), counts.split(_AT_ONCE)):
        red, green, blue = (some.flatten(2).long() * _LEVELS // 256).unbind(1)
        place = (red * _LEVELS + green) * _LEVELS + blue
        into.scatter_add_(1, place, torch.ones_like(place, dtype=counts.dtype))
    return counts.div_(images[0, 0].numel()).sqrt_()


def permuted(trunk: Trunk, data: LabelledImages, layer: str, numbers: int = NUMBERS, seed: int = 0) -> ProbeResult:
    """The probe with the training labels shuffled: it must be at chance, or the probe itself invents."""
    train = pooled_features(trunk, data.train_images, [layer], numbers)[layer]
    test = pooled_features(trunk, data.test_images, [layer], numbers)[layer]
    order = torch.randperm(len(data), generator=torch.Generator().manual_seed(seed)).to(data.device)
    return fit_probe(layer, train, data.train_labels[order], test, data.test_labels, (0.1,))
