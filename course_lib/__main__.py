"""The command line: `python -m course_lib --help`."""

from __future__ import annotations

from importlib import import_module

import click

from course_lib.support.errors import CourseError

_FOLDERS = {
    "experiments": ("run", "train", "sweep", "reference", "claims"),
    "bench": ("bench",),
    "grading": ("grade", "release"),
    "authoring": ("lint", "headers", "badges"),
}
_PLACES = {name: f"course_lib.{folder}.command" for folder, commands in _FOLDERS.items() for name in commands}


class _Commands(click.Group):
    """Commands that are imported when they are asked for, and whose CourseErrors are sentences with exit status 2."""

    def list_commands(self, context: click.Context) -> list[str]:
        return sorted(_PLACES)

    def get_command(self, context: click.Context, name: str) -> click.Command | None:
        return getattr(import_module(_PLACES[name]), name) if name in _PLACES else None

    def invoke(self, context: click.Context) -> object:
        try:
            return super().invoke(context)
        except CourseError as error:
            raise click.UsageError(str(error)) from None


@click.group(cls=_Commands)
def main() -> None:
    """What can a network learn from one image? A course in notebooks."""


if __name__ == "__main__":
    main(prog_name="python -m course_lib")
