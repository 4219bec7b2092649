"""Notebook 03: the nearest centre, whether two groupings agree, and drawing crops so that no group is a good guess."""

from __future__ import annotations

from typing import Any

import torch
from torch import Generator, Tensor

from course_lib.exercises.compare import difference, each, fits
from course_lib.exercises.drawing import for_each, whole
from course_lib.exercises.exercise import Quiz, of_any, of_number, of_tensor
from course_lib.lessons.methods import nearest
from course_lib.pretext.clustering import entropy, nmi
from course_lib.pretext.deepcluster import balanced


def _rows_and_centres(n: int, k: int, draws: Generator) -> tuple[Tensor, Tensor]:
    """Centres of different lengths, so that a large product is not the same as a small distance."""
    rows = torch.randn(n, 6, generator=draws)
    return rows, torch.linspace(2, 0.3, k)[:, None] * torch.randn(k, 6, generator=draws)


def _explain_nearest(given: Any, x: Tensor, centres: Tensor) -> str:
    expected = nearest(x, centres)
    if isinstance(given, Tensor) and given.shape == (len(centres),):
        return "You found the nearest row of every centre; the nearest centre of every row is asked for."
    if not fits(given, expected):
        return difference(given, expected)
    if given.is_floating_point() or given.is_complex():
        return "Your answer holds distances; the numbers of the centres are asked for, as `argmin` gives them."
    if torch.equal(given, torch.cdist(x, centres).argmax(1)):
        return "You found the farthest centre."
    if torch.equal(given, (x @ centres.T).argmax(1)):
        return "The largest product is not the smallest distance: a long centre wins too often. Its square is missing."
    wrong = int((given != expected).sum())
    return f"For {wrong} of {len(x)} rows, another centre is nearer." if wrong else ""


def _groups(names: list[int], draws: Generator) -> tuple[Tensor]:
    """Labels of three groups of very different sizes, in random order; some labels between them have no rows."""
    sizes = whole(14, 18, draws), whole(2, 3, draws), whole(6, 8, draws)
    labels = torch.cat([torch.full((size,), name) for name, size in zip(names, sizes)])
    return (labels[torch.randperm(len(labels), generator=draws)],)


def _proportions(given: Tensor, expected: Tensor, labels: Tensor) -> str:
    total, counts = float(given.sum()), torch.bincount(labels)
    if total and not difference(given / total, expected):
        return f"The proportions are right, but your probabilities add up to {total:.3g} instead of 1."
    if torch.equal(given.argsort(stable=True), counts[labels].argsort(stable=True)):
        return "You make the crops of large groups more likely, and they should be less likely."
    return ""


def _groupings(n: int, k: int, draws: Generator) -> tuple[Tensor, Tensor]:
    """Two groupings of the same rows: the second splits each group of the first into three, and then mixes some up."""
    one = torch.randint(0, k, (n,), generator=draws)
    other = 3 * one + torch.randint(0, 3, (n,), generator=draws)
    mixed = torch.rand(n, generator=draws) < 0.3
    return one, torch.where(mixed, torch.randint(0, 3 * k, (n,), generator=draws), other)


def _shared(a: Tensor, b: Tensor) -> Tensor:
    return entropy(a) + entropy(b) - _together(a, b)


def _together(a: Tensor, b: Tensor) -> Tensor:
    return entropy(a * (b.max() + 1) + b)


def _with_sums(a: Tensor, b: Tensor) -> Tensor:
    """Pairs numbered by the sum of their labels, so that different pairs get the same number."""
    return (entropy(a) + entropy(b) - entropy(a + b)) / (entropy(a) * entropy(b)).sqrt()


EXERCISES = {
    "03.nearest": of_any(
        nearest,
        for_each(_rows_and_centres, (200, 9), (120, 7)),
        each(_explain_nearest),
        {
            "nearest row of every centre": lambda x, c: torch.cdist(x, c).argmin(0),
            "holds distances": lambda x, c: torch.cdist(x, c).min(1).values,
            "farthest": lambda x, c: torch.cdist(x, c).argmax(1),
            "Its square is missing": lambda x, c: (x @ c.T).argmax(1),
            "rows, another centre is nearer": lambda x, c: torch.cdist(x, c)[:, :-1].argmin(1),
        },
        "medium · 8 minutes",
        "Think of a table, a row for each row of x, a column for each centre. What does it hold? What do you look for?",
        "The squared distance is |x|^2 - 2 x.c + |c|^2. One of the three is the same for all centres: leave it out.",
        "Subtract twice `x @ centres.T` from `centres.square().sum(1)`, and take the `argmin` of each row.",
    ),
    "03.balanced": of_tensor(
        balanced,
        for_each(_groups, ([0, 1, 4],), ([0, 2, 3],)),
        {
            "Every crop is equally likely, so the largest group is drawn most.": lambda y: torch.ones(len(y)) / len(y),
            "You count empty groups, whose share is never drawn.": lambda y: 1 / ((y.max() + 1) * torch.bincount(y)[y]),
        },
        "medium · 8 minutes",
        "All groups together have the probability 1. What does each group get, and how is that shared among its crops?",
        "`torch.bincount(labels)` has the size of each group; `counts[labels]` the size of each crop's group.",
        "A crop's probability is 1 / (number of groups with `counts > 0` x size of its group).",
        others={
            "your probabilities add up to 3": lambda y: 1 / torch.bincount(y)[y],
            "should be less likely": lambda y: torch.bincount(y)[y] / torch.bincount(y)[y].sum(),
            "has the shape": lambda y: 1 / torch.bincount(y),
        },
        further=_proportions,
    ),
    "03.nmi": of_number(
        nmi,
        for_each(_groupings, (150, 4), (240, 5)),
        {
            "That is what they share, in nats; divide it by the root of the product of the two entropies.": _shared,
            "You divide by the mean of the two entropies, as scikit-learn does; DeepCluster takes the root of their "
            "product.": lambda a, b: 2 * _shared(a, b) / (entropy(a) + entropy(b)),
            "You divide by the entropy of both together.": lambda a, b: _shared(a, b) / _together(a, b),
            "Take the root of the product of the entropies.": lambda a, b: _shared(a, b) / (entropy(a) * entropy(b)),
            "You add the two labels, so that different pairs get the same number: each pair needs its own.": _with_sums,
            "You count equal labels, but a group may be 7 here and 3 there.": lambda a, b: (a == b).double().mean(),
            "Your sign is wrong: subtract the entropy of the pairs from the sum of the two.": lambda a, b: -nmi(a, b),
        },
        "medium · 10 minutes",
        "It takes three entropies: of a, of b, and of the pairs (a, b). How much do two groupings share if the pairs "
        "are hardly more surprising than a alone?",
        "They share `entropy(a) + entropy(b)` minus the entropy of the pairs. Each pair needs a number of its own: "
        "think of two digits, the second of which runs from 0 to `b.max()`.",
        "`a * (b.max() + 1) + b` numbers the pairs. Divide what is shared by `(entropy(a) * entropy(b)).sqrt()`.",
        others={"one number is expected": lambda a, b: (a, b)},
    ),
}

QUIZZES = {
    "03.drawn": Quiz(
        "Why are the crops drawn by group, and not all equally often?",
        ("It is faster.", "It takes a little longer."),
        ("Otherwise naming the largest group would often be right.", "Yes, whatever the crop."),
        ("Otherwise some crops would never be seen.", "They would be seen as often as the others."),
    )
}
