"""`python -m course_lib grade` and `release`: the instructor's commands."""

from __future__ import annotations

import sys
from pathlib import Path

import click

from course_lib.support.errors import CourseError


@click.command()
@click.argument("submissions", nargs=-1, type=click.Path(path_type=Path))
@click.option("--out", type=click.Path(path_type=Path), help="Where the grades go; finished ones there are kept.")
@click.option("--jobs", default=1, show_default=True, type=click.IntRange(min=1), help="Submissions at a time, here.")
@click.option("--sandbox", default="bubblewrap", show_default=True, metavar="LEVEL", help="One of bubblewrap, limits.")
@click.option("--scheduler", default="", metavar="ADDRESS", help="Of a Dask scheduler, whose workers grade.")
@click.option("--secret", default="", help="What the questions are drawn from; by default the folder's own.")
@click.option(
    "--cell", default=30, show_default=True, type=click.IntRange(min=1), help="Seconds of the processor for a cell."
)
@click.option(
    "--total", default=300, show_default=True, type=click.IntRange(min=1), help="Seconds for a notebook, by the clock."
)
@click.option("--self-test", "tests_itself", is_flag=True, help="Run the attack corpus on this machine instead.")
def grade(
    submissions: tuple[Path, ...],
    out: Path | None,
    jobs: int,
    sandbox: str,
    scheduler: str,
    secret: str,
    cell: int,
    total: int,
    tests_itself: bool,
) -> None:
    """Grade the notebooks in SUBMISSIONS: files, folders and zips.

    Each is run in a sandbox and asked new questions; its answers are judged outside. Killed at any time and started
    again, it grades only what is not finished.
    """
    from course_lib.grading.batch import grade as grade_all
    from course_lib.grading.records import Rules

    if tests_itself:
        from course_lib.grading.self_test import self_test

        sys.exit(self_test(sandbox, jobs, out, click.echo))
    if not submissions or out is None:
        raise CourseError("grade takes what learners handed in, and --out for the grades: grade inbox/ --out grades/")
    graded = grade_all(submissions, out, Rules(sandbox, cell, total), jobs, scheduler, secret, click.echo)
    failed = sum(bool(one.problem) for one in graded)
    click.echo(f"{len(graded)} submissions, {failed} not graded; wrote {out / 'grades.csv'} and {out / 'index.html'}")


@click.command()
@click.option("--out", type=click.Path(path_type=Path), required=True, help="A new folder, or an empty one.")
def release(out: Path) -> None:
    """Make the folder that learners get: notebooks, the library that they need, and how to begin."""
    from course_lib.grading.release import release as make_release

    click.echo(f"wrote {make_release(out)}")
