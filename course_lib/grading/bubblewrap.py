"""What bubblewrap is told: the folders that a submission sees and by which names, its rights, and its environment.

Nothing here runs anything; `course_lib.grading.sandbox` does.
"""

from __future__ import annotations

import os
import shutil
import sys
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

INPUT, LIBRARY, SCRATCH = Path("/input"), Path("/library"), Path("/scratch")
"""Where the folders of a Job lie in the sandbox, in its order."""

_SYSTEM = ("/usr", "/bin", "/sbin", "/lib", "/lib32", "/lib64", "/libx32")
_APART = "--die-with-parent --new-session --unshare-pid --unshare-net --unshare-ipc --unshare-uts --unshare-cgroup-try"
"""Not --unshare-all: in a user's name space no uid can be dropped."""
_CLOSED = ("--remount-ro", "/dev", "--remount-ro", "/", "--chdir", str(SCRATCH))
_FOR_THE_LINKER = ("/etc/ld.so.cache", "/etc/alternatives")


@dataclass(frozen=True)
class Job:
    """The folders of one run. input, library: read in the sandbox. work: written to there, and read back as claims."""

    input: Path
    library: Path
    work: Path

    def seen(self, level: str) -> Job:
        """The same folders by the names that they have in the sandbox."""
        return Job(INPUT, LIBRARY, SCRATCH) if level == "bubblewrap" else self


def environment(job: Job, level: str) -> dict[str, str]:
    """All environment variables of the sandbox; none of the grader's own."""
    seen = job.seen(level)
    home, path = seen.work / "home", [str(Path(sys.executable).parent), "/usr/bin", "/bin"]
    values = {"PATH": os.pathsep.join(path), "HOME": str(home), "USER": "learner", "LANG": "C.UTF-8"}
    values |= {"TMPDIR": str(seen.work / "tmp"), "JUPYTER_RUNTIME_DIR": str(home), "IPYTHONDIR": str(home / "ipython")}
    values |= {"COURSE_CACHE": str(home / "cache"), "COURSE_RUNS": str(home / "runs"), "MALLOC_ARENA_MAX": "1"}
    values |= {"PYTHONPATH": os.pathsep.join([str(seen.library), *_elsewhere()]), "PYTHONDONTWRITEBYTECODE": "1"}
    return values | dict.fromkeys(("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS"), "1")


def bubblewrapped(job: Job, command: Sequence[str], user: int | None, hidden: Sequence[Path] = ()) -> list[str]:
    """A command as bubblewrap is to run it.

    user: the id of a user without rights to run it as, for root; None takes a user name space instead.
    """
    argv = [shutil.which("bwrap") or "bwrap", *_APART.split(), *(["--unshare-user"] if user is None else [])]
    argv += ["--bind", str(job.work / "tmp"), "/tmp"]  # first: Python may lie below /tmp
    argv += [word for mount in _mounts(hidden) for word in mount]
    argv += ["--proc", "/proc", "--dev", "/dev"]
    argv += ["--ro-bind", str(job.input), str(INPUT), "--ro-bind", str(job.library), str(LIBRARY)]
    argv += ["--bind", str(job.work), str(SCRATCH), "--bind", str(job.work / "shm"), "/dev/shm", *_CLOSED]
    drop = ["--reuid", str(user), "--regid", str(user), "--clear-groups", "--no-new-privs"]
    rights = ["--bounding-set=-all", "--inh-caps=-all"]
    return [*argv, "--", *(["setpriv", *drop, *rights] if user is not None else []), *command]


def _mounts(hidden: Sequence[Path]) -> Iterator[list[str]]:
    """What is shown of the machine, read-only: system and Python; and empty folders over what is hidden."""
    shown = [Path(name) for name in _SYSTEM if Path(name).exists()]
    for path in shown:
        link = path.is_symlink()
        yield ["--symlink", str(path.readlink()), str(path)] if link else ["--ro-bind", str(path), str(path)]
    for name in _FOR_THE_LINKER:
        yield ["--ro-bind-try", name, name]
    places = {path: "shown" for path in python_folders() if not any(path.is_relative_to(system) for system in shown)}
    places |= {path: "hidden" for path in hidden if any(path.is_relative_to(outer) for outer in [*places, *shown])}
    for path in sorted(places, key=lambda path: len(path.parts)):  # what lies within comes after
        if places[path] == "hidden":
            yield ["--tmpfs", str(path)]
            continue
        for parent in [*reversed(path.parents)][1:]:
            yield ["--perms", "0755", "--dir", str(parent)]  # else only root could pass through it
        yield ["--ro-bind", str(path), str(path)]
    yield from (["--remount-ro", str(path)] for path in places if places[path] == "hidden")


def python_folders() -> list[Path]:
    """The folders of this Python and of its packages; none of them lies in another."""
    packages = [Path(entry) for entry in sys.path if Path(entry).name in ("site-packages", "dist-packages")]
    places = [Path(sys.prefix), Path(sys.base_prefix), Path(sys.executable).resolve().parents[1], *packages]
    found = list(dict.fromkeys(path for path in places if path.is_dir()))
    return [path for path in found if not any(path != other and path.is_relative_to(other) for other in found)]


def _elsewhere() -> list[str]:
    """Folders of packages outside this Python's own, such as a user's, which a new process would not find by itself."""
    own = (Path(sys.prefix), Path(sys.base_prefix))
    return [str(path) for path in python_folders() if not any(path.is_relative_to(place) for place in own)]
