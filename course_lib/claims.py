"""The paper's claims, held against our own runs: each holds, fails, or is undecided, with its numbers.

A claim is about a difference in accuracy between two kinds of networks at some layers. Networks of one seed share their
start and their pictures, so differences are taken seed by seed, and judged by the 95 % interval of their mean (by
Student's t). Few seeds give wide intervals: undecided is then the answer.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import asdict, dataclass
from typing import Any

import pandas as pd
from scipy.stats import t as student

from course_lib.errors import CourseError

HOLDS, FAILS, UNDECIDED = "holds", "fails", "undecided"


@dataclass(frozen=True)
class Claim:
    """Something that the paper says, as a bound on a difference in points of accuracy.

    more, less: the methods whose difference is taken, more - less; an empty text stands for each method that learns
    without labels. layers: where. at_least, at_most: what the difference must be, in points; one of them is given.
    """

    id: str
    claim: str
    more: str
    less: str
    layers: tuple[str, ...]
    at_least: float | None = None
    at_most: float | None = None


CLAIMS = (
    Claim("matches-at-conv1", "one image matches labels at conv1", "supervised", "", ("conv1",), at_most=1),
    Claim("nearly-at-conv2", "one image nearly matches labels at conv2", "supervised", "", ("conv2",), at_most=5),
    Claim(
        "behind-from-conv3",
        "from conv3 on, one image does not match labels",
        "supervised",
        "",
        ("conv3", "conv4", "conv5"),
        at_least=1,
    ),
    Claim("learns-at-conv2", "one image teaches conv2 something", "", "random", ("conv2",), at_least=0),
    Claim("learning-needed-at-conv1", "conv1 is better than chance left it", "", "random", ("conv1",), at_least=0),
)
"""Those that one photograph, labels and chance decide between them.

"Matches" is drawn at 1 point, about what another set of test pictures changes, and "nearly" at 5: choices of this
course, since the paper puts no number on either word.
"""

_BOUNDS = ("supervised", "random", "random, looked")


@dataclass(frozen=True)
class Verdict:
    """What came of a claim on one labelled set. numbers: the set, and for each method and layer the mean difference in
    points, its interval, its standard deviation over seeds, how many seeds there are, and the verdict of that pair."""

    id: str
    claim: str
    verdict: str
    numbers: dict[str, Any]


def judge(rows: Sequence[dict[str, Any]], claims: Iterable[Claim] = CLAIMS) -> list[Verdict]:
    """A verdict for each claim and each labelled set of probe rows (`course_lib.results`).

    A claim holds where it holds for each method and layer, fails where it fails for one of its layers with every
    method, and is undecided otherwise. Raises CourseError where the rows have no method beside the bounds.
    """
    table = pd.DataFrame(list(rows))
    methods = [] if table.empty else [name for name in table["method"].unique() if name not in _BOUNDS]
    if not methods:
        raise CourseError("there are no probes of a method without labels; run `python -m course_lib reference` first")
    return [_judge_one(claim, table[table["data"] == data], data, methods) for claim in claims for data in _sets(table)]


def as_json(verdicts: Sequence[Verdict]) -> dict[str, Any]:
    """What `python -m course_lib claims --json` writes."""
    return {"claims": [asdict(verdict) for verdict in verdicts]}


def as_text(verdicts: Sequence[Verdict]) -> str:
    """One line a claim and set, and one for each difference below it."""
    lines = []
    for one in verdicts:
        lines.append(f"{one.verdict:9} {one.claim} ({one.numbers['data']}; {one.numbers['bound']})")
        for pair in one.numbers["differences"]:
            if pair["seeds"] < 2:
                lines.append(f"          {pair['what']}: {pair['seeds']} seeds, and an interval needs two")
                continue
            mean, reach = f"{pair['mean']:+.1f} points", f"{pair['low']:+.1f} to {pair['high']:+.1f}"
            lines.append(f"          {pair['what']}: {mean} ({reach}; {pair['seeds']} seeds): {pair['verdict']}")
    return "\n".join(lines)


def _sets(table: pd.DataFrame) -> list[str]:
    return list(table["data"].unique())


def _judge_one(claim: Claim, table: pd.DataFrame, data: str, methods: Sequence[str]) -> Verdict:
    found = [_difference(claim, table, method, layer) for method in methods for layer in claim.layers]
    bound = f"at least {claim.at_least} points" if claim.at_most is None else f"at most {claim.at_most} points"
    return Verdict(claim.id, claim.claim, _together(found), {"data": data, "bound": bound, "differences": found})


def _together(found: Sequence[dict[str, Any]]) -> str:
    if all(pair["verdict"] == HOLDS for pair in found):
        return HOLDS
    by_layer: dict[str, list[str]] = {}
    for pair in found:
        by_layer.setdefault(pair["layer"], []).append(pair["verdict"])
    return FAILS if any(set(verdicts) == {FAILS} for verdicts in by_layer.values()) else UNDECIDED


def _difference(claim: Claim, table: pd.DataFrame, method: str, layer: str) -> dict[str, Any]:
    """The difference that a claim is about for one method and layer, seed by seed, and what follows from it."""
    at = table[table["layer"] == layer].pivot_table("accuracy", "seed", "method", aggfunc="mean")
    more, less = claim.more or method, claim.less or method
    points = 100 * (at[more] - at[less]).dropna() if {more, less} <= set(at) else pd.Series(dtype=float)
    what = {"what": f"{more} - {less} at {layer}", "layer": layer, "seeds": len(points)}
    if len(points) < 2:
        return what | {"verdict": UNDECIDED}
    reach = student.ppf(0.975, len(points) - 1) * points.std() / len(points) ** 0.5
    low, high = points.mean() - reach, points.mean() + reach
    numbers = {"mean": points.mean(), "low": low, "high": high, "sd": points.std()}
    return what | {key: round(float(value), 2) for key, value in numbers.items()} | {"verdict": _side(claim, low, high)}


def _side(claim: Claim, low: float, high: float) -> str:
    """On which side of the bound the interval lies: it decides only if it lies on one."""
    if claim.at_most is not None:
        return HOLDS if high <= claim.at_most else FAILS if low > claim.at_most else UNDECIDED
    return HOLDS if low > claim.at_least else FAILS if high <= claim.at_least else UNDECIDED
