"""Layers that stay as they are, and what they answer: computed once, since it never changes. Taught in notebook 07."""

from __future__ import annotations

import copy
from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import Tensor

from course_lib.data.datasets import to_float
from course_lib.networks.alexnet import LAYERS, AlexNet
from course_lib.profiles import Course
from course_lib.support.machine import memory_left

_POOLED = (1, 2, 5)  # the layers behind which AlexNet pools
_RETRAINED = 1 << 31  # added to the seed: no retrained layer begins where the frozen network's own began
_BATCH = 100
_SHARE = 0.3  # of the free memory that frozen answers may take; where they need more, they are computed in every step


def freeze(trunk: AlexNet, depth: int) -> AlexNet:
    """Let conv1 to conv_k, k = `depth`, stay as they are, in place: no gradient, and BatchNorm in evaluation mode."""
    for layer in LAYERS[:depth]:
        getattr(trunk, layer).requires_grad_(False).eval()
    return trunk


def run_layers(trunk: AlexNet, maps: Tensor, first: int, last: int) -> Tensor:
    """From the answers of conv`first`, pooled where the network pools, to those of conv`last`; 0 is the picture."""
    for number in range(first + 1, last + 1):
        maps = getattr(trunk, f"conv{number}")(maps)
        if number in _POOLED:
            maps = trunk.pool(maps)
    return maps


def begin_above(trunk: AlexNet | None, depth: int, course: Course) -> AlexNet:
    """A new network with conv1 to conv_k of `trunk`, k = `depth`, and all layers above drawn from the course's seed.

    At depth 0 nothing of `trunk` is needed, and it may be None.
    """
    torch.manual_seed(course.seed + _RETRAINED)
    new = course.profile.trunk().to(course.device)
    for layer in LAYERS[:depth]:
        setattr(new, layer, copy.deepcopy(getattr(trunk, layer)))
    return new


@dataclass
class FrozenMaps:
    """What frozen layers answer to pictures, with the labels (n,).

    images: (n, 3, side, side) uint8. answer: from pictures in [-1, 1] to maps (n, c, h, w). kept: the answers,
    (1, n, c, h, w) float16, or (2, n, c, h, w) with those to the mirror images second; None where they would fill the
    memory, so that they are computed whenever they are read.

    A shift by some pixels has no counterpart in answers that are kept, unless one kept a copy for every shift; mirror
    images need one copy. Without any, the networks that train most of their layers would learn the pictures by heart,
    and freezing would look better than it is.
    """

    images: Tensor
    labels: Tensor
    answer: Callable[[Tensor], Tensor]
    kept: Tensor | None = None

    def __len__(self) -> int:
        return len(self.labels)

    def read(self, index: Tensor, mirrored: Tensor) -> Tensor:
        """The maps of some pictures, float32; `mirrored` (n,) says of which the mirror image's."""
        if self.kept is not None:
            return self.kept[mirrored.long(), index].float()
        images = to_float(self.images[index.to(self.images.device)].to(self.labels.device))
        return self.answer(torch.where(mirrored[:, None, None, None], images.flip(3), images))


def frozen_maps(trunk: AlexNet, depth: int, images: Tensor, labels: Tensor, copies: int = 2) -> FrozenMaps:
    """What conv1 to conv_k, k = `depth`, answer to pictures: computed once, if there is room in memory.

    images: (n, 3, side, side) uint8, wherever they lie; the labels lie with the network. copies: 1, or 2 to keep the
    answers to the mirror images too.
    """

    @torch.no_grad()
    def answer(images: Tensor) -> Tensor:
        return run_layers(trunk, images, 0, depth)

    freeze(trunk, depth)
    maps = FrozenMaps(images, labels, answer)
    one = answer(to_float(images[:1].to(labels.device)))[0]
    if copies * len(images) * 2 * one.numel() < _SHARE * memory_left(labels.device):
        maps.kept = one.new_empty(copies, len(images), *one.shape, dtype=torch.float16)
        for both, into in zip((images, images.flip(3)), maps.kept):
            for some, here in zip(both.split(_BATCH), into.split(_BATCH)):
                here.copy_(answer(to_float(some.to(labels.device))))
    return maps
