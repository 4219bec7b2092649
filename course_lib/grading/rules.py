"""The rules that a class is graded by."""

from __future__ import annotations

from dataclasses import dataclass

MOST_RUNS = 4
"""Of one submission: the first, and three more, each without the exercise that ended the one before."""


@dataclass(frozen=True)
class Rules:
    """sandbox: the level. cell: seconds of the processor that one cell may take. total: seconds by the clock, for all
    cells of one run."""

    sandbox: str = "bubblewrap"
    cell: int = 30
    total: int = 300
