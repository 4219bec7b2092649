"""`python -m course_lib run`, `train`, `sweep`, `reference` and `claims`: running the course, and what its runs say."""

from __future__ import annotations

import json
import sys
from collections.abc import Sequence
from dataclasses import asdict
from itertools import groupby
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from course_lib.support.errors import CourseError
from course_lib.support.files import make_folder, runs_folder, write_file

if TYPE_CHECKING:  # imported where they are used: they load PyTorch, which takes seconds
    from course_lib.evidence.claims import Verdict
    from course_lib.experiments.sweep import Grid
    from course_lib.profiles import Profile

Given = tuple[tuple[str, str], ...]
"""Parameters of notebooks: each a name and a value, as they were typed."""

_PATH = click.Path(path_type=Path)
_profile = click.option("--profile", default="quick", show_default=True, help="One of quick, standard, paper.")
_data = click.option(
    "--data", "sets", multiple=True, default=("photos10",), show_default=True, help="Labelled sets to probe with."
)
_jobs = click.option("--jobs", default=1, show_default=True, type=click.IntRange(min=1), help="Cells at a time, here.")


def _names(text: str) -> list[str]:
    """`a, b` as ["a", "b"]; an empty text is an empty list."""
    return [name.strip() for name in text.split(",") if name.strip()]


def _seeds(text: str) -> list[int]:
    """`0, 1` as [0, 1]. Raises CourseError for anything else, and for an empty text."""
    if not all(number.isdigit() for number in _names(text)) or not _names(text):
        raise CourseError(f"--seeds takes whole numbers, as in 0,1,2; got {text!r}")
    return [int(number) for number in _names(text)]


@click.command()
@_profile
@click.option("--only", default="", metavar="02,06", help="Some notebooks only, by number or name.")
@click.option("-p", "given", nargs=2, multiple=True, metavar="NAME VALUE", help="A parameter of the notebooks.")
@click.option("--out", type=_PATH, help="The folder to write to; by default a new one in runs/.")
@click.option("--json", "json_path", type=_PATH, help="Write results.json here too.")
@click.option("--image", "images", multiple=True, type=_PATH, help="A gallery instead: see above.")
def run(
    profile: str, only: str, given: Given, out: Path | None, json_path: Path | None, images: tuple[Path, ...]
) -> None:
    """Execute the notebooks in order and show what each layer learned.

    With --image, which takes a photograph or a folder of them and can be repeated: run notebook 13 once for each
    photograph instead, and make a page of each and a gallery that leads to them. Pages that are in --out already are
    kept.
    """
    from course_lib.experiments.runs import YOURS, describe, make_gallery, new_run_folder, run_notebooks
    from course_lib.support.notebooks import find_notebooks

    if only and not _names(only):
        raise CourseError(f"--only takes numbers or names of notebooks, as in 02,06; got {only!r}")
    if images and (only or json_path or "SOURCE" in dict(given)):
        raise CourseError("--image runs notebook 13 on pictures of yours; leave out --only, --json and -p SOURCE")
    paths = find_notebooks([YOURS] if images else _names(only))
    parameters, chosen = _parameters(profile, given, paths)
    if images:
        folder = out or runs_folder(f"gallery-{chosen.name}")
        entries = make_gallery(images, parameters[paths[0]], chosen.name, folder)
        click.echo(f"Pictures:  open {folder / 'index.html'} in a browser")
        sys.exit(any(entry.error for entry in entries))
    if json_path:
        make_folder(json_path.parent)
    folder = new_run_folder(out)
    results = run_notebooks(parameters, chosen.name, folder, json_path)
    click.echo(describe(results, folder))
    sys.exit(any(result.status != "ok" for result in results))


def _parameters(profile: str, given: Given, paths: Sequence[Path]) -> tuple[dict[Path, dict[str, Any]], Profile]:
    """The parameters of each notebook, by the options --profile and -p, and the profile that they are run at."""
    from course_lib.data.loading import from_here
    from course_lib.profiles import runnable_profile
    from course_lib.support.notebooks import set_parameters

    values = {"PROFILE": profile} | {name: from_here(name, value) for name, value in given}
    parameters = set_parameters(values, paths)
    return parameters, runnable_profile(values["PROFILE"], or_quick=values.get("OR_QUICK", "").lower() == "true")


@click.command()
@click.argument("method")
@_profile
@click.option("--source", default="china", show_default=True, help="A photograph's name, or a path.")
@click.option("--n", type=click.IntRange(min=0), default=1, show_default=True, help="Pictures of a folder; 0: all.")
@click.option("--seed", type=click.IntRange(min=0), default=0, show_default=True)
@click.option("--steps", type=click.IntRange(min=0), default=0, help="By default the recipe's.")
@click.option("--compile", "compiled", is_flag=True, help="Compile the networks with torch.compile first.")
def train(method: str, profile: str, source: str, n: int, seed: int, steps: int, compiled: bool) -> None:
    """Train METHOD as a notebook would, which then loads the network.

    On several GPUs: torchrun --nproc_per_node=8 -m course_lib train METHOD, or accelerate launch in its place.
    """
    from course_lib.data.datasets import CropDataset
    from course_lib.data.loading import from_here, load_source
    from course_lib.profiles import start
    from course_lib.support import distributed
    from course_lib.training.trained import pretrain

    distributed.join()
    course = start(profile, seed)
    images = load_source(from_here("SOURCE", source), n, seed).to(course.device)
    crops = CropDataset(images, d=course.profile.d, side=course.profile.side, seed=seed)
    pretrain(method, course, crops, steps, compiled)


@click.command()
@_profile
@click.option("--methods", default="rotnet,deepcluster,bigan", show_default=True, help="Methods without labels.")
@click.option("--n", "numbers", default="0,1,10,1000,all", show_default=True, help="How many images; 0: the bounds.")
@click.option("--photographs", help="Where 10 and 1000 are drawn from; by default the first labelled set's pictures.")
@click.option("--sources", default="noise,flat,dead_leaves", show_default=True, help="Used instead of the photograph.")
@click.option("--left-out", default="crop,rotation,colour,flip,all", show_default=True, help="Parts of the scheme.")
@click.option("--seeds", default="0,1,2", show_default=True, metavar="0,1,2", help="Every cell once for each seed.")
@_data
@click.option("--steps", type=click.IntRange(min=0), default=0, help="Length of a training; by default the recipe's.")
@click.option(
    "--pictures",
    default=0,
    type=click.IntRange(min=0),
    help="The most labelled pictures that a probe is trained with, and tested with; by default the profile's. Other "
    "numbers make a table of their own.",
)
@_jobs
@click.option("--scheduler", default="", metavar="ADDRESS", help="A Dask scheduler, whose workers run the cells.")
@click.option("--out", type=_PATH, help="Where the cells go; finished ones there are kept.")
@click.option("--dry-run", is_flag=True, help="Say which cells would be run, and how long it would take.")
@click.option("--keep", is_flag=True, help="Write what is finished into assets/ too, as part of the reference.")
def sweep(profile: str, jobs: int, scheduler: str, out: Path | None, dry_run: bool, keep: bool, **axes: Any) -> None:
    """Run the grid of notebook 08: method x images x augmentation x seed, and write it as one table.

    Killed at any time and started again, it runs only what is not finished.
    """
    from course_lib.experiments.reference import keep_sweep
    from course_lib.experiments.sweep import expected
    from course_lib.experiments.sweep import sweep as run_cells

    grid = _grid(profile, **axes)
    folder = out.absolute() if out else runs_folder("sweep", grid.kind)
    cells = grid.cells()
    count, seconds = expected(cells, folder)
    if dry_run:
        click.echo("\n".join(cell.name for cell in cells))
    click.echo(f"{len(cells)} cells, {count} to run, about {seconds / 60 / jobs:.0f} minutes")
    if dry_run:
        return
    click.echo(f"wrote {run_cells(grid, folder, jobs, scheduler)}")
    if keep:
        click.echo(f"wrote {keep_sweep(grid, folder)}, to be unpacked in the root of a checkout")


def _grid(profile: str, sets: Sequence[str], seeds: str, photographs: str | None, **lists: Any) -> Grid:
    """The `Grid` that options describe: lists with commas between, and paths as seen from where the user stands."""
    from course_lib.data.loading import from_here
    from course_lib.experiments.sweep import Grid
    from course_lib.profiles import runnable_profile

    data = [from_here("DATA", name) for name in sets]
    given = {key: _names(value) if isinstance(value, str) else value for key, value in lists.items()}
    return Grid(
        seeds=_seeds(seeds),
        data=data,
        photographs=from_here("SOURCE", photographs or f"set:{data[0]}"),
        profile=runnable_profile(profile).name,
        **given | {"sources": [from_here("SOURCE", name) for name in given["sources"]]},
    )


@click.command()
@_profile
@click.option(
    "--seeds", metavar="0,1,2", help="One run for each; by default 0 to 4, and with --only the reference's own."
)
@_data
@click.option("--only", default="", metavar="07,08", help="Measure these notebooks again, and leave the rest as it is.")
@click.option("--out", type=_PATH, help="Where the runs go; finished ones there are kept.")
def reference(profile: str, seeds: str | None, sets: tuple[str, ...], only: str, out: Path | None) -> None:
    """Run the course with several seeds, and write the bands, films and figures into assets/.

    Cells that sweep has left in the folder sweep below --out become part of the reference too.
    """
    from course_lib.data.loading import from_here
    from course_lib.experiments.reference import make_reference, measure_again
    from course_lib.profiles import runnable_profile

    folder, chosen = out or runs_folder(f"reference-{profile}"), runnable_profile(profile).name
    numbers, data = _seeds(seeds or "0,1,2,3,4"), [from_here("DATA", name) for name in sets]
    if only:
        click.echo(f"wrote {measure_again(chosen, _names(only), data, folder, numbers if seeds else ())}")
    else:
        click.echo(f"wrote {make_reference(chosen, numbers, data, folder)}")


@click.command()
@_profile
@click.option("--json", "json_path", type=_PATH, help="Write the verdicts here too.")
def claims(profile: str, json_path: Path | None) -> None:
    """Say which of the paper's claims our runs confirm, break, or leave open: the reference and the grid of sweep."""
    from course_lib.evidence.claims import judge
    from course_lib.evidence.results import load_reference, own_table
    from course_lib.profiles import load_profile

    reference = load_reference(load_profile(profile).name) or {"probes": [], "measures": []}
    rows = reference["probes"] + reference["measures"] + own_table(profile)
    if not rows:
        make = f"python -m course_lib reference --profile {profile}"
        raise CourseError(f"there is no reference run at {profile!r} yet; make it with `{make}`")
    verdicts = judge(rows)
    click.echo(as_text(verdicts))
    if json_path:
        summary = {"claims": [asdict(verdict) for verdict in verdicts]}
        click.echo(f"wrote {write_file(json_path, json.dumps(summary, indent=1))}")


def as_text(verdicts: Sequence[Verdict]) -> str:
    """For each claim and set a line that sums up, and below it one for each difference of each method."""
    from course_lib.evidence.claims import summed_up

    lines = []
    for (claim, data, bound), group in groupby(verdicts, key=lambda one: (one.claim, one.data, one.bound)):
        by_method = list(group)
        lines.append(f"{claim} ({data}; {bound}): {summed_up(by_method)}")
        for one in by_method:
            lines += [f"    {_in_words(pair)}" for pair in one.numbers]
    return "\n".join(lines)


def _in_words(pair: dict[str, Any]) -> str:
    if pair["seeds"] < 2:
        return f"{pair['what']}: one seed, and an interval needs two"
    reach = f"{pair['low']:+.1f} to {pair['high']:+.1f}; {pair['seeds']} seeds"
    return f"{pair['what']}: {pair['mean']:+.1f} points ({reach}): {pair['verdict']}"
