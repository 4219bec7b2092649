"""How long a slider takes: from a front end's message to the kernel's last answer, beside the usual ways to redraw.

Driven through the kernel's comm channel, as a browser does it, without a browser.
"""

from __future__ import annotations

import statistics
import time
from typing import Any

from jupyter_client.manager import start_new_kernel

from course_lib.bench.report import Report
from course_lib.support.machine import describe_machine

MOVES = 60
_SIDE = 64
_SET_UP = """
import io
import ipywidgets as widgets
import matplotlib.pyplot as plt
from IPython.display import display
from course_lib.data.crops import CropScheme
from course_lib.lessons.crops.panel import crop_panel
from course_lib.data.loading import load_source
from course_lib.lessons.crops.sliders import explore_crops
get_ipython().run_line_magic("matplotlib", "inline")
source = load_source("china")
def pixels(alpha):
    return crop_panel(source, CropScheme(alpha=alpha), 64)
"""
_OURS = "panel = explore_crops(source, side=64)\npanel"
_PEERS = {
    "matplotlib, kept figure": """
figure, axes = plt.subplots(figsize=(8.6, 5.5)); shown = axes.imshow(pixels(35)); axes.axis("off")
slider, image = widgets.FloatSlider(max=180, description="alpha"), widgets.Image(format="png")
def draw(change):
    shown.set_data(pixels(change["new"])); file = io.BytesIO(); figure.savefig(file, format="png")
    image.value = file.getvalue()
slider.observe(draw, "value"); plt.close(figure); widgets.VBox([slider, image])""",
    "interactive_output, new figure": """
slider = widgets.FloatSlider(max=180, description="alpha")
def draw(alpha):
    figure, axes = plt.subplots(figsize=(8.6, 5.5)); axes.imshow(pixels(alpha)); axes.axis("off"); plt.show()
widgets.VBox([slider, widgets.interactive_output(draw, {"alpha": slider})])""",
}


def bench_widgets(moves: int = MOVES) -> Report:
    """Milliseconds a move of every slider of the explorer, 64 crops of 64 pixels; and of its peers."""
    report = Report(describe_machine())
    manager, client = start_new_kernel()
    try:
        kernel = _Kernel(client)
        kernel.run(_SET_UP)
        states = kernel.run(_OURS)
        ours = _row("explorer, alpha", kernel.move(_slider(states, "alpha"), _values(moves, 5, 180)))
        report.rows.append(ours | {"ratio_to_ours": 1.0})
        for name, low, high in (("beta", 1e-4, 1.0), ("gamma", 0.2, 1.0), ("jitter", 0.0, 1.0), ("seed", 0, 99)):
            values = _values(moves, low, high)
            values = [round(value) for value in values] if name == "seed" else values
            row = _row(f"explorer, {name}", kernel.move(_slider(states, name), values))
            report.rows.append(row | {"ratio_to_ours": row["rate"] / ours["rate"]})
        for who, code in _PEERS.items():
            row = _row(who, kernel.move(_slider(kernel.run(code), "alpha"), _values(moves, 5, 180)))
            report.rows.append(row | {"ratio_to_ours": row["rate"] / ours["rate"]})
    finally:
        client.stop_channels()
        manager.shutdown_kernel(now=True)
    return report


class _Kernel:
    """A kernel that is spoken to as a front end does."""

    def __init__(self, client: Any) -> None:
        self.client = client

    def run(self, code: str) -> list[dict[str, Any]]:
        """The states of the widgets that a cell made, with their comm ids. Raises RuntimeError where the cell fails."""
        states, errors = [], []

        def hook(message: dict[str, Any]) -> None:
            if message["msg_type"] == "comm_open":
                content = message["content"]
                states.append(content["data"]["state"] | {"comm_id": content["comm_id"]})
            elif message["msg_type"] == "error":
                errors.append(message["content"]["evalue"])

        self.client.execute_interactive(code, output_hook=hook, timeout=120)
        if errors:
            raise RuntimeError(errors[0])
        return states

    def move(self, comm_id: str, values: list[float]) -> list[float]:
        """Milliseconds of each move of a slider, until the kernel is idle again."""
        taken = []
        for value in values:
            data = {"method": "update", "state": {"value": value}, "buffer_paths": []}
            start = time.perf_counter()
            message = self.client.session.msg("comm_msg", {"comm_id": comm_id, "data": data})
            self.client.shell_channel.send(message)
            while True:
                answer = self.client.get_iopub_msg(timeout=60)
                mine = answer["parent_header"].get("msg_id") == message["header"]["msg_id"]
                if mine and answer["content"].get("execution_state") == "idle":
                    break
            taken.append((time.perf_counter() - start) * 1e3)
        return taken


def _slider(states: list[dict[str, Any]], name: str) -> str:
    return next(s["comm_id"] for s in states if "Slider" in s["_model_name"] and s.get("description") == name)


def _values(count: int, low: float, high: float) -> list[float]:
    """Distinct values, so that every move is a change."""
    return [low + (high - low) * (i + 0.5) / count for i in range(count)]


def _row(who: str, taken: list[float]) -> dict[str, Any]:
    """The first moves warm up."""
    taken = sorted(taken[5:])
    tail = taken[int(0.95 * len(taken))]
    row = {"who": who, "what": f"a move of a slider, 95th percentile {tail:.1f} ms", "side": _SIDE, "unit": "ms"}
    return row | {"rate": round(statistics.median(taken), 2), "p95": round(tail, 2), "quality": None}
