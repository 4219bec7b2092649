"""A training in the making: what a checkpoint has to hold, and the step from one state to the next."""

from __future__ import annotations

import time
import warnings
from dataclasses import asdict, dataclass
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn.parallel import DistributedDataParallel

from course_lib.networks.trunk import conv1_filters
from course_lib.pretext.method import Batch, Method, Recipe, make_optimiser, make_schedule
from course_lib.support import distributed
from course_lib.support.errors import CourseError
from course_lib.training.arithmetic import Arithmetic, arithmetic_of, autotuned
from course_lib.training.checkpoints import Checkpoints, State

FRAMES = 24
"""Pictures in the film of the first layer."""


@dataclass
class History:
    """What happened in a training.

    loss, accuracy: (steps,) float32, of the pretext task, on the batch of each step. film: (frames, channels, 3, k, k)
    the first layer's filters, BatchNorm folded in, at `film_steps` (frames,). seconds: wall time of the loop.
    precision: "float32" or "bfloat16". stopped: the step at which the user interrupted it, or None.
    """

    loss: Tensor
    accuracy: Tensor
    film: Tensor
    film_steps: Tensor
    seconds: float
    precision: str
    stopped: int | None = None


class Training:
    """A training in the making: everything that a checkpoint has to hold, and the step from one state to the next."""

    def __init__(self, method: Method, data: Any, recipe: Recipe, seed: int, compiled: bool) -> None:
        distributed.join()
        if recipe.batch % distributed.size():
            given = f"{distributed.size()} processes cannot share batches of {recipe.batch}"
            raise CourseError(f"{given} evenly; start a number that divides it")
        self.method, self.data, self.recipe, self.seed = method, data, recipe, seed
        self.device = next(method.parameters()).device
        self.arithmetic = arithmetic_of(self.device)
        self.arithmetic.prepare(method)
        self.parameters = list(method.parameters())
        self.optimiser = make_optimiser(self.parameters, recipe)
        self.schedule = make_schedule(self.optimiser, recipe)
        self.loss, self.accuracy = torch.full((2, recipe.steps), torch.nan, device=self.device).unbind()
        self.frames: list[Tensor] = []
        self.frame_steps: list[int] = []
        self.done, self.seconds = 0, 0.0
        self.parts = 1  # in which a batch is worked on; more where memory is short
        self._wanted = _film_steps(recipe.steps)
        self._loss = self._shared(compiled)

    @autotuned()
    def step(self) -> None:
        """One step of the optimiser."""
        start = time.perf_counter()
        if self.done in self._wanted:
            self._keep_frame()
        if self.done % self.recipe.round_steps == 0:
            self._begin_round(self.done // self.recipe.round_steps)
        index = self.method.draw(len(self.data), self.recipe.batch, self.seed, self.done)
        batch = Batch(index.to(self.device), self.seed, self.done, self.done * self.recipe.batch)
        loss, accuracy = self._backward(batch.part(*distributed.share(self.recipe.batch)))
        self.optimiser.step()
        self.schedule.step()
        self.loss[self.done], self.accuracy[self.done] = loss, accuracy
        self.done += 1
        self.seconds += time.perf_counter() - start

    def check(self, checkpoints: Checkpoints | None) -> None:
        """Go back to the last good checkpoint where a loss was infinite or not a number, and raise RuntimeError with
        the first such step and what to do. It waits for the device, so that it is called rarely."""
        bad = (~self.loss[: self.done].isfinite()).nonzero()
        if not len(bad):
            return
        back = checkpoints.load(self.restore) if checkpoints else False
        where = f"; the network is back at step {self.done}, its last checkpoint" if back else ""
        self.method.eval()
        rate = self.recipe.learning_rate
        raise RuntimeError(f"the loss was no number at step {int(bad[0])}; lower the learning rate, now {rate}{where}")

    def state(self) -> State:
        """Everything that the next step depends on, and what happened so far."""
        tensors = {f"method.{key}": value for key, value in self.method.state_dict().items()}
        for i, parameter in enumerate(self.parameters):
            for key, value in self.optimiser.state.get(parameter, {}).items():
                tensors[f"optimiser.{i}.{key}"] = value
        tensors["series.loss"], tensors["series.accuracy"] = self.loss[: self.done], self.accuracy[: self.done]
        if self.frames:
            tensors["film"] = torch.stack(self.frames)
        tensors["random.cpu"] = torch.get_rng_state()
        if self.device.type == "cuda":
            tensors["random.cuda"] = torch.cuda.get_rng_state(self.device)
        words = {"done": self.done, "seconds": self.seconds, "parts": self.parts, "film_steps": self.frame_steps}
        return State(tensors, words | {"arithmetic": asdict(self.arithmetic)})

    def restore(self, state: State) -> None:
        """Become the training that `state` was taken of. Raises ValueError where it does not fit, and changes nothing
        then."""
        weights, done = state.part("method"), state.words["done"]
        own = self.method.state_dict()
        if {k: v.shape for k, v in weights.items()} != {k: v.shape for k, v in own.items()}:
            raise ValueError("its weights are those of another network")
        if not 0 <= done <= self.recipe.steps or state.tensors["series.loss"].shape != (done,):
            raise ValueError("its length is not that of this training")
        self.method.load_state_dict(weights)
        self.arithmetic = Arithmetic(**state.words["arithmetic"])  # as it began: another would end elsewhere
        self.arithmetic.prepare(self.method)
        self._restore_optimiser(state)
        self.schedule = make_schedule(self.optimiser, self.recipe, done)
        self.loss.fill_(torch.nan)[:done] = state.tensors["series.loss"].to(self.device)
        self.accuracy.fill_(torch.nan)[:done] = state.tensors["series.accuracy"].to(self.device)
        self.frames, self.frame_steps = list(state.tensors.get("film", ())), list(state.words["film_steps"])
        self.done, self.seconds, self.parts = done, state.words["seconds"], state.words["parts"]
        torch.set_rng_state(state.tensors["random.cpu"])
        if self.device.type == "cuda" and "random.cuda" in state.tensors:
            torch.cuda.set_rng_state(state.tensors["random.cuda"], self.device)

    def history(self, stopped: bool) -> History:
        """What happened so far."""
        self._keep_frame()
        for series in (self.loss, self.accuracy):
            distributed.all_sum(series).div_(distributed.size())
        return History(
            self.loss[: self.done].cpu(),
            self.accuracy[: self.done].cpu(),
            torch.stack(self.frames),
            torch.tensor(self.frame_steps),
            self.seconds,
            self.arithmetic.precision,
            self.done if stopped else None,
        )

    def _shared(self, compiled: bool) -> nn.Module:
        """The loss as a module; where several processes train, their gradients are averaged by its backward pass."""
        if distributed.size() > 1:
            distributed.sync_batchnorm(self.method)
        if compiled:
            for child in self.method.children():
                child.compile()
        loss = _Loss(self.method)
        if distributed.size() == 1:
            return loss
        with warnings.catch_warnings():  # newer versions of torch have another name for it
            warnings.simplefilter("ignore", FutureWarning)
            return DistributedDataParallel(loss, broadcast_buffers=False)  # all processes have the same ones

    def _begin_round(self, number: int) -> None:
        self.method.eval()
        with self.arithmetic.autocast(self.device):
            drawn_again = self.method.begin_round(self.data, self.seed, number)
        self.method.train()
        for parameter in drawn_again:
            for value in self.optimiser.state.get(parameter, {}).values():
                value.zero_()

    def _backward(self, batch: Batch) -> tuple[Tensor, Tensor]:
        """Gradients of a batch, and its loss and accuracy; once more in smaller parts where memory ran out."""
        while True:
            try:
                return self._backward_in_parts(batch)
            except (RuntimeError, MemoryError) as error:
                short = isinstance(error, MemoryError | torch.cuda.OutOfMemoryError) or "can't allocate" in str(error)
                if not short or distributed.size() > 1:
                    raise
            self._take_halves(len(batch.index))  # here, where what the failed attempt held has been let go

    def _take_halves(self, count: int) -> None:
        """Work on half of the examples at a time from now on. Raises CourseError where that was tried already."""
        if self.parts > 1:
            raise CourseError(
                f"memory ran out, even at {count // self.parts} examples at a time; take a smaller profile, "
                "or shut other kernels down"
            )
        self.parts = 2
        if self.device.type == "cuda":
            torch.cuda.empty_cache()
        print(f"Memory ran out at step {self.done}: going on with {count // 2} examples at a time, two times a step.")

    def _backward_in_parts(self, batch: Batch) -> tuple[Tensor, Tensor]:
        self.optimiser.zero_grad(set_to_none=True)
        n, sums = len(batch.index), torch.zeros(2, device=self.device)
        edges = [n * i // self.parts for i in range(self.parts + 1)]
        for start, stop in zip(edges, edges[1:]):
            with self.arithmetic.autocast(self.device):
                loss, accuracy = self._loss(self.data, batch.part(start, stop))
            weight = (stop - start) / n
            (loss * weight).backward()
            sums += torch.stack([loss.detach(), accuracy]) * weight
        return sums[0], sums[1]

    def _restore_optimiser(self, state: State) -> None:
        self.optimiser.state.clear()
        for name, value in state.part("optimiser").items():
            i, key = name.split(".")
            parameter = self.parameters[int(i)]
            like = parameter if value.shape == parameter.shape else torch.empty_like(value, device=self.device)
            kept = torch.empty_like(like, dtype=value.dtype).copy_(value)  # in memory as the step expects it
            self.optimiser.state[parameter][key] = kept

    def _keep_frame(self) -> None:
        if self.done not in self.frame_steps:
            self.frames.append(conv1_filters(self.method.trunk).cpu())
            self.frame_steps.append(self.done)


class _Loss(nn.Module):
    """A method's loss as a forward pass, which is what several processes can share."""

    def __init__(self, method: Method) -> None:
        super().__init__()
        self.method = method

    def forward(self, data: Any, batch: Batch) -> tuple[Tensor, Tensor]:
        return self.method.loss(data, batch)


def _film_steps(steps: int) -> list[int]:
    """At most FRAMES steps, denser at the start, where the filters change most."""
    return sorted({int(steps * (i / FRAMES) ** 2) for i in range(FRAMES)})
