"""Notebook 10: parameters below a layer, an accuracy between two layers, the share of the way to the labels."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from torch import Generator

from course_lib.exercises.compare import each, explain_numbers, numbers
from course_lib.exercises.drawing import between, for_each, whole
from course_lib.exercises.exercise import Quiz, of_any, of_number
from course_lib.exercises.plain import name_of
from course_lib.lessons.depths.depth import parameters_below, reached, read_at

_Convolutions = list[tuple[int, int, int, int]]


def _stacks(draws: Generator) -> list[tuple]:
    """Convolutions one after another, one of them depthwise, with filters of several sizes."""
    return [(_a_stack([3, whole(4, 9, draws), 16, 16, whole(20, 30, draws)]),) for _ in range(2)]


def _a_stack(channels: list[int]) -> _Convolutions:
    sizes, groups = (5, 3, 3, 1), (1, 1, 16, 1)
    return list(zip(channels, channels[1:], sizes, groups))


def _counted(grouped: bool = True, power: int = 2, norm: int = 2) -> Callable[[_Convolutions], list[int]]:
    """Answers to 10.below: with groups or without, the filter's size to a power, and so many numbers per channel."""

    def answer(convolutions: _Convolutions) -> list[int]:
        counts = [
            made * (taken // groups if grouped else taken) * size**power + norm * made
            for taken, made, size, groups in convolutions
        ]
        return [sum(counts[: i + 1]) for i in range(len(counts))]

    return answer


def _each_alone(convolutions: _Convolutions) -> list[int]:
    totals = [0, *parameters_below(convolutions)]
    return [b - a for a, b in zip(totals, totals[1:])]


_COUNTS: dict[str, Callable[[_Convolutions], list[int]]] = {
    "You count each convolution alone: everything up to it is asked for.": _each_alone,
    "You forget the groups: a filter sees only the channels of its own group.": _counted(grouped=False),
    "You leave BatchNorm out, which has a gain and a shift for each output channel.": _counted(norm=0),
    "Filters are squares: their size counts twice.": _counted(power=1),
    "You count a bias as well: these convolutions have none, since BatchNorm's shift would undo it.": _counted(norm=3),
    "BatchNorm's running mean and variance are not parameters: no gradient ever reaches them.": _counted(norm=4),
}


def _explain_below(given: Any, convolutions: _Convolutions) -> str:
    if not isinstance(given, list | tuple):
        return f"Your function returned {name_of(given)}, and a list of numbers is expected."
    if len(given) != len(convolutions):
        return f"There are {len(convolutions)} convolutions, and your list has {len(given)} numbers."
    if isinstance(found := numbers(given), str):
        return f"In your list: {found}"
    wrong = {words: count(convolutions) for words, count in _COUNTS.items()}
    return explain_numbers(found, parameters_below(convolutions), wrong)


def _curve(n: int, part: float, draws: Generator) -> tuple[float, list[float], list[float]]:
    """A depth at a part of the way from one layer to the next, and n layers with accuracies far apart."""
    depths = between(0.5, 2, n, draws).cumsum(0).tolist()
    shares = [0.3 + 0.2 * (i % 2) + float(between(0, 0.1, 1, draws)) for i in range(n)]
    i = whole(0, n - 2, draws)
    return depths[i] + part * (depths[i + 1] - depths[i]), depths, shares


def _mixed(weight: Callable[[float], float]) -> Callable[..., float]:
    """The accuracies of both neighbours of a depth, mixed by a weight that follows from the part of the way up."""

    def answer(depth: float, depths: list[float], shares: list[float]) -> float:
        i = next(i for i in range(1, len(depths)) if depths[i] >= depth)
        w = weight((depth - depths[i - 1]) / (depths[i] - depths[i - 1]))
        return w * shares[i] + (1 - w) * shares[i - 1]

    return answer


def _bounds(draws: Generator) -> list[tuple]:
    """A network between its bounds, and one that ends below the untrained network."""
    low, high = between(0.3, 0.4, 2, draws).tolist(), between(0.6, 0.8, 2, draws).tolist()
    parts = (float(between(0.2, 0.4, 1, draws)), float(between(-0.3, -0.1, 1, draws)))
    return [(a + part * (b - a), a, b) for a, b, part in zip(low, high, parts)]


EXERCISES = {
    "10.below": of_any(
        parameters_below,
        _stacks,
        each(_explain_below),
        {
            **_COUNTS,
            "and a list of numbers is expected": lambda convolutions: parameters_below(convolutions)[-1],
        },
        "medium · 7 minutes",
        "How many numbers does one filter hold? How many filters are there? BatchNorm comes on top.",
        "A filter has size x size numbers for each channel that it sees, and it sees taken / groups of them. "
        "BatchNorm has two numbers for each output channel.",
        "Keep a running total: for each, add `made * (taken // groups) * size**2 + 2 * made`, and note the total.",
    ),
    "10.read": of_number(
        read_at,
        for_each(_curve, (4, 0.7), (5, 0.2)),
        {
            "You take the nearest layer: between two layers the answer moves from one to the other.": _mixed(round),
            "Your two weights are swapped: the nearer layer counts more.": _mixed(lambda part: 1 - part),
            "You take the middle of both neighbours, wherever between them the depth lies.": _mixed(lambda part: 0.5),
            "You draw one line from the first layer to the last, and use no layer between them.": (
                lambda depth, depths, shares: read_at(depth, [depths[0], depths[-1]], [shares[0], shares[-1]])
            ),
            "You take the last layer before the depth, as if nothing changed until the next.": _mixed(lambda part: 0),
        },
        "medium · 6 minutes",
        "Which two layers lie on either side of the depth? And how far is it from the one to the other?",
        "With `part` = (depth - before) / (after - before), 0 at the layer before and 1 at the layer after: what "
        "mixture of their two accuracies is it?",
        "The accuracy before, plus `part` times what is gained by the layer after. `np.interp` does it, too.",
    ),
    "10.reached": of_number(
        reached,
        _bounds,
        {
            "You divide by the labels' accuracy, as if an untrained network could do nothing.": lambda t, r, s: t / s,
            "That is the gain in accuracy; its share of the whole way is asked for.": lambda t, r, s: t - r,
            "The way ends at the labels' accuracy, and not at an accuracy of one.": lambda t, r, s: (t - r) / (1 - r),
            "That is the share of the way that is missing.": lambda t, r, s: (s - t) / (s - r),
            "The way begins at the untrained network: subtract it from both accuracies.": lambda t, r, s: (t - r) / s,
            "Training can do harm: a share below zero is an answer, too.": lambda t, r, s: max(0.0, reached(t, r, s)),
        },
        "easy · 4 minutes",
        "Where does the way begin, where does it end, and how far along is the trained network?",
        "Subtract the untrained network's accuracy from both others, and divide one by the other.",
        "(trained - random) / (supervised - random), without any bounds on the result.",
    ),
}

QUIZZES = {
    "10.index": Quiz(
        "A probe of a ResNet-18's fifth convolution reads labels worse than one of AlexNet's conv5. What follows?",
        ("AlexNet learns better features.", "The two lie at quite different places of their networks."),
        ("Nothing yet: one ends its network, the other has hardly begun.", "Yes: it sees little of the picture."),
        ("ResNets need more steps.", "They may. This comparison does not show it."),
    ),
    "10.bounds": Quiz(
        "Untrained, a ResNet's last stage reads labels worse than AlexNet's. Why does that matter here?",
        ("It shows that the ResNet is broken.", "Random filters lose more the more of them there are in a row."),
        ("It does not: only trained networks count.", "Then architecture and learning cannot be told apart."),
        ("Because each must be compared with itself untrained.", "Yes: a gain for one is a loss for another."),
    ),
}
