"""The pixels of crops: one bilinear read from the mip atlas and one linear map of the colours. Taught in notebook 01.

This is the renderer in plain PyTorch, which runs anywhere; `crops_triton.py` is the same picture as one GPU kernel.
"""

from __future__ import annotations

import functools
import warnings
from typing import NamedTuple

import torch
from torch import Tensor

from course_lib.data.crops import Crops, CropScheme
from course_lib.data.mips import level_of
from course_lib.data.sources import Source, generate

RANGES = {torch.float32: (-1, 1), torch.bfloat16: (-1, 1), torch.uint8: (0, 255)}
_BYTES = (0xFF, 0xFF00, 0xFF0000)  # red, green and blue where they stand in a texel read as one 32-bit word
_PIXELS_A_THREAD = 1 << 16  # rendered at a time on a CPU: more would leave its caches, and take twice as long a pixel
_TOLERANCE = 2  # of 255, between the two renderers


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


def render(source: Source, crops: Crops, side: int, dtype: torch.dtype = torch.float32) -> Tensor:
    """The crops' pixels: (n, 3, side, side) channels_last, on the source's device.

    dtype: float32 or bfloat16 for values in [-1, 1], uint8 for 0 to 255. On a GPU with Triton the work is one kernel.
    Raises ValueError for another dtype and for a side below 1.
    """
    if side < 1:
        raise ValueError(f"side must be at least 1 pixel, got {side}")
    if dtype not in RANGES:
        raise ValueError(f"dtype must be float32, bfloat16 or uint8, got {dtype}")
    placed, n = place(source, crops, side, dtype), len(crops)
    if source.device.type == "cuda" and kernel_works(source.device):
        from course_lib.data import crops_triton  # here, since Triton takes memory that a CPU's kernel needs for itself

        return crops_triton.render_triton(source.texels, placed, side, dtype, *RANGES[dtype])
    at_once = n
    if source.device.type == "cpu":
        at_once = max(1, torch.get_num_threads() * _PIXELS_A_THREAD // side**2)
    if n <= at_once:
        return render_torch(source.texels, placed, side, dtype, *RANGES[dtype])
    out = torch.empty(n, side, side, 3, dtype=dtype).permute(0, 3, 1, 2)
    for i in range(0, n, at_once):
        part = Placed(*(numbers[i : i + at_once] for numbers in placed))
        out[i : i + at_once] = render_torch(source.texels, part, side, dtype, *RANGES[dtype])
    return out


@functools.cache
def kernel_works(device: torch.device) -> bool:
    """Whether the Triton kernel runs on this GPU and draws what plain PyTorch draws; tried once, on a few crops.

    Where it does not, a warning says why, and the course goes on with the slower renderer.
    """
    try:
        from course_lib.data import crops_triton

        source = Source.from_images([generate("dead_leaves", 320, 200)], "trial").to(device)
        placed = place(source, CropScheme().sample(source, 16).to(device), 32, torch.uint8)
        drawn, expected = (
            draw(source.texels, placed, 32, torch.uint8, *RANGES[torch.uint8]).int()
            for draw in (crops_triton.render_triton, render_torch)
        )
        far = int((drawn - expected).abs().max())
    except ImportError:  # Triton comes with torch on Linux, and not everywhere else
        return False
    except Exception as error:  # a driver, a compiler or a card that Triton does not know
        warnings.warn(f"rendering in plain PyTorch, since Triton failed on {device}: {error}", stacklevel=3)
        return False
    if far > _TOLERANCE:
        warnings.warn(f"rendering in plain PyTorch, since Triton was {far} of 255 off on {device}", stacklevel=3)
    return far <= _TOLERANCE


def render_torch(texels: Tensor, placed: Placed, side: int, dtype: torch.dtype, low: int, high: int) -> Tensor:
    """Placed crops in plain PyTorch: (n, 3, side, side) channels_last, clipped to [low, high].

    Element by element, so that a crop's pixels do not depend on the rest of the batch.
    """
    corners, x, y = _gather(texels, placed, side)
    planes = []
    for mask in _BYTES:
        plane = (corners & mask).float()
        columns = plane[:2].lerp_(plane[2:], y)
        planes.append(columns[0].lerp_(columns[1], x))
    mixed = [_mix(row, planes) for row in placed.colour[..., None, None].unbind(1)]
    return torch.stack(mixed, -1).clamp_(low, high).to(dtype).permute(0, 3, 1, 2)


def _gather(texels: Tensor, placed: Placed, side: int) -> tuple[Tensor, Tensor, Tensor]:
    """The four texels about every output pixel, (4, n, side, side) int32, and how far it lies between them, in x and
    in y, (n, side, side) each. The four are top left, top right, bottom left and bottom right."""
    first, width, height = placed.texel[:, :, None, None].unbind(1)
    centre = (torch.arange(side, device=texels.device) + 0.5) / side - 0.5
    x, y = (
        torch.addcmul(row[:, 1] * centre[:, None] + row[:, 2], row[:, 0], centre)
        for row in placed.affine[..., None, None].unbind(1)
    )
    x, left = _cell(x, width)
    y, top = _cell(y, height)
    corner = torch.addcmul(first + left, top, width)
    steps = torch.stack([torch.zeros_like(width), torch.ones_like(width), width, width + 1])
    words = texels.view(torch.int32).view(-1)
    return words.index_select(0, (corner + steps).flatten()).view(4, *x.shape), x.sub_(left), y.sub_(top)


def _cell(where: Tensor, size: Tensor) -> tuple[Tensor, Tensor]:
    """Coordinates (n, side, side) kept within a level of `size` texels, and the texel before each, never the last."""
    where = where.clamp_(torch.zeros_like(size), size - 1)
    return where, torch.minimum(where.int(), size - 2)


def _mix(row: Tensor, planes: list[Tensor]) -> Tensor:
    """One output channel, (n, side, side): a constant and a multiple of each plane."""
    mixed = torch.addcmul(row[:, 3], row[:, 0], planes[0])
    return mixed.addcmul_(row[:, 1], planes[1]).addcmul_(row[:, 2], planes[2])
