"""Measures of filters, each against filters whose answer is known."""

from __future__ import annotations

import math

import pytest
import torch
from torch import Tensor

from course_lib.lessons.first_layers import cka, effective_rank, matched_similarity, oriented_share
from course_lib.networks.trunk import by_frequency, shapes_in_space


def noise(n: int, k: int = 5, seed: int = 0) -> Tensor:
    return torch.randn(n, 3, k, k, generator=torch.Generator().manual_seed(seed))


def gratings(n: int, k: int = 11, waves: float = 1.5) -> Tensor:
    """Gabor filters of n directions and phases, each in one colour."""
    y, x = torch.meshgrid(torch.arange(k) - (k - 1) / 2, torch.arange(k) - (k - 1) / 2, indexing="ij")
    angles, phases = torch.arange(n) * math.pi / n, torch.arange(n) * 0.7
    along = x * angles.cos()[:, None, None] + y * angles.sin()[:, None, None]
    wave = torch.cos(2 * math.pi * waves / k * along + phases[:, None, None])
    bell = torch.exp(-(x.square() + y.square()) / (2 * (0.35 * k) ** 2))
    return (wave * bell)[:, None] * torch.tensor([1.0, -0.5, 0.2])[None, :, None, None]


def blobs(n: int, k: int = 11) -> Tensor:
    y, x = torch.meshgrid(torch.arange(k) - (k - 1) / 2, torch.arange(k) - (k - 1) / 2, indexing="ij")
    bell = torch.exp(-(x.square() + y.square()) / (2 * (0.3 * k) ** 2))
    return bell[None, None] * torch.randn(n, 3, 1, 1, generator=torch.Generator().manual_seed(1))


@pytest.mark.parametrize("k", [5, 11])
def test_waves_are_oriented_and_blobs_and_noise_are_not(k: int) -> None:
    assert oriented_share(gratings(24, k)) == 1
    assert oriented_share(blobs(24, k)) == 0
    assert oriented_share(noise(200, k)) < 0.02


def test_strength_and_sign_change_nothing() -> None:
    some = torch.cat([gratings(6), noise(6, 11)])
    factors = torch.tensor([3.0, -0.1]).repeat(6)[:, None, None, None]
    assert oriented_share(some * factors) == oriented_share(some)


def test_a_shape_is_the_filter_without_its_colour() -> None:
    shapes = shapes_in_space(gratings(8))
    wanted = torch.nn.functional.normalize(gratings(8)[:, 0].flatten(1))
    assert torch.allclose((shapes.flatten(1) * wanted).sum(1).abs(), torch.ones(8), atol=1e-5)


def test_the_rank_counts_directions_that_are_shared_evenly() -> None:
    assert effective_rank(torch.eye(12).view(12, 3, 2, 2)) == pytest.approx(12)
    assert effective_rank(noise(1).repeat(9, 1, 1, 1)) == pytest.approx(1, abs=1e-4)


def test_a_match_ignores_order_and_sign_and_sees_strangers() -> None:
    one = noise(20)
    shuffled = -one[torch.randperm(20, generator=torch.Generator().manual_seed(3))]
    assert matched_similarity(one, shuffled) == pytest.approx(1, abs=1e-5)
    assert matched_similarity(one, noise(20, seed=1)) < 0.4
    with pytest.raises(ValueError, match="filters of one shape"):
        matched_similarity(one, noise(20, 11))


def test_a_partner_is_taken_once() -> None:
    """Two filters that are alike cannot share one partner: the best match of each alone would say 1."""
    one, other = torch.eye(2).view(2, 1, 1, 2), torch.tensor([[1.0, 0], [1.0, 0]]).view(2, 1, 1, 2)
    assert matched_similarity(one, other) == pytest.approx(0.5)


def test_cka_ignores_turns_and_scales_and_knows_strangers() -> None:
    x = torch.randn(400, 6, generator=torch.Generator().manual_seed(0))
    turn = torch.linalg.qr(torch.randn(6, 6, generator=torch.Generator().manual_seed(1)))[0]
    assert cka(x, 3 * x @ turn + 5) == pytest.approx(1, abs=1e-5)
    assert cka(x, torch.randn(400, 6, generator=torch.Generator().manual_seed(2))) < 0.1
    with pytest.raises(ValueError, match="same pictures, got 400 and 3"):
        cka(x, x[:3])


def test_cka_is_its_definition() -> None:
    """|X^T Y|^2 / (|X^T X| |Y^T Y|) of centred features (Kornblith et al. 2019, equation for linear kernels)."""
    x, y = (torch.randn(30, f, generator=torch.Generator().manual_seed(f)).double() for f in (4, 7))
    x, y = x - x.mean(0), y - y.mean(0)
    assert cka(x, y) == pytest.approx(((x.T @ y).norm() ** 2 / ((x.T @ x).norm() * (y.T @ y).norm())).item())


def test_the_order_goes_from_slow_to_fast() -> None:
    mixed = torch.cat([gratings(4, waves=4), gratings(4, waves=1), blobs(2), gratings(4, waves=2.5)])
    order = by_frequency(mixed).tolist()
    assert sorted(order) == list(range(14))
    assert set(order[:2]) == {8, 9} and set(order[-4:]) == {0, 1, 2, 3}
