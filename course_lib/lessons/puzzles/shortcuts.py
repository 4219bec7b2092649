"""Solving puzzles without looking at their content: what the tricks of `puzzles.py` are there to prevent.

Each solver looks at one cheap cue in nine dealt tiles, learns nothing from pictures, and picks the order of a list that
fits this cue best. Noroozi and Favaro 2016, section 4.2. Taught in notebook 09.
"""

from __future__ import annotations

from collections.abc import Callable

import torch
import torch.nn.functional as F
from torch import Tensor

from course_lib.data.datasets import CropDataset
from course_lib.pretext.method import Batch
from course_lib.pretext.puzzles import DRAWS, GRID, TILES, Tricks, cut, deal, order_of

_RIGHT = tuple((i, i + 1) for i in range(TILES) if i % GRID < GRID - 1)
_DOWN = tuple((i, i + GRID) for i in range(TILES - GRID))
"""Places that touch: the left or upper one first."""

_AT_ONCE = 60  # puzzles that are cut together


def by_edges(tiles: Tensor, orders: Tensor) -> Tensor:
    """Badness (n, count) of each order: how far the pixels of touching borders are apart where it is undone.

    tiles: (n, 9, 3, side, side), as dealt. Orders (count, 9).
    """
    right = apart(tiles[..., -1], tiles[..., 0])
    down = apart(tiles[..., -1, :], tiles[..., 0, :])
    return _added_up(right, down, orders)


def by_brightness(tiles: Tensor, orders: Tensor) -> Tensor:
    """Badness (n, count): how far the mean colours and spreads of touching tiles are apart where an order is undone."""
    looks = torch.cat([tiles.mean((3, 4)), tiles.std((3, 4))], 2)
    between = apart(looks, looks)
    return _added_up(between, between, orders)


def by_seams(tiles: Tensor, orders: Tensor) -> Tensor:
    """Badness (n, count): how far the tiles' seams are from pointing away from the centre where an order is
    undone."""
    places = torch.arange(TILES, device=tiles.device)
    outwards = torch.stack([places % GRID, places // GRID], 1) - GRID // 2
    return -torch.einsum("nqd,kqd->nk", seams(tiles), outwards[orders].float())


def seams(tiles: Tensor) -> Tensor:
    """How far red lies from blue in each tile, right and down, in pixels: (n, 9, 2).

    The step d at which red - blue is nearest to the slopes of green times -d, in least squares (Lucas and Kanade 1981).
    """
    red, green, blue = tiles.unbind(2)
    down, right = torch.gradient(green, dim=(2, 3))
    slopes = torch.stack([right, down], -1).flatten(2, 3)
    between = (red - blue).flatten(2) - (red - blue).mean((2, 3))[..., None]
    gram = slopes.mT @ slopes + 1e-3 * torch.eye(2, device=tiles.device)
    return -torch.linalg.solve(gram, (slopes.mT @ between[..., None]))[..., 0]


def apart(one: Tensor, other: Tensor) -> Tensor:
    """Squared distances (n, 9, 9) between the borders of tiles, one and other (n, 9, ...): [:, i, j] is of tile i's one
    and tile j's other."""
    return torch.cdist(one.flatten(2), other.flatten(2)).square()


def _added_up(right: Tensor, down: Tensor, orders: Tensor) -> Tensor:
    back = orders.argsort(1)  # where the tile of each place was dealt to
    pairs = [(right, pair) for pair in _RIGHT] + [(down, pair) for pair in _DOWN]
    return sum(between[:, back[:, i], back[:, j]] for between, (i, j) in pairs)


SOLVERS: dict[str, Callable[[Tensor, Tensor], Tensor]] = {
    "edges that run on": by_edges,
    "mean and spread of a tile": by_brightness,
    "coloured seams": by_seams,
}
"""By the cue that each of them uses."""


@torch.no_grad()
def solved(
    data: CropDataset, orders: Tensor, side: int, tricks: Tricks, count: int = 300, seed: int = 0
) -> dict[str, float]:
    """The share of `count` puzzles that each solver gets right; chance is one over the number of orders.

    side: pixels of a tile.
    """
    batch, right = Batch(torch.arange(count, device=orders.device), seed, 0, 0), dict.fromkeys(SOLVERS, 0)
    for start in range(0, count, _AT_ONCE):
        part = batch.part(start, min(start + _AT_ONCE, count))
        draws = part.uniform(DRAWS)
        which = order_of(draws, len(orders))
        dealt = deal(cut(data, data.crops[part.index], side, tricks, draws), orders[which])
        for name, solve in SOLVERS.items():
            right[name] += int((solve(dealt, orders).argmin(1) == which).sum())
    return {name: found / count for name, found in right.items()}


def through_lens(image: Tensor, strength: float) -> Tensor:
    """A picture (3, h, w) uint8 as a simple lens would form it: red larger by the share `strength`, blue smaller by as
    much, about the middle. The edges get coloured seams, which point away from it (chromatic aberration)."""
    scales = 1 / (1 + strength * torch.tensor([1.0, 0.0, -1.0]))
    maps = torch.zeros(3, 2, 3)
    maps[:, 0, 0] = maps[:, 1, 1] = scales
    grid = F.affine_grid(maps, [3, 1, *image.shape[1:]], align_corners=False)
    drawn = F.grid_sample(image[:, None].float(), grid, padding_mode="border", align_corners=False)
    return drawn[:, 0].round().byte()
