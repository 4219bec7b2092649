"""What learners get: the notebooks with their stubs, the library that runs them, and a page that says how to begin."""

from __future__ import annotations

import ast
import shutil
from pathlib import Path

from course_lib.grading.intake import LARGEST
from course_lib.grading.submission import is_stub
from course_lib.grading.trusted import read_trusted
from course_lib.support.errors import CourseError
from course_lib.support.files import fill_template, make_folder, write_file
from course_lib.support.notebooks import find_notebooks, notebooks_folder, strip, title


def release(folder: Path) -> Path:
    """Make the folder that learners get, and return it.

    Raises CourseError where the folder holds something, and where a notebook has an answer in the place of a stub.
    """
    if folder.exists() and (not folder.is_dir() or any(folder.iterdir())):
        raise CourseError(f"{folder} is not empty; give a new folder, so that nothing in it is written over")
    _require_stubs()
    clone, without = notebooks_folder().parent, shutil.ignore_patterns("__pycache__", ".ipynb_checkpoints", "attacks")
    make_folder(folder)
    for name in ("notebooks", "course_lib", "assets"):
        shutil.copytree(clone / name, folder / name, ignore=without)
    for path in (folder / "notebooks").glob("*.ipynb"):
        strip(path)
    for name in ("requirements.txt", "pyproject.toml", "LICENSE"):
        shutil.copy(clone / name, folder / name)
    titles = [(path.name, title(path)) for path in find_notebooks()]
    page = fill_template("grading/release.md.j2", notebooks=titles, largest=f"{LARGEST / 1e6:.0f}")
    write_file(folder / "README.md", page + "\n")
    return folder


def _require_stubs() -> None:
    for path in find_notebooks():
        for exercise in read_trusted(path).exercises:
            if not any(is_stub(line, exercise.name) for line in ast.parse(exercise.source).body):
                raise CourseError(
                    f"{path} has an answer to {exercise.key} in it, and learners would get it; take it out"
                )
