"""What runs in the sandbox: papermill, executing the assembled notebook, within the limits that it sets itself first.

`python inside.py RULES` is copied there as a file of its own and imports nothing of the course. It shares the sandbox
with the learner's code, so that what it reports is a claim; and it decides nothing.
"""

from __future__ import annotations

import json
import os
import resource
import sys
import time
from pathlib import Path
from typing import Any

_MOST_OUTPUT = 2_000_000  # characters of outputs of one cell that are kept
_TO_IMPORT = 120  # seconds for the course's imports, on a busy machine
_GRACE = 5  # seconds that a kernel has to come back after it was interrupted


def set_limits(limits: dict[str, int]) -> None:
    """Set resource limits, such as {"RLIMIT_NOFILE": 512}, for this process and all that it starts."""
    for name, value in limits.items():
        number = getattr(resource, name, None)
        if number is not None:
            highest = resource.getrlimit(number)[1]
            value = value if highest == resource.RLIM_INFINITY else min(value, highest)
            resource.setrlimit(number, (value, value))


def execute(notebook: Path, report: Path, seconds: float, total: float) -> None:
    """Execute the notebook cell by cell, and write down how each answer cell and probe ended. Does not return.

    seconds: for a cell. total: seconds for all but the first, which has the course's imports.
    """
    sys.modules["rfc3987_syntax"] = None  # jsonschema does without; its grammar takes longer than all the rest
    import papermill
    from nbclient.exceptions import CellTimeoutError, DeadKernelError
    from papermill.clientwrap import PapermillNotebookClient
    from papermill.engines import NBClientEngine, papermill_engines

    class Client(PapermillNotebookClient):
        """Goes on after errors, stops at a dead or deaf kernel, and keeps little of an endless output."""

        def execute(self, **_: Any) -> None:
            self.reset_execution_trackers()
            self.kept = 0
            with self.setup_kernel():
                for index in range(len(self.nb.cells)):
                    self.kept = 0
                    ended = self.end_of(index)
                    if index == 0:  # the imports, before any of the learner's code
                        tell(ended, self.nb.cells[0])
                        self.until = time.time() + total
                    write_report(report, self.nb.cells[index], ended)
                    if ended in ("died", "deaf", "total"):
                        break
                os._exit(0)  # everything is written; the sandbox's end takes the kernel with it

        def end_of(self, index: int) -> str:
            """Execute a cell, and say how it ended."""
            left = min(seconds, self.until - time.time()) if index else _TO_IMPORT
            if left <= 0:
                return "total"
            self.timeout = max(1, round(left))
            try:
                self.execute_cell(self.nb.cells[index], index)
            except DeadKernelError:
                return "died"
            except CellTimeoutError:
                return "time" if self.comes_back(self.nb.cells[index]) else "deaf"
            return "done"

        def comes_back(self, cell: Any) -> bool:
            """Interrupt the kernel, and see whether it then answers."""
            self.timeout = _GRACE
            try:
                self.interrupt()
                self.wait_for_reply(self.kc.kernel_info(), cell)
            except (CellTimeoutError, DeadKernelError, RuntimeError):
                return False
            return True

        def interrupt(self) -> None:
            from jupyter_core.utils import ensure_async, run_sync

            async def stop() -> None:
                await ensure_async(self.km.interrupt_kernel())

            run_sync(stop)()

        def output(self, outs: list[Any], msg: dict[str, Any], *rest: Any) -> Any:
            self.kept += sum(len(str(part)) for part in msg["content"].values())
            return super().output(outs, msg, *rest) if self.kept < _MOST_OUTPUT else None

    class Engine(NBClientEngine):
        @classmethod
        def execute_managed_notebook(cls, nb_man: Any, kernel_name: str, **_: Any) -> None:
            Client(
                nb_man,
                kernel_name=kernel_name,
                allow_errors=True,
                raise_on_iopub_timeout=False,
                store_widget_state=False,
                shutdown_kernel="immediate",
                extra_arguments=["--log-level=ERROR"],
            ).execute()

    papermill_engines.register("grading", Engine)
    papermill.execute_notebook(
        str(notebook), None, engine_name="grading", kernel_name="python3", progress_bar=False, autosave_cell_every=0
    )


def tell(ended: str, cell: Any) -> None:
    """Say to whoever started the sandbox that it is ready, or what is wrong with it."""
    handle = int(os.environ["READY"])
    os.write(handle, (error_of(cell) or ("ready" if ended == "done" else f"its kernel: {ended}")).encode())
    os.close(handle)


def error_of(cell: Any) -> str:
    """What a cell raised, or ""."""
    errors = [f"{out.ename}: {out.evalue}" for out in cell.outputs if out.output_type == "error"]
    return "".join(errors)[:2000]


def write_report(place: Path, cell: Any, ended: str) -> None:
    """Add to the report how a cell ended, its error, and its outputs."""
    said = json.loads(place.read_text()) if place.exists() else {}
    name = f"{cell.metadata['part']} {cell.metadata['exercise']}".strip()
    said[name] = {"ended": ended, "error": error_of(cell), "outputs": cell.outputs}
    place.with_suffix(".new").write_text(json.dumps(said))
    place.with_suffix(".new").replace(place)


def main() -> None:
    """`python inside.py RULES`, a JSON file with limits, notebook, report, and seconds for a cell and for all."""
    rules = json.loads(Path(sys.argv[1]).read_text())
    set_limits(rules["limits"])
    execute(Path(rules["notebook"]), Path(rules["report"]), rules["cell"], rules["total"])


if __name__ == "__main__":
    main()
