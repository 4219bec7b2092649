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
    return compare(kmeans_peers(x, k, what), device, features, unit="runs/s", slow=3)


def some_rows(rows: int, features: int, groups: int) -> Tensor:
    """Rows of length 1 about `groups` centres, as whitened features are: (rows, features) float32."""
    draws = torch.Generator().manual_seed(0)
    centres = torch.randn(groups, features, generator=draws)
    which = torch.randint(groups, (rows,), generator=draws)
    return F.normalize(centres[which] + 1.5 * torch.randn(rows, features, generator=draws), dim=1)


def kmeans_peers(x: Tensor, k: int, what: str) -> list[Peer]:
    """Every peer for rows (n, f), all from the same k rows. Each finds centres (k, f)."""
    begin = x[torch.randperm(len(x), generator=torch.Generator().manual_seed(0))[:k].to(x.device)]
    best = _objective(x, kmeans(x, k).centres)
    ways = {"ours": _ours, "scikit-learn": _sklearn, "faiss": _faiss, "flash-kmeans": _flash}

    def above(way: Callable[[Tensor, Tensor], Callable[[], Tensor]]) -> float:
        return 100 * (_objective(x, way(x, begin)()) / best - 1)

    return [Peer(who, what, 1, lambda way=way: way(x, begin), lambda way=way: above(way)) for who, way in ways.items()]


def _objective(x: Tensor, centres: Tensor) -> float:
    """The sum of the rows' squared distances to their nearest centre, in double precision."""
    labels = assign(x, centres.to(x))[0]
    parts = zip(x.split(100_000), labels.split(100_000))
    return sum(float((part.double() - centres.to(x)[near].double()).square().sum()) for part, near in parts)


def _ours(x: Tensor, begin: Tensor) -> Callable[[], Tensor]:
    return lambda: kmeans(x, len(begin)).centres


def _sklearn(x: Tensor, begin: Tensor) -> Callable[[], Tensor]:
    from sklearn.cluster import KMeans

    if x.device.type == "cuda":
        raise RuntimeError("it has no GPU, and would take minutes")
    rows, first = x.numpy(), begin.numpy()
    found = KMeans(len(first), init=first, n_init=1, max_iter=ITERATIONS, tol=0, algorithm="lloyd")
    return lambda: torch.from_numpy(found.fit(rows).cluster_centers_)


def _faiss(x: Tensor, begin: Tensor) -> Callable[[], Tensor]:
    import faiss

    gpu = x.device.type == "cuda" and faiss.get_num_gpus() > 0
    if x.device.type == "cuda" and not gpu:
        raise RuntimeError("this build of faiss has no GPU, and would take minutes")
    rows, first = x.cpu().numpy(), np.ascontiguousarray(begin.cpu().numpy())

    def run() -> Tensor:
        # Without these two it would look at a part of the rows only.
        limits = {"max_points_per_centroid": 10**9, "min_points_per_centroid": 1}
        found = faiss.Kmeans(rows.shape[1], len(first), niter=ITERATIONS, gpu=gpu, **limits)
        found.train(rows, init_centroids=first)
        return torch.from_numpy(found.centroids)

    return run


def _flash(x: Tensor, begin: Tensor) -> Callable[[], Tensor]:
    from flash_kmeans import batch_kmeans_Euclid

    how = {"n_clusters": len(begin), "max_iters": ITERATIONS, "init_centroids": begin[None]}
    return lambda: batch_kmeans_Euclid(x[None], **how)[1][0]
