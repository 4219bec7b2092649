"""Supervised training: the same trunk, taught with labels. The ceiling that the other methods are held against.

Taught in notebook 06.
"""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from course_lib.datasets import LabelledImages, to_float
from course_lib.networks import AlexNet, head
from course_lib.profiles import Profile


class Supervised(nn.Module):
    """A trunk, and a head that names the class."""

    def __init__(self, trunk: AlexNet, classes: int, hidden: int = 4096) -> None:
        super().__init__()
        self.trunk = trunk
        self.head = head(trunk.out_features, classes, hidden)

    @classmethod
    def build(cls, profile: Profile, data: LabelledImages) -> Supervised:
        """A classifier at a profile's sizes, for the classes of `data`."""
        return cls(profile.trunk(), len(data.classes), profile.hidden)

    def forward(self, images: Tensor) -> Tensor:
        """Logits of the classes: (n, classes) for images (n, 3, side, side) in [-1, 1]."""
        return self.head(self.trunk(images))

    def loss(self, data: LabelledImages, index: Tensor) -> tuple[Tensor, Tensor]:
        """Cross-entropy of the labels, and the share told right, for the training pictures with these indices (n,)."""
        labels = data.train_labels[index]
        logits = self(augment(to_float(data.train_images[index])))
        return F.cross_entropy(logits, labels), (logits.argmax(1) == labels).float().mean()


def augment(images: Tensor) -> Tensor:
    """Mirror each picture (n, 3, side, side) half of the time, and shift the batch by up to an eighth of its side.

    The shift is one for the whole batch, so that it is a view and not a gather; over the steps it is as good.
    """
    n, _, side, _ = images.shape
    mirror = torch.rand(n, 1, 1, 1, device=images.device) < 0.5
    images = torch.where(mirror, images.flip(3), images)
    pad = side // 8
    top, left = torch.randint(0, 2 * pad + 1, (2,)).tolist()
    return F.pad(images, (pad,) * 4, mode="reflect")[:, :, top : top + side, left : left + side]


METHOD = Supervised
