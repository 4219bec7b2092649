"""The course's own notebooks, as the grader reads them: of their cells only code, and what in it asks for an answer."""

from __future__ import annotations

import ast
import json
from dataclasses import dataclass
from pathlib import Path

from course_lib.support.notebooks import find_notebooks


@dataclass(frozen=True)
class AnswerCell:
    """An answer cell: the exercise's key, the function's name, the cell's id and text."""

    key: str
    name: str
    id: str
    source: str


@dataclass(frozen=True)
class Trusted:
    """One of the course's notebooks. code: the texts of its code cells up to the last answer cell."""

    name: str
    code: list[str]
    exercises: list[AnswerCell]


def trusted_notebooks() -> list[Trusted]:
    """The course's notebooks that have exercises, in order."""
    return [notebook for notebook in map(read_trusted, find_notebooks()) if notebook.exercises]


def read_trusted(path: Path) -> Trusted:
    """One of them. It is plain JSON that is read here, since nbformat takes seconds to be imported."""
    cells = [cell for cell in json.loads(path.read_text(encoding="utf-8"))["cells"] if cell["cell_type"] == "code"]
    sources = ["".join(cell["source"]) for cell in cells]
    tagged = [i for i, cell in enumerate(cells) if "exercise" in cell["metadata"].get("tags", [])]
    exercises = [AnswerCell(*_key_and_name(sources[i]), cells[i]["id"], sources[i]) for i in tagged]
    return Trusted(path.stem, sources[: tagged[-1] + 1] if tagged else [], exercises)


def _key_and_name(source: str) -> tuple[str, str]:
    """From `turns = check("02.turns", turns)`: "02.turns" and "turns"."""
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id == "check":
            key, function = node.args
            return ast.literal_eval(key), function.id
    raise ValueError(f"an answer cell has no check(): {source!r}")
