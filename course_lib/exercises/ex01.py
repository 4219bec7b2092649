"""Notebook 01: the geometry and the colours of a crop."""

from __future__ import annotations

import math
from collections.abc import Callable

import torch

from course_lib.crops import bounding_box, colour_map, crop_size, flip_map
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


def _flip(function: Callable[..., torch.Tensor]) -> str:
    flipped = torch.tensor([False, True, True])
    given, expected = function(flipped), flip_map(flipped)
    wrong = difference(given, expected)
    if not wrong or not isinstance(given, torch.Tensor) or given.shape != expected.shape:
        return wrong
    if not difference(given, flip_map(~flipped)):
        return "You mirror the crops that are not to be flipped, and leave the others."
    if not difference(given[1], -torch.eye(2)) and not difference(given[0], torch.eye(2)):
        return "Your flip changes the sign of both axes: that is half a turn, not a mirror image."
    if not difference(given[1], torch.diag(torch.tensor([1.0, -1.0]))):
        return "Your mirror swaps top and bottom; swap left and right."
    return wrong


def _colour(function: Callable[..., torch.Tensor]) -> str:
    one = torch.ones(4)
    brightness, contrast = torch.tensor([1.3, 1.0, 1.0, 0.8]), torch.tensor([1.0, 0.7, 1.0, 1.2])
    saturation, grey = torch.tensor([1.0, 1.0, 0.6, 1.3]), torch.tensor([0.4, 0.5, 0.6, 0.3])
    given, expected = (
        function(brightness, contrast, saturation, grey),
        colour_map(brightness, contrast, saturation, grey),
    )
    wrong = difference(given, expected)
    if not wrong or not isinstance(given, torch.Tensor) or given.shape != expected.shape:
        return wrong
    parts = [difference(given[i], expected[i]) for i in range(4)]
    if not difference(function(one, one, one, grey), torch.eye(3, 4).expand(4, 3, 4)) and not any(parts[:3]):
        return "Each change is right alone, but not all three together: brightness comes first, and moves the grey."
    if not difference(given[:, :, :3], expected[:, :, :3]):
        return "The three columns of the mixture are right; the constant in the fourth is not."
    for i, name in enumerate(("brightness", "contrast", "saturation")):
        if parts[i]:
            return f"The change of {name} alone is wrong already. {parts[i]}"
    return wrong


EXERCISES = {
    "01.size": Exercise(crop_size, _size),
    "01.box": Exercise(bounding_box, _box),
    "01.flip": Exercise(flip_map, _flip),
    "01.colour": Exercise(colour_map, _colour),
}
