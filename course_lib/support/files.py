"""Files: written whole or not at all, downloaded, and hashed; and a sentence where a disk says no."""

from __future__ import annotations

import errno
import hashlib
import json
import os
import secrets
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, BinaryIO

import course_lib
from course_lib.support.errors import CourseError

_LEFT_BEHIND = frozenset({"__macosx", "__pycache__", "thumbs.db", "desktop.ini", "@eadir", "#recycle", "$recycle.bin"})

SPINE = ("data", "networks", "profiles.py", "pretext", "training", "probes", "evidence")
"""The code from a photograph to a verdict, in order: nothing else decides a number."""


def is_left_behind(name: str) -> bool:
    """Whether a file or folder of this name is hidden, or a program's own: `.DS_Store`, `._a.jpg`, `Thumbs.db`. Nobody
    means such a one who names the folder that it lies in."""
    return name.startswith((".", "~$")) or name.casefold() in _LEFT_BEHIND


def user_path(given: str | Path) -> Path:
    """A path as a user gives it, with the home folder in place of `~`. Raises CourseError where there is none."""
    try:
        return Path(given).expanduser()
    except RuntimeError:
        raise CourseError(f"{given}: there is no home folder of that name here; give the whole path") from None


def cache_folder() -> Path:
    """Where downloads and decoded pictures are kept: $COURSE_CACHE, or the user's cache folder."""
    if given := os.environ.get("COURSE_CACHE"):
        return make_folder(given)
    usual = Path(os.environ.get("XDG_CACHE_HOME", ""))  # an empty or a relative one counts as none, by its standard
    return make_folder((usual if usual.is_absolute() else user_path("~/.cache")) / "course_lib")


def make_folder(path: str | Path) -> Path:
    """The folder, made if it is not there. Raises CourseError where it cannot be made or written to."""
    path = user_path(path).absolute()  # a notebook's kernel stands in another folder than the user
    with disk_errors(path):
        path.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryFile(dir=path):
            pass
    return path


def write_file(path: str | Path, content: bytes | str) -> Path:
    """Write a file under a temporary name, then rename it: whoever reads it finds the old one or the new one whole.

    Its folder is made if it is not there. Raises CourseError where the disk is full or the folder cannot be written to;
    the old file is then untouched.
    """
    with new_file(path) as file:
        file.write(content.encode() if isinstance(content, str) else content)
    return Path(path)


def name_beside(path: Path) -> Path:
    """A new hidden name in the same folder, for what takes its own name when it is whole."""
    return path.with_name(f".{path.name}.{secrets.token_hex(8)}")


@contextmanager
def new_file(path: str | Path) -> Iterator[BinaryIO]:
    """A file to write to piece by piece, as `write_file` does at once: it takes its name when the block has ended."""
    path = Path(path)
    with disk_errors(path):
        path.parent.mkdir(parents=True, exist_ok=True)
        name = name_beside(path)
        try:
            with name.open("xb") as file:  # with the rights that the user's umask leaves
                yield file
                file.flush()
                os.fsync(file.fileno())
            name.replace(path)
        except BaseException:
            name.unlink(missing_ok=True)
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


def read_record(path: Path, version: int) -> dict[str, Any] | None:
    """What a piece of work has left as JSON; None for a file that is missing, damaged, or of another version."""
    try:
        record = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return None
    return record if isinstance(record, dict) and record.get("version") == version else None


def fill_template(name: str, **values: Any) -> str:
    """The template at a path below `course_lib`, filled in; values are escaped."""
    import jinja2

    loader = jinja2.PackageLoader("course_lib", ".")
    environment = jinja2.Environment(loader=loader, autoescape=True, undefined=jinja2.StrictUndefined)
    return environment.get_template(name).render(values)


def sha256_of(path: Path) -> str:
    """The SHA-256 of a file, in hexadecimal."""
    digest = hashlib.sha256()
    with path.open("rb") as file:
        while block := file.read(1 << 20):
            digest.update(block)
    return digest.hexdigest()


def hash_of_spine(last: str, *more: str) -> str:
    """The hash of the code from SPINE's first folder to `last`, and of more folders or files below `course_lib`."""
    return hash_of_code(*SPINE[: SPINE.index(last) + 1], *more)


def hash_of_code(*parts: str) -> str:
    """The hash, in hexadecimal, of all Python files in folders below `course_lib`; a part may also be one file.

    Of whole folders, so that a new file can never be forgotten.
    """
    digest = hashlib.sha256()
    for part in (Path(course_lib.__file__).parent / part for part in parts):
        for path in [part] if part.is_file() else sorted(part.rglob("*.py")):
            digest.update(f"{path.name} {sha256_of(path)}\n".encode())
    return digest.hexdigest()


def download(url: str, path: Path, known_hash: str) -> Path:
    """The file at `url`, as `path`; at once where it is there already, and whole.

    known_hash: with the name of its algorithm, as in `sha256:...` or `md5:...`.

    It is fetched under a temporary name and renamed when its hash is right, so that `path` is never a part of it.
    Raises CourseError without a network, when the connection is cut, and when the hash is wrong.
    """
    import pooch  # here, with requests, since few notebooks fetch anything
    import requests

    pooch.get_logger().setLevel("WARNING")
    fetch = pooch.HTTPDownloader(timeout=30, progressbar=True)  # seconds without a byte: the server is gone
    with disk_errors(path):
        try:
            pooch.retrieve(url, known_hash, path.name, path.parent, downloader=fetch)
        except requests.RequestException as error:
            raise CourseError(f"the download of {url} stopped ({error}); run again when the network is back") from error
        except ValueError as error:  # pooch's word for a wrong hash
            raise CourseError(f"{url} gave another file than expected ({error}); run again to fetch it") from error
    return path


def runs_folder(*parts: str) -> Path:
    """A folder below $COURSE_RUNS, or below `runs/` of the checkout (of the working folder, where the library was
    installed without one)."""
    checkout = Path(course_lib.__file__).parents[1]
    base = checkout if (checkout / "notebooks").is_dir() else Path.cwd()
    return make_folder(Path(os.environ.get("COURSE_RUNS") or base / "runs", *parts))
