"""What a probe reads: a frozen trunk's feature maps, pooled to about as many numbers for every layer.

Taught in notebook 06.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
import torch.nn.functional as F
from torch import Tensor

from course_lib.data.datasets import LabelledImages, to_float
from course_lib.networks.trunk import Trunk, frozen
from course_lib.support.errors import CourseError, unknown

NUMBERS = 9600
"""Features a layer after pooling, at most: no layer wins by being larger. AlexNet at 224 px then has as many as
published: 9216, 9408, 9600, 9216 and 9216 (RotNet)."""

POOLINGS = {"max": F.adaptive_max_pool2d, "average": F.adaptive_avg_pool2d}
"""Both are in use: RotNet and Asano et al. take the maximum, DeepCluster the average. The windows are RotNet's, which
share the map out evenly; the others' are of one size and pad the border or leave it out, for as many numbers."""

_BATCH = {"cpu": 100, "cuda": 1_000}  # pictures at a time, when features are taken


def need_every_class(data: LabelledImages) -> None:
    """Raises CourseError, naming them, where the training part lacks pictures of some classes."""
    counts = torch.bincount(data.train_labels, minlength=len(data.classes))
    if missing := [data.classes[i] for i in (counts == 0).nonzero()[:, 0].tolist()]:
        few = f"{len(data)} training pictures of {data.name} hold none of {', '.join(missing[:5])}"
        raise CourseError(f"{few}{' and others' * (len(missing) > 5)}; take more pictures, or fewer classes")


@torch.inference_mode()
def pooled_features(
    trunk: Trunk, images: Tensor, layers: Sequence[str] | None = None, numbers: int = NUMBERS, pooling: str = "max"
) -> dict[str, Tensor]:
    """The layers' feature maps, pooled to at most `numbers` values each: (n, channels * s * s) float16 a layer.

    images: (n, 3, side, side) uint8, wherever they lie; the features lie with the trunk, which runs in evaluation mode,
    so that BatchNorm does not learn from them.
    """
    device = next(trunk.parameters()).device
    kept: dict[str, Tensor] = {}
    with frozen(trunk):
        for start in range(0, len(images), _BATCH[device.type]):
            some = to_float(images[start : start + _BATCH[device.type]].to(device))
            for layer, x in pool_layers(trunk, some, layers, numbers, pooling).items():
                if layer not in kept:  # made whole at once: many small parts would hold the freed memory between them
                    kept[layer] = x.new_empty(len(images), x.shape[1], dtype=torch.float16)
                kept[layer][start : start + len(x)] = x
    return kept


def pool_layers(
    trunk: Trunk, images: Tensor, layers: Sequence[str] | None, numbers: int, pooling: str
) -> dict[str, Tensor]:
    """The layers' maps of pictures (n, 3, side, side) in [-1, 1], pooled and flattened: (n, channels * s * s) each."""
    if pooling not in POOLINGS:
        raise unknown("pooling", pooling, tuple(POOLINGS))
    maps = trunk.features(images, layers)
    return {layer: POOLINGS[pooling](one, pool_side(one, numbers)).flatten(1) for layer, one in maps.items()}


def pool_side(maps: Tensor, numbers: int) -> int:
    """The largest s with channels * s * s <= numbers, at least 1 and at most the own side of maps (n, channels, side,
    side). Taught in notebook 06."""
    channels, height = maps.shape[1], maps.shape[2]
    return max(1, min(height, int((numbers / channels) ** 0.5)))
