"""What DeepCluster does to features: PCA-whitening, then k-means, all on the device that they lie on.

Caron, Bojanowski, Joulin and Douze, "Deep clustering for unsupervised learning of visual features", ECCV 2018. The rows
may be spread over several processes, each with its own part; sums are then taken over all. Taught in notebook 03.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import NamedTuple

import torch
import torch.nn.functional as F
from torch import Tensor

from course_lib.support.distributed import all_sum, rank, size

ITERATIONS = 20
"""Of k-means, as in the original."""

_DISTANCES = {"cpu": 1 << 24, "cuda": 1 << 25}  # bytes of distances held at a time: what fits into the caches
_APART = 1 / 1024  # by how much the two halves of a cluster that was split differ, as in faiss


class Clusters(NamedTuple):
    """What k-means found.

    centres: (k, f). labels: (n,) int64, of this process's rows. objective: (iterations + 1,), the sum over all rows of
    the squared distance to the nearest centre, before each iteration and at the end.
    """

    centres: Tensor
    labels: Tensor
    objective: Tensor


def whiten(features: Tensor, dims: int = 256) -> Tensor:
    """Features (n, f) turned to their `dims` principal directions, each with variance 1, every row with length 1.

    Directions in which the features do not vary at all stay at nothing instead of being blown up. Returns
    (n, min(dims, f)) float32.
    """
    with _products("highest"):
        x = features.float()
        count = all_sum(torch.tensor(float(len(x)), device=x.device))
        mean = all_sum(x.sum(0)) / count
        x = x - mean
        values, vectors = torch.linalg.eigh(all_sum(x.T @ x) / count)
        values, vectors = values[-dims:], vectors[:, -dims:]
        scale = torch.where(values > 1e-6 * values[-1], values, torch.inf).rsqrt()
        return F.normalize(x @ (vectors * scale), dim=1)


def assign(x: Tensor, centres: Tensor) -> tuple[Tensor, Tensor]:
    """The nearest centre of every row (n,), and the squared distance to it less the row's own square, (n,).

    |x - c|^2 = |x|^2 - 2 x.c + |c|^2, and the first term is the same for all centres: the rest is one product of
    matrices, a few rows at a time, so that the distances never leave the caches.
    """
    squares = centres.square().sum(1)
    rows = max(1, _DISTANCES[x.device.type] // (4 * len(centres)))
    least = [torch.addmm(squares, part, centres.T, alpha=-2).min(1) for part in x.split(rows)]
    return torch.cat([part.indices for part in least]), torch.cat([part.values for part in least])


def update(x: Tensor, labels: Tensor, centres: Tensor) -> Tensor:
    """The mean of each cluster, (k, f); a cluster that has no row takes half of one of the largest."""
    counts = all_sum(torch.bincount(labels, minlength=len(centres)).float())
    sums = all_sum(torch.zeros_like(centres).index_add_(0, labels, x))
    return split_for_empty(torch.where(counts[:, None] > 0, sums / counts.clamp(min=1)[:, None], centres), counts)


def split_for_empty(centres: Tensor, counts: Tensor) -> Tensor:
    """The centres (k, f), where the i-th emptiest cluster, if it is empty, gets a copy of the i-th fullest's.

    Original and copy are moved apart a little, so that the next iteration shares the rows between them. All of it
    without asking the device how many are empty. counts: (k,).
    """
    order = counts.argsort(descending=True, stable=True)
    donors, takers = order, order.flip(0)
    taken = ((counts[takers] == 0) & (counts[donors] > 1))[:, None]
    signs = 1 - 2 * (torch.arange(centres.shape[1], device=centres.device) % 2)
    copies = torch.where(taken, centres[donors] * (1 + _APART * signs), centres[takers])
    moved = centres.index_copy(0, donors, torch.where(taken, centres[donors] * (1 - _APART * signs), centres[donors]))
    return moved.index_copy(0, takers, torch.where(taken, copies, moved[takers]))


def kmeans(x: Tensor, k: int, iterations: int = ITERATIONS, seed: int = 0) -> Clusters:
    """Lloyd's algorithm on rows (n, f) float32, from k of them drawn at random by `seed`.

    On a GPU distances are multiplied in TF32, means are not. The host waits for the device once, at the end. Raises
    ValueError where k is not in [1, n].
    """
    centres, objective = _first_centres(x, k, seed), []
    squares = all_sum(x.square().sum())
    for _ in range(iterations):
        with _products("high"):
            labels, distance = assign(x, centres)
        objective.append(all_sum(distance.sum()) + squares)
        centres = update(x, labels, centres)
    with _products("high"):
        labels, distance = assign(x, centres)
    return Clusters(centres, labels, torch.stack([*objective, all_sum(distance.sum()) + squares]))


def _first_centres(x: Tensor, k: int, seed: int) -> Tensor:
    """k distinct rows; a row has the number that it would have if the parts of all processes followed each other."""
    rows = torch.zeros(size(), dtype=torch.int64, device=x.device)
    rows[rank()] = len(x)
    rows = all_sum(rows).tolist()
    before, total = sum(rows[: rank()]), sum(rows)
    if not 1 <= k <= total:
        raise ValueError(f"k must lie in [1, {total}], the number of rows, got {k}")
    # On the CPU, so that every device begins with the same rows.
    chosen = torch.randperm(total, generator=torch.Generator().manual_seed(seed))[:k].to(x.device)
    mine = (chosen >= before) & (chosen < before + len(x))
    return all_sum(torch.where(mine[:, None], x[(chosen - before).clamp(0, len(x) - 1)], 0.0))


def nmi(a: Tensor, b: Tensor) -> Tensor:
    """Normalised mutual information of two labellings (n,) each, in [0, 1]: 1 where either determines the other.

    I(a; b) / sqrt(H(a) H(b)), as DeepCluster has it (section 4.1); 0 where one of them is all the same. A scalar.
    Taught in notebook 03.
    """
    joint, a_alone, b_alone = (entropy(part) for part in (a * (b.max() + 1) + b, a, b))
    shared = a_alone + b_alone - joint
    return (shared / (a_alone * b_alone).sqrt().clamp(min=1e-12)).clamp(0, 1)


def entropy(labels: Tensor) -> Tensor:
    """The entropy in nats of labels (n,): a scalar."""
    share = labels.unique(return_counts=True)[1].double() / len(labels)
    return -(share * share.log()).sum()


@contextmanager
def _products(precision: str) -> Iterator[None]:
    """Products of matrices in float32: "highest", or "high", where a GPU takes fewer bits (TF32) and is faster."""
    before = torch.get_float32_matmul_precision()
    torch.set_float32_matmul_precision(precision)
    try:
        with torch.autocast("cuda", enabled=False), torch.autocast("cpu", enabled=False):
            yield
    finally:
        torch.set_float32_matmul_precision(before)
