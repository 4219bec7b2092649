"""PIRL: a crop and its puzzle, in whatever order, should get the same embedding, unlike that of any other crop.

Misra and van der Maaten, "Self-supervised learning of pretext-invariant representations", CVPR 2020. Taught in
notebook 09.
"""

from __future__ import annotations

import functools
import math

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from course_lib.data.crops import CropScheme
from course_lib.data.datasets import CropDataset
from course_lib.networks.trunk import Trunk
from course_lib.pretext.method import NOISE, Batch, Method, Recipe, Shown
from course_lib.pretext.puzzles import DRAWS, SIDES, TILES, Tricks, assemble, cut, deal
from course_lib.profiles import Profile
from course_lib.support import distributed

IMAGE_VIEW = CropScheme(beta=0.08, gamma=3 / 4, alpha=0, flip=0.5, jitter=0.4)
PUZZLE_VIEW = CropScheme(beta=0.6, gamma=3 / 4, alpha=0, flip=0.5, jitter=0.4)
"""How a crop is cropped and recoloured once more for each of its two views, as in VISSL's recipe."""

CUTTING = Tricks(normalise=False, grey=0.2, shift=0)
"""As there: tiles of 64 pixels in cells of 85, a fifth of them grey."""

NUMBERS = 128
"""Of an embedding, at every profile."""

TEMPERATURE, MOMENTUM, WEIGHT = 0.07, 0.5, 0.5
"""T of the loss; the share of a row of the bank that is kept; lambda, the weight of the puzzle against the crop."""

BANK = {"quick": 128, "standard": 100_000, "paper": 1_281_167}
"""Crops at most that are trained on, each with a row in the bank."""

NEGATIVES = {"quick": 64, "standard": 8_000, "paper": 32_000}
"""Rows that each step is held against."""

_COMPARED = 2_000  # rows at most that Z is estimated from


class PIRL(Method):
    """A trunk; a head `whole` for a crop; heads `tile` and `nine` for its puzzle; and a memory bank.

    bank: (N, 128) a row of length 1 for each crop: what the network said of it, averaged over its visits. visits: (N,)
    how often that was. log_z: the logarithm of Z, which makes a similarity a chance.
    """

    # At `paper` as VISSL's recipe: 800 passes over 1.28 million; its batches of 1,024 at a rate of 0.12.
    RECIPES = {
        "quick": Recipe(steps=80, batch=32, learning_rate=0.03, weight_decay=1e-4, rounds=10),
        "standard": Recipe(steps=5_000, batch=512, learning_rate=0.06, weight_decay=1e-4, rounds=20),
        "paper": Recipe(1_000_800, 1_024, 0.12, weight_decay=1e-4, rounds=100),
    }

    def __init__(self, trunk: Trunk, rows: int, negatives: int, side: int) -> None:
        super().__init__()
        if not 1 <= negatives < rows:
            raise ValueError(f"negatives must lie in [1, {rows - 1}], below the bank's rows, got {negatives}")
        self.trunk, self.negatives, self.side = trunk, negatives, side
        self.whole = _head(trunk.out_features)
        self.tile = nn.Linear(trunk.outputs(side), NUMBERS)
        self.nine = _head(TILES * NUMBERS)
        self.register_buffer("bank", F.normalize(torch.randn(rows, NUMBERS)))
        self.register_buffer("visits", torch.zeros(rows, dtype=torch.int64))
        self.register_buffer("log_z", torch.tensor(math.log(rows)))

    @classmethod
    def build(cls, profile: Profile, data: CropDataset) -> PIRL:
        """PIRL at a profile's sizes; of fewer crops than its bank has rows, it takes all."""
        rows = min(BANK[profile.name], len(data))
        # conv1 at its usual size, for DeepCluster's reason: made small, it settles for a few colours.
        trunk = profile.trunk(first=1.0)
        return cls(trunk, rows, min(NEGATIVES[profile.name], rows - 1), SIDES[profile.name])

    def embed(self, images: Tensor) -> Tensor:
        """What is said of pictures (n, 3, side, side): (n, 128), of length 1."""
        return F.normalize(self.whole(self.trunk(images)).float())

    def embed_puzzles(self, tiles: Tensor) -> Tensor:
        """What is said of tiles (n, 9, 3, side, side) as they were dealt: (n, 128), of length 1."""
        embedded = self.tile(self.trunk(tiles.flatten(0, 1)))
        return F.normalize(self.nine(embedded.view(len(tiles), -1)).float())

    def views(self, data: CropDataset, batch: Batch) -> tuple[Tensor, Tensor]:
        """One view of each crop, (n, 3, side, side), and the tiles of another in any of all orders."""
        crops, draws = data.crops[batch.index], batch.uniform(DRAWS)
        image = data.render(IMAGE_VIEW.sample_within(crops, batch.seed + 2 * NOISE, batch.first))
        other = PUZZLE_VIEW.sample_within(crops, batch.seed + 3 * NOISE, batch.first)
        # What `cut` draws for shifted channels is free here, and is used to draw one of all 362,880 orders.
        return image, deal(cut(data, other, self.side, CUTTING, draws), draws[:, -TILES:].argsort(1))

    def draw(self, total: int, count: int, seed: int, step: int) -> Tensor:
        """The crops (count,) of a step: pass after pass over all that have a row, each at most once a pass: what
        does not fill a batch is left for another pass."""
        a_pass = max(1, len(self.bank) // count)
        order = _order(len(self.bank), seed, step // a_pass)
        return torch.from_numpy(order[(torch.arange(count) + step % a_pass * count) % len(order)])

    @torch.no_grad()
    def begin_round(self, data: CropDataset, seed: int, number: int) -> list[nn.Parameter]:
        """Estimate Z, N times the mean exponential of the similarity of two rows.

        The original estimates Z once, from noise. But rows of crops are more alike than noise is: in a short training
        the sum over negatives would then drown everything else.
        """
        some = self.bank[:_COMPARED]
        with torch.autocast(self.bank.device.type, enabled=False):
            alike = (some @ some.T / TEMPERATURE).fill_diagonal_(-torch.inf)
        pairs = len(some) * (len(some) - 1)
        self.log_z.copy_(alike.logsumexp((0, 1)) + math.log(len(self.bank) / pairs))
        return []

    def loss(self, data: CropDataset, batch: Batch) -> tuple[Tensor, Tensor]:
        """The noise-contrastive loss of crop and puzzle against the bank (equation 5), and the share of puzzles that
        are nearer to the row of their own crop than to any of the negatives."""
        images, tiles = self.views(data, batch)
        image, puzzle = self.embed(images), self.embed_puzzles(tiles)
        negatives = self._negatives(batch)
        near, far = self._against_bank(puzzle, batch.index, negatives)
        offset = self.log_z + math.log(self.negatives / len(self.bank))
        of_puzzle = nce(near, far, offset)
        of_image = nce(*self._against_bank(image, batch.index, negatives), offset)
        self._remember(batch.index, image.detach())
        return WEIGHT * of_puzzle + (1 - WEIGHT) * of_image, (near > far.amax(1)).float().mean()

    def shown(self, data: CropDataset) -> Shown:
        """Twelve crops, their puzzles, and for each puzzle the crop of those with a row that its embedding is nearest
        to."""
        index = torch.arange(min(12, len(data)), device=self.bank.device)
        images, tiles = self.views(data, Batch(index, data.seed, 0, 0))
        nearest = (self.embed_puzzles(tiles) @ self.bank.T).argmax(1)
        side = images.shape[-1]
        puzzles = F.interpolate(assemble(tiles), side, mode="bilinear", antialias=True)
        rows = ("crop", "puzzle", f"found: {int((nearest == index).sum())} of {len(index)}")
        return Shown(torch.cat([data[index], puzzles, data[nearest]]), len(index), rows)

    def _negatives(self, batch: Batch) -> Tensor:
        """The rows (negatives,) of a step: the same for all its examples, on whichever device."""
        chosen = np.random.default_rng((batch.seed, batch.step, 1)).choice(len(self.bank), self.negatives, False)
        return torch.from_numpy(chosen).to(self.bank.device)

    def _against_bank(self, embedding: Tensor, index: Tensor, negatives: Tensor) -> tuple[Tensor, Tensor]:
        """Similarities over T of embeddings (n, 128) to their own rows, (n,), and to the negatives, (n, m); minus
        infinity where a negative is the own row."""
        with torch.autocast(self.bank.device.type, enabled=False):
            near = (embedding * self.bank[index]).sum(1) / TEMPERATURE
            far = embedding @ self.bank[negatives].T / TEMPERATURE
        return near, far.masked_fill(negatives == index[:, None], -torch.inf)

    @torch.no_grad()
    def _remember(self, index: Tensor, embedding: Tensor) -> None:
        """Move the rows of these crops (n,), on whichever device they were seen, towards what was said of them."""
        total = len(index) * distributed.size()
        index, embedding = distributed.gather(index, total), distributed.gather(embedding, total)
        self.bank[index] = moved(self.bank[index], embedding, MOMENTUM)
        self.visits[index] += 1


def _head(inputs: int) -> nn.Sequential:
    """One layer, as in the original, and a BatchNorm that is not there: an untrained network says nearly the same of
    every crop, and a short training would be spent on moving them apart."""
    return nn.Sequential(nn.Linear(inputs, NUMBERS), nn.BatchNorm1d(NUMBERS, affine=False))


@functools.lru_cache(maxsize=2)
def _order(rows: int, seed: int, a_pass: int) -> np.ndarray:
    return np.random.default_rng((seed, a_pass)).permutation(rows)


def nce(near: Tensor, far: Tensor, offset: Tensor | float) -> Tensor:
    """The noise-contrastive loss, a scalar: the mean over examples of -log h(near) - sum of log(1 - h(far)).

    near: (n,) an example's similarity to its own row, over T. far: (n, m) to its negatives. h(s) = exp(s) / (exp(s) +
    exp(offset)) is the chance that s is of the own row and no noise, with offset = log(m Z / N): Z makes exp(s) a
    chance, and noise takes each of N rows equally often (Wu et al. 2018, equations 6 and 7). Taught in notebook 09.
    """
    return -(F.logsigmoid(near - offset) + F.logsigmoid(offset - far).sum(1)).mean()


def moved(rows: Tensor, embedding: Tensor, momentum: float) -> Tensor:
    """Rows (n, f) of the bank after a visit, of length 1 again: the share `momentum` of the old, and the rest of what
    is said now, (n, f). Taught in notebook 09."""
    return F.normalize(momentum * rows + (1 - momentum) * embedding)


METHOD = PIRL
