"""Notebook 00: how exercises work."""

from __future__ import annotations

from typing import Any

from course_lib.crops import area_share
from course_lib.exercises.compare import explain_numbers, numbers
from course_lib.exercises.drawing import between, draws_of
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
    )
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
