"""The N source images that every crop is cut from, on one device as one mip atlas. Taught in notebook 01."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
import torch
import torch.nn.functional as F
from PIL import Image, ImageDraw
from torch import Tensor

from course_lib.data.images import LUMA
from course_lib.data.mips import build_atlas
from course_lib.support.errors import CourseError

GENERATED = ("dead_leaves", "noise", "flat")
LONGEST_SIDE = 2048
"""Pixels. A larger photograph is averaged down to this first, so that any camera's picture fits into memory."""


@dataclass(frozen=True)
class Source:
    """N source images of any sizes in one mip atlas.

    name: what the images are, for tables and captions.
    texels: (T, 4) uint8, every level of every image one after another: RGB and a 255.
    sizes: (N, 2) width and height of each image in pixels.
    levels: (N, L, 3) int32, place of the first texel, width and height of each level; an image with fewer than L
        levels repeats its last.
    mean_grey: (N,) mean luminance of each image in [0, 1], the pivot of the contrast jitter.
    """

    name: str
    texels: Tensor
    sizes: Tensor
    levels: Tensor
    mean_grey: Tensor

    @classmethod
    def from_images(cls, images: Sequence[Tensor], name: str) -> Source:
        """An atlas of N images, each (3, H, W) uint8. Raises ValueError where there is none, or one is too small."""
        if not images:
            raise ValueError("a source needs at least one image, got none")
        if (least := min(min(image.shape[1:]) for image in images)) < 2:
            raise ValueError(f"a source image needs at least 2 pixels a side, got one with {least}")
        texels, levels = build_atlas(images)
        sizes = torch.tensor([[image.shape[2], image.shape[1]] for image in images])
        grey = torch.stack([LUMA.float() @ image.float().mean((1, 2)) / 255 for image in images])
        return cls(name, texels, sizes, levels, grey)

    def __len__(self) -> int:
        return len(self.sizes)

    @property
    def device(self) -> torch.device:
        """Where the atlas lies, and crops are rendered."""
        return self.texels.device

    def image(self, i: int = 0) -> Tensor:
        """Image i at full size: (3, H, W) uint8."""
        first, width, height = self.levels[i, 0].tolist()
        return self.texels[first : first + width * height, :3].T.view(3, height, width)

    def to(self, device: torch.device | str) -> Source:
        """The same source on a device."""
        parts = ("texels", "sizes", "levels", "mean_grey")
        return replace(self, **{part: getattr(self, part).to(device) for part in parts})


def shrink(image: Tensor, longest_side: int = LONGEST_SIDE) -> Tensor:
    """(3, H, W) uint8, averaged down where its longest side is above `longest_side` pixels."""
    scale = longest_side / max(image.shape[1:])
    if scale >= 1:
        return image
    size = [round(side * scale) for side in image.shape[1:]]
    return F.interpolate(image[None], size=size, mode="bilinear", antialias=True)[0]


def generate(kind: str, width: int = 640, height: int = 427, seed: int = 0) -> Tensor:
    """An image made by a rule, for the controls: (3, height, width) uint8.

    `flat` is one grey, `noise` has independent uniform pixels, `dead_leaves` is a pile of discs whose radii follow
    a power law, which gives it the edges and the scale statistics of a photograph without its content
    (Lee, Mumford and Huang 2001).
    """
    rng = np.random.default_rng(seed)
    if kind == "flat":
        return torch.full((3, height, width), 128, dtype=torch.uint8)
    if kind == "noise":
        return torch.from_numpy(rng.integers(0, 256, (3, height, width), dtype=np.uint8))
    if kind == "dead_leaves":
        return _dead_leaves(width, height, rng)
    raise CourseError(f"no generated image is called {kind!r}; there is {', '.join(GENERATED)}")


def _dead_leaves(width: int, height: int, rng: np.random.Generator) -> Tensor:
    leaves, smallest, largest = 6000, 2.0, height / 3
    # Radii with density r^-3 between the two limits, by inverting the cumulative distribution.
    u = rng.random(leaves)
    radii = (smallest**-2 + u * (largest**-2 - smallest**-2)) ** -0.5
    x, y = rng.uniform(-20, width + 20, leaves), rng.uniform(-20, height + 20, leaves)
    colours = rng.integers(0, 256, (leaves, 3))
    canvas = Image.new("RGB", (width, height), tuple(colours[0].tolist()))
    pen = ImageDraw.Draw(canvas)
    for cx, cy, r, colour in zip(x, y, radii, colours.tolist()):
        pen.ellipse((cx - r, cy - r, cx + r, cy + r), fill=tuple(colour))
    return torch.from_numpy(np.array(canvas)).permute(2, 0, 1).contiguous()
