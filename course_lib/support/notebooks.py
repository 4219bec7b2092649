"""The notebooks as files: which there are, what parameters they take, and how one is committed."""

from __future__ import annotations

import ast
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import nbformat

import course_lib
from course_lib.support.errors import CourseError, unknown
from course_lib.support.files import write_file

EXPERIMENT = "experiment"
"""The notebook that trains one network and probes it, a cell of the grid of notebook 08; run only where it is named."""


def notebooks_folder() -> Path:
    """The folder of the course's notebooks. Raises CourseError where the library was installed without them."""
    folder = Path(course_lib.__file__).parents[1] / "notebooks"
    if not folder.is_dir():
        raise CourseError(f"{folder} is not there; run from a clone of the repository, installed with pip install -e .")
    return folder


def find_notebooks(only: Sequence[str] = ()) -> list[Path]:
    """The course's notebooks in order, or those that `only` names by number or by name, `experiment` among them.

    Raises CourseError for a name that fits none, and lists those there are.
    """
    folder = notebooks_folder()
    paths = sorted(folder.glob("[0-9][0-9]_*.ipynb"))
    if not only:
        return paths
    paths += folder.glob(f"{EXPERIMENT}.ipynb")
    chosen = []
    for name in only:
        found = [path for path in paths if name in (path.stem, path.name, path.stem[:2])]
        if not found:
            raise unknown("notebook", name, [path.stem for path in paths])
        chosen += found
    return [path for path in paths if path in chosen]


def read_parameters(path: Path) -> dict[str, Any]:
    """The names and default values in the cell tagged `parameters`."""
    for cell in nbformat.read(path, 4).cells:
        if cell.cell_type == "code" and "parameters" in cell.metadata.get("tags", []):
            assignments = [node for node in ast.parse(cell.source).body if isinstance(node, ast.Assign)]
            return {node.targets[0].id: ast.literal_eval(node.value) for node in assignments}
    return {}


def set_parameters(given: dict[str, str], paths: Sequence[Path]) -> dict[Path, dict[str, Any]]:
    """For each notebook, those of the given parameters that it takes, as values of its own types.

    Raises CourseError for a name that no notebook takes, and for a value of the wrong type.
    """
    defaults = {path: read_parameters(path) for path in paths}
    known = sorted({name for names in defaults.values() for name in names})
    for name in given:
        if name not in known:
            raise unknown("parameter", name, known)
    return {
        path: {name: _as_type(name, value, names[name]) for name, value in given.items() if name in names}
        for path, names in defaults.items()
    }


def _as_type(name: str, text: str, default: Any) -> Any:
    kind = type(default)
    try:
        if kind is bool:
            return {"true": True, "false": False}[text.lower()]
        return kind(text)
    except (KeyError, ValueError):
        raise CourseError(f"the parameter {name} takes {kind.__name__}, as in {default!r}; got {text!r}") from None


def strip(path: Path) -> None:
    """Take outputs, counts and widget state out of a notebook, and leave its cells and tags."""
    notebook = nbformat.read(path, 4)
    notebook.metadata.pop("widgets", None)
    for cell in (cell for cell in notebook.cells if cell.cell_type == "code"):
        cell.outputs, cell.execution_count = [], None
        cell.metadata = nbformat.NotebookNode({key: value for key, value in cell.metadata.items() if key == "tags"})
    write_notebook(path, notebook)


def write_notebook(path: Path, notebook: nbformat.NotebookNode) -> None:
    """A notebook as it is committed: keys sorted, a line of text on a line of the file, so that changes can be read."""
    write_file(path, nbformat.writes(notebook) + "\n")


def title(path: Path) -> str:
    """The notebook's first heading, or else the name of its file."""
    text = "\n".join(cell.source for cell in nbformat.read(path, 4).cells if cell.cell_type == "markdown")
    return next((line.removeprefix("# ") for line in text.splitlines() if line.startswith("# ")), path.stem)
