"""Users without rights for root's sandboxes: one each at a time, since limits and kills count by user."""

from __future__ import annotations

import fcntl
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from course_lib.support.errors import CourseError

_FIRST, _MOST = 60_700, 200  # between the ranges that Debian and systemd give to accounts
_LOCKS = Path("/run/course_lib-grading")


@contextmanager
def claim_user() -> Iterator[int | None]:
    """The id of a user that no other sandbox on this machine runs as, for root; None for anybody else.

    A lock holds it, which the system opens again however this process ends.
    """
    if os.getuid() != 0:
        yield None
        return
    _LOCKS.mkdir(mode=0o700, exist_ok=True)
    for user in range(_FIRST, _FIRST + _MOST):
        handle = os.open(_LOCKS / str(user), os.O_CREAT | os.O_RDWR | os.O_CLOEXEC, 0o600)
        try:
            fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            os.close(handle)
            continue
        try:
            yield user
        finally:
            os.close(handle)
        return
    raise CourseError(f"{_MOST} sandboxes are running already; give fewer --jobs")
