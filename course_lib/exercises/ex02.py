"""Notebook 02: the task of RotNet."""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor

from course_lib.exercises import Exercise
from course_lib.exercises.compare import difference
from course_lib.pretext.rotnet import four_turns


def _turns(function: Callable[[Tensor], Tensor]) -> str:
    images = torch.arange(2 * 3 * 4 * 4, dtype=torch.float32).view(2, 3, 4, 4)
    expected, given = four_turns(images), function(images.clone())
    wrong = difference(given, expected)
    if not wrong or not isinstance(given, Tensor) or given.shape != expected.shape:
        return wrong
    backwards = torch.cat([torch.rot90(images, -k, (2, 3)) for k in range(4)])
    if torch.equal(given, backwards):
        return "Right shape, but your turns are clockwise: the second should be a quarter turn to the left."
    if torch.equal(given, expected.view(4, 2, 3, 4, 4).transpose(0, 1).flatten(0, 1)):
        return "Right pictures in another order: all pictures of turn 0 come first, then all of turn 1."
    if torch.equal(given[:2], images) and torch.equal(given[2:4], images.flip(3)):
        return "Your second is a mirror image, not a turn."
    return wrong


EXERCISES = {"02.turns": Exercise(four_turns, _turns)}
