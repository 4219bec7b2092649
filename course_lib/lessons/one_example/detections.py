"""Histograms of oriented gradients, a photograph as a map of edges, and where in it a template finds its object.

Dalal and Triggs 2005: cells of a few pixels, in each a histogram of the gradients' directions weighted by their
strength; blocks of 2 x 2 cells, each divided by its own length so that light and contrast drop out. Computed by
scikit-image. Taught in notebook 12."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
import torch.nn.functional as F
from skimage.feature import hog
from sklearn.linear_model import LogisticRegression
from torch import Tensor

from course_lib.lessons.one_example.exemplar import Template
from course_lib.lessons.uses.precision import overlap

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
    size = (blocks.shape[1] + 1, blocks.shape[2] + 1)
    parts = blocks.view(BLOCK**2, DIRECTIONS, -1).transpose(0, 1).flatten(0, 1)
    sums, counts = (F.fold(each, size, BLOCK) for each in (parts, torch.ones_like(parts)))
    return sums / counts


SAME, OTHER = 0.5, 0.2
"""A box that overlaps the object by at least SAME is right, and by at most OTHER wrong; between them it is neither
(Malisiewicz et al. 2011, section 3.1)."""


@dataclass(frozen=True)
class Detections:
    """n boxes in a photograph. boxes: (n, 4) left, top, right and bottom in its pixels. scores: (n,)."""

    boxes: Tensor
    scores: Tensor

    def __len__(self) -> int:
        return len(self.boxes)

    def __getitem__(self, index: slice | Tensor) -> Detections:
        """Some of them."""
        return Detections(self.boxes[index], self.scores[index])


def suppress(found: Detections, most: float = 0.5) -> Detections:
    """The best box of each cluster, the best first: a box that overlaps a better one by more than `most` is left out.

    Non-maximum suppression, as `torchvision.ops.nms` has it, whose import would take 160 MB of memory.
    """
    left, kept = found.scores.argsort(descending=True, stable=True), []
    while len(left):
        best, left = left[:1], left[1:]
        kept.append(best)
        left = left[overlap(found.boxes[best], found.boxes[left])[0] <= most]
    return found[torch.cat(kept)] if kept else found


def detect(template: Template, photograph: HogPyramid, least: float = -1.0) -> Detections:
    """Every window of a photograph, at every size, that scores at least `least`; before any suppression."""
    boxes, scores = [torch.empty(0, 4)], [torch.empty(0)]
    rows, columns = template.weights.shape[1:]
    extent = torch.tensor([columns + 1, rows + 1])  # in cells: blocks overlap
    for features, cell in zip(photograph.maps, photograph.cells):
        at = template.scores(features)
        places, pixels = (at >= least).nonzero().flip(1), torch.tensor(cell)  # x before y
        boxes.append(torch.cat([places * pixels, (places + extent) * pixels], 1))
        scores.append(at[at >= least])
    return Detections(torch.cat(boxes), torch.cat(scores))


@dataclass(frozen=True)
class Calibration:
    """From a detector's score to the probability that it is right: 1 / (1 + exp(-slope (score - middle)))."""

    slope: float
    middle: float

    def chance(self, scores: Tensor) -> Tensor:
        """(n,) in [0, 1]. Only these compare across exemplars; scores do not."""
        return torch.sigmoid(self.slope * (scores - self.middle))


def calibrate(scores: Tensor, right: Tensor) -> Calibration:
    """The sigmoid that fits scores (n,) best to whether each was right, (n,) bool (Platt 1999).

    As there, a right one counts as (n + 1) / (n + 2) for n right ones, and a wrong one as 1 / (n + 2) for n wrong ones:
    scores that separate the two would otherwise make the slope infinite. So each score is given once as right and once
    as wrong, with these weights. Raises ValueError where not both kinds are given.
    """
    positives, negatives = int(right.sum()), int((~right).sum())
    if not positives or not negatives:
        raise ValueError(f"calibration needs right and wrong detections, got {positives} and {negatives}")
    target = np.where(right.numpy(), (positives + 1) / (positives + 2), 1 / (negatives + 2))
    x, y = np.tile(scores.double().numpy(), 2)[:, None], np.repeat([1, 0], len(scores))
    line = LogisticRegression(C=np.inf, tol=1e-8).fit(x, y, np.concatenate([target, 1 - target]))
    slope, constant = line.coef_.item(), line.intercept_.item()
    return Calibration(slope, -constant / slope)


def judged(
    template: Template, photographs: Sequence[HogPyramid], true: Sequence[Tensor | None]
) -> tuple[Tensor, Tensor]:
    """Scores (n,) of all detections that are clearly right or clearly wrong, and whether each is right, (n,) bool.

    true: the box (4,) of the object in each photograph; None where it has none. What overlaps it by more than OTHER and
    less than SAME is left out.
    """
    scores, right = [], []
    for photograph, box in zip(photographs, true):
        found = suppress(detect(template, photograph))
        shared = torch.zeros(len(found)) if box is None else overlap(found.boxes, box[None])[:, 0]
        clear = (shared >= SAME) | (shared <= OTHER)
        scores.append(found.scores[clear])
        right.append(shared[clear] >= SAME)
    return torch.cat(scores), torch.cat(right)
