"""Averaged copies of the source images, in one flat array, so that a crop of any size is read without aliasing.

A mip level holds an image averaged over boxes of one width (Williams 1983, "Pyramidal parametrics"). An octave has
three levels, not one, and a level keeps its texels closer than its boxes are wide: a single bilinear read then comes
within 40 dB of averaging the photograph over every output pixel (tests/test_render.py), where plain halvings reach 35.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
import torch.nn.functional as F
from torch import Tensor

LEVELS_AN_OCTAVE = 3
TEXELS_A_BOX = 2.5
_BOX_OF_A_PIXEL = 0.9  # the best box for an output pixel, in its width; the bilinear read itself blurs by the rest
_LEAST_BOX = 0.6  # source pixels; so that one level finer is never chosen where the photograph would alias

_FEWEST_TEXELS = 8  # on the short side of the coarsest level
_MOST_TEXELS = 2**31 - 1  # places are counted in 32 bits, for speed


def build_atlas(images: Sequence[Tensor]) -> tuple[Tensor, Tensor]:
    """All levels of N images (3, H, W) uint8, one after another.

    Returns the texels (T, 4) uint8, RGB and a 255 that makes a texel one 32-bit word, and the levels (N, L, 3) int32:
    place of the first texel, width and height. An image with fewer than L levels repeats its last.
    Raises ValueError where the images need more texels than 32 bits can count.
    """
    parts, rows, place = [], [], 0
    for image in images:
        row = []
        for level in mip_levels(image):
            row.append((place, level.shape[2], level.shape[1]))
            parts.append(_texels(level))
            place += level.shape[1] * level.shape[2]
        rows.append(row)
    if place > _MOST_TEXELS:
        raise ValueError(
            f"{len(images)} images need {place:,} texels, over {_MOST_TEXELS:,}; use fewer or smaller ones"
        )
    most = max(len(row) for row in rows)
    padded = [row + [row[-1]] * (most - len(row)) for row in rows]
    return torch.cat(parts), torch.tensor(padded, dtype=torch.int32)


def mip_levels(image: Tensor) -> list[Tensor]:
    """(3, H, W) uint8 averaged over boxes of 1, 2^(1/3), 2^(2/3), 2, ... pixels, down to a few texels, all uint8."""
    levels, short = [image], min(image.shape[1:])
    while True:
        box = 2 ** (len(levels) / LEVELS_AN_OCTAVE)
        spacing = max(1.0, box / TEXELS_A_BOX)
        if short / spacing < _FEWEST_TEXELS:
            return levels
        height, width = (round(size / spacing) for size in image.shape[1:])
        columns = box_means(image, width, box)
        means = box_means(columns.mT, height, box).mT
        levels.append(means.round().to(torch.uint8))


def box_means(values: Tensor, count: int, width: float) -> Tensor:
    """Means of values (..., n) over boxes `width` wide about the centres of `count` equal cells: (..., count) float64.

    Every value counts as constant over its own pixel, so that the means are exact, from differences of one running
    sum; a box that sticks out is cut at the edge.
    """
    n = values.shape[-1]
    total = F.pad(values.double().cumsum(-1), (1, 0))
    centre = (torch.arange(count, dtype=torch.float64, device=values.device) + 0.5) * n / count
    left, right = (centre - width / 2).clamp(min=0), (centre + width / 2).clamp(max=n)
    return (_read(total, right) - _read(total, left)) / (right - left)


def level_of(pixels: Tensor, count: int) -> Tensor:
    """The level (n,) int64, of `count`, for crops whose output pixel covers `pixels` (n,) source pixels a side."""
    box = torch.hypot(pixels * _BOX_OF_A_PIXEL, torch.full_like(pixels, _LEAST_BOX))
    return (LEVELS_AN_OCTAVE * box.log2()).round().clamp(0, count - 1).long()


def _read(values: Tensor, where: Tensor) -> Tensor:
    before = where.floor().clamp(max=values.shape[-1] - 2).long()
    return torch.lerp(values[..., before], values[..., before + 1], where - before)


def _texels(level: Tensor) -> Tensor:
    opaque = torch.full_like(level[:1], 255)
    return torch.cat([level, opaque]).flatten(1).T.contiguous()
