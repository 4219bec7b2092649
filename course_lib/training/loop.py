"""The one training loop, for every method, on one device or several. Taught in notebook 02.

It shows itself by a picture that grows in a notebook, and by a plain line everywhere else.
"""

from __future__ import annotations

import contextlib
import signal
import threading
import time
from collections.abc import Iterator
from typing import Any

import torch

from course_lib.networks.trunk import conv1_filters, frozen
from course_lib.pictures.live import LEAST_PAUSE, LivePicture
from course_lib.pretext.method import Method, Recipe
from course_lib.support import distributed
from course_lib.support.machine import memory_used, release_memory
from course_lib.training.checkpoints import Checkpoints, say
from course_lib.training.steps import History, Training

_LARGEST_SHARE = 0.05  # of the time that drawing may take


def fit(
    method: Method,
    data: Any,
    recipe: Recipe,
    seed: int = 0,
    title: str = "training",
    checkpoints: Checkpoints | None = None,
    compiled: bool = False,
    shown: bool = True,
) -> History:
    """Train `method` in place on `data`, as `recipe` says. The device is the method's own.

    Step i's examples depend on (seed, i) alone. With `checkpoints` it goes on where an earlier call of the same
    training ended, to the same weights, bit for bit, that an unbroken one would have reached. An interrupt (the stop
    button, or Ctrl-C) ends the loop early and leaves a network that can be used. Where memory runs out, it is tried
    once with half of the examples at a time. compiled: let torch.compile work on the networks first, which takes up
    to a minute and pays in long trainings on a GPU. shown: whether it shows itself, by a picture and a line.
    Raises RuntimeError when the loss is no longer a number; the network is then back at its last good checkpoint.
    """
    release_memory()  # what was done before has freed some, and the loop is where most is needed
    training = Training(method, data, recipe, seed, compiled)
    if checkpoints:
        if checkpoints.load(training.restore):
            say(f"{title}: going on from step {training.done} of {recipe.steps}")
        else:
            checkpoints.save(training.state())
    progress = Progress(title, training, shown and not distributed.rank())
    method.train()
    stopped = False
    with _stop_between_steps() as asked:
        try:
            while training.done < recipe.steps and not asked.is_set():
                training.step()
                if progress.update():
                    training.check(checkpoints)
                if checkpoints and time.monotonic() > checkpoints.due:
                    training.check(checkpoints)
                    checkpoints.save(training.state())
            training.check(checkpoints)
            if checkpoints:
                checkpoints.save(training.state())
        except KeyboardInterrupt:  # a second one, or from within: the step is lost, the checkpoint before it is not
            if distributed.size() > 1:  # the others may be in another step: all end here, and begin again together
                raise
            stopped = True
    history = training.history(stopped or training.done < recipe.steps)
    method.eval()
    release_memory()
    progress.close(history.stopped is not None, checkpoints is not None)
    return history


@contextlib.contextmanager
def _stop_between_steps() -> Iterator[threading.Event]:
    """Lets the first interrupt wait for the end of a step, where the weights are whole; the second does not wait."""
    asked = threading.Event()
    if threading.current_thread() is not threading.main_thread() or distributed.size() > 1:
        yield asked
        return
    usual = signal.getsignal(signal.SIGINT)

    def stop(*_: Any) -> None:
        asked.set()
        signal.signal(signal.SIGINT, usual)

    signal.signal(signal.SIGINT, stop)
    try:
        yield asked
    finally:
        signal.signal(signal.SIGINT, usual)


class Progress:
    """Shows a training's loss and accuracy, the first layer's filters, and what the method can do by now.

    The tensors are read only when a picture is due, so that a GPU is never waited for in between. shown: whether this
    process is the one that speaks.
    """

    def __init__(self, title: str, training: Training, shown: bool) -> None:
        self.title, self.training, self.shown = title, training, shown
        self.picture = LivePicture()
        self.live = shown and self.picture.live
        self.begun, self.start = training.done, time.perf_counter()
        self.due = self.start + LEAST_PAUSE

    def update(self) -> bool:
        """Called after every step; draws at most four times a second, and less where drawing is slow.

        Returns whether it is time to look at what the device has done.
        """
        now = time.perf_counter()
        if now < self.due:
            return False
        if self.live:
            self._draw()
        cost = time.perf_counter() - now
        self.due = now + max(LEAST_PAUSE, cost / _LARGEST_SHARE)
        return True

    def close(self, stopped: bool, kept: bool) -> None:
        """The last picture, and one line that says what was done."""
        if self.live:
            self._draw()
        if not self.shown:
            return
        done, steps, seconds = self.training.done, self.training.recipe.steps, self.training.seconds
        accuracy = self.training.accuracy[max(0, done - 10) : done].mean().item() if done else float("nan")
        line = f"{self.title}: {done} of {steps} steps in {seconds:.0f} s, accuracy of the task {accuracy:.2f}"
        if stopped:
            line += "; stopped by hand, and the network can be used as it is"
            line += ". Run this cell again, and it goes on from here" if kept else ""
        print(line)

    def pace(self) -> str:
        """Crops a second, the time left, and the memory in use, in words."""
        recipe, done, seconds = self.training.recipe, self.training.done, time.perf_counter() - self.start
        steps = done - self.begun
        if not steps:
            return f"{memory_used() / 1e9:.1f} GB in use"
        left = round((recipe.steps - done) * seconds / steps)
        wait = f"{left // 60} min {left % 60} s" if left >= 60 else f"{left} s"
        rate = steps * recipe.batch / seconds
        return f"{rate:,.0f} crops a second, {wait} left, {memory_used() / 1e9:.1f} GB in use"

    @torch.no_grad()
    def _draw(self) -> None:
        from course_lib.pictures.charts import training_picture

        training, method = self.training, self.training.method
        with frozen(method):
            shown = method.shown(training.data)
        loss, accuracy = training.loss[: training.done].cpu(), training.accuracy[: training.done].cpu()
        filters = conv1_filters(method.trunk).cpu()
        picture = training_picture(self.title, loss, accuracy, training.recipe.steps, filters, shown, self.pace())
        self.picture.show(picture)
