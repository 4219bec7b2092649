"""Linear probes beside their peers: the same frozen network, pictures and pooled features, judged by test accuracy.

Every call begins with pictures and ends with accuracies, features included. Ours does five layers a call; scikit-learn
and lightly do one, `conv5`, since neither has a way to do five at once. So rates are layers a second.
"""

from __future__ import annotations

import logging
import warnings
from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import Tensor, nn

from course_lib.bench.report import Peer, Report, compare
from course_lib.data.datasets import LabelledImages, to_float
from course_lib.data.loading import load_labelled
from course_lib.networks.alexnet import AlexNet
from course_lib.probes.classifier import DECAYS, STEPS, standardise
from course_lib.probes.features import pool_layers, pooled_features
from course_lib.probes.probe import probe
from course_lib.probes.result import ProbeResult
from course_lib.probes.streaming import EPOCHS, probe_streaming
from course_lib.profiles import PROFILES, Profile

LAYER = "conv5"
"""The one that peers probe."""

LIGHTLY_EPOCHS, _BATCH = 90, 256
"""As in lightly's own benchmark scripts."""


@dataclass(frozen=True)
class Size:
    """How much of the work is done: pictures to train and to test with, and passes of the ways that make many. Where
    they are fewer than their protocol has, the rate is that of the whole protocol, and the row says so."""

    train: int
    test: int
    passes: int


SIZES = {"cpu": Size(1_000, 1_000, 2), "cuda": Size(50_000, 10_000, LIGHTLY_EPOCHS)}


def bench_probes(device: torch.device, data: str = "photos10", size: Size | None = None) -> Report:
    """Layers a second; quality is the accuracy on test pictures, ours as the mean of five layers and `conv5` alone.

    data: as a notebook's DATA. size: another than the device's own. On a GPU at `standard`, on a CPU at `quick`.
    """
    size, profile = size or SIZES[device.type], PROFILES["standard" if device.type == "cuda" else "quick"]
    pictures = load_labelled(data, profile.side).take(size.train, size.test).to(device)
    torch.manual_seed(0)
    peers = probe_peers(profile.trunk().to(device).eval(), pictures, profile, size)
    return compare(peers, device, profile.side, unit="layers/s", turns=1, calls=1, warm_up=0)


def probe_peers(trunk: AlexNet, data: LabelledImages, profile: Profile, size: Size) -> list[Peer]:
    """Every way of probing, with the accuracy that its last call found as its quality, in percent."""
    numbers, found = profile.numbers, {}

    def peer(who: str, what: str, layers: float, run: Callable[[], float]) -> Peer:
        def call() -> None:
            found[who] = 100 * run()

        return Peer(who, what, layers, lambda: call, lambda: found[who])

    def mean(way: Callable[..., list[ProbeResult]], **more: object) -> float:
        results = way(trunk, data, numbers=numbers, **more)
        return sum(result.accuracy for result in results) / len(results)

    passes, theirs = min(size.passes, EPOCHS), min(size.passes, LIGHTLY_EPOCHS)
    return [
        peer("ours", "L-BFGS on kept features, mean of 5 layers", 5, lambda: mean(probe)),
        peer("ours, conv5 alone", "the same", 1, lambda: probe(trunk, data, [LAYER], numbers)[0].accuracy),
        peer(
            "ours, in a stream",
            f"SGD, mean of 5 layers{_scaled(passes, EPOCHS)}",
            5 * passes / EPOCHS,
            lambda: mean(probe_streaming, views="whole", epochs=passes),
        ),
        peer("scikit-learn", "LogisticRegression, conv5", 1, lambda: _sklearn(trunk, data, numbers)),
        peer(
            "lightly",
            f"LinearClassifier, conv5{_scaled(theirs, LIGHTLY_EPOCHS)}",
            theirs / LIGHTLY_EPOCHS,
            lambda: _lightly(trunk, data, numbers, theirs),
        ),
    ]


def _scaled(passes: int, whole: int) -> str:
    return f", {whole} passes" if passes == whole else f"; {passes} passes run, the rate is that of {whole}"


def _sklearn(trunk: AlexNet, data: LabelledImages, numbers: int) -> float:
    """On the same features, standardised alike, with the middle one of our decays."""
    from sklearn.linear_model import LogisticRegression

    parts = (
        pooled_features(trunk, images, [LAYER], numbers)[LAYER] for images in (data.train_images, data.test_images)
    )
    train, test = (x.cpu().numpy() for x in standardise(*parts))
    model = LogisticRegression(C=1 / (DECAYS[1] * len(train)), max_iter=STEPS)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # that it has not converged: ours may not have either
        model.fit(train, data.train_labels.cpu().numpy())
    return float(model.score(test, data.test_labels.cpu().numpy()))


class _Pooled(nn.Module):
    """One layer's pooled features as a network, as lightly takes it."""

    def __init__(self, trunk: AlexNet, numbers: int) -> None:
        super().__init__()
        self.trunk, self.numbers = trunk, numbers

    def forward(self, images: Tensor) -> Tensor:
        return pool_layers(self.trunk, images, [LAYER], self.numbers, "max")[LAYER]


def _lightly(trunk: AlexNet, data: LabelledImages, numbers: int, passes: int) -> float:
    """lightly's linear evaluation: the trunk runs over all pictures in every pass. Without augmentation, as ours."""
    from lightly.utils.benchmarking import LinearClassifier
    from pytorch_lightning import Trainer
    from torch.utils.data import DataLoader, TensorDataset

    logging.getLogger("pytorch_lightning").setLevel(logging.ERROR)
    model = _Pooled(trunk, numbers)
    width = model(to_float(data.train_images[:2])).shape[1]
    classifier = LinearClassifier(model, _BATCH, feature_dim=width, num_classes=len(data.classes), topk=(1,))
    pictures = TensorDataset(to_float(data.train_images), data.train_labels)
    quiet = {
        "logger": False,
        "enable_checkpointing": False,
        "enable_progress_bar": False,
        "enable_model_summary": False,
    }
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        trainer = Trainer(max_epochs=passes, accelerator=data.device.type, devices=1, **quiet)
        trainer.fit(classifier, DataLoader(pictures, _BATCH, shuffle=True))
    classifier.to(data.device).eval()
    with torch.inference_mode():
        right = [classifier(to_float(some)).argmax(1) for some in data.test_images.split(_BATCH)]
    return (torch.cat(right) == data.test_labels).float().mean().item()
