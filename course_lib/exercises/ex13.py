"""Notebook 13: what is in a picture, where it stands among others, and how good predictions were."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor

from course_lib.exercises.compare import each, numbers, one_number
from course_lib.exercises.drawing import between, draws_of, whole
from course_lib.exercises.exercise import Exercise, Mistake, Quiz
from course_lib.exercises.plain import name_of
from course_lib.lessons.your_image.measures import brier, neighbours
from course_lib.lessons.your_image.standing import beaten


def _greys(seed: int) -> list[tuple]:
    """Bright pictures that are smoother from above to below than from left to right; and one of one brightness."""
    draws = draws_of(seed)
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
    "The last column has no neighbour; yours is the first column, from the other side.": (
        lambda g: _pearson(g, g.roll(-1, 1))
    ),
    "That is the covariance: it grows with the contrast. Divide by both standard deviations.": _covariance,
    "You take no means out, so that any bright picture looks alike.": _cosine,
    "A pixel and the one after next; the next is asked for.": lambda g: _pearson(g[:, :-2], g[:, 2:]),
}
"""What each mistake answers, under what is said of it."""

_NO_SPREAD = "A picture of one brightness has no spread, and 0 / 0 is no number: give 0 there."


def _explain_neighbours(questions: list[tuple], answers: list[Any]) -> str:
    flat = [float(grey.std()) < 1e-6 for (grey,) in questions]
    rest = [i for i, is_flat in enumerate(flat) if not is_flat]
    problem = one_number(neighbours, _UNLIKE)([questions[i] for i in rest], [answers[i] for i in rest]) if rest else ""
    if problem:
        return problem
    given = numbers(answers[i] for i, is_flat in enumerate(flat) if is_flat)
    return _NO_SPREAD if isinstance(given, str) or any(given) else ""


def _one_way(wrong: Callable[[Tensor], float]) -> Callable[[Tensor], float]:
    """A mistake that knows, at least, that a flat picture gives 0."""
    return lambda grey: wrong(grey) if grey.std() > 1e-6 else 0.0


_NAMES = ("waves", "sand", "a street", "a page", "leaves", "a roof", "snow", "a face")


def _tables(seed: int) -> list[tuple]:
    """Pictures of all kinds: all seeds below, most below, one below, none below."""
    draws, questions = draws_of(seed), []
    for _ in range(3):
        mine = round(float(between(50, 60, 1, draws)), 1)
        kinds = [*range(len(_OFFSETS)), *(whole(0, len(_OFFSETS) - 1, draws) for _ in range(whole(0, 3, draws)))]
        kinds = [kinds[i] for i in torch.randperm(len(kinds), generator=draws).tolist()]
        names = [_NAMES[i] for i in torch.randperm(len(_NAMES), generator=draws).tolist()]
        accuracies = [[round(mine + offset, 1) for offset in _OFFSETS[kind]] for kind in kinds]
        questions.append((mine, names[: len(kinds)], accuracies))
    return questions


_OFFSETS = ([-3, -1, -2], [1, -4, -2], [-1, 2, 3], [2, 1, 3])
"""How far the seeds of a picture lie from `mine`, for each kind."""


def _those(is_so: Callable[[float, list[float]], bool]) -> Callable[..., list[str]]:
    return lambda mine, names, accuracies: [n for n, by_seed in zip(names, accuracies) if is_so(mine, by_seed)]


_OTHERS: dict[str, Callable[..., list[str]]] = {
    "You compare with the mean: one lucky seed of theirs is then above yours.": _those(
        lambda m, x: m > sum(x) / len(x)
    ),
    "You ask for one seed that is below; all of them are to be.": _those(lambda m, x: m > min(x)),
    "You look at the first seed alone.": _those(lambda m, x: m > x[0]),
    "Those are the ones that beat it; the other way round.": _those(lambda m, x: m < min(x)),
    "You give those that it is not above, too.": lambda mine, names, accuracies: names,
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
    return next(known, "Some names are missing, or too many; above every seed, that is above the largest.")


def _said(seed: int) -> list[tuple]:
    """How sure somebody was, and what came out; more often right than wrong in one, less often in the other."""
    draws = draws_of(seed)
    return [
        ([round(x, 2) for x in between(0.35, 0.95, len(came), draws).tolist()], came)
        for came in ([True, False, True, True, False], [False, False, True, False])
    ]


def _gaps(sure: list[float], right: list[bool]) -> list[float]:
    return [one - came for one, came in zip(sure, right)]


_SCORES: dict[str, Callable[[list[float], list[bool]], float]] = {
    "You take the size of each gap; its square is asked for.": lambda s, r: sum(map(abs, _gaps(s, r))) / len(s),
    "That is the sum, and grows with the number of predictions; the mean is asked for.": lambda s, r: (
        brier(s, r) * len(s)
    ),
    "The square of the mean gap lets too sure and too unsure cancel; square first.": lambda s, r: (
        (sum(_gaps(s, r)) / len(s)) ** 2
    ),
    "You hold it against what did not come out: right is 1, wrong is 0.": lambda s, r: brier(s, [not x for x in r]),
    "That is its root.": lambda s, r: brier(s, r) ** 0.5,
    "Upside down: here 0 is best.": lambda s, r: 1 - brier(s, r),
    "That is the share that was right, and does not ask how sure you were.": lambda s, r: sum(r) / len(r),
}

EXERCISES = {
    "13.neighbours": Exercise(
        neighbours,
        _greys,
        _explain_neighbours,
        (
            *(Mistake(_one_way(function), words) for words, function in _UNLIKE.items()),
            Mistake(lambda grey: _pearson(grey[:, :-1], grey[:, 1:]), "0 / 0 is no number"),
        ),
        "medium",
        8,
        (
            "Two lists of numbers: all pixels that have a neighbour to their right, and those neighbours. How are they "
            "cut out of the picture?",
            "`grey[:, :-1]` and `grey[:, 1:]`, flattened. Take the mean out of each; the correlation is the mean of "
            "their product, divided by both standard deviations.",
            "`torch.corrcoef(torch.stack([left, right]))[0, 1]` is it. Before you divide, look whether `grey.std()` is "
            "above 0, and return 0.0 where it is not.",
        ),
    ),
    "13.beaten": Exercise(
        beaten,
        _tables,
        each(_explain_beaten),
        (
            *(Mistake(function, words) for words, function in _OTHERS.items()),
            Mistake(lambda *question: beaten(*question)[::-1] + ["mine"], "Some names are missing, or too many"),
            Mistake(lambda *question: len(beaten(*question)), "A list of names is expected"),
        ),
        "easy",
        5,
        (
            "Yours is one number, and each picture has several. Which of them is the hardest to be above?",
            "Above all of a list is above its largest: `max(...)`.",
            "Go through `zip(names, accuracies)`, and keep the name where `mine` is above the `max` of its list.",
        ),
    ),
    "13.brier": Exercise(
        brier,
        _said,
        one_number(brier, _SCORES),
        tuple(Mistake(function, words) for words, function in _SCORES.items()),
        "easy",
        4,
        (
            "Right is 1 and wrong is 0. How far was each `sure` from what came out?",
            "In Python True is 1 and False is 0, so that `one - came` is the gap. Square each gap, whatever its sign.",
            "Add up the squares over `zip(sure, right)`, and divide by how many there are.",
        ),
    ),
}

QUIZZES = {
    "13.one": Quiz(
        "Your photograph is above all three seeds of another. What have you shown?",
        {
            "That it teaches more than the other.": "If both taught the same, the best of four seeds would still be "
            "yours one time in four.",
            "That it may teach more; a few more seeds of yours would tell.": "Yes: one seed is one throw, and the "
            "others were thrown three times.",
            "Nothing at all.": "A little: had it been below all three, you would now expect less of it.",
        },
        "That it may teach more; a few more seeds of yours would tell.",
    ),
    "13.brier": Quiz(
        "Somebody always says that she is half sure, of two choices each. What is her score, and what does it say?",
        {
            "A quarter, whatever comes out: she never says anything.": "Yes. Whoever scores worse would do better to "
            "be as modest.",
            "Zero: she is never wrong.": "The gap is a half each time, whether it comes out or not.",
            "A half: she is right half of the time.": "The gap is a half, and its square is less.",
        },
        "A quarter, whatever comes out: she never says anything.",
    ),
}
