"""The command line: `python -m course_lib --help`."""

from __future__ import annotations

import click

from course_lib.support.arguments import LazyCommands

_FOLDERS = {
    "experiments": ("run", "train", "sweep", "reference", "claims"),
    "bench": ("bench",),
    "grading": ("grade", "release"),
    "authoring": ("lint", "headers", "badges"),
}
_PLACES = {name: f"course_lib.{folder}.command" for folder, commands in _FOLDERS.items() for name in commands}


@click.group(cls=LazyCommands, places=_PLACES)
def main() -> None:
    """What can a network learn from one image? A course in notebooks."""


if __name__ == "__main__":
    main(prog_name="python -m course_lib")
