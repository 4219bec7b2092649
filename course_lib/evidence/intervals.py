"""Accuracies by seed, and what their differences decide: holds, fails, or undecided.

Networks of one seed share their start and their pictures, so differences are taken seed by seed, and judged by the 95 %
interval of their mean (Student's t). Few seeds give wide intervals: then it is undecided. Taught in notebook 08.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

import pandas as pd
from scipy.special import stdtrit

from course_lib.data.sources import GENERATED
from course_lib.probes.transfer import describe_depth

HOLDS, FAILS, UNDECIDED = "holds", "fails", "undecided"


def as_table(rows: Iterable[dict[str, Any]]) -> pd.DataFrame:
    """The rows (`course_lib.evidence.results`) that have an accuracy. `left_out` and `measure`, which not every row
    has, are "" in the others."""
    table = pd.DataFrame([row for row in rows if "accuracy" in row])
    for column in ("left_out", "measure"):
        table[column] = table[column].fillna("") if column in table else ""
    return table


class Accuracies:
    """Accuracies on one labelled set, in percent, by seed; a mean where several layers are asked for.

    rows: probe rows (`course_lib.evidence.results`), of notebook 06 and of a sweep alike, and rows of retrained
    networks, as `as_table` has them. What was not measured is an empty series. "The photograph" is any single image
    that was not made by a rule.
    """

    def __init__(self, rows: pd.DataFrame, data: str) -> None:
        self.data = data
        self.rows = rows[rows["data"] == data]

    def random(self, *layers: str, looked: bool = False) -> pd.Series:
        """Of the untrained network; looked: of one whose BatchNorm has seen crops (`probes.controls.looked`)."""
        return self._mean(self.rows["method"] == ("random, looked" if looked else "random"), layers)

    def supervised(self, *layers: str) -> pd.Series:
        """Of the network that learned the labels of this set."""
        return self._mean((self.rows["method"] == "supervised") & (self.rows["source"] == self.data), layers)

    def photograph(self, method: str, *layers: str, left_out: str = "") -> pd.Series:
        """Of a method on one photograph; left_out: what of the scheme was missing."""
        chosen = (self.rows["n"] == 1) & ~self.rows["source"].isin(GENERATED) & (self.rows["left_out"] == left_out)
        return self._mean(chosen & (self.rows["method"] == method), layers)

    def single_pictures(self, method: str, *layers: str) -> dict[str, pd.Series]:
        """Of a method on one picture, photographed or made by a rule, with the whole scheme; by the picture's name."""
        chosen = (self.rows["method"] == method) & (self.rows["n"] == 1) & (self.rows["left_out"] == "")
        names = self.rows["source"][chosen].unique()
        found = {name: self._mean(chosen & (self.rows["source"] == name), layers) for name in names}
        return {name: by_seed for name, by_seed in found.items() if len(by_seed)}

    def generated(self, method: str, source: str, *layers: str) -> pd.Series:
        """Of a method on one image that was made by a rule."""
        return self._mean((self.rows["source"] == source) & (self.rows["method"] == method), layers)

    def images(self, method: str, n: int, *layers: str) -> pd.Series:
        """Of a method on n images; 0 stands for all training pictures of the labelled set, without their labels."""
        if n:
            chosen = (self.rows["n"] == n) & (self.rows["source"] != self.data)
        else:
            chosen = (self.rows["n"] > 1) & (self.rows["source"] == self.data)
        return self._mean(chosen & (self.rows["method"] == method), layers)

    def retrained(self, method: str, depth: int) -> pd.Series:
        """Of a network whose layers above the first `depth` were trained with labels, those below frozen as `method`
        left them; at depth 0 nothing is left of any method, and it is called "none"."""
        chosen = (self.rows["method"] == method) & (self.rows["measure"] == describe_depth(depth))
        return 100 * self.rows[chosen].groupby("seed")["accuracy"].mean()

    def _mean(self, chosen: pd.Series, layers: Sequence[str]) -> pd.Series:
        some = self.rows[chosen & self.rows["layer"].isin(layers)]
        table = some.pivot_table("accuracy", "seed", "layer", aggfunc="mean")
        if some.empty or len(table.columns) < len(layers):
            return pd.Series(dtype=float)
        return 100 * table.dropna().mean(axis=1)


def paired(one: pd.Series, other: pd.Series) -> pd.Series:
    """`one` - `other`, seed by seed: a value for each seed that both have. Taught in notebook 08."""
    return (one - other).dropna()


def interval(points: Sequence[float]) -> tuple[float, float]:
    """Where the mean of a difference lies, 19 times out of 20, by its values on at least two seeds: low and high.

    Student's t: mean -+ t * sd / sqrt(n), with t for n - 1 degrees of freedom. Taught in notebook 08. Raises ValueError
    for fewer than two values.
    """
    mean, spread = _mean_and_spread(points)
    reach = spread / len(points) ** 0.5
    return mean - reach, mean + reach


def band(values: Sequence[float]) -> tuple[float, float]:
    """Where one more seed is expected to fall, 19 times out of 20, after these (at least two) seeds.

    The prediction interval of a normal law with unknown spread: mean -+ t * sd * sqrt(1 + 1 / n).
    """
    mean, spread = _mean_and_spread(values)
    reach = spread * (1 + 1 / len(values)) ** 0.5
    return mean - reach, mean + reach


def _mean_and_spread(values: Sequence[float]) -> tuple[float, float]:
    """The mean, and t * sd with Student's t for the two outer fortieths."""
    if len(values) < 2:
        raise ValueError(f"an interval needs at least two seeds, got {len(values)}")
    series = pd.Series(values, dtype=float)
    return float(series.mean()), float(stdtrit(len(series) - 1, 0.975) * series.std())


def above(low: float, high: float, bound: float) -> str:
    """Whether a difference is above a bound, by its interval: "holds", "fails" or "undecided".

    It is decided only where the interval lies on one side of the bound. Taught in notebook 08.
    """
    return HOLDS if low > bound else FAILS if high <= bound else UNDECIDED
