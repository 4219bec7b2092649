"""Boxes in pictures, and how good detections are: overlap, precision over recall, and its average.

Taught in notebook 11.

Everingham, Van Gool, Williams, Winn and Zisserman, "The PASCAL visual object classes (VOC) challenge", IJCV 2010,
section 4.2; the area over all points is VOC's since 2010, where 2007 took eleven.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import torch
from torch import Tensor

SAME = 0.5
"""The overlap from which on a box counts as found."""


class Boxes(NamedTuple):
    """What is in a picture. boxes: (n, 4) float32, left, top, right and bottom in pixels from the picture's corner.
    labels: (n,) int64, 1 for the first class, since 0 is the background. difficult: (n,) bool, what nobody is blamed
    for missing."""

    boxes: Tensor
    labels: Tensor
    difficult: Tensor

    @property
    def easy(self) -> Boxes:
        """Without the difficult ones."""
        return some(self, ~self.difficult)


class Found(NamedTuple):
    """What a detector says is in a picture. boxes: (n, 4) as above. labels: (n,). scores: (n,) in [0, 1]."""

    boxes: Tensor
    labels: Tensor
    scores: Tensor

    def above(self, score: float) -> Found:
        """Those with a score of at least `score`."""
        return some(self, self.scores >= score)


class Precision(NamedTuple):
    """Average precision in [0, 1]. mean: over the classes that there is something of. by_class: of each of these."""

    mean: float
    by_class: dict[str, float]


class Judged(NamedTuple):
    """All detections of one class, the surest first. right: (n,) bool. positives: how many objects of the class there
    are to be found."""

    right: Tensor
    positives: int


def overlap(boxes: Tensor, others: Tensor) -> Tensor:
    """Of boxes (n, 4) and (m, 4), the area that two share over the area of their union: (n, m).

    Left, top, right and bottom, as real numbers: a box from 2 to 5 is 3 wide. Everingham et al. 2010, equation 4.
    """
    corner = torch.maximum(boxes[:, None, :2], others[None, :, :2])
    shared = (torch.minimum(boxes[:, None, 2:], others[None, :, 2:]) - corner).clamp(min=0).prod(2)
    areas = [(each[:, 2:] - each[:, :2]).prod(1) for each in (boxes, others)]
    return shared / (areas[0][:, None] + areas[1] - shared)


def judge(found: Sequence[Found], truth: Sequence[Boxes], label: int) -> Judged:
    """Which detections of a class are right, over all pictures.

    found, truth: of each picture. The surest choose first: each goes with the object of its class that it overlaps
    most, and is right where that is at least SAME and no other had it before; a second box on the same object is wrong.
    What goes with a difficult object is neither, and left out. Raises ValueError where `found` and `truth` differ in
    length.
    """
    scores, right, positives = [torch.empty(0)], [torch.empty(0, dtype=torch.bool)], 0
    for said, true in zip(found, truth, strict=True):
        one, objects = (some(boxes, boxes.labels == label) for boxes in (said, true))
        positives += len(objects.easy.labels)
        answers = judge_picture(one, objects)
        scores.append(one.scores[answers >= 0])
        right.append(answers[answers >= 0] > 0)
    order = torch.cat(scores).argsort(descending=True, stable=True)
    return Judged(torch.cat(right)[order], positives)


def some(boxes: Boxes | Found, which: Tensor) -> Boxes | Found:
    """Those with True in `which`, (n,) bool."""
    return type(boxes)(*(part[which] for part in boxes))


def judge_picture(found: Found, true: Boxes) -> Tensor:
    """Of each box (n,) in one picture, of any class: 1 for right, 0 for wrong, -1 for neither; by the rules of
    `judge`."""
    answers = torch.zeros(len(found.boxes), dtype=torch.int64)
    if not len(true.boxes):
        return answers
    same = found.labels[:, None] == true.labels
    shared, which = torch.where(same, overlap(found.boxes, true.boxes), -1).max(1)
    taken = set()
    for i in found.scores.argsort(descending=True, stable=True).tolist():
        thing = int(which[i])
        if shared[i] >= SAME and true.difficult[thing]:
            answers[i] = -1
        elif shared[i] >= SAME and thing not in taken:
            answers[i] = 1
            taken.add(thing)
    return answers


def precision_recall(right: Tensor, positives: int) -> tuple[Tensor, Tensor]:
    """After each detection, the surest first: the share of right ones so far, and the share of all objects found so
    far. right: (n,) bool. Two of (n,) float64."""
    hits = right.double().cumsum(0)
    return hits / torch.arange(1, len(right) + 1), hits / max(positives, 1)


def average_precision(right: Tensor, positives: int) -> float:
    """The area under precision over recall, where the precision at a recall is the best at this recall or beyond.

    right: (n,) bool, whether each detection is right, the surest first. positives: how many objects there are to be
    found, those that no detection found included. 0 where there is none.
    """
    precision, recall = precision_recall(right, positives)
    steps = torch.diff(recall, prepend=recall.new_zeros(1))
    return float((best_beyond(precision) * steps).sum())


def best_beyond(precision: Tensor) -> Tensor:
    """At each place the best precision there or later: (n,)."""
    return precision.flip(0).cummax(0).values.flip(0)


def interpolated(right: Tensor, positives: int, at: Tensor) -> Tensor:
    """The precision that is counted at some recalls (m,): the best at that recall or beyond, and 0 beyond the last."""
    precision, recall = precision_recall(right, positives)
    place = torch.searchsorted(recall, at.double() - 1e-9)
    return torch.cat([best_beyond(precision), precision.new_zeros(1)])[place]


def mean_average_precision(found: Sequence[Found], truth: Sequence[Boxes], classes: Sequence[str]) -> Precision:
    """`by_torchmetrics`; where that is not installed, as on Colab, `by_all_recalls`, and a line says so.

    found, truth: of each picture. classes: of labels 1, 2 ... Raises ValueError where `found` and `truth` differ in
    length.
    """
    try:
        return by_torchmetrics(found, truth, classes)
    except ImportError as error:
        print(
            f"{error.name} is missing: `pip install torchmetrics pycocotools` brings it. Until then average precision "
            "is the course's own count."
        )
        return by_all_recalls(found, truth, classes)


def by_all_recalls(found: Sequence[Found], truth: Sequence[Boxes], classes: Sequence[str]) -> Precision:
    """`average_precision` of every class, and their mean."""
    judged = {name: judge(found, truth, label) for label, name in enumerate(classes, 1)}
    return _mean_of({name: average_precision(*one) for name, one in judged.items() if one.positives})


def by_torchmetrics(found: Sequence[Found], truth: Sequence[Boxes], classes: Sequence[str]) -> Precision:
    """The same by torchmetrics, which has COCO's rules: precision is read at 101 recalls instead of all, and what
    overlaps a difficult object is left out by the share of the detection, not of both.

    Its import takes some seconds and a tenth of a gigabyte. Raises ImportError where it or pycocotools is missing.
    """
    import pycocotools  # noqa: F401  # torchmetrics asks for it only when it is made
    from torchmetrics.detection import MeanAveragePrecision

    metric = MeanAveragePrecision(iou_thresholds=[SAME], class_metrics=True)
    metric.warn_on_many_detections = False
    metric.update(
        [one._asdict() for one in found],
        [{"boxes": one.boxes, "labels": one.labels, "iscrowd": one.difficult.long()} for one in truth],
    )
    answer = metric.compute()
    by_label = dict(zip(answer["classes"].reshape(-1).tolist(), answer["map_per_class"].reshape(-1).tolist()))
    return _mean_of({classes[label - 1]: value for label, value in by_label.items() if value >= 0})  # -1: nothing of it


def _mean_of(each: dict[str, float]) -> Precision:
    return Precision(sum(each.values()) / max(len(each), 1), each)
