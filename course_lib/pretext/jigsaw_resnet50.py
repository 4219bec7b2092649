"""Jigsaw with a ResNet-50 and 2,000 orders, the baseline of later work.

Goyal, Mahajan, Gupta and Misra, "Scaling and benchmarking self-supervised visual representation learning", ICCV 2019.
Taught in notebook 09.
"""

from __future__ import annotations

from collections.abc import Sequence

from torch import Tensor, nn

from course_lib.datasets import CropDataset
from course_lib.errors import unknown
from course_lib.networks import LAYERS
from course_lib.pretext.jigsaw import Jigsaw
from course_lib.profiles import Profile
from course_lib.puzzles import SIDES, Tricks, permutations
from course_lib.recipes import Recipe

ORDERS, EMBEDDING = 2_000, 1_000
"""Orders that the head tells apart, and numbers that it sees of each tile, as in VISSL."""

CUTTING = Tricks(normalise=False, grey=0.66, shift=0)
"""As there: two thirds of the puzzles grey, and no more."""


class ResNet50(nn.Module):
    """torchvision's ResNet-50, with its five stages by the names of AlexNet's layers.

    Its paper calls them conv1 to conv5 too (He et al. 2016, table 1): a stem, and four stages of 3, 4, 6 and 3 blocks.
    It has what the course asks of a trunk: `side`, `features`, `conv1` and `out_features`. Colours, and no Sobel
    filter, go in.
    """

    out_features = 2048

    def __init__(self, side: int) -> None:
        super().__init__()
        from torchvision.models import resnet50  # here, since it takes memory that other methods need

        network = resnet50(weights=None)
        self.side, self.edges, self.pool = side, nn.Identity(), network.maxpool
        self.conv1 = nn.Sequential(network.conv1, network.bn1, network.relu)
        self.conv2, self.conv3, self.conv4, self.conv5 = (getattr(network, f"layer{i}") for i in (1, 2, 3, 4))

    def features(self, images: Tensor, layers: Sequence[str] = LAYERS) -> dict[str, Tensor]:
        """The feature maps of some stages, as `AlexNet.features` gives those of layers."""
        for layer in layers:
            if layer not in LAYERS:
                raise unknown("layer", layer, LAYERS)
        maps, x = {}, images
        for layer in LAYERS[: 1 + max(LAYERS.index(layer) for layer in layers)]:
            x = getattr(self, layer)(x)
            if layer in layers:
                maps[layer] = x
            if layer == "conv1":
                x = self.pool(x)
        return maps

    def forward(self, images: Tensor) -> Tensor:
        """(n, 2048) for images (n, 3, h, w) in [-1, 1]: the last stage's mean over all places."""
        return self.features(images, LAYERS[-1:])[LAYERS[-1]].mean((2, 3))


class JigsawResNet50(Jigsaw):
    """Jigsaw whose head says 1,000 numbers of each tile, and reads all 9,000 at once: no hidden layer."""

    # At `paper` 105 passes over 1.28 million; there 0.1 for each 256 of a batch, here one batch of 256. At `quick` it
    # would learn nothing in a minute.
    RECIPES = {
        "standard": Recipe(steps=4_000, batch=256, learning_rate=0.1, weight_decay=1e-4),
        "paper": Recipe(steps=525_500, batch=256, learning_rate=0.1, weight_decay=1e-4, schedule="three drops"),
    }

    def __init__(self, side: int, tile: int, orders: Tensor) -> None:
        super().__init__(ResNet50(side), orders, tile, EMBEDDING, tricks=CUTTING)
        self.head = nn.Linear(9 * EMBEDDING, len(orders))

    @classmethod
    def build(cls, profile: Profile, data: CropDataset) -> JigsawResNet50:
        """The method at a profile's sizes; a tile is never below 32 pixels, the factor by which the network shrinks."""
        return cls(profile.side, max(32, SIDES[profile.name]), permutations(ORDERS))


METHOD = JigsawResNet50
