"""The reference: the course run with several seeds on one machine, kept in assets/ as bands, films and figures.

Three commands add to it: `reference` runs the whole course, `reference --only` some notebooks, and `sweep --keep` a few
cells of the grid. New rows, films and costs replace those of the same thing and seed, and the rest stays.
"""

from __future__ import annotations

import json
import shutil
import subprocess
import zipfile
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, replace
from datetime import date
from pathlib import Path
from typing import Any

import pandas as pd
import torch
from safetensors import safe_open
from safetensors.torch import save

from course_lib.data.crops import CropScheme
from course_lib.data.loading import load_source
from course_lib.evidence.films import Film, first_layers, place_of
from course_lib.evidence.results import (
    assets_folder,
    identity,
    load_reference,
    load_reference_films,
    load_reference_table,
)
from course_lib.experiments.runs import run_notebooks
from course_lib.experiments.sweep import Grid, as_lines, rows_of
from course_lib.lessons.crops.panel import crop_panel
from course_lib.pictures.charts import accuracy_by_layer
from course_lib.pictures.figures import Picture, compare_filters
from course_lib.pretext.method import without_labels
from course_lib.support.errors import CourseError
from course_lib.support.files import make_folder, new_file, write_file
from course_lib.support.machine import describe_machine
from course_lib.support.notebooks import find_notebooks, read_parameters
from course_lib.support.palette import COLOURS

PROBES = "06"
"""The notebook that is run once more for every labelled set, with all methods."""

KEPT = 12
"""Frames of a film that are kept: the first, the last, and some between, in half precision, so that twenty films stay
below 1.5 MB at `quick`."""


def make_reference(profile: str, seeds: Sequence[int], data: Sequence[str], folder: Path) -> Path:
    """Run the course once for each seed below `folder`, and write assets/reference/PROFILE.json, films and figures.

    data: labelled sets; the first goes through all notebooks, and then each goes through the one with the probes, with
    all methods, whose networks the first run has trained. The table and the films of cells that a sweep left in
    `folder`/sweep are added too. Runs that are in `folder` already are kept, so that an interrupted reference goes on
    where it was. Raises CourseError when a notebook fails.
    """
    reference = _origin(profile, data, f"--seeds {','.join(map(str, seeds))}") | {"profile": profile}
    reference |= {"seeds": list(seeds), "notebooks": [], "probes": [], "measures": []}
    start, *others = find_notebooks()
    _measure(reference, others, seeds, data, folder)
    # The first notebook shows the reference, so it can run only now that there is one.
    return _measure(reference, [start], seeds, data, folder, "-start")


def measure_again(
    profile: str, only: Sequence[str], data: Sequence[str], folder: Path, seeds: Sequence[int] = ()
) -> Path:
    """Run some notebooks again below `folder`, and leave the rest of the reference as it is.

    only: notebooks, by number or name; their costs, their measures and their films replace the earlier ones. Where the
    one with the probes is among them, all methods' networks are probed again on every set. data: labelled sets; the
    notebooks use the first, and unless it is the reference's own, their earlier costs stay. seeds: others than the
    reference's own, whose rows are added to the earlier ones; costs and films then stay.
    The command, commit, date and machine of the new numbers are noted under "again". Raises CourseError where there is
    no reference yet, for a notebook that does not exist, and for one that fails.
    """
    reference = load_reference(profile)
    if reference is None:
        raise CourseError(f"there is no reference at {profile!r} to measure a part of again; make it without --only")
    own = not seeds or list(seeds) == reference["seeds"]
    more = [] if own else [f"--seeds {','.join(map(str, seeds))}"]
    reference["again"] = [*reference.get("again", []), _origin(profile, data, f"--only {','.join(only)}", *more)]
    timed = own and _without_path(data[0]) == reference["probes"][0]["data"]
    return _measure(reference, find_notebooks(only), seeds or reference["seeds"], data, folder, timed=timed, filmed=own)


def keep_sweep(grid: Grid, folder: Path) -> Path:
    """Add the table and the films of a sweep's finished cells to assets/; returns `folder`/assets.zip, which has both.

    folder: the sweep's. For a machine that can be had for minutes only, such as a lent GPU: a grid of few cells, and no
    notebooks. Of a grid whose probes have other `pictures` than the profile's only the table is added.
    """
    _add_rows(grid.kind, rows_of(folder, grid.pictures))
    if not grid.pictures:
        _add_films(grid.profile, folder.glob("*/trained/*.safetensors"))
    return _pack(grid.profile, folder)


def _measure(
    reference: dict[str, Any],
    paths: Sequence[Path],
    seeds: Sequence[int],
    data: Sequence[str],
    folder: Path,
    place: str = "",
    timed: bool = True,
    filmed: bool = True,
) -> Path:
    """Run notebooks once for each seed, add what they found to the reference, and write all of it into assets/.

    place: what the names of the runs' folders end in. timed, filmed: whether their costs and their films count.
    """
    profile, folder = reference["profile"], make_folder(folder)
    _add_rows(profile, rows_of(folder / "sweep"))  # first, since notebook 08 reads it
    runs = [_run(folder / f"seed-{seed}{place}", paths, profile, seed, data[0]) for seed in seeds]
    sets = data if any(path.stem.startswith(PROBES) for path in paths) else ()
    probed = [_probe(folder, profile, seed, name) for name in sets for seed in seeds]
    for kind, found in (("probes", probed), ("measures", runs)):
        reference[kind] = _latest((*reference[kind], *(row for run in found for row in run[kind])))
    if timed:
        costs = {cost["name"]: cost for cost in (*reference["notebooks"], *_costs(runs))}
        reference["notebooks"] = [costs[name] for name in sorted(costs)]
    trained = (*folder.glob(f"seed-{seeds[0]}/trained/*.safetensors"), *folder.glob("sweep/*/trained/*.safetensors"))
    films = _add_films(profile, trained if filmed else ())
    path = write_file(assets_folder() / f"reference/{profile}.json", json.dumps(reference, indent=1) + "\n")
    _draw(reference["probes"], films)
    _pack(profile, folder)
    return path


def _add_rows(kind: str, rows: Sequence[dict[str, Any]]) -> None:
    """Add rows of a sweep to the table of its kind, as `Grid.kind` has it."""
    if rows:
        path = assets_folder() / f"reference/{kind}-sweep.jsonl"
        write_file(path, as_lines(_latest((*load_reference_table(kind), *rows))))


def _add_films(profile: str, trained: Iterable[Path]) -> dict[str, Film]:
    """Add the films in files of finished trainings to those of a profile; returns them all."""
    films = load_reference_films(profile) | keep_films(trained, profile)
    save_films(films, assets_folder() / f"reference/{profile}-films.safetensors")
    return films


def _latest(rows: Iterable[dict[str, Any]]) -> list[dict[str, Any]]:
    """Of rows that measure the same thing with the same seed, the last."""
    return list({(identity(row), row["seed"]): row for row in rows}.values())


def _costs(runs: Sequence[dict[str, Any]]) -> list[dict[str, Any]]:
    """What each notebook took, one number for each run."""
    frame = pd.DataFrame([notebook for run in runs for notebook in run["notebooks"]])
    return frame.groupby("name")[["seconds", "peak_mb"]].agg(list).reset_index().to_dict("records")


def _pack(profile: str, folder: Path) -> Path:
    """Everything in assets/ as one file, `folder`/assets.zip, to be carried from the machine that ran it and unpacked
    in the root of a checkout."""
    packed = folder / "assets.zip"
    with new_file(packed) as file, zipfile.ZipFile(file, "w", zipfile.ZIP_DEFLATED) as archive:
        for path in sorted([*assets_folder().glob(f"reference/{profile}*"), *assets_folder().glob("figures/*")]):
            archive.write(path, Path("assets") / path.relative_to(assets_folder()))
    return packed


def _probe(folder: Path, profile: str, seed: int, data: str) -> dict[str, Any]:
    """The results of the probes of all methods' networks on one labelled set."""
    methods = ", ".join(name for name in COLOURS if name in without_labels(profile))
    here = make_folder(folder / f"seed-{seed}-{_without_path(data).replace(':', '-')}")
    shutil.copytree(folder / f"seed-{seed}" / "trained", here / "trained", dirs_exist_ok=True)
    return _run(here, find_notebooks([PROBES]), profile, seed, data, {"METHODS": methods})


def _run(
    folder: Path, paths: Sequence[Path], profile: str, seed: int, data: str, more: dict[str, str] | None = None
) -> dict[str, Any]:
    """The results of one run, or of an earlier one where that was finished. more: parameters besides."""
    done = folder / "results.json"
    if not done.exists() or len(json.loads(done.read_text())["notebooks"]) < len(paths):
        given = {"PROFILE": profile, "SEED": seed, "DATA": data, **(more or {})}
        values = {path: {name: given[name] for name in read_parameters(path) if name in given} for path in paths}
        results = run_notebooks(values, profile, make_folder(folder))
        if failed := [f"{result.name}: {result.error}" for result in results if result.error]:
            done.unlink()
            raise CourseError(f"no reference was made, because of {'; '.join(failed)}")
    return json.loads(done.read_text())


def _origin(profile: str, data: Sequence[str], *options: str) -> dict[str, Any]:
    """How numbers came about: the command, the day, the commit (with a plus where files differ) and the machine."""
    words = [f"--profile {profile}", *options, *(f"--data {_without_path(name)}" for name in data)]
    describe, here = ["git", "describe", "--always", "--dirty=+"], Path(__file__).parent
    commit = subprocess.run(describe, cwd=here, capture_output=True, text=True).stdout.strip() or "unknown"
    origin = {"command": f"python -m course_lib reference {' '.join(words)}", "date": date.today().isoformat()}
    return origin | {"commit": commit, "machine": describe_machine()}


def _without_path(data: str) -> str:
    """`folder:/home/me/cifar` as `folder:cifar`, the name in tables, without a path of somebody's machine."""
    return f"folder:{Path(data).name}" if data.startswith("folder:") else data


def _draw(probes: Sequence[dict[str, Any]], films: Mapping[str, Film]) -> None:
    """Draw the figures: crops, first layers, and the probes on the set that comes first."""
    crops = Picture(crop_panel(load_source("china"), CropScheme(), 64)[0], "One photograph, and crops of it")
    filters = compare_filters(first_layers(films), "First-layer filters, untrained and trained")
    data = probes[0]["data"]
    rows = [row for row in probes if row["data"] == data and row["method"] in COLOURS]  # controls have one layer only
    layers = accuracy_by_layer(rows, f"Linear probes on {data}")
    for name, picture in {"crops": crops, "filters": filters, "layers": layers}.items():
        write_file(assets_folder() / f"figures/{name}.png", picture.png())


def keep_films(files: Iterable[Path], profile: str) -> dict[str, Film]:
    """The films in finished trainings (`course_lib.training.trained`) at a profile, shortened, by their keys.

    Trainings with other augmentations than the course's are left out. Of several with one key, that of the least seed
    is kept, and of these the longest.
    """
    found = [one for path in sorted(files) if (one := _film_of(path, profile))]
    first: dict[str, Film] = {}
    for _, film in sorted(found, key=lambda one: (one[0], -int(one[1].steps[-1]))):
        first.setdefault(film.key, _shortened(film))
    return {film.key: film for film in sorted(first.values(), key=place_of)}


def save_films(films: Mapping[str, Film], path: Path) -> Path:
    """Write films into one file: frames in float16 under their keys, and all their steps as JSON beside them.

    Raises CourseError where the disk is full or the folder cannot be written to.
    """
    frames = {key: film.frames.half().contiguous() for key, film in films.items()}
    steps = {key: film.steps.tolist() for key, film in films.items()}
    return write_file(path, save(frames, {"steps": json.dumps(steps)}))


def _film_of(path: Path, profile: str) -> tuple[int, Film] | None:
    """A training's seed and its film; None where the training is not of those that are kept: with the paper's whole
    scheme, and of an AlexNet, since filters of other sizes cannot be held against each other."""
    with safe_open(path, "pt") as file:
        facts = json.loads(file.metadata()["facts"])
        data = facts["data"]
        whole = data.get("scheme") in (None, asdict(CropScheme()))
        network = facts["profile"].get("network", "alexnet")  # older trainings do not say it, and had no choice
        if facts["profile"]["name"] != profile or network != "alexnet" or not whole:
            return None
        source = data["source"] if "source" in data else data["name"]
        frames, steps = file.get_tensor("history.film"), file.get_tensor("history.film_steps")
    return facts["seed"], Film(facts["method"], data["n"], source, frames, steps)


def _shortened(film: Film) -> Film:
    """At most KEPT frames, evenly chosen among those there are, which are dense where filters change most."""
    chosen = torch.linspace(0, len(film.steps) - 1, min(KEPT, len(film.steps))).round().long()
    return replace(film, frames=film.frames[chosen].float(), steps=film.steps[chosen])
