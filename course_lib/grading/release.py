"""What learners get: the notebooks with their stubs, the library that runs them, and a page that says how to begin."""

from __future__ import annotations

import ast
import shutil
from pathlib import Path

from course_lib.grading.intake import LARGEST
from course_lib.grading.submission import is_stub
from course_lib.grading.trusted import read_trusted
from course_lib.support.errors import CourseError
from course_lib.support.files import make_folder, write_file
from course_lib.support.notebooks import find_notebooks, notebooks_folder, strip, title

_README = """# What can a network learn from one image?

You need Python 3.10 or newer. In this folder:

```sh
python3 -m venv .venv && .venv/bin/pip install -e . && .venv/bin/python -m jupyterlab notebooks
```

(On Windows, write `py` for `python3` and `.venv\\Scripts\\` for `.venv/bin/`.) Without a GPU you can have a much
smaller PyTorch: add `--extra-index-url https://download.pytorch.org/whl/cpu` to the `pip install`.

The notebooks:

NOTEBOOKS

## Exercises

An exercise is a function with `...` for a body, and `check` below it. Write the body; `check` says at once what is
right and what is not, and the notebook goes on in either case.

When you hand a notebook in, **only the exercises' cells are graded**, by what their functions answer to new questions:

- put what your function needs, imports included, into its own cell;
- leave the line with `check` in it, and do not split the cell;
- the course's own function is no answer: where the grading runs, it is not there;
- outputs do not count. If the file has more than LARGEST MB, clear them.

Hand in the `.ipynb` file itself.
"""


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
    titles = "\n".join(f"- [{title(path)}](notebooks/{path.name})" for path in find_notebooks())
    write_file(folder / "README.md", _README.replace("NOTEBOOKS", titles).replace("LARGEST", f"{LARGEST / 1e6:.0f}"))
    return folder


def _require_stubs() -> None:
    for path in find_notebooks():
        for exercise in read_trusted(path).exercises:
            if not any(is_stub(line, exercise.name) for line in ast.parse(exercise.source).body):
                raise CourseError(
                    f"{path} has an answer to {exercise.key} in it, and learners would get it; take it out"
                )
