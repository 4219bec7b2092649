"""How deep is a layer? Four answers, and networks compared at the same depth by any of them.

Kolesnikov, Zhai and Beyer 2019 ask whether findings about AlexNet hold for other networks. Taught in notebook 10.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
import torch
from torch import nn

from course_lib.networks.trunk import Trunk, frozen

RANDOM, ONE_IMAGE, LABELS = "random", "rotnet", "supervised"
"""What trained a network: nothing, RotNet on one image, or labels."""

Accuracies = Mapping[str, Mapping[str, float]]
"""A network's probes: by what trained it, and by layer, shares of 1."""

Curve = tuple[Sequence[float], Sequence[float]]
"""Depths, rising, and what was measured there."""

_READ = 101  # depths at which two curves are compared


class Size(NamedTuple):
    """How much notebook 10 compares: networks; steps of each training, its highest learning rate, and the crops of a
    step of RotNet, each 0 for the recipe's; labelled pictures that a probe is trained on, and as many that it is tested
    on; features per picture."""

    networks: tuple[str, ...]
    steps: int
    rate: float
    batch: int
    pictures: int
    numbers: int


_ALL = ("alexnet", "resnet18", "resnet50", "efficientnet_b0")
SIZES = {
    "quick": Size(("alexnet", "resnet18"), 60, 0.02, 24, 1_000, 500),
    "standard": Size(_ALL, 0, 0.0, 0, 10_000, 9_600),
    "paper": Size(_ALL, 0, 0.0, 0, 50_000, 9_600),
}
"""How much is compared at each profile: at `quick` two networks, for a third of the usual steps, half as large, at
twice the rate."""


@dataclass(frozen=True)
class Place:
    """Where a layer is in its network.

    convolutions: how many its output depends on, its own included. stage: 0 for the first layer that is probed, 1
    for the last. side: of its map, in pixels. parameters: how many weights its output depends on.
    """

    layer: str
    convolutions: int
    stage: float
    side: int
    parameters: int


def places(trunk: Trunk) -> list[Place]:
    """The place of each of a trunk's layers.

    Autograd tells what an output depends on, so that shortcuts and side branches are counted in any network.
    """
    weights = list(trunk.parameters())
    with frozen(trunk), torch.enable_grad():
        maps = trunk.features(torch.zeros(1, 3, trunk.side, trunk.side, device=weights[0].device))
        used = {layer: depends_on(one, weights) for layer, one in maps.items()}
    return [
        Place(
            layer,
            sum(weight.dim() == 4 for weight in used[layer]),
            i / (len(maps) - 1),
            one.shape[-1],
            sum(weight.numel() for weight in used[layer]),
        )
        for i, (layer, one) in enumerate(maps.items())
    ]


def depends_on(output: torch.Tensor, weights: Sequence[nn.Parameter]) -> list[nn.Parameter]:
    """Those of the weights that an output, of any shape, was computed from, by autograd."""
    slopes = torch.autograd.grad(output.sum(), weights, retain_graph=True, allow_unused=True)
    return [weight for weight, slope in zip(weights, slopes) if slope is not None]


def convolutions(trunk: Trunk) -> list[tuple[int, int, int, int]]:
    """A trunk's convolutions in order: input channels, output channels, the filters' side in pixels, groups."""
    found = [part for part in trunk.modules() if isinstance(part, nn.Conv2d)]
    return [(part.in_channels, part.out_channels, part.kernel_size[0], part.groups) for part in found]


def parameters_below(convolutions: Sequence[tuple[int, int, int, int]]) -> list[int]:
    """Parameters up to each convolution, its own and those of the BatchNorm behind each included.

    convolutions: in order, (taken, made, size, groups) each: the channels that it takes and makes, the filters' side,
    and in how many groups it keeps the channels apart. They have no bias, since BatchNorm has one. Taught in notebook
    10.
    """
    total, found = 0, []
    for taken, made, size, groups in convolutions:
        total += made * (taken // groups) * size**2 + 2 * made
        found.append(total)
    return found


class Axis(NamedTuple):
    """A measure of depth: its name, a number that rises with depth, and that number as text."""

    words: str
    depth: Callable[[Place], float]
    read: Callable[[float], str]


AXES = {
    "index": Axis("convolutions behind it", lambda place: place.convolutions, lambda x: f"{x:.0f}"),
    "stage": Axis("share of the way through", lambda place: place.stage, lambda x: f"{x:.2f}"),
    "resolution": Axis("side of the map in pixels", lambda place: -math.log2(place.side), lambda x: f"{2**-x:.0f}"),
    "parameters": Axis("parameters behind it", lambda place: math.log10(place.parameters), lambda x: f"{10**x:,.0f}"),
}
"""Ways to say how deep a layer is."""


def curve(of: Sequence[Place], shares: Mapping[str, float], axis: str) -> Curve:
    """The layers' accuracies over their depth. Of several at one depth, as of one resolution, the last counts."""
    found = {AXES[axis].depth(place): shares[place.layer] for place in of}
    return list(found), list(found.values())


def read_at(depth: float, depths: Sequence[float], shares: Sequence[float]) -> float:
    """What a network would tell at a depth between two of its layers: on the straight line between theirs.

    depths: of its layers, rising; `depth` is not outside them. Taught in notebook 10.
    """
    above = next(i for i in range(1, len(depths)) if depths[i] >= depth)
    part = (depth - depths[above - 1]) / (depths[above] - depths[above - 1])
    return shares[above - 1] + part * (shares[above] - shares[above - 1])


def gap(one: Curve, other: Curve) -> float:
    """How far `one` lies above `other`, in points: the mean over all depths that both networks have.

    Raises ValueError where there are none.
    """
    low, high = max(one[0][0], other[0][0]), min(one[0][-1], other[0][-1])
    if low >= high:
        raise ValueError(f"the depths have nothing in common: one ends at {high:g}, where the other begins at {low:g}")
    depths = np.linspace(low, high, _READ).clip(low, high)
    return 100 * float(np.mean([read_at(x, *one) - read_at(x, *other) for x in depths]))


def reached(trained: float, random: float, supervised: float) -> float:
    """The share of the way from the untrained network to the one that was taught with labels that a training went.

    All three are accuracies of one network's probe at one layer. Taught in notebook 10.
    """
    return (trained - random) / (supervised - random)
