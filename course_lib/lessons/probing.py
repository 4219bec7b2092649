"""A probe's preview: ridge regression in closed form, fast enough for a slider. Taught in notebook 06.

Least squares towards 1 for the right class and 0 for the others is not what a probe minimises, and few pictures are
used: its accuracy tells which of two layers is better, and is not the number to report.
"""

from __future__ import annotations

from collections.abc import Mapping

import ipywidgets as widgets
import torch
import torch.nn.functional as F
from torch import Tensor

from course_lib.data.datasets import LabelledImages
from course_lib.networks.alexnet import LAYERS
from course_lib.networks.trunk import Trunk
from course_lib.pictures.drawing import Paper
from course_lib.pictures.panel import Drawn, Panel, named_slider, panel_over
from course_lib.probes.classifier import logits, standardise
from course_lib.probes.features import POOLINGS, pooled_features
from course_lib.support.machine import release_memory
from course_lib.support.palette import BLUE, GREY

PICTURES = 1_000
"""Training pictures, and test pictures, that a preview uses at most."""

DECAY = 1.0
"""Of the ridge: features are standardised, so that one value serves every layer."""

_WIDE, _ROW = 640, 34  # pixels


class Preview:
    """Previews of the probes of several networks, on a part of a labelled set.

    networks: by name. A network's features are computed when they are first asked for, all layers in one pass, and
    kept: a few megabytes a network.
    """

    def __init__(self, networks: Mapping[str, Trunk], data: LabelledImages, numbers: int = 1_000) -> None:
        self.networks, self.numbers = dict(networks), numbers
        device = next(next(iter(networks.values())).parameters()).device
        # One less than there are, so that the order is random in any case: the first few must be of every class.
        self.data = data.take(min(PICTURES, len(data) - 1), PICTURES).to(device)
        self._kept: dict[tuple[str, str], tuple[dict[str, Tensor], dict[str, Tensor]]] = {}

    def accuracy(self, network: str, layer: str, pooling: str = "max", labels: int = PICTURES) -> float:
        """The accuracy on the test pictures after `labels` training pictures."""
        if (network, pooling) not in self._kept:
            images = (self.data.train_images, self.data.test_images)
            found = (
                pooled_features(self.networks[network], part, numbers=self.numbers, pooling=pooling) for part in images
            )
            self._kept[network, pooling] = tuple(found)
            release_memory()
        train, test = (part[layer] for part in self._kept[network, pooling])
        x, y = standardise(train[:labels], test)
        weights = ridge(x, self.data.train_labels[:labels], len(self.data.classes), DECAY)
        right = (torch.addmm(weights[-1], y, weights[:-1]).argmax(1) == self.data.test_labels).float()
        return right.mean().item()


def ridge(x: Tensor, y: Tensor, classes: int, decay: float) -> Tensor:
    """Ridge regression from features (n, f) of mean 0 to labels (n,), one column of ones and zeros a class.

    Minimises the mean squared error plus decay times the squared weights, without the bias: (f + 1, classes), the bias
    last. Solved in whichever of n and f is smaller (Saunders, Gammerman and Vovk 1998).
    """
    targets = F.one_hot(y, classes).to(x.dtype)
    mean = targets.mean(0)
    n, f = x.shape
    small = x @ x.T if n < f else x.T @ x
    small.diagonal().add_(decay * n)
    factor = torch.linalg.cholesky(small)
    towards = targets - mean
    weights = x.T @ torch.cholesky_solve(towards, factor) if n < f else torch.cholesky_solve(x.T @ towards, factor)
    return torch.cat([weights, mean[None]])


def preview_panel(preview: Preview, layer: str, pooling: str, labels: int) -> Drawn:
    """A bar for each network, and a line at chance."""
    shares = {name: preview.accuracy(name, layer, pooling, labels) for name in preview.networks}
    bottom = _ROW * len(shares) + 10
    paper, guess = Paper(_WIDE, bottom + 34), 1 / len(preview.data.classes)
    for i, (name, share) in enumerate(shares.items()):
        paper.name(21 + _ROW * i, name)
        paper.bar(21 + _ROW * i, share, BLUE, half=13)
    paper.stroke(guess, 0, bottom)
    paper.write(paper.at(guess), bottom + 2, "guessing", "ma")
    paper.write(_WIDE - 8, bottom + 2, "preview", "ra", GREY)
    each = ", ".join(f"{name} {share:.0%}" for name, share in shares.items())
    return paper.pixels, f"Preview of {layer} with {labels} labels, {pooling} pooling: {each}"


def explore_probes(preview: Preview, labels: int = 1_000) -> Panel:
    """Previews of every network's probe, with a layer, a pooling and the number of labels to choose."""
    layer = widgets.Dropdown(options=LAYERS, value="conv2", description="layer", layout={"width": "200px"})
    pooling = widgets.Dropdown(options=list(POOLINGS), description="pooling", layout={"width": "200px"})
    most = len(preview.data)
    least = min(20, most)
    count = named_slider("labels", min(labels, most), widgets.IntSlider, min=least, max=most, step=20)
    return panel_over([layer, pooling, count], lambda: preview_panel(preview, layer.value, pooling.value, count.value))


def probe_loss(weights: Tensor, x: Tensor, y: Tensor, decay: float) -> Tensor:
    """What `logistic_regression` makes small: the mean cross-entropy plus decay / 2 times the squared weights, without
    the bias, as a scalar.

    weights: (f + 1, classes), the bias last. x: features (n, f). y: labels (n,). Taught in notebook 06.
    """
    return F.cross_entropy(logits(weights, x), y) + 0.5 * decay * weights[:-1].square().sum()
