"""A detector from one example: exemplar SVM with hard negatives, and exemplar LDA in closed form.

Malisiewicz, Gupta and Efros 2011, "Ensemble of exemplar-SVMs for object detection and beyond"; Hariharan, Malik and
Ramanan 2012, "Discriminative decorrelation for clustering and classification". Each has one positive and very many
negatives; the SVM looks for the few that are hard, LDA needs only their mean and covariance. Taught in notebook 12.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass

import torch
import torch.nn.functional as F
from sklearn.svm import SVC
from torch import Tensor

COST = 0.01
"""C of a negative, as in the authors' code."""

WEIGHT = 50.0
"""C of the one positive, as a multiple of a negative's, as in the authors' code: C1 = 0.5 and C2 = 0.01."""

RIDGE = 0.3
"""Of exemplar LDA. From 0.1 to 1 hardly anything changes."""

_A_MAP = 2  # hard negatives per map and round, so that no photograph crowds out the others; the authors take 10
_KEPT = 3  # times as many negatives as there are support vectors stay for the next round
_MOST = 2000  # negatives that are kept at most


@dataclass(frozen=True)
class Template:
    """A linear detector. weights: (c, rows, columns), over a map's window. bias: added to every score."""

    weights: Tensor
    bias: float = 0.0

    def scores(self, features: Tensor) -> Tensor:
        """The score of every window of a map (c, R, C), by its first row and column: (R - rows + 1, C - columns + 1).

        Empty where the map is smaller than the template.
        """
        rows, columns = self.weights.shape[1:]
        if features.shape[1] < rows or features.shape[2] < columns:
            return torch.empty(0, 0)
        return F.conv2d(features[None], self.weights[None])[0, 0] + self.bias

    def between(self, positive: Tensor, mean: Tensor) -> Template:
        """The same direction, at the scale at which an example scores 1 and a mean window -1, both (c, rows, columns).

        Templates that were made in different ways can be compared so.
        """
        weights = self.weights * (2 / (self.weights * (positive - mean)).sum())
        return Template(weights, -float((weights * (positive + mean)).sum()) / 2)


@dataclass(frozen=True)
class Round:
    """What one round of mining gave.

    template: as it is now. hard: how many windows that it did not have yet had scored above -1. used: how many
    negatives it was fitted to. objective: of that fit.
    """

    template: Template
    hard: int
    used: int
    objective: float


def objective(
    weights: Tensor, bias: float, positive: Tensor, negatives: Tensor, positive_cost: float, negative_cost: float
) -> Tensor:
    """What an exemplar SVM minimises: |w|^2 / 2 + C1 h(w.x + b) + C2 sum_n h(-w.x_n - b), with h(t) = max(0, 1 - t).

    weights, positive: (f,). negatives: (n, f). A scalar. Taught in notebook 12.
    """
    found = F.relu(1 - (positive @ weights + bias))
    passed = F.relu(1 + negatives @ weights + bias).sum()
    return weights.square().sum() / 2 + positive_cost * found + negative_cost * passed


def windows_at(features: Tensor, numbers: Sequence[int], rows: int, columns: int) -> Tensor:
    """Windows of a map (c, R, C), by their numbers when counted row by row: (k, c * rows * columns)."""
    across = features.shape[2] - columns + 1
    cut = [features[:, i // across :, i % across :][:, :rows, :columns].flatten() for i in numbers]
    return torch.stack(cut) if cut else torch.empty(0, len(features) * rows * columns)


def some_windows(maps: Sequence[Tensor], rows: int, columns: int, count: int, seed: int = 0) -> Tensor:
    """About `count` windows of maps (c, R, C), at random places, of each map in proportion to its size: (n, f)."""
    draws = torch.Generator().manual_seed(seed)
    rooms = [max(0, m.shape[1] - rows + 1) * max(0, m.shape[2] - columns + 1) for m in maps]
    shares = [min(room, -(-count * room // max(1, sum(rooms)))) for room in rooms]
    places = [torch.randperm(room, generator=draws)[:share].tolist() for room, share in zip(rooms, shares)]
    return torch.cat([windows_at(m, chosen, rows, columns) for m, chosen in zip(maps, places)])


def hardest(
    template: Template, features: Tensor, known: Collection[int] = (), most: int = _A_MAP
) -> tuple[list[int], int]:
    """The negatives of a map (c, R, C) that the template takes for its object, or nearly: those that score at least -1.

    known: numbers of windows that are left out. Returns the numbers of at most `most`, the hardest first, and how many
    there are.
    """
    scores = template.scores(features).flatten()
    ranked = scores.argsort(descending=True)[: int((scores >= -1).sum())].tolist()
    new = [i for i in ranked if i not in known]
    return new[:most], len(new)


def widest_margin(products: Tensor, labels: Tensor, cost: float, weight: float = 1.0) -> tuple[Tensor, float]:
    """The linear support vector machine of n examples, from the products (n, n) of each with each (Cortes and Vapnik
    1995).

    labels: (n,) 1 and -1, at least one of both. cost: C of the slack of an example labelled -1; of one labelled 1 it is
    `weight` times that. Returns a (n,) and b: the score of x is sum_i a_i <x_i, x> + b, and the weights are
    sum_i a_i x_i. a_i is not 0 only for the support vectors, the examples on the margin or beyond it.
    Raises ValueError for costs that are not positive.
    """
    if cost <= 0 or weight <= 0:
        raise ValueError(f"cost and weight must be above 0, got {cost} and {weight}")
    machine = SVC(kernel="precomputed", C=cost, class_weight={1: weight}, tol=1e-4)
    machine.fit(products.double().numpy(), labels.numpy())
    a = torch.zeros(len(labels), dtype=torch.float64)
    a[torch.from_numpy(machine.support_).long()] = torch.from_numpy(machine.dual_coef_[0])
    return a.to(products.dtype), float(machine.intercept_[0])


def fit_svm(
    positive: Tensor, negatives: Tensor, cost: float = COST, weight: float = WEIGHT, among: Tensor | None = None
) -> tuple[Tensor, float]:
    """The linear SVM of one positive (f,) and negatives (n, f): weights (f,) and bias. cost: as in `widest_margin`.

    among: the products (n, n) of the negatives with each other, where several examples share them.
    """
    among = negatives @ negatives.T if among is None else among
    across = negatives @ positive
    first = torch.cat([positive.square().sum()[None], across])
    products = torch.cat([first[None], torch.cat([across[:, None], among], 1)])
    labels = torch.tensor([1] + [-1] * len(negatives))
    a, bias = widest_margin(products, labels, cost, weight)
    return a[0] * positive + a[1:] @ negatives, bias


def mine(
    exemplar: Tensor, maps: Sequence[Tensor], rounds: int = 5, cost: float = COST, weight: float = WEIGHT
) -> list[Round]:
    """An exemplar SVM, round by round: collect what the last template takes for the object, and fit again.

    exemplar: (c, rows, columns). maps: of pictures without the object, (c, R, C) each. The first
    weights are the exemplar less its mean. The negatives nearest to the margin stay for the next round. Ends early when
    no other window scores above -1: more of them would change nothing. Raises ValueError where no map has room for a
    window, or rounds is below 1.
    """
    if rounds < 1:
        raise ValueError(f"rounds must be at least 1, got {rounds}")
    template, done, kept = Template(exemplar - exemplar.mean()), [], []
    negatives, x = torch.empty(0, exemplar.numel()), exemplar.flatten()
    while len(done) < rounds:
        new, hard = _new_negatives(template, maps, kept)
        if done and not new:
            break
        negatives = torch.cat([negatives, *(windows_at(maps[m], [i], *exemplar.shape[1:]) for m, i in new)])
        if not len(negatives):
            raise ValueError(f"no negative is as large as the exemplar's {tuple(exemplar.shape[1:])} blocks")
        w, bias = fit_svm(x, negatives, cost, weight)
        template = Template(w.view_as(exemplar), bias)
        value = objective(w, bias, x, negatives, cost * weight, cost).item()
        done.append(Round(template, hard, len(negatives), value))
        scores = negatives @ w + bias
        supporting = max(1, int((scores >= -1 - 1e-3).sum()))
        nearest = scores.argsort(descending=True)[: min(_KEPT * supporting, _MOST)]
        kept, negatives = [(kept + new)[i] for i in nearest.tolist()], negatives[nearest]
    return done


def _new_negatives(
    template: Template, maps: Sequence[Tensor], kept: Sequence[tuple[int, int]]
) -> tuple[list[tuple[int, int]], int]:
    """The hardest windows of every map that are not kept yet, each as the map's number and its own, and how many hard
    ones there are in all."""
    found = [hardest(template, features, {i for k, i in kept if k == m}) for m, features in enumerate(maps)]
    return [(m, i) for m, (numbers, _) in enumerate(found) for i in numbers], sum(count for _, count in found)


@dataclass(frozen=True)
class Background:
    """The mean (f,) and the covariance (f, f) of windows of all kinds: what a window of any photograph looks like.

    Made once, it serves every exemplar.
    """

    mean: Tensor
    covariance: Tensor

    @classmethod
    def of(cls, negatives: Tensor, ridge: float = RIDGE) -> Background:
        """Of windows (n, f). ridge: how much is added to every variance, as a share of their mean, since a sample says
        nothing of directions in which few windows differ."""
        covariance = torch.cov(negatives.T, correction=0)
        covariance.diagonal().add_(ridge * covariance.diagonal().mean())
        return cls(negatives.mean(0), covariance)


def whiten(covariance: Tensor, positive: Tensor, mean: Tensor) -> Tensor:
    """The weights of exemplar LDA, w = S^-1 (x - mu), (f,): what sets the example apart, in units of what is usual.

    covariance: S (f, f). positive: x (f,). mean: mu (f,). (Hariharan et al. 2012.) Taught in notebook 12.
    """
    return torch.linalg.solve(covariance, positive - mean)
