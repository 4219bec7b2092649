"""Frozen layers: conv1 to conv_k stay as something has trained them, and the layers above are retrained with labels.

A probe asks what a linear classifier reads from a layer; this asks what a whole network can make of it. Asano et al.
2020 do so with conv1 and conv2 from one image, and with a scattering transform in their place. Taught in notebook 07.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable
from dataclasses import asdict, replace
from functools import partial
from pathlib import Path
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor

from course_lib.data.datasets import LabelledImages
from course_lib.networks.alexnet import LAYERS, AlexNet, head
from course_lib.networks.trunk import forget_statistics
from course_lib.pretext.method import Batch, Method, Recipe
from course_lib.probes.classifier import ProbeResult
from course_lib.probes.frozen import FrozenMaps, begin_above, freeze, frozen_maps, run_layers
from course_lib.profiles import Course
from course_lib.support import distributed
from course_lib.support.errors import CourseError
from course_lib.support.files import hash_of_spine, runs_folder
from course_lib.support.machine import release_memory
from course_lib.training.checkpoints import Checkpoints
from course_lib.training.loop import fit
from course_lib.training.trained import describe_labelled, hash_of, hash_weights

PICTURES = {"quick": (400, 600), "standard": (50_000, 10_000), "paper": (1_281_167, 50_000)}
"""Labelled pictures to retrain with, and to test with, at each profile: few at `quick`, which trains twenty times."""

_BATCH = 100
_SETTLE = 2_000  # pictures


class Retrained(Method):
    """A network above frozen layers, and a head that names the class.

    trunk: conv1 to conv_k of it, k = `depth`, stay as they are; the rest is trained.
    """

    # Short ones, since a curve takes twenty of them. At `paper` a third of what supervised training has.
    RECIPES = {
        "quick": Recipe(steps=25, batch=40, learning_rate=0.02),
        "standard": Recipe(steps=1_000, batch=1_024, learning_rate=0.1),
        "paper": Recipe(steps=150_000, batch=256, learning_rate=0.01, schedule="three drops"),
    }

    def __init__(self, trunk: AlexNet, depth: int, classes: int, hidden: int) -> None:
        super().__init__()
        self.trunk, self.depth = trunk, depth
        self.head = head(trunk.out_features, classes, hidden)
        freeze(trunk, depth)

    def train(self, mode: bool = True) -> Retrained:
        """As any module's, except that frozen layers stay in evaluation mode: their BatchNorm learns no statistics."""
        super().train(mode)
        freeze(self.trunk, self.depth)
        return self

    def forward(self, maps: Tensor) -> Tensor:
        """Logits (n, classes) for what the frozen layers answer, as `run_layers` gives it."""
        return self.head(run_layers(self.trunk, maps, self.depth, len(LAYERS)).flatten(1))

    def loss(self, data: FrozenMaps, batch: Batch) -> tuple[Tensor, Tensor]:
        """Cross-entropy of the labels, and the accuracy; each picture is mirrored half of the time."""
        labels = data.labels[batch.index]
        logits = self(data.read(batch.index, batch.uniform(1)[:, 0] < 0))
        return F.cross_entropy(logits, labels), (logits.argmax(1) == labels).float().mean()


def retrain(
    name: str, trunk: AlexNet, depth: int, data: LabelledImages, course: Course, tuned: bool = False, steps: int = 0
) -> ProbeResult:
    """Train the layers above conv_k, k = `depth`, with labels, and test once, at the end.

    name: of the network, for what is printed. depth: 0 to 5; at 0 nothing of `trunk` is left. tuned: begin with conv1
    to conv_k all the same, but freeze nothing. steps: 0 takes the recipe's. The result's layer is the deepest that was
    taken over. It is kept, and given back when the same is asked for again.
    Raises CourseError for another depth, and KeyboardInterrupt where it was stopped by hand; it then goes on from there
    when it is asked for again.
    """
    if not 0 <= depth <= len(LAYERS):
        raise CourseError(f"the depth must be from 0, nothing frozen, to {len(LAYERS)}, all layers; got {depth}")
    data = data.to(course.device)
    new, frozen = begin_above(trunk, depth, course), 0 if tuned else depth
    method = Retrained(new, frozen, len(data.classes), course.profile.hidden).to(course.device)
    facts = {"tuned": tuned, "taken": [hash_weights(getattr(new, layer)) for layer in LAYERS[:depth]]}
    maps = partial(frozen_maps, new, frozen)
    return train_above(f"{name}, {describe_depth(depth, tuned)}", depth, method, maps, data, course, steps, facts)


def train_above(
    title: str,
    depth: int,
    method: Retrained,
    maps: Callable[..., FrozenMaps],
    data: LabelledImages,
    course: Course,
    steps: int,
    facts: dict[str, Any],
) -> ProbeResult:
    """Train a method on the maps of the training pictures and test it, or read what came of it before."""
    recipe = Retrained.RECIPES[course.profile.name]
    recipe = replace(recipe, steps=steps or recipe.steps)
    same = {"profile": asdict(course.profile), "seed": course.seed, "recipe": asdict(recipe), "depth": depth}
    name = hash_of(facts | same | {"code": hash_of_spine("probes"), "data": _describe(data)})
    path = runs_folder("retrained") / f"{name}.json"
    if (known := _read(path)) is None:
        distributed.join()
        checkpoints = Checkpoints(runs_folder("checkpoints") / f"retrained-{name}.safetensors", name)
        train = maps(data.train_images, data.train_labels)
        history = fit(method, train, recipe, course.seed, title, checkpoints, shown=False)
        if history.stopped is not None:
            raise KeyboardInterrupt(f"{title}: stopped at step {history.stopped}")
        settle(method, train)
        train_accuracy = accuracy_of(method, train)
        del train  # large
        test = maps(data.test_images, data.test_labels, copies=1)
        layer = LAYERS[depth - 1] if depth else "none"
        known = ProbeResult(layer, accuracy_of(method, test), train_accuracy, recipe.weight_decay, len(test))
        checkpoints.finish(path, json.dumps(asdict(known)))
        release_memory()
    print(f"{title}: {known.accuracy:.1%} right")
    return known


@torch.no_grad()
def settle(method: Retrained, maps: FrozenMaps) -> None:
    """Measure the means and spreads of BatchNorm in the trained layers again, for the weights as they ended.

    The running ones begin at 0 and 1 and lag behind. After a short training above layers that answer softly, that alone
    took the accuracy down to guessing.
    """
    method.train()
    forget_statistics(method)
    for index in torch.arange(min(_SETTLE, len(maps)), device=maps.labels.device).split(_BATCH):
        if len(index) > 1:  # one picture has no spread
            method(maps.read(index, torch.zeros_like(index, dtype=torch.bool)))
    method.eval()


@torch.inference_mode()
def accuracy_of(method: Retrained, maps: FrozenMaps) -> float:
    """The accuracy on these pictures, none of them mirrored."""
    method.eval()
    right = 0
    for index in torch.arange(len(maps), device=maps.labels.device).split(_BATCH):
        answers = method(maps.read(index, torch.zeros_like(index, dtype=torch.bool))).argmax(1)
        right += int((answers == maps.labels[index]).sum())
    return right / len(maps)


def _read(path: Path) -> ProbeResult | None:
    try:
        return ProbeResult(**json.loads(path.read_text(encoding="utf-8")))
    except (OSError, ValueError, TypeError):  # not there yet, or not whole
        return None


def _describe(data: LabelledImages) -> dict[str, str]:
    test = data.test_images.cpu().numpy().tobytes() + data.test_labels.cpu().numpy().tobytes()
    return describe_labelled(data) | {"test": hashlib.sha256(test).hexdigest()}


def describe_depth(depth: int, tuned: bool = False) -> str:
    """What was done at a depth, in words: `conv1 to conv2 frozen`, `fine-tuned from conv2`."""
    if not depth:
        return "nothing frozen"
    if tuned:
        return f"fine-tuned from conv{depth}"
    return "conv1 frozen" if depth == 1 else f"conv1 to conv{depth} frozen"
