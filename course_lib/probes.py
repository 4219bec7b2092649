"""Linear probes: how much of a label can be read, linearly, from each layer of a frozen network?

Zhang, Isola and Efros 2016 ask it of conv1 to conv5; Asano et al. 2020, section 4.1, of networks trained on one image.
Taught in notebook 06.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass

import torch
import torch.nn.functional as F
from scipy.special import bdtr, bdtrik
from torch import Tensor

from course_lib.datasets import LabelledImages, to_float
from course_lib.errors import CourseError, unknown
from course_lib.machine import memory_left, release_memory
from course_lib.networks import SMALL_SIDE, Trunk

NUMBERS = 9600
"""Features a layer after pooling, at most: no layer wins by being larger. AlexNet at 224 px then has as many as
published, 9216, 9408, 9600, 9216 and 9216 in the small form (RotNet), 9600, 9216, 9600, 9600 and 9216 in that of 2012
(DeepCluster; Zhang et al. 2016)."""

POOLINGS = {"max": F.adaptive_max_pool2d, "average": F.adaptive_avg_pool2d}
"""Both are in use: RotNet and Asano et al. take the maximum, DeepCluster the average. The windows are RotNet's, which
share the map out evenly; the others' are of one size and pad the border or leave it out, for as many numbers."""

DECAYS = (1e-3, 1e-2, 1e-1)
"""Weight decays to choose from. The features are standardised, so that one grid serves every layer."""

STEPS = 100
"""L-BFGS steps: enough for an accuracy that no longer moves; a test compares the optimum with scikit-learn's."""

_CHOOSING = 30  # steps while the decay is chosen: the cross-entropies are then as far apart as at the optimum
_BATCH = {"cpu": 100, "cuda": 1_000}  # pictures at a time, when features are taken
_LEAST = 20  # pictures, of which a tenth is held out
_COPIES = 3  # of a layer's features in float32 that a fit holds beside them: a part of them, and that twice transformed


@dataclass(frozen=True)
class ProbeResult:
    """One linear classifier: accuracies as shares of 1, the weight decay that was chosen, and how many pictures it was
    tested on."""

    layer: str
    accuracy: float
    train_accuracy: float
    decay: float
    tested: int

    @property
    def interval(self) -> tuple[float, float]:
        """Where the accuracy would lie, 19 times out of 20, on another test set of as many pictures.

        The bootstrap over test pictures, without drawing: a picture is right or wrong, so that resampled counts follow
        a binomial law. It knows nothing of another seed of the training, nor of pictures that are alike.
        """
        low, high = (binomial_quantile(q, self.tested, self.accuracy) for q in (0.025, 0.975))
        return low / self.tested, high / self.tested


def binomial_quantile(q: float, n: int, p: float) -> int:
    """The least k for which at most k of n throws succeed with a chance of at least q, where each does with chance p.

    As `scipy.stats.binom.ppf`, whose import takes 66 MB of every notebook's memory.
    """
    if p in (0, 1):
        return round(n * p)
    k = math.ceil(bdtrik(q, n, p))
    return k - 1 if k and bdtr(k - 1, n, p) >= q else k


def probe(
    trunk: Trunk,
    data: LabelledImages,
    layers: Sequence[str] | None = None,
    numbers: int = NUMBERS,
    decays: Sequence[float] = DECAYS,
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
        return _probe_streaming(trunk, data, layers, numbers, pooling, need, left)
    train = pooled_features(trunk, data.train_images, layers, numbers, pooling)
    test = pooled_features(trunk, data.test_images, layers, numbers, pooling)
    release_memory()
    results = []
    for layer in layers:  # each layer's features are let go when its probe is done
        found = fit_probe(layer, train.pop(layer), data.train_labels, test.pop(layer), data.test_labels, decays)
        results.append(found)
    release_memory()
    return results


def _probe_streaming(
    trunk: Trunk, data: LabelledImages, layers: Sequence[str], numbers: int, pooling: str, need: int, left: int
) -> list[ProbeResult]:
    from course_lib.streaming import probe_streaming  # here, since it is built on this file

    views = "published" if data.side > SMALL_SIDE else "whole"
    gigabytes = f"{need / 1e9:,.1f} GB, and {max(left, 0) / 1e9:,.1f} are free"
    print(f"The features of {data.name} would take {gigabytes}: the probes are trained by SGD in a stream instead.")
    return probe_streaming(trunk, data, layers, numbers, pooling, views)


def memory_needed(
    trunk: Trunk,
    data: LabelledImages,
    layers: Sequence[str] | None = None,
    numbers: int = NUMBERS,
    pooling: str = "max",
) -> int:
    """Bytes that `probe` takes at its height: all layers' features in float16, the widest ones in float32 as often as a
    fit holds them, and its matrices of (f, f)."""
    with frozen(trunk), torch.no_grad():
        one = pool_layers(trunk, torch.zeros(1, 3, data.side, data.side, device=data.device), layers, numbers, pooling)
    widths = [x.shape[1] for x in one.values()]
    train, both = len(data), len(data) + len(data.test_images)
    return 2 * both * sum(widths) + 4 * max(widths) * (both + _COPIES * train + 3 * max(widths))


def need_every_class(data: LabelledImages) -> None:
    """Raises CourseError, naming them, where the training part lacks pictures of some classes."""
    counts = torch.bincount(data.train_labels, minlength=len(data.classes))
    if missing := [data.classes[i] for i in (counts == 0).nonzero()[:, 0].tolist()]:
        few = f"{len(data)} training pictures of {data.name} hold none of {', '.join(missing[:5])}"
        raise CourseError(f"{few}{' and others' * (len(missing) > 5)}; take more pictures, or fewer classes")


@torch.inference_mode()
def pooled_features(
    trunk: Trunk, images: Tensor, layers: Sequence[str] | None = None, numbers: int = NUMBERS, pooling: str = "max"
) -> dict[str, Tensor]:
    """The layers' feature maps, pooled to at most `numbers` values each: (n, channels * s * s) float16 a layer.

    images: (n, 3, side, side) uint8, wherever they lie; the features lie with the trunk, which runs in evaluation mode,
    so that BatchNorm does not learn from them.
    """
    device = next(trunk.parameters()).device
    kept: dict[str, Tensor] = {}
    with frozen(trunk):
        for start in range(0, len(images), _BATCH[device.type]):
            some = to_float(images[start : start + _BATCH[device.type]].to(device))
            for layer, x in pool_layers(trunk, some, layers, numbers, pooling).items():
                if layer not in kept:  # made whole at once: many small parts would hold the freed memory between them
                    kept[layer] = x.new_empty(len(images), x.shape[1], dtype=torch.float16)
                kept[layer][start : start + len(x)] = x
    return kept


def pool_layers(
    trunk: Trunk, images: Tensor, layers: Sequence[str] | None, numbers: int, pooling: str
) -> dict[str, Tensor]:
    """The layers' maps of pictures (n, 3, side, side) in [-1, 1], pooled and flattened: (n, channels * s * s) each."""
    if pooling not in POOLINGS:
        raise unknown("pooling", pooling, tuple(POOLINGS))
    maps = trunk.features(images, layers)
    return {layer: POOLINGS[pooling](one, pool_side(one, numbers)).flatten(1) for layer, one in maps.items()}


@contextmanager
def frozen(trunk: Trunk) -> Iterator[None]:
    """The trunk in evaluation mode, and afterwards in the mode that it was in."""
    was_training = trunk.training
    trunk.eval()
    try:
        yield
    finally:
        trunk.train(was_training)


def pool_side(maps: Tensor, numbers: int) -> int:
    """The largest s with channels * s * s <= numbers, at least 1 and at most the own side of maps (n, channels, side,
    side). Taught in notebook 06."""
    channels, height = maps.shape[1], maps.shape[2]
    return max(1, min(height, int((numbers / channels) ** 0.5)))


def fit_probe(
    layer: str, train: Tensor, train_labels: Tensor, test: Tensor, test_labels: Tensor, decays: Sequence[float]
) -> ProbeResult:
    """Standardise on the training set, choose the decay on a tenth of it, refit on all of it, test once.

    train, test: features (n, f). The test labels are looked at one time, after every choice has been made.
    """
    if len(train) < _LEAST:
        raise CourseError(f"a probe needs at least {_LEAST} training pictures, got {len(train)}; add more")
    train, test = standardise(train, test)
    classes = int(train_labels.max()) + 1
    decay, start = _choose_decay(train, train_labels, classes, decays)
    weights = logistic_regression(train, train_labels, classes, decay, start)
    scores = [accuracy(weights, x, y) for x, y in ((test, test_labels), (train, train_labels))]
    return ProbeResult(layer, *scores, decay, len(test))


def standardise(train: Tensor, test: Tensor) -> tuple[Tensor, Tensor]:
    """Features (n, f) as float32, with the training set's mean and spread taken out of both, one feature at a time."""
    train, test = (part.to(torch.float32, copy=True) for part in (train, test))
    mean, std = train.mean(0), train.std(0) + 1e-5
    return train.sub_(mean).div_(std), test.sub_(mean).div_(std)


def _choose_decay(x: Tensor, y: Tensor, classes: int, decays: Sequence[float]) -> tuple[float, Tensor]:
    """The decay with the least cross-entropy on a held-out tenth, and the weights it gave, to start the refit from.

    Not the one with the best accuracy: of a few hundred pictures that is too coarse a number, and it cost up to three
    points on the test set by choosing another decay for every seed.
    """
    order = torch.randperm(len(x), generator=torch.Generator().manual_seed(0)).to(x.device)
    held, kept = order[: len(x) // 10], order[len(x) // 10 :]
    tried, weights = [], None
    for decay in sorted(decays, reverse=True):  # from stiff to loose, each started where the last one ended
        weights = logistic_regression(x[kept], y[kept], classes, decay, weights, _CHOOSING)
        tried.append((F.cross_entropy(logits(weights, x[held]), y[held]).item(), decay, weights))
    return min(tried, key=lambda entry: entry[0])[1:]


def logistic_regression(
    x: Tensor, y: Tensor, classes: int, decay: float, start: Tensor | None = None, steps: int = STEPS
) -> Tensor:
    """Multinomial logistic regression by L-BFGS: convex, so that no rate, schedule or seed is to be chosen.

    x: (n, f). y: (n,) labels below `classes`. Minimises the mean cross-entropy plus decay / 2 times the squared
    weights, without the bias. Returns (f + 1, classes), the bias last.

    Solved in the variables v = L^T w, where L L^T = c X^T X / n + decay I is the loss's curvature at w = 0: there the
    valley is nearly round, and a hundred steps go as far as a thousand in w. The penalty needs no solve either, as
    decay |w|^2 = |v|^2 - c / n |X w|^2.
    """
    n, curvature = len(x), (classes - 1) / classes**2
    gram = (x.T @ x) * (curvature / n)
    gram.diagonal().add_(decay)
    factor = torch.linalg.cholesky(gram)
    z = torch.linalg.solve_triangular(factor, x.T, upper=False).T.contiguous()
    # Thin products run several times as fast with a multiple of 16 columns; those beyond `classes` stay zero.
    v = x.new_zeros(x.shape[1] + 1, -(-classes // 16) * 16)
    if start is not None:
        v[:-1, :classes], v[-1, :classes] = factor.T @ start[:-1], start[-1]
    v.requires_grad_()
    solver = torch.optim.LBFGS(
        [v], max_iter=steps, history_size=20, tolerance_grad=1e-7, tolerance_change=1e-10, line_search_fn="strong_wolfe"
    )

    def loss() -> Tensor:
        solver.zero_grad()
        scores = z @ v[:-1]
        penalty = v[:-1].square().sum() - curvature / n * scores.square().sum()
        value = F.cross_entropy((scores + v[-1])[:, :classes], y) + 0.5 * penalty
        value.backward()
        return value

    with torch.enable_grad():
        solver.step(loss)
    v = v.detach()[:, :classes]
    return torch.cat([torch.linalg.solve_triangular(factor.T, v[:-1], upper=True), v[-1:]])


def probe_loss(weights: Tensor, x: Tensor, y: Tensor, decay: float) -> Tensor:
    """What `logistic_regression` makes small: the mean cross-entropy plus decay / 2 times the squared weights, without
    the bias, as a scalar.

    weights: (f + 1, classes), the bias last. x: features (n, f). y: labels (n,). Taught in notebook 06.
    """
    return F.cross_entropy(logits(weights, x), y) + 0.5 * decay * weights[:-1].square().sum()


def logits(weights: Tensor, x: Tensor) -> Tensor:
    """(n, classes) from weights (f + 1, classes), the bias last, and features (n, f)."""
    return torch.addmm(weights[-1], x, weights[:-1])


def accuracy(weights: Tensor, x: Tensor, y: Tensor) -> float:
    """The share of labels told right."""
    return (logits(weights, x).argmax(1) == y).float().mean().item()
