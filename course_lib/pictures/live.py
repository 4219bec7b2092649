"""A picture in a notebook that is drawn again in its place, as a training goes on."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

from course_lib.support.machine import has_front_end

if TYPE_CHECKING:
    from course_lib.pictures.figures import Picture


LEAST_PAUSE = 0.25  # seconds between two pictures


class LivePicture:
    """A picture in a notebook that is drawn again in its place; where nobody looks, nothing is drawn."""

    def __init__(self) -> None:
        self.live = has_front_end()
        self._handle = None
        self._due = 0.0

    def is_due(self) -> bool:
        """Whether somebody is looking, and the last picture was shown long enough ago."""
        return self.live and time.perf_counter() >= self._due

    def show(self, picture: Picture) -> None:
        """Show a picture in place of the last one."""
        from IPython.display import display

        if self._handle is None:
            self._handle = display(picture.bundle(), raw=True, display_id=True)
        else:
            self._handle.update(picture.bundle(), raw=True)
        self._due = time.perf_counter() + LEAST_PAUSE
