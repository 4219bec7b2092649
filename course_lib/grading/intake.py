"""Taking in what learners hand in: notebooks, and folders and zips of them, however odd their names and contents are.

No file is opened by following a link, nothing is unpacked, and no name that a learner chose becomes a path: a file that
cannot be graded is one submission with a problem, and the rest of the class goes on.
"""

from __future__ import annotations

import os
import stat
import zipfile
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO

from course_lib.support.errors import CourseError

LARGEST = 20_000_000
"""Bytes of one notebook."""

_MOST = 100_000  # notebooks in one folder or zip
_MOST_OF_ONE = 100  # of one learner, beyond which the rest is left out
_ALL_OF_ONE = 400_000_000  # bytes that the notebooks of one learner unpack to
_DEEPEST = 20  # folders in folders
_IGNORED = ("__MACOSX", "__pycache__")


@dataclass(frozen=True)
class Submission:
    """One file as it was handed in.

    learner: who gets the points, by the name of a file or folder. file: where it was found, for people to read.
    content: its bytes, empty where there is a problem. problem: why it cannot be graded, in a sentence, or "".
    """

    learner: str
    file: str
    content: bytes = b""
    problem: str = ""


def take_in(paths: Sequence[Path], course: Sequence[str]) -> Iterator[Submission]:
    """All submissions in these files, folders and zips, one after another, sorted by name in each.

    course: the names of the course's notebooks. A file of such a name belongs to the folder or zip that it is in; a
    file of any other name is named after its learner.
    """
    for path in paths:
        found = False
        for submission in _not_too_many(_in_path(path, course)):
            yield submission
            found = True
        if not found:
            yield Submission(path.stem, str(path), problem="It holds no notebook.")


def _not_too_many(submissions: Iterator[Submission]) -> Iterator[Submission]:
    """As many as are allowed for each learner: nobody who hands in thousands takes another's place."""
    counts: Counter[str] = Counter()
    for one in submissions:
        counts[one.learner] += 1
        if counts[one.learner] <= _MOST_OF_ONE:
            yield one
        elif counts[one.learner] == _MOST_OF_ONE + 1:
            yield Submission(one.learner, one.file, problem=f"More than {_MOST_OF_ONE} files; the rest is left out.")


def _in_path(path: Path, course: Sequence[str]) -> Iterator[Submission]:
    real = path.resolve()  # what the instructor names may be a link; what is in it may not
    if not real.is_dir():
        yield from _in_file(real, (path.name,), path.stem, course)
        return
    for parts in _worth_a_row(_files_below(real)):
        yield from _in_file(real.joinpath(*parts), parts, path.absolute().name, course, zip_of_one=True)


def _files_below(folder: Path) -> Iterator[tuple[str, ...]]:
    """The paths below a folder as tuples of names: files, links, and folders with nothing in them."""
    stack: list[tuple[str, ...]] = [()]
    while stack:
        parts = stack.pop()
        try:
            entries = sorted(os.scandir(folder.joinpath(*parts)), key=lambda entry: entry.name)
        except OSError:  # no right to look: a row of its own, whose opening says so
            entries = []
        inner = [entry for entry in entries if not _is_ignored(entry.name)]
        if not inner and parts:
            yield parts
        deeper = [entry for entry in inner if entry.is_dir(follow_symlinks=False) and len(parts) < _DEEPEST]
        yield from ((*parts, entry.name) for entry in inner if entry not in deeper)
        stack += [(*parts, entry.name) for entry in reversed(deeper)]


def _is_ignored(name: str) -> bool:
    """Whether programs leave files of this name behind: `.DS_Store`, `.ipynb_checkpoints`, `__MACOSX`."""
    return name.startswith(".") or name in _IGNORED


def _worth_a_row(files: Iterable[tuple[str, ...]]) -> list[tuple[str, ...]]:
    """Notebooks and zips, and of other files those of folders that have neither, so that their learner has a row; of
    each of the two kinds _MOST, since nobody reads a row for each of thousands."""
    counts: Counter[bool] = Counter()
    found = []
    for parts in files:
        kind = _is_handed_in(parts)
        counts[kind] += 1
        if counts[kind] <= _MOST:
            found.append(parts)
    has_one = {parts[:-1] for parts in found if _is_handed_in(parts)} - {()}
    return [
        parts
        for parts in found
        if _is_handed_in(parts) or not any(parts[:depth] in has_one for depth in range(1, len(parts) + 1))
    ]


def _is_handed_in(parts: Sequence[str]) -> bool:
    return _suffix(parts) in (".ipynb", ".zip")


def _suffix(parts: Sequence[str]) -> str:
    return Path(parts[-1]).suffix.lower()


def _in_file(
    path: Path, parts: tuple[str, ...], container: str, course: Sequence[str], zip_of_one: bool = False
) -> Iterator[Submission]:
    """The submissions in one file: itself, or those in a zip.

    parts: its names below what was given. container: the name of what it is in, for files named after a notebook.
    zip_of_one: a zip is one learner's, whatever the names in it; else it is the class.
    """
    learner, suffix = learner_of(parts, container, course), _suffix(parts)
    try:
        if suffix == ".zip":
            prefix = (*parts[:-1], Path(parts[-1]).stem) if zip_of_one else ()
            with _opened(path, limit=None) as file:
                yield from _in_zip(file, str(path), prefix, Path(parts[-1]).stem, course)
            return
        with _opened(path, LARGEST) as file:
            content = file.read(LARGEST + 1)
        problem = _problem_of(suffix, len(content))
    except (OSError, ValueError, CourseError) as error:
        content, problem = b"", _why(error)
    yield Submission(learner, str(path), b"" if problem else content, problem)


def learner_of(parts: Sequence[str], container: str, course: Sequence[str]) -> str:
    """Who handed in a file: its path without the suffix, or its folder's where the file is named after a notebook."""
    stem = Path(parts[-1]).stem
    if any(stem.startswith(name) for name in course):
        return "/".join(parts[:-1]) or container
    return "/".join([*parts[:-1], stem])


def _opened(path: Path, limit: int | None) -> BinaryIO:
    """A regular file, opened for reading without following a link or waiting for a pipe's other end. Raises CourseError
    where it is no regular file, or too large."""
    mode = os.lstat(path).st_mode
    if stat.S_ISLNK(mode):
        raise CourseError("It is a symbolic link, and not a file.")
    handle = os.open(path, os.O_RDONLY | getattr(os, "O_NOFOLLOW", 0) | getattr(os, "O_NONBLOCK", 0))
    found = os.fstat(handle)
    if stat.S_ISREG(found.st_mode) and (limit is None or found.st_size <= limit):
        return os.fdopen(handle, "rb")
    os.close(handle)
    if stat.S_ISREG(found.st_mode):
        raise CourseError(_too_large(found.st_size))
    raise CourseError("It holds no notebook." if stat.S_ISDIR(found.st_mode) else "It is no regular file.")


def _too_large(size: int) -> str:
    return f"It has {size / 1e6:.0f} MB, and {LARGEST / 1e6:.0f} are allowed: clear the outputs and hand it in again."


def _problem_of(suffix: str, size: int) -> str:
    if suffix != ".ipynb":
        return f"It is a {suffix or 'nameless'} file, and a notebook (.ipynb) is expected."
    if size > LARGEST:
        return _too_large(size)
    return "" if size else "It is empty."


def _why(error: Exception) -> str:
    if isinstance(error, CourseError):
        return str(error)
    if isinstance(error, FileNotFoundError):
        return "There is no such file."
    if isinstance(error, PermissionError):
        return "It may not be read."
    return f"It cannot be read ({type(error).__name__})."


def _in_zip(
    file: BinaryIO, name: str, prefix: tuple[str, ...], stem: str, course: Sequence[str]
) -> Iterator[Submission]:
    """The submissions in a zip, read one after another and never unpacked.

    prefix: the names before those in the zip. stem: the zip's own name.
    """
    try:
        with zipfile.ZipFile(file) as archive:
            entries = {_names_of(entry): entry for entry in archive.infolist() if not entry.is_dir()}
            kept = [parts for parts in entries if parts and not any(map(_is_ignored, parts))]
            if not kept:
                yield Submission("/".join(prefix) or stem, name, problem="It holds no notebook.")
                return
            read: Counter[str] = Counter()  # bytes, by learner
            for parts in sorted(_worth_a_row(kept)):
                learner = learner_of((*prefix, *parts), stem, course)
                content, problem = _read_entry(archive, entries[parts], _ALL_OF_ONE - read[learner])
                read[learner] += len(content)
                yield Submission(learner, f"{name}/{'/'.join(parts)}", b"" if problem else content, problem)
    except Exception as error:  # zipfile raises what it likes for a damaged file
        yield Submission("/".join(prefix) or stem, name, problem=f"It is no zip that can be read ({error}).")


def _names_of(entry: zipfile.ZipInfo) -> tuple[str, ...]:
    """The names in an entry's path, without those that lead elsewhere."""
    return tuple(part for part in entry.filename.replace("\\", "/").split("/") if part not in ("", ".", ".."))


def _read_entry(archive: zipfile.ZipFile, entry: zipfile.ZipInfo, left: int) -> tuple[bytes, str]:
    """Bytes, and what is wrong with them. What an entry says of its size is not believed."""
    suffix = Path(entry.filename).suffix.lower()
    if stat.S_ISLNK(entry.external_attr >> 16):
        return b"", "It is a symbolic link, and not a file."
    if suffix == ".zip":
        return b"", "It is a zip in a zip; hand in one."
    if entry.file_size > LARGEST or suffix != ".ipynb":
        return b"", _problem_of(suffix, entry.file_size)
    if left <= 0:
        return b"", f"All of this learner's unpacks to more than {_ALL_OF_ONE / 1e6:.0f} MB."
    try:
        with archive.open(entry) as file:
            content = file.read(LARGEST + 1)
    except Exception as error:
        return b"", f"It cannot be read from the zip ({type(error).__name__})."
    return content, _problem_of(suffix, len(content))
