"""What `python -m course_lib claims` prints and writes."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict
from typing import Any

from course_lib.evidence.claims import Verdict


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
