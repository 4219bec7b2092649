"""Jigsaw: cut every crop into nine tiles, deal them in another order, and let the network name the order.

Noroozi and Favaro, "Unsupervised learning of visual representations by solving jigsaw puzzles", ECCV 2016.
Taught in notebook 09.
"""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from course_lib.data.datasets import CropDataset
from course_lib.networks.alexnet import dense
from course_lib.networks.trunk import Trunk
from course_lib.pretext.method import Batch, Method, Recipe, Shown
from course_lib.pretext.puzzles import DRAWS, SIDES, TILES, TRICKS, Tricks, assemble, cut, deal, order_of, permutations
from course_lib.profiles import Profile

ORDERS = {"quick": 24, "standard": 100, "paper": 100}
"""Orders that a puzzle may be dealt in, at each profile; 100 in the original's released list."""

EMBEDDING = {"quick": 64, "standard": 512, "paper": 1_024}
"""Numbers of a tile's embedding, before the nine are compared; 1,024 in the original."""

_PAPER = TRICKS["paper"]


class Jigsaw(Method):
    """A trunk that sees nine tiles one by one, and a head that sees all nine answers and names the order.

    The trunk and `tell` have the same weights for all tiles; only the head knows which tile came first. orders:
    (count, 9), of which the head names one. tricks: against short cuts. side: pixels of a tile. A batch counts crops;
    the network sees nine times as many, smaller pictures.
    """

    # At `paper` as the original: 350,000 steps of 256, the rate falling to a tenth every 100,000.
    RECIPES = {
        "quick": Recipe(steps=90, batch=32, learning_rate=0.03),
        "standard": Recipe(steps=4_000, batch=512, learning_rate=0.1),
        "paper": Recipe(steps=350_000, batch=256, learning_rate=0.01, schedule="three drops"),
    }

    def __init__(
        self, trunk: Trunk, orders: Tensor, side: int, embedding: int, hidden: int = 4096, tricks: Tricks = _PAPER
    ) -> None:
        super().__init__()
        self.trunk, self.side, self.tricks = trunk, side, tricks
        self.tell = nn.Sequential(*dense(trunk.outputs(side), embedding))
        self.head = nn.Sequential(*dense(TILES * embedding, hidden), nn.Linear(hidden, len(orders)))
        self.register_buffer("orders", orders)

    @classmethod
    def build(cls, profile: Profile, data: CropDataset) -> Jigsaw:
        """Jigsaw at a profile's sizes."""
        orders, embedding = permutations(ORDERS[profile.name]), EMBEDDING[profile.name]
        return cls(profile.trunk(), orders, SIDES[profile.name], embedding, profile.hidden)

    def forward(self, tiles: Tensor) -> Tensor:
        """Logits of the orders, (n, count), for tiles (n, 9, 3, side, side) as they were dealt."""
        embedded = self.tell(self.trunk(tiles.flatten(0, 1)))
        return self.head(embedded.view(len(tiles), -1))

    def puzzles(self, data: CropDataset, batch: Batch) -> tuple[Tensor, Tensor]:
        """Tiles in reading order, (n, 9, 3, side, side), and the number of the order to deal each puzzle in, (n,)."""
        draws = batch.uniform(DRAWS)
        tiles = cut(data, data.crops[batch.index], self.side, self.tricks, draws)
        return tiles, order_of(draws, len(self.orders))

    def loss(self, data: CropDataset, batch: Batch) -> tuple[Tensor, Tensor]:
        """Cross-entropy of the orders, and the accuracy."""
        tiles, which = self.puzzles(data, batch)
        logits = self(deal(tiles, self.orders[which]))
        return F.cross_entropy(logits, which), (logits.argmax(1) == which).float().mean()

    def shown(self, data: CropDataset) -> Shown:
        """Twelve puzzles as they were dealt, and as the network puts them back."""
        index = torch.arange(min(12, len(data)), device=self.orders.device)
        tiles, which = self.puzzles(data, Batch(index, data.seed, 0, 0))
        dealt = deal(tiles, self.orders[which])
        said = self(dealt).argmax(1)
        images = torch.cat([assemble(dealt), assemble(deal(dealt, self.orders[said].argsort(1)))]).clamp(-1, 1)
        return Shown(images, len(index), ("dealt", f"put back: {int((said == which).sum())} of {len(index)}"))


METHOD = Jigsaw
