"""Where many pieces of work are run: in processes on this machine, or by the workers of a Dask scheduler."""

from __future__ import annotations

import ctypes
import os
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator, Mapping
from concurrent.futures import Executor, ThreadPoolExecutor
from contextlib import contextmanager
from typing import Any

from course_lib.support.errors import CourseError

_PARENT = "COURSE_PARENT"  # the environment variable by which `run_module` tells a process who started it


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
        yield client.get_executor(pure=False, retries=2)  # a piece whose worker dies is tried again


def run_module(
    module: str,
    arguments: list[str],
    read_record: Callable[[], dict[str, Any] | None],
    timeout: float | None = None,
    environment: Mapping[str, str] = os.environ,
) -> dict[str, Any]:
    """Run `python -m module arguments` in a process of its own, and return the record that it leaves.

    read_record: gives the record, or None where there is none. timeout: in seconds; None sets no limit. Raises
    CourseError where the process leaves no record, fails or takes too long; of a failure it says what the process
    said last. The process ends with this one if its main function calls `end_with_parent`.
    """
    command, told = [sys.executable, "-m", module, *arguments], {_PARENT: str(os.getpid())}
    try:
        done = subprocess.run(command, capture_output=True, text=True, timeout=timeout, env={**environment, **told})
    except subprocess.TimeoutExpired:
        raise CourseError(f"it took more than {timeout} seconds") from None
    record = read_record()
    if done.returncode or record is None:
        said = done.stderr.strip().splitlines() if done.returncode else []
        raise CourseError(said[-1] if said else f"its process left no record (exit {done.returncode})")
    return record


def end_with_parent(by: int = signal.SIGKILL) -> None:
    """On Linux: have this process sent a signal when the one that started it by `run_module` ends, even by SIGKILL.

    Elsewhere, and in a process that was started in another way, it does nothing. The process asks for this itself,
    since a parent with threads must not run code of its own between fork and exec.
    """
    parent = os.environ.pop(_PARENT, "")
    if not parent or sys.platform != "linux":
        return
    send_at_parents_end = 1  # PR_SET_PDEATHSIG, prctl(2)
    ctypes.CDLL(None).prctl(send_at_parents_end, by)
    if os.getppid() != int(parent):  # it ended before it could be watched
        sys.exit("the process that started this one has ended")
