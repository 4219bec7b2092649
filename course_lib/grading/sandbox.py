"""Running the learner's code where it can do no harm, at one of two levels; neither ever silently replaces the other.

`bubblewrap`: no network, a read-only system with only the files that the course needs, a process space of its own, and
a user without rights. `limits`: the limits alone, for machines without bubblewrap: the code can read what you can read,
and use the network. Both limit time, memory, processes, files, and the size of files.
"""

from __future__ import annotations

import contextlib
import os
import select
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import psutil

from course_lib.grading.bubblewrap import Job, bubblewrapped, environment
from course_lib.grading.processes import claim_user, end_descendants
from course_lib.support.errors import CourseError

LEVELS = ("limits", "bubblewrap")
"""From the weakest to the strongest."""

MEMORY = 4_000_000_000
"""Resident bytes of all processes of a submission together."""

DISK = 1_000_000_000
"""Bytes that a submission may write."""

_ENTRIES = 20_000  # files and folders that a submission may make
_SPARE = 500_000_000  # bytes of the disk that a submission may not touch, wherever it hides what it writes
_LIMITS = {
    "RLIMIT_AS": 6 << 30,  # addresses, not memory: CUDA builds of PyTorch reserve 4 GB and more
    "RLIMIT_FSIZE": 64 << 20,
    "RLIMIT_NOFILE": 512,
    "RLIMIT_CORE": 0,
}
_THREADS = 128  # of all processes together
_POLL = 0.1  # seconds between two looks
_TO_START = 150  # seconds until the course is imported, on a busy machine
_GRACE = 15  # seconds beyond those of the cells, before the whole is ended from outside


@dataclass(frozen=True)
class End:
    """How a run ended. why: "total", "memory" or "disk" where it was ended from outside, or "". ready: what the runner
    said before any of the learner's code was run: "ready", or what went wrong."""

    why: str
    ready: str


def limits(seconds: int) -> dict[str, int]:
    """The resource limits of a run of so many seconds, by their names in `resource`."""
    threads = _THREADS
    if os.getuid() != 0:  # what this user already runs counts, too; root's does not, since the code runs as another
        found = [process.info for process in psutil.process_iter(["uids", "num_threads"])]  # None: cannot be read
        threads += sum(one["num_threads"] or 0 for one in found if one["uids"] and one["uids"].real == os.getuid())
    return _LIMITS | {"RLIMIT_CPU": seconds + _TO_START, "RLIMIT_NPROC": threads}


def run(job: Job, command: Sequence[str], level: str, seconds: float, hidden: Sequence[Path] = ()) -> End:
    """Run a command in the sandbox, and wait until nothing of it is left. At the level `limits` all descendants of this
    process are ended with it, so that only a process of its own may do this.

    seconds: from when it is ready, which it says through the file descriptor that $READY names, until it is ended.
    hidden: folders that must not be seen, should they lie within what is shown.
    """
    errors = job.input.parent / "errors.txt"
    with claim_user() as user, errors.open("wb") as file:
        for folder in ("tmp", "home", "shm"):
            (job.work / folder).mkdir(exist_ok=True)
        if user is not None:
            _give(job, user)
        argv = bubblewrapped(job, command, user, hidden) if level == "bubblewrap" else list(command)
        told, tell = os.pipe()
        process = subprocess.Popen(
            argv,
            stdin=subprocess.DEVNULL,
            stdout=file,
            stderr=file,
            cwd=job.work,
            env=environment(job, level) | {"READY": str(tell)},
            pass_fds=[tell],
            start_new_session=True,
            **({"user": user, "group": user, "extra_groups": []} if user is not None and level == "limits" else {}),
        )
        os.close(tell)
        try:
            # It can be read, too, when whoever could have written to it has ended.
            said = os.read(told, 2000).decode(errors="replace") if select.select([told], [], [], _TO_START)[0] else ""
            why = _watch(process, job.work, time.monotonic() + seconds + _GRACE) if said == "ready" else ""
            return End(why, said or _last_line(errors))
        finally:
            os.close(told)
            process.kill()
            process.wait()
            if level == "limits":  # bubblewrap's process space ends with it
                end_descendants()


def _last_line(path: Path) -> str:
    lines = path.read_bytes()[-2000:].decode(errors="replace").strip().splitlines()
    return lines[-1] if lines else "it said nothing"


def _give(job: Job, user: int) -> None:
    """Let another user write to the one folder and read the others, whatever the grader's umask is."""
    for path in [job.work, *job.work.iterdir()]:
        os.chown(path, user, user)
    subprocess.run(["chmod", "-R", "a+rX", str(job.input), str(job.library)], check=True)


def _watch(process: subprocess.Popen, work: Path, until: float) -> str:
    while process.poll() is None:
        if time.monotonic() > until:
            return "total"
        if _memory(process.pid) > MEMORY:
            return "memory"
        if _too_much_written(work):
            return "disk"
        time.sleep(_POLL)
    return ""


def _memory(pid: int) -> int:
    """Resident bytes of a process and all that it started, as far as they still run."""
    total = 0
    with contextlib.suppress(psutil.Error):
        for process in (psutil.Process(pid), *psutil.Process(pid).children(recursive=True)):
            with contextlib.suppress(psutil.Error):
                total += process.memory_info().rss
    return total


def _too_much_written(work: Path) -> bool:
    """Whether the files are too many or too large, or the disk is nearly full, by whatever was hidden there."""
    total, entries, waiting = 0, 0, [str(work)]
    while waiting:
        try:
            with os.scandir(waiting.pop()) as found:
                for entry in found:
                    entries += 1
                    if entry.is_dir(follow_symlinks=False):
                        waiting.append(entry.path)
                    else:
                        total += entry.stat(follow_symlinks=False).st_blocks * 512
                    if entries > _ENTRIES or total > DISK:
                        return True
        except OSError:  # gone meanwhile, or closed to us
            continue
    return shutil.disk_usage(work).free < _SPARE


def require_level(level: str) -> None:
    """Raises CourseError, with what to do, where a level does not work here."""
    if level not in LEVELS:
        raise CourseError(f"--sandbox takes {' or '.join(LEVELS)}; got {level!r}")
    if os.name != "posix":
        raise CourseError("grading needs Linux or macOS; on Windows, use WSL")
    if level == "bubblewrap" and (problem := bubblewrap_problem()):
        raise CourseError(
            f"the sandbox bubblewrap does not work here ({problem}); install it (apt-get install bubblewrap), or "
            "choose the weaker one with --sandbox limits: course_lib/grading/README.md says what that lacks"
        )
    if level == "limits" and os.getuid() == 0 and not _others_can_read(Path(sys.executable)):
        raise CourseError(
            f"at the level limits root would run the learners' code as another user, who cannot read {sys.executable}; "
            "grade as an ordinary user, or with --sandbox bubblewrap"
        )


def bubblewrap_problem() -> str:
    """Why bubblewrap cannot be used here, or ""."""
    if not shutil.which("bwrap"):
        return "there is no program bwrap"
    if os.getuid() == 0 and not shutil.which("setpriv"):
        return "there is no program setpriv, which root needs beside it"
    with tempfile.TemporaryDirectory() as folder:
        job = Job(*(Path(folder) / name for name in ("input", "library", "work")))
        for path in (job.input, job.library, job.work):
            path.mkdir()
        ready = "import os; os.write(int(os.environ['READY']), b'ready')"
        end = run(job, [sys.executable, "-c", ready], "bubblewrap", 30)
        return "" if end.ready == "ready" else end.ready


def _others_can_read(path: Path) -> bool:
    """Whether a user without rights can reach a file, and what its links lead to."""
    chain = {path.absolute(), path.resolve(), Path(sys.prefix), Path(sys.base_prefix)}
    folders = {parent for one in chain for parent in (one, *one.parents)}
    return all(folder.stat().st_mode & 0o005 for folder in folders)
