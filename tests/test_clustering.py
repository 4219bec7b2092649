"""Whitening and k-means: against scikit-learn, and where clusters run empty."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from sklearn.cluster import KMeans
from sklearn.decomposition import PCA
from sklearn.metrics import normalized_mutual_info_score
from torch import Tensor

from course_lib.lessons.methods import nearest
from course_lib.pretext.clustering import assign, kmeans, nmi, split_for_empty, update, whiten


@pytest.fixture(scope="module")
def rows() -> Tensor:
    """Groups of several sizes, in directions that vary by different amounts."""
    draws = torch.Generator().manual_seed(0)
    centres = torch.randn(40, 16, generator=draws) * torch.linspace(3, 0.5, 16)
    which = torch.randint(0, 40, (4000,), generator=draws)
    return centres[which] + 0.4 * torch.randn(4000, 16, generator=draws)


def test_whitening_is_scikit_learns_and_unit_length(rows: Tensor) -> None:
    theirs = PCA(8, whiten=True, svd_solver="full").fit_transform(rows.double().numpy())
    theirs /= np.linalg.norm(theirs, axis=1, keepdims=True)
    ours = whiten(rows, 8).double().numpy()
    # Directions have no sign, so that products of rows are compared.
    assert np.abs(ours @ ours.T - theirs @ theirs.T).max() < 1e-4


def test_a_direction_without_variation_is_not_blown_up(rows: Tensor) -> None:
    flat = torch.cat([rows, torch.full((len(rows), 3), 5.0) + 1e-6 * torch.randn(len(rows), 3)], 1)
    assert (whiten(flat, 19).square().mean(0) > 1e-3).sum() == 16
    assert whiten(torch.ones(10, 4)).isfinite().all()


def test_the_nearest_centre_and_its_distance(rows: Tensor) -> None:
    labels, distance = assign(rows, rows[:50])
    exact = torch.cdist(rows.double(), rows[:50].double())
    assert torch.equal(labels, exact.argmin(1)) and torch.equal(nearest(rows, rows[:50]), labels)
    assert torch.allclose((distance + rows.square().sum(1)).double(), exact.amin(1).square(), atol=1e-3)


@pytest.mark.parametrize("k", [5, 60, 300])
def test_the_objective_is_scikit_learns(k: int, rows: Tensor) -> None:
    ours = kmeans(rows, k, iterations=30, seed=3)
    chosen = torch.randperm(len(rows), generator=torch.Generator().manual_seed(3))[:k]
    theirs = KMeans(k, init=rows[chosen].numpy(), n_init=1, max_iter=30, tol=0, algorithm="lloyd").fit(rows.numpy())
    # Where a cluster runs empty, each fills it in its own way, and ours then comes out a little better.
    assert -0.05 < float(ours.objective[-1]) / theirs.inertia_ - 1 < 2e-3
    assert (ours.objective.diff() <= 1e-4 * ours.objective[0]).all(), "an iteration made it worse"


def test_k_means_repeats_itself_by_seed(rows: Tensor) -> None:
    first, second, other = kmeans(rows, 20, seed=1), kmeans(rows, 20, seed=1), kmeans(rows, 20, seed=2)
    assert torch.equal(first.labels, second.labels) and not torch.equal(first.labels, other.labels)


def test_an_empty_cluster_takes_half_of_the_fullest() -> None:
    x = torch.cat([torch.randn(90, 4), 50 + torch.randn(10, 4)])
    centres = torch.stack([x[:90].mean(0), torch.full((4,), -900.0), x[90:].mean(0)])
    labels = nearest(x, centres)
    assert torch.bincount(labels, minlength=3).tolist() == [90, 0, 10]
    moved = update(x, labels, centres)
    counts = torch.bincount(nearest(x, moved), minlength=3)
    assert counts[2] == 10 and counts[0] > 10 and counts[1] > 10
    assert torch.equal(split_for_empty(moved, torch.tensor([30.0, 60, 10])), moved), "nothing empty, nothing split"


@pytest.mark.parametrize("k", [1, 64, 100])
def test_fewer_different_rows_than_clusters(k: int) -> None:
    found = kmeans(torch.randn(10, 8).repeat(10, 1), k)
    assert found.centres.isfinite().all() and len(found.labels.unique()) == min(k, 10)
    assert k == 1 or found.objective[-1] < 0.1


@pytest.mark.parametrize("k", [0, 101])
def test_a_k_that_cannot_be_is_refused(k: int) -> None:
    with pytest.raises(ValueError, match=rf"k must lie in \[1, 100\], the number of rows, got {k}"):
        kmeans(torch.randn(100, 3), k)


@pytest.mark.parametrize(("most_a", "most_b"), [(5, 7), (1, 9), (300, 300)])
def test_mutual_information_is_scikit_learns(most_a: int, most_b: int) -> None:
    a, b = torch.randint(0, most_a, (500,)), torch.randint(0, most_b, (500,))
    theirs = normalized_mutual_info_score(a, b, average_method="geometric")
    assert float(nmi(a, b)) == pytest.approx(theirs if most_a > 1 else 0, abs=1e-6)
    if most_a > 1:
        assert float(nmi(a, a * 7 + 3)) == pytest.approx(1)
