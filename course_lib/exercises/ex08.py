"""Notebook 08: from numbers of several seeds to a verdict."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pandas as pd
import torch
from scipy.special import stdtrit
from torch import Generator

from course_lib.evidence.intervals import FAILS, HOLDS, UNDECIDED, above, interval, paired
from course_lib.exercises.compare import each, is_pair, numbers
from course_lib.exercises.drawing import between, for_each, one_between, whole
from course_lib.exercises.exercise import Quiz, of_any
from course_lib.exercises.plain import name_of


def _series(seeds: list[int], draws: Generator) -> tuple[pd.Series, pd.Series]:
    """Accuracies by seed; the second list has one seed more, in the opposite order; each is better at times."""
    one = between(50, 56, len(seeds), draws)
    other = one + between(0.5, 3, len(seeds), draws) * (-1) ** torch.arange(len(seeds))
    return pd.Series(one.tolist(), seeds), pd.Series([*other.flip(0).tolist(), 60.0], [*seeds[::-1], 7])


def _explain_paired(given: Any, one: pd.Series, other: pd.Series) -> str:
    expected = paired(one, other)
    if not isinstance(given, pd.Series):
        return f"A value for each seed is expected, as a Series; your function returned {name_of(given)}."
    if given.isna().any():
        return "A seed that only one of the two has gives no difference; your answer has NaN there."
    if sorted(given.index) != sorted(expected.index):
        return "Your answer has other seeds than those that both networks have."
    given = given.reindex(expected.index)
    if np.allclose(given, expected):
        return ""
    if np.allclose(given, -expected):
        return "Your sign is the wrong way round: the first minus the second."
    if np.allclose(given, expected.abs()):
        return "You give the size of the differences, and lose which of the two was better."
    return "You subtract values of different seeds; are the two lists in different orders?"


def _points(draws: Generator) -> list[tuple]:
    return [([round(point, 3) for point in between(0, 2, n, draws).square().tolist()],) for n in (5, 8)]


def _explain_interval(given: Any, points: list[float]) -> str:
    if not is_pair(given):
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
        return "Your interval is not centred on the mean."
    reach, right = (ends[1] - ends[0]) / 2, (high - low) / 2
    if np.isclose(reach, right * n**0.5):
        return "That is where one more seed may fall; the mean of n seeds is known more precisely, by a factor sqrt(n)."
    if np.isclose(reach, 1.96 * spread / n**0.5, rtol=1e-2):
        return "1.96 would be right if the spread were known; it is only estimated, and Student's t allows for that."
    if np.isclose(reach, right * ((n - 1) / n) ** 0.5):
        return "Your spread divides by n; a spread about a mean of the same numbers divides by n - 1."
    return "The middle is right, but the width is not."


def _about(points: list[float], reach: float) -> tuple[float, float]:
    """An interval about the mean, by so many standard deviations."""
    middle, spread = pd.Series(points).mean(), pd.Series(points).std()
    return float(middle - reach * spread), float(middle + reach * spread)


def _t(points: list[float]) -> float:
    return float(stdtrit(len(points) - 1, 0.975))


def _intervals(draws: Generator) -> list[tuple]:
    """Intervals above, below and around a bound of 0, and a bound far above 0: two or three of each, in any order."""
    questions = []
    for bound in (0.0, one_between(3, 5, draws)):
        for low, high in ((0.1, 2), (-2, -0.1), (-1, 1)):
            for _ in range(whole(2, 3, draws)):
                ends = sorted(between(low, high, 2, draws).tolist()) if low * high > 0 else _about_zero(draws)
                questions.append((*(round(bound + end, 2) for end in ends), bound))
    return [questions[i] for i in torch.randperm(len(questions), generator=draws).tolist()]


def _about_zero(draws: Generator) -> tuple[float, float]:
    """The ends of an interval with 0 inside."""
    below, beyond = between(0.1, 1, 2, draws).tolist()
    return -below, beyond


def _explain_above(questions: list[tuple], answers: list[Any]) -> str:
    if any(answer not in (HOLDS, FAILS, UNDECIDED) for answer in answers):
        return f"Each answer is one of the three words {HOLDS!r}, {FAILS!r} and {UNDECIDED!r}."
    if answers == [above(*question) for question in questions]:
        return ""
    named = (words for words, wrong in _JUDGED.items() if answers == [wrong(*question) for question in questions])
    return next(named, "At least one interval is judged wrongly. Is the bound below it, above it, or inside?")


_JUDGED: dict[str, Callable[[float, float, float], str]] = {
    "Right for a bound of 0; you ignore any other bound.": lambda low, high, b: above(low, high, 0),
    "With the bound inside, nothing is decided.": lambda low, high, b: HOLDS if low + high > 2 * b else FAILS,
    "The wrong way round: the claim is to be above the bound.": lambda low, high, b: above(-high, -low, -b),
    "An interval below the bound rejects the claim.": lambda low, high, b: HOLDS if low > b else UNDECIDED,
    "An interval above the bound confirms the claim.": lambda low, high, b: FAILS if high < b else UNDECIDED,
}


EXERCISES = {
    "08.paired": of_any(
        paired,
        for_each(_series, ([0, 1, 3],), ([2, 4, 5, 9],)),
        each(_explain_paired),
        {
            "has NaN there": lambda a, b: b - a,
            "the wrong way round": lambda a, b: (b - a).dropna(),
            "lose which of the two was better": lambda a, b: (a - b).abs().dropna(),
            "in different orders": lambda a, b: pd.Series(a.to_numpy() - b.to_numpy()[: len(a)], a.index),
            "other seeds": lambda a, b: pd.Series(a.to_numpy() - b.to_numpy()[: len(a)]),
            "A value for each seed is expected": lambda a, b: a.mean() - b.mean(),
        },
        "easy · 5 minutes",
        "What does pandas do when it subtracts two series whose indices differ in order, or in length?",
        "It lines up the values by index. A seed that only one of them has becomes NaN: what should become of it?",
        "Subtract the second from the first, and then `.dropna()`.",
    ),
    "08.interval": of_any(
        interval,
        _points,
        each(_explain_interval),
        {
            "ends are swapped": lambda x: interval(x)[::-1],
            "it is only estimated": lambda x: _about(x, 1.96 / len(x) ** 0.5),
            "where one more seed may fall": lambda x: _about(x, _t(x)),
            "divides by n - 1": lambda x: _about(x, _t(x) * (len(x) - 1) ** 0.5 / len(x)),
            "not centred on the mean": lambda x: (min(x), max(x)),
            "the width is not": lambda x: _about(x, 1),
            "Two numbers are expected": lambda x: sum(x) / len(x),
        },
        "medium · 10 minutes",
        "It takes three numbers: the mean, the standard deviation, and Student's t for this many points.",
        "`pd.Series(points).std()` divides by n - 1, as it should; `stdtrit(len(points) - 1, 0.975)` is t.",
        "The half-width is t * s / n ** 0.5; low is the mean minus that, high the mean plus that.",
    ),
    "08.above": of_any(
        above,
        _intervals,
        _explain_above,
        {
            **_JUDGED,
            "At least one interval is judged wrongly": lambda low, high, b: UNDECIDED,
            "one of the three words": lambda low, high, b: low > b,
        },
        "easy · 5 minutes",
        "Draw a line with the bound on it. In which three ways can an interval lie?",
        "Whether it lies entirely above depends on its lower end; entirely below, on its upper end.",
        'If `low` is above the bound it "holds"; if `high` is not above it, it "fails"; otherwise nothing is decided.',
    ),
}

QUIZZES = {
    "08.undecided": Quiz(
        'A claim is "undecided". What follows?',
        ("That it is false.", "Nothing was shown either way."),
        ("That the effect is small.", "It may be large, and the seeds few."),
        ("That these runs cannot tell; more seeds or a longer training might.", "Yes."),
    )
}
