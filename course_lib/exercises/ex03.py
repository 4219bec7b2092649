"""Notebook 03: the nearest centre, whether two groupings agree, and drawing so that no group is the best answer."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor

from course_lib.exercises.compare import difference, each, fits, one_number
from course_lib.exercises.drawing import draws_of, whole
from course_lib.exercises.exercise import Exercise, Mistake, Quiz
from course_lib.pretext.clustering import entropy, nearest, nmi
from course_lib.pretext.deepcluster import balanced


def _rows_and_centres(seed: int) -> list[tuple]:
    draws = draws_of(seed)
    questions = []
    for n, k in ((200, 9), (120, 7)):
        # Of different lengths, so that a large product is not the same as a small distance.
        lengths = torch.linspace(2, 0.3, k)[:, None]
        questions.append((torch.randn(n, 6, generator=draws), lengths * torch.randn(k, 6, generator=draws)))
    return questions


def _explain_nearest(given: Any, x: Tensor, centres: Tensor) -> str:
    expected = nearest(x, centres)
    if isinstance(given, Tensor) and given.shape == (len(centres),):
        return "You found the nearest row of every centre; asked for is the nearest centre of every row."
    if not fits(given, expected):
        return difference(given, expected)
    if given.is_floating_point() or given.is_complex():
        return "Your answer holds distances; asked for are the centres' numbers, as `argmin` gives them."
    if torch.equal(given, torch.cdist(x, centres).argmax(1)):
        return "You found the farthest centre."
    if torch.equal(given, (x @ centres.T).argmax(1)):
        return "The largest product is not the smallest distance: a long centre wins too often. Its square is missing."
    wrong = int((given != expected).sum())
    return f"{wrong} of {len(x)} rows have another centre that is nearer." if wrong else ""


def _groups(seed: int) -> list[tuple]:
    """Labels of three groups of very different sizes, in no order; some numbers between theirs are of empty groups."""
    draws = draws_of(seed)
    questions = []
    for names in ((0, 1, 4), (0, 2, 3)):
        sizes = whole(14, 18, draws), whole(2, 3, draws), whole(6, 8, draws)
        labels = torch.cat([torch.full((size,), name) for name, size in zip(names, sizes)])
        questions.append((labels[torch.randperm(len(labels), generator=draws)],))
    return questions


def _explain_balanced(given: Any, labels: Tensor) -> str:
    expected, counts = balanced(labels), torch.bincount(labels)
    wrong = difference(given, expected)
    if not wrong or not fits(given, expected):
        return wrong
    total = float(given.sum())
    if not difference(given, torch.full_like(expected, 1 / len(labels))):
        return "Every crop is as likely as every other: the largest group is then drawn most."
    if not difference(given, expected * 3 / len(counts)):
        return "Your chances count the empty groups as well; they get a share that nobody draws."
    if total and not difference(given / total, expected):
        return f"The proportions are right, but your chances add up to {total:.3g} instead of 1."
    if torch.equal(given.argsort(stable=True), counts[labels].argsort(stable=True)):
        return "The crops of large groups come out more likely, and they should be less likely."
    return wrong


def _by_size(labels: Tensor) -> Tensor:
    counts = torch.bincount(labels)[labels]
    return counts / counts.sum()


def _groupings(seed: int) -> list[tuple]:
    """Two groupings of the same rows: the second splits each group of the first into three, and then mixes some up."""
    draws, questions = draws_of(seed), []
    for n, k in ((150, 4), (240, 5)):
        one = torch.randint(0, k, (n,), generator=draws)
        other = 3 * one + torch.randint(0, 3, (n,), generator=draws)
        mixed = torch.rand(n, generator=draws) < 0.3
        questions.append((one, torch.where(mixed, torch.randint(0, 3 * k, (n,), generator=draws), other)))
    return questions


def _shared(a: Tensor, b: Tensor) -> Tensor:
    return entropy(a) + entropy(b) - _together(a, b)


def _together(a: Tensor, b: Tensor) -> Tensor:
    return entropy(a * (b.max() + 1) + b)


def _with_sums(a: Tensor, b: Tensor) -> Tensor:
    """The pairs numbered by the sum of their labels, which several share."""
    return (entropy(a) + entropy(b) - entropy(a + b)) / (entropy(a) * entropy(b)).sqrt()


_WRONG_NMI = {
    "That is what they share, in nats; divide it by the root of the product of the two entropies.": _shared,
    "You divide by the mean of the two entropies, as scikit-learn does; DeepCluster takes the root of their "
    "product.": lambda a, b: 2 * _shared(a, b) / (entropy(a) + entropy(b)),
    "You divide by the entropy of both together.": lambda a, b: _shared(a, b) / _together(a, b),
    "You divide by the product of the entropies; its root is missing.": lambda a, b: (
        _shared(a, b) / (entropy(a) * entropy(b))
    ),
    "You add the two labels, and different pairs get the same number: give each pair (a, b) its own.": _with_sums,
    "You count equal labels; but a group's number means nothing, and 7 here may be 3 there.": lambda a, b: (
        (a == b).double().mean()
    ),
    "Your sign is the other way round: together they are less surprising than each alone, added up.": lambda a, b: (
        -nmi(a, b)
    ),
}
"""What each mistake answers, under what is said of it."""


EXERCISES = {
    "03.nearest": Exercise(
        nearest,
        _rows_and_centres,
        each(_explain_nearest),
        (
            Mistake(lambda x, c: torch.cdist(x, c).argmin(0), "nearest row of every centre"),
            Mistake(lambda x, c: torch.cdist(x, c).min(1).values, "holds distances"),
            Mistake(lambda x, c: torch.cdist(x, c).argmax(1), "farthest"),
            Mistake(lambda x, c: (x @ c.T).argmax(1), "Its square is missing"),
            Mistake(lambda x, c: torch.cdist(x, c)[:, :-1].argmin(1), "rows have another centre"),
        ),
        "medium",
        8,
        (
            "Think of a table with a row for each row of x and a column for each centre. What stands in it, and what "
            "do you ask of each row?",
            "The squared distance is |x|^2 - 2 x.c + |c|^2. One of the three is the same for all centres: leave it "
            "out.",
            "`x @ centres.T` has all products. Take twice them from `centres.square().sum(1)`, and ask each row for "
            "its `argmin`.",
        ),
    ),
    "03.balanced": Exercise(
        balanced,
        _groups,
        each(_explain_balanced),
        (
            Mistake(lambda y: torch.full((len(y),), 1 / len(y)), "the largest group is then drawn most"),
            Mistake(lambda y: 1 / torch.bincount(y)[y], "your chances add up to 3"),
            Mistake(lambda y: 1 / (len(torch.bincount(y)) * torch.bincount(y)[y]), "count the empty groups"),
            Mistake(_by_size, "should be less likely"),
            Mistake(lambda y: 1 / torch.bincount(y), "has the shape"),
        ),
        "medium",
        8,
        (
            "All groups together have the chance 1. What does each group get, and how is that shared among its crops?",
            "`torch.bincount(labels)` has the size of each group; `counts[labels]` the size of each crop's group.",
            "A crop's chance is 1 / (groups that are not empty x size of its group). Count the first with `(counts > "
            "0)`.",
        ),
    ),
    "03.nmi": Exercise(
        nmi,
        _groupings,
        one_number(nmi, _WRONG_NMI),
        (
            *(Mistake(wrong, words) for words, wrong in _WRONG_NMI.items()),
            Mistake(lambda a, b: (a, b), "one number is expected"),
        ),
        "medium",
        10,
        (
            "Three entropies make it: of a, of b, and of the pairs (a, b). What do two groupings share, if each is "
            "surprising by itself, and both together hardly more than one?",
            "They share `entropy(a) + entropy(b)` less the entropy of the pairs. A pair needs a number of its own: "
            "think of two digits, of which the second goes from 0 to `b.max()`.",
            "`a * (b.max() + 1) + b` numbers the pairs. Divide what is shared by `(entropy(a) * entropy(b)).sqrt()`.",
        ),
    ),
}

QUIZZES = {
    "03.drawn": Quiz(
        "Why are the crops drawn by group, and not all equally often?",
        {
            "It is faster.": "It takes a little longer.",
            "Otherwise naming the largest group would often be right.": "Yes, whatever the crop.",
            "Otherwise some crops would never be seen.": "They would be seen as often as the others.",
        },
        "Otherwise naming the largest group would often be right.",
    )
}
