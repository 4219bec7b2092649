"""The notebook that is run: the course's own, of which only the answers' texts are the learner's.

It has the course's imports, and for every exercise the learner's cell and after it a probe, a cell that asks the function
the questions. Nothing else of a submission is taken: no other cell, no parameter, no metadata, no kernel.
"""

from __future__ import annotations

import ast
import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import PurePath

import nbformat
from nbformat.v4 import new_code_cell, new_notebook

from course_lib.grading.submission import AnswerCell

KERNEL = {"kernelspec": {"name": "python3", "display_name": "Python 3", "language": "python"}}


def assemble(
    trusted: nbformat.NotebookNode,
    exercises: Sequence[AnswerCell],
    answers: Mapping[str, str],
    settings: Mapping[str, str],
    questions: PurePath,
    replies: PurePath,
) -> nbformat.NotebookNode:
    """The notebook to run.

    answers: for each exercise that is asked, the learner's cell. settings: as in `Exercise.setting`. questions: the
    folder, as the sandbox sees it, with KEY.json for each exercise; replies: the one that the probes write to.
    """
    asked = [exercise for exercise in exercises if exercise.key in answers]
    words = set(re.findall(r"\w+", "\n".join([*answers.values(), *(exercise.source for exercise in asked)])))
    cells = [_cell("", "imports", "\n".join(needed_imports(trusted, words)))]
    for exercise in asked:
        key = exercise.key
        where = questions / f"{key}.json", replies / f"{key}.json"
        probe = (
            "from course_lib.exercises import reply\n"
            f"reply({key!r}, globals().get({exercise.name!r}), {settings[key]!r}, {str(where[0])!r}, {str(where[1])!r})"
        )
        cells += [_cell(key, "answer", answers[key]), _cell(key, "probe", probe)]
    return new_notebook(cells=cells, metadata=KERNEL)


def _cell(key: str, part: str, source: str) -> nbformat.NotebookNode:
    return new_code_cell(source, metadata={"exercise": key, "part": part})


def needed_imports(trusted: nbformat.NotebookNode, words: Iterable[str]) -> Iterator[str]:
    """The imports of a notebook, up to its last exercise, of names that are among the words of the answers.

    An import that nobody mentions costs seconds and changes nothing.
    """
    wanted, seen = set(words), set()
    for cell in _up_to_the_last_exercise(trusted):
        for node in ast.parse(without_magics(cell.source)).body:
            if isinstance(node, ast.Import | ast.ImportFrom):
                node.names = [alias for alias in node.names if _bound(alias) in wanted]
                line = ast.unparse(node) if node.names else ""
                if line and line not in seen:
                    seen.add(line)
                    yield line


def _up_to_the_last_exercise(trusted: nbformat.NotebookNode) -> list[nbformat.NotebookNode]:
    cells = [cell for cell in trusted.cells if cell.cell_type == "code"]
    last = max(i for i, cell in enumerate(cells) if "exercise" in cell.metadata.get("tags", []))
    return cells[: last + 1]


def _bound(alias: ast.alias) -> str:
    """The name that an import gives: F of `torch.nn.functional as F`, torch of `torch.nn`."""
    return alias.asname or alias.name.partition(".")[0]


def without_magics(source: str) -> str:
    """A cell with `%pip` and `!ls` replaced by `pass`, so that Python can read it."""
    return re.sub(r"^(\s*)[%!].*$", r"\1pass", source, flags=re.MULTILINE)
