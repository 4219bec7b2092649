"""Jigsaw with a ResNet-50 and 2,000 orders, the baseline of later work.

Goyal, Mahajan, Gupta and Misra, "Scaling and benchmarking self-supervised visual representation learning", ICCV 2019.
Taught in notebook 09.
"""

from __future__ import annotations

from torch import Tensor, nn

from course_lib.data.datasets import CropDataset
from course_lib.networks.alexnet import LAYERS
from course_lib.networks.others import OtherTrunk
from course_lib.pretext.jigsaw import Jigsaw
from course_lib.pretext.method import Recipe
from course_lib.pretext.puzzles import SIDES, TILES, Tricks, permutations
from course_lib.profiles import Profile

ORDERS, EMBEDDING = 2_000, 1_000
"""Orders that the head distinguishes, and the size of a tile's embedding, as in VISSL."""

CUTTING = Tricks(normalise=False, grey=0.66, shift=0)
"""As there: two thirds of the puzzles grey, and no more."""


class JigsawResNet50(Jigsaw):
    """Jigsaw whose head says 1,000 numbers of each tile, and reads all 9,000 at once: no hidden layer.

    The ResNet's five stages have the names that its own paper gives them, conv1 to conv5 (He et al. 2016, table 1), and
    so stand beside AlexNet's layers in every table.
    """

    # At `paper` 105 passes over 1.28 million; there 0.1 for each 256 of a batch, here one batch of 256. At `quick` it
    # would learn nothing in a minute.
    RECIPES = {
        "standard": Recipe(steps=4_000, batch=256, learning_rate=0.1, weight_decay=1e-4),
        "paper": Recipe(steps=525_500, batch=256, learning_rate=0.1, weight_decay=1e-4, schedule="three drops"),
    }

    def __init__(self, side: int, tile: int, orders: Tensor) -> None:
        trunk = OtherTrunk("resnet50", side, names=LAYERS)
        super().__init__(trunk, orders, tile, EMBEDDING, tricks=CUTTING)
        self.head = nn.Linear(TILES * EMBEDDING, len(orders))

    @classmethod
    def build(cls, profile: Profile, data: CropDataset) -> JigsawResNet50:
        """The method at a profile's sizes; a tile is never below 32 pixels."""
        return cls(profile.side, max(32, SIDES[profile.name]), permutations(ORDERS))


METHOD = JigsawResNet50
