"""Linear probes beside their peer: the same frozen network, pictures and pooled features, judged by test accuracy.

Every call begins with pictures and ends with accuracies, features included. Ours does five layers a call; scikit-learn
does one, `conv5`, since it has no way to do five at once. So rates are layers a second.
"""

from __future__ import annotations

import warnings
from collections.abc import Callable

import torch

from course_lib.bench.report import Peer, Report, compare
from course_lib.data.datasets import LabelledImages
from course_lib.data.loading import load_labelled
from course_lib.networks.alexnet import AlexNet
from course_lib.probes.classifier import DECAYS, STEPS, ProbeResult, standardise
from course_lib.probes.features import pooled_features
from course_lib.probes.probe import probe
from course_lib.probes.streaming import EPOCHS, probe_streaming
from course_lib.profiles import PROFILES, Profile

LAYER = "conv5"
"""The one that scikit-learn probes."""

SIZES = {"cpu": (1_000, 1_000, 2), "cuda": (50_000, 10_000, EPOCHS)}
"""Training and test pictures, and passes of the streaming probe. Where these are fewer than its protocol has, the rate
is that of the whole protocol, and the row says so."""


def bench_probes(device: torch.device, data: str, train: int | None, test: int | None, passes: int | None) -> Report:
    """Layers a second; quality is the test accuracy, of ours the mean over five layers and that of `conv5` alone.

    data: as a notebook's DATA. train, test, passes: others than SIZES has. On a GPU at `standard`, on a CPU at `quick`.
    """
    usual, profile = SIZES[device.type], PROFILES["standard" if device.type == "cuda" else "quick"]
    pictures = load_labelled(data, profile.side).take(train or usual[0], test or usual[1]).to(device)
    torch.manual_seed(0)
    peers = probe_peers(profile.trunk().to(device).eval(), pictures, profile, min(passes or usual[2], EPOCHS))
    return compare(peers, device, profile.side, unit="layers/s", slow=1)


def probe_peers(trunk: AlexNet, data: LabelledImages, profile: Profile, passes: int) -> list[Peer]:
    """Every way of probing, with the accuracy that its last call found as its quality, in percent."""
    numbers, found = profile.numbers, {}

    def peer(who: str, what: str, layers: float, run: Callable[[], float]) -> Peer:
        def call() -> None:
            found[who] = 100 * run()

        return Peer(who, what, layers, lambda: call, lambda: found[who])

    def mean(way: Callable[..., list[ProbeResult]], **more: object) -> float:
        results = way(trunk, data, numbers=numbers, **more)
        return sum(result.accuracy for result in results) / len(results)

    def streamed() -> float:
        return mean(probe_streaming, views="whole", epochs=passes)

    scaled = f", {EPOCHS} passes" if passes == EPOCHS else f"; {passes} passes run, the rate is that of {EPOCHS}"
    return [
        peer("ours", "L-BFGS on kept features, mean of 5 layers", 5, lambda: mean(probe)),
        peer("ours, conv5 alone", "the same", 1, lambda: mean(probe, layers=[LAYER])),
        peer("ours, in a stream", f"SGD, mean of 5 layers{scaled}", 5 * passes / EPOCHS, streamed),
        peer("scikit-learn", "LogisticRegression, conv5", 1, lambda: _sklearn(trunk, data, numbers)),
    ]


def _sklearn(trunk: AlexNet, data: LabelledImages, numbers: int) -> float:
    """On the same features, standardised alike, with the middle one of our decays."""
    from sklearn.linear_model import LogisticRegression

    pictures = data.train_images, data.test_images
    features = (pooled_features(trunk, images, [LAYER], numbers)[LAYER] for images in pictures)
    train, test = (x.cpu().numpy() for x in standardise(*features))
    model = LogisticRegression(C=1 / (DECAYS[1] * len(train)), max_iter=STEPS)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # that it has not converged: ours may not have either
        model.fit(train, data.train_labels.cpu().numpy())
    return float(model.score(test, data.test_labels.cpu().numpy()))
