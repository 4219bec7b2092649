"""The paper's claims, held against our own runs: each holds, fails, or is undecided, with its numbers.

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
    """A verdict for each claim and each labelled set of rows (`course_lib.evidence.results`) of probes and retrained
    networks.

    A claim holds where it holds for each method that was measured and each part of it; it fails where it fails for one
    part with every method; and is undecided otherwise. Raises CourseError where the rows have no method beside the
    bounds.
    """
    probed = {row["method"] for row in rows if "layer" in row} - set(_BOUNDS)
    methods = [name for name in dict.fromkeys(row["method"] for row in rows) if name in probed]
    if not methods:
        raise CourseError("there are no probes of a method without labels; run `python -m course_lib reference` first")
    table = as_table(rows)
    sets = [Accuracies(table, data) for data in table["data"].unique()]
    return [_judge_one(claim, at, methods) for claim in claims for at in sets]


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
