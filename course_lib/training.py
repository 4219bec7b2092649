"""The one training loop, for every method. Taught in notebook 02."""

from __future__ import annotations

import time
from contextlib import AbstractContextManager
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from course_lib.machine import has_bfloat16, release_memory
from course_lib.networks import conv1_filters
from course_lib.progress import Progress

FRAMES = 24
"""Pictures in the film of the first layer."""


@dataclass
class History:
    """What happened in a training.

    loss, accuracy: (steps,) float32, of the pretext task, on the batch of each step. film: (frames, channels, 3, k, k)
    the first layer's filters, BatchNorm folded in, at `film_steps` (frames,). seconds: wall time of the loop.
    precision: "float32" or "bfloat16". stopped: the step at which the user interrupted it, or None.
    """

    loss: Tensor = field(default_factory=lambda: torch.empty(0))
    accuracy: Tensor = field(default_factory=lambda: torch.empty(0))
    film: Tensor = field(default_factory=lambda: torch.empty(0))
    film_steps: Tensor = field(default_factory=lambda: torch.empty(0, dtype=torch.int64))
    seconds: float = 0.0
    precision: str = "float32"
    stopped: int | None = None


def fit(
    method: nn.Module,
    data: Any,
    steps: int,
    batch: int,
    learning_rate: float,
    weight_decay: float = 5e-4,
    seed: int = 0,
    title: str = "training",
) -> History:
    """Train `method` in place on `data` for `steps` batches of `batch` examples drawn at random.

    SGD with Nesterov momentum 0.9 (as RotNet and AlexNet); the rate rises over the first fifth to `learning_rate` and
    falls to nothing (one cycle, Smith and Topin 2018). Step i's examples depend on (seed, i) alone. The device is
    the method's own. An interrupt (the stop button, or Ctrl-C) ends the loop early and leaves a network that can be
    used. Raises ValueError for steps or batch below 1, and RuntimeError when the loss is no longer a number.
    """
    if steps < 1 or batch < 1:
        raise ValueError(f"steps and batch must be at least 1, got {steps} and {batch}")
    device = next(method.parameters()).device
    precision = _prepare(method, device)
    optimiser = torch.optim.SGD(
        method.parameters(), learning_rate, momentum=0.9, nesterov=True, weight_decay=weight_decay
    )
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimiser, learning_rate, total_steps=max(steps, 6), pct_start=0.2)
    history = History(precision=str(precision).removeprefix("torch."))
    losses, accuracies = torch.full((2, steps), torch.nan, device=device).unbind()
    frames, frame_steps = [], _film_steps(steps)
    progress = Progress(title, steps, losses, accuracies)
    method.train()
    done, start = 0, time.perf_counter()
    try:
        for step in range(steps):
            if step in frame_steps:
                frames.append(conv1_filters(method.trunk).cpu())
            with _autocast(device, precision):
                loss, accuracy = method.loss(data, draw(len(data), batch, seed, step).to(device))
            optimiser.zero_grad(set_to_none=True)
            loss.backward()
            optimiser.step()
            schedule.step()
            losses[step], accuracies[step] = loss.detach(), accuracy
            done = step + 1
            progress.update(done, method)
    except KeyboardInterrupt:
        history.stopped = done
    history.seconds = time.perf_counter() - start
    frames.append(conv1_filters(method.trunk).cpu())
    history.film, history.film_steps = torch.stack(frames), torch.tensor(frame_steps[: len(frames) - 1] + [done])
    history.loss, history.accuracy = losses[:done].cpu(), accuracies[:done].cpu()
    method.eval()
    release_memory()
    progress.close(done, method, history.seconds, interrupted=history.stopped is not None)
    if not history.loss.isfinite().all():
        first = int((~history.loss.isfinite()).nonzero()[0])
        raise RuntimeError(f"the loss was no number at step {first}; lower the learning rate, now {learning_rate}")
    return history


def draw(total: int, batch: int, seed: int, step: int) -> Tensor:
    """The indices (batch,) of step `step`: with replacement, a pure function of (seed, step)."""
    return torch.from_numpy(np.random.default_rng((seed, step)).integers(total, size=batch))


def _film_steps(steps: int) -> list[int]:
    """At most FRAMES steps, denser at the start, where the filters change most."""
    return sorted({int(steps * (i / FRAMES) ** 2) for i in range(FRAMES)})


def _autocast(device: torch.device, precision: torch.dtype) -> AbstractContextManager[None]:
    return torch.autocast(device.type, dtype=torch.bfloat16, enabled=precision == torch.bfloat16)


def _prepare(method: nn.Module, device: torch.device) -> torch.dtype:
    """Set the memory format, and choose the precision: bfloat16 on a GPU, and on a CPU that multiplies it in hardware.

    A property of the chip, not a race of two timings: the same seed has to give the same network.
    """
    torch.backends.cudnn.benchmark = True
    method.to(memory_format=torch.channels_last)
    return torch.bfloat16 if device.type == "cuda" or has_bfloat16() else torch.float32
