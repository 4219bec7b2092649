"""Networks other than AlexNet, as torchvision builds them, with untrained weights: nothing is downloaded.

Layers are asked for by name through torchvision's feature extraction, which traces a network and gives out what is
named on the way. Taught in notebook 10.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial
from typing import Any

import torch
from torch import Tensor, nn
from torchvision.models.efficientnet import EfficientNet, _efficientnet_conf
from torchvision.models.feature_extraction import create_feature_extractor
from torchvision.models.resnet import BasicBlock, Bottleneck, ResNet

from course_lib.networks.alexnet import SMALL_SIDE
from course_lib.networks.trunk import Trunk, first_convolution
from course_lib.support.errors import unknown

_FEWEST = 8  # filters of a stage
_SEEN = 16  # filters of the first layer at least, so that there is something to look at


class _Narrow(ResNet):
    """torchvision's ResNet with `factor` times as many filters in every stage."""

    def __init__(self, block: Any, blocks: Sequence[int], factor: float) -> None:
        self.factor, self.seen = factor, max(_SEEN, round(64 * factor))
        super().__init__(block, list(blocks))

    def _make_layer(self, block: Any, planes: int, *rest: Any, **options: Any) -> nn.Sequential:
        if planes == 64:  # the first stage takes what the first layer makes
            self.inplanes = self.seen
        return super()._make_layer(block, max(_FEWEST, round(self.factor * planes)), *rest, **options)


def _resnet(block: Any, blocks: Sequence[int], width: float, small: bool) -> tuple[nn.Module, dict[str, str]]:
    network = _Narrow(block, blocks, width)
    form = (3, 1, 1) if small else (7, 2, 3)
    network.conv1 = nn.Conv2d(3, network.seen, *form, bias=False)
    nn.init.kaiming_normal_(network.conv1.weight, mode="fan_out", nonlinearity="relu")
    network.bn1 = nn.BatchNorm2d(network.seen)
    if small:
        network.maxpool = nn.Identity()
    stages = [f"layer{number}" for number in range(1, 5)]
    return network, {"relu": "conv1"} | {stage: stage for stage in stages}


def _efficientnet(width: float, small: bool) -> tuple[nn.Module, dict[str, str]]:
    stages, _ = _efficientnet_conf("efficientnet_b0", width_mult=width, depth_mult=1.0)
    stages[0].input_channels = max(_SEEN, stages[0].input_channels)
    if small:
        stages[1].stride = 1
    network = EfficientNet(stages, dropout=0.0)
    if small:
        network.features[0][0].stride = (1, 1)
    return network, {"features.0": "conv1"} | {f"features.{i}": f"stage{i}" for i in range(1, 9)}


OTHERS = {
    "resnet18": partial(_resnet, BasicBlock, (2, 2, 2, 2)),
    "resnet50": partial(_resnet, Bottleneck, (3, 4, 6, 3)),
    "efficientnet_b0": _efficientnet,
}
"""The networks there are beside AlexNet (He et al. 2016, Tan and Le 2019). From the factor on its filters and whether
its pictures are small, each gives a network and the layers' names by its nodes'."""


class OtherTrunk(Trunk):
    """A network of OTHERS without its classifier, with the stages' ends as layers; `conv1` is the first convolution.

    side: the pictures' side in pixels. Up to 64 the first two of the five halvings are left out, as is usual for
    CIFAR: a ResNet begins with a 3 x 3 convolution of stride 1 and has no max-pool. width: factor on the filters a
    stage, of which 8 are kept, and 16 in the first layer. first: factor on the first filters, as in AlexNet.
    names: of the layers, in the place of their own.

    `forward` gives (n, out_features): the last stage averaged over its places, as these networks' classifiers have it.
    Raises CourseError for a network that there is not, and ValueError for a side below 16.
    """

    def __init__(
        self, network: str, side: int = 224, width: float = 1.0, first: float = 1.0, names: Sequence[str] = ()
    ) -> None:
        super().__init__()
        if side < 16:
            raise ValueError(f"side must be at least 16 pixels, got {side}")
        if network not in OTHERS:
            raise unknown("network", network, ("alexnet", *OTHERS))
        body, nodes = OTHERS[network](width, side <= SMALL_SIDE)
        nodes = dict(zip(nodes, names, strict=True)) if names else nodes
        self.body = create_feature_extractor(body, nodes)
        self.side, self.layers = side, tuple(nodes.values())
        with torch.no_grad():
            first_convolution(self)[0].weight.mul_(first)
        self.out_features = self.outputs(side)

    def features(self, images: Tensor, layers: Sequence[str] | None = None) -> dict[str, Tensor]:
        """As `Trunk.features`, each stage after its last activation; all stages are computed, whichever are meant."""
        layers, maps = self.named(layers), self.body(self.laid_out(images))
        return {layer: one for layer, one in maps.items() if layer in layers}

    def forward(self, images: Tensor) -> Tensor:
        """(n, out_features) for images (n, 3, side, side) in [-1, 1]."""
        return self.body(self.laid_out(images))[self.layers[-1]].mean((2, 3))
