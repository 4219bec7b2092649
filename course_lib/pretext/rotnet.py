"""RotNet: turn every crop by 0, 90, 180 and 270 degrees and let the network name the turn.

Gidaris, Singh and Komodakis, "Unsupervised representation learning by predicting image rotations", ICLR 2018.
Taught in notebook 02.
"""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor

from course_lib.data.datasets import CropDataset
from course_lib.networks.alexnet import head
from course_lib.networks.trunk import Trunk
from course_lib.pretext.method import Batch, Method, Recipe, Shown
from course_lib.profiles import Profile

TURNS = 4


class RotNet(Method):
    """A trunk, and a head that names one of four turns.

    The four turns of a crop are folded into its affine map, so that each is rendered once and exactly: no corner
    and no second resampling gives the turn away. All four are in the same batch, as in the paper (section 3.1). A batch
    counts crops; the network sees four times as many pictures.
    """

    # At `paper` as the original on ImageNet: 50 passes over 1.28 million, batches of 192 (FeatureLearningRotNet).
    RECIPES = {
        "quick": Recipe(steps=200, batch=48, learning_rate=0.01),
        "standard": Recipe(steps=2_500, batch=512, learning_rate=0.1),
        "paper": Recipe(steps=333_600, batch=192, learning_rate=0.01, schedule="three drops"),
    }

    def __init__(self, trunk: Trunk, hidden: int = 4096) -> None:
        super().__init__()
        self.trunk = trunk
        self.head = head(trunk.out_features, TURNS, hidden)

    @classmethod
    def build(cls, profile: Profile, data: CropDataset) -> RotNet:
        """RotNet at a profile's sizes."""
        return cls(profile.trunk(), profile.hidden)

    def forward(self, images: Tensor) -> Tensor:
        """Logits of the four turns: (n, 4) for images (n, 3, side, side) in [-1, 1]."""
        return self.head(self.trunk(images))

    def views(self, data: CropDataset, index: Tensor) -> tuple[Tensor, Tensor]:
        """Every crop in all four turns, (4 n, 3, side, side), and the turns, (4 n,): all of turn 0 come first."""
        crops = data.crops[index]
        images = torch.cat([data.render(crops.turned(k)) for k in range(TURNS)])
        return images, torch.arange(TURNS, device=images.device).repeat_interleave(len(index))

    def loss(self, data: CropDataset, batch: Batch) -> tuple[Tensor, Tensor]:
        """Cross-entropy of the turns, and the accuracy."""
        images, _ = self.views(data, batch.index)
        return turn_loss(self(images))

    def shown(self, data: CropDataset) -> Shown:
        """Twelve crops in four turns, and how many of each row it gets right."""
        images, turns = self.views(data, torch.arange(min(12, len(data)), device=data.crops.source.device))
        right = (self(images).argmax(1) == turns).view(TURNS, -1).sum(1).tolist()
        n = len(images) // TURNS
        return Shown(images, n, tuple(f"{90 * turn}°: {count} of {n}" for turn, count in enumerate(right)))


def four_turns(images: Tensor) -> Tensor:
    """Pictures (n, 3, side, side) turned counter-clockwise by 0, 90, 180 and 270 degrees: (4 n, 3, side, side), all of
    turn 0 first. Equal to what `RotNet.views` gets from the map, for pictures that are pixels already."""
    return torch.cat([torch.rot90(images, k, (2, 3)) for k in range(TURNS)])


def turn_loss(logits: Tensor) -> tuple[Tensor, Tensor]:
    """Cross-entropy of the turns, and the accuracy: two scalars.

    logits: (4 n, 4), of n pictures in four turns, all of turn 0 first, so that the order is the label. Taught in
    notebook 02.
    """
    turns = torch.arange(TURNS, device=logits.device).repeat_interleave(len(logits) // TURNS)
    return F.cross_entropy(logits, turns), (logits.argmax(1) == turns).float().mean()


METHOD = RotNet
