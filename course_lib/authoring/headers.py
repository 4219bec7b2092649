"""What commands write into notebooks and the README, so that nobody types it: measured costs, and badges.

Each text stands between two comments, `<!-- measured -->` and `<!-- /measured -->`, and is written anew every time. It
has lines of its own: Markdown on the line of a comment would be shown as it is typed.
"""

from __future__ import annotations

import json
import re
import statistics
from collections.abc import Callable
from pathlib import Path
from typing import Any

import nbformat

from course_lib.bench.report import quality_in_words, rate_in_words
from course_lib.evidence.results import assets_folder, load_reference, load_reference_table
from course_lib.networks.alexnet import LAYERS
from course_lib.pictures.figures import in_order
from course_lib.support.errors import CourseError
from course_lib.support.files import write_file
from course_lib.support.notebooks import EXPERIMENT, find_notebooks, title, write_notebook

_RULE = "|---|---|---|---|---|"
_PLACE = re.compile(r"git\+https://github\.com/[^\s/]+/\S+")


def write_measured(readme: Path) -> list[Path]:
    """Write each notebook's seconds and memory, from the reference at `quick`, into its first cell and the README.

    Returns the files that changed. Raises CourseError where no reference was made yet.
    """
    reference = load_reference("quick")
    if reference is None:
        raise CourseError("there is no assets/reference/quick.json; make it with `python -m course_lib reference`")
    costs = {cost["name"]: cost for cost in reference["notebooks"]}
    machine = f"{reference['machine']['device']}, torch {reference['machine']['torch']}"
    changed = []
    for path in find_notebooks():
        text = f"\n*Measured at `quick` on {machine}: {_cost(costs[path.stem])}.*\n" if path.stem in costs else ""
        changed += _edit_notebook(path, lambda source, text=text: fill(source, "measured", text))
    table = ["| notebook | measured at `quick` |", "|---|---|"]
    for path in find_notebooks():
        cost = _cost(costs[path.stem]) if path.stem in costs else ""
        table.append(f"| [{title(path)}](notebooks/{path.name}) | {cost} |")
    texts = {"notebooks": table, "bench": _bench_tables()}
    kinds = [path.name.removesuffix("-sweep.jsonl") for path in assets_folder().glob("reference/*-sweep.jsonl")]
    texts |= {kind: _accuracy_table(kind) for kind in kinds}
    for name, lines in texts.items():
        changed += _edit(readme, lambda source, name=name, lines=lines: fill(source, name, "\n".join(["", *lines, ""])))
    return list(dict.fromkeys(changed))


def _accuracy_table(kind: str) -> list[str]:
    """The probes of one of the reference's sweeps: a line a network; nothing where none was kept."""
    networks: dict[tuple[str, ...], list[dict[str, Any]]] = {}
    for row in load_reference_table(kind):
        networks.setdefault((row["method"], _learned_from(row), row["data"]), []).append(row)
    if not networks:
        return []
    first = next(iter(networks.values()))[0]
    machine = f"{first['device']}, torch {first['torch']}"
    lines = [f"At `{first['profile']}` on {machine}; in %, over several seeds the mean ± the standard deviation:", ""]
    lines += [f"| trained by | on | probed on | seeds | {' | '.join(LAYERS)} |", f"|{'---|' * (4 + len(LAYERS))}"]
    order = in_order(method for method, *_ in networks)
    for network, rows in sorted(networks.items(), key=lambda item: order.index(item[0][0])):
        seeds = ", ".join(map(str, sorted({row["seed"] for row in rows})))
        shares = [[row["accuracy"] for row in rows if row["layer"] == layer] for layer in LAYERS]
        lines.append(f"| {' | '.join([*network, seeds, *map(_over_seeds, shares)])} |")
    return lines


def _learned_from(row: dict[str, Any]) -> str:
    pictures = f"{row['n']:,} of {row['source']}" if row["n"] else "nothing"
    return f"{pictures}, without {row['left_out']}" if row["left_out"] else pictures


def _over_seeds(shares: list[float]) -> str:
    """The mean in percent, and the standard deviation where there are several."""
    spread = f" ± {100 * statistics.stdev(shares):.1f}" if len(shares) > 1 else ""
    return f"{100 * statistics.mean(shares):.1f}{spread}"


def _bench_tables() -> list[str]:
    """What `python -m course_lib bench ... --json assets/reference/bench*.json` measured, a table for each machine."""
    rows: dict[str, list[dict[str, Any]]] = {}
    for path in sorted(assets_folder().glob("reference/bench*.json"), key=lambda path: path.stem):
        report = json.loads(path.read_text(encoding="utf-8"))
        rows.setdefault(f"{report['machine']['device']}, torch {report['machine']['torch']}", []).extend(report["rows"])
    lines: list[str] = []
    for machine, measured in rows.items():
        lines += ["", f"Measured on {machine}:", "", "| who | what | rate | to ours | quality |", _RULE]
        lines += [_bench_line(row) for row in measured]
    return lines[1:]


def _bench_line(row: dict[str, Any]) -> str:
    side = {"runs/s": "k-means", "layers/s": "probes", "images/s": f"training, {row['side']} px"}
    cells = [row["who"], side.get(row["unit"], f"{row['side']} px"), rate_in_words(row), f"{row['ratio_to_ours']:.2g}"]
    return f"| {' | '.join(cells)} | {quality_in_words(row)} |"


def write_badges(repository: str, branch: str, readme: Path) -> list[Path]:
    """Write badges that open each notebook on Colab and Binder, and the address that the set-up cells install from.

    repository: OWNER/NAME on GitHub. Returns the files that changed. Raises CourseError for another form.
    """
    if not re.fullmatch(r"[\w.-]+/[\w.-]+", repository):
        raise CourseError(f"--repo takes OWNER/NAME, as on GitHub, got {repository!r}")
    changed = []
    for path in (*find_notebooks(), *find_notebooks([EXPERIMENT])):
        badges = _badges(repository, branch, f"notebooks/{path.name}")
        changed += _edit_notebook(
            path, lambda source, badges=badges: _address(fill(source, "badges", badges), repository)
        )
    badges = _badges(repository, branch, "notebooks/00_start_here.ipynb")
    return changed + _edit(readme, lambda source: fill(source, "badges", badges))


def fill(text: str, name: str, content: str) -> str:
    """`text` with `content` between the comments of that name; unchanged where it has none."""
    pattern = re.compile(rf"(<!-- {name} -->).*?(<!-- /{name} -->)", re.DOTALL)
    return pattern.sub(lambda match: f"{match[1]}{content}{match[2]}", text)


def _cost(cost: dict[str, Any]) -> str:
    seconds, gigabytes = cost["seconds"], max(cost["peak_mb"]) / 1000
    middle = sorted(seconds)[len(seconds) // 2]
    return f"{middle:.0f} s ({min(seconds):.0f} to {max(seconds):.0f}), {gigabytes:.2f} GB"


def _badges(repository: str, branch: str, file: str) -> str:
    colab = f"https://colab.research.google.com/github/{repository}/blob/{branch}/{file}"
    binder = f"https://mybinder.org/v2/gh/{repository}/{branch}?urlpath=lab/tree/{file}"
    return (
        f"\n[![Open in Colab](https://colab.research.google.com/assets/colab-badge.svg)]({colab}) "
        f"[![Open in Binder](https://mybinder.org/badge_logo.svg)]({binder})\n"
    )


def _address(source: str, repository: str) -> str:
    return _PLACE.sub(f"git+https://github.com/{repository}", source)


def _edit_notebook(path: Path, change: Callable[[str], str]) -> list[Path]:
    notebook = nbformat.read(path, 4)
    before = [cell.source for cell in notebook.cells]
    for cell in notebook.cells:
        cell.source = change(cell.source)
    if before == [cell.source for cell in notebook.cells]:
        return []
    write_notebook(path, notebook)
    return [path]


def _edit(path: Path, change: Callable[[str], str]) -> list[Path]:
    before = path.read_text(encoding="utf-8")
    if (after := change(before)) == before:
        return []
    return [write_file(path, after)]
