"""AlexNet with BatchNorm, whose five convolutions are the layers that the course probes.

Taught in notebooks 02, 05 and 06; other networks are in `course_lib.networks.others`.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor, nn

from course_lib.networks.trunk import Trunk

LAYERS = ("conv1", "conv2", "conv3", "conv4", "conv5")
"""The layers that are probed, each taken after its ReLU."""

CHANNELS = (64, 192, 384, 256, 256)
"""Filters a layer, as RotNet has it."""

SMALL_SIDE = 64
"""Pixels. Up to this side the convolutions take the small form."""


class AlexNet(Trunk):
    """AlexNet's five convolutions with BatchNorm (Krizhevsky et al. 2012; BatchNorm as in RotNet and DeepCluster).

    side: the pictures' side in pixels. Above 64: an 11 x 11 convolution of stride 4 and three 3 x 3 max-pools of
        stride 2 (the paper's form, for 224 and 128 px). Up to 64: a 5 x 5 convolution of stride 1 and 2 x 2
        max-pools, so that conv5 still sees a map.
    width: factor on the number of filters a layer; conv1 keeps at least 32, so that there is something to look at.
    first: factor on conv1's first filters. Behind BatchNorm the size of a filter changes no answer, but it decides how
        far a step turns it (van Laarhoven 2017, arXiv 1706.05350): below 1, a short training moves conv1 as far as a
        long one would.

    `forward` gives (n, out_features): conv5 after its pool, flattened. Raises ValueError for a side below 16.
    """

    def __init__(self, side: int = 224, width: float = 1.0, first: float = 1.0) -> None:
        super().__init__()
        if side < 16:
            raise ValueError(f"side must be at least 16 pixels, got {side}")
        self.side, self.layers = side, LAYERS
        c1, c2, c3, c4, c5 = (max(8, round(width * c)) for c in CHANNELS)
        c1 = max(c1, 32)
        stem, pool = ((11, 4, 2), (3, 2)) if side > SMALL_SIDE else ((5, 1, 2), (2, 2))
        self.conv1 = _block(3, c1, *stem)
        self.conv2 = _block(c1, c2, 5, 1, 2)
        self.conv3 = _block(c2, c3, 3, 1, 1)
        self.conv4 = _block(c3, c4, 3, 1, 1)
        self.conv5 = _block(c4, c5, 3, 1, 1)
        self.pool = nn.MaxPool2d(*pool)
        with torch.no_grad():
            self.conv1[0].weight.mul_(first)
        self.out_features = self.outputs(side)

    def features(self, images: Tensor, layers: Sequence[str] | None = None) -> dict[str, Tensor]:
        """As `Trunk.features`, after each layer's ReLU; computes no further than the deepest."""
        layers = self.named(layers)
        maps, x = {}, self.laid_out(images)
        for layer in LAYERS[: 1 + max(LAYERS.index(layer) for layer in layers)]:
            x = getattr(self, layer)(x)
            if layer in layers:
                maps[layer] = x
            if layer in ("conv1", "conv2"):
                x = self.pool(x)
        return maps

    def forward(self, images: Tensor) -> Tensor:
        """(n, out_features) for images (n, 3, side, side) in [-1, 1]."""
        return self.pool(self.features(images, ("conv5",))["conv5"]).flatten(1)


def _block(taken: int, made: int, size: int, stride: int, pad: int) -> nn.Sequential:
    conv = nn.Conv2d(taken, made, size, stride, pad, bias=False)
    return nn.Sequential(conv, nn.BatchNorm2d(made), nn.ReLU(inplace=True))


def head(inputs: int, outputs: int, hidden: int) -> nn.Sequential:
    """AlexNet's fully connected top with BatchNorm: two hidden layers, then `outputs` logits."""
    return nn.Sequential(*dense(inputs, hidden), *dense(hidden, hidden), nn.Linear(hidden, outputs))


def dense(inputs: int, outputs: int) -> tuple[nn.Module, ...]:
    """A fully connected layer, its BatchNorm and its ReLU."""
    return nn.Linear(inputs, outputs, bias=False), nn.BatchNorm1d(outputs), nn.ReLU(inplace=True)
