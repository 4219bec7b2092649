"""Files that are either whole or not there, and a sentence where a disk says no."""

from __future__ import annotations

import errno
import hashlib
import os
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import BinaryIO

import course_lib
from course_lib.support.errors import CourseError


def cache_folder() -> Path:
    """Where downloads and decoded pictures are kept: $COURSE_CACHE, or the user's cache folder."""
    given = os.environ.get("COURSE_CACHE")
    base = Path(given) if given else Path(os.environ.get("XDG_CACHE_HOME", Path.home() / ".cache")) / "course_lib"
    return make_folder(base)


def make_folder(path: str | Path) -> Path:
    """The folder, made if it is not there. Raises CourseError where it cannot be made or written to."""
    path = Path(path).expanduser().absolute()  # a notebook's kernel stands in another folder than the user
    with disk_errors(path):
        path.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryFile(dir=path):
            pass
    return path


def write_file(path: str | Path, content: bytes | str) -> Path:
    """Write a file under a temporary name, then rename it: whoever reads it finds the old one or the new one whole.

    Raises CourseError where the disk is full or the folder cannot be written to; the old file is then untouched.
    """
    with new_file(path) as file:
        file.write(content.encode() if isinstance(content, str) else content)
    return Path(path)


@contextmanager
def new_file(path: str | Path) -> Iterator[BinaryIO]:
    """A file to write to piece by piece, as `write_file` does at once: it takes its name when the block has ended."""
    path = Path(path)
    with disk_errors(path):
        handle, name = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.")
        try:
            with os.fdopen(handle, "wb") as file:
                yield file
                file.flush()
                os.fsync(file.fileno())
            Path(name).chmod(0o644)
            Path(name).replace(path)
        except BaseException:
            Path(name).unlink(missing_ok=True)
            raise


@contextmanager
def disk_errors(path: Path) -> Iterator[None]:
    """Turns what the operating system says of a disk into a sentence."""
    try:
        yield
    except OSError as error:
        if error.errno in (errno.ENOSPC, errno.EDQUOT):
            why = "the disk is full; free some space and run again"
        elif error.errno in (errno.EROFS, errno.EACCES, errno.EPERM):
            why = "it cannot be written to; choose another folder"
        elif error.errno in (errno.ENOTDIR, errno.EEXIST):
            why = "a file stands where a folder is needed; choose another folder"
        else:
            why = f"{error.strerror or error}"
        raise CourseError(f"{path}: {why}") from error


def sha256_of(path: Path) -> str:
    """The SHA-256 of a file, in hexadecimal."""
    digest = hashlib.sha256()
    with path.open("rb") as file:
        while block := file.read(1 << 20):
            digest.update(block)
    return digest.hexdigest()


def runs_folder(*parts: str) -> Path:
    """A folder below $COURSE_RUNS, or below `runs/` of the checkout (of the working folder, where the library was
    installed without one)."""
    checkout = Path(course_lib.__file__).parents[1]
    base = checkout if (checkout / "notebooks").is_dir() else Path.cwd()
    return make_folder(Path(os.environ.get("COURSE_RUNS") or base / "runs", *parts))
