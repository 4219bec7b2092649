"""The paper's claims, held against our own runs: each holds, fails, or is undecided, with its numbers.

A claim is about a difference in accuracy between two kinds of networks. Networks of one seed share their start and
their pictures, so differences are taken seed by seed, and judged by the 95 % interval of their mean (by Student's t).
Few seeds give wide intervals: undecided is then the answer. Taught in notebook 08.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import asdict, dataclass
from typing import Any

import pandas as pd
from scipy.stats import t as student

from course_lib.errors import CourseError
from course_lib.sources import GENERATED

HOLDS, FAILS, UNDECIDED = "holds", "fails", "undecided"

DEEP = ("conv4", "conv5")
EARLY = ("conv1", "conv2")
LEARNED = ("conv2", "conv3", "conv4", "conv5")
"""The layers at which training can be told from chance: at conv1 anything serves (notebook 06)."""

_BOUNDS = ("supervised", "random", "random, looked")


class Accuracies:
    """Probe accuracies on one labelled set, in percent, by seed; a mean where several layers are asked for.

    rows: probe rows (`course_lib.results`), of notebook 06 and of a sweep alike. What was not measured is an empty
    series. "The photograph" is any single image that was not made by a rule.
    """

    def __init__(self, rows: pd.DataFrame, data: str) -> None:
        self.data = data
        self.rows = rows[rows["data"] == data]

    def random(self, *layers: str) -> pd.Series:
        """Of the untrained network."""
        return self._mean(self.rows["method"] == "random", layers)

    def supervised(self, *layers: str) -> pd.Series:
        """Of the network that learned the labels of this set."""
        return self._mean((self.rows["method"] == "supervised") & (self.rows["source"] == self.data), layers)

    def photograph(self, method: str, *layers: str, left_out: str = "") -> pd.Series:
        """Of a method on one photograph; left_out: what of the scheme was missing."""
        chosen = (self.rows["n"] == 1) & ~self.rows["source"].isin(GENERATED) & (self.rows["left_out"] == left_out)
        return self._mean(chosen & (self.rows["method"] == method), layers)

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

    def _mean(self, chosen: pd.Series, layers: Sequence[str]) -> pd.Series:
        some = self.rows[chosen & self.rows["layer"].isin(layers)]
        table = some.pivot_table("accuracy", "seed", "layer", aggfunc="mean")
        if some.empty or len(table.columns) < len(layers):
            return pd.Series(dtype=float)
        return 100 * table.dropna().mean(axis=1)


Differences = Callable[[Accuracies, str], dict[str, pd.Series]]
"""From accuracies and a method's name to differences in points, by seed, each under the words that say what it is."""


@dataclass(frozen=True)
class Claim:
    """Something that the paper says, as a bound on differences in points of accuracy.

    at_least, at_most: what the differences must be; one of them is given.
    """

    id: str
    claim: str
    differences: Differences
    at_least: float | None = None
    at_most: float | None = None

    @property
    def bound(self) -> str:
        """In words."""
        return f"at least {self.at_least} points" if self.at_most is None else f"at most {self.at_most} points"

    def verdict(self, low: float, high: float) -> str:
        """Of a difference with this interval."""
        return above(low, high, self.at_least) if self.at_most is None else above(-high, -low, -self.at_most)


def _behind(*layers: str) -> Differences:
    """How far a method on one photograph stays behind the labels."""
    return lambda at, method: {
        f"supervised - {method} at {layer}": paired(at.supervised(layer), at.photograph(method, layer))
        for layer in layers
    }


def _above_chance(*layers: str, left_out: str = "") -> Differences:
    """How far a method on one photograph is above the untrained network."""
    without = f" without {left_out}" if left_out else ""
    return lambda at, method: {
        f"{method}{without} - random at {layer}": paired(
            at.photograph(method, layer, left_out=left_out), at.random(layer)
        )
        for layer in layers
    }


def _deep_gains(at: Accuracies, method: str) -> dict[str, pd.Series]:
    """What more images give the deep layers, less what they give the early ones."""

    def gain(n: int, layers: Sequence[str]) -> pd.Series:
        return paired(at.images(method, n, *layers), at.photograph(method, *layers))

    names = {10: "10 images", 1000: "1000 images", 0: "all images"}
    return {
        f"{method}: gain of {name}, deep - early": paired(gain(n, DEEP), gain(n, EARLY)) for n, name in names.items()
    }


def _scale_above_others(at: Accuracies, method: str) -> dict[str, pd.Series]:
    """What leaving the crop out costs, less what leaving out something else costs."""
    without_crop = at.photograph(method, *LEARNED, left_out="crop")
    return {
        f"{method}: without {other} - without crop": paired(
            at.photograph(method, *LEARNED, left_out=other), without_crop
        )
        for other in ("rotation", "colour", "flip")
    }


def _content(at: Accuracies, method: str) -> dict[str, pd.Series]:
    """How far a photograph is above an image with nothing in it."""
    photograph = at.photograph(method, *LEARNED)
    return {
        f"{method}: china - {kind}": photograph - at.generated(method, kind, *LEARNED) for kind in ("noise", "flat")
    }


CLAIMS = (
    Claim("matches-at-conv1", "one image matches labels at conv1", _behind("conv1"), at_most=1),
    Claim("nearly-at-conv2", "one image nearly matches labels at conv2", _behind("conv2"), at_most=5),
    Claim("behind-from-conv3", "from conv3 on, one image does not match labels", _behind(*LEARNED[1:]), at_least=1),
    Claim("learns-at-conv2", "one image teaches conv2 something", _above_chance("conv2"), at_least=0),
    Claim("learning-needed-at-conv1", "conv1 is better than chance left it", _above_chance("conv1"), at_least=0),
    Claim("more-images-help-deep", "more images help the deep layers most", _deep_gains, at_least=0),
    Claim(
        "nothing-without-augmentation",
        "without augmentation it is near random",
        _above_chance("conv2", "conv3", left_out="all"),
        at_most=1,
    ),
    Claim("scale-matters-most", "of the augmentations, scale matters most", _scale_above_others, at_least=0),
    Claim("content-matters", "what is in the image matters", _content, at_least=0),
)
"""What one photograph, more images, labels and chance decide between them.

"Matches" and "near" are drawn at 1 point, about what another set of test pictures changes, and "nearly" at 5: choices
of this course, since the paper puts no number on the words.
"""


@dataclass(frozen=True)
class Verdict:
    """What came of a claim on one labelled set.

    numbers: the set, the bound, and for each difference its mean in points, its interval, its standard deviation over
    seeds, how many seeds there are, and its own verdict.
    """

    id: str
    claim: str
    verdict: str
    numbers: dict[str, Any]


def judge(rows: Sequence[dict[str, Any]], claims: Iterable[Claim] = CLAIMS) -> list[Verdict]:
    """A verdict for each claim and each labelled set of probe rows (`course_lib.results`).

    A claim holds where it holds for each method that was measured and each part of it; it fails where it fails for one
    part with every method; and is undecided otherwise. Raises CourseError where the rows have no method beside the
    bounds.
    """
    table = pd.DataFrame(list(rows))
    methods = [] if table.empty else [name for name in table["method"].unique() if name not in _BOUNDS]
    if not methods:
        raise CourseError("there are no probes of a method without labels; run `python -m course_lib reference` first")
    table["left_out"] = table["left_out"].fillna("") if "left_out" in table else ""
    sets = [Accuracies(table, data) for data in table["data"].unique()]
    return [_judge_one(claim, at, methods) for claim in claims for at in sets]


def as_json(verdicts: Sequence[Verdict]) -> dict[str, Any]:
    """What `python -m course_lib claims --json` writes."""
    return {"claims": [asdict(verdict) for verdict in verdicts]}


def as_text(verdicts: Sequence[Verdict]) -> str:
    """One line a claim and set, and one for each difference below it."""
    lines = []
    for one in verdicts:
        lines.append(f"{one.verdict:9} {one.claim} ({one.numbers['data']}; {one.numbers['bound']})")
        lines += [f"          {_in_words(pair)}" for pair in one.numbers["differences"]]
        lines += ["          not measured"] * (not one.numbers["differences"])
    return "\n".join(lines)


def _in_words(pair: dict[str, Any]) -> str:
    if pair["seeds"] < 2:
        return f"{pair['what']}: one seed, and an interval needs two"
    reach = f"{pair['low']:+.1f} to {pair['high']:+.1f}; {pair['seeds']} seeds"
    return f"{pair['what']}: {pair['mean']:+.1f} points ({reach}): {pair['verdict']}"


def _judge_one(claim: Claim, at: Accuracies, methods: Sequence[str]) -> Verdict:
    found, by_part = [], {}
    for method in methods:
        for part, (what, points) in enumerate(claim.differences(at, method).items()):
            if len(points):
                found.append({"what": what, **_interval(list(points), claim)})
                by_part.setdefault(part, []).append(found[-1]["verdict"])
    numbers = {"data": at.data, "bound": claim.bound, "differences": found}
    return Verdict(claim.id, claim.claim, _together(list(by_part.values())), numbers)


def _together(by_part: Sequence[Sequence[str]]) -> str:
    """The verdict of a claim from those of its parts, each with one for every method."""
    if by_part and all(verdict == HOLDS for part in by_part for verdict in part):
        return HOLDS
    return FAILS if any(set(part) == {FAILS} for part in by_part) else UNDECIDED


def _interval(points: Sequence[float], claim: Claim) -> dict[str, Any]:
    """The mean of a difference over seeds, its interval, and what follows for a claim."""
    if len(points) < 2:
        return {"seeds": len(points), "verdict": UNDECIDED}
    low, high = interval(points)
    numbers = {"mean": (low + high) / 2, "low": low, "high": high, "sd": float(pd.Series(points).std())}
    rounded = {key: round(float(value), 2) for key, value in numbers.items()}
    return {"seeds": len(points), **rounded, "verdict": claim.verdict(low, high)}


def paired(one: pd.Series, other: pd.Series) -> pd.Series:
    """`one` - `other`, seed by seed: a value for each seed that both have. Taught in notebook 08."""
    return (one - other).dropna()


def interval(points: Sequence[float]) -> tuple[float, float]:
    """Where the mean of a difference lies, 19 times out of 20, by its values on at least two seeds: low and high.

    Student's t: mean -+ t * sd / sqrt(n), with t for n - 1 degrees of freedom. Taught in notebook 08. Raises ValueError
    for fewer than two values.
    """
    if len(points) < 2:
        raise ValueError(f"an interval needs at least two seeds, got {len(points)}")
    series = pd.Series(points, dtype=float)
    reach = student.ppf(0.975, len(series) - 1) * series.std() / len(series) ** 0.5
    return float(series.mean() - reach), float(series.mean() + reach)


def above(low: float, high: float, bound: float) -> str:
    """Whether a difference is above a bound, by its interval: "holds", "fails" or "undecided".

    It is decided only where the interval lies on one side of the bound. Taught in notebook 08.
    """
    return HOLDS if low > bound else FAILS if high <= bound else UNDECIDED
