"""Histograms of oriented gradients: a photograph as a map of edges, without learning. Taught in notebook 12.

Dalal and Triggs 2005: cells of a few pixels, in each a histogram of the gradients' directions weighted by their
strength; blocks of 2 x 2 cells, each divided by its own length so that light and contrast drop out. Computed by
scikit-image.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import torch
import torch.nn.functional as F
from skimage.feature import hog
from torch import Tensor

CELL = 8
"""Pixels a side of a cell."""

DIRECTIONS = 9
"""Bins over 180 degrees: an edge from dark to light and one from light to dark count alike."""

BLOCK = 2
"""Cells a side of a block."""

LEVELS_AN_OCTAVE = 4
"""Sizes of a photograph that are searched, from one size to half of it. Malisiewicz et al. take 10."""

_WINDOW = 8  # cells a side


def hog_map(image: Tensor, cell: int = CELL) -> Tensor:
    """The blocks of a picture (3, H, W) uint8 as a map (36, rows, columns): row i and column j is the block whose first
    cell is there, so that a map has one row and one column fewer than there are whole cells.

    Of the three colours, each pixel's strongest gradient counts. Raises ValueError for a picture without a whole block.
    """
    if min(image.shape[1:]) < BLOCK * cell:
        raise ValueError(f"a block takes {BLOCK * cell} pixels a side, got a picture of {tuple(image.shape[1:])}")
    pixels, size = image.permute(1, 2, 0).numpy(), (cell, cell)
    blocks = hog(pixels, DIRECTIONS, size, (BLOCK, BLOCK), channel_axis=2, feature_vector=False)
    return torch.from_numpy(blocks).flatten(2).permute(2, 0, 1).float()


@dataclass(frozen=True)
class HogPyramid:
    """A photograph at ever smaller sizes, as maps of blocks.

    maps: (36, rows, columns) a level. cells: how many pixels of the
    photograph a cell of each level is wide and high.
    """

    maps: tuple[Tensor, ...]
    cells: tuple[tuple[float, float], ...]

    @classmethod
    def of(
        cls, image: Tensor, least: int, largest: float = 1.0, an_octave: int = LEVELS_AN_OCTAVE, levels: int = 99
    ) -> HogPyramid:
        """Of a picture (3, H, W) uint8, from `largest` times its size down, `an_octave` levels to the half, while both
        sides have at least `least` pixels, and at most so many levels."""
        height, width = image.shape[1:]
        maps, cells = [], []
        for i in range(levels):
            rows, columns = (round(side * largest * 2 ** (-i / an_octave)) for side in (height, width))
            if min(rows, columns) < least:
                break
            smaller = F.interpolate(image[None], size=(rows, columns), mode="bilinear", antialias=True)[0]
            maps.append(hog_map(smaller))
            cells.append((CELL * width / columns, CELL * height / rows))
        return cls(tuple(maps), tuple(cells))

    def nearest_window(self, left: float, top: float, side: float) -> tuple[Tensor, Tensor]:
        """The window of 8 x 8 cells that is nearest to a square of the photograph, in pixels.

        Returns its blocks (36, 7, 7), and the box (4,) that it covers: left, top, right, bottom. Raises ValueError
        where no level has room for it.
        """
        fitting = [i for i, m in enumerate(self.maps) if min(m.shape[1:]) >= _WINDOW - 1]
        if not fitting:
            raise ValueError(f"the photograph has no room for {_WINDOW} x {_WINDOW} cells at any level")
        level = min(fitting, key=lambda i: abs(math.log(self.cells[i][0] * _WINDOW / side)))
        features, (wide, high) = self.maps[level], self.cells[level]
        column, row = (
            min(max(round(place / size), 0), room - _WINDOW + 1)
            for place, size, room in zip((left, top), (wide, high), features.shape[:0:-1])
        )
        box = torch.tensor([column * wide, row * high, (column + _WINDOW) * wide, (row + _WINDOW) * high])
        return features[:, row : row + _WINDOW - 1, column : column + _WINDOW - 1].clone(), box


def by_cell(blocks: Tensor) -> Tensor:
    """What a map or a template (36, rows, columns) says of each cell and direction: (9, rows + 1, columns + 1), the
    mean over the blocks that the cell is in. For pictures."""
    rows, columns = blocks.shape[1:]
    parts = blocks.view(BLOCK, BLOCK, DIRECTIONS, rows, columns)
    sums, counts = torch.zeros(DIRECTIONS, rows + 1, columns + 1), torch.zeros(rows + 1, columns + 1)
    for down in range(BLOCK):
        for right in range(BLOCK):
            sums[:, down : down + rows, right : right + columns] += parts[down, right]
            counts[down : down + rows, right : right + columns] += 1
    return sums / counts
