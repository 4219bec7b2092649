"""Help with an exercise, in stages; and the answer, after an attempt."""

from __future__ import annotations

import inspect

from course_lib.exercises.exercise import find_exercise
from course_lib.exercises.journal import hints_taken, note_hints, was_attempted


def hint(key: str, stage: int = 0) -> None:
    """Print the next hint for an exercise, each time one stage further; or, with a stage from 1, that one again.

    Raises CourseError for an id that does not exist, and ValueError for a stage that does not.
    """
    hints = find_exercise(key).hints
    if not 0 <= stage <= len(hints):
        raise ValueError(f"{key} has {len(hints)} hints, so stage must lie in 1 to {len(hints)}, got {stage}")
    taken = hints_taken(key)
    shown = stage or min(taken + 1, len(hints))
    note_hints(key, max(taken, shown))
    print(f"{key}, hint {shown} of {len(hints)}. {hints[shown - 1]}")
    if shown == len(hints):
        print(f'That was the last. Once you have tried, reveal("{key}") shows how the course does it.')


def reveal(key: str) -> None:
    """Print the course's own function, once `check` has seen an attempt of yours.

    Raises CourseError for an id that does not exist.
    """
    answer = find_exercise(key).answer
    if not was_attempted(key):
        print(f"{key}: write something first, even if it is wrong, and run its check. Then ask again.")
        return
    print(f"The answer is the library's own function, in {answer.__module__}:\n")
    print(inspect.getsource(answer))
