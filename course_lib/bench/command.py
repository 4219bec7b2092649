"""`python -m course_lib bench`: everything that there is to time."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import click

from course_lib.data.loading import from_here
from course_lib.support.arguments import Sentences
from course_lib.support.errors import CourseError


@click.group(cls=Sentences)
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
@click.option("--compiled/--no-compiled", default=True, help="On a GPU: also with torch.compile, which takes a while.")
@click.option("--json", "json_path", type=click.Path(path_type=Path), help="Write the rows here too.")
def train(compiled: bool, json_path: Path | None) -> None:
    """Images a second of a training, and what DeepCluster's grouping costs."""
    _finish_bench(["train"], None, json_path, compiled=compiled)


@bench.command()
@click.option("--json", "json_path", type=click.Path(path_type=Path), help="Write the rows here too.")
def kmeans(json_path: Path | None) -> None:
    """k-means, and how good its clusters are."""
    _finish_bench(["kmeans"], None, json_path)


@bench.command()
@click.option("--data", default="photos10", show_default=True, help="As a notebook's DATA: cifar10, folder:PATH.")
@click.option("--train", type=click.IntRange(min=20), help="Pictures to train with; by default few on a CPU.")
@click.option("--test", type=click.IntRange(min=1), help="Pictures to test with.")
@click.option("--passes", type=click.IntRange(min=1), help="Of the ways that make many, as far as each has them.")
@click.option("--json", "json_path", type=click.Path(path_type=Path), help="Write the rows here too.")
def probes(data: str, train: int | None, test: int | None, passes: int | None, json_path: Path | None) -> None:
    """Linear probes a second, and how accurate they are."""
    given = {"train": train, "test": test, "passes": passes}
    size = {name: number for name, number in given.items() if number}
    _finish_bench(["probes"], None, json_path, from_here("DATA", data), size)


@bench.command("all")
@_bench_options
def bench_all(sides: str | None, json_path: Path | None) -> None:
    """Everything that there is to time, in some minutes."""
    _finish_bench(["crops", "widgets", "train", "kmeans", "probes"], sides, json_path)


def _finish_bench(
    names: list[str],
    sides: str | None,
    json_path: Path | None,
    data: str = "photos10",
    size: dict[str, int] | None = None,
    compiled: bool = True,
) -> None:
    """Run some of them and print what they found. size: of `bench probes`, where it is not to be the device's own.
    compiled: of `bench train`."""
    import json
    from dataclasses import replace

    from course_lib.bench.crops import bench_crops
    from course_lib.bench.kmeans import bench_kmeans
    from course_lib.bench.probes import SIZES, bench_probes
    from course_lib.bench.report import Report
    from course_lib.bench.training import bench_training
    from course_lib.bench.widgets import bench_widgets
    from course_lib.support.files import make_folder, write_file
    from course_lib.support.machine import this_device

    device = this_device()
    sides = sides or ("32,64,128,224" if device.type == "cuda" else "32")
    if not all(side.strip().isdigit() and int(side) for side in sides.split(",")):
        raise CourseError(f"--sides takes whole numbers above 0, as in 32,64; got {sides!r}")
    if json_path:
        make_folder(json_path.parent)
    work = {
        "crops": lambda: bench_crops(device, [int(side) for side in sides.split(",")]),
        "widgets": bench_widgets,
        "train": lambda: bench_training(device, compiled),
        "kmeans": lambda: bench_kmeans(device),
        "probes": lambda: bench_probes(device, data, replace(SIZES[device.type], **(size or {}))),
    }
    report = Report({})
    for name in names:
        found = work[name]()
        click.echo(found.text() + "\n")
        report.extend(found)
        if json_path:  # what is measured is kept, even where a later one is broken off
            click.echo(f"wrote {write_file(json_path, json.dumps(report.as_json(), indent=1))}")
