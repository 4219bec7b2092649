"""How close a picture is to exact area sampling, which every renderer of crops approximates."""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

from course_lib.data.crops import Crops
from course_lib.data.sources import Source

_FINE = 12


def exact_crops(source: Source, crops: Crops, side: int) -> Tensor:
    """What `render` approximates: (n, 3, side, side) in [-1, 1], each output pixel the mean of the photograph over the
    parallelogram that it covers, by 144 bilinear samples. Slow: some hundred crops a second at 32 px."""
    offsets = (torch.arange(side * _FINE) + 0.5) / (side * _FINE) - 0.5
    square = torch.stack(torch.meshgrid(offsets, offsets, indexing="xy"), -1).flatten(0, 1)
    result = []
    for i, affine, colour in zip(crops.source.tolist(), crops.affine, crops.colour):
        places = square @ affine[:, :2].T + affine[:, 2]
        grid = (2 * places / source.sizes[i] - 1).view(1, side * _FINE, side * _FINE, 2)
        image = source.image(i)[None].float() / 255
        fine = F.grid_sample(image, grid, padding_mode="border", align_corners=False)
        means = F.avg_pool2d(fine, _FINE)[0].flatten(1)
        result.append((colour[:, :3] @ means + colour[:, 3:]).clamp(0, 1).view(3, side, side))
    return torch.stack(result) * 2 - 1


def psnr(pixels: Tensor, exact: Tensor) -> float:
    """Peak signal-to-noise ratio in dB of pixels in [-1, 1], a range of 2; infinite where they are equal."""
    error = (pixels.double() - exact.double()).square().mean().item()
    return 10 * math.log10(4 / error) if error else math.inf


def cut_pieces(images: Sequence[Tensor], count: int, side: int, seed: int = 0) -> list[Tensor]:
    """`count` squares (3, side, side) uint8 cut out of images (3, H, W) at random places, from each image in turn.

    A stand-in for many images where there are few. Raises ValueError where an image is smaller than a piece.
    """
    if (least := min(min(image.shape[1:]) for image in images)) < side:
        raise ValueError(f"pieces of {side} pixels do not fit into an image with a side of {least}")
    rng = np.random.default_rng(seed)
    pieces = []
    for i in range(count):
        image = images[i % len(images)]
        top, left = (int(rng.integers(0, size - side + 1)) for size in image.shape[1:])
        pieces.append(image[:, top : top + side, left : left + side].contiguous())
    return pieces
