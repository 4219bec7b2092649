"""Small trainings that several tests share, and that other processes can import."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from unittest.mock import patch

import torch
from safetensors.torch import save_file

from course_lib.data.datasets import CropDataset
from course_lib.data.sources import Source, generate
from course_lib.networks.alexnet import AlexNet
from course_lib.pretext.bigan import BiGAN
from course_lib.pretext.deepcluster import DeepCluster
from course_lib.pretext.jigsaw import Jigsaw
from course_lib.pretext.method import Method, Recipe
from course_lib.pretext.pirl import PIRL
from course_lib.pretext.rotnet import RotNet
from course_lib.support import distributed
from course_lib.training import checkpoints, steps
from course_lib.training.arithmetic import Arithmetic
from course_lib.training.checkpoints import Checkpoints
from course_lib.training.loop import fit
from course_lib.training.steps import History

STEPS = 12
RECIPES = {
    "rotnet": Recipe(STEPS, 8, 0.02),
    "deepcluster": Recipe(STEPS, 16, 0.02, schedule="constant", rounds=3),
    "bigan": Recipe(STEPS, 16, 1e-3, optimiser="adam", schedule="late decay"),
    "jigsaw": Recipe(STEPS, 8, 0.001),
    "pirl": Recipe(STEPS, 16, 0.0002, rounds=3),
}
ORDERS = torch.stack([torch.randperm(9, generator=torch.Generator().manual_seed(i)) for i in range(10)])


def crops(d: int = 200) -> CropDataset:
    """Crops of dead leaves, 32 pixels each."""
    return CropDataset(Source.from_images([generate("dead_leaves", 160, 120)], "leaves"), d=d, side=32)


def method(name: str, seed: int = 0) -> Method:
    """A method of the least size."""
    torch.manual_seed(seed)
    trunk = AlexNet(32, 0.1)
    if name == "deepcluster":
        return DeepCluster(trunk, groups=10, grouped=120, rounds=3, hidden=32)
    if name == "jigsaw":
        return Jigsaw(trunk, ORDERS, side=16, embedding=16, hidden=32)
    if name == "pirl":
        return PIRL(trunk, rows=40, negatives=20, side=16)
    return RotNet(trunk, 32) if name == "rotnet" else BiGAN(trunk, code=8, side=32, width=8)


def plain_arithmetic() -> None:
    """float32 for every training of this process, whatever the processor likes best."""
    steps.arithmetic_of = lambda *_: Arithmetic()


@contextmanager
def stopped_at(kind: type[Method], call: int) -> Iterator[None]:
    """A method that is stopped by hand when it draws for the `call`-th time; a checkpoint is saved after every step."""
    draw, calls = kind.draw, []

    def interrupted(self: Method, *rest: int) -> object:
        calls.append(rest)
        if len(calls) == call:
            raise KeyboardInterrupt
        return draw(self, *rest)

    with patch.multiple(checkpoints, EVERY=0.0, PATIENCE=0), patch.object(kind, "draw", interrupted):
        yield


def train(name: str, folder: Path | None = None, tell: Callable[[], object] = list) -> tuple[Method, History]:
    """A training with a checkpoint after every step, or without any; `tell` is called when all is prepared, and after
    each step, before its checkpoint is saved."""
    checkpoints.EVERY, checkpoints.PATIENCE = 0.0, 0
    one, data, step = method(name), crops(), steps.Training.step

    def told(training: steps.Training) -> None:
        step(training)
        tell()

    kept = Checkpoints(folder / f"{name}.safetensors", name) if folder else None
    tell()
    with patch.object(steps.Training, "step", told):
        return one, fit(one, data, RECIPES[name], title=name, checkpoints=kept)


def write(one: Method, history: History, path: Path) -> None:
    """The weights and the losses, to be compared."""
    tensors = {key: value.contiguous() for key, value in one.state_dict().items()}
    save_file(tensors | {"loss": history.loss}, path)


def main() -> None:
    """As several processes, or as one, started with: OUT METHOD METHOD ..."""
    torch.set_num_threads(1)
    plain_arithmetic()
    for name in sys.argv[2:]:
        one, history = train(name)
        if not distributed.rank():
            write(one, history, Path(sys.argv[1]) / f"{name}.safetensors")
    distributed.wait_for_all()


if __name__ == "__main__":
    main()
