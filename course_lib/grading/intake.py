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
from pathlib import Path, PurePosixPath
from typing import Any, BinaryIO

from course_lib.support.errors import CourseError
from course_lib.support.files import is_left_behind

LARGEST = 20_000_000
"""Bytes of one notebook."""

_MOST = 100_000  # notebooks in one folder or zip
_MOST_OF_ONE = 100  # of one learner, beyond which the rest is left out
_ALL_OF_ONE = 400_000_000  # bytes that the notebooks of one learner unpack to
_DEEPEST = 20  # folders in folders
_TOP = PurePosixPath()


@dataclass
class Submission:
    """One file as it was handed in, and what became of it.

    learner: who gets the points, by the name of a file or folder. file: where it was found, for people to read.
    content: its bytes, until they are kept elsewhere; empty where there is a problem. problem: why it cannot be graded,
    in a sentence, or "". record: as `grading.one` writes it.
    """

    learner: str
    file: str
    content: bytes = b""
    problem: str = ""
    record: dict[str, Any] | None = None


def take_in(paths: Sequence[Path], course: Sequence[str]) -> Iterator[Submission]:
    """All submissions in these files, folders and zips, one after another, sorted by name in each.

    course: the names of the course's notebooks. A file of such a name belongs to the folder or zip that it is in; a
    file of any other name is named after its learner.
    """
    for path in paths:
        counts: Counter[str] = Counter()  # nobody who hands in thousands takes another's place
        for one in _in_path(path, course):
            counts[one.learner] += 1
            if counts[one.learner] <= _MOST_OF_ONE:
                yield one
            elif counts[one.learner] == _MOST_OF_ONE + 1:
                words = f"More than {_MOST_OF_ONE} files; the rest is left out."
                yield Submission(one.learner, one.file, problem=words)


def _in_path(path: Path, course: Sequence[str]) -> Iterator[Submission]:
    real = path.resolve()  # what the instructor names may be a link; what is in it may not
    if not real.is_dir():
        yield from _in_file(real, PurePosixPath(path.name), path.stem, course)
        return
    rows = _worth_a_row(_files_below(real))
    if not rows:
        yield Submission(path.stem, str(path), problem="It holds no notebook.")
    for below in rows:
        yield from _in_file(real / below, below, path.absolute().name, course, zip_of_one=True)


def _files_below(folder: Path, below: PurePosixPath = _TOP) -> Iterator[PurePosixPath]:
    """The paths in a folder, relative to it: files, links, and folders with nothing in them."""
    try:
        inner = [entry for entry in os.scandir(folder / below) if not is_left_behind(entry.name)]
    except OSError:  # no right to look: a row of its own, whose opening says so
        inner = []
    if not inner and below.name:
        yield below
    deeper = {entry.name for entry in inner if entry.is_dir(follow_symlinks=False) and len(below.parts) < _DEEPEST}
    for entry in sorted(inner, key=lambda entry: (entry.name in deeper, entry.name)):
        if entry.name in deeper:
            yield from _files_below(folder, below / entry.name)
        else:
            yield below / entry.name


def _worth_a_row(files: Iterable[PurePosixPath]) -> list[PurePosixPath]:
    """Notebooks and zips, and of other files those of folders that have neither, so that their learner has a row; of
    each of the two kinds _MOST, since nobody reads a row for each of thousands."""
    counts: Counter[bool] = Counter()
    found = []
    for path in files:
        counts[_is_handed_in(path)] += 1
        if counts[_is_handed_in(path)] <= _MOST:
            found.append(path)
    has_one = {path.parent for path in found if _is_handed_in(path)} - {_TOP}
    return [path for path in found if _is_handed_in(path) or has_one.isdisjoint((path, *path.parents))]


def _is_handed_in(path: PurePosixPath) -> bool:
    return path.suffix.lower() in (".ipynb", ".zip")


def _in_file(
    path: Path, below: PurePosixPath, container: str, course: Sequence[str], zip_of_one: bool = False
) -> Iterator[Submission]:
    """The submissions in one file: itself, or those in a zip.

    below: its path in what was given. container: the name of what it is in, for files named after a notebook.
    zip_of_one: a zip is one learner's, whatever the names in it; else it is the class.
    """
    content = b""
    try:
        with open_regular(path) as file:
            if below.suffix.lower() == ".zip":
                yield from _in_zip(file, path, below.with_suffix(""), course, zip_of_one)
                return
            size = os.fstat(file.fileno()).st_size
            if size > LARGEST:
                raise CourseError(_too_large(size))
            content = file.read(LARGEST + 1)
        problem = _problem_of(below, len(content))
    except (OSError, ValueError, CourseError) as error:
        problem = _why(error)
    yield Submission(learner_of(below, container, course), str(path), b"" if problem else content, problem)


def learner_of(path: PurePosixPath, container: str, course: Sequence[str]) -> str:
    """Who handed in a file: its path without the suffix, or its folder's where the file is named after a notebook."""
    if any(path.name.startswith(name) for name in course):
        return "/".join(path.parent.parts) or container
    return str(path.with_suffix(""))


def open_regular(path: Path) -> BinaryIO:
    """A regular file, opened for reading without following a link or waiting for a pipe's other end. Raises OSError
    where it cannot be opened, and CourseError where it is no regular file."""
    if path.is_symlink():
        raise CourseError("It is a symbolic link, and not a file.")
    handle = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK)
    mode = os.fstat(handle).st_mode
    if stat.S_ISREG(mode):
        return os.fdopen(handle, "rb")
    os.close(handle)
    raise CourseError("It holds no notebook." if stat.S_ISDIR(mode) else "It is no regular file.")


def _too_large(size: int) -> str:
    return f"It has {size / 1e6:.0f} MB, and {LARGEST / 1e6:.0f} are allowed: clear the outputs and hand it in again."


def _problem_of(path: PurePosixPath, size: int) -> str:
    if path.suffix.lower() != ".ipynb":
        return f"It is a {path.suffix.lower() or 'nameless'} file, and a notebook (.ipynb) is expected."
    if size > LARGEST:
        return _too_large(size)
    return "" if size else "It is empty."


def _why(error: Exception) -> str:
    if isinstance(error, CourseError):
        return str(error)
    known = {FileNotFoundError: "There is no such file.", PermissionError: "It may not be read."}
    return known.get(type(error), f"It cannot be read ({type(error).__name__}).")


def _in_zip(
    file: BinaryIO, path: Path, owner: PurePosixPath, course: Sequence[str], zip_of_one: bool
) -> Iterator[Submission]:
    """The submissions in a zip, read one after another and never unpacked. owner: the zip's path without its suffix."""
    before = owner if zip_of_one else _TOP
    try:
        with zipfile.ZipFile(file) as archive:
            entries = {_path_of(entry): entry for entry in archive.infolist() if not entry.is_dir()}
            kept = [inner for inner in entries if inner.parts and not any(map(is_left_behind, inner.parts))]
            if not kept:
                yield Submission(str(owner), str(path), problem="It holds no notebook.")
            read: Counter[str] = Counter()  # bytes, by learner
            for inner in sorted(_worth_a_row(kept)):
                learner = learner_of(before / inner, owner.name, course)
                content, problem = _read_entry(archive, entries[inner], inner, _ALL_OF_ONE - read[learner])
                read[learner] += len(content)
                yield Submission(learner, f"{path}/{inner}", b"" if problem else content, problem)
    except Exception as error:  # zipfile raises what it likes for a damaged file
        yield Submission(str(owner), str(path), problem=f"It is no zip that can be read ({error}).")


def _path_of(entry: zipfile.ZipInfo) -> PurePosixPath:
    """An entry's path, without the parts that lead elsewhere."""
    parts = entry.filename.replace("\\", "/").split("/")
    return PurePosixPath(*(part for part in parts if part not in ("", ".", "..")))


def _read_entry(archive: zipfile.ZipFile, entry: zipfile.ZipInfo, path: PurePosixPath, left: int) -> tuple[bytes, str]:
    """Bytes, and what is wrong with them. What an entry says of its size is not believed."""
    if stat.S_ISLNK(entry.external_attr >> 16):
        return b"", "It is a symbolic link, and not a file."
    if path.suffix.lower() == ".zip":
        return b"", "It is a zip in a zip; hand in one."
    if problem := _problem_of(path, entry.file_size or 1):
        return b"", problem
    if left <= 0:
        return b"", f"All of this learner's unpacks to more than {_ALL_OF_ONE / 1e6:.0f} MB."
    try:
        with archive.open(entry) as file:
            content = file.read(LARGEST + 1)
    except Exception as error:
        return b"", f"It cannot be read from the zip ({type(error).__name__})."
    return content, _problem_of(path, len(content))
