"""Notebook 10: parameters below a layer, an accuracy between two layers, the share of the way to the labels."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from course_lib.exercises.compare import each, explain_numbers, numbers, one_number
from course_lib.exercises.drawing import between, draws_of, whole
from course_lib.exercises.exercise import Exercise, Mistake, Quiz
from course_lib.exercises.plain import name_of
from course_lib.lessons.depths.depth import parameters_below, reached, read_at

_Convolutions = list[tuple[int, int, int, int]]


def _stacks(seed: int) -> list[tuple]:
    """Convolutions one after another, one of them depthwise, with filters of several sides."""
    draws = draws_of(seed)
    return [(_a_stack([3, whole(4, 9, draws), 16, 16, whole(20, 30, draws)]),) for _ in range(2)]


def _a_stack(channels: list[int]) -> _Convolutions:
    sizes, groups = (5, 3, 3, 1), (1, 1, 16, 1)
    return list(zip(channels, channels[1:], sizes, groups))


def _summed(own: Callable[[int, int, int, int], int]) -> Callable[[_Convolutions], list[int]]:
    """An answer to 10.below that counts so many parameters for each convolution."""

    def answer(convolutions: _Convolutions) -> list[int]:
        counts = [own(*one) for one in convolutions]
        return [sum(counts[: i + 1]) for i in range(len(counts))]

    return answer


def _each_alone(convolutions: _Convolutions) -> list[int]:
    totals = [0, *parameters_below(convolutions)]
    return [b - a for a, b in zip(totals, totals[1:])]


_COUNTS: dict[str, Callable[[_Convolutions], list[int]]] = {
    "You count each convolution alone: asked for is everything up to it.": _each_alone,
    "You forget the groups: a filter sees only the channels of its own group.": _summed(
        lambda taken, made, size, groups: made * taken * size**2 + 2 * made
    ),
    "You leave BatchNorm out, which has a gain and a shift for each channel that is made.": _summed(
        lambda taken, made, size, groups: made * (taken // groups) * size**2
    ),
    "Filters are squares: their side counts twice.": _summed(
        lambda taken, made, size, groups: made * (taken // groups) * size + 2 * made
    ),
    "You count a bias as well: these convolutions have none, since BatchNorm's shift would undo it.": _summed(
        lambda taken, made, size, groups: made * (taken // groups) * size**2 + 3 * made
    ),
    "BatchNorm's running mean and variance are no parameters: no gradient ever reaches them.": _summed(
        lambda taken, made, size, groups: made * (taken // groups) * size**2 + 4 * made
    ),
}


def _explain_below(given: Any, convolutions: _Convolutions) -> str:
    if not isinstance(given, list | tuple):
        return f"Your function returned {name_of(given)}, and a list of numbers is expected."
    if len(given) != len(convolutions):
        return f"There are {len(convolutions)} convolutions, and your list has {len(given)} numbers."
    if isinstance(found := numbers(given), str):
        return f"In your list: {found}"
    expected = [float(count) for count in parameters_below(convolutions)]
    wrong = {words: [float(count) for count in count_so(convolutions)] for words, count_so in _COUNTS.items()}
    return explain_numbers(found, expected, wrong)


def _curves(seed: int) -> list[tuple]:
    """A depth nearer to the layer above it, and one nearer to that below it; all accuracies far apart."""
    draws = draws_of(seed)
    return [_a_curve(n, part, draws) for n, part in ((4, 0.7), (5, 0.2))]


def _a_curve(n: int, part: float, draws: Any) -> tuple[float, list[float], list[float]]:
    depths = between(0.5, 2, n, draws).cumsum(0).tolist()
    shares = [0.3 + 0.2 * (i % 2) + float(between(0, 0.1, 1, draws)) for i in range(n)]
    i = whole(0, n - 2, draws)
    return depths[i] + part * (depths[i + 1] - depths[i]), depths, shares


def _around(depth: float, depths: list[float]) -> tuple[int, float]:
    """The layer above a depth, and the part of the way to it from the layer below."""
    above = next(i for i in range(1, len(depths)) if depths[i] >= depth)
    return above, (depth - depths[above - 1]) / (depths[above] - depths[above - 1])


def _nearest(depth: float, depths: list[float], shares: list[float]) -> float:
    above, part = _around(depth, depths)
    return shares[above if part > 0.5 else above - 1]


def _turned_round(depth: float, depths: list[float], shares: list[float]) -> float:
    above, part = _around(depth, depths)
    return part * shares[above - 1] + (1 - part) * shares[above]


def _in_the_middle(depth: float, depths: list[float], shares: list[float]) -> float:
    above, _ = _around(depth, depths)
    return (shares[above - 1] + shares[above]) / 2


def _from_end_to_end(depth: float, depths: list[float], shares: list[float]) -> float:
    return read_at(depth, [depths[0], depths[-1]], [shares[0], shares[-1]])


_READINGS: dict[str, Callable[..., float]] = {
    "You take the nearest layer: between two layers the answer moves from one to the other.": _nearest,
    "Your two weights are exchanged: the nearer layer counts more.": _turned_round,
    "You take the middle of both neighbours, wherever between them the depth lies.": _in_the_middle,
    "You draw one line from the first layer to the last, and ask no layer between them.": _from_end_to_end,
    "You take the last layer before the depth, as if nothing changed until the next.": (
        lambda depth, depths, shares: shares[_around(depth, depths)[0] - 1]
    ),
}


def _bounds(seed: int) -> list[tuple]:
    """A training between its bounds, and one that ends below the untrained network."""
    draws = draws_of(seed)
    low, high = between(0.3, 0.4, 2, draws).tolist(), between(0.6, 0.8, 2, draws).tolist()
    parts = (float(between(0.2, 0.4, 1, draws)), float(between(-0.3, -0.1, 1, draws)))
    return [(a + part * (b - a), a, b) for a, b, part in zip(low, high, parts)]


_SHARES: dict[str, Callable[[float, float, float], float]] = {
    "You divide by the accuracy of the labels: what the untrained network can do counts as learned.": (
        lambda trained, random, supervised: trained / supervised
    ),
    "That is the gain in accuracy; asked for is its share of the whole way.": (
        lambda trained, random, supervised: trained - random
    ),
    "The way ends at the labels, and not at an accuracy of one.": (
        lambda trained, random, supervised: (trained - random) / (1 - random)
    ),
    "That is the share of the way that is missing.": (
        lambda trained, random, supervised: (supervised - trained) / (supervised - random)
    ),
    "The way begins at the untrained network: take it out of the labels' accuracy too.": (
        lambda trained, random, supervised: (trained - random) / supervised
    ),
    "A training can do harm: a share below zero is an answer, too.": (
        lambda trained, random, supervised: max(0.0, reached(trained, random, supervised))
    ),
}


EXERCISES = {
    "10.below": Exercise(
        parameters_below,
        _stacks,
        each(_explain_below),
        (
            *(Mistake(function, words) for words, function in _COUNTS.items()),
            Mistake(lambda convolutions: parameters_below(convolutions)[-1], "and a list of numbers is expected"),
        ),
        "medium",
        7,
        (
            "How many numbers does one filter hold? How many filters are there? BatchNorm comes on top.",
            "A filter has size x size numbers for each channel that it sees, and it sees taken / groups of them. "
            "BatchNorm has two numbers for each channel that is made.",
            "Keep a running total: add `made * (taken // groups) * size**2 + 2 * made` for each, and note it.",
        ),
    ),
    "10.read": Exercise(
        read_at,
        _curves,
        one_number(read_at, _READINGS),
        tuple(Mistake(function, words) for words, function in _READINGS.items()),
        "medium",
        6,
        (
            "Which two layers lie on either side of the depth? And how far is it from the one to the other?",
            "With `part` = (depth - before) / (after - before), 0 at the layer before and 1 at the layer after: what "
            "mixture of their two accuracies is it?",
            "The accuracy before, plus `part` times what is gained from there to the layer after. `np.interp` does it, "
            "too.",
        ),
    ),
    "10.reached": Exercise(
        reached,
        _bounds,
        one_number(reached, _SHARES),
        tuple(Mistake(function, words) for words, function in _SHARES.items()),
        "easy",
        4,
        (
            "Where does the way begin, where does it end, and how far along is the training?",
            "Take the untrained network's accuracy out of both others, and divide one by the other.",
            "(trained - random) / (supervised - random), without any bounds on what comes out.",
        ),
    ),
}

QUIZZES = {
    "10.index": Quiz(
        "The fifth convolution of a ResNet-18 reads labels worse than AlexNet's conv5. What follows?",
        {
            "AlexNet learns better features.": "The two are asked at quite different places of their networks.",
            "Nothing yet: the one ends its network, the other has hardly begun.": (
                "Yes: it sees a small part of the picture, through a handful of weights."
            ),
            "ResNets need more steps.": "They may. This comparison does not show it.",
        },
        "Nothing yet: the one ends its network, the other has hardly begun.",
    ),
    "10.bounds": Quiz(
        "Untrained, a ResNet's last stage reads labels worse than AlexNet's. Why does that matter here?",
        {
            "It shows that the ResNet is broken.": "Random filters lose more the more of them there are in a row.",
            "It does not: only trained networks count.": "Then architecture and learning cannot be told apart.",
            "Because a training must be held against its own start.": (
                "Yes: the same accuracy is a gain for one of them and a loss for the other."
            ),
        },
        "Because a training must be held against its own start.",
    ),
}
