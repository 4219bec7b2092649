"""Notebook 02: the task of RotNet, its loss, and turns without resampling."""

from __future__ import annotations

from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor

from course_lib.data.crops import product, turned_maps
from course_lib.exercises.compare import difference, each, fits
from course_lib.exercises.drawing import between, draws_of, pictures
from course_lib.exercises.exercise import Exercise, Mistake, Quiz
from course_lib.pretext.rotnet import TURNS, four_turns, turn_loss


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


def _logits(seed: int) -> list[tuple]:
    """Logits of some pictures in four turns, of which most tell the turn, and not all."""
    draws, questions = draws_of(seed), []
    for n in (5, 8):
        right = F.one_hot(torch.arange(TURNS).repeat_interleave(n)).float()
        questions.append((2 * right + torch.randn(TURNS * n, TURNS, generator=draws),))
    return questions


def _explain_loss(given: Any, logits: Tensor) -> str:
    if not isinstance(given, tuple | list) or len(given) != 2:
        return "Two numbers are expected: return loss, accuracy."
    if not all(isinstance(one, Tensor) and one.dim() == 0 for one in given):
        return "Each of the two should be one number, a tensor without dimensions; is a mean missing?"
    given, expected = torch.stack([one.float() for one in given]), torch.stack(turn_loss(logits))
    if not (wrong := difference(given, expected)):
        return ""
    if not difference(given.flip(0), expected):
        return "Right numbers in the wrong order: the loss comes first."
    if not difference(given, torch.stack(_by_picture(logits))):
        return "Your labels go 0, 1, 2, 3 from row to row; but all pictures of turn 0 come first, then all of turn 1."
    if not difference(given[0], turn_loss(logits.softmax(1))[0]):
        return "You took a softmax first: `F.cross_entropy` takes the scores as they are, and takes one itself."
    if not difference(given[0], len(logits) * expected[0]):
        return "Your loss is a sum over the pictures; it should be their mean."
    if not difference(given[0], expected[0]):
        return "The loss is right, and the accuracy is not: it is the share of rows whose largest score is the turn's."
    return wrong


def _by_picture(logits: Tensor) -> tuple[Tensor, Tensor]:
    """The loss with labels for four rows a picture."""
    turns = torch.arange(TURNS).repeat(len(logits) // TURNS)
    return F.cross_entropy(logits, turns), (logits.argmax(1) == turns).float().mean()


def _maps(seed: int) -> list[tuple]:
    """Maps of crops that are clearly wider than high, flipped or not, and each number of quarter turns."""
    draws, questions = draws_of(seed), []
    for quarter_turns, n in ((1, 2), (2, 3), (3, 2)):
        angle, wide, high = between(0.2, 0.6, n, draws), between(60, 90, n, draws), between(20, 40, n, draws)
        cos, sin = angle.cos(), angle.sin()
        centre = between(100, 300, n, draws), between(80, 200, n, draws)
        rows = [wide * cos, -high * sin, centre[0], wide * sin, high * cos, centre[1]]
        questions.append((torch.stack(rows, 1).view(n, 2, 3), quarter_turns))
    return questions


def _explain_fold(given: Any, affine: Tensor, quarter_turns: int) -> str:
    expected = turned_maps(affine, quarter_turns)
    wrong = difference(given, expected)
    if not wrong or not fits(given, expected):
        return wrong
    once = turned_maps(affine, 1)
    mistakes = {
        "You make one quarter turn, whatever `quarter_turns` says.": once,
        "Your turns are clockwise: it is the other of the two columns that changes its sign.": turned_maps(
            affine, -quarter_turns
        ),
        "You swap the two columns and change no sign: that is a mirror image, not a turn.": affine[:, :, [1, 0, 2]],
        "You turn the crop about the photograph's corner, and it lands elsewhere; the middle must stay.": _outside(
            affine, quarter_turns
        ),
        "You turn the crop's outline on the photograph: other pixels come into it. Turn what goes into the map, and "
        "not what comes out.": torch.cat([_outside(affine, quarter_turns)[:, :, :2], affine[:, :, 2:]], 2),
    }
    return next((words for words, value in mistakes.items() if not difference(given, value, 1e-6)), wrong)


def _outside(affine: Tensor, quarter_turns: int) -> Tensor:
    """The turn after the map, where the photograph is, in place of before it."""
    turn = turned_maps(torch.eye(3)[None, :2], quarter_turns)[0, :, :2]
    return product(turn, affine)


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
    ),
    "02.loss": Exercise(
        turn_loss,
        _logits,
        each(_explain_loss),
        (
            Mistake(_by_picture, "go 0, 1, 2, 3 from row to row"),
            Mistake(lambda x: (turn_loss(x.softmax(1))[0], turn_loss(x)[1]), "softmax first"),
            Mistake(lambda x: (len(x) * turn_loss(x)[0], turn_loss(x)[1]), "a sum over the pictures"),
            Mistake(lambda x: (turn_loss(x)[0], len(x) * turn_loss(x)[1]), "the accuracy is not"),
            Mistake(lambda x: turn_loss(x)[::-1], "in the wrong order"),
            Mistake(lambda x: turn_loss(x)[0], "Two numbers are expected"),
            Mistake(lambda x: (turn_loss(x)[0], x.argmax(1)), "is a mean missing"),
        ),
        "easy",
        6,
        (
            "Nobody hands you the labels. With n pictures there are 4 n rows: what is the right answer to the first n, "
            "and to the next n?",
            "`torch.arange(4).repeat_interleave(n)` is 0 n times, then 1 n times, and so on. What is n, if the rows "
            "are `len(logits)`?",
            "The loss is `F.cross_entropy(logits, turns)`. The accuracy is the mean of `logits.argmax(1) == turns`, "
            "after `.float()`; put the turns where the logits are, with `device=logits.device`.",
        ),
    ),
    "02.fold": Exercise(
        turned_maps,
        _maps,
        each(_explain_fold),
        (
            Mistake(lambda a, k: turned_maps(a, -k), "Your turns are clockwise"),
            Mistake(lambda a, k: a[:, :, [1, 0, 2]] if k % 2 else turned_maps(a, k), "a mirror image"),
            Mistake(lambda a, k: turned_maps(a, 1), "whatever `quarter_turns` says"),
            Mistake(_outside, "photograph's corner"),
            Mistake(lambda a, k: torch.cat([_outside(a, k)[:, :, :2], a[:, :, 2:]], 2), "the crop's outline"),
            Mistake(lambda a, k: turned_maps(a, k)[:, :, :2], "has the shape"),
        ),
        "medium",
        8,
        (
            "The first column says where a step to the right leads, the second a step down. Turn a sheet of paper a "
            "quarter to the left: which of its old sides do you now walk along when you go right?",
            "After one quarter turn, right is what down was, and down is the opposite of what right was. The third "
            "column, the middle, stays.",
            "`right, down, centre = affine.unbind(2)`; then, `quarter_turns` times, `right, down = down, -right`. "
            "`torch.stack` puts the three together again, in dimension 2.",
        ),
    ),
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
