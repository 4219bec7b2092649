"""Where in a photograph a template finds its object: windows of all sizes, and one box per object.

Taught in notebook 12.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from sklearn.linear_model import LogisticRegression
from torch import Tensor

from course_lib.lessons.one_example.exemplar import Template
from course_lib.lessons.one_example.hog import HogPyramid
from course_lib.lessons.uses.precision import overlap

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
