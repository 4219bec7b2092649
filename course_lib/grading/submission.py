"""Reading a submission: its cells, and which of them answer which exercises.

A submission is read as plain JSON and not as a notebook, so that only the cells' text matters, whatever else is in it.
"""

from __future__ import annotations

import ast
import json
import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from course_lib.grading.trusted import AnswerCell
from course_lib.support.errors import CourseError

LONGEST = 20_000
"""Characters of one answer."""

_MOST = 8  # cells that are looked at for one exercise


@dataclass(frozen=True)
class HandedIn:
    """A code cell of a submission: its id, its text, and the outputs that were saved with it."""

    id: str
    source: str
    outputs: list[Any]


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
    lists = [holder.get("cells") for holder in holders if isinstance(holder, dict)]
    lists = [cells for cells in lists if isinstance(cells, list)]
    if not lists:
        raise CourseError("It is no notebook: it has no cells.")
    cells = [cell for cells in lists for cell in cells if isinstance(cell, dict)]
    return [_cell(cell) for cell in cells if cell.get("cell_type") == "code"]


def _cell(cell: dict[str, Any]) -> HandedIn:
    outputs = cell.get("outputs")
    source = text_of(cell.get("source", cell.get("input")))
    return HandedIn(text_of(cell.get("id")), source, outputs if isinstance(outputs, list) else [])


def text_of(value: Any) -> str:
    """A text, or a list of lines, without halves of characters, which no file can hold."""
    lines = value if isinstance(value, list) else [value]
    joined = "".join(line for line in lines if isinstance(line, str))
    return joined.encode("utf-8", "replace").decode()


def fit(cells: Sequence[HandedIn], trusted: Sequence[AnswerCell]) -> int:
    """How many of a notebook's exercises these cells answer or mention."""
    return sum(bool(_candidates(cells, exercise)) for exercise in trusted)


def find_answer(cells: Sequence[HandedIn], exercise: AnswerCell) -> Answer:
    """The cell that answers an exercise, wherever it stands: by the key in its check(), its id, or what it defines.

    Of several, the last counts that is attempted and defines the function; else, the last that is attempted.
    """
    found = _candidates(cells, exercise)
    if not found:
        return Answer("", False)
    attempts = [cell for cell in found if is_attempted(cell.source, exercise)]
    defining = [cell for cell in attempts if _defines(exercise).search(cell.source)]
    attempts = defining or attempts  # a cell that only asks again takes nothing away
    chosen = (attempts or found)[-1].source
    if len(chosen) > LONGEST:
        return Answer("", False, f"The answer has {len(chosen):,} characters, and {LONGEST:,} are allowed.")
    several = f"{len(attempts)} cells answer it; the last one counts." if len(attempts) > 1 else ""
    return Answer(chosen, bool(attempts), several)


def _candidates(cells: Sequence[HandedIn], exercise: AnswerCell) -> list[HandedIn]:
    asked = re.compile(rf"""check[ \t]*\([ \t]*["']{re.escape(exercise.key)}["']""")
    marked = [cell for cell in cells if cell.id == exercise.id or asked.search(cell.source)]
    marked = _last(marked, exercise)
    if any(_defines(exercise).search(cell.source) and is_attempted(cell.source, exercise) for cell in marked):
        return marked
    return marked + _last([cell for cell in cells if cell not in marked], exercise, only_defining=True)


def _last(cells: list[HandedIn], exercise: AnswerCell, only_defining: bool = False) -> list[HandedIn]:
    """A few cells, in their order: the last that define the function, and of the others, too, unless they are left out.

    To read a cell's code takes time, and a submission may hold thousands.
    """
    defining = [cell for cell in cells if _defines(exercise).search(cell.source)][-_MOST:]
    others = [] if only_defining else [cell for cell in cells if cell not in defining][-_MOST:]
    return [cell for cell in cells if cell in defining or cell in others]


def _defines(exercise: AnswerCell) -> re.Pattern[str]:
    """A line that gives the exercise's name to anything but what check() gives back."""
    name = exercise.name
    return re.compile(rf"^[ \t]*(?:def[ \t]+{name}\b|{name}[ \t]*=(?![ \t]*check\b))", re.MULTILINE)


def is_attempted(source: str, exercise: AnswerCell) -> bool:
    """Whether a cell has any line that is neither the course's own, nor an import, nor the stub."""
    if len(source) > LONGEST:
        return True
    try:
        known = {ast.dump(line) for line in ast.parse(exercise.source).body}
        lines = ast.parse(source).body
        return not all(_is_nothing(line, exercise.name) or ast.dump(line) in known for line in lines)
    except (ValueError, SyntaxError, RecursionError, MemoryError):  # magics, a null byte, half a line: an attempt
        return bool(source.strip())


def _is_nothing(line: ast.stmt, name: str) -> bool:
    if isinstance(line, ast.Import | ast.ImportFrom):
        return not any((alias.asname or alias.name) == name for alias in line.names)
    return is_stub(line, name) or _is_empty(line)


def is_stub(line: ast.stmt, name: str) -> bool:
    """Whether a line of a cell defines a function of this name with nothing in it."""
    return isinstance(line, ast.FunctionDef) and line.name == name and all(map(_is_empty, line.body))


def _is_empty(node: ast.stmt) -> bool:
    """`pass`, `...` or a docstring."""
    return isinstance(node, ast.Pass) or (isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant))
