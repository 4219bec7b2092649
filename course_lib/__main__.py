"""The command line: `python -m course_lib --help`."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import click

from course_lib.arguments import Sentences, from_here, names, whole_numbers
from course_lib.bench_command import bench
from course_lib.errors import CourseError
from course_lib.grading.command import grade, release
from course_lib.profiles import PROFILES, Profile


@click.group(cls=Sentences)
def main() -> None:
    """What can a network learn from one image? A course in notebooks."""


main.add_command(bench)
main.add_command(grade)
main.add_command(release)


@main.command()
@click.option("--profile", default="quick", show_default=True, help=f"One of {', '.join(PROFILES)}.")
@click.option("--only", default="", metavar="02,06", help="Some notebooks only, by number or name.")
@click.option("-p", "given", nargs=2, multiple=True, metavar="NAME VALUE", help="A parameter of the notebooks.")
@click.option("--out", type=click.Path(path_type=Path), help="The folder to write to; by default a new one in runs/.")
@click.option("--json", "json_path", type=click.Path(path_type=Path), help="Write results.json here too.")
@click.option("--image", "images", multiple=True, type=click.Path(path_type=Path), help="A gallery instead: see below.")
def run(
    profile: str,
    only: str,
    given: tuple[tuple[str, str], ...],
    out: Path | None,
    json_path: Path | None,
    images: tuple[Path, ...],
) -> None:
    """Execute the notebooks in order and show what each layer learned.

    With --image, a photograph or a folder of them, as often as you like: one page for each instead, by notebook 13, and
    a gallery that leads to them. Pages that are in --out already are kept.
    """
    from course_lib.files import make_folder
    from course_lib.notebooks import find_notebooks
    from course_lib.runs import describe, new_run_folder, run_notebooks

    if only and not names(only):
        raise CourseError(f"--only takes numbers or names of notebooks, as in 02,06; got {only!r}")
    if images:
        _make_gallery(images, profile, given, out, bool(only or json_path))
    parameters, chosen = _parameters(profile, given, find_notebooks(names(only)))
    if json_path:
        make_folder(json_path.parent)
    folder = new_run_folder(out)
    results = run_notebooks(parameters, chosen.name, folder, json_path)
    click.echo(describe(results, folder))
    sys.exit(any(result.status != "ok" for result in results))


def _parameters(
    profile: str, given: Sequence[tuple[str, str]], paths: Sequence[Path]
) -> tuple[dict[Path, dict[str, Any]], Profile]:
    """The parameters of each notebook, by the options --profile and -p, and the profile that they are run at."""
    from course_lib.notebooks import set_parameters
    from course_lib.profiles import runnable_profile

    values = {"PROFILE": profile} | {name: from_here(name, value) for name, value in given}
    parameters = set_parameters(values, paths)
    return parameters, runnable_profile(values["PROFILE"], or_quick=values.get("OR_QUICK", "").lower() == "true")


def _make_gallery(
    images: tuple[Path, ...], profile: str, given: tuple[tuple[str, str], ...], out: Path | None, more: bool
) -> None:
    """Make the gallery, and end: 0 where every photograph has its page."""
    from course_lib.notebooks import find_notebooks
    from course_lib.trained import runs_folder
    from course_lib.your_image.gallery import NOTEBOOK, make_gallery

    if more or "SOURCE" in dict(given):
        raise CourseError("--image runs notebook 13 on pictures of yours; leave out --only, --json and -p SOURCE")
    (path,) = find_notebooks([NOTEBOOK])
    parameters, chosen = _parameters(profile, given, [path])
    folder = out or runs_folder(f"gallery-{chosen.name}")
    entries = make_gallery(images, parameters[path], chosen.name, folder, click.echo)
    click.echo(f"Pictures:  open {folder / 'index.html'} in a browser")
    sys.exit(any(entry.error for entry in entries))


@main.command("train")
@click.argument("method")
@click.option("--profile", default="quick", show_default=True, help=f"One of {', '.join(PROFILES)}.")
@click.option("--source", default="china", show_default=True, help="A photograph's name, or a path.")
@click.option("--n", default=1, show_default=True, help="How many pictures of a folder.")
@click.option("--seed", default=0, show_default=True)
@click.option("--steps", default=0, help="By default the recipe's.")
@click.option("--compile", "compiled", is_flag=True, help="Let torch.compile work on the networks first.")
def train_method(method: str, profile: str, source: str, n: int, seed: int, steps: int, compiled: bool) -> None:
    """Train METHOD as a notebook would, which then loads the network.

    On several GPUs: torchrun --nproc_per_node=8 -m course_lib train METHOD, or accelerate launch in its place.
    """
    from course_lib import distributed
    from course_lib.datasets import CropDataset
    from course_lib.profiles import start
    from course_lib.sources import load_source
    from course_lib.trained import pretrain

    distributed.join()
    course = start(profile, seed)
    images = load_source(from_here("SOURCE", source), n, seed).to(course.device)
    crops = CropDataset(images, d=course.profile.d, side=course.profile.side, seed=seed)
    pretrain(method, course, crops, steps, compiled)


@main.command()
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
    from course_lib.pretext import without_labels
    from course_lib.profiles import runnable_profile
    from course_lib.reference import make_reference, measure_again
    from course_lib.sweep import Grid
    from course_lib.trained import runs_folder

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


@main.command("sweep")
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
    from course_lib.profiles import runnable_profile
    from course_lib.reference import keep_sweep
    from course_lib.sweep import Grid, expected, sweep
    from course_lib.trained import runs_folder

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


@main.command()
@click.option("--profile", default="quick", show_default=True, help=f"One of {', '.join(PROFILES)}.")
@click.option("--json", "json_path", type=click.Path(path_type=Path), help="Write the verdicts here too.")
def claims(profile: str, json_path: Path | None) -> None:
    """Say which of the paper's claims our runs confirm, break, or leave open: the reference and the grid of sweep."""
    import json

    from course_lib.claims import as_json, as_text, judge
    from course_lib.files import make_folder, write_file
    from course_lib.profiles import load_profile
    from course_lib.results import load_reference
    from course_lib.sweep import own_table

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


@main.command()
@click.argument("paths", nargs=-1, type=click.Path(path_type=Path, exists=True))
@click.option("--fix", is_flag=True, help="Take outputs, counts and widget state out first.")
def lint(paths: tuple[Path, ...], fix: bool) -> None:
    """Say what keeps notebooks from being committed; exit status 1 if anything does."""
    from course_lib.anatomy import lint as problems_of
    from course_lib.anatomy import strip
    from course_lib.notebooks import find_notebooks

    chosen = list(paths) or find_notebooks()
    if fix:
        for path in chosen:
            strip(path)
    problems = [problem for path in chosen for problem in problems_of(path)]
    click.echo("\n".join(problems) or f"{len(chosen)} notebooks, nothing to mend")
    sys.exit(bool(problems))


@main.command()
def headers() -> None:
    """Write what the reference run measured into the notebooks and the README."""
    from course_lib.headers import write_measured

    _report(write_measured(Path("README.md")))


@main.command()
@click.option("--repo", required=True, metavar="OWNER/NAME", help="The repository on GitHub.")
@click.option("--branch", default="main", show_default=True)
def badges(repo: str, branch: str) -> None:
    """Write badges that open the notebooks on Colab and Binder, and the address that Colab installs from."""
    from course_lib.headers import write_badges

    _report(write_badges(repo, branch, Path("README.md")))


def _report(changed: list[Path]) -> None:
    click.echo("\n".join(f"wrote {path}" for path in changed) or "nothing to change")


if __name__ == "__main__":
    main(prog_name="python -m course_lib")
