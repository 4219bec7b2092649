"""The one error that the course raises on purpose about the world outside the code."""


class CourseError(Exception):
    """A file, a folder, a download, a device or a name that the course cannot go on with.

    The message is a sentence for the person at the keyboard: what was given, and what to do. The command line
    prints it alone; an argument out of range is a ValueError instead.
    """


def unknown(what: str, given: str, known: list[str] | tuple[str, ...]) -> CourseError:
    """The sentence for a name that does not exist: `unknown("profile", "fast", ["quick"])`."""
    return CourseError(f"there is no {what} called {given!r}; there is {', '.join(known)}")
