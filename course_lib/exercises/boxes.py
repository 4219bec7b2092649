"""Notebook 11, on detections: overlap of boxes, and average precision."""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Generator, Tensor

from course_lib.exercises.drawing import between, for_each, whole
from course_lib.exercises.exercise import of_number, of_tensor
from course_lib.lessons.uses.precision import average_precision, overlap, precision_recall


def _boxes(n: int, m: int, draws: Generator) -> tuple[Tensor, Tensor]:
    """Boxes some of which share much, some little, some nothing, beside, above and diagonally from each other."""
    boxes = _some_boxes(between(0, 20, 2 * n, draws).view(n, 2), draws)
    others = _some_boxes(between(0, 20, 2 * m, draws).view(m, 2), draws)
    others[0] = boxes[0] + between(1, 3, 4, draws)  # much
    others[1] = boxes[1] + 60 + between(0, 9, 1, draws)  # nothing, to the right and below
    return boxes, others


def _some_boxes(corners: Tensor, draws: Generator) -> Tensor:
    return torch.cat([corners, corners + between(8, 30, corners.numel(), draws).view_as(corners)], 1)


def _by_areas(
    measure: Callable[[Tensor, Tensor, Tensor], Tensor], lowest: float = 0.0
) -> Callable[[Tensor, Tensor], Tensor]:
    """A measure of the area that each two boxes share, whose sides are at least `lowest`, and both their areas."""

    def answer(boxes: Tensor, others: Tensor) -> Tensor:
        first = torch.maximum(boxes[:, None, :2], others[None, :, :2])
        sides = torch.minimum(boxes[:, None, 2:], others[None, :, 2:]) - first
        one, other = ((some[:, 2:] - some[:, :2]).prod(1) for some in (boxes, others))
        return measure(sides.clamp(min=lowest).prod(2), one[:, None], other[None])

    return answer


def _of_the_hull(boxes: Tensor, others: Tensor) -> Tensor:
    first = torch.minimum(boxes[:, None, :2], others[None, :, :2])
    last = torch.maximum(boxes[:, None, 2:], others[None, :, 2:])
    return _by_areas(lambda s, a, b: s)(boxes, others) / (last - first).prod(2)


def _with_last_pixel(boxes: Tensor, others: Tensor) -> Tensor:
    longer = torch.tensor([0.0, 0, 1, 1])
    return overlap(boxes + longer, others + longer)


def _detections(n: int, draws: Generator) -> tuple[Tensor, int]:
    """Which detections are right, more often among the surest, and how many objects there are: more than were found."""
    chances = torch.linspace(0.9, 0.3, n)
    right = torch.rand(n, generator=draws) < chances
    right[1], right[2], right[-3] = False, True, True  # so that precision falls and rises again
    return right, int(right.sum()) + whole(2, 5, draws)


def _not_interpolated(right: Tensor, positives: int) -> float:
    precision, recall = precision_recall(right, positives)
    return float((precision * recall.diff(prepend=recall.new_zeros(1))).sum())


def _eleven(right: Tensor, positives: int) -> float:
    precision, recall = precision_recall(right, positives)
    heights = [precision[recall >= k / 10] for k in range(11)]
    return sum(float(some.max()) if len(some) else 0.0 for some in heights) / 11


BOXES = {
    "11.overlap": of_tensor(
        overlap,
        for_each(_boxes, (4, 3), (3, 5)),
        {
            "Two negative sides make an area: clamp them at 0.": _by_areas(lambda s, a, b: s / (a + b - s), -torch.inf),
            "You divide by the smaller area, not by the union.": _by_areas(lambda s, a, b: s / torch.minimum(a, b)),
            "You count the shared area twice: subtract it once.": _by_areas(lambda s, a, b: s / (a + b)),
            "That is Dice's measure, twice the shared area over the sum.": _by_areas(lambda s, a, b: 2 * s / (a + b)),
            "You divide by the box around both; the area that the two cover is asked for.": _of_the_hull,
            "You count pixels, and add one to each side; these coordinates are real numbers.": _with_last_pixel,
        },
        "medium · 7 minutes",
        "The shared area is a box as well, if there is one: where does it begin, and where does it end?",
        "It begins at the larger of the two lefts and tops, and ends at the smaller of the two rights and bottoms. "
        "`torch.maximum(boxes[:, None, :2], others[:, :2])` gives all pairs at once.",
        "Clamp its sides at 0, multiply them, and divide by the sum of both areas minus the shared one.",
        others={"Your answer has the shape": lambda boxes, others: overlap(others, boxes)},
    ),
    "11.average": of_number(
        average_precision,
        for_each(_detections, (14,), (18,), (23,)),
        {
            "Objects that were missed count as well.": lambda right, n: average_precision(right, int(right.sum())),
            "You take the precision at each recall; the best at this recall or beyond is asked for.": _not_interpolated,
            "Only a right detection adds to recall.": lambda right, n: precision_recall(right, n)[0].mean(),
            "Your list runs from the least sure to the surest.": (lambda right, n: average_precision(right.flip(0), n)),
            "You take the precision at eleven recalls, as VOC did in 2007; the whole area is asked for.": _eleven,
            "That is the share of right ones, which ignores their order.": lambda right, n: right.double().mean(),
        },
        "hard · 10 minutes",
        "Walk down the list. After each detection there is a precision, right ones over detections so far, and a "
        "recall, right ones over all objects.",
        "`right.cumsum(0)` counts the right ones so far. Then let no precision be below a later one: from the back, "
        "`cummax`.",
        "Each right one adds 1 / positives to recall: add up the raised precisions there, and divide by `positives`.",
    ),
}
"""The exercises on detections, by their ids."""
