"""Notebook 08: from numbers of several seeds to a verdict."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pandas as pd
import torch
from scipy.special import stdtrit

from course_lib.evidence.intervals import FAILS, HOLDS, UNDECIDED, above, interval, paired
from course_lib.exercises.compare import each, numbers
from course_lib.exercises.drawing import between, draws_of, whole
from course_lib.exercises.exercise import Exercise, Mistake, Quiz
from course_lib.exercises.plain import name_of


def _series(seed: int) -> list[tuple]:
    """Accuracies by seed, of which the second has one seed more, in the opposite order; each is better at times."""
    draws = draws_of(seed)
    pairs = []
    for seeds in ([0, 1, 3], [2, 4, 5, 9]):
        one = between(50, 56, len(seeds), draws)
        other = one + between(0.5, 3, len(seeds), draws) * (-1) ** torch.arange(len(seeds))
        pairs.append((pd.Series(one.tolist(), seeds), pd.Series([*other.flip(0).tolist(), 60.0], [*seeds[::-1], 7])))
    return pairs


def _explain_paired(given: Any, one: pd.Series, other: pd.Series) -> str:
    expected = paired(one, other)
    if not isinstance(given, pd.Series):
        return f"A value for each seed is expected, as a Series; your function returned {name_of(given)}."
    if given.isna().any():
        return "A seed that only one of the two has gives no difference, and yours are not a number there."
    if sorted(given.index) != sorted(expected.index):
        return "Your answer has other seeds than those that both networks have."
    given = given.reindex(expected.index)
    if np.allclose(given, expected):
        return ""
    if np.allclose(given, -expected):
        return "Your sign is the other way round: the first less the second."
    if np.allclose(given, expected.abs()):
        return "You give the size of the differences, and lose which of the two was better."
    return "The differences are not those of one seed with itself; are the two lists in another order?"


def _by_place(one: pd.Series, other: pd.Series) -> np.ndarray:
    return one.to_numpy() - other.to_numpy()[: len(one)]


def _points(seed: int) -> list[tuple]:
    draws = draws_of(seed)
    return [([round(point, 3) for point in between(0, 2, n, draws).square().tolist()],) for n in (5, 8)]


def _explain_interval(given: Any, points: list[float]) -> str:
    if not isinstance(given, tuple | list) or len(given) != 2:
        return "Two numbers are expected: return low, high."
    ends = numbers(given)
    if isinstance(ends, str):
        return ends
    (low, high), n, spread = interval(points), len(points), pd.Series(points).std()
    if np.allclose(ends, (low, high), atol=1e-6):
        return ""
    if np.allclose(ends, (high, low), atol=1e-6):
        return "The two ends are swapped: low comes first."
    if not np.isclose(sum(ends) / 2, np.mean(points)):
        return "Your interval does not lie about the mean."
    reach, right = (ends[1] - ends[0]) / 2, (high - low) / 2
    if np.isclose(reach, right * n**0.5):
        return "That is where one more seed may fall; the mean of several is known better, by the root of their number."
    if np.isclose(reach, 1.96 * spread / n**0.5, rtol=1e-2):
        return "With 1.96 you act as if the spread were known; it is only guessed, and Student's t allows for that."
    if np.isclose(reach, right * ((n - 1) / n) ** 0.5):
        return "Your spread divides by n; a spread about a mean from the same numbers divides by n - 1."
    return "Right in the middle, but not in its reach."


def _about(points: list[float], reach: float) -> tuple[float, float]:
    """An interval about the mean, by so many standard deviations."""
    middle, spread = pd.Series(points).mean(), pd.Series(points).std()
    return float(middle - reach * spread), float(middle + reach * spread)


def _t(points: list[float]) -> float:
    return float(stdtrit(len(points) - 1, 0.975))


def _intervals(seed: int) -> list[tuple]:
    """Above a bound of 0, below it and about it; and the same for another bound, far above 0: two or three of each, in
    any order."""
    draws, questions = draws_of(seed), []
    for bound in (0.0, round(float(between(3, 5, 1, draws)), 2)):
        for low, high in ((0.1, 2), (-2, -0.1), (-1, 1)):
            for _ in range(whole(2, 3, draws)):
                ends = sorted(between(low, high, 2, draws).tolist()) if low * high > 0 else _about_zero(draws)
                questions.append((*(round(bound + end, 2) for end in ends), bound))
    return [questions[i] for i in torch.randperm(len(questions), generator=draws).tolist()]


def _about_zero(draws: torch.Generator) -> tuple[float, float]:
    """The ends of an interval with 0 inside."""
    below, beyond = between(0.1, 1, 2, draws).tolist()
    return -below, beyond


def _explain_above(questions: list[tuple], answers: list[Any]) -> str:
    if any(answer not in (HOLDS, FAILS, UNDECIDED) for answer in answers):
        return f"Each answer is one of the three words {HOLDS!r}, {FAILS!r} and {UNDECIDED!r}."
    expected = [above(*question) for question in questions]
    if answers == expected:
        return ""
    for words, wrong in _JUDGED.items():
        if answers == [wrong(*question) for question in questions]:
            return words
    return "At least one interval is judged wrongly. Is the bound below it, above it, or inside?"


_JUDGED: dict[str, Callable[[float, float, float], str]] = {
    "Right for a bound of 0; another bound is not looked at.": lambda low, high, b: above(low, high, 0),
    "An interval with the bound inside it decides nothing, and you decide by its middle.": lambda low, high, b: (
        HOLDS if low + high > 2 * b else FAILS
    ),
    "The other way round: the claim is that the difference is above the bound.": lambda low, high, b: above(
        -high, -low, -b
    ),
    "An interval that lies wholly below the bound says more than that it is not above.": lambda low, high, b: (
        HOLDS if low > b else UNDECIDED
    ),
    "An interval that lies wholly above the bound is enough for the claim.": lambda low, high, b: (
        FAILS if high < b else UNDECIDED
    ),
}
"""What each mistake answers, under what is said of it."""


EXERCISES = {
    "08.paired": Exercise(
        paired,
        _series,
        each(_explain_paired),
        (
            Mistake(lambda a, b: b - a, "are not a number there"),
            Mistake(lambda a, b: (b - a).dropna(), "the other way round"),
            Mistake(lambda a, b: (a - b).abs().dropna(), "lose which of the two was better"),
            Mistake(lambda a, b: pd.Series(_by_place(a, b), a.index), "in another order"),
            Mistake(lambda a, b: pd.Series(_by_place(a, b)), "other seeds"),
            Mistake(lambda a, b: a.mean() - b.mean(), "A value for each seed is expected"),
        ),
        "easy",
        5,
        (
            "What does pandas do when it subtracts two series whose indices differ in order, or in length?",
            "It lines up the values by index. A seed that only one of them has becomes NaN: what should become of it?",
            "Subtract the second from the first, and then `.dropna()`.",
        ),
    ),
    "08.interval": Exercise(
        interval,
        _points,
        each(_explain_interval),
        (
            Mistake(lambda x: interval(x)[::-1], "ends are swapped"),
            Mistake(lambda x: _about(x, 1.96 / len(x) ** 0.5), "as if the spread were known"),
            Mistake(lambda x: _about(x, _t(x)), "where one more seed may fall"),
            Mistake(lambda x: _about(x, _t(x) * (len(x) - 1) ** 0.5 / len(x)), "divides by n - 1"),
            Mistake(lambda x: (min(x), max(x)), "does not lie about the mean"),
            Mistake(lambda x: _about(x, 1), "not in its reach"),
            Mistake(lambda x: sum(x) / len(x), "Two numbers are expected"),
        ),
        "medium",
        10,
        (
            "Three numbers make it: the mean, the standard deviation, and how far Student's t reaches for this many "
            "points.",
            "`pd.Series(points).std()` divides by n - 1, as it should; `stdtrit(len(points) - 1, 0.975)` is t.",
            "The reach is t * s / n ** 0.5; low is the mean less the reach, high the mean plus the reach.",
        ),
    ),
    "08.above": Exercise(
        above,
        _intervals,
        _explain_above,
        (
            *(Mistake(wrong, words) for words, wrong in _JUDGED.items()),
            Mistake(lambda low, high, b: UNDECIDED, "At least one interval is judged wrongly"),
            Mistake(lambda low, high, b: low > b, "one of the three words"),
        ),
        "easy",
        5,
        (
            "Draw a line with the bound on it. In which three ways can an interval lie?",
            "Wholly above is a question about its lower end; wholly below, about its upper end.",
            'If `low` is above the bound it "holds"; if `high` is not above it, it "fails"; what is left decides '
            "nothing.",
        ),
    ),
}

QUIZZES = {
    "08.undecided": Quiz(
        'A claim is "undecided". What follows?',
        {
            "That it is false.": "Nothing was shown either way.",
            "That the effect is small.": "It may be large, and the seeds few.",
            "That these runs cannot tell; more seeds or a longer training might.": "Yes.",
        },
        "That these runs cannot tell; more seeds or a longer training might.",
    )
}
