"""What commands write into notebooks and READMEs, so that nobody types it: measured costs, tables, and badges.

Each text stands between two comments, `<!-- measured -->` and `<!-- /measured -->`, and is replaced every time. It has
lines of its own: Markdown on the line of a comment would be shown as it is typed.
"""

from __future__ import annotations

import json
import re
import statistics
from collections.abc import Callable, Iterable, Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import Any

import nbformat
import pandas as pd

from course_lib.bench.report import quality_in_words, rate_in_words
from course_lib.evidence.results import assets_folder, load_reference, load_reference_table
from course_lib.networks.alexnet import LAYERS
from course_lib.support.errors import CourseError
from course_lib.support.files import write_file
from course_lib.support.notebooks import EXPERIMENT, find_notebooks, title
from course_lib.support.palette import in_order

_PAGES = ("README.md", "*/README.md", "course_lib/*/README.md")
_PLACE = re.compile(r"git\+https://github\.com/[^\s/]+/\S+")


def find_pages(root: Path) -> list[Path]:
    """The README of a checkout and those of its folders."""
    found = [path for pattern in _PAGES for path in sorted(root.glob(pattern))]
    return [path for path in found if not path.parent.name.startswith(".")]


def write_measured(readme: Path) -> list[Path]:
    """Fill the blocks of the notebooks, the README and the READMEs below it with what was measured.

    Returns the files that changed. Raises CourseError where no reference was made yet.
    """
    reference = load_reference("quick")
    if reference is None:
        raise CourseError("there is no assets/reference/quick.json; make it with `python -m course_lib reference`")
    costs = {cost["name"]: _cost(cost) for cost in reference["notebooks"]}
    notebooks, machine, changed = find_notebooks(), _on(reference["machine"]), []
    for path in (path for path in notebooks if path.stem in costs):
        measured = f"*Measured at `quick` on {machine}: {costs[path.stem]}.*"
        changed += _edit_notebook(path, partial(fill, blocks={"measured": [measured]}))
    listed = [(f"[{title(path)}](notebooks/{path.name})", costs.get(path.stem, "")) for path in notebooks]
    blocks = {"notebooks": _table(("notebook", f"at `quick` on {machine}"), listed), "bench": _bench_tables()}
    kinds = [path.name.removesuffix("-sweep.jsonl") for path in assets_folder().glob("reference/*-sweep.jsonl")]
    blocks |= {kind: _accuracy_table(kind) for kind in kinds}
    for page in find_pages(readme.parent):
        changed += _edit(page, partial(fill, blocks=blocks))
    return changed


def _on(machine: dict[str, Any]) -> str:
    return f"{machine['device']}, torch {machine['torch']}"


def _table(columns: Sequence[str], rows: Iterable[Sequence[str]]) -> list[str]:
    """The lines of a Markdown table."""
    return [f"| {' | '.join(columns)} |", "|---" * len(columns) + "|", *(f"| {' | '.join(row)} |" for row in rows)]


def _accuracy_table(kind: str) -> list[str]:
    """The probes of one of the reference's sweeps: one row per network."""
    first, *_ = kept = load_reference_table(kind)
    frame, rows = pd.DataFrame(kept).assign(trained_on=[_learned_from(row) for row in kept]), []
    networks, order = frame.groupby(["method", "trained_on", "data"], sort=False), in_order(frame["method"])
    for network, probed in sorted(networks, key=lambda one: order.index(one[0][0])):
        seeds, by_layer = sorted(set(probed["seed"])), probed.groupby("layer")["accuracy"].agg(list)
        rows.append((*network, ", ".join(map(str, seeds)), *map(_over_seeds, by_layer[list(LAYERS)])))
    heading = f"At `{first['profile']}` on {_on(first)}; accuracy in %, over several seeds mean ± standard deviation:"
    return [heading, "", *_table(("trained by", "on", "probed on", "seeds", *LAYERS), rows)]


def _learned_from(row: dict[str, Any]) -> str:
    pictures = f"{row['n']:,} of {row['source']}" if row["n"] else "nothing"
    return f"{pictures}, without {row['left_out']}" if row["left_out"] else pictures


def _over_seeds(accuracies: list[float]) -> str:
    """The mean in percent, and the standard deviation where there are several."""
    spread = f" ± {100 * statistics.stdev(accuracies):.1f}" if len(accuracies) > 1 else ""
    return f"{100 * statistics.mean(accuracies):.1f}{spread}"


def _bench_tables() -> list[str]:
    """What `python -m course_lib bench ... --json assets/reference/bench*.json` measured, one table per machine."""
    measured: dict[str, list[Sequence[str]]] = {}
    for path in sorted(assets_folder().glob("reference/bench*.json"), key=lambda path: path.stem):
        report = json.loads(path.read_text(encoding="utf-8"))
        measured.setdefault(_on(report["machine"]), []).extend(map(_bench_row, report["rows"]))
    columns, lines = ("who", "what", "rate", "to ours", "quality"), []
    for machine, rows in measured.items():
        lines += [f"Measured on {machine}:", "", *_table(columns, rows), ""]
    return lines[:-1]


def _bench_row(row: dict[str, Any]) -> Sequence[str]:
    side = f"{row['side']} px"
    what = {"runs/s": "k-means", "layers/s": "probes", "images/s": f"training, {side}"}.get(row["unit"], side)
    return row["who"], what, rate_in_words(row), f"{row['ratio_to_ours']:.2g}", quality_in_words(row)


def write_badges(repository: str, branch: str, readme: Path) -> list[Path]:
    """Write badges that open each notebook on Colab and Binder, and the address that the set-up cells install from.

    repository: OWNER/NAME on GitHub. Returns the files that changed. Raises CourseError for another form.
    """
    if not re.fullmatch(r"[\w.-]+/[\w.-]+", repository):
        raise CourseError(f"--repo takes OWNER/NAME, as on GitHub, got {repository!r}")
    address, changed = f"git+https://github.com/{repository}", []
    for path in (*find_notebooks(), *find_notebooks([EXPERIMENT])):
        badges = _badges(repository, branch, f"notebooks/{path.name}")
        filled = partial(fill, blocks={"badges": badges})
        changed += _edit_notebook(path, lambda text, fill=filled: _PLACE.sub(address, fill(text)))
    badges = _badges(repository, branch, "notebooks/00_start_here.ipynb")
    return changed + _edit(readme, partial(fill, blocks={"badges": badges}))


def fill(text: str, blocks: Mapping[str, Sequence[str]]) -> str:
    """`text` with the lines of each block between the comments of its name; unchanged where it has none."""
    for name, lines in blocks.items():
        content, pattern = "\n".join(["", *lines, ""]), rf"(<!-- {name} -->).*?(<!-- /{name} -->)"
        text = re.sub(pattern, lambda match, content=content: match[1] + content + match[2], text, flags=re.DOTALL)
    return text


def _cost(cost: dict[str, Any]) -> str:
    seconds, gigabytes = cost["seconds"], max(cost["peak_mb"]) / 1000
    return f"{statistics.median_high(seconds):.0f} s ({min(seconds):.0f} to {max(seconds):.0f}), {gigabytes:.2f} GB"


def _badges(repository: str, branch: str, file: str) -> list[str]:
    colab = f"https://colab.research.google.com/github/{repository}/blob/{branch}/{file}"
    binder = f"https://mybinder.org/v2/gh/{repository}/{branch}?urlpath=lab/tree/{file}"
    return [
        f"[![Open in Colab](https://colab.research.google.com/assets/colab-badge.svg)]({colab}) "
        f"[![Open in Binder](https://mybinder.org/badge_logo.svg)]({binder})"
    ]


def _edit_notebook(path: Path, change: Callable[[str], str]) -> list[Path]:
    notebook = nbformat.read(path, 4)
    for cell in notebook.cells:
        cell.source = change(cell.source)
    return _edit(path, lambda _: nbformat.writes(notebook) + "\n")


def _edit(path: Path, change: Callable[[str], str]) -> list[Path]:
    before = path.read_text(encoding="utf-8")
    if (after := change(before)) == before:
        return []
    return [write_file(path, after)]
