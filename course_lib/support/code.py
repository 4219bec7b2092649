"""The library's own code as a hash, by its folders: what an outcome depends on besides its parameters.

Whole folders, so that a new file can never be forgotten.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from pathlib import Path

import course_lib
from course_lib.support.files import sha256_of

SPINE = ("data", "networks", "profiles.py", "pretext", "training", "probes", "evidence")
"""From a photograph to a verdict, in order: nothing else decides a number."""


def hash_of_spine(last: str, *more: str) -> str:
    """The hash of the code from SPINE's first folder to `last`, and of more folders or files below `course_lib`."""
    return hash_of_code(*SPINE[: SPINE.index(last) + 1], *more)


def hash_of_code(*parts: str) -> str:
    """The hash, in hexadecimal, of all Python files in folders below `course_lib`; a part may also be one file."""
    digest = hashlib.sha256()
    for part in parts:
        for path in _files(Path(course_lib.__file__).parent / part):
            digest.update(f"{path.name} {sha256_of(path)}\n".encode())
    return digest.hexdigest()


def _files(path: Path) -> Iterator[Path]:
    yield from [path] if path.is_file() else sorted(path.rglob("*.py"))
