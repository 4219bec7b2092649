"""The notebooks: which there are, what parameters they take, and executing one with papermill."""

from __future__ import annotations

import ast
import os
import threading
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

import psutil

import course_lib
from course_lib.errors import CourseError, unknown
from course_lib.files import disk_errors

if TYPE_CHECKING:
    import nbformat  # imported where it is used: it takes seconds, and to find notebooks nobody needs it

EXPERIMENT = "experiment"
"""The notebook that trains one network and probes it, a cell of the grid of notebook 08; run only where it is named."""

_WIDGETS = "application/vnd.jupyter.widget-state+json"
_POLL = 0.05  # seconds between two looks at the memory
_LEAN = {"MALLOC_ARENA_MAX": "1"}  # threads of one kernel share what they freed; of glibc, and unknown elsewhere


@dataclass
class NotebookResult:
    """One executed notebook.

    status: "ok" or "failed". seconds: wall time, kernel start included. peak_mb: the highest resident memory of the
    kernel and its children, in units of 10^6 bytes. error: why it failed, or "". probes, measures: the rows that it
    published, as `course_lib.results` has them.
    """

    name: str
    status: str
    seconds: float
    peak_mb: float
    error: str = ""
    probes: list[dict[str, Any]] = field(default_factory=list)
    measures: list[dict[str, Any]] = field(default_factory=list)


def notebooks_folder() -> Path:
    """The folder of the course's notebooks. Raises CourseError where the library was installed without them."""
    folder = Path(course_lib.__file__).parents[1] / "notebooks"
    if not folder.is_dir():
        raise CourseError(f"{folder} is not there; run from a clone of the repository, installed with pip install -e .")
    return folder


def find_notebooks(only: Sequence[str] = (), folder: Path | None = None) -> list[Path]:
    """The course's notebooks in order, or those that `only` names by number or by name, `experiment` among them.

    Raises CourseError for a name that fits none, and lists those there are.
    """
    folder = folder or notebooks_folder()
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
    import nbformat

    notebook = nbformat.read(path, 4)
    for cell in notebook.cells:
        if cell.cell_type == "code" and "parameters" in cell.metadata.get("tags", []):
            tree = ast.parse(cell.source)
            assignments = [node for node in tree.body if isinstance(node, ast.Assign)]
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


def execute(
    path: Path, out: Path, parameters: dict[str, Any], environment: dict[str, str], timeout: int | None = None
) -> NotebookResult:
    """Execute one notebook with papermill and write what came of it to `out`, whatever happens in it.

    timeout: seconds that a cell may take; None sets no limit.

    A notebook counts as failed when a cell raised, when a cell never ran (after `sys.exit(0)` papermill reports
    success), and when a callback inside a widget raised (papermill does not look there).
    """
    import nbformat
    import papermill
    from nbclient.exceptions import CellTimeoutError, DeadKernelError
    from papermill.exceptions import PapermillException

    from course_lib.results import published_rows

    start, error = time.perf_counter(), ""
    with _environment(_LEAN | environment), _PeakMemory() as memory, disk_errors(out):
        try:
            papermill.execute_notebook(
                _literal(path),
                _literal(out),
                parameters,
                kernel_name="python3",
                cwd=str(path.parent),
                progress_bar={"desc": path.stem, "leave": False},
                execution_timeout=timeout,
                extra_arguments=["--log-level=ERROR"],
                shutdown_kernel="immediate",  # torch's exit handlers take seconds and a tenth of a gigabyte
            )
        except PapermillException as raised:
            error = f"{raised.ename}: {raised.evalue}" if hasattr(raised, "ename") else str(raised)
        except DeadKernelError:
            error = "the kernel died, perhaps for want of memory"
        except CellTimeoutError:
            error = f"a cell took more than {timeout} seconds"
    notebook = nbformat.read(out, 4)
    error = error or next(hidden_errors(notebook), "")
    status, seconds = "failed" if error else "ok", round(time.perf_counter() - start, 1)
    rows = published_rows(notebook)
    probes, measures = [r for r in rows if "layer" in r], [r for r in rows if "measure" in r]
    return NotebookResult(path.stem, status, seconds, memory.peak_mb, error, probes, measures)


def _literal(path: Path) -> str:
    """A path as papermill takes it: it fills in braces, so that those of a folder's name have to be doubled."""
    return str(path).replace("{", "{{").replace("}", "}}")


def hidden_errors(notebook: nbformat.NotebookNode) -> Iterator[str]:
    """What went wrong in an executed notebook without papermill raising: cells that never ran, errors in widgets."""
    for i, cell in enumerate(notebook.cells):
        if cell.cell_type == "code" and cell.source.strip() and cell.execution_count is None:
            yield f"cell {i} never ran"
    state = notebook.metadata.get("widgets", {}).get(_WIDGETS, {}).get("state", {})
    for model in state.values():
        for output in model.get("state", {}).get("outputs", []):
            if output.get("output_type") == "error":
                yield f"in a widget: {output['ename']}: {output['evalue']}"


@contextmanager
def _environment(values: dict[str, str]) -> Iterator[None]:
    """Environment variables for the kernels started inside."""
    before = dict(os.environ)
    os.environ.update(values)
    try:
        yield
    finally:
        os.environ.clear()
        os.environ.update(before)


class _PeakMemory:
    """The highest resident memory that the children of this process reached together, in 10^6 bytes."""

    def __enter__(self) -> _PeakMemory:
        self.peak_mb = 0.0
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._watch, daemon=True)
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._stop.set()
        self._thread.join()

    def _watch(self) -> None:
        this = psutil.Process()
        while not self._stop.wait(_POLL):
            total = sum(_resident(child) for child in this.children(recursive=True))
            self.peak_mb = max(self.peak_mb, round(total / 1e6, 1))


def _resident(process: psutil.Process) -> int:
    try:
        return process.memory_info().rss
    except psutil.Error:  # it ended between the listing and the look
        return 0
