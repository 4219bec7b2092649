"""The paper's claims, held against our own runs: for each method each holds, fails, or is undecided, with its numbers.

A claim is about a difference in accuracy between two kinds of networks, judged as `course_lib.evidence.intervals` has
it. Taught in notebook 08.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import Any

import pandas as pd

from course_lib.evidence.intervals import FAILS, HOLDS, UNDECIDED, Accuracies, above, as_table, interval, paired
from course_lib.support.errors import CourseError

DEEP = ("conv4", "conv5")
EARLY = ("conv1", "conv2")
LEARNED = ("conv2", "conv3", "conv4", "conv5")
"""The layers at which a trained network differs from an untrained one: at conv1 anything serves (notebook 06)."""

_BOUNDS = ("supervised", "random", "random, looked")


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
    def limit(self) -> float:
        """The bound, in points."""
        return self.at_least if self.at_most is None else self.at_most

    @property
    def bound(self) -> str:
        """In words."""
        side = "least" if self.at_most is None else "most"
        return f"at {side} {self.limit} point{'s' * (self.limit != 1)}"

    def verdict(self, low: float, high: float) -> str:
        """Of a difference with this interval."""
        return above(low, high, self.at_least) if self.at_most is None else above(-high, -low, -self.at_most)


def _behind(*layers: str) -> Differences:
    """How far a method on one photograph stays behind the labels."""
    return lambda at, method: {
        f"supervised - {method} at {layer}": paired(at.supervised(layer), at.photograph(method, layer))
        for layer in layers
    }


def _above_chance(*layers: str, left_out: str = "", looked: bool = False) -> Differences:
    """How far a method on one photograph is above the untrained network."""
    without, random = f" without {left_out}" * bool(left_out), "random" + ", looked" * looked
    return lambda at, method: {
        f"{method}{without} - {random} at {layer}": paired(
            at.photograph(method, layer, left_out=left_out), at.random(layer, looked=looked)
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
        f"{method}: photograph - {kind}": paired(photograph, at.generated(method, kind, *LEARNED))
        for kind in ("noise", "flat")
    }


def _price_of_freezing(at: Accuracies, method: str) -> dict[str, pd.Series]:
    """What it costs to freeze conv1 and conv2 as one photograph left them, and to train the rest with labels."""
    frozen = paired(at.retrained("none", 0), at.retrained(method, 2))
    return {f"nothing frozen - conv1 and conv2 of {method} frozen": frozen}


CLAIMS = (
    Claim("matches-at-conv1", "one image matches labels at conv1", _behind("conv1"), at_most=1),
    Claim("nearly-at-conv2", "one image nearly matches labels at conv2", _behind("conv2"), at_most=5),
    Claim("behind-from-conv3", "from conv3 on, one image does not match labels", _behind(*LEARNED[1:]), at_least=1),
    Claim("learns-at-conv2", "one image teaches conv2 something", _above_chance("conv2"), at_least=0),
    Claim(
        "learns-more-than-to-look-at-conv2",
        "and more than the means and spreads of answers",
        _above_chance("conv2", looked=True),
        at_least=0,
    ),
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
    Claim("frozen-costs-little", "frozen early layers of one image cost little", _price_of_freezing, at_most=3),
)
"""What one photograph, more images, labels and chance decide between them.

"Matches" and "near" are drawn at 1 point, about what another set of test pictures changes, "little" at 3 and "nearly"
at 5: choices of this course, since the paper puts no number on the words.
"""


NOT_MEASURED = "not measured"


@dataclass(frozen=True)
class Verdict:
    """What came of a claim for one method on one labelled set.

    verdict: HOLDS, FAILS, UNDECIDED or NOT_MEASURED. bound: in words. numbers: for each difference its mean in points,
    its interval, its standard deviation over seeds, how many seeds there are, and its own verdict.
    """

    id: str
    claim: str
    data: str
    method: str
    verdict: str
    bound: str
    numbers: list[dict[str, Any]]


def judge(rows: Sequence[dict[str, Any]], claims: Iterable[Claim] = CLAIMS) -> list[Verdict]:
    """A verdict for each claim, each labelled set, and each method that was probed there, from rows
    (`course_lib.evidence.results`) of probes and retrained networks.

    For a method a claim holds where each of its differences is beyond the bound, fails where one is not, and is
    undecided otherwise. Raises CourseError where the rows have no method beside the bounds.
    """
    probed = [row for row in rows if "layer" in row and row["method"] not in _BOUNDS]
    if not probed:
        raise CourseError("there are no probes of a method without labels; run `python -m course_lib reference` first")
    table = as_table(rows)
    sets = [Accuracies(table, data) for data in table["data"].unique()]
    methods = {at.data: dict.fromkeys(row["method"] for row in probed if row["data"] == at.data) for at in sets}
    return [_judge_one(claim, at, method) for claim in claims for at in sets for method in methods[at.data]]


def _judge_one(claim: Claim, at: Accuracies, method: str) -> Verdict:
    by_seed = {what: list(points) for what, points in claim.differences(at, method).items() if len(points)}
    numbers = [{"what": what, **_interval(points, claim)} for what, points in by_seed.items()]
    verdict = _together([one["verdict"] for one in numbers])
    return Verdict(claim.id, claim.claim, at.data, method, verdict, claim.bound, numbers)


def _together(verdicts: Sequence[str]) -> str:
    """The verdict of a claim from those of its differences."""
    if not verdicts:
        return NOT_MEASURED
    return FAILS if FAILS in verdicts else UNDECIDED if UNDECIDED in verdicts else HOLDS


def summed_up(verdicts: Iterable[Verdict]) -> str:
    """The verdicts of one claim on one set in a line: `holds for rotnet and bigan, fails for jigsaw`."""
    by_verdict: dict[str, list[str]] = {}
    for one in verdicts:
        by_verdict.setdefault(one.verdict, []).append(one.method)
    in_order = [verdict for verdict in (HOLDS, FAILS, UNDECIDED, NOT_MEASURED) if verdict in by_verdict]
    return ", ".join(f"{verdict} for {_listed(by_verdict[verdict])}" for verdict in in_order)


def _listed(names: Sequence[str]) -> str:
    return " and ".join(filter(None, (", ".join(names[:-1]), names[-1])))


def _interval(points: Sequence[float], claim: Claim) -> dict[str, Any]:
    """The mean of a difference over seeds, its interval, and what follows for a claim."""
    if len(points) < 2:
        return {"seeds": len(points), "verdict": UNDECIDED}
    low, high = interval(points)
    numbers = {"mean": (low + high) / 2, "low": low, "high": high, "sd": float(pd.Series(points).std())}
    rounded = {key: round(float(value), 2) for key, value in numbers.items()}
    return {"seeds": len(points), **rounded, "verdict": claim.verdict(low, high)}
