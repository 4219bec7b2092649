"""The one training loop, for every method, on one device or several. Taught in notebook 02."""

from __future__ import annotations

import contextlib
import signal
import threading
import time
from collections.abc import Iterator
from typing import Any

from course_lib.pretext.method import Method
from course_lib.pretext.recipes import Recipe
from course_lib.support import distributed
from course_lib.support.machine import release_memory
from course_lib.training.checkpoints import Checkpoints
from course_lib.training.progress import Progress
from course_lib.training.steps import History, NoNumber, Training


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
            training.say(f"{title}: going on from step {training.done} of {recipe.steps}")
        else:
            checkpoints.save(training.state())
    seen = shown and not distributed.rank()
    progress = Progress(title, recipe, training.loss, training.accuracy, training.done, seen)
    method.train()
    stopped = False
    with _stop_between_steps() as asked:
        try:
            while training.done < recipe.steps and not asked.is_set():
                training.step()
                if progress.update(training.done, method, data):
                    training.check()
                if checkpoints and time.monotonic() > checkpoints.due:
                    training.check()
                    checkpoints.save(training.state())
            training.check()
            if checkpoints:
                checkpoints.save(training.state())
        except KeyboardInterrupt:  # a second one, or from within: the step is lost, the checkpoint before it is not
            if distributed.size() > 1:  # the others may be in another step: all end here, and begin again together
                raise
            stopped = True
        except NoNumber as error:
            training.give_up(error, checkpoints)
    history = training.history(stopped or training.done < recipe.steps)
    method.eval()
    release_memory()
    progress.close(training.done, method, data, history.seconds, history.stopped is not None, checkpoints is not None)
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
