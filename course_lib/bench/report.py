"""Side by side in one run: the course's own code and its peers. `python -m course_lib bench --help`.

A peer that is not installed is skipped and named. Rates on shared machines swing; so the peers take turns, a few
calls each, and what counts is the ratio of the medians.
"""

from __future__ import annotations

import contextlib
import json
import math
import signal
import statistics
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any

import torch

from course_lib.support.machine import describe_machine

TURNS, CALLS = 4, 5
"""Each peer is timed in so many turns of so many calls: twenty in all, of which the median counts."""
WARM_UP = 3
"""Calls before each turn: to compile, to fill caches and queues, and to let the peer before it come to rest."""
PATIENCE = 60.0
"""Seconds that a peer may take to get ready, and again to be timed; one that takes longer is skipped."""

Tell = Callable[[dict[str, Any]], None]
"""What is done with a row as soon as it is measured."""


@dataclass
class Peer:
    """One way of doing the work.

    who: the name in tables. what: what one call does, in words. count: units of work a call. make: prepares, and
    returns the call; an exception means that the peer is absent. quality: measures how good the result is, in the unit
    of the bench. late: it takes long to get ready, as worker processes and compilers do, and is timed when the others
    are done, beside ours once more.
    """

    who: str
    what: str
    count: float
    make: Callable[[], Callable[[], Any]]
    quality: Callable[[], float] | None = None
    late: bool = False


@dataclass
class Report:
    """What a bench measured: the machine, the rows, and the peers that were skipped and why; as JSON has it, too."""

    machine: dict[str, Any]
    rows: list[dict[str, Any]] = field(default_factory=list)
    skipped: list[dict[str, str]] = field(default_factory=list)

    def skip(self, who: str, error: Exception) -> None:
        """Name what was left out, with the first line of the reason."""
        first = str(error).strip().splitlines()[:1]
        self.skipped.append({"who": who, "why": f"{type(error).__name__}: {' '.join(first)[:120]}"})

    def extend(self, other: Report) -> None:
        """Add what another bench measured on the same machine."""
        self.machine |= other.machine
        self.rows += other.rows
        self.skipped += other.skipped

    def text(self) -> str:
        """The table that a bench prints."""
        lines = [", ".join(f"{key} {value}" for key, value in self.machine.items()), ""]
        lines.append(f"{'who':34} {'side':>4} {'rate':>16} {'to ours':>8} {'quality':>8}  what")
        for row in self.rows:
            cells = f"{row['who']:34} {row['side']:>4} {rate_in_words(row):>16} {row['ratio_to_ours']:8.3g}"
            lines.append(f"{cells} {quality_in_words(row):>8}  {row['what']}")
        return "\n".join(lines + [f"skipped: {s['who']}: {s['why']}" for s in self.skipped])


def rate_in_words(row: dict[str, Any]) -> str:
    """The rate of a row with its unit, to a decimal place where it is below a hundred, and to two figures below one."""
    rate = row["rate"]
    return f"{rate:.2g} {row['unit']}" if rate < 1 else f"{rate:,.{0 if rate >= 100 else 1}f} {row['unit']}"


def quality_in_words(row: dict[str, Any]) -> str:
    """How good the result is: of crops in dB, of k-means the objective in percent above ours, of probes the accuracy
    in percent; empty where unknown."""
    if row["quality"] is None:
        return ""
    form = {"layers/s": "{:.1f} %", "runs/s": "{:+.2f} %"}.get(row["unit"], "{:.0f} dB")
    return form.format(row["quality"])


def tell(row: dict[str, Any]) -> None:
    """Say a row as one line of JSON where a bar would go: what is measured is known, even where the rest is broken
    off."""
    print(json.dumps(row), file=sys.stderr, flush=True)


def compare(
    peers: Sequence[Peer],
    device: torch.device,
    side: int,
    unit: str = "crops/s",
    slow: int = 0,
    keep: Tell = tell,
    patience: float = PATIENCE,
) -> Report:
    """Time the peers in turns; the first is ours, to which the ratios are taken.

    unit: of the rates. slow: where a call takes seconds, so many turns of one call each, without a warm-up, and
    without an end to our patience.
    """
    report, times = Report(describe_machine()), (slow, 1, 0) if slow else (TURNS, CALLS, WARM_UP)
    patience = math.inf if slow else patience
    for group in ([peer for peer in peers if not peer.late], *([peers[0], peer] for peer in peers if peer.late)):
        seconds = _in_turns(group, device, times, report, patience)
        ours = next((peer for peer in group if peer.who in seconds), group[0])
        for peer in group:
            if peer.who not in seconds or any(row["who"] == peer.who for row in report.rows):
                continue
            rate = peer.count / seconds[peer.who]
            row = {"who": peer.who, "what": peer.what, "side": side, "rate": round(rate, 1 if rate >= 1 else 4)}
            ratio = rate / (ours.count / seconds[ours.who])  # of ours exactly 1
            report.rows.append(row | {"unit": unit, "ratio_to_ours": ratio, "quality": _quality(peer, report)})
            keep(report.rows[-1])
    return report


def _in_turns(
    peers: Sequence[Peer], device: torch.device, times: tuple[int, int, int], report: Report, patience: float
) -> dict[str, float]:
    """The median of the seconds that a call takes, for each peer that is there and ends in time.

    times: turns, calls in each, and calls before each.
    """
    turns, calls, warm_up = times
    prepared, seconds = dict(_prepare(peers, report, patience)), {}
    for _ in range(turns):
        for who, call in list(prepared.items()):
            try:
                with _at_most(patience / turns):
                    for _ in range(warm_up):
                        call()
                    seconds.setdefault(who, []).extend(timed(call, device) for _ in range(calls))
            except TimeoutError as error:
                report.skip(who, error)
                del prepared[who]
                seconds.pop(who, None)
    return {who: statistics.median(some) for who, some in seconds.items()}


@contextlib.contextmanager
def _at_most(seconds: float) -> Iterator[None]:
    """Raises TimeoutError after so many seconds, where the system has a timer for it."""

    def stop(*_: object) -> None:
        raise TimeoutError(f"it took more than {seconds:.0f} s")

    if math.isinf(seconds) or not hasattr(signal, "setitimer"):
        yield
        return
    before, start = signal.signal(signal.SIGALRM, stop), time.monotonic()
    left, _ = signal.setitimer(signal.ITIMER_REAL, seconds)  # of somebody else's timer
    try:
        yield
    finally:
        signal.setitimer(signal.ITIMER_REAL, max(0.001, left - (time.monotonic() - start)) if left else 0)
        signal.signal(signal.SIGALRM, before)


def timed(call: Callable[[], Any], device: torch.device) -> float:
    """Seconds that one call takes, on a GPU by the device's own clock."""
    if device.type != "cuda":
        start = time.perf_counter()
        call()
        return time.perf_counter() - start
    start, end = (torch.cuda.Event(enable_timing=True) for _ in range(2))
    start.record()
    call()
    end.record()
    end.synchronize()
    return start.elapsed_time(end) / 1e3


def _prepare(peers: Sequence[Peer], report: Report, patience: float) -> Iterator[tuple[str, Callable[[], Any]]]:
    for peer in peers:
        start = time.monotonic()
        try:
            with _at_most(patience):
                call = peer.make()
                call()
        except Exception as error:  # absent, or unfit for this machine: the others are still worth measuring
            report.skip(peer.who, error)
        else:
            # To where a bar would go, as some take a minute, and nobody should have to guess which.
            print(f"{peer.who}: ready after {time.monotonic() - start:.0f} s", file=sys.stderr, flush=True)
            yield peer.who, call


def _quality(peer: Peer, report: Report) -> float | None:
    try:
        return round(peer.quality(), 2) if peer.quality else None
    except Exception as error:  # what was timed is not thrown away because it cannot be judged
        report.skip(f"{peer.who}, its quality", error)
        return None
