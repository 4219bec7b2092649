"""Ending all that a process started, what has run away from it included."""

from __future__ import annotations

import ctypes
import os
import signal
import sys
import time

import psutil

_TRIES = 200  # of 0.02 seconds each


def adopt_orphans() -> None:
    """On Linux: let descendants of this process that lose their parents become its children, so that none is lost."""
    if sys.platform == "linux":
        become_their_parent = 36  # PR_SET_CHILD_SUBREAPER, prctl(2)
        ctypes.CDLL(None).prctl(become_their_parent, 1, 0, 0, 0)


def end_descendants() -> None:
    """Kill all descendants of this process again and again until there is none, and bury them."""
    for _ in range(_TRIES):
        left = living_descendants()
        for process in left:
            try:
                process.send_signal(signal.SIGKILL)
            except psutil.Error:
                continue
        _bury()
        if not left:
            return
        time.sleep(0.02)


def living_descendants() -> list[psutil.Process]:
    """All descendants of this process that still run."""
    return [one for one in psutil.Process().children(recursive=True) if _runs(one)]


def _runs(process: psutil.Process) -> bool:
    try:
        return process.status() != psutil.STATUS_ZOMBIE
    except psutil.Error:
        return False


def _bury() -> None:
    try:
        while os.waitpid(-1, os.WNOHANG)[0]:
            pass
    except ChildProcessError:
        pass
