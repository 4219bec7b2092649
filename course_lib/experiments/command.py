"""`python -m course_lib reference`, `sweep` and `claims`: the runs that vouch for the course, and what they say."""

from __future__ import annotations

from pathlib import Path

import click

from course_lib.data.loading import from_here
from course_lib.profiles import PROFILES
from course_lib.support.arguments import names, whole_numbers
from course_lib.support.errors import CourseError


@click.command()
@click.option("--profile", default="quick", show_default=True, help=f"One of {', '.join(PROFILES)}.")
@click.option(
    "--seeds", metavar="0,1,2", help="One run for each; by default 0 to 4, and with --only the reference's own."
)
@click.option("--data", multiple=True, default=("photos10",), show_default=True, help="Labelled sets to probe with.")
@click.option("--only", default="", metavar="07,08", help="Measure these notebooks again, and leave the rest as it is.")
@click.option("--grid", is_flag=True, help="Run the grid of notebook 08 too, all methods on every axis.")
@click.option("--photographs", help="Where the grid's 10 and 1000 images are from; by default the first labelled set.")
@click.option("--jobs", default=1, show_default=True, type=click.IntRange(min=1), help="Cells of the grid at a time.")
@click.option("--out", type=click.Path(path_type=Path), help="Where the runs go; finished ones there are kept.")
def reference(
    profile: str,
    seeds: str | None,
    data: tuple[str, ...],
    only: str,
    grid: bool,
    photographs: str | None,
    jobs: int,
    out: Path | None,
) -> None:
    """Run the course with several seeds, and write the bands, films and figures into assets/."""
    from course_lib.experiments.reference import make_reference, measure_again
    from course_lib.experiments.sweep import Grid
    from course_lib.pretext.method import without_labels
    from course_lib.profiles import runnable_profile
    from course_lib.support.files import runs_folder

    folder = out or runs_folder(f"reference-{profile}")
    numbers, sets = whole_numbers("--seeds", seeds or "0,1,2,3,4"), [from_here("DATA", name) for name in data]
    chosen = runnable_profile(profile).name
    if only:
        click.echo(f"wrote {measure_again(chosen, names(only), sets, folder, numbers if seeds else ())}")
        return
    methods = without_labels(chosen)
    images = from_here("SOURCE", photographs or f"set:{sets[0]}")
    cells = Grid(methods, numbers, sets, images, profile=chosen) if grid else None
    click.echo(f"wrote {make_reference(chosen, numbers, sets, folder, cells, jobs)}")


@click.command("sweep")
@click.option("--profile", default="quick", show_default=True, help=f"One of {', '.join(PROFILES)}.")
@click.option("--methods", default="rotnet,deepcluster,bigan", show_default=True, help="Without labels.")
@click.option("--n", "numbers", default="0,1,10,1000,all", show_default=True, help="How many images; 0: the bounds.")
@click.option("--photographs", help="Where 10 and 1000 are drawn from; by default the first labelled set's pictures.")
@click.option("--sources", default="noise,flat,dead_leaves", show_default=True, help="In the one photograph's place.")
@click.option("--left-out", default="crop,rotation,colour,flip,all", show_default=True, help="Parts of the scheme.")
@click.option("--seeds", default="0,1,2", show_default=True, metavar="0,1,2", help="Everything once for each.")
@click.option("--data", multiple=True, default=("photos10",), show_default=True, help="Labelled sets to probe with.")
@click.option("--steps", default=0, help="Of a training; by default the recipe's.")
@click.option(
    "--pictures",
    default=0,
    type=click.IntRange(min=0),
    help="Labelled ones to train, and to test, a probe with, at most, in a table of its own; by default the profile's.",
)
@click.option("--every", is_flag=True, help="All combinations, instead of one axis at a time.")
@click.option("--jobs", default=1, show_default=True, type=click.IntRange(min=1), help="Cells at a time, here.")
@click.option("--scheduler", default="", metavar="ADDRESS", help="Of a Dask scheduler, whose workers run the cells.")
@click.option("--out", type=click.Path(path_type=Path), help="Where the cells go; finished ones there are kept.")
@click.option("--dry-run", is_flag=True, help="Say what would be run, and how long it would take.")
@click.option("--keep", is_flag=True, help="Write what is finished into assets/ too, as part of the reference.")
def run_sweep(
    profile: str,
    methods: str,
    numbers: str,
    photographs: str | None,
    sources: str,
    left_out: str,
    seeds: str,
    data: tuple[str, ...],
    steps: int,
    pictures: int,
    every: bool,
    jobs: int,
    scheduler: str,
    out: Path | None,
    dry_run: bool,
    keep: bool,
) -> None:
    """Run the grid of notebook 08: method x images x augmentation x seed, and write it as one table.

    Killed at any time and started again, it runs only what is not finished.
    """
    from course_lib.experiments.reference import keep_sweep
    from course_lib.experiments.sweep import Grid, expected, sweep
    from course_lib.profiles import runnable_profile
    from course_lib.support.files import runs_folder

    sets = [from_here("DATA", name) for name in data]
    grid = Grid(
        names(methods),
        whole_numbers("--seeds", seeds),
        sets,
        from_here("SOURCE", photographs or f"set:{sets[0]}"),
        names(numbers),
        [from_here("SOURCE", name) for name in names(sources)],
        names(left_out),
        profile=runnable_profile(profile).name,
        steps=steps,
        every=every,
        pictures=pictures,
    )
    folder = out.absolute() if out else runs_folder("sweep", grid.kind)
    cells = grid.cells()
    count, seconds = expected(cells, folder)
    for cell in cells if dry_run else []:
        click.echo(cell.name)
    click.echo(f"{len(cells)} cells, {count} to run, about {seconds / 60 / jobs:.0f} minutes")
    if not dry_run:
        click.echo(f"wrote {sweep(grid, folder, jobs, scheduler)}")
    if keep and not dry_run:
        click.echo(f"wrote {keep_sweep(grid, folder)}, to be unpacked in the root of a checkout")


@click.command()
@click.option("--profile", default="quick", show_default=True, help=f"One of {', '.join(PROFILES)}.")
@click.option("--json", "json_path", type=click.Path(path_type=Path), help="Write the verdicts here too.")
def claims(profile: str, json_path: Path | None) -> None:
    """Say which of the paper's claims our runs confirm, break, or leave open: the reference and the grid of sweep."""
    import json

    from course_lib.evidence.claims import as_json, as_text, judge
    from course_lib.evidence.results import load_reference, own_table
    from course_lib.profiles import load_profile
    from course_lib.support.files import make_folder, write_file

    reference = load_reference(load_profile(profile).name) or {"probes": [], "measures": []}
    rows = reference["probes"] + reference["measures"] + own_table(profile)
    if not rows:
        make = f"python -m course_lib reference --profile {profile}"
        raise CourseError(f"there is no reference run at {profile!r} yet; make it with `{make}`")
    verdicts = judge(rows)
    click.echo(as_text(verdicts))
    if json_path:
        make_folder(json_path.parent)
        click.echo(f"wrote {write_file(json_path, json.dumps(as_json(verdicts), indent=1))}")
