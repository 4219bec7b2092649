"""Probes in a stream: every layer's classifier is trained while the pictures go by, and no feature is kept.

For sets whose features no memory holds, and for the published protocol, in which every pass sees other crops (Asano et
al. 2020, section 4.1, by their code `linear-probes`). Elsewhere `probes.probe` is faster and leaves nothing to tune.
On all of CIFAR-10 (a JPEG copy), for a RotNet of `quick`, the two differ by 0.03 to 0.24 points a layer.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor, nn
from tqdm import tqdm

from course_lib.data.crops import CropScheme, uniforms
from course_lib.data.datasets import LabelledImages, to_float
from course_lib.networks.trunk import Trunk, frozen
from course_lib.probes.classifier import ProbeResult
from course_lib.probes.features import NUMBERS, need_every_class, pool_layers
from course_lib.support.errors import unknown

EPOCHS, BATCH = 36, 192
RATE, MOMENTUM, DECAY = 1e-2, 0.9, 1e-5
"""As published. The rate falls to a tenth after 10, 20 and 30 of the 36 epochs."""

_PATIENCE = 5  # seconds before a bar is shown

Reader = Callable[[Tensor, Tensor], dict[str, Tensor]]
"""From pictures (n, 3, h, w) in [-1, 1] and maps, as `cut` takes them, to each layer's pooled features (n, f)."""


@dataclass(frozen=True)
class Views:
    """What the network gets to see of a picture: random crops in training, fixed ones in the test.

    scheme: of the training crops. tested: (v, 2, 3) maps, as `cut` takes them, of the views whose logits are averaged.
    """

    scheme: CropScheme
    tested: Tensor


def _ten_crops(share: float) -> Tensor:
    """Maps of crops of `share` of the side from the four corners and the middle, and of their mirror images."""
    left = 1 - share
    places = [(-1, -1), (1, -1), (-1, 1), (1, 1), (0, 0)]
    return torch.tensor([[[side * share, 0, x * left], [0, share, y * left]] for side in (1, -1) for x, y in places])


VIEWS = {
    "published": Views(CropScheme(beta=0.08, alpha=0, jitter=0), _ten_crops(224 / 256)),
    "whole": Views(CropScheme(beta=1, gamma=1, alpha=0, jitter=0, flip=0), torch.eye(2, 3)[None]),
}
"""`published`: crops of 8 to 100 % of the area, mirrored half of the time; ten crops in the test. In a picture of 32
pixels that hides what it shows, and so `whole` leaves it whole: the stream then sees what `probe` sees."""


def probe_streaming(
    trunk: Trunk,
    data: LabelledImages,
    layers: Sequence[str] | None = None,
    numbers: int = NUMBERS,
    pooling: str = "max",
    views: str = "published",
    epochs: int = EPOCHS,
    seed: int = 0,
) -> list[ProbeResult]:
    """One probe a layer, all by SGD in the same passes of the frozen trunk.

    views: a key of VIEWS. epochs: passes; with another number the rate falls at the same shares of them. The published
    36 are meant for a million pictures: with ten thousand, the deepest layers have not arrived. Pictures may be
    larger than the trunk's side: 256 pixels for 224, as published. In the results `decay` is the published one, and
    `train_accuracy` that of the last pass, on its crops and while it went on.
    Raises CourseError as `probes.probe` does, and for views that there are not.
    """
    if views not in VIEWS:
        raise unknown("kind of view", views, tuple(VIEWS))
    data, layers = data.to(next(trunk.parameters()).device), trunk.named(layers)
    need_every_class(data)

    def read(images: Tensor, maps: Tensor) -> dict[str, Tensor]:
        return pool_layers(trunk, cut(images, maps, trunk.side), layers, numbers, pooling)

    with frozen(trunk):
        heads = _heads(read, data)
        optimiser = torch.optim.SGD(heads.parameters(), RATE, MOMENTUM, weight_decay=DECAY)
        for epoch in tqdm(range(epochs), desc="probes in a stream", delay=_PATIENCE, mininterval=2, leave=False):
            optimiser.param_groups[0]["lr"] = rate(epoch / epochs)
            trained = _train(heads, optimiser, read, data, VIEWS[views].scheme, (seed, epoch))
        tested = _test(heads, read, data, VIEWS[views].tested)
    return [ProbeResult(layer, tested[layer], trained[layer], DECAY, len(data.test_images)) for layer in layers]


def rate(done: float) -> float:
    """The published learning rate, from the share of the epochs that is done, in [0, 1)."""
    return RATE * 0.1 ** int(done * EPOCHS / 10 + 1e-9)


def _heads(read: Reader, data: LabelledImages) -> nn.ModuleDict:
    """For each layer BatchNorm without parameters and a linear classifier. These begin at nothing: the problem is
    convex, and so they need no luck."""
    with torch.no_grad():
        one = read(torch.zeros(1, 3, data.side, data.side, device=data.device), torch.eye(2, 3)[None])
    heads = nn.ModuleDict()
    for layer, x in one.items():
        linear = nn.Linear(x.shape[1], len(data.classes))
        nn.init.zeros_(linear.weight), nn.init.zeros_(linear.bias)
        heads[layer] = nn.Sequential(nn.BatchNorm1d(x.shape[1], affine=False), linear)
    return heads.to(data.device)


def _train(
    heads: nn.ModuleDict,
    optimiser: torch.optim.Optimizer,
    read: Reader,
    data: LabelledImages,
    scheme: CropScheme,
    at: tuple[int, int],
) -> dict[str, float]:
    """One pass in an order of its own, given by `at`, the seed and the epoch: each layer's accuracy."""
    heads.train()
    order, size = torch.from_numpy(np.random.default_rng(at).permutation(len(data))), min(BATCH, len(data))
    right = torch.zeros(len(heads), device=data.device)
    whole = [index for index in order.split(size) if len(index) == size]
    for i, index in enumerate(whole):
        maps = crop_maps(scheme, at[0], at[1] * len(data) + i * size, size)
        labels = data.train_labels[index.to(data.device)]
        with torch.no_grad():
            features = read(data.training_pictures(index), maps)
        logits = [heads[layer](x) for layer, x in features.items()]
        # Summed, the losses stay independent: no two layers share a parameter.
        sum(F.cross_entropy(one, labels) for one in logits).backward()
        optimiser.step()
        optimiser.zero_grad()
        right += torch.stack([(one.argmax(1) == labels).sum() for one in logits])
    return dict(zip(heads, (right / (len(whole) * size)).tolist()))


@torch.no_grad()
def _test(heads: nn.ModuleDict, read: Reader, data: LabelledImages, tested: Tensor) -> dict[str, float]:
    """Each layer's accuracy on the test set, by the sum of the logits of all views."""
    heads.eval()
    right = torch.zeros(len(heads), device=data.device)
    for images, labels in zip(data.test_images.split(BATCH), data.test_labels.split(BATCH)):
        images = to_float(images.to(data.device))
        seen = [read(images, view.expand(len(images), 2, 3)) for view in tested]
        for i, (layer, head) in enumerate(heads.items()):
            right[i] += (sum(head(features[layer]) for features in seen).argmax(1) == labels).sum()
    return dict(zip(heads, (right / len(data.test_images)).tolist()))


def crop_maps(scheme: CropScheme, seed: int, first: int, count: int) -> Tensor:
    """(count, 2, 3) maps of random crops, as `cut` takes them; crop i depends on (seed, first + i) alone."""
    maps = scheme.affine_maps(uniforms(seed, first, count)[:6], torch.ones(count, 2, dtype=torch.float64))
    maps[:, :, 2] = 2 * maps[:, :, 2] - 1  # a crop's place is counted from the picture's corner, here from its centre
    return maps.float()


def cut(images: Tensor, maps: Tensor, side: int) -> Tensor:
    """Crops (n, 3, side, side) of pictures (n, 3, h, w), one each.

    maps: (n, 2, 3) from the crop's square [-1, 1]^2 to the picture's. Read bilinearly: a crop is hardly ever larger in
    pixels than what is made of it.
    """
    grid = F.affine_grid(maps.to(images.device), [len(images), 3, side, side], align_corners=False)
    return F.grid_sample(images, grid, padding_mode="border", align_corners=False)
