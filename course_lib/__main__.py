"""The command line: `python -m course_lib --help`."""

from __future__ import annotations

import sys
from collections.abc import Callable
from pathlib import Path

import click

from course_lib.errors import CourseError
from course_lib.profiles import PROFILES


class _Sentences(click.Group):
    """Commands whose CourseErrors end in a sentence and exit status 2, not in a traceback."""

    def invoke(self, context: click.Context) -> object:
        try:
            return super().invoke(context)
        except CourseError as error:
            raise click.UsageError(str(error)) from None


@click.group(cls=_Sentences)
def main() -> None:
    """What can a network learn from one image? A course in notebooks."""


@main.command()
@click.option("--profile", default="quick", show_default=True, help=f"One of {', '.join(PROFILES)}.")
@click.option("--only", default="", metavar="02,06", help="Some notebooks only, by number or name.")
@click.option("-p", "given", nargs=2, multiple=True, metavar="NAME VALUE", help="A parameter of the notebooks.")
@click.option("--out", type=click.Path(path_type=Path), help="The folder to write to; by default a new one in runs/.")
@click.option("--json", "json_path", type=click.Path(path_type=Path), help="Write results.json here too.")
def run(profile: str, only: str, given: tuple[tuple[str, str], ...], out: Path | None, json_path: Path | None) -> None:
    """Execute the notebooks in order and show what each layer learned."""
    from course_lib.files import make_folder
    from course_lib.notebooks import find_notebooks, set_parameters
    from course_lib.profiles import runnable_profile
    from course_lib.runs import describe, new_run_folder, run_notebooks

    names = [name.strip() for name in only.split(",") if name.strip()]
    if only and not names:
        raise CourseError(f"--only takes numbers or names of notebooks, as in 02,06; got {only!r}")
    paths = find_notebooks(names)
    values = {"PROFILE": profile} | {name: _from_here(name, value) for name, value in given}
    parameters = set_parameters(values, paths)
    chosen = runnable_profile(values["PROFILE"], or_quick=values.get("OR_QUICK", "").lower() == "true")
    if json_path:
        make_folder(json_path.parent)
    folder = new_run_folder(out)
    results = run_notebooks(parameters, chosen.name, folder, json_path)
    click.echo(describe(results, folder))
    sys.exit(any(result.status != "ok" for result in results))


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
    images = load_source(_from_here("SOURCE", source), n, seed).to(course.device)
    crops = CropDataset(images, d=course.profile.d, side=course.profile.side, seed=seed)
    pretrain(method, course, crops, steps, compiled)


@main.command()
@click.option("--profile", default="quick", show_default=True, help=f"One of {', '.join(PROFILES)}.")
@click.option("--seeds", default="0,1,2,3,4", show_default=True, metavar="0,1,2", help="One run for each.")
@click.option("--data", multiple=True, default=("photos10",), show_default=True, help="Labelled sets to probe with.")
@click.option("--out", type=click.Path(path_type=Path), help="Where the runs go; finished ones there are kept.")
def reference(profile: str, seeds: str, data: tuple[str, ...], out: Path | None) -> None:
    """Run the course with several seeds, and write the bands, filters and figures into assets/."""
    from course_lib.profiles import runnable_profile
    from course_lib.reference import make_reference
    from course_lib.trained import runs_folder

    folder = out or runs_folder(f"reference-{profile}")
    if not all(seed.strip().isdigit() for seed in seeds.split(",")):
        raise CourseError(f"--seeds takes whole numbers, as in 0,1,2; got {seeds!r}")
    numbers, sets = [int(seed) for seed in seeds.split(",")], [_from_here("DATA", name) for name in data]
    click.echo(f"wrote {make_reference(runnable_profile(profile).name, numbers, sets, folder)}")


@main.command()
@click.option("--profile", default="quick", show_default=True, help=f"One of {', '.join(PROFILES)}.")
@click.option("--json", "json_path", type=click.Path(path_type=Path), help="Write the verdicts here too.")
def claims(profile: str, json_path: Path | None) -> None:
    """Say which of the paper's claims the reference run confirms, breaks, or leaves open."""
    import json

    from course_lib.claims import as_json, as_text, judge
    from course_lib.files import make_folder, write_file
    from course_lib.profiles import load_profile
    from course_lib.results import load_reference

    reference = load_reference(load_profile(profile).name)
    if reference is None:
        make = f"python -m course_lib reference --profile {profile}"
        raise CourseError(f"there is no reference run at {profile!r} yet; make it with `{make}`")
    verdicts = judge(reference["probes"])
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


@main.group(cls=_Sentences)
def bench() -> None:
    """Time the course's own code beside its peers.

    Peers that are not installed are skipped and named; most of them come with pip install -e '.[bench]'.
    """


def _bench_options(command: Callable[..., None]) -> Callable[..., None]:
    sides = click.option("--sides", metavar="32,64", help="Pixels; by default 32 on a CPU, 32,64,128,224 on a GPU.")
    path = click.option("--json", "json_path", type=click.Path(path_type=Path), help="Write the rows here too.")
    return sides(path(command))


@bench.command()
@_bench_options
def crops(sides: str | None, json_path: Path | None) -> None:
    """Crops a second, and how exact they are."""
    _finish_bench(["crops"], sides, json_path)


@bench.command()
@click.option("--json", "json_path", type=click.Path(path_type=Path), help="Write the rows here too.")
def widgets(json_path: Path | None) -> None:
    """Milliseconds that a slider takes."""
    _finish_bench(["widgets"], None, json_path)


@bench.command()
@click.option("--json", "json_path", type=click.Path(path_type=Path), help="Write the rows here too.")
def train(json_path: Path | None) -> None:
    """Images a second of a training, and what DeepCluster's grouping costs."""
    _finish_bench(["train"], None, json_path)


@bench.command()
@click.option("--json", "json_path", type=click.Path(path_type=Path), help="Write the rows here too.")
def kmeans(json_path: Path | None) -> None:
    """k-means, and how good its clusters are."""
    _finish_bench(["kmeans"], None, json_path)


@bench.command()
@click.option("--data", default="photos10", show_default=True, help="As a notebook's DATA: cifar10, folder:PATH.")
@click.option("--json", "json_path", type=click.Path(path_type=Path), help="Write the rows here too.")
def probes(data: str, json_path: Path | None) -> None:
    """Linear probes a second, and how accurate they are."""
    _finish_bench(["probes"], None, json_path, _from_here("DATA", data))


@bench.command("all")
@_bench_options
def bench_all(sides: str | None, json_path: Path | None) -> None:
    """Everything that there is to time, in some minutes."""
    _finish_bench(["crops", "widgets", "train", "kmeans", "probes"], sides, json_path)


def _finish_bench(names: list[str], sides: str | None, json_path: Path | None, data: str = "photos10") -> None:
    import json

    from course_lib.bench.crops import bench_crops
    from course_lib.bench.kmeans import bench_kmeans
    from course_lib.bench.probes import bench_probes
    from course_lib.bench.training import bench_training
    from course_lib.bench.widgets import bench_widgets
    from course_lib.files import make_folder, write_file
    from course_lib.machine import this_device

    device = this_device()
    sides = sides or ("32,64,128,224" if device.type == "cuda" else "32")
    if not all(side.strip().isdigit() and int(side) for side in sides.split(",")):
        raise CourseError(f"--sides takes whole numbers above 0, as in 32,64; got {sides!r}")
    if json_path:
        make_folder(json_path.parent)
    work = {
        "crops": lambda: bench_crops(device, [int(side) for side in sides.split(",")]),
        "widgets": bench_widgets,
        "train": lambda: bench_training(device),
        "kmeans": lambda: bench_kmeans(device),
        "probes": lambda: bench_probes(device, data),
    }
    reports = []
    for name in names:
        reports.append(work[name]())
        click.echo(reports[-1].text() + "\n")
    for report in reports[1:]:
        reports[0].extend(report)
    if json_path:
        click.echo(f"wrote {write_file(json_path, json.dumps(reports[0].as_json(), indent=1))}")


def _from_here(name: str, value: str) -> str:
    """A path in SOURCE or DATA as seen from where the user stands; the notebooks run in a folder of their own."""
    from course_lib.images import SOURCE_PHOTOGRAPHS
    from course_lib.sources import GENERATED

    prefix = "folder:" if value.startswith("folder:") else ""
    path = Path(value.removeprefix(prefix)).expanduser()
    is_path = prefix if name == "DATA" else name == "SOURCE" and value not in SOURCE_PHOTOGRAPHS + GENERATED
    return f"{prefix}{path.absolute()}" if is_path and path.exists() else value


def _report(changed: list[Path]) -> None:
    click.echo("\n".join(f"wrote {path}" for path in changed) or "nothing to change")


if __name__ == "__main__":
    main(prog_name="python -m course_lib")
