"""The rules of a grading and what comes of it: each result is a file, written once and whole, and named by all that
decides it."""

from __future__ import annotations

import hashlib
import hmac
import secrets
from dataclasses import dataclass
from pathlib import Path

from course_lib.support.errors import CourseError
from course_lib.support.files import SPINE, hash_of_code, make_folder, sha256_of
from course_lib.support.notebooks import find_notebooks

VERSION = 1
_SECRET = "secret"
MOST_RUNS = 4
"""Of one submission: the first, and three more, each without the exercise that ended the one before."""


@dataclass(frozen=True)
class Rules:
    """The rules that a class is graded by.

    sandbox: the level. cell: seconds of the processor that one cell may take. total: seconds by the clock, for all
    cells of one run.
    """

    sandbox: str = "bubblewrap"
    cell: int = 30
    total: int = 300


def secret_of(folder: Path, given: str = "") -> str:
    """The secret that the questions of a class are drawn from: `given`, or the folder's own, made at the first use.

    Anyone who knows it can know the questions; it stays in the folder, where only its owner can read it. Raises
    CourseError where the folder has another than the one given.
    """
    path = make_folder(folder) / _SECRET
    if not path.exists():
        path.touch(mode=0o600)
        path.write_text(given or secrets.token_hex(16))
    kept = path.read_text()
    if given and kept != given:
        raise CourseError(f"{path} holds another secret than --secret; grade into a new folder, or leave --secret out")
    return kept


def seed_of(secret: str, submission: str, key: str = "") -> int:
    """The seed of a submission's questions, or of one exercise's: not to be guessed without the secret."""
    digest = hmac.new(secret.encode(), f"{submission} {key}".encode(), hashlib.sha256).digest()
    return int.from_bytes(digest[:6], "big")


def checks_digest(rules: Rules) -> str:
    """A hash of all that decides a result but the submission and the seed: what answers are run with and judged by,
    the notebooks and the rules."""
    text = hash_of_code("support", *SPINE, "pictures", "lessons", "exercises", "grading")
    text += "".join(sha256_of(path) for path in find_notebooks()) + repr(rules)
    return hashlib.sha256(text.encode()).hexdigest()[:16]


def record_path(folder: Path, submission: str, rules: Rules, secret: str) -> Path:
    """Where the record of a submission, given by its SHA-256, is or will be."""
    return folder / "records" / f"{submission}-{checks_digest(rules)}-{seed_of(secret, submission):012x}.json"


def submission_path(folder: Path, submission: str) -> Path:
    """Where a submission's bytes are kept, by a name of ours."""
    return folder / "submissions" / f"{submission}.ipynb"
