"""What runs in the sandbox: papermill, executing the assembled notebook, within the limits that it sets itself first.

`python inside.py RULES` is copied there as a file of its own and imports nothing of the course. It shares the sandbox
with the learner's code, so that what it reports is a claim; and it decides nothing.
"""

from __future__ import annotations

import contextlib
import json
import math
import os
import resource
import signal
import sys
import threading
import time
from pathlib import Path
from typing import Any

_MOST_OUTPUT = 2_000_000  # characters of outputs of one cell that are kept
_POLL = 0.2  # seconds between two looks at the clock
_BUSY = 6  # a cell may take so many times its seconds on the wall
_START = 300  # seconds for the kernel to answer, also beside other sandboxes
_GRACE = 3  # seconds that a kernel has to come back after it was interrupted


def set_limits(limits: dict[str, int]) -> None:
    """Set resource limits, such as {"RLIMIT_NOFILE": 512}, for this process and all that it starts."""
    for name, value in limits.items():
        number = getattr(resource, name, None)
        if number is not None:
            highest = resource.getrlimit(number)[1]
            value = value if highest == resource.RLIM_INFINITY else min(value, highest)
            resource.setrlimit(number, (value, value))


class Clock(threading.Thread):
    """Interrupts the kernel when a cell has used up its time, and kills it when that does not help.

    seconds: of the processor, which a busy machine gives slowly; or _BUSY times as many by the clock, for who waits.
    """

    def __init__(self, kernel: Any, seconds: float) -> None:
        super().__init__(daemon=True)
        self.kernel, self.seconds, self.going = kernel, seconds, False

    def start_cell(self, until: float) -> None:
        """Begin to count for a cell. until: the time at which all has to be over."""
        self.before, self.wall, self.until, self.ended, self.going = self.spent(), time.time(), until, "", True

    def spent(self) -> float:
        """Seconds of the processor that the kernel and its children have used."""
        import psutil

        try:
            return sum(sum(one.cpu_times()[:4]) for one in (self.kernel, *self.kernel.children(recursive=True)))
        except psutil.Error:
            return 0

    def run(self) -> None:
        """Look again and again."""
        while True:
            time.sleep(_POLL)
            if self.going:
                self.look(max(self.spent() - self.before, (time.time() - self.wall) / _BUSY))

    def look(self, used: float) -> None:
        """Interrupt, or kill, where it is time to."""
        if time.time() > self.until:
            self.ended = "total"
            self.send(signal.SIGKILL)
        elif not self.ended and used > self.seconds:
            self.ended, self.seconds_more = "time", used + _GRACE
            self.send(signal.SIGINT)
        elif self.ended == "time" and used > self.seconds_more:
            self.ended = "deaf"
            self.send(signal.SIGKILL)

    def send(self, number: int) -> None:
        """Send the kernel a signal, should it still be there."""
        with contextlib.suppress(OSError):
            os.kill(self.kernel.pid, number)


def execute(notebook: Path, report: Path, seconds: float, total: float) -> None:
    """Execute the notebook cell by cell, and write down how each answer cell and probe ended. Does not return.

    seconds: for a cell. total: seconds for all but the first, which has the course's imports.
    """
    sys.modules["rfc3987_syntax"] = None  # jsonschema does without; its grammar takes longer than all the rest
    import psutil
    from jupyter_client.kernelspec import KernelSpec
    from jupyter_client.manager import AsyncKernelManager
    from nbclient.exceptions import DeadKernelError
    from papermill.clientwrap import PapermillNotebookClient
    from papermill.engines import NotebookExecutionManager
    from papermill.iorw import load_notebook_node

    class OwnKernel(AsyncKernelManager):
        """A kernel in the interpreter that this process runs in, whatever other kernels call themselves `python3`."""

        argv = [sys.executable, "-m", "ipykernel_launcher", "-f", "{connection_file}"]
        kernel_spec = KernelSpec(argv=argv, display_name="Python 3", language="python")

    class Client(PapermillNotebookClient):
        """Goes on after errors, stops at a dead or deaf kernel, and keeps little of an endless output."""

        def execute(self, **_: Any) -> None:
            self.reset_execution_trackers()
            with self.setup_kernel():
                self.clock = Clock(psutil.Process().children()[0], seconds)
                self.clock.start()
                for index in range(len(self.nb.cells)):
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
            self.kept = 0
            self.clock.start_cell(self.until if index else math.inf)
            self.clock.going = index > 0
            try:
                self.execute_cell(self.nb.cells[index], index)
            except DeadKernelError:
                return self.clock.ended or "died"
            finally:
                self.clock.going = False
            return self.clock.ended or "done"

        def output(self, outs: list[Any], msg: dict[str, Any], *rest: Any) -> Any:
            self.kept += sum(len(str(part)) for part in msg["content"].values())
            return super().output(outs, msg, *rest) if self.kept < _MOST_OUTPUT else None

    Client(
        NotebookExecutionManager(load_notebook_node(str(notebook)), progress_bar=False),
        kernel_name="python3",
        kernel_manager_class=OwnKernel,
        allow_errors=True,
        raise_on_iopub_timeout=False,
        startup_timeout=_START,
        store_widget_state=False,
        shutdown_kernel="immediate",
        extra_arguments=["--log-level=ERROR"],
    ).execute()


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
