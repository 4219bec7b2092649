"""Where crops are read from: each on the mip level that fits it, as numbers that both renderers take."""

from __future__ import annotations

from typing import NamedTuple

import torch
from torch import Tensor

from course_lib.data.crops import Crops
from course_lib.data.mips import level_of
from course_lib.data.sources import Source


class Placed(NamedTuple):
    """What a renderer needs of n crops, as numbers: where to read, and how to mix the colours.

    texel: (n, 3) int32, the mip level: place of its first texel, width, height.
    affine: (n, 2, 3) map from the output square [-1/2, 1/2]^2 to that level's texels, whose centres have whole numbers.
    colour: (n, 3, 4) map of a texel's bytes, each where it stands in the word, and a constant 1 to the output's range.
    """

    texel: Tensor
    affine: Tensor
    colour: Tensor


def place(source: Source, crops: Crops, side: int, dtype: torch.dtype = torch.float32) -> Placed:
    """Choose each crop's mip level by the source pixels that an output pixel covers, and move its map there."""
    which = crops.source.long()
    level = level_of(crops.size.prod(1).sqrt() / side, source.levels.shape[1])
    texel = source.levels[which, level]
    affine = crops.affine * (texel[:, 1:] / source.sizes[which])[:, :, None]
    affine[:, :, 2] -= 0.5  # the centre of a level's first texel lies half a texel inside
    # Truncated to a byte later, so that 0.5 rounds.
    gain, offset, half = (255, 0, 0.5) if dtype == torch.uint8 else (2, -1, 0)
    worth = 255 * 256.0 ** torch.arange(3, device=affine.device)  # of _BYTES, made where it is used
    colour = torch.cat([gain * crops.colour[:, :, :3] / worth, gain * crops.colour[:, :, 3:] + offset + half], 2)
    return Placed(texel, affine, colour)
