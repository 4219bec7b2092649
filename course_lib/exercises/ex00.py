"""Notebook 00: how exercises work."""

from __future__ import annotations

from torch import Generator

from course_lib.exercises.drawing import between, whole
from course_lib.exercises.exercise import Quiz, of_number
from course_lib.lessons.story import area_share, points_above, smallest_side


def _sides(draws: Generator) -> list[tuple]:
    crops = zip(between(10, 60, 3, draws).tolist(), between(10, 60, 3, draws).tolist())
    images = zip(between(100, 300, 3, draws).tolist(), between(80, 200, 3, draws).tolist())
    return [(round(w), round(h), round(W), round(H)) for (w, h), (W, H) in zip(crops, images)]


def _photographs(draws: Generator) -> list[tuple]:
    """Shares of the area, and photographs that are clearly wider than high."""
    widths = [whole(400, 900, draws) for _ in range(3)]
    heights = [round(width * share) for width, share in zip(widths, between(0.4, 0.7, 3, draws).tolist())]
    return [(round(beta, 4), w, h) for beta, w, h in zip(between(0.001, 0.02, 3, draws).tolist(), widths, heights)]


def _accuracies(draws: Generator) -> list[tuple]:
    """Accuracies of two networks with three or four seeds: first better with every seed, then worse."""
    questions = []
    for n, sign in ((3, 1), (4, -1)):
        floor = between(0.4, 0.5, n, draws).sort().values  # the first seed is not the best
        shares = floor + sign * between(0.02, 0.12, n, draws)
        questions.append(tuple([round(value, 3) for value in values.tolist()] for values in (shares, floor)))
    return questions


EXERCISES = {
    "00.share": of_number(
        area_share,
        _sides,
        {
            "It is upside down: the crop is the part, the photograph the whole.": lambda w, h, W, H: W * H / (w * h),
            "A share between 0 and 1 is asked for, not percent.": lambda w, h, W, H: 100 * w * h / (W * H),
            "An area is the product of two sides, not their sum.": lambda w, h, W, H: (w + h) / (W + H),
        },
        "easy · 2 minutes",
        "What is the area of a rectangle, and which of the two areas is the part?",
        "Work out both areas first, each a product of two sides; then divide the smaller by the larger.",
        "The crop's area is `width * height`. Write the photograph's in the same way, and divide by it.",
        others={"one number is expected": lambda w, h, W, H: "a lot"},
    ),
    "00.smallest": of_number(
        smallest_side,
        _photographs,
        {
            "That is the area of the smallest crop; what is the side of such a square?": lambda b, W, H: b * W * H,
            "You took the root of beta alone; the area's root is needed as well.": lambda b, W, H: b**0.5 * W * H,
            "That would be right if the photograph were square; both of its sides count.": lambda b, W, H: b**0.5 * W,
            "Beta is a share of the area, and you took it of the width.": lambda b, W, H: b * W,
        },
        "easy · 3 minutes",
        "How many pixels does the smallest crop cover? And what is the side of a square with that many pixels?",
        "Its area is beta times the photograph's, and the area of a square is its side times its side.",
        "Multiply `beta`, `image_width` and `image_height`, and take the root: `** 0.5`.",
    ),
    "00.gain": of_number(
        points_above,
        _accuracies,
        {
            "The difference is right as a share of 1; a point is a hundredth.": lambda x, y: points_above(x, y) / 100,
            "Your sign is wrong: above the untrained network is positive.": lambda x, y: points_above(y, x),
            "You lose the sign: a network may also fall below the untrained one.": lambda x, y: abs(points_above(x, y)),
            "A point is a hundredth, not a percent of the other accuracy.": lambda x, y: 100 * (sum(x) / sum(y) - 1),
            "You use the best seed alone: with luck, any network has a good one.": lambda x, y: 100 * (max(x) - max(y)),
            "You use the first seed alone, and throw the others away.": lambda x, y: 100 * (x[0] - y[0]),
            "That is the sum over the seeds; their mean is asked for.": lambda x, y: 100 * (sum(x) - sum(y)),
        },
        "easy · 4 minutes",
        "Which two means do you need, and which is subtracted from which?",
        "`sum(shares) / len(shares)` is the mean over the seeds. One point is a hundredth.",
        "Write the same for `floor`, subtract it from the first, and multiply by 100.",
    ),
}

QUIZZES = {
    "00.layers": Quiz(
        "Which layers does one photograph teach well?",
        ("All of them.", "Then there would be nothing to discuss: the deep ones fall behind."),
        ("The first ones.", "Yes: colours, edges and simple textures are in every photograph."),
        ("The last ones.", "They represent what objects look like, and one photograph holds few objects."),
    )
}
