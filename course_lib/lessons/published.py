"""Numbers that others published, to stand beside ours and never among them. Taught in notebook 08."""

from __future__ import annotations

from typing import Any

from course_lib.networks.alexnet import LAYERS

SOURCE = "Zhang, Isola and Efros, Split-brain autoencoders, CVPR 2017, table 2"

_IMAGENET = {
    "supervised": (1_281_167, (19.3, 36.3, 44.2, 48.3, 50.5)),
    "random": (0, (11.6, 17.1, 16.9, 16.3, 14.1)),
    "k-means": (None, (17.5, 23.0, 24.5, 23.2, 20.6)),  # how many images it was given, that table does not say
    "bigan": (1_281_167, (17.7, 24.5, 31.0, 29.9, 28.0)),
}


def imagenet_rows() -> list[dict[str, Any]]:
    """Linear probes of AlexNet on ImageNet, 1,000 classes, top-1: `{method, n, data, layer, accuracy}`, shares of 1.

    The four rows of Asano et al.'s first table that they took from `SOURCE`, and that we could check there: training
    with labels, random filters, k-means (Krähenbühl et al. 2016) and BiGAN on all images (Donahue et al. 2017).
    """
    return [
        {"method": method, "n": n, "data": "ImageNet", "layer": layer, "accuracy": accuracy / 100}
        for method, (n, accuracies) in _IMAGENET.items()
        for layer, accuracy in zip(LAYERS, accuracies)
    ]
