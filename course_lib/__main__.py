"""The command line: `python -m course_lib --help`."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import click

from course_lib.bench.command import bench
from course_lib.data.loading import from_here
from course_lib.experiments.command import claims, reference, run_sweep
from course_lib.grading.command import grade, release
from course_lib.profiles import PROFILES, Profile
from course_lib.support.arguments import Sentences, names
from course_lib.support.errors import CourseError


@click.group(cls=Sentences)
def main() -> None:
    """What can a network learn from one image? A course in notebooks."""


main.add_command(bench)
main.add_command(grade)
main.add_command(release)
main.add_command(reference)
main.add_command(run_sweep)
main.add_command(claims)


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
    from course_lib.experiments.runs import describe, new_run_folder, run_notebooks
    from course_lib.support.files import make_folder
    from course_lib.support.notebooks import find_notebooks

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
    from course_lib.profiles import runnable_profile
    from course_lib.support.notebooks import set_parameters

    values = {"PROFILE": profile} | {name: from_here(name, value) for name, value in given}
    parameters = set_parameters(values, paths)
    return parameters, runnable_profile(values["PROFILE"], or_quick=values.get("OR_QUICK", "").lower() == "true")


def _make_gallery(
    images: tuple[Path, ...], profile: str, given: tuple[tuple[str, str], ...], out: Path | None, more: bool
) -> None:
    """Make the gallery, and end: 0 where every photograph has its page."""
    from course_lib.experiments.gallery import NOTEBOOK, make_gallery
    from course_lib.support.files import runs_folder
    from course_lib.support.notebooks import find_notebooks

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
    from course_lib.data.datasets import CropDataset
    from course_lib.data.loading import load_source
    from course_lib.profiles import start
    from course_lib.support import distributed
    from course_lib.training.trained import pretrain

    distributed.join()
    course = start(profile, seed)
    images = load_source(from_here("SOURCE", source), n, seed).to(course.device)
    crops = CropDataset(images, d=course.profile.d, side=course.profile.side, seed=seed)
    pretrain(method, course, crops, steps, compiled)


@main.command()
@click.argument("paths", nargs=-1, type=click.Path(path_type=Path, exists=True))
@click.option("--fix", is_flag=True, help="Take outputs, counts and widget state out first.")
def lint(paths: tuple[Path, ...], fix: bool) -> None:
    """Say what keeps notebooks from being committed; exit status 1 if anything does."""
    from course_lib.authoring.lint import lint as problems_of
    from course_lib.support.notebooks import find_notebooks, strip

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
    from course_lib.authoring.headers import write_measured

    _report(write_measured(Path("README.md")))


@main.command()
@click.option("--repo", required=True, metavar="OWNER/NAME", help="The repository on GitHub.")
@click.option("--branch", default="main", show_default=True)
def badges(repo: str, branch: str) -> None:
    """Write badges that open the notebooks on Colab and Binder, and the address that Colab installs from."""
    from course_lib.authoring.headers import write_badges

    _report(write_badges(repo, branch, Path("README.md")))


def _report(changed: list[Path]) -> None:
    click.echo("\n".join(f"wrote {path}" for path in changed) or "nothing to change")


if __name__ == "__main__":
    main(prog_name="python -m course_lib")
