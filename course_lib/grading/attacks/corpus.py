"""What a learner could hand in to get points that are not earned, or to spoil the grading for everyone.

Each attack is a notebook whose answer to one exercise, `01.box`, is hostile; the other three answers are right, and
keep their points. A text file in a folder beside this one is such an answer. `python -m course_lib grade --self-test`
grades all of it, among honest notebooks.
"""

from __future__ import annotations

import copy
import json
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

NOTEBOOK = "01_one_image_a_million_crops"
TARGET = "01.box"

RIGHT = {path.stem: path.read_text(encoding="utf-8") for path in sorted(Path(__file__).parent.glob("right/*.txt"))}
"""The right answers, by exercise."""

POINTS = {"ends": 3, "lies": 3, "reads": 3, "harmless": 4}
"""What the attacks of each folder must get. `ends`: they end or block the kernel, the sandbox, or later cells. `lies`:
they claim to be right, and are not. `reads`: they look for a right answer, or change what is not theirs. `harmless`:
what they do comes after a right answer, which keeps its point."""

ONLY_IN_BUBBLEWRAP = ("every process killed",)
"""They would end the processes of whoever starts the self-test at another level."""


@dataclass(frozen=True)
class Place:
    """What an attacker could know of the machine.

    library: where the course's own code is. folder: where the grading writes, other submissions among it. port: of a
    server on this machine that gives whoever asks the text of a right answer.
    """

    library: Path
    folder: Path
    port: int


@dataclass(frozen=True)
class Attack:
    """name: also the file's. points: what it must get, no more and no less. cell: the answer to TARGET. spoil: what
    else is done to the notebook, as JSON."""

    name: str
    points: int
    cell: str
    spoil: Callable[[dict[str, Any]], None] | None = None


def honest(template: dict[str, Any]) -> bytes:
    """A right and plain submission, worth 4 points. template: the course's notebook as JSON."""
    return built(template, Attack("", 4, RIGHT[TARGET]))


def built(template: dict[str, Any], attack: Attack) -> bytes:
    """An attack as the bytes of a notebook."""
    notebook = copy.deepcopy(template)
    for cell in notebook["cells"]:
        for key, source in RIGHT.items():
            if f'check("{key}"' in "".join(cell["source"]):
                cell["source"] = attack.cell if key == TARGET else source
    if attack.spoil:
        attack.spoil(notebook)
    return json.dumps(notebook).encode()


def attacks(place: Place) -> list[Attack]:
    """All of them, for this machine: a text file each, and some odd notebooks."""
    values = {"LIBRARY": str(place.library), "FOLDER": str(place.folder), "PORT": str(place.port)}
    found = [
        Attack(path.stem.replace("_", " "), points, _filled(path.read_text(encoding="utf-8"), values))
        for group, points in POINTS.items()
        for path in sorted((Path(__file__).parent / group).glob("*.txt"))
    ]
    found.append(Attack("null byte and half a character", 3, 'print("\x00", "\ud800")\n' + RIGHT[TARGET]))
    return found + [Attack(name, 4, RIGHT[TARGET], spoil) for name, spoil in FORMS.items()]


def _filled(cell: str, values: dict[str, str]) -> str:
    for name, value in values.items():
        cell = cell.replace(name, value)
    return cell


def _skip_all(notebook: dict[str, Any]) -> None:
    for cell in notebook["cells"]:
        cell["metadata"] = {"tags": ["skip-execution", "raises-exception", "parameters"], "papermill": {}}
    notebook["metadata"] = {"kernelspec": {"name": "ir", "display_name": "R", "language": "R"}, "widgets": 3}


def _same_ids(notebook: dict[str, Any]) -> None:
    for cell in notebook["cells"]:
        cell["id"] = "same"


def _nothing_but_answers(notebook: dict[str, Any]) -> None:
    code = [cell for cell in notebook["cells"] if "check(" in "".join(cell["source"])]
    notebook["cells"] = [{"cell_type": "code", "source": cell["source"]} for cell in reversed(code)]
    del notebook["metadata"]


def _hostile_cells_around(notebook: dict[str, Any]) -> None:
    kill = {"cell_type": "code", "source": "import os\nos._exit(0)", "metadata": {}, "outputs": []}
    notebook["cells"] = [kill, *notebook["cells"], kill]


FORMS = {
    "tags that skip cells": _skip_all,
    "one id for all cells": _same_ids,
    "answers alone, the other way round": _nothing_but_answers,
    "hostile cells around": _hostile_cells_around,
}
"""Right answers in odd notebooks."""
