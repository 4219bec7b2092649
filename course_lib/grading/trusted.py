"""The course's own notebooks, as the grader reads them: of their cells only code, and what in it asks for an answer.

And the notebook that is run: the course's own, of which only the answers' texts are the learner's. It has the course's
imports, and for every exercise the learner's cell and after it a probe, a cell that asks the function the questions.
Nothing else of a submission is taken: no other cell, no parameter, no metadata, no kernel.
"""

from __future__ import annotations

import ast
import json
import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path, PurePath
from typing import Any

from course_lib.support.notebooks import find_notebooks

_KERNEL = {"kernelspec": {"name": "python3", "display_name": "Python 3", "language": "python"}}


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


def assemble(
    trusted: Trusted, answers: Mapping[str, str], settings: Mapping[str, str], questions: PurePath, replies: PurePath
) -> dict[str, Any]:
    """The notebook to run, as JSON.

    answers: for each exercise that is asked, the learner's cell. settings: as in `Exercise.setting`. questions: the
    folder, as the sandbox sees it, with KEY.json for each exercise; replies: the one that the probes write to.
    """
    asked = [exercise for exercise in trusted.exercises if exercise.key in answers]
    words = re.findall(r"\w+", "\n".join([*answers.values(), *(exercise.source for exercise in asked)]))
    cells = [_cell("", "imports", "\n".join(needed_imports(trusted, words)))]
    for exercise in asked:
        key = exercise.key
        where = str(questions / f"{key}.json"), str(replies / f"{key}.json")
        probe = (
            "from course_lib.exercises import reply\n"
            f"reply({key!r}, globals().get({exercise.name!r}), {settings[key]!r}, *{where!r})"
        )
        cells += [_cell(key, "answer", answers[key]), _cell(key, "probe", probe)]
    return {"cells": cells, "metadata": _KERNEL, "nbformat": 4, "nbformat_minor": 5}


def _cell(key: str, part: str, source: str) -> dict[str, Any]:
    name = re.sub(r"\W", "-", f"{part}-{key}")
    about = {"exercise": key, "part": part}
    cell = {"cell_type": "code", "id": name, "metadata": about, "source": source}
    return cell | {"outputs": [], "execution_count": None}


def needed_imports(trusted: Trusted, words: Iterable[str]) -> Iterator[str]:
    """The imports of a notebook, up to its last exercise, of names that are among the words of the answers.

    An import that nobody mentions costs seconds and changes nothing.
    """
    wanted, seen = set(words), set()
    for source in trusted.code:
        for node in ast.parse(without_magics(source)).body:
            if isinstance(node, ast.Import | ast.ImportFrom):
                node.names = [alias for alias in node.names if _bound(alias) in wanted]
                line = ast.unparse(node) if node.names else ""
                if line and line not in seen:
                    seen.add(line)
                    yield line


def _bound(alias: ast.alias) -> str:
    """The name that an import gives: F of `torch.nn.functional as F`, torch of `torch.nn`."""
    return alias.asname or alias.name.partition(".")[0]


def without_magics(source: str) -> str:
    """A cell with `%pip` and `!ls` replaced by `pass`, so that Python can read it."""
    return re.sub(r"^(\s*)[%!].*$", r"\1pass", source, flags=re.MULTILINE)
