"""Averaged copies of the source images, in one flat array, so that a crop of any size is read without aliasing.

A mip level holds an image averaged over boxes of one width (Williams 1983, "Pyramidal parametrics"). An octave has
three levels, not one, and a level keeps its texels closer than its boxes are wide: a single bilinear read then comes
within 40 dB of averaging the photograph over every output pixel (tests/test_render.py), where plain halvings reach 35.
"""

from __future__ import annotations

import itertools
from collections.abc import Iterator, Sequence

import torch
from torch import Tensor

LEVELS_AN_OCTAVE = 3
TEXELS_A_BOX = 2.5
_BOX_OF_A_PIXEL = 0.9  # the best box for an output pixel, in its width; the bilinear read itself blurs by the rest
_LEAST_BOX = 0.6  # source pixels; so that one level finer is never chosen where the photograph would alias

_PIXELS_AT_ONCE = 1 << 18  # of images that are averaged together, in numbers of eight bytes
_FEWEST_TEXELS = 8  # on the short side of the coarsest level
_MOST_TEXELS = 2**31 - 1  # places are counted in 32 bits, for speed


def build_atlas(images: Sequence[Tensor]) -> tuple[Tensor, Tensor]:
    """All levels of N images (3, H, W) uint8, one after another.

    Returns the texels (T, 4) uint8, RGB and a 255 that makes a texel one 32-bit word, and the levels (N, L, 3) int32:
    place of the first texel, width and height. An image with fewer than L levels repeats its last.
    Raises ValueError where the images need more texels than 32 bits can count.
    """
    rows, total = [], 0
    for image in images:
        row = []
        for height, width in level_sizes(*image.shape[1:]):
            row.append((total, width, height))
            total += width * height
        rows.append(row)
    if total > _MOST_TEXELS:
        raise ValueError(f"{len(images)} images need {total:,} texels, over {_MOST_TEXELS:,}; use fewer or smaller")
    texels = torch.full((total, 4), 255, dtype=torch.uint8)
    for start, stop in _alike(images):
        first, texels_each = rows[start][0][0], sum(width * height for _, width, height in rows[start])
        block = texels[first : first + (stop - start) * texels_each].view(stop - start, texels_each, 4)
        for (place, width, height), level in zip(rows[start], mip_levels(torch.stack(list(images[start:stop])))):
            block[:, place - first : place - first + width * height, :3] = level.flatten(2).mT
    most = max(len(row) for row in rows)
    padded = [row + [row[-1]] * (most - len(row)) for row in rows]
    return texels, torch.tensor(padded, dtype=torch.int32)


def _alike(images: Sequence[Tensor]) -> Iterator[tuple[int, int]]:
    """Runs of images of one size, from the first to before the last, cut into parts that are averaged together: many
    small images one by one would take minutes."""
    start = 0
    for shape, run in itertools.groupby(images, lambda image: image.shape):
        end, at_once = start + sum(1 for _ in run), max(1, _PIXELS_AT_ONCE // (shape[1] * shape[2]))
        yield from ((i, min(i + at_once, end)) for i in range(start, end, at_once))
        start = end


def level_sizes(height: int, width: int) -> list[tuple[int, int]]:
    """Height and width in texels of every level of an image, down to a few texels."""
    sizes = [(height, width)]
    while True:
        spacing = max(1.0, _box(len(sizes)) / TEXELS_A_BOX)
        if min(height, width) / spacing < _FEWEST_TEXELS:
            return sizes
        sizes.append((round(height / spacing), round(width / spacing)))


def mip_levels(images: Tensor) -> Iterator[Tensor]:
    """(..., 3, H, W) uint8 averaged over boxes of 1, 2^(1/3), 2^(2/3), 2, ... pixels, down to a few texels, uint8."""
    yield images
    down, right = images.dim() - 2, images.dim() - 1
    sums = running_sums(images, right)
    for i, (height, width) in enumerate(level_sizes(*images.shape[-2:])[1:], 1):
        columns = box_means(sums, right, width, _box(i))
        yield box_means(running_sums(columns, down), down, height, _box(i)).round_().to(torch.uint8)


def running_sums(values: Tensor, dim: int) -> Tensor:
    """The sums of the first 0, 1, 2, ... values along a dimension, float64: one more than there are values."""
    start = torch.zeros_like(values.narrow(dim, 0, 1), dtype=torch.float64)
    return torch.cat([start, values.cumsum(dim, dtype=torch.float64)], dim)


def box_means(sums: Tensor, dim: int, count: int, width: float) -> Tensor:
    """Means over boxes `width` wide about the centres of `count` equal cells along a dimension, from `running_sums`.

    Every value counts as constant over its own pixel, so that the means are exact; a box that sticks out is cut at
    the edge. Along the dimension the result has `count` numbers.
    """
    n = sums.shape[dim] - 1
    centre = (torch.arange(count, dtype=torch.float64) + 0.5) * n / count
    left, right = (centre - width / 2).clamp(min=0), (centre + width / 2).clamp(max=n)
    shape = [-1 if i == dim else 1 for i in range(sums.dim())]
    return (_read(sums, dim, right) - _read(sums, dim, left)).div_((right - left).view(shape))


def level_of(pixels: Tensor, count: int) -> Tensor:
    """The level (n,) int64, of `count`, for crops whose output pixel covers `pixels` (n,) source pixels a side."""
    box = torch.hypot(pixels * _BOX_OF_A_PIXEL, torch.full_like(pixels, _LEAST_BOX))
    return (LEVELS_AN_OCTAVE * box.log2()).round().clamp(0, count - 1).long()


def _box(level: int) -> float:
    """Source pixels that a level's boxes are wide."""
    return 2 ** (level / LEVELS_AN_OCTAVE)


def _read(sums: Tensor, dim: int, where: Tensor) -> Tensor:
    before = where.floor().clamp(max=sums.shape[dim] - 2).long()
    share = (where - before).view([-1 if i == dim else 1 for i in range(sums.dim())])
    return torch.lerp(sums.index_select(dim, before), sums.index_select(dim, before + 1), share)
