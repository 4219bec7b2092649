"""Puzzles: nine tiles of a crop, the orders that they are dealt in, and the tricks that keep them from giving it away.

Noroozi and Favaro, "Unsupervised learning of visual representations by solving jigsaw puzzles", ECCV 2016; their
released code is from 2017. Taught in notebook 09.
"""

from __future__ import annotations

import functools
import itertools
from dataclasses import dataclass, replace

import numpy as np
import torch
from torch import Tensor

from course_lib.data.crops import Crops, product
from course_lib.data.datasets import CropDataset
from course_lib.data.images import LUMA

GRID, TILES = 3, 9
DRAWS = 2 * TILES + 2 + 6 * TILES
"""Random numbers a puzzle: where its tiles lie, its order, whether it is grey, how far each channel shifts."""

SIDES = {"quick": 16, "standard": 16, "paper": 64}
"""Pixels of a tile at each profile; 64 in the original."""

_ALL_ORDERS = 362_880  # 9!
_SPREAD = 0.5  # of a normalised tile in [-1, 1]: about that of a photograph, which the same network reads later
_LEAST = 0.02  # spread that counts: a flat tile stays flat, and its noise is not blown up


@dataclass(frozen=True)
class Tricks:
    """What is done so that a puzzle cannot be solved without looking at what is in it. Each can be left out.

    gap: share of a cell that its tile leaves free, in [0, 1), so that no edge runs on from tile to tile. jitter: share
    of the gap within which a tile is moved about, in [0, 1]. normalise: take each tile's own mean and spread out.
    grey: share of the puzzles without colours. shift: pixels by which each colour channel may be moved, against the
    coloured seams that a lens leaves. The tile that is seen is smaller by twice as much.
    Raises ValueError outside of these bounds.
    """

    gap: float = 21 / 85
    jitter: float = 1.0
    normalise: bool = True
    grey: float = 0.3
    shift: int = 1

    def __post_init__(self) -> None:
        if not (0 <= self.gap < 1 and 0 <= self.jitter <= 1 and 0 <= self.grey <= 1 and self.shift >= 0):
            raise ValueError(f"gap must lie in [0, 1), jitter and grey in [0, 1], and shift not below 0, got {self}")


TRICKS = {
    "none": Tricks(gap=0, jitter=0, normalise=False, grey=0, shift=0),
    "released code": Tricks(normalise=False, grey=0.5),
    "paper": Tricks(),
}
"""As described and as released. The code leaves the normalisation out, greys half of the puzzles, and has a colour
projection that is not here. Gaps are the code's: tiles of 64 in cells of 85 pixels."""


def cut(data: CropDataset, crops: Crops, side: int, tricks: Tricks, draws: Tensor) -> Tensor:
    """The nine tiles of each crop, row by row: (n, 9, 3, side, side), each pixel read once from the photograph.

    draws: (n, DRAWS) numbers in [-1, 1), as `Batch.uniform` gives them.
    """
    n, grey = len(crops), is_grey(draws, tricks)
    tiles = without_colour(crops, grey).tiles(GRID, tricks.gap, places_of(draws, tricks))
    images = data.render(tiles, side + 2 * tricks.shift)
    if tricks.shift:
        steps = ((draws[:, -6 * TILES :] + 1) / 2 * (2 * tricks.shift + 1)).long()
        steps = torch.where(grey[:, None], tricks.shift, steps)  # a grey picture has no seams
        images = shifted(images, steps.view(n * TILES, 3, 2), side)
    if tricks.normalise:
        images = _SPREAD * normalise(images)
    return images.unflatten(0, (n, TILES))


def places_of(draws: Tensor, tricks: Tricks) -> Tensor:
    """Where in its cell each tile lies, (n, 9, 2) from 0 to 1 to the right and down, by draws (n, DRAWS) in [-1, 1)."""
    return (tricks.jitter * draws[:, : 2 * TILES] + 1).view(len(draws), TILES, 2) / 2


def order_of(draws: Tensor, count: int) -> Tensor:
    """The number (n,) of the order, below `count`, that each puzzle is dealt in, by draws (n, DRAWS) in [-1, 1)."""
    return ((draws[:, 2 * TILES] + 1) / 2 * count).long()


def is_grey(draws: Tensor, tricks: Tricks) -> Tensor:
    """Whether each puzzle is without colours, (n,), by draws (n, DRAWS) in [-1, 1)."""
    return draws[:, 2 * TILES + 1] < 2 * tricks.grey - 1


def without_colour(crops: Crops, grey: Tensor) -> Crops:
    """The crops with those of them grey where `grey` (n,) is true: by their colour maps, before they are rendered."""
    luma = LUMA.to(crops.colour).expand(3, 3)
    return replace(crops, colour=torch.where(grey[:, None, None], product(luma, crops.colour), crops.colour))


def shifted(images: Tensor, steps: Tensor, side: int) -> Tensor:
    """Pictures (n, 3, side, side) cut out of larger ones, each channel at its own place.

    steps: (n, 3, 2) whole pixels down and to the right from the larger picture's corner.
    """
    along = torch.arange(side, device=images.device)
    rows, columns = (steps[:, :, i, None] + along for i in (0, 1))
    every = torch.arange(len(images), device=images.device)[:, None, None, None]
    channel = torch.arange(3, device=images.device)[:, None, None]
    return images[every, channel, rows[:, :, :, None], columns[:, :, None]]


def normalise(tiles: Tensor) -> Tensor:
    """Tiles (n, 3, side, side), each channel of each with mean 0 and standard deviation 1; a flat one stays flat.

    Brightness and contrast are much alike in neighbours, and so give a tile's place away. Taught in notebook 09.
    """
    mean = tiles.mean((2, 3), keepdim=True)
    spread = tiles.std((2, 3), correction=0, keepdim=True)
    return (tiles - mean) / spread.clamp(min=_LEAST)


def deal(tiles: Tensor, orders: Tensor) -> Tensor:
    """Tiles (n, 9, ...) so that place p of each puzzle gets its tile orders[:, p], with orders (n, 9)."""
    return tiles[torch.arange(len(tiles), device=tiles.device)[:, None], orders]


def assemble(tiles: Tensor) -> Tensor:
    """Nine tiles (n, 9, 3, side, side), row by row, as pictures (n, 3, 3 * side, 3 * side)."""
    n, _, channels, side, _ = tiles.shape
    grid = tiles.reshape(n, GRID, GRID, channels, side, side).permute(0, 3, 1, 4, 2, 5)
    return grid.reshape(n, channels, GRID * side, GRID * side)


def permutations(count: int) -> Tensor:
    """`count` orders of nine tiles, (count, 9), far from each other: chosen by `spread_out` from all 362,880.

    Raises ValueError for a count outside [1, 362880].
    """
    if not 1 <= count <= _ALL_ORDERS:
        raise ValueError(f"there are 1 to {_ALL_ORDERS} orders of nine tiles, got {count}")
    return _permutations(count).long()


@functools.cache
def _permutations(count: int) -> Tensor:
    numbers = itertools.chain.from_iterable(itertools.permutations(range(TILES)))
    every = np.fromiter(numbers, np.uint8, _ALL_ORDERS * TILES).reshape(-1, TILES)
    shuffled = torch.from_numpy(np.random.default_rng(0).permutation(every))
    shuffled = shuffled.T.contiguous().T  # a place after the other in memory, which is ten times as fast to compare
    return shuffled[spread_out(shuffled, count)]


def spread_out(candidates: Tensor, count: int) -> Tensor:
    """The numbers (count,) of orders, out of candidates (m, 9), that differ from each other in many places.

    First the first; then, each time, the one whose least distance to those chosen before is the largest, and of
    several the first. The distance is Hamming's: in how many places two orders differ. Taught in notebook 09.
    """
    chosen = [0]
    least = hamming(candidates[0], candidates)
    while len(chosen) < count:
        chosen.append(int(least.argmax()))
        least = torch.minimum(least, hamming(candidates[chosen[-1]], candidates))
    return torch.tensor(chosen)


def hamming(order: Tensor, others: Tensor) -> Tensor:
    """In how many places others (m, 9) differ from an order (9,): (m,) uint8."""
    apart = torch.zeros(len(others), dtype=torch.uint8)
    for place, tile in enumerate(order):
        apart += others[:, place] != tile
    return apart
