"""Where many pieces of work are run: in processes on this machine, or by the workers of a Dask scheduler."""

from __future__ import annotations

import ctypes
import signal
import sys
from collections.abc import Callable, Iterator
from concurrent.futures import Executor, ThreadPoolExecutor
from contextlib import contextmanager

from course_lib.support.errors import CourseError


@contextmanager
def executor_of(jobs: int, scheduler: str = "") -> Iterator[Executor]:
    """What runs pieces of work: threads that each wait for a process, or the workers of a Dask scheduler.

    jobs: pieces at a time on this machine. scheduler: an address, or "". Raises CourseError where none answers there.
    """
    if not scheduler:
        executor = ThreadPoolExecutor(jobs)
        try:
            yield executor
        finally:
            executor.shutdown(cancel_futures=True)
        return
    try:
        from distributed import Client
    except ImportError:
        raise CourseError("--scheduler needs Dask; install it with pip install -e '.[cluster]'") from None
    try:
        client = Client(scheduler, timeout=10)
    except (OSError, ValueError) as error:
        raise CourseError(f"no Dask scheduler answers at {scheduler!r} ({error}); start one, or leave it out") from None
    with client:
        yield client.get_executor(pure=False, retries=2)  # a worker that dies costs its piece another try


def ends_with_its_parent(by: int = signal.SIGKILL) -> Callable[[], None] | None:
    """On Linux: what a new process calls to be sent a signal when its parent ends, even by SIGKILL.

    Elsewhere nothing does it, and this is None.
    """
    if sys.platform != "linux":
        return None
    libc, sends_at_parents_end = ctypes.CDLL(None), 1  # PR_SET_PDEATHSIG, prctl(2)
    return lambda: libc.prctl(sends_at_parents_end, by)
