"""The linear classifier of a probe: multinomial logistic regression on standardised features, and what came of it.

Taught in notebook 06.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import torch
import torch.nn.functional as F
from scipy.special import bdtr, bdtrik
from torch import Tensor

from course_lib.support.errors import CourseError

DECAYS = (1e-3, 1e-2, 1e-1)
"""Weight decays to choose from. The features are standardised, so that one grid serves every layer."""

STEPS = 100
"""L-BFGS steps: enough for an accuracy that no longer moves; a test compares the optimum with scikit-learn's."""

_CHOOSING = 30  # steps while the decay is chosen: the cross-entropies are then as far apart as at the optimum
_LEAST = 20  # pictures, of which a tenth is held out


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


def logits(weights: Tensor, x: Tensor) -> Tensor:
    """(n, classes) from weights (f + 1, classes), the bias last, and features (n, f)."""
    return torch.addmm(weights[-1], x, weights[:-1])


def accuracy(weights: Tensor, x: Tensor, y: Tensor) -> float:
    """The accuracy: the share of labels that the classifier gets right."""
    return (logits(weights, x).argmax(1) == y).float().mean().item()
