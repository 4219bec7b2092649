"""Notebook 04: the two losses of the game, which crops a good pair recovers, and how similar the made pictures are."""

from __future__ import annotations

from typing import Any

import torch
from torch import Generator, Tensor

from course_lib.exercises.compare import difference, each, two_means
from course_lib.exercises.drawing import between, for_each, whole
from course_lib.exercises.exercise import Quiz, of_any, of_number
from course_lib.lessons.methods import found_again
from course_lib.pretext.bigan import game, spread


def _logits(draws: Generator) -> list[tuple]:
    """Real pairs that D mostly believes and made ones that it mostly does not, so that the two losses differ."""
    return [(between(-0.5, 3, n, draws), between(-3, 0.5, n, draws)) for n in (6, 11)]


def _explain_game(given: Any, real: Tensor, made: Tensor) -> str:
    if isinstance(given := two_means(given), str):
        return given
    expected = torch.stack(game(real, made))
    wrong = difference(given, expected)
    if not wrong:
        return ""
    if not difference(given.flip(0), expected):
        return "Right losses in the wrong order: the discriminator's comes first."
    if not difference(given, torch.stack([expected[0], -expected[0]])):
        return "Your second is the first with its sign changed; that stalls when D is sure. Swap the labels instead."
    if not difference(given, expected / 2):
        return "Half of what is expected: each kind of pair has its own mean, and the two are added."
    if not difference(given[0], expected[0]):
        return "The discriminator's loss is right; for the other one, the labels are the other way round."
    return wrong


def _pictures_again(n: int, draws: Generator) -> tuple[Tensor, Tensor]:
    """n pictures and reconstructions, most of which resemble their own picture.

    Some are a mixture that resembles another picture more, though their own finds them; some copy another one.
    """
    mixed, lost = whole(3, 5, draws), whole(1, 5, draws)
    images = torch.rand(n, 3, 8, 8, generator=draws) * 2 - 1
    again = images.clone()
    again[:mixed] = 0.4 * images[:mixed] + 0.6 * images[10 : 10 + mixed]
    again[5 : 5 + lost] = images[15 : 15 + lost]
    again += 0.05 * torch.randn(again.shape, generator=draws)
    order = torch.randperm(n, generator=draws)
    return images[order], again[order]


def _made_and_real(n: int, side: int, draws: Generator) -> tuple[Tensor, Tensor]:
    """Made pictures that are all nearly the same colourful one, and real ones that differ more in some places."""
    same, where = torch.randn(1, 3, side, side, generator=draws), between(0.1, 0.6, side * side, draws)
    made = same + 0.15 * torch.randn(n, 3, side, side, generator=draws)
    return made, where.view(side, side) * torch.randn(n, 3, side, side, generator=draws)


def _within(images: Tensor) -> Tensor:
    return images.flatten(1).std(1).mean()


EXERCISES = {
    "04.game": of_any(
        game,
        _logits,
        each(_explain_game),
        {
            "wrong order": lambda r, m: game(r, m)[::-1],
            "sign changed": lambda r, m: (game(r, m)[0], -game(r, m)[0]),
            "Half of what is expected": lambda r, m: [loss / 2 for loss in game(r, m)],
            "the other way round": lambda r, m: (game(r, m)[0], game(r, m)[0]),
            "Two values are expected": lambda r, m: game(r, m)[0],
            "should be one number": lambda r, m: (r, m),
        },
        "medium · 10 minutes",
        "What does D want to answer to real pairs, and what to made ones? And what would E and G like it to answer?",
        "D's labels are `torch.ones_like(real)` and `torch.zeros_like(made)`. For E and G they trade places.",
        "Each loss is the sum of two calls of `F.binary_cross_entropy_with_logits`, one with `real` and one with "
        "`made`. D's are (real, ones) and (made, zeros); return D's sum first.",
    ),
    "04.found": of_number(
        found_again,
        for_each(_pictures_again, *[(20,)] * 4),
        {
            "Look for each crop among the made pictures, not the other way round.": lambda x, y: found_again(y, x),
            "That is how many were found; the share of all is asked for.": lambda x, y: found_again(x, y) * len(x),
            "That is the share that was not found.": lambda x, y: 1 - found_again(x, y),
        },
        "medium · 8 minutes",
        "Make a row of each picture, and a table of all distances. Which set are its rows, and which its columns?",
        "`images.flatten(1)` makes the rows, `torch.cdist` the table; `argmin(1)` says which made picture is nearest.",
        "Picture i is found where that number is i: take the mean of `(found == torch.arange(len(images))).float()`.",
        others={"one number is expected": lambda x, y: x},
    ),
    "04.spread": of_number(
        spread,
        for_each(_made_and_real, (6, 8), (9, 6)),
        {
            "You took all numbers together: one colourful picture would seem to vary.": lambda m, r: m.std() / r.std(),
            "That is how pictures vary within themselves, not from each other.": lambda m, r: _within(m) / _within(r),
            "It is upside down: divide the made pictures' number by the real ones'.": (lambda m, r: spread(r, m)),
            "You compare variances; standard deviations are needed.": lambda m, r: m.var(0).mean() / r.var(0).mean(),
            "You divide pixel by pixel; take both means first.": lambda m, r: (m.std(0) / r.std(0)).mean(),
            "You have not yet divided by how much real pictures differ.": lambda m, r: m.std(0).mean(),
        },
        "easy · 5 minutes",
        "Look at one pixel in all pictures: how far apart are its values? Along which of the four dimensions is that?",
        "`made.std(0)` has that for every pixel and colour, and its `.mean()` is one number for all of them.",
        "Do the same with `real`, and divide the made pictures' number by the real ones'.",
        others={"one number is expected": lambda m, r: m.std(0) / r.std(0)},
    ),
}

QUIZZES = {
    "04.pairs": Quiz(
        "Why does D see the code as well as the picture?",
        ("To have more weights.", "It would be caught by the picture alone just as well."),
        ("Because only pairs tie E to G: without codes E would learn nothing.", "Yes."),
        ("Because pictures alone cannot be told apart.", "An ordinary GAN does just that."),
    )
}
