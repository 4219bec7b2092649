"""The notebook that is run: the course's own, of which only the answers' texts are the learner's.

It has the course's imports, and for every exercise the learner's cell and after it a probe, a cell that asks the
function the questions. Nothing else of a submission is taken: no other cell, no parameter, no metadata, no kernel.
"""

from __future__ import annotations

import ast
import re
from collections.abc import Iterable, Iterator, Mapping
from pathlib import PurePath
from typing import Any

from course_lib.grading.trusted import Trusted

_KERNEL = {"kernelspec": {"name": "python3", "display_name": "Python 3", "language": "python"}}


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
