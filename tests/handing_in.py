"""Submissions for the tests of the grading: notebooks of the course with answers in them."""

from __future__ import annotations

import inspect
import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from course_lib.exercises import find_exercise
from course_lib.grading.attacks import corpus as CORPUS
from course_lib.grading.trusted import Trusted, read_trusted
from course_lib.support.notebooks import find_notebooks


def template(name: str = CORPUS.NOTEBOOK) -> dict[str, Any]:
    """One of the course's notebooks, as JSON."""
    (path,) = find_notebooks([name])
    return json.loads(path.read_text(encoding="utf-8"))


def trusted(name: str = CORPUS.NOTEBOOK) -> Trusted:
    """The same, as the grader reads it."""
    return read_trusted(find_notebooks([name])[0])


def handed_in(answers: Mapping[str, str], name: str = CORPUS.NOTEBOOK) -> bytes:
    """A notebook with these cells in the place of its answer cells."""
    notebook = template(name)
    for exercise in trusted(name).exercises:
        for cell in notebook["cells"]:
            if cell["id"] == exercise.id and exercise.key in answers:
                cell["source"] = answers[exercise.key]
    return json.dumps(notebook).encode()


def code_cell(source: str, **more: Any) -> dict[str, Any]:
    """A code cell as JSON."""
    return {
        "cell_type": "code",
        "id": "x",
        "metadata": {},
        "outputs": [],
        "execution_count": None,
        "source": source,
    } | more


def copied_from_the_library(key: str, name: str) -> str:
    """A right answer to any exercise: the library's own lines, as a learner could have written them.

    name: of the function in the notebook. What the lines need is taken from their module.
    """
    answer = find_exercise(key).answer
    own = f"import {answer.__module__} as module\nglobals().update(vars(module))\n"
    return f'{own}\n{inspect.getsource(answer)}\n{name} = check("{key}", {answer.__name__})\n'


def write(folder: Path, files: Mapping[str, bytes]) -> Path:
    """A folder with these files, whose names may hold folders."""
    for name, content in files.items():
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content)
    return folder
