"""Notebook 00: how exercises work."""

from __future__ import annotations

from typing import Any

from course_lib.data.crops import area_share, smallest_side
from course_lib.evidence.intervals import points_above
from course_lib.exercises.compare import explain_numbers, numbers, one_number
from course_lib.exercises.drawing import between, draws_of, whole
from course_lib.exercises.exercise import Exercise, Mistake, Quiz


def _shares(seed: int) -> list[tuple]:
    draws = draws_of(seed)
    crops = zip(between(10, 60, 3, draws).tolist(), between(10, 60, 3, draws).tolist())
    images = zip(between(100, 300, 3, draws).tolist(), between(80, 200, 3, draws).tolist())
    return [(round(w), round(h), round(W), round(H)) for (w, h), (W, H) in zip(crops, images)]


def _explain_share(questions: list[tuple], answers: list[Any]) -> str:
    given = numbers(answers)
    if isinstance(given, str):
        return given
    expected = [area_share(*question) for question in questions]
    mistakes = {
        "It is upside down: the crop's area is the part, the photograph's the whole.": [
            1 / share for share in expected
        ],
        "A share of 1 is asked for, not percent.": [100 * share for share in expected],
        "An area is a product of two sides, not a sum.": [(w + h) / (W + H) for w, h, W, H in questions],
    }
    return explain_numbers(given, expected, mistakes)


def _photographs(seed: int) -> list[tuple]:
    """Shares of the area, and photographs that are clearly wider than high."""
    draws = draws_of(seed)
    widths = [whole(400, 900, draws) for _ in range(3)]
    heights = [round(width * share) for width, share in zip(widths, between(0.4, 0.7, 3, draws).tolist())]
    return [(round(beta, 4), w, h) for beta, w, h in zip(between(0.001, 0.02, 3, draws).tolist(), widths, heights)]


_WRONG_SIDES = {
    "That is the area of the smallest crop; what is the side of a square of this area?": lambda b, W, H: b * W * H,
    "You took the root of beta alone: the photograph's area needs it as well.": lambda b, W, H: b**0.5 * W * H,
    "That would be right if the photograph were a square; both of its sides count.": lambda b, W, H: b**0.5 * W,
    "Beta is a share of the area, and you took it of the width.": lambda b, W, H: b * W,
}
"""What each mistake answers, under what is said of it."""


def _accuracies(seed: int) -> list[tuple]:
    """Accuracies of two networks with three or four seeds: once the first is better with every seed, once worse."""
    draws, questions = draws_of(seed), []
    for n, sign in ((3, 1), (4, -1)):
        floor = between(0.4, 0.5, n, draws).sort().values  # the first seed is not the best
        shares = floor + sign * between(0.02, 0.12, n, draws)
        questions.append(tuple([round(value, 3) for value in values.tolist()] for values in (shares, floor)))
    return questions


_WRONG_GAINS = {
    "The difference is right as a share of 1; a point is a hundredth.": lambda x, floor: points_above(x, floor) / 100,
    "Your sign is the other way round: above the untrained network is positive.": lambda x, floor: points_above(
        floor, x
    ),
    "You lose the sign: a network may also fall below the untrained one.": lambda x, floor: abs(points_above(x, floor)),
    "Points are the plain difference, and not a share of the untrained network's.": lambda x, floor: (
        100 * (sum(x) / sum(floor) - 1)
    ),
    "You look at the best seed alone: with luck, any network has one.": lambda x, floor: 100 * (max(x) - max(floor)),
    "You look at the first seed alone, and threw the others away.": lambda x, floor: 100 * (x[0] - floor[0]),
    "That is the sum over the seeds, and grows with their number; the mean is asked for.": lambda x, floor: (
        100 * (sum(x) - sum(floor))
    ),
}


EXERCISES = {
    "00.share": Exercise(
        area_share,
        _shares,
        _explain_share,
        (
            Mistake(lambda w, h, W, H: W * H / (w * h), "upside down"),
            Mistake(lambda w, h, W, H: 100 * w * h / (W * H), "not percent"),
            Mistake(lambda w, h, W, H: (w + h) / (W + H), "not a sum"),
            Mistake(lambda w, h, W, H: "a lot", "one number is expected"),
        ),
        "easy",
        2,
        (
            "What is the area of a rectangle, and which of the two areas is the part?",
            "Work out both areas first, each a product of two sides; then divide the smaller by the larger.",
            "The crop's area is `width * height`. Write the photograph's in the same way, and divide by it.",
        ),
    ),
    "00.smallest": Exercise(
        smallest_side,
        _photographs,
        one_number(smallest_side, _WRONG_SIDES),
        tuple(Mistake(wrong, words) for words, wrong in _WRONG_SIDES.items()),
        "easy",
        3,
        (
            "How many pixels does the smallest crop cover? And what is the side of a square that covers so many?",
            "Its area is beta times the photograph's, and the area of a square is its side times its side.",
            "Multiply `beta`, `image_width` and `image_height`, and take the root: `** 0.5`.",
        ),
    ),
    "00.gain": Exercise(
        points_above,
        _accuracies,
        one_number(points_above, _WRONG_GAINS),
        tuple(Mistake(wrong, words) for words, wrong in _WRONG_GAINS.items()),
        "easy",
        4,
        (
            "Which two means do you need, and which is taken from which?",
            "`sum(shares) / len(shares)` is the mean over the seeds. One point is a hundredth.",
            "Write the same for `floor`, subtract it from the first, and multiply by 100.",
        ),
    ),
}

QUIZZES = {
    "00.layers": Quiz(
        "Which layers does one photograph teach well?",
        {
            "All of them.": "Then there would be nothing to discuss: the deep ones fall behind.",
            "The first ones.": "Yes: colours, edges, simple textures are in every photograph.",
            "The last ones.": "They hold what objects look like, and one photograph holds few objects.",
        },
        "The first ones.",
    )
}
