"""Whose the processes of a sandbox are, and the end of all that a process started, what has run away included."""

from __future__ import annotations

import contextlib
import ctypes
import fcntl
import os
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import psutil

from course_lib.support.errors import CourseError

_FIRST, _MOST = 60_700, 200  # users, between the ranges that Debian and systemd give to accounts
_LOCKS = Path("/run/course_lib-grading")
_TRIES = 200  # of 0.02 seconds each


@contextlib.contextmanager
def claim_user() -> Iterator[int | None]:
    """For root, the id of a user without rights that no other sandbox on this machine runs as, since limits and kills
    count by user; None for anybody else.

    A lock holds it, which the system opens again however this process ends.
    """
    if os.getuid() != 0:
        yield None
        return
    _LOCKS.mkdir(mode=0o700, exist_ok=True)
    for user in range(_FIRST, _FIRST + _MOST):
        with (_LOCKS / str(user)).open("w") as file:
            try:
                fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except OSError:
                continue
            yield user
            return
    raise CourseError(f"{_MOST} sandboxes are running already; give fewer --jobs")


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
            with contextlib.suppress(psutil.Error):
                process.kill()
        with contextlib.suppress(ChildProcessError):
            while os.waitpid(-1, os.WNOHANG)[0]:
                pass
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
