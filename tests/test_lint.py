"""The course's notebooks as they are written: their anatomy, what each needs of its exercises, and commands on them.

Every rule of the lint is broken once on purpose; nothing is executed here.
"""

from __future__ import annotations

import builtins
import copy
import symtable
from collections.abc import Callable, Iterator
from pathlib import Path

import nbformat
import pytest
from IPython.core.inputtransformer2 import TransformerManager
from learners import ANSWERS, answered, exercises, tagged
from nbformat import NotebookNode
from nbformat.v4 import new_code_cell, new_markdown_cell, new_output

from course_lib.authoring.headers import fill
from course_lib.authoring.lint import lint
from course_lib.exercises import stand_ins
from course_lib.support.notebooks import EXPERIMENT, find_notebooks, read_parameters, strip, title, write_notebook

COURSE = find_notebooks()
(SAMPLE,) = find_notebooks(["06"])


@pytest.mark.parametrize("path", COURSE, ids=lambda path: path.stem)
def test_the_anatomy_of_a_notebook(path: Path) -> None:
    assert lint(path) == []


@pytest.mark.parametrize("path", COURSE, ids=lambda path: path.stem)
def test_a_notebook_says_what_it_was_measured_at(path: Path) -> None:
    assert "Measured at `quick` on" in nbformat.read(path, 4).cells[0].source


def test_the_experiment_has_the_form_of_the_others() -> None:
    (path,) = find_notebooks([EXPERIMENT])
    assert lint(path) == [] and path not in COURSE


def damaged(change: Callable[[NotebookNode], None], folder: Path) -> Path:
    """A copy of a good notebook with one thing changed."""
    notebook = copy.deepcopy(nbformat.read(SAMPLE, 4))
    change(notebook)
    path = folder / "99_bad.ipynb"
    write_notebook(path, notebook)
    return path


def replace(old: str, new: str) -> Callable[[NotebookNode], None]:
    """Replaces a text everywhere in the notebook."""

    def change(notebook: NotebookNode) -> None:
        assert any(old in cell.source for cell in notebook.cells)
        for cell in notebook.cells:
            cell.source = cell.source.replace(old, new)

    return change


def add(*cells: NotebookNode) -> Callable[[NotebookNode], None]:
    return lambda notebook: notebook.cells.extend(cells)


DAMAGE: list[tuple[str, Callable[[NotebookNode], None]]] = [
    ("has outputs or a count", add(new_code_cell("1", outputs=[new_output("stream", text="1")]))),
    ("has outputs or a count", add(new_code_cell("1", execution_count=3))),
    ("holds widget state", lambda nb: nb.metadata.update(widgets={"state": {}})),
    ("no kernelspec", lambda nb: nb.metadata.pop("kernelspec")),
    ("0 cells tagged parameters", lambda nb: tagged(nb, "parameters").metadata.pop("tags")),
    ("more than `NAME = scalar`", lambda nb: tagged(nb, "parameters").update(source="SEEDS = [0, 1]")),
    ("more than `NAME = scalar`", lambda nb: tagged(nb, "parameters").update(source="import os\nSEED = 0")),
    ("only the set-up cell may", add(new_code_cell("!pip install something"))),
    ("only the set-up cell may", add(new_code_cell("if True:\n    %pip install something"))),
    ("one cell tagged set-up", replace("--no-deps", "--upgrade")),
    ("then imports it, before anything imports torch", replace("\nimport course_lib ", "\nimport os ")),
    ("26 lines of code", add(new_code_cell("\n".join("x = 1" for _ in range(26))))),
    ("picture without alternative text", add(new_markdown_cell("![](figure.png)"))),
    ("<img> without alt", add(new_markdown_cell('<img src="figure.png">'))),
    ("<img> without alt", add(new_markdown_cell('<img src="figure.png" alt="">'))),
    ("picture without a caption", add(new_code_cell("import matplotlib.pyplot as plt"))),
    ("picture without a caption", add(new_code_cell("display(figure)"))),
    ("one heading of level 1", add(new_markdown_cell("# Another title"))),
    ("skip a level", add(new_markdown_cell("#### Too deep"))),
    ("types a result into the prose ('57.3 %')", add(new_markdown_cell("It reaches 57.3 % here."))),
    ("types a result into the prose", add(new_markdown_cell("It has an accuracy of 0.57."))),
    ("types a result into the prose", add(new_markdown_cell("It gains five points, from 52 to 57 percent."))),
    ("lacks **Claim.**", replace("**Claim.**", "Claim:")),
    ("lacks **Predict.**", replace("**Predict.**", "Guess.")),
    ("lacks a section that begins with 'Limits'", replace("## Limits", "## Ends")),
    ("lacks a section that begins with 'Control'", replace("## Control", "## Other")),
    ("which is no exercise", replace('check("06.standardise"', 'check("06.none"')),
    ("it has 0 exercises, and 3 are needed", replace("check(", "look(")),
    ("it has 2 exercises", replace('check("06.standardise"', 'look("06.standardise"')),
    (
        "lacks the heading '### Exercise 06.standardise · easy",
        replace("06.standardise · easy", "06.standardise · hard"),
    ),
    ("it asks for no prediction", replace('predict("06.part"', 'guess("06.part"')),
    ("compares it 0 times", replace('came_out("06.part"', 'print("06.part"')),
    ("which nobody predicts", add(new_code_cell('came_out("06.none", "conv1")'))),
    ("'question' is made where a prediction is asked for", add(new_code_cell("print(question)"))),
    ("which is no quiz", replace('quiz("06.best")', 'quiz("06.none")')),
    ("it has no quiz", replace('quiz("06.best")', 'print("06.best")')),
]


@pytest.mark.parametrize(("words", "change"), DAMAGE, ids=[f"{i}-{words}" for i, (words, _) in enumerate(DAMAGE)])
def test_the_lint_can_fail(words: str, change: Callable[[NotebookNode], None], tmp_path: Path) -> None:
    problems = lint(damaged(change, tmp_path))
    assert len(problems) == 1 and words in problems[0], problems


def test_the_lint_survives_what_is_no_notebook(tmp_path: Path) -> None:
    for i, content in enumerate(("", "{", "[]", '{"cells": 3}')):
        path = tmp_path / f"{i}.ipynb"
        path.write_text(content)
        assert "is no notebook" in lint(path)[0]


def test_strip_leaves_what_the_author_wrote(tmp_path: Path) -> None:
    clean = SAMPLE.read_text()

    def run(notebook: NotebookNode) -> None:
        notebook.metadata.widgets = {"state": {}}
        for i, cell in enumerate(c for c in notebook.cells if c.cell_type == "code"):
            cell.outputs, cell.execution_count = [new_output("stream", text="x")], i
            cell.metadata.papermill = {"duration": 1}

    path = damaged(run, tmp_path)
    assert path.read_text() != clean
    strip(path)
    assert path.read_text() == clean


def test_fill_replaces_only_between_its_comments() -> None:
    text = "a <!-- x -->old<!-- /x --> b <!-- y -->kept<!-- /y -->"
    assert fill(text, {"x": ["new"], "z": ["no"]}) == "a <!-- x -->\nnew\n<!-- /x --> b <!-- y -->kept<!-- /y -->"


def test_titles_and_parameters() -> None:
    assert title(COURSE[0]) == "0 · Start here"
    for path in COURSE:
        parameters = read_parameters(path)
        assert parameters["PROFILE"] == "quick" and parameters["SEED"] == 0 and parameters["OR_QUICK"] is False


# What a notebook needs of its exercises


def scopes(table: symtable.SymbolTable) -> Iterator[symtable.SymbolTable]:
    """A scope, and those within it."""
    yield table
    for inner in table.get_children():
        yield from scopes(inner)


def made_and_needed(source: str) -> tuple[set[str], set[str]]:
    """The names that a cell leaves behind, and those that it takes from the cells before it."""
    top = symtable.symtable(TransformerManager().transform_cell(source), "cell", "exec")
    symbols = top.get_symbols()
    made = {one.get_name() for one in symbols if one.is_assigned() or one.is_imported() or one.is_namespace()}
    used = {one.get_name() for one in symbols if one.is_referenced()}
    for scope in scopes(top):
        used |= {one.get_name() for one in scope.get_symbols() if one.is_global() and one.is_referenced()}
    return made, used - made


def missing_without_exercises(notebook: NotebookNode, answers: set[str]) -> set[str]:
    """The names that a notebook's other cells need, and that only its exercises make.

    answers: the names that `stand_ins` gives, which hold from the cell that calls it.
    """
    known, missing = {*dir(builtins), "display", "get_ipython"}, set()
    for cell in notebook.cells:
        if cell.cell_type == "code" and "exercise" not in cell.metadata.get("tags", []):
            made, needed = made_and_needed(cell.source)
            missing |= needed - known
            known |= made | (answers if "globals().update(stand_ins(" in cell.source else set())
    return missing


@pytest.mark.parametrize("path", COURSE, ids=lambda path: path.stem)
def test_a_notebook_does_without_its_exercises(path: Path) -> None:
    """A learner may skip or delete any of them: what later cells need, the stand-ins give."""
    notebook, answers = nbformat.read(path, 4), stand_ins(path.stem[:2])
    assert missing_without_exercises(notebook, {*answers}) == set()
    assert len(exercises(notebook)) == len(answers) == len(ANSWERS[path.stem[:2]]) >= 3
    answered(path, lambda key, name, _: f"return {answers[name]!r}")  # each has a stub, named as its answer is


def test_a_notebook_that_needs_an_exercise_is_found() -> None:
    notebook, answers = nbformat.read(SAMPLE, 4), {*stand_ins("06")}
    exercises(notebook)[0].source += "\nscale = 3"
    notebook.cells += [new_code_cell(line) for line in ("def f(x):\n    return x * scale", "[x for x in nothing]")]
    assert missing_without_exercises(notebook, answers) == {"scale", "nothing"}
    assert {"standardise", "pool_side"} <= missing_without_exercises(notebook, set())
