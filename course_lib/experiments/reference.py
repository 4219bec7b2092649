"""The reference: the course run with several seeds on one machine, kept in assets/ as bands, films and figures."""

from __future__ import annotations

import io
import json
import shutil
import subprocess
import zipfile
from collections.abc import Iterable, Mapping, Sequence
from datetime import date
from pathlib import Path
from typing import Any

from course_lib.data.crops import CropScheme
from course_lib.data.loading import load_source
from course_lib.evidence.films import Film, first_layers, keep_films, save_films
from course_lib.evidence.results import (
    assets_folder,
    identity,
    load_reference,
    load_reference_films,
    load_reference_table,
)
from course_lib.experiments.runs import run_notebooks
from course_lib.experiments.sweep import Grid, as_lines, rows_of, sweep
from course_lib.lessons.crops.panel import crop_panel
from course_lib.pictures.charts import accuracy_by_layer
from course_lib.pictures.figures import COLOURS, Picture, compare_filters
from course_lib.pretext.method import without_labels
from course_lib.support.errors import CourseError
from course_lib.support.files import make_folder, write_file
from course_lib.support.machine import describe_machine
from course_lib.support.notebooks import find_notebooks, read_parameters

PROBES = "06"
"""The notebook that is run once more for every labelled set, with all methods."""


def make_reference(
    profile: str, seeds: Sequence[int], data: Sequence[str], folder: Path, grid: Grid | None = None, jobs: int = 1
) -> Path:
    """Run the course once a seed below `folder`, and write assets/reference/PROFILE.json, the films and the figures.

    data: labelled sets; the first goes through all notebooks, and then each goes through the one with the probes, with
    all methods, whose networks the first run has trained. grid: cells to run too, `jobs` at a time; their table becomes
    assets/reference/PROFILE-sweep.jsonl, and so does that of cells that a sweep left in `folder`/sweep. Runs that are
    in `folder` already are kept, so that an interrupted reference goes on where it was. Raises CourseError when a
    notebook fails.
    """
    folder, commit = make_folder(folder), _commit()  # before the pictures are written, which makes the tree dirty
    if grid:
        sweep(grid, folder / "sweep", jobs)
    _keep_table(profile, folder)
    first, *others = find_notebooks()
    runs = [_run(folder / f"seed-{seed}", others, profile, seed, data[0]) for seed in seeds]
    probed = [_probe(folder, profile, seed, name) for name in data for seed in seeds]
    _write_pictures(profile, probed, _trainings(folder, seeds[0]))
    _write(profile, seeds, data, runs, probed, commit)
    # The first notebook shows the reference, so it can run only now that there is one.
    runs += [_run(folder / f"seed-{seed}-start", [first], profile, seed, data[0]) for seed in seeds]
    path = _write(profile, seeds, data, runs, probed, commit)
    _pack(profile, folder)
    return path


def measure_again(
    profile: str, only: Sequence[str], data: Sequence[str], folder: Path, seeds: Sequence[int] = ()
) -> Path:
    """Run some notebooks again below `folder`, and leave the rest of the reference as it is.

    only: notebooks, by number or name; their costs, their measures and their films take the place of those that there
    were. Where the one with the probes is among them, all methods' networks are probed again on every set. data:
    labelled sets; the notebooks use the first, and unless it is the reference's own, what they cost stays. seeds:
    others than the reference's own, whose rows come to those that there are. A table of cells that a sweep left in
    `folder`/sweep is taken as well.
    The commit, date and machine of the new numbers are noted under "again", beside those of the run that gave the rest.
    Raises CourseError where there is no reference yet, for a notebook that is not there, and for one that fails.
    """
    reference, commit, folder = load_reference(profile), _commit(), make_folder(folder)
    if reference is None:
        raise CourseError(f"there is no reference at {profile!r} to measure a part of again; make it without --only")
    paths, others = find_notebooks(only), bool(seeds) and seeds != reference["seeds"]
    seeds = seeds or reference["seeds"]
    _keep_table(profile, folder)  # first, since notebook 08 reads it
    runs = [_run(folder / f"seed-{seed}", paths, profile, seed, data[0]) for seed in seeds]
    reference["measures"] = _latest(row for rows in (reference, *runs) for row in rows["measures"])
    if not others:
        _keep_films(profile, load_reference_films(profile) | keep_films(_trainings(folder, seeds[0]), profile))
        if _without_path(data[0]) == _first_set(reference):
            costs = {cost["name"]: cost for cost in (*reference["notebooks"], *_costs(runs))}
            reference["notebooks"] = [costs[name] for name in sorted(costs)]
    if any(path.stem.startswith(PROBES) for path in paths):
        probed = [_probe(folder, profile, seed, name) for name in data for seed in seeds]
        reference["probes"] = _latest(row for rows in (reference, *probed) for row in rows["probes"])
        _draw_layers(reference["probes"])
    options = [f"--profile {profile}", f"--only {','.join(only)}", *(f"--data {_without_path(name)}" for name in data)]
    options += [f"--seeds {','.join(map(str, seeds))}"] * others
    new = {"command": f"python -m course_lib reference {' '.join(options)}", "date": date.today().isoformat()}
    reference["again"] = [*reference.get("again", []), new | {"commit": commit, "machine": describe_machine()}]
    path = write_file(assets_folder() / "reference" / f"{profile}.json", json.dumps(reference, indent=1) + "\n")
    _pack(profile, folder)
    return path


def keep_sweep(grid: Grid, folder: Path) -> Path:
    """Write the table and the films of a sweep's finished cells into assets/, and both as one file, which it returns.

    folder: the sweep's. What was kept of other cells stays. For a machine that can be had for minutes only, such as a
    lent GPU: a grid of few cells, and no notebooks. Of a grid with other probes the films are those of the profile's.
    """
    kept, profile = make_folder(assets_folder() / "reference"), grid.profile
    rows = _latest((*load_reference_table(grid.kind), *rows_of(folder, grid.pictures)))
    write_file(kept / f"{grid.kind}-sweep.jsonl", as_lines(rows))
    if not grid.pictures:
        films = keep_films(sorted(folder.glob("*/trained/*.safetensors")), profile)
        save_films(load_reference_films(profile) | films, kept / f"{profile}-films.safetensors")
    return _pack(profile, folder)


def _keep_table(profile: str, folder: Path) -> None:
    """The table of the cells that a sweep has left below a folder, if there are any."""
    if rows := rows_of(folder / "sweep"):
        write_file(make_folder(assets_folder() / "reference") / f"{profile}-sweep.jsonl", as_lines(rows))


def _keep_films(profile: str, films: Mapping[str, Film]) -> None:
    save_films(films, make_folder(assets_folder() / "reference") / f"{profile}-films.safetensors")
    picture = compare_filters(first_layers(films), "First-layer filters, untrained and trained")
    write_file(make_folder(assets_folder() / "figures") / "filters.png", picture.png())


def _costs(runs: Sequence[dict[str, Any]]) -> list[dict[str, Any]]:
    """What each notebook took, a number a run."""
    found: dict[str, list[dict[str, Any]]] = {}
    for notebook in (notebook for run in runs for notebook in run["notebooks"]):
        found.setdefault(notebook["name"], []).append(notebook)
    return [
        {"name": name, "seconds": [c["seconds"] for c in costs], "peak_mb": [c["peak_mb"] for c in costs]}
        for name, costs in sorted(found.items())
    ]


def _pack(profile: str, folder: Path) -> Path:
    """All that was written into assets/ as one file, folder/assets.zip: to be brought from the machine that ran it, and
    unpacked in the root of a checkout."""
    content = io.BytesIO()
    with zipfile.ZipFile(content, "w", zipfile.ZIP_DEFLATED) as archive:
        for path in sorted([*assets_folder().glob(f"reference/{profile}*"), *assets_folder().glob("figures/*")]):
            archive.write(path, Path("assets") / path.relative_to(assets_folder()))
    return write_file(folder / "assets.zip", content.getvalue())


def _probe(folder: Path, profile: str, seed: int, data: str) -> dict[str, Any]:
    """The results of the probes of all methods' networks on one labelled set."""
    methods = ", ".join(name for name in COLOURS if name in without_labels(profile))
    here = make_folder(folder / f"seed-{seed}-{_without_path(data).replace(':', '-')}")
    shutil.copytree(folder / f"seed-{seed}" / "trained", here / "trained", dirs_exist_ok=True)
    return _run(here, find_notebooks([PROBES]), profile, seed, data, {"METHODS": methods})


def _run(
    folder: Path, paths: Sequence[Path], profile: str, seed: int, data: str, more: dict[str, Any] | None = None
) -> dict[str, Any]:
    """The results of one run, from an earlier one where it was finished. more: parameters of the probes' notebook."""
    done = folder / "results.json"
    if not done.exists() or len(json.loads(done.read_text())["notebooks"]) < len(paths):
        values = {path: {"PROFILE": profile, "SEED": seed} for path in paths}
        for path in values:
            values[path] |= {"DATA": data} if "DATA" in read_parameters(path) else {}
            values[path] |= (more or {}) if path.stem.startswith(PROBES) else {}
        results = run_notebooks(values, profile, make_folder(folder))
        if failed := [f"{result.name}: {result.error}" for result in results if result.error]:
            done.unlink()
            raise CourseError(f"no reference was made, because of {'; '.join(failed)}")
    return json.loads(done.read_text())


def _write(
    profile: str,
    seeds: Sequence[int],
    data: Sequence[str],
    runs: Sequence[dict[str, Any]],
    probed: Sequence[dict[str, Any]],
    commit: str,
) -> Path:
    labels = " ".join(f"--data {_without_path(name)}" for name in data)
    summary = {
        "command": f"python -m course_lib reference --profile {profile} --seeds {','.join(map(str, seeds))} {labels}",
        "profile": profile,
        "date": date.today().isoformat(),
        "commit": commit,
        "machine": describe_machine(),
        "seeds": list(seeds),
        "notebooks": _costs(runs),
        "probes": [row for run in probed for row in run["probes"]],
        "measures": _distinct(row for run in runs for row in run["measures"]),
    }
    path = make_folder(assets_folder() / "reference") / f"{profile}.json"
    return write_file(path, json.dumps(summary, indent=1) + "\n")


def _without_path(data: str) -> str:
    """`folder:/home/me/cifar` as `folder:cifar`: the name that tables have, and no path of somebody's machine."""
    return f"folder:{Path(data).name}" if data.startswith("folder:") else data


def _first_set(reference: dict[str, Any]) -> str:
    """The labelled set that the notebooks of a reference used."""
    return reference["probes"][0]["data"]


def _latest(rows: Iterable[dict[str, Any]]) -> list[dict[str, Any]]:
    """Of rows that measure the same thing with the same seed the last."""
    return list({(identity(row), row["seed"]): row for row in rows}.values())


def _distinct(rows: Any) -> list[dict[str, Any]]:
    return list({json.dumps(row, sort_keys=True): row for row in rows}.values())


def _commit() -> str:
    """The commit that the code is at, with a plus where files have changed since."""
    where = Path(__file__).parent
    asked = subprocess.run(["git", "describe", "--always", "--dirty=+"], cwd=where, capture_output=True, text=True)
    return asked.stdout.strip() or "unknown"


def _trainings(folder: Path, seed: int) -> list[Path]:
    """The finished trainings of a seed's notebooks, and those of the grid's cells."""
    patterns = (f"seed-{seed}/trained/*.safetensors", "sweep/*/trained/*.safetensors")
    return [path for pattern in patterns for path in folder.glob(pattern)]


def _write_pictures(profile: str, probed: Sequence[dict[str, Any]], trained: Sequence[Path]) -> None:
    _keep_films(profile, keep_films(trained, profile))
    crops = Picture(crop_panel(load_source("china"), CropScheme(), 64), "One photograph, and crops of it")
    write_file(make_folder(assets_folder() / "figures") / "crops.png", crops.png())
    _draw_layers([row for run in probed for row in run["probes"]])


def _draw_layers(rows: Sequence[dict[str, Any]]) -> None:
    """The picture of the probes on the set that comes first."""
    chosen = [row for row in rows if row["data"] == rows[0]["data"]]
    chosen = [row for row in chosen if row["method"] in COLOURS]  # and not the controls, which have one layer
    picture = accuracy_by_layer(chosen, f"Linear probes on {rows[0]['data']}")
    write_file(make_folder(assets_folder() / "figures") / "layers.png", picture.png())
