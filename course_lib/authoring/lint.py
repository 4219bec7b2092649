"""The lint of the notebooks: what every one of them must have, and must not have, to be committed."""

from __future__ import annotations

import ast
import re
from collections.abc import Callable, Iterator
from pathlib import Path

import nbformat
from nbformat import NotebookNode

from course_lib.exercises import find_exercises, find_quizzes
from course_lib.support.notebooks import EXPERIMENT

LONGEST_CELL = 25
"""Lines of code."""

FEWEST_EXERCISES = 3

_PHRASES = ("**Claim.**", "**You will**", "**Question.**", "**Predict.**", "**Read it.**", "<!-- measured -->")
_PARTS = ("Recall", "Limits", "What you showed", "Control")
_SHOWING = r"\bplt\.|pyplot|\.savefig\(|display\(|IPython\.display"
_RESULT = r"(?i)\d[\d.,]*\s*(?:%|percent|per cent)|accuracy (?:of|is|was|about)\s+[\d.]+"
_NEVER = (
    ("code", _SHOWING, "shows a picture without a caption; return a Picture and show() it"),
    ("markdown", r"!\[\s*\]\([^)]*\)", "has a picture without alternative text"),
    ("markdown", r"(?i)<img\b(?![^>]*\balt=([\"'])[^>]+?\1)[^>]*>", "has an <img> without alt"),
    ("markdown", _RESULT, "types a result into the prose ({found!r}); let a cell print it"),
)
"""What no cell of a kind may hold, as a pattern, and what is said of it."""


def lint(path: Path) -> list[str]:
    """What is wrong with a notebook, one sentence each; an empty list means that it may be committed."""
    try:
        notebook = nbformat.read(path, 4)
    except Exception as error:  # nbformat raises many kinds of error for such a file
        return [f"{path.name}: is no notebook of format 4 ({type(error).__name__})"]
    rules = FORM if path.stem == EXPERIMENT else (*FORM, *LESSON)
    return [f"{path.name}: {problem}" for rule in rules for problem in rule(notebook)]


def _stripped(notebook: NotebookNode) -> Iterator[str]:
    for i, cell in enumerate(notebook.cells):
        if cell.get("outputs") or cell.get("execution_count") is not None:
            yield f"cell {i} has outputs or a count; `python -m course_lib lint --fix` removes them"
    if "widgets" in notebook.metadata:
        yield "it holds widget state; `python -m course_lib lint --fix` removes it"


def _kernelspec(notebook: NotebookNode) -> Iterator[str]:
    if notebook.metadata.get("kernelspec", {}).get("name") != "python3":
        yield "it has no kernelspec python3, without which papermill refuses it"


def _parameters(notebook: NotebookNode) -> Iterator[str]:
    tagged = _code(notebook, "parameters")
    if len(tagged) != 1:
        yield f"it has {len(tagged)} cells tagged parameters, and one is needed"
    for node in (node for cell in tagged for node in ast.parse(cell.source).body):
        match node:
            case ast.Assign(targets=[ast.Name()], value=ast.UnaryOp() | ast.Constant(value=int() | float() | str())):
                pass
            case _:
                yield f"the parameters cell holds more than `NAME = scalar`: {ast.unparse(node)}"


def _installs(notebook: NotebookNode) -> Iterator[str]:
    for i, cell in enumerate(notebook.cells):
        installs = cell.cell_type == "code" and re.search(r"^\s*[!%]\s*(?:pip|conda|apt)", cell.source, re.MULTILINE)
        if installs and "set-up" not in cell.metadata.get("tags", []):
            yield f"cell {i} installs something; only the set-up cell may"
    setups = _code(notebook, "set-up")
    needed = ('"google.colab" in sys.modules', "--no-deps", "\nimport course_lib ")
    if len(setups) != 1 or not all(words in setups[0].source for words in needed):
        wanted = (
            "on Colab installs the library alone, with --no-deps, and then imports it, before anything imports torch"
        )
        yield f"it needs one cell tagged set-up, which {wanted}"


def _lengths(notebook: NotebookNode) -> Iterator[str]:
    for i, cell in enumerate(notebook.cells):
        lines = len(cell.source.splitlines())
        if cell.cell_type == "code" and lines > LONGEST_CELL:
            yield f"cell {i} has {lines} lines of code, over {LONGEST_CELL}; move what is not the idea into the library"


def _contents(notebook: NotebookNode) -> Iterator[str]:
    for i, cell in enumerate(notebook.cells):
        for kind, pattern, words in _NEVER:
            if cell.cell_type == kind and (found := re.search(pattern, cell.source)):
                yield f"cell {i} {words.format(found=found[0])}"


def _headings(notebook: NotebookNode) -> Iterator[str]:
    prose = re.sub(r"```.*?```", "", _prose(notebook), flags=re.DOTALL)
    levels = [len(marks) for marks in re.findall(r"^(#{1,6})\s", prose, re.MULTILINE)]
    if not levels or levels[0] != 1 or levels.count(1) != 1:
        yield "it must begin with its one heading of level 1"
    if any(after > before + 1 for before, after in zip(levels, levels[1:])):
        yield "its headings skip a level"


def _sections(notebook: NotebookNode) -> Iterator[str]:
    prose = _prose(notebook)
    yield from (f"it lacks {phrase}" for phrase in _PHRASES if phrase not in prose)
    for part in _PARTS:
        if not re.search(rf"^##+ {part}", prose, re.MULTILINE):
            yield f"it lacks a section that begins with {part!r}"


def _exercises(notebook: NotebookNode) -> Iterator[str]:
    known, checked = find_exercises(), _keys(notebook, "check")
    if len(checked) < FEWEST_EXERCISES:
        yield f"it has {len(checked)} exercises, and {FEWEST_EXERCISES} are needed"
    yield from (f"it checks {key!r}, which is no exercise" for key in checked if key not in known)
    for key in filter(known.get, checked):
        heading = f"### Exercise {key} · {known[key].effort}"
        if heading not in _prose(notebook):
            yield f"it lacks the heading {heading!r}"


def _predictions(notebook: NotebookNode) -> Iterator[str]:
    said, came = _keys(notebook, "predict"), _keys(notebook, "came_out")
    if not said:
        yield "it asks for no prediction"
        return
    for key in said:
        if came.count(key) != 1:
            yield f"it predicts {key!r}, and compares it {came.count(key)} times with what came out"
    yield from (f"it compares {key!r}, which nobody predicts" for key in came if key not in said)


def _skippable(notebook: NotebookNode) -> Iterator[str]:
    """A learner may skip a prediction: no other cell may need a name that only the cell that asks for it makes."""
    cells = [cell.source for cell in _code(notebook) if not re.search(r"^\s*[!%]", cell.source, re.MULTILINE)]
    names = [_names(source) for source in cells]
    for source, (_, made) in zip(cells, names):
        if re.search(r"\bpredict\(", source):
            for name in sorted(made & set().union(*(read - own for read, own in names))):
                yield f"{name!r} is made where a prediction is asked for, and read elsewhere; that cell may be skipped"


def _names(source: str) -> tuple[set[str], set[str]]:
    """The names that a cell reads, and those that it makes."""
    read, made = set(), set()
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.Name):
            (read if isinstance(node.ctx, ast.Load) else made).add(node.id)
        elif isinstance(node, ast.alias):
            made.add(node.asname or node.name.split(".")[0])
        elif isinstance(node, ast.FunctionDef | ast.ClassDef):
            made.add(node.name)
    return read, made


def _quizzes(notebook: NotebookNode) -> Iterator[str]:
    known, asked = find_quizzes(), _keys(notebook, "quiz")
    if not asked:
        yield "it has no quiz"
    yield from (f"it asks {key!r}, which is no quiz" for key in asked if key not in known)


def _keys(notebook: NotebookNode, function: str) -> list[str]:
    """The ids with which a notebook calls a function, in order."""
    return [key for cell in _code(notebook) for key in re.findall(rf"\b{function}\(\s*\"([^\"]+)\"", cell.source)]


def _code(notebook: NotebookNode, tag: str = "") -> list[NotebookNode]:
    """The cells of code; with a tag, those that have it."""
    cells = [cell for cell in notebook.cells if cell.cell_type == "code"]
    return [cell for cell in cells if tag in cell.metadata.get("tags", [])] if tag else cells


def _prose(notebook: NotebookNode) -> str:
    return "\n".join(cell.source for cell in notebook.cells if cell.cell_type == "markdown")


Rule = Callable[[NotebookNode], Iterator[str]]
FORM: tuple[Rule, ...] = (_stripped, _kernelspec, _parameters, _installs, _lengths, _contents, _headings)
"""Every notebook's."""

LESSON: tuple[Rule, ...] = (_sections, _exercises, _predictions, _skippable, _quizzes)
"""Those of a notebook that teaches; the experiment of notebook 08 only trains and probes."""
