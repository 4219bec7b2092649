"""How long a slider takes: from a front end's message to the kernel's last answer, beside a usual way to redraw.

Driven through the kernel's comm channel, as a browser does it, without a browser.
"""

from __future__ import annotations

import statistics
import time
from typing import Any

from jupyter_client.client import KernelClient
from jupyter_client.manager import run_kernel

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
    return crop_panel(source, CropScheme(alpha=alpha), 64)[0]
"""
_SLIDERS = {"alpha": (5, 180), "beta": (1e-4, 1.0), "gamma": (0.2, 1.0), "jitter": (0.0, 1.0), "seed": (0, 99)}
_OURS = "panel = explore_crops(source, side=64)\npanel"
_PEER = """
figure, axes = plt.subplots(figsize=(8.6, 5.5)); shown = axes.imshow(pixels(35)); axes.axis("off")
slider, image = widgets.FloatSlider(max=180, description="alpha"), widgets.Image(format="png")
def draw(change):
    shown.set_data(pixels(change["new"])); file = io.BytesIO(); figure.savefig(file, format="png")
    image.value = file.getvalue()
slider.observe(draw, "value"); plt.close(figure); widgets.VBox([slider, image])"""


def bench_widgets(moves: int = MOVES) -> Report:
    """Milliseconds a move of every slider of the explorer, 64 crops of 64 pixels; and of its peer."""
    rows = []
    with run_kernel() as client:
        _run(client, _SET_UP)
        states = _run(client, _OURS)
        for name in _SLIDERS:
            rows.append(_row(f"explorer, {name}", _move(client, states, name, moves)))
        rows.append(_row("matplotlib, kept figure", _move(client, _run(client, _PEER), "alpha", moves)))
    return Report(describe_machine(), [row | {"ratio_to_ours": row["rate"] / rows[0]["rate"]} for row in rows])


def _run(client: KernelClient, code: str) -> list[dict[str, Any]]:
    """The states of the widgets that a cell made, with their comm ids. Raises RuntimeError where the cell fails."""
    messages: list[dict[str, Any]] = []
    done = client.execute_interactive(code, output_hook=messages.append, timeout=120)
    if done["content"]["status"] == "error":
        raise RuntimeError(done["content"]["evalue"])
    opened = [message["content"] for message in messages if message["msg_type"] == "comm_open"]
    return [content["data"]["state"] | {"comm_id": content["comm_id"]} for content in opened]


def _move(client: KernelClient, states: list[dict[str, Any]], name: str, count: int) -> list[float]:
    """Milliseconds of each of `count` moves of a slider, until the kernel is idle again."""
    slider = next(s["comm_id"] for s in states if "Slider" in s["_model_name"] and s.get("description") == name)
    low, high = _SLIDERS[name]
    values = [low + (high - low) * (i + 0.5) / count for i in range(count)]  # distinct, so that every move is a change
    taken = []
    for value in values:
        state = {"value": round(value) if name == "seed" else value}
        data = {"method": "update", "state": state, "buffer_paths": []}
        start = time.perf_counter()
        message = client.session.msg("comm_msg", {"comm_id": slider, "data": data})
        client.shell_channel.send(message)
        mine = idle = False  # until the kernel says that it is idle again after this message
        while not (mine and idle):
            answer = client.get_iopub_msg(timeout=60)
            mine = answer["parent_header"].get("msg_id") == message["header"]["msg_id"]
            idle = answer["content"].get("execution_state") == "idle"
        taken.append((time.perf_counter() - start) * 1e3)
    return taken


def _row(who: str, taken: list[float]) -> dict[str, Any]:
    *_, tail = statistics.quantiles(taken[5:], n=20)  # the first moves warm up
    row = {"who": who, "what": f"a move of a slider, 95th percentile {tail:.1f} ms", "side": _SIDE, "unit": "ms"}
    return row | {"rate": round(statistics.median(taken[5:]), 2), "quality": None}
