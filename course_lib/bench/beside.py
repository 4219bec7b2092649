"""What a training takes beside other programs that want the same cores.

Threads that wait for work can spin or sleep. Spinning saves microseconds on an idle machine, and holds the cores that
another program needs; `course_lib` tells them to sleep, unless OMP_WAIT_POLICY says otherwise. Each training is a
process of its own here, since the policy is read once, when torch is loaded.
"""

from __future__ import annotations

import math
import os
import statistics
import subprocess
import sys
import threading
import time
from collections.abc import Sequence

import torch

from course_lib.bench.report import Report, Tell, tell
from course_lib.profiles import PROFILES
from course_lib.support.machine import describe_machine

_STEPS, _WARM_UP, _TURNS = 10, 2, 2
_BUSY = "busy"


def bench_beside(keep: Tell = tell) -> Report:
    """Steps of RotNet a second, at `quick`: alone, two trainings at once, and beside a program that never rests."""
    ways: dict[str, tuple[int, str, bool]] = {
        "one training": (1, "PASSIVE", False),
        "one training, threads spin": (1, "ACTIVE", False),
        "two trainings": (2, "PASSIVE", False),
        "two trainings, threads spin": (2, "ACTIVE", False),
        "beside a busy program": (1, "PASSIVE", True),
        "the same, threads spin": (1, "ACTIVE", True),
    }
    report, ours = Report(describe_machine()), math.nan
    for who, (count, policy, busy) in ways.items():
        took = statistics.median(seconds for _ in range(_TURNS) for seconds in _side_by_side(count, policy, busy))
        ours = took if math.isnan(ours) else ours  # the first is what the others are compared to
        what = f"{count} at once, OMP_WAIT_POLICY={policy}; the ratio says how much of the pace of one is left"
        row = {"who": who, "what": what, "side": PROFILES["quick"].side, "rate": round(1 / took, 3), "unit": "steps/s"}
        report.rows.append(row | {"ratio_to_ours": ours / took, "quality": None})
        keep(report.rows[-1])
    return report


def _side_by_side(count: int, policy: str, busy: bool) -> list[float]:
    """Seconds a step of so many trainings that begin at one moment."""
    environment = os.environ | {"OMP_WAIT_POLICY": policy}
    other = [_start([_BUSY], environment)] if busy else []
    trainings = [_start([str(_STEPS)], environment) for _ in range(count)]
    try:
        for training in trainings:
            training.stdout.readline()  # it has imported everything and is warm
        for training in trainings:
            training.stdin.write("go\n")
            training.stdin.flush()
        return [float(training.stdout.readline()) for training in trainings]
    finally:
        for process in (*trainings, *other):
            process.kill()
            process.communicate()


def _start(arguments: Sequence[str], environment: dict[str, str]) -> subprocess.Popen[str]:
    command = [sys.executable, "-m", __name__, *arguments]
    return subprocess.Popen(command, env=environment, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)


def _train(steps: int) -> None:
    """A training that says when it is warm, waits for a line, and says how many seconds a step took."""
    from course_lib.data.datasets import CropDataset
    from course_lib.data.loading import load_source
    from course_lib.pretext.rotnet import RotNet
    from course_lib.training.steps import Training

    profile, recipe = PROFILES["quick"], RotNet.RECIPES["quick"]
    torch.manual_seed(0)
    crops = CropDataset(load_source("china"), d=profile.d, side=profile.side)
    training = Training(RotNet.build(profile, crops).train(), crops, recipe, seed=0, compiled=False)
    for _ in range(_WARM_UP):
        training.step()
    print("warm", flush=True)
    if not sys.stdin.readline():  # the bench has ended
        return
    start = time.perf_counter()
    for _ in range(steps):
        training.step()
    print((time.perf_counter() - start) / steps, flush=True)


if __name__ == "__main__":
    if sys.argv[1:] == [_BUSY]:
        threading.Thread(target=lambda: (sys.stdin.read(), os._exit(0)), daemon=True).start()  # ends with the bench
        while True:
            pass
    _train(int(sys.argv[1]))
