"""The library as the sandbox has it: without the answers, the checks, the tests and the grading.

In every answer's place stands a function of the same name and signature that raises `NotYours`.
"""

from __future__ import annotations

import ast
import inspect
import shutil
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import course_lib

_LEFT_OUT = ("exercises", "grading", "experiments", "bench", "authoring", "assets", "__pycache__")
_OF_EXERCISES = ("asking.py", "plain.py")
NOT_YOURS = "the course's own function is no answer; write the body yourself"


def copy_library(to: Path, answers: Sequence[Callable[..., Any]]) -> Path:
    """Copy the library to `to`/course_lib, with stubs in the place of these functions; returns `to`."""
    here, copy = Path(course_lib.__file__).parent, to / "course_lib"
    shutil.copytree(here, copy, ignore=shutil.ignore_patterns(*_LEFT_OUT, "*.j2"))
    (copy / "exercises").mkdir()
    for name in _OF_EXERCISES:
        shutil.copy(here / "exercises" / name, copy / "exercises" / name)
    shutil.copy(Path(__file__).with_name("stand_in.py"), copy / "exercises" / "__init__.py")
    for answer in answers:
        file = copy / Path(inspect.getsourcefile(inspect.unwrap(answer))).relative_to(here)
        file.write_text(stubbed(file.read_text(encoding="utf-8"), answer.__qualname__), encoding="utf-8")
    return to


def stubbed(source: str, name: str) -> str:
    """A module's text with the body of one of its functions replaced by its docstring and a `raise`.

    name: as in `__qualname__`. Raises ValueError where there is no such function.
    """
    tree = ast.parse(source)
    node: ast.AST = tree
    for part in name.split("."):
        found = [child for child in getattr(node, "body", []) if getattr(child, "name", None) == part]
        if not found:
            raise ValueError(f"there is no function {name} to take the body out of")
        node = found[-1]
    raises = ast.parse(f"from course_lib.exercises import NotYours\nraise NotYours({NOT_YOURS!r})").body
    docstring = node.body[:1] if ast.get_docstring(node) is not None else []
    node.body = docstring + raises
    return ast.unparse(ast.fix_missing_locations(tree))
