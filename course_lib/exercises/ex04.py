"""Notebook 04: the two losses of the game, and what a good pair of encoder and generator gives back."""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor

from course_lib.exercises import Exercise
from course_lib.exercises.compare import difference
from course_lib.pretext.bigan import found_again, game


def _game(function: Callable[[Tensor, Tensor], tuple[Tensor, Tensor]]) -> str:
    real, made = torch.tensor([2.0, -1.0, 0.5]), torch.tensor([-3.0, 1.0, 0.25])
    expected, given = torch.stack(game(real, made)), function(real.clone(), made.clone())
    if not isinstance(given, tuple | list) or len(given) != 2:
        return "Two losses are expected: the discriminator's, and that of encoder and generator."
    if not all(isinstance(loss, Tensor) and loss.dim() == 0 for loss in given):
        return "Each of the two losses should be one number, a tensor without dimensions: the mean over the pairs."
    given = torch.stack([loss.detach().float() for loss in given])
    if not difference(given, expected):
        return ""
    if not difference(given.flip(0), expected):
        return "Right losses in the wrong order: the discriminator's comes first."
    if not difference(given, torch.stack([expected[0], -expected[0]])):
        return "Your second is the first with its sign turned; that stalls when D is sure. Turn the labels instead."
    if not difference(given, expected / 2):
        return "Half of what is expected: each kind of pair has its own mean, and the two are added."
    if not difference(given[0], expected[0]):
        return "The discriminator's loss is right; the other one wants the labels the other way round."
    return difference(given, expected)


def _found(function: Callable[[Tensor, Tensor], Tensor]) -> str:
    draws = torch.Generator().manual_seed(0)
    images = torch.rand(40, 3, 8, 8, generator=draws) * 2 - 1
    again = images + 1.2 * torch.randn(images.shape, generator=draws)
    given = function(images.clone(), again.clone())
    expected = found_again(images, again)
    value = float(given) if isinstance(given, Tensor | float | int) and torch.as_tensor(given).numel() == 1 else None
    if value is None:
        return "One number is expected: a share between 0 and 1."
    if abs(value - float(expected)) < 1e-4:
        return ""
    if abs(value - float(found_again(again, images))) < 1e-4:
        return "You looked for each made picture among the crops; asked for is each crop among the made pictures."
    if abs(value - 40 * float(expected)) < 1e-3:
        return "That is how many were found; asked for is the share of all."
    if abs(value - 1 + float(expected)) < 1e-4:
        return "That is the share that was not found."
    return (
        f"Another share is expected for {len(images)} pictures: the largest difference is {abs(value - expected):.3g}."
    )


EXERCISES = {"04.game": Exercise(game, _game), "04.found": Exercise(found_again, _found)}
