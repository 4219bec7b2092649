"""Notebook 11, of detections: overlap of boxes, and average precision."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor

from course_lib.exercises.compare import difference, each, fits, one_number
from course_lib.exercises.drawing import between, draws_of, whole
from course_lib.exercises.exercise import Exercise, Mistake
from course_lib.lessons.uses.precision import average_precision, overlap, precision_recall


def _boxes(seed: int) -> list[tuple]:
    """Boxes of which some share much, some little, some nothing, beside, above and across from each other."""
    draws = draws_of(seed)
    return [_two_lists(n, m, draws) for n, m in ((4, 3), (3, 5))]


def _two_lists(n: int, m: int, draws: torch.Generator) -> tuple[Tensor, Tensor]:
    boxes = _some_boxes(between(0, 20, 2 * n, draws).view(n, 2), draws)
    others = _some_boxes(between(0, 20, 2 * m, draws).view(m, 2), draws)
    others[0] = boxes[0] + between(1, 3, 4, draws)  # much
    others[1] = boxes[1] + 60 + between(0, 9, 1, draws)  # nothing, to the right and below
    return boxes, others


def _some_boxes(corners: Tensor, draws: torch.Generator) -> Tensor:
    return torch.cat([corners, corners + between(8, 30, corners.numel(), draws).view_as(corners)], 1)


def _parts(boxes: Tensor, others: Tensor, clamped: bool = True) -> tuple[Tensor, Tensor, Tensor]:
    """What each two boxes share, and the areas of both."""
    sides = torch.minimum(boxes[:, None, 2:], others[None, :, 2:]) - torch.maximum(
        boxes[:, None, :2], others[None, :, :2]
    )
    one, other = ((each[:, 2:] - each[:, :2]).prod(1) for each in (boxes, others))
    return (sides.clamp(min=0) if clamped else sides).prod(2), one[:, None], other[None]


def _unclamped(boxes: Tensor, others: Tensor) -> Tensor:
    shared, one, other = _parts(boxes, others, clamped=False)
    return shared / (one + other - shared)


def _of_the_smaller(boxes: Tensor, others: Tensor) -> Tensor:
    shared, one, other = _parts(boxes, others)
    return shared / torch.minimum(one, other)


def _counted_twice(boxes: Tensor, others: Tensor) -> Tensor:
    shared, one, other = _parts(boxes, others)
    return shared / (one + other)


def _dice(boxes: Tensor, others: Tensor) -> Tensor:
    shared, one, other = _parts(boxes, others)
    return 2 * shared / (one + other)


def _of_the_hull(boxes: Tensor, others: Tensor) -> Tensor:
    first = torch.minimum(boxes[:, None, :2], others[None, :, :2])
    last = torch.maximum(boxes[:, None, 2:], others[None, :, 2:])
    return _parts(boxes, others)[0] / (last - first).prod(2)


def _with_last_pixel(boxes: Tensor, others: Tensor) -> Tensor:
    longer = torch.tensor([0.0, 0, 1, 1])
    return overlap(boxes + longer, others + longer)


_OVERLAPS: dict[str, Callable[[Tensor, Tensor], Tensor]] = {
    "Boxes apart in both directions have two negative sides, whose product is positive: no side is below 0.": (
        _unclamped
    ),
    "You divide by the smaller area: a box within a large one would then be perfect.": _of_the_smaller,
    "What both cover is counted twice below the line: take the shared area off once.": _counted_twice,
    "That is twice the shared area over the sum of the areas: Dice's measure, which is kinder.": _dice,
    "You divide by the box around both; asked for is the area that the two cover.": _of_the_hull,
    "You count pixels, and add one to each side; these boxes are real numbers.": _with_last_pixel,
}


def _explain_overlap(given: Any, boxes: Tensor, others: Tensor) -> str:
    wrong = difference(given, overlap(boxes, others))
    if not wrong or not fits(given, overlap(boxes, others)):
        return wrong
    return next((words for words, f in _OVERLAPS.items() if not difference(given, f(boxes, others))), wrong)


def _detections(seed: int) -> list[tuple]:
    """Which detections are right, more often among the surest, and how many things there were: more than were found."""
    draws = draws_of(seed)
    return [_some_detections(n, draws) for n in (14, 18, 23)]


def _some_detections(n: int, draws: torch.Generator) -> tuple[Tensor, int]:
    chances = torch.linspace(0.9, 0.3, n)
    right = torch.rand(n, generator=draws) < chances
    right[1], right[2], right[-3] = False, True, True  # so that precision falls and rises again
    return right, int(right.sum()) + whole(2, 5, draws)


def _not_interpolated(right: Tensor, positives: int) -> float:
    precision, recall = precision_recall(right, positives)
    return float((precision * recall.diff(prepend=recall.new_zeros(1))).sum())


def _of_all_detections(right: Tensor, positives: int) -> float:
    return float(precision_recall(right, positives)[0].mean())


def _eleven(right: Tensor, positives: int) -> float:
    precision, recall = precision_recall(right, positives)
    heights = [precision[recall >= k / 10] for k in range(11)]
    return sum(float(some.max()) if len(some) else 0.0 for some in heights) / 11


_AVERAGES: dict[str, Callable[[Tensor, int], float]] = {
    "You divide by what was found; a thing that nobody found counts as well.": (
        lambda right, positives: average_precision(right, int(right.sum()))
    ),
    "At each recall you take the precision there; asked for is the best there or beyond.": _not_interpolated,
    "You take the mean over all detections; only a right one adds to recall.": _of_all_detections,
    "Your list runs from the least sure to the surest.": (
        lambda right, positives: average_precision(right.flip(0), positives)
    ),
    "You take the precision at eleven recalls, as VOC did in 2007; asked for is the whole area.": _eleven,
    "That is the share of right ones among all detections, which does not know their order.": (
        lambda right, positives: float(right.double().mean())
    ),
}


BOXES = {
    "11.overlap": Exercise(
        overlap,
        _boxes,
        each(_explain_overlap),
        (
            *(Mistake(function, words) for words, function in _OVERLAPS.items()),
            Mistake(lambda boxes, others: overlap(others, boxes), "Your answer has the shape"),
        ),
        "medium",
        7,
        (
            "The shared area is a box as well, if there is one: where does it begin, and where does it end?",
            "It begins at the larger of the two lefts and tops, and ends at the smaller of the two rights and bottoms. "
            "`torch.maximum(boxes[:, None, :2], others[:, :2])` gives all pairs at once.",
            "Clamp its sides at 0, multiply them, and divide by the sum of both areas less the shared one.",
        ),
    ),
    "11.average": Exercise(
        average_precision,
        _detections,
        one_number(average_precision, _AVERAGES),
        tuple(Mistake(function, words) for words, function in _AVERAGES.items()),
        "hard",
        10,
        (
            "Walk down the list. After each detection there is a precision, right ones over detections so far, and "
            "a recall, right ones over all things.",
            "`right.cumsum(0)` counts the right ones so far. Then let no precision be below a later one: from the "
            "back, `cummax`.",
            "Each right detection moves recall on by 1 / positives. Add up the raised precisions at the right ones, "
            "and divide by `positives`.",
        ),
    ),
}
"""The exercises of these, by their ids."""
