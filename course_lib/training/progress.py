"""How a training shows itself: a picture that grows in a notebook, a plain line everywhere else."""

from __future__ import annotations

import time
from typing import Any

import torch
from torch import Tensor

from course_lib.networks.trunk import conv1_filters
from course_lib.pictures.live import LEAST_PAUSE, LivePicture
from course_lib.pretext.method import Method
from course_lib.pretext.recipes import Recipe
from course_lib.support.machine import memory_used

_LARGEST_SHARE = 0.05  # of the time that drawing may take


class Progress:
    """Shows the loss and accuracy of a task, (steps,) tensors that fill up, the first layer's filters, and what the
    method can do by now.

    The tensors are read only when a picture is due, so that a GPU is never waited for in between. begun: the step that
    it begins with. shown: whether this process is the one that speaks.
    """

    def __init__(
        self, title: str, recipe: Recipe, loss: Tensor, accuracy: Tensor, begun: int = 0, shown: bool = True
    ) -> None:
        self.title, self.recipe, self.loss, self.accuracy = title, recipe, loss, accuracy
        self.begun, self.shown = begun, shown
        self.picture = LivePicture()
        self.live = shown and self.picture.live
        self.start = time.perf_counter()
        self.due = self.start + LEAST_PAUSE

    def update(self, done: int, method: Method, data: Any) -> bool:
        """Called after every step; draws at most four times a second, and less where drawing is slow.

        Returns whether it is time to look at what the device has done.
        """
        now = time.perf_counter()
        if now < self.due:
            return False
        if self.live:
            self._draw(done, method, data)
        cost = time.perf_counter() - now
        self.due = now + max(LEAST_PAUSE, cost / _LARGEST_SHARE)
        return True

    def close(self, done: int, method: Method, data: Any, seconds: float, interrupted: bool, kept: bool) -> None:
        """The last picture, and one line that says what was done."""
        if self.live:
            self._draw(done, method, data)
        if not self.shown:
            return
        accuracy = self.accuracy[max(0, done - 10) : done].mean().item() if done else float("nan")
        line = f"{self.title}: {done} of {self.recipe.steps} steps in {seconds:.0f} s, accuracy of the task "
        line += f"{accuracy:.2f}"
        if interrupted:
            line += "; stopped by hand, and the network can be used as it is"
            line += ". Run this cell again, and it goes on from here" if kept else ""
        print(line)

    def pace(self, done: int) -> str:
        """Crops a second, the time left, and the memory in use, in words."""
        seconds = time.perf_counter() - self.start
        steps = done - self.begun
        if not steps:
            return f"{memory_used() / 1e9:.1f} GB in use"
        left = round((self.recipe.steps - done) * seconds / steps)
        wait = f"{left // 60} min {left % 60} s" if left >= 60 else f"{left} s"
        rate = steps * self.recipe.batch / seconds
        return f"{rate:,.0f} crops a second, {wait} left, {memory_used() / 1e9:.1f} GB in use"

    @torch.no_grad()
    def _draw(self, done: int, method: Method, data: Any) -> None:
        from course_lib.pictures.charts import training_picture

        was_training = method.training
        method.eval()
        shown = method.shown(data)
        method.train(was_training)
        loss, accuracy = self.loss[:done].cpu(), self.accuracy[:done].cpu()
        filters = conv1_filters(method.trunk).cpu()
        picture = training_picture(self.title, loss, accuracy, self.recipe.steps, filters, shown, self.pace(done))
        self.picture.show(picture)
