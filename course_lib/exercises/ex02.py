"""Notebook 02: the task of RotNet."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor

from course_lib.exercises.compare import difference, each, fits
from course_lib.exercises.drawing import draws_of, pictures
from course_lib.exercises.exercise import Exercise, Mistake, Quiz
from course_lib.pretext.rotnet import four_turns


def _pictures_to_turn(seed: int) -> list[tuple]:
    draws = draws_of(seed)
    return [(pictures(2, 8, draws),), (pictures(3, 12, draws),)]


def _explain_turns(given: Any, images: Tensor) -> str:
    expected, n = four_turns(images), len(images)
    wrong = difference(given, expected)
    if not wrong or not fits(given, expected):
        return wrong
    if not difference(given, _clockwise(images)):
        return "Right shape, but your turns are clockwise: the second should be a quarter turn to the left."
    if not difference(given, expected.unflatten(0, (4, n)).transpose(0, 1).flatten(0, 1)):
        return "Right pictures in another order: all pictures of turn 0 come first, then all of turn 1."
    if not difference(given[:n], images) and not difference(given[n : 2 * n], images.flip(3)):
        return "Your second is a mirror image, not a turn."
    return wrong


def _clockwise(images: Tensor) -> Tensor:
    return torch.cat([torch.rot90(images, -k, (2, 3)) for k in range(4)])


def _picture_by_picture(images: Tensor) -> Tensor:
    return torch.stack([torch.rot90(images, k, (2, 3)) for k in range(4)], 1).flatten(0, 1)


EXERCISES = {
    "02.turns": Exercise(
        four_turns,
        _pictures_to_turn,
        each(_explain_turns),
        (
            Mistake(_clockwise, "clockwise"),
            Mistake(_picture_by_picture, "another order"),
            Mistake(lambda x: torch.cat([x, x.flip(3), x.flip(2), x.flip(2, 3)]), "mirror image"),
            Mistake(lambda x: x, "has the shape"),
        ),
        "easy",
        5,
        (
            "Which function of torch turns a tensor by quarter turns, and which two of the four dimensions should it "
            "turn?",
            "`torch.rot90(images, k, dims)` turns from the first of dims towards the second. Try it on a picture with "
            "a bright corner: does it go to the left?",
            "Make a list of the turns k = 0, 1, 2, 3 over the dimensions (2, 3), and put it end to end with "
            "`torch.cat`.",
        ),
    )
}

QUIZZES = {
    "02.noise": Quiz(
        "On noise the network is right one time in four. What does that rule out?",
        {
            "That it overfits.": "It may well; noise does not test that.",
            "That turning leaves a trace which it reads.": "Yes: such a trace would be in noise as well.",
            "That it learned edges.": "Edges are no use in noise, learned or not.",
        },
        "That turning leaves a trace which it reads.",
    )
}
