"""Numbers that travel from a notebook to the runner, as a table to read, and against the reference.

A probe's row is `{method, source, n, data, layer, accuracy, low, high, seed}`: n is the number of pictures that the
network was trained on, accuracy a share of 1, and low to high its 95 % interval over test pictures. A sweep's row also
says what was left out of the crops' scheme (`left_out`), and where it is from. The accuracy of a network that was
retrained above frozen layers is a row `{measure, method, source, n, data, labels, depth, accuracy, low, high, seed}`,
which has no layer and so is no probe. Any other number is a row `{measure, method, source, steps, value, seed}`.
"""

from __future__ import annotations

import importlib.resources
import json
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

import pandas as pd

import course_lib
from course_lib.data.datasets import LabelledImages
from course_lib.evidence.films import Film, load_films
from course_lib.evidence.intervals import band
from course_lib.networks.alexnet import LAYERS
from course_lib.probes.classifier import ProbeResult
from course_lib.support.errors import CourseError
from course_lib.support.files import runs_folder

TABLE = "table.jsonl"
TABLE_VERSION = 1
"""Of the form that a sweep's table has. A table of another version is refused."""

_WHAT = {
    "accuracy": ("measure", "method", "source", "n", "data", "layer", "left_out", "labels", "depth"),
    "value": ("measure", "method", "source", "steps"),
}
"""What a row is about, by the name of its number."""

MIME = "application/vnd.course-lib.probes+json"
"""The type under which a notebook's output carries its rows."""


def probe_rows(
    method: str, source: str, n: int, data: str, results: Sequence[ProbeResult], seed: int
) -> list[dict[str, Any]]:
    """The rows of one network's probes."""
    same = {"method": method, "source": source, "n": n, "data": data}
    return [same | {"layer": r.layer} | _shares(r) | {"seed": seed} for r in results]


def _shares(result: ProbeResult) -> dict[str, Any]:
    low, high = result.interval
    shares = {"accuracy": result.accuracy, "low": low, "high": high}
    return {key: round(value, 4) for key, value in shares.items()}


def retrained_row(
    measure: str, method: str, source: str, n: int, data: LabelledImages, depth: int, result: ProbeResult, seed: int
) -> dict[str, Any]:
    """The row of a network that was retrained with the labels of `data` above its first `depth` layers.

    measure: in the words of `course_lib.probes.transfer.describe_depth`. method, source, n: what trained the layers
    that were taken over; "none", "none" and 0 where none were.
    """
    same = {"measure": measure, "method": method, "source": source, "n": n, "data": data.name}
    return same | {"labels": len(data), "depth": depth} | _shares(result) | {"seed": seed}


def measure_row(measure: str, method: str, source: str, steps: int, value: float, seed: int) -> dict[str, Any]:
    """The row of a number that is not a probe's, such as the accuracy of the pretext task."""
    same = {"measure": measure, "method": method, "source": source, "steps": steps}
    return same | {"value": round(value, 4), "seed": seed}


def publish(rows: Sequence[dict[str, Any]]) -> None:
    """Show rows as a table in a notebook; the runner finds them in the saved output."""
    from IPython.display import display

    table = accuracy_table(rows) if "layer" in rows[0] else _in_percent(pd.DataFrame(list(rows)))
    words = {"text/plain": table.to_string(index=False), "text/html": table.to_html(border=0, index=False)}
    display({**words, MIME: list(rows)}, raw=True)


def _in_percent(table: pd.DataFrame) -> pd.DataFrame:
    """The table with its shares of 1, if it has any, as percent: as all other tables of the course have them."""
    shares = [column for column in ("accuracy", "low", "high") if column in table]
    return table.assign(**{column: (100 * table[column]).round(1) for column in shares}).rename(
        columns={column: f"{column}, %" for column in shares}
    )


def accuracy_table(rows: Iterable[dict[str, Any]]) -> pd.DataFrame:
    """Accuracy in percent, one line a network, one column a layer; several seeds are averaged."""
    frame = pd.DataFrame(list(rows)).fillna({"left_out": ""})
    frame["accuracy in %"] = 100 * frame["accuracy"]
    keys = ["data", "method", "source", "n"] + ["left_out"] * ("left_out" in frame)
    table = frame.pivot_table("accuracy in %", keys, "layer", sort=False).round(1)
    table = table[[layer for layer in LAYERS if layer in table]]
    table.columns.name = None
    return table.reset_index()


def load_reference(profile: str) -> dict[str, Any] | None:
    """What our own runs of a profile gave, from assets/reference; None where none was made yet."""
    path = assets_folder() / "reference" / f"{profile}.json"
    return json.loads(path.read_text()) if path.is_file() else None


def load_table(path: Path) -> list[dict[str, Any]]:
    """The rows of a table that a sweep wrote. Raises CourseError for a table of another version, or a damaged one."""
    try:
        rows = [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines()]
        versions = {row["version"] for row in rows}
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise CourseError(f"{path} is no table of a sweep ({type(error).__name__}); write it with sweep") from None
    if other := versions - {TABLE_VERSION}:
        raise CourseError(f"{path} is of version {other.pop()}, and this course reads {TABLE_VERSION}; run sweep again")
    return rows


def load_reference_table(kind: str) -> list[dict[str, Any]]:
    """The rows of one of the reference's sweeps; none where none was made yet.

    kind: a profile, or what `course_lib.experiments.sweep.Grid` calls a grid with other probes.
    """
    path = assets_folder() / "reference" / f"{kind}-sweep.jsonl"
    return load_table(path) if path.is_file() else []


def load_reference_films(profile: str) -> dict[str, Film]:
    """Films of the first layers of the reference run's networks, by METHOD/N/SOURCE; empty where none was made yet."""
    path = assets_folder() / "reference" / f"{profile}-films.safetensors"
    return load_films(path) if path.is_file() else {}


def assets_folder() -> Path:
    """The course's assets: in the checkout, or inside the installed package."""
    checkout = Path(course_lib.__file__).parents[1] / "assets"
    return checkout if checkout.is_dir() else Path(str(importlib.resources.files("course_lib") / "assets"))


def compare(rows: Sequence[dict[str, Any]], profile: str) -> pd.DataFrame | None:
    """Your numbers beside the band of the reference run's, accuracies in percent.

    A row without a counterpart in the reference (another source, other data) is left out, and a line says so. Where
    that leaves nothing, a sentence says why, and there is no table.
    """
    reference = load_reference(profile) or {"probes": [], "measures": []}
    known, lines = reference["probes"] + reference["measures"] + load_reference_table(profile), []
    seeds: set[int] = set()
    for row in rows:
        same = {r["seed"]: _value(r) for r in known if identity(r) == identity(row)}
        if len(same) >= 2:
            seeds |= set(same)
            low, high = band(list(same.values()))
            verdict = "inside" if low <= _value(row) <= high else "outside"
            lines.append([row["method"], row.get("layer") or row["measure"], _value(row), low, high, verdict])
    if not lines:
        print(_nothing_to_compare(profile, bool(rows), bool(known)))
        return None
    if reference["probes"]:
        print(f"Reference: seeds {sorted(seeds)} on {reference['machine']['device']}, {reference['date']}.")
    if len(lines) < len(rows):
        print(f"{len(rows) - len(lines)} of your {len(rows)} numbers have no counterpart in the reference.")
    return pd.DataFrame(lines, columns=["method", "what", "yours", "from", "to", "band"]).round(2)


def _nothing_to_compare(profile: str, yours: bool, ours: bool) -> str:
    if not yours:
        return "There is nothing to compare: no number of yours was given."
    if not ours:
        return f"There is nothing to compare: no reference was measured at {profile!r} yet."
    return (
        f"There is nothing to compare: the reference at {profile!r} has none of your numbers, with two seeds or more. "
        "It was measured with the notebooks' parameters as they come."
    )


def identity(row: dict[str, Any]) -> tuple[Any, ...]:
    """All that two rows must share to be measurements of one thing, with other seeds."""
    return tuple(row.get(key, "") for key in _WHAT["accuracy" if "accuracy" in row else "value"])


def _value(row: dict[str, Any]) -> float:
    return 100 * row["accuracy"] if "accuracy" in row else row["value"]


def own_table(profile: str) -> list[dict[str, Any]]:
    """The rows of the learner's own sweep where there is one, else those of the reference run's."""
    path = runs_folder("sweep", profile) / TABLE
    return load_table(path) if path.is_file() else load_reference_table(profile)
