"""A training on disk: whole or not there, the one before kept, and never unpickled."""

from __future__ import annotations

import json
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from safetensors import SafetensorError
from safetensors.torch import load, save
from torch import Tensor

from course_lib.support.distributed import from_first, rank, wait_for_all
from course_lib.support.errors import CourseError
from course_lib.support.files import write_file
from course_lib.support.machine import release_memory

EVERY = 10.0
"""Seconds between two checkpoints at least."""

PATIENCE = 20
"""Where writing is slow, the pause is so many times as long as writing takes."""

_FORMAT = "course_lib checkpoint 1"


@dataclass
class State:
    """A training as it stands: tensors by name, and plain numbers and words that JSON can hold."""

    tensors: dict[str, Tensor]
    words: dict[str, Any]

    def part(self, name: str) -> dict[str, Tensor]:
        """The tensors whose names begin with `name.`, without that beginning."""
        start = f"{name}."
        return {key.removeprefix(start): value for key, value in self.tensors.items() if key.startswith(start)}


@dataclass
class Checkpoints:
    """The last two states of one training, `path` and the one before.

    run: what the training is, such as a hash of all that matters; a state of another run is foreign, and refused.
    """

    path: Path
    run: str
    due: float = field(default_factory=lambda: time.monotonic() + EVERY)

    @property
    def previous(self) -> Path:
        """The file of the state before the last."""
        return self.path.with_name(f"{self.path.stem}.previous{self.path.suffix}")

    def save(self, state: State) -> None:
        """Write a state beside the last, then rename: whenever the power fails, one of the two is whole.

        Only the first of several processes writes. A disk that is full, or that refuses, is said, and costs nothing
        else.
        """
        start = time.monotonic()
        if rank():
            return
        release_memory()  # what the last step freed, or the copies below would come on top of it
        words = state.words | {"format": _FORMAT, "run": self.run}
        content = save({k: v.contiguous() for k, v in state.tensors.items()}, {"words": json.dumps(words)})
        new = self.path.with_name(f"{self.path.stem}.new{self.path.suffix}")
        try:
            write_file(new, content)
            if self.path.exists():
                self.path.replace(self.previous)
            new.replace(self.path)
        except (CourseError, OSError) as error:
            say(f"No checkpoint was kept: {error}. The training goes on.")
        now = time.monotonic()
        self.due = now + max(EVERY, PATIENCE * (now - start))

    def load(self, use: Callable[[State], None]) -> bool:
        """Call `use` with the last state, or where that is cut, empty or foreign, with the one before.

        What cannot be used is refused in a sentence; `use` may refuse too, by a ValueError. Returns whether a state was
        used.
        """
        for path in (self.path, self.previous):
            content = from_first(path.read_bytes() if not rank() and path.is_file() else None)
            if content is not None:
                try:
                    use(self._parse(content))
                except (SafetensorError, KeyError, TypeError, ValueError) as error:
                    say(f"The checkpoint {path.name} is left aside: {_why(error)}.")
                else:
                    return True
        return False

    def finish(self, path: Path, result: bytes | str) -> None:
        """Keep what the training gave in `path`, and remove both states. A full disk is said, and costs no training.

        Only the first of several processes writes, and the others wait for it: where one ends, a launcher may end all.
        """
        if not rank():
            self._keep(path, result)
        wait_for_all()

    def _keep(self, path: Path, result: bytes | str) -> None:
        try:
            write_file(path, result)
        except CourseError as error:
            print(f"{error}. What was trained can be used here and now, but it is not kept.")
        else:
            for state in (self.path, self.previous):
                state.unlink(missing_ok=True)

    def _parse(self, content: bytes) -> State:
        tensors = load(content)  # first, since it knows whether the file is whole
        length = int.from_bytes(content[:8], "little")
        words = json.loads(json.loads(content[8 : 8 + length])["__metadata__"]["words"])
        if words.pop("format") != _FORMAT or words.pop("run") != self.run:
            raise ValueError("it belongs to another training")
        return State(tensors, words)


def _why(error: Exception) -> str:
    if isinstance(error, SafetensorError):
        return f"it is not whole ({error})"
    return str(error) if isinstance(error, ValueError) else "it is no checkpoint of this course"


def say(sentence: str) -> None:
    """Print a line, once however many processes there are."""
    if not rank():
        print(sentence)
