"""Notebook 00's three numbers: how large a crop is, how small it may be, and how far a network is above chance."""

from __future__ import annotations

from collections.abc import Sequence


def area_share(width: float, height: float, image_width: float, image_height: float) -> float:
    """The area of a crop as a share of its image's, wh / WH in the paper; all in pixels."""
    return width * height / (image_width * image_height)


def smallest_side(beta: float, image_width: float, image_height: float) -> float:
    """The side of the smallest square crop, whose area is the share `beta` of its image's; all in pixels."""
    return (beta * image_width * image_height) ** 0.5


def points_above(shares: Sequence[float], floor: Sequence[float]) -> float:
    """How far accuracies, shares of 1 by seed, lie above those of the untrained network with the same seeds: their mean
    difference in points, hundredths. Taught in notebook 00."""
    return 100 * sum(one - other for one, other in zip(shares, floor, strict=True)) / len(shares)
