"""What a user types on the command line: commands, lists, numbers, and errors as sentences."""

from __future__ import annotations

from importlib import import_module
from typing import Any

import click

from course_lib.support.errors import CourseError


class Sentences(click.Group):
    """Commands whose CourseErrors end in a sentence and exit status 2, not in a traceback."""

    def invoke(self, context: click.Context) -> object:
        """Run the command that was asked for."""
        try:
            return super().invoke(context)
        except CourseError as error:
            raise click.UsageError(str(error)) from None


class LazyCommands(Sentences):
    """Commands that are imported only when they are asked for.

    places: the module of each command, where it has the name that users type.
    """

    def __init__(self, places: dict[str, str], **settings: Any) -> None:
        super().__init__(**settings)
        self._places = places

    def list_commands(self, context: click.Context) -> list[str]:
        """All names, in alphabetical order."""
        return sorted(self._places)

    def get_command(self, context: click.Context, name: str) -> click.Command | None:
        """The command of that name; None where there is none."""
        return getattr(import_module(self._places[name]), name) if name in self._places else None


def names(text: str) -> list[str]:
    """`a, b` as ["a", "b"]; an empty text is an empty list."""
    return [name.strip() for name in text.split(",") if name.strip()]


def whole_numbers(option: str, text: str) -> list[int]:
    """`0, 1` as [0, 1]. Raises CourseError, with the option's name, for anything else and for an empty text."""
    if not all(number.isdigit() for number in names(text)) or not names(text):
        raise CourseError(f"{option} takes whole numbers, as in 0,1,2; got {text!r}")
    return [int(number) for number in names(text)]
