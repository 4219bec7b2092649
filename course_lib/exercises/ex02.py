"""Notebook 02: the task of RotNet, its loss, and turns without resampling."""

from __future__ import annotations

from typing import Any

import torch
import torch.nn.functional as F
from torch import Generator, Tensor

from course_lib.data.crops import product, turned_maps
from course_lib.exercises.compare import difference, each, two_means
from course_lib.exercises.drawing import between, for_each
from course_lib.exercises.exercise import Quiz, of_any, of_tensor
from course_lib.pretext.rotnet import TURNS, four_turns, turn_loss


def _pictures(n: int, side: int, draws: Generator) -> tuple[Tensor]:
    """Smooth pictures (n, 3, side, side) in [-1, 1], none of which looks the same turned or mirrored."""
    coarse = torch.rand(n, 3, 3, 3, generator=draws) * 2 - 1
    return (F.interpolate(coarse, size=side, mode="bilinear", align_corners=True),)


def _second_mirrored(given: Tensor, expected: Tensor, images: Tensor) -> str:
    mirrored = torch.cat([images, images.flip(3)])
    return "" if difference(given[: len(mirrored)], mirrored) else "Your second is a mirror image, not a turn."


def _logits(n: int, draws: Generator) -> tuple[Tensor]:
    """Logits of n pictures in four turns, of which most name the right turn, but not all."""
    right = F.one_hot(torch.arange(TURNS).repeat_interleave(n)).float()
    return (2 * right + torch.randn(TURNS * n, TURNS, generator=draws),)


def _explain_loss(given: Any, logits: Tensor) -> str:
    if isinstance(given := two_means(given), str):
        return given
    expected = torch.stack(turn_loss(logits))
    if not (wrong := difference(given, expected)):
        return ""
    if not difference(given.flip(0), expected):
        return "Right numbers in the wrong order: the loss comes first."
    if not difference(given, torch.stack(_by_picture(logits))):
        return "Your labels go 0, 1, 2, 3 from row to row; but all pictures of turn 0 come first, then all of turn 1."
    if not difference(given[0], turn_loss(logits.softmax(1))[0]):
        return "You took a softmax first: `F.cross_entropy` takes the logits as they are, and does this itself."
    if not difference(given[0], len(logits) * expected[0]):
        return "Your loss is a sum over the pictures; it should be their mean."
    if not difference(given[0], expected[0]):
        return "The loss is right, but the accuracy is not: it is the share of rows whose largest logit is the turn's."
    return wrong


def _by_picture(logits: Tensor) -> tuple[Tensor, Tensor]:
    """The loss with labels for four consecutive rows per picture."""
    turns = torch.arange(TURNS).repeat(len(logits) // TURNS)
    return F.cross_entropy(logits, turns), (logits.argmax(1) == turns).float().mean()


def _maps(quarter_turns: int, n: int, draws: Generator) -> tuple[Tensor, int]:
    """Maps of n crops that are clearly wider than high, and a number of quarter turns."""
    angle, wide, high = between(0.2, 0.6, n, draws), between(60, 90, n, draws), between(20, 40, n, draws)
    cos, sin = angle.cos(), angle.sin()
    centre = between(100, 300, n, draws), between(80, 200, n, draws)
    rows = [wide * cos, -high * sin, centre[0], wide * sin, high * cos, centre[1]]
    return torch.stack(rows, 1).view(n, 2, 3), quarter_turns


def _outside(affine: Tensor, quarter_turns: int) -> Tensor:
    """The turn after the map, on the photograph, instead of before it."""
    turn = turned_maps(torch.eye(3)[None, :2], quarter_turns)[0, :, :2]
    return product(turn, affine)


EXERCISES = {
    "02.turns": of_tensor(
        four_turns,
        for_each(_pictures, (2, 8), (3, 12)),
        {
            "Right shape, but your turns are clockwise: the second should be a quarter turn to the left.": (
                lambda x: torch.cat([torch.rot90(x, -k, (2, 3)) for k in range(4)])
            ),
            "Right pictures in another order: all pictures of turn 0 come first, then all of turn 1.": (
                lambda x: torch.stack([torch.rot90(x, k, (2, 3)) for k in range(4)], 1).flatten(0, 1)
            ),
        },
        "easy · 5 minutes",
        "Which function of torch turns a tensor by quarter turns, and which two of the four dimensions should it turn?",
        "`torch.rot90(images, k, dims)` turns from the first of dims towards the second. Try it on a picture with a "
        "bright corner: does it turn to the left?",
        "Make a list of the turns k = 0, 1, 2, 3 over the dimensions (2, 3), and join them with `torch.cat`.",
        others={
            "mirror image": lambda x: torch.cat([x, x.flip(3), x.flip(2), x.flip(2, 3)]),
            "has the shape": lambda x: x,
        },
        further=_second_mirrored,
    ),
    "02.loss": of_any(
        turn_loss,
        for_each(_logits, (5,), (8,)),
        each(_explain_loss),
        {
            "go 0, 1, 2, 3 from row to row": _by_picture,
            "softmax first": lambda x: (turn_loss(x.softmax(1))[0], turn_loss(x)[1]),
            "a sum over the pictures": lambda x: (len(x) * turn_loss(x)[0], turn_loss(x)[1]),
            "the accuracy is not": lambda x: (turn_loss(x)[0], len(x) * turn_loss(x)[1]),
            "in the wrong order": lambda x: turn_loss(x)[::-1],
            "Two values are expected": lambda x: turn_loss(x)[0],
            "is a mean missing": lambda x: (turn_loss(x)[0], x.argmax(1)),
        },
        "easy · 6 minutes",
        "With n pictures there are 4 n rows: what is the right answer to the first n, and to the next n?",
        "`torch.arange(4).repeat_interleave(n)` is 0 n times, 1 n times, and so on. What is n, given `len(logits)`?",
        "The loss is `F.cross_entropy(logits, turns)`. The accuracy is the mean of `logits.argmax(1) == turns`, after "
        "`.float()`; put the turns where the logits are, with `device=logits.device`.",
    ),
    "02.fold": of_tensor(
        turned_maps,
        for_each(_maps, (1, 2), (2, 3), (3, 2)),
        {
            "You make one quarter turn, whatever `quarter_turns` says.": lambda a, k: turned_maps(a, 1),
            "Your turns are clockwise: the other of the two columns changes its sign.": lambda a, k: turned_maps(a, -k),
            "You swap the columns and change no sign: a mirror image, not a turn.": lambda a, k: a[:, :, [1, 0, 2]],
            "You turn the crop about the photograph's corner, so that it moves; its centre must stay.": _outside,
            "You turn the crop's outline on the photograph, so that it covers other pixels. Turn the input of the map, "
            "not its output.": lambda a, k: torch.cat([_outside(a, k)[:, :, :2], a[:, :, 2:]], 2),
        },
        "medium · 8 minutes",
        "The first column says where a step to the right leads, the second a step down. Turn a sheet of paper a "
        "quarter to the left: which of its old sides do you now walk along when you go right?",
        "After one quarter turn, right is what down was, and down the opposite of what right was. The centre stays.",
        "`right, down, centre = affine.unbind(2)`; then, `quarter_turns` times, `right, down = down, -right`. "
        "`torch.stack` puts the three together again, in dimension 2.",
        others={"has the shape": lambda a, k: turned_maps(a, k)[:, :, :2]},
        near=1e-6,
    ),
}

QUIZZES = {
    "02.noise": Quiz(
        "On noise the network is right one time in four. What does that rule out?",
        ("That it overfits.", "It may well; noise does not test that."),
        ("That it reads a trace which turning leaves.", "Yes: such a trace would be in noise as well."),
        ("That it learned edges.", "Edges are of no use in noise, learned or not."),
    )
}
