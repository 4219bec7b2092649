"""k-means beside its peers: from the same rows to start with, for as many iterations, judged by one exact objective."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

from course_lib.bench.report import Peer, Report, compare
from course_lib.pretext.clustering import ITERATIONS, assign, kmeans

SIZES = {"cpu": (20_000, 256, 500), "cuda": (1_000_000, 256, 10_000)}
"""Rows, features and k. On a GPU, about what DeepCluster groups on ImageNet."""


def bench_kmeans(device: torch.device) -> Report:
    """Runs of 20 iterations; quality is how far the objective lies above ours, in percent."""
    rows, features, k = SIZES[device.type]
    x = some_rows(rows, features, k).to(device)
    what = f"{rows:,} x {features}, k = {k:,}, {ITERATIONS} iterations"
    return compare(kmeans_peers(x, k, what), device, features, unit="runs/s", turns=3, calls=1, warm_up=0)


def some_rows(rows: int, features: int, groups: int) -> Tensor:
    """Rows of length 1 about `groups` centres, as whitened features are: (rows, features) float32."""
    draws = torch.Generator().manual_seed(0)
    centres = torch.randn(groups, features, generator=draws)
    which = torch.randint(groups, (rows,), generator=draws)
    return F.normalize(centres[which] + 1.5 * torch.randn(rows, features, generator=draws), dim=1)


def kmeans_peers(x: Tensor, k: int, what: str) -> list[Peer]:
    """Every peer for rows (n, f). All but fast-pytorch-kmeans begin with the same k rows."""
    begin = x[torch.randperm(len(x), generator=torch.Generator().manual_seed(0))[:k].to(x.device)]
    best = _objective(x, kmeans(x, k).centres)
    ways: dict[str, Callable[[], Callable[[], Tensor]]] = {
        "ours": lambda: lambda: kmeans(x, k).centres,
        "scikit-learn": lambda: _sklearn(x, k, begin),
        "faiss": lambda: _faiss(x, k, begin),
        "flash-kmeans": lambda: _flash(x, k, begin),
        "fast-pytorch-kmeans": lambda: _fast_pytorch(x, k),
    }
    return [Peer(who, what, 1, make, lambda make=make: _above(x, make()(), best)) for who, make in ways.items()]


def _above(x: Tensor, centres: Tensor, best: float) -> float:
    """How far above `best` the objective of these centres lies, in percent."""
    return 100 * (_objective(x, centres) / best - 1)


def _objective(x: Tensor, centres: Tensor) -> float:
    """The sum of the rows' squared distances to their nearest centre, in double precision."""
    labels = assign(x, centres.to(x))[0]
    parts = zip(x.split(100_000), labels.split(100_000))
    return sum(float((part.double() - centres.to(x)[near].double()).square().sum()) for part, near in parts)


def _sklearn(x: Tensor, k: int, begin: Tensor) -> Callable[[], Tensor]:
    from sklearn.cluster import KMeans

    rows, first = x.cpu().numpy(), begin.cpu().numpy()

    def run() -> Tensor:
        found = KMeans(k, init=first, n_init=1, max_iter=ITERATIONS, tol=0, algorithm="lloyd").fit(rows)
        return torch.from_numpy(found.cluster_centers_)

    if x.device.type == "cuda":
        raise RuntimeError("it has no GPU, and would take minutes")
    return run


def _faiss(x: Tensor, k: int, begin: Tensor) -> Callable[[], Tensor]:
    import faiss

    rows, first = x.cpu().numpy(), begin.cpu().numpy()
    gpu = x.device.type == "cuda" and faiss.get_num_gpus() > 0
    if x.device.type == "cuda" and not gpu:
        raise RuntimeError("this build of faiss has no GPU, and would take minutes")

    def run() -> Tensor:
        # Without these two it would look at a part of the rows only.
        limits = {"max_points_per_centroid": 10**9, "min_points_per_centroid": 1}
        found = faiss.Kmeans(rows.shape[1], k, niter=ITERATIONS, gpu=gpu, **limits)
        found.train(rows, init_centroids=np.ascontiguousarray(first))
        return torch.from_numpy(found.centroids)

    return run


def _flash(x: Tensor, k: int, begin: Tensor) -> Callable[[], Tensor]:
    from flash_kmeans import batch_kmeans_Euclid

    return lambda: batch_kmeans_Euclid(x[None], n_clusters=k, max_iters=ITERATIONS, init_centroids=begin[None])[1][0]


def _fast_pytorch(x: Tensor, k: int) -> Callable[[], Tensor]:
    from fast_pytorch_kmeans import KMeans

    def run() -> Tensor:
        found = KMeans(n_clusters=k, max_iter=ITERATIONS, tol=0)
        found.fit_predict(x)
        return found.centroids

    return run
