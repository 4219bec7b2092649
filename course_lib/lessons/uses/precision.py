"""How good detections are: overlap of boxes, precision over recall, and their average. Taught in notebook 11.

Everingham, Van Gool, Williams, Winn and Zisserman, "The PASCAL visual object classes (VOC) challenge", IJCV 2010,
section 4.2; the area over all points is VOC's since 2010, where 2007 took eleven.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import torch
from torch import Tensor

from course_lib.lessons.uses.boxes import Boxes, Found
from course_lib.support.errors import CourseError

SAME = 0.5
"""The overlap from which on a box counts as found."""


class Precision(NamedTuple):
    """Average precision in [0, 1]. mean: over the classes that there is something of. by_class: of each of these."""

    mean: float
    by_class: dict[str, float]


class Judged(NamedTuple):
    """All detections of one class, the surest first. scores: (n,). right: (n,) bool. positives: how many things of the
    class there are to be found."""

    scores: Tensor
    right: Tensor
    positives: int


def overlap(boxes: Tensor, others: Tensor) -> Tensor:
    """Of boxes (n, 4) and (m, 4), the area that two share over the area that they cover together: (n, m).

    Left, top, right and bottom, as real numbers: a box from 2 to 5 is 3 wide. Everingham et al. 2010, equation 4.
    """
    corner = torch.maximum(boxes[:, None, :2], others[None, :, :2])
    shared = (torch.minimum(boxes[:, None, 2:], others[None, :, 2:]) - corner).clamp(min=0).prod(2)
    areas = [(each[:, 2:] - each[:, :2]).prod(1) for each in (boxes, others)]
    return shared / (areas[0][:, None] + areas[1] - shared)


def judge(found: Sequence[Found], truth: Sequence[Boxes], label: int, least: float = SAME) -> Judged:
    """Which detections of a class are right, over all pictures.

    found, truth: of each picture. The surest choose first: each goes with the thing of its class that it overlaps most,
    and is right where that is at least `least` and nobody had it before; a second box on the same thing is wrong. What
    goes with a difficult thing is neither, and left out. Raises ValueError where there are not as many of the one as of
    the other.
    """
    if len(found) != len(truth):
        raise ValueError(f"detections of {len(found)} pictures cannot be judged by the truth of {len(truth)}")
    scores, right, positives = [torch.empty(0)], [torch.empty(0, dtype=torch.bool)], 0
    for said, true in zip(found, truth):
        one, things = (boxes_of(boxes, label) for boxes in (said, true))
        positives += int((~things.difficult).sum())
        answers = judge_picture(one, things, least)
        scores.append(one.scores[answers >= 0])
        right.append(answers[answers >= 0] > 0)
    scores, right = torch.cat(scores), torch.cat(right)
    order = scores.argsort(descending=True, stable=True)
    return Judged(scores[order], right[order], positives)


def boxes_of(boxes: Boxes | Found, label: int) -> Boxes | Found:
    """Those of one class."""
    return type(boxes)(*(part[boxes.labels == label] for part in boxes))


def judge_picture(found: Found, true: Boxes, least: float = SAME) -> Tensor:
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
        if shared[i] >= least and true.difficult[thing]:
            answers[i] = -1
        elif shared[i] >= least and thing not in taken:
            answers[i] = 1
            taken.add(thing)
    return answers


def precision_recall(right: Tensor, positives: int) -> tuple[Tensor, Tensor]:
    """After each detection, the surest first: of those so far the share that is right, and of all things the share that
    is found. right: (n,) bool. Two of (n,) float64."""
    hits = right.double().cumsum(0)
    return hits / torch.arange(1, len(right) + 1), hits / max(positives, 1)


def average_precision(right: Tensor, positives: int) -> float:
    """The area under precision over recall, where the precision at a recall is the best at this recall or beyond.

    right: (n,) bool, whether each detection is, the surest first. positives: how many things there are to be found;
    those that no detection found count as never. 0 where there is none.
    """
    precision, recall = precision_recall(right, positives)
    best = best_beyond(precision)
    steps = torch.diff(recall, prepend=recall.new_zeros(1))
    return float((best * steps).sum())


def best_beyond(precision: Tensor) -> Tensor:
    """At each place the best precision there or later: (n,)."""
    return precision.flip(0).cummax(0).values.flip(0)


def interpolated(right: Tensor, positives: int, at: Tensor) -> Tensor:
    """The precision that is counted at some recalls (m,): the best at that recall or beyond, and 0 beyond the last."""
    precision, recall = precision_recall(right, positives)
    place = torch.searchsorted(recall, at.double() - 1e-9)
    return torch.cat([best_beyond(precision), precision.new_zeros(1)])[place]


def by_all_recalls(
    found: Sequence[Found], truth: Sequence[Boxes], classes: Sequence[str], least: float = SAME
) -> Precision:
    """`average_precision` of every class, and their mean. found, truth: of each picture. classes: of labels 1, 2 ...

    Raises ValueError as `judge` does.
    """
    judged = {name: judge(found, truth, label, least) for label, name in enumerate(classes, 1)}
    each = {name: average_precision(one.right, one.positives) for name, one in judged.items() if one.positives}
    return _mean_of(each)


def by_torchmetrics(
    found: Sequence[Found], truth: Sequence[Boxes], classes: Sequence[str], least: float = SAME
) -> Precision:
    """The same by torchmetrics, which has COCO's rules: precision is read at 101 recalls instead of all, and what
    overlaps a difficult thing is left out by the share of the detection, not of both.

    Its import takes some seconds and a tenth of a gigabyte. Raises CourseError where torchmetrics or pycocotools is
    missing, and ValueError as `judge` does.
    """
    try:
        import pycocotools  # noqa: F401  # torchmetrics asks for it only when it is made
        from torchmetrics.detection import MeanAveragePrecision
    except ImportError as error:
        raise CourseError(f"{error.name} is missing: `pip install torchmetrics pycocotools` brings it") from error
    if len(found) != len(truth):
        raise ValueError(f"detections of {len(found)} pictures cannot be judged by the truth of {len(truth)}")
    metric = MeanAveragePrecision(iou_thresholds=[least], class_metrics=True)
    metric.warn_on_many_detections = False
    metric.update(
        [one._asdict() for one in found],
        [{"boxes": one.boxes, "labels": one.labels, "iscrowd": one.difficult.long()} for one in truth],
    )
    answer = metric.compute()
    by_label = dict(zip(answer["classes"].reshape(-1).tolist(), answer["map_per_class"].reshape(-1).tolist()))
    return _mean_of({classes[label - 1]: value for label, value in by_label.items() if value >= 0})  # -1: nothing of it


def mean_average_precision(found: Sequence[Found], truth: Sequence[Boxes], classes: Sequence[str]) -> Precision:
    """`by_torchmetrics`; where that is not installed, as on Colab, `by_all_recalls`, and a line says so."""
    try:
        return by_torchmetrics(found, truth, classes)
    except CourseError as error:
        print(f"{error}. Until then average precision is the course's own count.")
        return by_all_recalls(found, truth, classes)


def _mean_of(each: dict[str, float]) -> Precision:
    return Precision(sum(each.values()) / max(len(each), 1), each)
