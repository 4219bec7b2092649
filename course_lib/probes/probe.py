"""Linear probes: how much of a label can be read, linearly, from each layer of a frozen network?

Zhang, Isola and Efros 2016 ask it of conv1 to conv5; Asano et al. 2020, section 4.1, of networks trained on one image.
Taught in notebook 06.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch

from course_lib.data.datasets import LabelledImages
from course_lib.networks.alexnet import SMALL_SIDE
from course_lib.networks.trunk import Trunk, frozen
from course_lib.probes.classifier import DECAYS, ProbeResult, fit_probe
from course_lib.probes.features import NUMBERS, need_every_class, pool_layers, pooled_features
from course_lib.probes.streaming import probe_streaming
from course_lib.support.machine import memory_left, release_memory

_COPIES = 3  # of a layer's features in float32 that a fit holds beside them: a part of them, and that twice transformed


def probe(
    trunk: Trunk,
    data: LabelledImages,
    layers: Sequence[str] | None = None,
    numbers: int = NUMBERS,
    pooling: str = "max",
) -> list[ProbeResult]:
    """One probe a layer, all from a single pass of the frozen trunk over the data.

    layers: by name; None takes all that the trunk has. pooling: "max" or "average", a key of POOLINGS. Where memory
    cannot hold the features, the probes are trained in a stream (`streaming.probe_streaming`), and a line says so.
    Raises CourseError for a layer or a pooling that there is not, and where a class has no training pictures.
    """
    device = next(trunk.parameters()).device
    data, layers = data.to(device), trunk.named(layers)
    need_every_class(data)
    need, left = memory_needed(trunk, data, layers, numbers, pooling), memory_left(device)
    if need > left:
        gigabytes = f"{need / 1e9:,.1f} GB, and {max(left, 0) / 1e9:,.1f} are free"
        print(f"The features of {data.name} would take {gigabytes}: the probes are trained by SGD in a stream instead.")
        views = "published" if data.side > SMALL_SIDE else "whole"
        return probe_streaming(trunk, data, layers, numbers, pooling, views)
    train = pooled_features(trunk, data.train_images, layers, numbers, pooling)
    test = pooled_features(trunk, data.test_images, layers, numbers, pooling)
    release_memory()
    results = []
    for layer in layers:  # each layer's features are let go when its probe is done
        found = fit_probe(layer, train.pop(layer), data.train_labels, test.pop(layer), data.test_labels, DECAYS)
        results.append(found)
    release_memory()
    return results


def memory_needed(trunk: Trunk, data: LabelledImages, layers: Sequence[str], numbers: int, pooling: str) -> int:
    """Bytes that `probe` takes at its height: all layers' features in float16, the widest ones in float32 as often as a
    fit holds them, and its matrices of (f, f)."""
    with frozen(trunk), torch.no_grad():
        one = pool_layers(trunk, torch.zeros(1, 3, data.side, data.side, device=data.device), layers, numbers, pooling)
    widths = [x.shape[1] for x in one.values()]
    train, both = len(data), len(data) + len(data.test_images)
    return 2 * both * sum(widths) + 4 * max(widths) * (both + _COPIES * train + 3 * max(widths))
