"""Notebook 04: the two losses of the game, what a good pair gives back, and how alike the made pictures are."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor

from course_lib.exercises.compare import difference, each, explain_numbers, numbers, one_number
from course_lib.exercises.drawing import between, draws_of, whole
from course_lib.exercises.exercise import Exercise, Mistake, Quiz
from course_lib.pretext.bigan import found_again, game, spread


def _logits(seed: int) -> list[tuple]:
    """Real pairs that D mostly believes and made ones that it mostly does not, so that the two losses differ."""
    draws = draws_of(seed)
    return [(between(-0.5, 3, n, draws), between(-3, 0.5, n, draws)) for n in (6, 11)]


def _explain_game(given: Any, real: Tensor, made: Tensor) -> str:
    expected = torch.stack(game(real, made))
    if not isinstance(given, tuple | list) or len(given) != 2:
        return "Two losses are expected: the discriminator's, and that of encoder and generator."
    if not all(isinstance(loss, Tensor) and loss.dim() == 0 for loss in given):
        return "Each of the two losses should be one number, a tensor without dimensions: the mean over the pairs."
    given = torch.stack([loss.float() for loss in given])
    wrong = difference(given, expected)
    if not wrong:
        return ""
    if not difference(given.flip(0), expected):
        return "Right losses in the wrong order: the discriminator's comes first."
    if not difference(given, torch.stack([expected[0], -expected[0]])):
        return "Your second is the first with its sign turned; that stalls when D is sure. Turn the labels instead."
    if not difference(given, expected / 2):
        return "Half of what is expected: each kind of pair has its own mean, and the two are added."
    if not difference(given[0], expected[0]):
        return "The discriminator's loss is right; the other one wants the labels the other way round."
    return wrong


_PICTURES = 20


def _pictures_again(seed: int) -> list[tuple]:
    """Pictures, and others of which most resemble their own.

    Some are a mixture that resembles another one more, though their own finds them; some are a copy of another one.
    """
    draws = draws_of(seed)
    return [_pictures_with(whole(3, 5, draws), whole(1, 5, draws), draws) for _ in range(4)]


def _pictures_with(mixed: int, lost: int, draws: torch.Generator) -> tuple[Tensor, Tensor]:
    images = torch.rand(_PICTURES, 3, 8, 8, generator=draws) * 2 - 1
    again = images.clone()
    again[:mixed] = 0.4 * images[:mixed] + 0.6 * images[10 : 10 + mixed]
    again[5 : 5 + lost] = images[15 : 15 + lost]
    again += 0.05 * torch.randn(again.shape, generator=draws)
    order = torch.randperm(_PICTURES, generator=draws)
    return images[order], again[order]


def _explain_found(questions: list[tuple], answers: list[Any]) -> str:
    given = numbers(answers)
    if isinstance(given, str):
        return given
    expected = [float(found_again(images, again)) for images, again in questions]
    mistakes = {
        "You looked for each made picture among the crops; asked for is each crop among the made pictures.": [
            float(found_again(again, images)) for images, again in questions
        ],
        "That is how many were found; asked for is the share of all.": [_PICTURES * share for share in expected],
        "That is the share that was not found.": [1 - share for share in expected],
    }
    return explain_numbers(given, expected, mistakes)


def _made_and_real(seed: int) -> list[tuple]:
    """Made pictures that are nearly one and the same, colourful one, and real ones that differ more in some places."""
    draws, questions = draws_of(seed), []
    for n, side in ((6, 8), (9, 6)):
        same, where = torch.randn(1, 3, side, side, generator=draws), between(0.1, 0.6, side * side, draws)
        made = same + 0.15 * torch.randn(n, 3, side, side, generator=draws)
        real = where.view(side, side) * torch.randn(n, 3, side, side, generator=draws)
        questions.append((made, real))
    return questions


def _within(images: Tensor) -> Tensor:
    return images.flatten(1).std(1).mean()


_WRONG_SPREAD = {
    "You took all numbers together: one colourful picture, made again and again, would then seem to differ from "
    "itself.": lambda made, real: made.std() / real.std(),
    "That is how much each picture varies within itself; asked for is how far the pictures differ from each "
    "other.": lambda made, real: _within(made) / _within(real),
    "It is upside down: the made pictures are to be measured by the real ones.": lambda made, real: spread(real, made),
    "You compare variances; a standard deviation is the root of one.": lambda made, real: (
        made.var(0).mean() / real.var(0).mean()
    ),
    "You divide pixel by pixel, so that places in which real pictures hardly differ count most; take both means "
    "first.": lambda made, real: (made.std(0) / real.std(0)).mean(),
    "That is not held against how far real pictures differ.": lambda made, real: made.std(0).mean(),
}
"""What each mistake answers, under what is said of it."""


EXERCISES = {
    "04.game": Exercise(
        game,
        _logits,
        each(_explain_game),
        (
            Mistake(lambda r, m: game(r, m)[::-1], "wrong order"),
            Mistake(lambda r, m: (game(r, m)[0], -game(r, m)[0]), "sign turned"),
            Mistake(lambda r, m: [loss / 2 for loss in game(r, m)], "Half of what is expected"),
            Mistake(lambda r, m: (game(r, m)[0], game(r, m)[0]), "the other way round"),
            Mistake(lambda r, m: game(r, m)[0], "Two losses are expected"),
            Mistake(lambda r, m: (r, m), "should be one number"),
        ),
        "medium",
        10,
        (
            "What does D want to answer to real pairs, and what to made ones? And what would E and G like it to "
            "answer?",
            "D's labels are 1 for real and 0 for made pairs: `torch.ones_like(real)` and `torch.zeros_like(made)`. For "
            "E and G they trade places.",
            "Each loss is the sum of two calls of `F.binary_cross_entropy_with_logits`, one with `real` and one with "
            "`made`. D's are (real, ones) and (made, zeros); return D's sum first.",
        ),
    ),
    "04.found": Exercise(
        found_again,
        _pictures_again,
        _explain_found,
        (
            Mistake(lambda x, y: found_again(y, x), "each made picture among the crops"),
            Mistake(lambda x, y: found_again(x, y) * len(x), "how many were found"),
            Mistake(lambda x, y: 1 - found_again(x, y), "not found"),
            Mistake(lambda x, y: x, "one number is expected"),
        ),
        "medium",
        8,
        (
            "Make a row of numbers of each picture, and a table of all distances between the two sets. Who stands in "
            "its rows, who in its columns?",
            "`images.flatten(1)` makes the rows, `torch.cdist` the table; `argmin(1)` says which made picture is "
            "nearest.",
            "Picture i is found again where that number is i: compare with `torch.arange(len(images))`, and take the "
            "mean of `.float()`.",
        ),
    ),
    "04.spread": Exercise(
        spread,
        _made_and_real,
        one_number(spread, _WRONG_SPREAD),
        (
            *(Mistake(wrong, words) for words, wrong in _WRONG_SPREAD.items()),
            Mistake(lambda made, real: made.std(0) / real.std(0), "one number is expected"),
        ),
        "easy",
        5,
        (
            "Look at one pixel in all the pictures: how far apart are its values? Along which of the four dimensions "
            "do you go?",
            "`made.std(0)` has that for every pixel and colour, and its `.mean()` is one number for all of them.",
            "Do the same with `real`, and divide the made pictures' number by the real ones'.",
        ),
    ),
}

QUIZZES = {
    "04.pairs": Quiz(
        "Why does D see the code as well as the picture?",
        {
            "To have more weights.": "It would be caught by the picture alone just as well.",
            "Because only pairs tie E to G: without codes E would learn nothing.": "Yes.",
            "Because pictures alone cannot be told apart.": "An ordinary GAN does just that.",
        },
        "Because only pairs tie E to G: without codes E would learn nothing.",
    )
}
