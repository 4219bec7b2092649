"""Notebook 01: the geometry of a crop."""

from __future__ import annotations

import math
from collections.abc import Callable

import torch

from course_lib.crops import bounding_box, crop_size
from course_lib.exercises import Exercise
from course_lib.exercises.compare import difference


def _size(function: Callable[..., tuple]) -> str:
    area, ratio = torch.tensor([100.0, 600.0, 75.0]), torch.tensor([1.0, 1.5, 0.75])
    given = function(area, ratio)
    if not isinstance(given, tuple) or len(given) != 2:
        return "Two tensors are expected: return width, height."
    width, height = crop_size(area, ratio)
    wrong = difference(given[0], width) or difference(given[1], height)
    if wrong and not difference(given[0], height) and not difference(given[1], width):
        return "Your width and height are swapped: the ratio is height divided by width."
    if wrong and not difference(given[0] * given[1], area):
        return "The area is right, but the ratio of height to width is not."
    if wrong and not difference(given[1] / given[0], ratio):
        return "The ratio is right, but width times height is not the area."
    return wrong


def _box(function: Callable[..., tuple]) -> str:
    width, height = torch.tensor([40.0, 40.0, 40.0]), torch.tensor([20.0, 20.0, 20.0])
    angle = torch.tensor([0.0, math.pi / 6, -math.pi / 6])
    given = function(width, height, angle)
    if not isinstance(given, tuple) or len(given) != 2:
        return "Two tensors are expected: return the box's width and height."
    expected = bounding_box(width, height, angle)
    parts = [(given[0], expected[0]), (given[1], expected[1])]
    wrong = next((problem for g, e in parts if (problem := difference(g, e))), "")
    if not wrong:
        return ""
    if not any(difference(g[:2], e[:2]) for g, e in parts):
        return "Right for turns to one side; for a negative angle your box comes out too small."
    if not any(difference(g[:1], e[:1]) for g, e in parts):
        return "Right for a crop that is not turned, wrong for one that is."
    return wrong


EXERCISES = {"01.size": Exercise(crop_size, _size), "01.box": Exercise(bounding_box, _box)}
