"""Supervised training: the same trunk, taught with labels. The ceiling that the other methods are held against.

Taught in notebook 06.
"""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor

from course_lib.data.datasets import LabelledImages
from course_lib.networks.alexnet import head
from course_lib.networks.trunk import Trunk
from course_lib.pretext.method import Batch, Method, Recipe
from course_lib.profiles import Profile


class Supervised(Method):
    """A trunk, and a head that names the class."""

    # At `paper` as AlexNet is usually trained on ImageNet: 90 passes over 1.28 million, batches of 256.
    RECIPES = {
        "quick": Recipe(steps=200, batch=96, learning_rate=0.01),
        "standard": Recipe(steps=4_000, batch=1_024, learning_rate=0.1),
        "paper": Recipe(steps=450_000, batch=256, learning_rate=0.01, schedule="three drops"),
    }

    def __init__(self, trunk: Trunk, classes: int, hidden: int = 4096) -> None:
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

    def loss(self, data: LabelledImages, batch: Batch) -> tuple[Tensor, Tensor]:
        """Cross-entropy of the labels, and the accuracy, over the batch's training pictures."""
        labels = data.train_labels[batch.index]
        logits = self(augment(data.training_pictures(batch.index), batch))
        return F.cross_entropy(logits, labels), (logits.argmax(1) == labels).float().mean()


def augment(images: Tensor, batch: Batch) -> Tensor:
    """Mirror each picture (n, 3, side, side) half of the time, and shift each by up to an eighth of its side."""
    n, _, side, _ = images.shape
    mirror, down, right = batch.uniform(3).unbind(1)
    pad = side // 8
    padded = F.pad(images, (pad,) * 4, mode="reflect").permute(0, 2, 3, 1)
    places = torch.arange(side, device=images.device)
    rows = ((down + 1) * (pad + 0.5)).long()[:, None] + places
    columns = torch.where(mirror[:, None] < 0, places, places.flip(0)) + ((right + 1) * (pad + 0.5)).long()[:, None]
    every = torch.arange(n, device=images.device)[:, None, None]
    return padded[every, rows[:, :, None], columns[:, None]].permute(0, 3, 1, 2)


METHOD = Supervised
