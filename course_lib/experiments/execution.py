"""Executing one notebook with papermill: what it published, what it cost, and whether it failed."""

from __future__ import annotations

import os
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from unittest.mock import patch

import nbformat
import papermill
import psutil
from jupyter_client.kernelspec import KernelSpec
from jupyter_client.manager import AsyncKernelManager
from nbclient.exceptions import CellTimeoutError, DeadKernelError
from papermill.exceptions import PapermillException

from course_lib.evidence.results import MIME
from course_lib.support.files import disk_errors

_WIDGETS = "application/vnd.jupyter.widget-state+json"
_POLL = 0.05  # seconds between two looks at the memory
_START = 300  # seconds for a kernel to answer: papermill's minute can pass on a machine that is busy with others
_LEAN = {"MALLOC_ARENA_MAX": "1"}  # threads of one kernel share what they freed; of glibc, and unknown elsewhere


class OwnKernel(AsyncKernelManager):
    """A kernel in the interpreter that this process runs in, whatever other kernels call themselves `python3`."""

    kernel_spec = KernelSpec(
        argv=[sys.executable, "-m", "ipykernel_launcher", "-f", "{connection_file}"],
        display_name="Python 3",
        language="python",
    )


@dataclass
class NotebookResult:
    """One executed notebook.

    status: "ok" or "failed". seconds: wall time, kernel start included. peak_mb: the highest resident memory of the
    kernel and its children, in units of 10^6 bytes. error: why it failed, or "". probes, measures: the rows that it
    published, as `course_lib.evidence.results` has them.
    """

    name: str
    status: str
    seconds: float
    peak_mb: float
    error: str = ""
    probes: list[dict[str, Any]] = field(default_factory=list)
    measures: list[dict[str, Any]] = field(default_factory=list)


def execute(
    path: Path, out: Path, parameters: dict[str, Any], environment: dict[str, str], timeout: int | None = None
) -> NotebookResult:
    """Execute one notebook with papermill and write what came of it to `out`, whatever happens in it.

    timeout: seconds that a cell may take; None sets no limit.

    A notebook counts as failed when a cell raised, when a cell never ran (after `sys.exit(0)` papermill reports
    success), and when a callback inside a widget raised (papermill does not look there).
    """
    start, error = time.perf_counter(), ""
    with patch.dict(os.environ, _LEAN | environment), _peak_memory() as peak, disk_errors(out):
        try:
            papermill.execute_notebook(
                _literal(path),
                _literal(out),
                parameters,
                kernel_name="python3",
                kernel_manager_class=OwnKernel,
                cwd=str(path.parent),
                progress_bar={"desc": path.stem, "leave": False},
                execution_timeout=timeout,
                start_timeout=_START,
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
    return NotebookResult(path.stem, status, seconds, round(peak[0] / 1e6, 1), error, probes, measures)


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
def _peak_memory() -> Iterator[list[int]]:
    """The most resident memory, in bytes, that the children of this process have taken together: a list of one."""
    this, stop, peak = psutil.Process(), threading.Event(), [0]

    def watch() -> None:
        while not stop.wait(_POLL):
            with suppress(psutil.Error):  # a child ended between the listing and the look; the next look counts
                peak[0] = max(peak[0], sum(child.memory_info().rss for child in this.children(recursive=True)))

    thread = threading.Thread(target=watch, daemon=True)
    thread.start()
    try:
        yield peak
    finally:
        stop.set()
        thread.join()


def published_rows(notebook: nbformat.NotebookNode) -> list[dict[str, Any]]:
    """All rows that an executed notebook has published, in order."""
    outputs = (output for cell in notebook.cells for output in cell.get("outputs", []))
    return [dict(row) for output in outputs for row in output.get("data", {}).get(MIME, [])]
