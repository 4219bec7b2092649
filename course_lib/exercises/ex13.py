"""Notebook 13: what is in a picture, how it compares with others, and how good predictions were."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
from torch import Generator, Tensor

from course_lib.exercises.compare import each, numbers, one_number
from course_lib.exercises.drawing import between, one_between, whole
from course_lib.exercises.exercise import Quiz, of_any, of_number
from course_lib.exercises.plain import name_of
from course_lib.lessons.your_image import beaten, brier, neighbours


def _greys(draws: Generator) -> list[tuple]:
    """Bright pictures that are smoother vertically than horizontally; and one of a single brightness."""
    found = []
    for height, width in ((9, 12), (14, 8)):
        rows, noise = torch.randn(height, width, generator=draws).cumsum(1), torch.randn(1, width, generator=draws)
        found.append((0.2 * rows + 0.5 * noise + 3 + 0.1 * torch.randn(height, width, generator=draws),))
    return [*found, (torch.full((5, 6), whole(2, 7, draws) / 8),)]  # a number whose mean is itself, in any precision


def _pearson(one: Tensor, other: Tensor) -> float:
    return float(torch.stack([one.flatten(), other.flatten()]).double().corrcoef()[0, 1])


def _covariance(grey: Tensor) -> float:
    return float(torch.stack([grey[:, :-1].flatten(), grey[:, 1:].flatten()]).double().cov()[0, 1])


def _cosine(grey: Tensor) -> float:
    left, right = grey[:, :-1].flatten().double(), grey[:, 1:].flatten().double()
    return float(left @ right / (left.norm() * right.norm()))


_UNLIKE: dict[str, Callable[[Tensor], float]] = {
    "Those are the pixels below; the neighbour to the right is asked for.": lambda g: _pearson(g[:-1], g[1:]),
    "The last column has no neighbour; you gave it the first.": lambda g: _pearson(g, g.roll(-1, 1)),
    "That is the covariance: it grows with the contrast. Divide by both standard deviations.": _covariance,
    "You do not subtract the means, so that any bright picture looks highly correlated.": _cosine,
    "That is a pixel and the one after next; the next is asked for.": lambda g: _pearson(g[:, :-2], g[:, 2:]),
}

_NO_SPREAD = "A picture of a single brightness has no spread, and 0 / 0 is not a number: give 0 there."


def _explain_neighbours(questions: list[tuple], answers: list[Any]) -> str:
    flat = [float(grey.std()) < 1e-6 for (grey,) in questions]
    rest = [i for i, is_flat in enumerate(flat) if not is_flat]
    problem = one_number(neighbours, _UNLIKE)([questions[i] for i in rest], [answers[i] for i in rest]) if rest else ""
    if problem:
        return problem
    given = numbers(answers[i] for i, is_flat in enumerate(flat) if is_flat)
    return _NO_SPREAD if isinstance(given, str) or any(given) else ""


def _one_way(wrong: Callable[[Tensor], float]) -> Callable[[Tensor], float]:
    """A mistake that at least gives 0 for a flat picture."""
    return lambda grey: wrong(grey) if grey.std() > 1e-6 else 0.0


_NAMES = ("waves", "sand", "a street", "a page", "leaves", "a roof", "snow", "a face")
_OFFSETS = ([-3, -1, -2], [1, -4, -2], [-1, 2, 3], [2, 1, 3])
"""How far the seeds of a picture lie from `mine`, for each kind: all below, most below, one below, none below."""


def _tables(draws: Generator) -> list[tuple]:
    """Pictures of all kinds, in random order."""
    questions = []
    for _ in range(3):
        mine = one_between(50, 60, draws, 1)
        kinds = [*range(len(_OFFSETS)), *(whole(0, len(_OFFSETS) - 1, draws) for _ in range(whole(0, 3, draws)))]
        kinds = [kinds[i] for i in torch.randperm(len(kinds), generator=draws).tolist()]
        names = [_NAMES[i] for i in torch.randperm(len(_NAMES), generator=draws).tolist()]
        accuracies = [[round(mine + offset, 1) for offset in _OFFSETS[kind]] for kind in kinds]
        questions.append((mine, names[: len(kinds)], accuracies))
    return questions


def _those(is_so: Callable[[float, list[float]], bool]) -> Callable[..., list[str]]:
    return lambda mine, names, accuracies: [n for n, by_seed in zip(names, accuracies) if is_so(mine, by_seed)]


_OTHERS: dict[str, Callable[..., list[str]]] = {
    "You compare with the mean: one seed of theirs may then be above yours.": _those(lambda m, x: m > sum(x) / len(x)),
    "You ask for one seed that is below; all of them should be.": _those(lambda m, x: m > min(x)),
    "You look at the first seed alone.": _those(lambda m, x: m > x[0]),
    "Those are the ones that beat it; it should beat them.": _those(lambda m, x: m < min(x)),
    "You also return those that it does not beat.": lambda mine, names, accuracies: names,
}


def _explain_beaten(given: Any, mine: float, names: list[str], accuracies: list[list[float]]) -> str:
    if not isinstance(given, list | tuple) or not all(isinstance(name, str) for name in given):
        return f"A list of names is expected; your function returned {name_of(given)}."
    expected, given = beaten(mine, names, accuracies), list(given)
    if given == expected:
        return ""
    if sorted(given) == sorted(expected):
        return "The right names in another order: keep the order in which they are given."
    known = (words for words, wrong in _OTHERS.items() if given == wrong(mine, names, accuracies))
    return next(known, "There are names missing, or too many; to be above every seed is to be above the largest.")


def _said(draws: Generator) -> list[tuple]:
    """How sure somebody was, and what came out; more often right than wrong in one, less often in the other."""
    return [
        ([round(x, 2) for x in between(0.35, 0.95, len(came), draws).tolist()], came)
        for came in ([True, False, True, True, False], [False, False, True, False])
    ]


def _gaps(sure: list[float], right: list[bool]) -> list[float]:
    return [one - came for one, came in zip(sure, right)]


EXERCISES = {
    "13.neighbours": of_any(
        neighbours,
        _greys,
        _explain_neighbours,
        {
            **{words: _one_way(function) for words, function in _UNLIKE.items()},
            "0 / 0 is not a number": lambda grey: _pearson(grey[:, :-1], grey[:, 1:]),
        },
        "medium · 8 minutes",
        "All pixels that have a neighbour to their right, and those neighbours: how are they cut out of the picture?",
        "`grey[:, :-1]` and `grey[:, 1:]`, flattened. Subtract the mean from each; the correlation is the mean of "
        "their product, divided by both standard deviations.",
        "`torch.corrcoef(torch.stack([left, right]))[0, 1]` is it. Before you divide, check whether `grey.std()` is "
        "above 0, and return 0.0 where it is not.",
    ),
    "13.beaten": of_any(
        beaten,
        _tables,
        each(_explain_beaten),
        {
            **_OTHERS,
            "There are names missing, or too many": lambda *question: beaten(*question)[::-1] + ["mine"],
            "A list of names is expected": lambda *question: len(beaten(*question)),
        },
        "easy · 5 minutes",
        "Yours is one number, and each picture has several. Which of them is the hardest to beat?",
        "To be above all of a list is to be above its largest: `max(...)`.",
        "Go through `zip(names, accuracies)`, and keep the name where `mine` is above the `max` of its list.",
    ),
    "13.brier": of_number(
        brier,
        _said,
        {
            "You take the size of each gap; its square is asked for.": lambda s, r: sum(map(abs, _gaps(s, r))) / len(s),
            "That is the sum over the predictions; the mean is asked for.": lambda s, r: brier(s, r) * len(s),
            "You square the mean gap; square each gap first.": lambda s, r: (sum(_gaps(s, r)) / len(s)) ** 2,
            "You compare with what did not happen: right is 1, wrong is 0.": lambda s, r: brier(s, [not x for x in r]),
            "That is its root.": lambda s, r: brier(s, r) ** 0.5,
            "Upside down: here 0 is best.": lambda s, r: 1 - brier(s, r),
            "That is the share that was right, which ignores how sure you were.": lambda s, r: sum(r) / len(r),
        },
        "easy · 4 minutes",
        "Right is 1 and wrong is 0. How far was each `sure` from what came out?",
        "In Python True is 1 and False is 0, so `one - came` is the gap. Square each gap, whatever its sign.",
        "Add up the squares over `zip(sure, right)`, and divide by their number.",
    ),
}

QUIZZES = {
    "13.one": Quiz(
        "Your photograph is above all three seeds of another. What have you shown?",
        ("That it teaches more.", "If both teach the same, yours is the best of four seeds one time in four."),
        ("That it may teach more; more seeds would tell.", "Yes: yours is a single draw, the other has three."),
        ("Nothing at all.", "A little: had it been below all three, you would now expect less of it."),
    ),
    "13.brier": Quiz(
        "Somebody always says that she is half sure, of two choices each. What is her score, and what does it say?",
        ("A quarter, whatever comes out: she says nothing.", "Yes. Anyone who scores worse should be as cautious."),
        ("Zero: she is never wrong.", "The gap is a half each time, whether she is right or not."),
        ("A half: she is right half of the time.", "The gap is a half, and its square is less."),
    ),
}
