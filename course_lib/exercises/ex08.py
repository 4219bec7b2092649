"""Notebook 08: from numbers of several seeds to a verdict."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pandas as pd

from course_lib.evidence import FAILS, HOLDS, UNDECIDED, above, interval, paired
from course_lib.exercises import Exercise

ONE, OTHER = pd.Series({0: 52.0, 1: 55.0, 3: 50.0}), pd.Series({3: 50.5, 1: 52.0, 0: 51.0, 2: 60.0})
POINTS = [1.0, 3.0, 0.5, 2.0]


def _paired(function: Callable[..., pd.Series]) -> str:
    expected, given = paired(ONE, OTHER), function(ONE.copy(), OTHER.copy())
    if not isinstance(given, pd.Series):
        return f"A value for each seed is expected, as a Series; your function returned {type(given).__name__}."
    if given.isna().any():
        return "A seed that only one of the two has gives no difference, and yours are not a number there."
    if set(given.index) != set(expected.index):
        return "Your answer has other seeds than those that both networks have."
    given = given.reindex(expected.index)
    if np.allclose(given, expected):
        return ""
    if np.allclose(given, -expected):
        return "Your sign is the other way round: the first less the second."
    if np.allclose(given, expected.abs()):
        return "You give the size of the differences, and lose which of the two was better."
    return "The differences are not those of one seed with itself; are the two lists in another order?"


def _interval(function: Callable[..., tuple[float, float]]) -> str:
    (low, high), given = interval(POINTS), function(list(POINTS))
    if not isinstance(given, tuple | list) or len(given) != 2:
        return "Two numbers are expected: return low, high."
    middle, reach, spread = (given[0] + given[1]) / 2, (given[1] - given[0]) / 2, pd.Series(POINTS).std()
    if np.allclose(given, (low, high), atol=1e-6):
        return ""
    if np.allclose(given, (high, low), atol=1e-6):
        return "The two ends are swapped: low comes first."
    if not np.isclose(middle, np.mean(POINTS)):
        return "Your interval does not lie about the mean."
    if np.isclose(reach, (high - low) / 2 * len(POINTS) ** 0.5):
        return "That is where one more seed may fall; the mean of several is known better, by the root of their number."
    if np.isclose(reach, 1.96 * spread / len(POINTS) ** 0.5, rtol=1e-2):
        return "With 1.96 you act as if the spread were known; it is only guessed, and Student's t allows for that."
    if np.isclose(reach, (high - low) / 2 * ((len(POINTS) - 1) / len(POINTS)) ** 0.5):
        return "Your spread divides by n; a spread about a mean from the same numbers divides by n - 1."
    return "Right in the middle, but not in its reach."


def _above(function: Callable[..., str]) -> str:
    cases = [(0.5, 2.0), (-2.0, -0.5), (-1.0, 1.0)]
    given = [function(low, high, 0.0) for low, high in cases]
    if any(answer not in (HOLDS, FAILS, UNDECIDED) for answer in given):
        return f"Each answer is one of the three words {HOLDS!r}, {FAILS!r} and {UNDECIDED!r}."
    if given == [above(low, high, 0.0) for low, high in cases]:
        return "" if function(1.0, 3.0, 2.0) == UNDECIDED else "Right for a bound of 0; another bound is not looked at."
    if UNDECIDED not in given:
        return "An interval with the bound inside it decides nothing, and you decide by its middle."
    if given[:2] == [FAILS, HOLDS]:
        return "The other way round: the claim is that the difference is above the bound."
    if given[1] == UNDECIDED:
        return "An interval that lies wholly below the bound says more than that it is not above."
    return "An interval that lies wholly above the bound is enough for the claim."


EXERCISES = {
    "08.paired": Exercise(paired, _paired),
    "08.interval": Exercise(interval, _interval),
    "08.above": Exercise(above, _above),
}
