"""`python -m course_lib lint`, `headers` and `badges`: what the course's authors use."""

from __future__ import annotations

import sys
from pathlib import Path

import click

_README = Path("README.md")


@click.command()
@click.argument("paths", nargs=-1, type=click.Path(path_type=Path, exists=True))
@click.option("--fix", is_flag=True, help="Remove outputs, execution counts and widget state first.")
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


@click.command()
def headers() -> None:
    """Write what the reference run measured into the notebooks and the READMEs."""
    from course_lib.authoring.headers import write_measured

    _report(write_measured(_README))


@click.command()
@click.option("--repo", required=True, metavar="OWNER/NAME", help="The repository on GitHub.")
@click.option("--branch", default="main", show_default=True)
def badges(repo: str, branch: str) -> None:
    """Write badges that open the notebooks on Colab and Binder, and the address that Colab installs from."""
    from course_lib.authoring.headers import write_badges

    _report(write_badges(repo, branch, _README))


def _report(changed: list[Path]) -> None:
    click.echo("\n".join(f"wrote {path}" for path in changed) or "nothing to change")
