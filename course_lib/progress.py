"""How a training shows itself: a picture that grows in a notebook, a plain line everywhere else."""

from __future__ import annotations

import os
import time

import torch
from torch import Tensor, nn

from course_lib.networks import conv1_filters

_LEAST_PAUSE = 0.25  # seconds between two pictures
_LARGEST_SHARE = 0.05  # of the time that drawing may take


def has_front_end() -> bool:
    """Whether somebody may be looking at a growing picture: in a notebook, unless COURSE_LIVE=0 (as `run` sets)."""
    if os.environ.get("COURSE_LIVE") == "0":
        return False
    try:
        from IPython import get_ipython
    except ImportError:
        return False
    return getattr(get_ipython(), "kernel", None) is not None


class Progress:
    """Shows the loss and accuracy of a task, (steps,) tensors that fill up, and the first layer's filters.

    The tensors are read only when a picture is due, so that a GPU is never waited for in between.
    """

    def __init__(self, title: str, steps: int, loss: Tensor, accuracy: Tensor) -> None:
        self.title, self.steps, self.loss, self.accuracy = title, steps, loss, accuracy
        self.live = has_front_end()
        self.handle = None
        self.start = time.perf_counter()
        self.due = self.start + _LEAST_PAUSE

    def update(self, done: int, method: nn.Module) -> None:
        """Called after every step; draws at most four times a second, and less where drawing is slow."""
        now = time.perf_counter()
        if now < self.due or not self.live:
            return
        self._draw(done, method)
        cost = time.perf_counter() - now
        self.due = now + max(_LEAST_PAUSE, cost / _LARGEST_SHARE)

    def close(self, done: int, method: nn.Module, seconds: float, interrupted: bool) -> None:
        """The last picture, and one line that says what was done."""
        if self.live:
            self._draw(done, method)
        accuracy = self.accuracy[max(0, done - 10) : done].mean().item() if done else float("nan")
        line = f"{self.title}: {done} of {self.steps} steps in {seconds:.0f} s, accuracy of the task {accuracy:.2f}"
        print(line + ("; stopped by hand, and the network can be used as it is" if interrupted else ""))

    @torch.no_grad()
    def _draw(self, done: int, method: nn.Module) -> None:
        from IPython.display import display

        from course_lib.figures import training_picture

        loss, accuracy = self.loss[:done].cpu(), self.accuracy[:done].cpu()
        picture = training_picture(self.title, loss, accuracy, self.steps, conv1_filters(method.trunk).cpu())
        if self.handle is None:
            self.handle = display(picture.bundle(), raw=True, display_id=True)
        else:
            self.handle.update(picture.bundle(), raw=True)
