"""The renderer of render.py as one GPU kernel: the same picture, within 2 of 255, and no array between its steps.

A program renders a block of one crop's pixels. Each texel is one 32-bit load; the crop's numbers are loaded once a
program; and the finished pixels change places between threads, so that memory is written in whole lines.
"""

from __future__ import annotations

import torch
import triton
import triton.language as tl
from torch import Tensor

BLOCK = 1024  # pixels a program: a whole crop at 32 px
OPTIONS = {"num_warps": 4, "enable_fp_fusion": True}
"""So many warps that a thread has eight pixels, whose loads overlap; a product and a sum in one instruction."""


def render_triton(
    texels: Tensor, placed: tuple[Tensor, Tensor, Tensor], side: int, dtype: torch.dtype, low: int, high: int
) -> Tensor:
    """`render.render_torch` by the kernel; arguments and result as there."""
    texel, affine, colour = placed
    n = len(texel)
    out = torch.empty(n, side, side, 3, dtype=dtype, device=texels.device)
    numbers = torch.cat([affine.flatten(1), colour.flatten(1)], 1)
    grid = (n, triton.cdiv(side * side, BLOCK))
    if not n:  # a GPU refuses an empty grid
        return out.permute(0, 3, 1, 2)
    with torch.cuda.device_of(out):
        draw[grid](texels.view(torch.int32), texel, numbers, out, side, low, high, BLOCK=BLOCK, **OPTIONS)
    return out.permute(0, 3, 1, 2)


@triton.jit
def draw(texels, texel, numbers, out, SIDE: tl.constexpr, LOW: tl.constexpr, HIGH: tl.constexpr, BLOCK: tl.constexpr):
    """One block of one crop: texels (T,) int32, texel (n, 3) int32 and numbers (n, 18) float32 as in `render.Placed`,
    out (n, SIDE, SIDE, 3)."""
    crop, block = tl.program_id(0).to(tl.int64), tl.program_id(1)
    first, width, height = tl.load(texel + crop * 3), tl.load(texel + crop * 3 + 1), tl.load(texel + crop * 3 + 2)
    number = numbers + crop * 18
    pixel = block * BLOCK + tl.arange(0, BLOCK)
    u = ((pixel % SIDE).to(tl.float32) + 0.5) / SIDE - 0.5
    v = ((pixel // SIDE).to(tl.float32) + 0.5) / SIDE - 0.5
    x = tl.load(number) * u + (tl.load(number + 1) * v + tl.load(number + 2))
    y = tl.load(number + 3) * u + (tl.load(number + 4) * v + tl.load(number + 5))
    x, left = cell(x, width)
    y, top = cell(y, height)
    corner = texels + first + left + top * width
    a, b = tl.load(corner), tl.load(corner + 1)
    c, d = tl.load(corner + width), tl.load(corner + width + 1)
    x, y = x - left.to(tl.float32), y - top.to(tl.float32)
    d_share = x * y
    b_share, c_share = x - d_share, y - d_share
    a_share = 1 - x - c_share
    red = blend(a & 0xFF, b & 0xFF, c & 0xFF, d & 0xFF, a_share, b_share, c_share, d_share)
    green = blend(a & 0xFF00, b & 0xFF00, c & 0xFF00, d & 0xFF00, a_share, b_share, c_share, d_share)
    blue = blend(a & 0xFF0000, b & 0xFF0000, c & 0xFF0000, d & 0xFF0000, a_share, b_share, c_share, d_share)
    kind = out.dtype.element_ty
    out_r = mix(number + 6, red, green, blue, LOW, HIGH).to(kind)
    out_g = mix(number + 10, red, green, blue, LOW, HIGH).to(kind)
    out_b = mix(number + 14, red, green, blue, LOW, HIGH).to(kind)
    # The joins put four numbers a pixel side by side, r g b g; the gather takes every fourth out, which moves them
    # between threads, so that each then writes 16 bytes in one piece.
    pixels = tl.reshape(tl.join(tl.join(out_r, out_b), tl.join(out_g, out_g)), (4 * BLOCK,))
    at = tl.arange(0, 4 * BLOCK)
    packed = tl.gather(pixels, tl.minimum(at + at // 3, 4 * BLOCK - 1), 0)
    start = out + (crop * SIDE * SIDE + block * BLOCK) * 3
    end = tl.minimum(SIDE * SIDE - block * BLOCK, BLOCK) * 3
    tl.store(start + at, packed, mask=at < end)


@triton.jit
def cell(where, size):
    """Coordinates kept within a level, and the texel before each, never the last."""
    where = tl.minimum(tl.maximum(where, 0.0), (size - 1).to(tl.float32))
    return where, tl.minimum(where.to(tl.int32), size - 2)


@triton.jit
def blend(a, b, c, d, a_share, b_share, c_share, d_share):
    """The four texels about a place, by the areas that they share of a texel centred there."""
    upper = a.to(tl.float32) * a_share + b.to(tl.float32) * b_share
    return upper + c.to(tl.float32) * c_share + d.to(tl.float32) * d_share


@triton.jit
def mix(row, red, green, blue, LOW: tl.constexpr, HIGH: tl.constexpr):
    """One output channel from one row of the colour map."""
    mixed = tl.load(row + 3) + tl.load(row) * red + tl.load(row + 1) * green + tl.load(row + 2) * blue
    return tl.minimum(tl.maximum(mixed, LOW), HIGH)
