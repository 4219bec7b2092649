"""`python -m course_lib bench`: everything that there is to time."""

from __future__ import annotations

import json
from dataclasses import asdict
from pathlib import Path
from typing import Any

import click

from course_lib.support.errors import CourseError

_NAMES = ("crops", "widgets", "train", "beside", "kmeans", "probes")


@click.command()
@click.argument("name", metavar="NAME", type=click.Choice([*_NAMES, "all"]))
@click.option("--json", "json_path", type=click.Path(path_type=Path), help="Write the rows here too, as they come.")
@click.option("--sides", metavar="32,64", help="Of crops, in pixels; by default 32 on a CPU, 32,64,128,224 on a GPU.")
@click.option("--compiled/--no-compiled", default=True, help="Of train: on a GPU also with torch.compile (slow).")
@click.option("--data", default="photos10", show_default=True, help="Of probes, as a notebook's DATA: folder:PATH.")
@click.option("--train", type=click.IntRange(min=20), help="Training pictures of probes; by default few on a CPU.")
@click.option("--test", type=click.IntRange(min=1), help="Test pictures of probes.")
@click.option("--passes", type=click.IntRange(min=1), help="Passes of the streaming probe, up to all that it has.")
def bench(name: str, json_path: Path | None, sides: str | None, compiled: bool, data: str, **size: int | None) -> None:
    """Time the course's own code beside its peers.

    NAME: crops (a second, and how exact they are), widgets (milliseconds that a slider takes), train (images a second,
    and what DeepCluster's grouping costs), beside (the pace of a training beside other programs), kmeans (and how good
    its clusters are), probes (a second, and how accurate they are), or all of these, in some minutes. Peers that are
    not installed are skipped and named; most of them come with pip install -e '.[bench]'.
    """
    from course_lib.bench.beside import bench_beside
    from course_lib.bench.crops import bench_crops
    from course_lib.bench.kmeans import bench_kmeans
    from course_lib.bench.probes import bench_probes
    from course_lib.bench.report import Report, tell
    from course_lib.bench.training import bench_training
    from course_lib.bench.widgets import bench_widgets
    from course_lib.data.loading import from_here
    from course_lib.support.files import make_folder, write_file
    from course_lib.support.machine import this_device

    device, report = this_device(), Report({})
    pixels = _pixels(sides or ("32,64,128,224" if device.type == "cuda" else "32"))
    data = from_here("DATA", data)
    work = {
        "crops": lambda: bench_crops(device, pixels, keep),
        "widgets": bench_widgets,
        "train": lambda: bench_training(device, compiled, keep),
        "beside": lambda: bench_beside(keep),
        "kmeans": lambda: bench_kmeans(device),
        "probes": lambda: bench_probes(device, data, **size),
    }

    told: list[dict[str, Any]] = []

    def write() -> None:  # what is measured is kept, even where the rest is broken off
        if json_path:
            write_file(json_path, json.dumps(asdict(report) | {"rows": report.rows + told}, indent=1))

    def keep(row: dict[str, Any]) -> None:
        tell(row)
        told.append(row)
        write()

    if json_path:
        make_folder(json_path.parent)
    for one in _NAMES if name == "all" else [name]:
        found = work[one]()
        told.clear()
        report.extend(found)
        write()
        click.echo(found.text() + "\n")
    if json_path:
        click.echo(f"wrote {json_path}")


def _pixels(sides: str) -> list[int]:
    if not all(side.strip().isdigit() and int(side) for side in sides.split(",")):
        raise CourseError(f"--sides takes whole numbers above 0, as in 32,64; got {sides!r}")
    return [int(side) for side in sides.split(",")]
