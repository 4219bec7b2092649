"""Reading a submission: its cells, and which of them answer the exercises of which of the course's notebooks.

A submission is read as plain JSON, and not as a notebook: of whatever is odd in it nothing matters but the cells' text.
"""

from __future__ import annotations

import ast
import json
import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import nbformat

from course_lib.errors import CourseError

LONGEST = 100_000
"""Characters of one answer."""


@dataclass(frozen=True)
class HandedIn:
    """A code cell of a submission: its id, its text, and the outputs that were saved with it."""

    id: str
    source: str
    outputs: list[Any]


@dataclass(frozen=True)
class AnswerCell:
    """An answer cell of the course's own notebook: the exercise's key, the function's name, the cell's id and text."""

    key: str
    name: str
    id: str
    source: str


@dataclass(frozen=True)
class Answer:
    """What a learner answered to an exercise.

    source: the text of the answer cell, or "" where there is none. attempted: whether there is anything in it but the
    stub. note: what was odd about finding it, in a sentence, or "".
    """

    source: str
    attempted: bool
    note: str = ""


def read_cells(content: bytes) -> list[HandedIn]:
    """The code cells of a notebook file, of format 3 or 4. Raises CourseError, in a sentence, for any other content."""
    try:
        notebook = json.loads(content)
    except (ValueError, RecursionError) as error:
        raise CourseError(f"It is no notebook: not valid JSON ({str(error)[:80]}).") from None
    if not isinstance(notebook, dict):
        raise CourseError("It is no notebook: JSON, but of something else.")
    sheets = notebook.get("worksheets")  # of format 3
    holders = [notebook, *(sheets if isinstance(sheets, list) else [])]
    lists = [holder["cells"] for holder in holders if isinstance(holder, dict) and isinstance(holder.get("cells"), list)]
    if not lists:
        raise CourseError("It is no notebook: it has no cells.")
    return [_cell(cell) for cells in lists for cell in cells if _is_code(cell)]


def _is_code(cell: Any) -> bool:
    return isinstance(cell, dict) and cell.get("cell_type") == "code"


def _cell(cell: dict[str, Any]) -> HandedIn:
    outputs = cell.get("outputs")
    source = _text(cell.get("source", cell.get("input")))
    return HandedIn(_text(cell.get("id")), source, outputs if isinstance(outputs, list) else [])


def _text(value: Any) -> str:
    """A text, or a list of lines, without halves of characters, which no file can hold."""
    lines = value if isinstance(value, list) else [value]
    joined = "".join(line for line in lines if isinstance(line, str))
    return joined.encode("utf-8", "replace").decode()


def answer_cells(notebook: nbformat.NotebookNode) -> list[AnswerCell]:
    """The answer cells of one of the course's notebooks, in order."""
    tagged = [cell for cell in notebook.cells if "exercise" in cell.metadata.get("tags", [])]
    return [AnswerCell(*_key_and_name(cell.source), cell.id, cell.source) for cell in tagged]


def _key_and_name(source: str) -> tuple[str, str]:
    """From `turns = check("02.turns", turns)`: "02.turns" and "turns"."""
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id == "check":
            key, function = node.args
            return ast.literal_eval(key), function.id
    raise ValueError(f"an answer cell has no check(): {source!r}")


def fit(cells: Sequence[HandedIn], trusted: Sequence[AnswerCell]) -> int:
    """How many of a notebook's exercises these cells have to do with."""
    return sum(bool(_candidates(cells, exercise)) for exercise in trusted)


def find_answer(cells: Sequence[HandedIn], exercise: AnswerCell) -> Answer:
    """The cell that answers an exercise, wherever it stands: by the key in its check(), its id, or what it defines.

    Of several, the last that is attempted counts.
    """
    found = _candidates(cells, exercise)
    if not found:
        return Answer("", False)
    attempts = [cell for cell in found if is_attempted(cell.source, exercise.name)]
    chosen = (attempts or found)[-1].source
    if len(chosen) > LONGEST:
        return Answer("", False, f"The answer has {len(chosen):,} characters, and {LONGEST:,} are allowed.")
    several = f"{len(attempts)} cells answer it; the last one counts." if len(attempts) > 1 else ""
    return Answer(chosen, bool(attempts), several)


def _candidates(cells: Sequence[HandedIn], exercise: AnswerCell) -> list[HandedIn]:
    asked = re.compile(rf"""check\s*\(\s*["']{re.escape(exercise.key)}["']""")
    defined = re.compile(rf"^\s*(?:def\s+{exercise.name}\b|{exercise.name}\s*=\s*(?!check\b))", re.MULTILINE)
    marked = [cell for cell in cells if asked.search(cell.source) or cell.id == exercise.id]
    if any(is_attempted(cell.source, exercise.name) for cell in marked):
        return marked
    return marked + [cell for cell in cells if cell not in marked and defined.search(cell.source)]


def is_attempted(source: str, name: str) -> bool:
    """Whether a cell gives the name anything but a function whose body is a docstring, `...` or `pass`."""
    try:
        tree = ast.parse(source)
    except (ValueError, SyntaxError, RecursionError, MemoryError):  # magics, a null byte, half a line: an attempt
        return bool(source.strip())
    return any(_gives(node, name) for node in ast.walk(tree))


def _gives(node: ast.AST, name: str) -> bool:
    if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
        return node.name == name and not all(_is_stub(line) for line in node.body)
    if isinstance(node, ast.ClassDef):
        return node.name == name
    if isinstance(node, ast.Assign):
        to_name = any(isinstance(target, ast.Name) and target.id == name for target in node.targets)
        return to_name and not _only_checks(node.value, name)
    return False


def _is_stub(node: ast.stmt) -> bool:
    return isinstance(node, ast.Pass) or (isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant))


def _only_checks(value: ast.expr, name: str) -> bool:
    """Whether a value is `check(key, name)`; with another function in the name's place it is an attempt."""
    is_check = isinstance(value, ast.Call) and isinstance(value.func, ast.Name) and value.func.id == "check"
    return is_check and len(value.args) == 2 and isinstance(value.args[1], ast.Name) and value.args[1].id == name
