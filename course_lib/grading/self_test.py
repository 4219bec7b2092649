"""`python -m course_lib grade --self-test`: whether grading withstands the corpus of attacks on this machine."""

from __future__ import annotations

import json
import shutil
import tempfile
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path
from typing import Any

import course_lib
from course_lib.grading.attacks import corpus
from course_lib.grading.batch import grade
from course_lib.grading.intake import Submission
from course_lib.grading.processes import adopt_orphans, living_descendants
from course_lib.grading.records import Rules
from course_lib.support.errors import CourseError
from course_lib.support.files import make_folder, sha256_of
from course_lib.support.notebooks import find_notebooks

_RULES = {"cell": 5, "total": 120}
_HONEST = 3  # right and plain submissions among the attacks


def self_test(level: str, jobs: int, folder: Path | None, say: Callable[[str], None]) -> int:
    """Grade the corpus and a few honest submissions at a level of the sandbox; returns the exit status.

    Ends with the line `attacks N, forged F, lost L, left P`: points that were not earned, points of others that were
    lost, and processes that are left a second later. The status is 0 where F, L and P are.
    """
    with _folder(folder) as place, _server() as port:
        where = corpus.Place(Path(course_lib.__file__).parent, (place / "out").absolute(), port)
        left_out = () if level == "bubblewrap" else corpus.ONLY_IN_BUBBLEWRAP
        for name in left_out:
            say(f"{name}: left out, since at this level it would end your own processes")
        attacks = [one for one in corpus.attacks(where) if one.name not in left_out]
        owed = write_inbox(place / "inbox", attacks)
        adopt_orphans()
        graded = grade([place / "inbox"], place / "out", Rules(level, **_RULES), jobs, say=say)
        time.sleep(1)
        left = living_descendants()
        forged, lost = compare(graded, owed, say)
        changed = sum(sha256_of(path) != path.stem for path in (place / "out" / "submissions").iterdir())
    for one in left:
        one.kill()
    say(f"attacks {len(attacks)}, forged {forged}, lost {lost + changed}, left {len(left)}")
    return int(bool(forged or lost or changed or left))


def write_inbox(inbox: Path, attacks: list[Any]) -> dict[str, int]:
    """Write the submissions, honest ones before, among and after the attacks; returns the points that each must get."""
    make_folder(inbox)
    (path,) = find_notebooks([corpus.NOTEBOOK])
    template = json.loads(path.read_text(encoding="utf-8"))
    owed = {}
    for i, attack in enumerate(attacks):
        (inbox / f"{attack.name}.ipynb").write_bytes(corpus.built(template, attack))
        owed[attack.name] = attack.points
        if i % max(1, len(attacks) // _HONEST) == 0:
            name = f"{attack.name}, honest"
            (inbox / f"{name}.ipynb").write_bytes(corpus.honest(template | {"metadata": {"honest": i}}))
            owed[name] = 4
    return owed


def compare(graded: list[Submission], owed: dict[str, int], say: Callable[[str], None]) -> tuple[int, int]:
    """Points forged and points lost, each said with its submission's name."""
    forged = lost = 0
    got = {one.learner: sum(r["points"] for r in one.record["exercises"]) if one.record else 0 for one in graded}
    for name, must in owed.items():
        if got.get(name, 0) != must:
            say(f"{name}: must get {must}, got {got.get(name, 'no result')}")
        forged, lost = forged + max(0, got.get(name, 0) - must), lost + max(0, must - got.get(name, 0))
    return forged, lost


@contextmanager
def _folder(given: Path | None) -> Iterator[Path]:
    folder = make_folder(given) if given else Path(tempfile.mkdtemp(prefix="course-self-test-"))
    if any(folder.iterdir()):
        raise CourseError(f"{folder} is not empty; give the self-test a new folder, or none")
    try:
        yield folder
    finally:
        if not given:
            shutil.rmtree(folder)


@contextmanager
def _server() -> Iterator[int]:
    """A server on this machine that gives away a right answer; the port. The sandbox must not reach it."""

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self.send_response(200)
            self.end_headers()
            self.wfile.write(b"check = lambda key, function: function\n" + corpus.RIGHT[corpus.TARGET].encode())

        def log_message(self, *_: Any) -> None:
            pass

    with HTTPServer(("127.0.0.1", 0), Handler) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        try:
            yield server.server_port
        finally:
            server.shutdown()
