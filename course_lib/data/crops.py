"""Random crops of the source images: first a table of numbers, then pixels.

The paper's augmentation (Asano, Rupprecht and Vedaldi 2020, section 3): a crop of w x h in an image of W x H has
wh / WH in [beta, 1] and h / w in [gamma, 1 / gamma]; it is turned by an angle in [-alpha, alpha], flipped half of the
time, and its colours are jittered. Taught in notebook 01.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass, fields, replace
from typing import TYPE_CHECKING, NamedTuple

import numpy as np
import torch
from torch import Tensor

from course_lib.data.images import LUMA

if TYPE_CHECKING:
    from course_lib.data.sources import Source

AREA_LAWS = ("uniform", "log-uniform")

PARTS_OF_SCHEME = {
    "crop": {"beta": 1.0, "gamma": 1.0},
    "rotation": {"alpha": 0.0},
    "colour": {"jitter": 0.0},
    "flip": {"flip": 0.0},
}
"""The parts of the scheme that can be left out, and what stands for each then."""

_DRAWS = 12  # random numbers a crop; a multiple of 4, the numbers that Philox gives a counter step
_BLOCK = 1 << 15  # crops made at a time, so that a million of them need little more than their own memory

_YIQ = torch.tensor(
    [[0.299, 0.587, 0.114], [0.595716, -0.274453, -0.321263], [0.211456, -0.522591, 0.311135]], dtype=torch.float64
)


@dataclass(frozen=True)
class Crops:
    """A table of n crops: numbers that a figure can draw and `render` turns into pixels.

    source: (n,) index of the source image.
    affine: (n, 2, 3) map from the output square [-1/2, 1/2]^2 to the image's pixels, x right and y down.
    colour: (n, 3, 4) linear map of an RGB value in [0, 1] and a constant 1.
    """

    source: Tensor
    affine: Tensor
    colour: Tensor

    def __len__(self) -> int:
        return len(self.source)

    def __getitem__(self, index: int | slice | Tensor) -> Crops:
        """Some of the crops; an integer gives a table of one."""
        if isinstance(index, int):
            index = slice(index, index + 1 or None)
        return Crops(self.source[index], self.affine[index], self.colour[index])

    def to(self, device: torch.device | str) -> Crops:
        """The same table on a device."""
        return Crops(*(getattr(self, field.name).to(device) for field in fields(self)))

    @property
    def size(self) -> Tensor:
        """(n, 2) width and height in the image's pixels, along the crop's own turned sides."""
        return self.affine[:, :, :2].norm(dim=1)

    @property
    def angle(self) -> Tensor:
        """(n,) degrees, as `alpha` bounds them. Read from the crop's downward side, which a mirror image leaves where
        it was."""
        return torch.atan2(-self.affine[:, 0, 1], self.affine[:, 1, 1]).rad2deg()

    @property
    def corners(self) -> Tensor:
        """(n, 4, 2) the corners in the image's pixels: top left, top right, bottom right, bottom left."""
        square = self.affine.new_tensor([[-1, -1], [1, -1], [1, 1], [-1, 1]]) / 2
        return square @ self.affine[:, :, :2].mT + self.affine[:, None, :, 2]

    def compose(self, inner: Tensor) -> Crops:
        """The crop that `inner`, a map (2, 3) or (n, 2, 3) of the output square, cuts out of each crop."""
        moved = product(self.affine[:, :, :2], inner)
        return replace(self, affine=torch.cat([moved[:, :, :2], moved[:, :, 2:] + self.affine[:, :, 2:]], 2))

    def turned(self, quarter_turns: int) -> Crops:
        """The same crops turned counter-clockwise by 90 degrees times `quarter_turns`, as RotNet needs them.

        The turn is folded into the map, so that no pixel is resampled twice.
        """
        return replace(self, affine=turned_maps(self.affine, quarter_turns))

    def tiles(self, grid: int, gap: float, places: Tensor) -> Crops:
        """Each crop cut into grid x grid tiles, row by row: (n * grid^2) crops, those of one crop together.

        A tile is smaller than its cell by the share `gap` in [0, 1), so that no edge runs on from one tile into the
        next. places: (n, grid^2, 2) numbers in [0, 1] that put each tile within its cell.
        """
        cells = (torch.arange(grid, device=self.affine.device) + 0.5) / grid - 0.5
        centres = torch.stack([cells.repeat(grid), cells.repeat_interleave(grid)], 1).repeat(len(self), 1)
        centres = centres + (places.reshape(-1, 2).to(centres) - 0.5) * gap / grid
        scale = torch.eye(2, device=centres.device).expand(len(centres), 2, 2) * ((1 - gap) / grid)
        every = torch.arange(len(self), device=centres.device).repeat_interleave(grid * grid)
        return self[every].compose(torch.cat([scale, centres[:, :, None]], 2))


@dataclass(frozen=True)
class CropScheme:
    """The augmentations, with the names of the paper (section 3).

    beta: least area of a crop as a share of its image, in (0, 1].
    gamma: least ratio of height to width, in (0, 1]; the greatest is 1 / gamma.
    alpha: greatest angle in degrees, in [0, 180].
    flip: probability of a mirror image, in [0, 1].
    jitter: s in [0, 1]: brightness, contrast and saturation change by a factor in [1 - s, 1 + s], hue by up to
        s / 4 of a full turn; 0.4 gives the ranges of the authors' script.
    area_law: how the area is spread over [beta, 1]: "uniform", as in the authors' script, or "log-uniform", where every
        scale is as likely as every other.
    """

    beta: float = 1e-4
    gamma: float = 3 / 4
    alpha: float = 35.0
    flip: float = 0.5
    jitter: float = 0.4
    area_law: str = "uniform"

    def __post_init__(self) -> None:
        _require("beta", self.beta, 0 < self.beta <= 1, "(0, 1]")
        _require("gamma", self.gamma, 0 < self.gamma <= 1, "(0, 1]")
        _require("alpha", self.alpha, 0 <= self.alpha <= 180, "[0, 180] degrees")
        _require("flip", self.flip, 0 <= self.flip <= 1, "[0, 1]")
        _require("jitter", self.jitter, 0 <= self.jitter <= 1, "[0, 1]")
        if self.area_law not in AREA_LAWS:
            raise ValueError(f"area_law must be one of {', '.join(AREA_LAWS)}, got {self.area_law!r}")

    def without(self, part: str) -> CropScheme:
        """The scheme with a part left out: "crop", "rotation", "colour" or "flip"; "all" leaves out all four.

        Without "crop" every crop is the largest square that lies inside the image: it can only slide along the longer
        side. An empty text leaves out nothing. Taught in notebook 08. Raises ValueError for another part.
        """
        if part and part not in (*PARTS_OF_SCHEME, "all"):
            raise ValueError(f"part must be one of {', '.join(PARTS_OF_SCHEME)} or all, got {part!r}")
        named = PARTS_OF_SCHEME if part == "all" else [part] if part else []
        return replace(self, **{name: value for one in named for name, value in PARTS_OF_SCHEME[one].items()})

    def sample(self, source: Source, count: int, seed: int = 0, first: int = 0, parts: Parts | None = None) -> Crops:
        """Crops `first` to `first + count - 1` of the endless sequence that (scheme, source, seed) defines.

        Crop i depends on (seed, i) alone, whatever the count. The table is made on the CPU, so that it is the same
        for every device, and returned there. The crops go round the N source images in turn.
        parts: functions to use in place of the library's, as a learner's in notebook 01.
        """
        table = Crops(torch.empty(count, dtype=torch.int32), torch.empty(count, 2, 3), torch.empty(count, 3, 4))
        sizes, mean_grey = source.sizes.cpu().double(), source.mean_grey.cpu().double()
        for start in range(0, count, _BLOCK):
            stop = min(start + _BLOCK, count)
            u = uniforms(seed, first + start, stop - start)
            which = torch.arange(first + start, first + stop) % len(source)
            table.source[start:stop] = which
            table.affine[start:stop] = self.affine_maps(u[:6], sizes[which], parts)
            table.colour[start:stop] = self.colour_maps(u[6:10], mean_grey[which], parts)
        return table

    def sample_within(self, crops: Crops, seed: int = 0, first: int = 0) -> Crops:
        """A second view of each crop: it is cropped, turned, flipped and recoloured once more by this scheme.

        Both maps become one, so that no pixel is resampled twice; here "the image" of the scheme is the crop's square.
        The view of crop i depends on (seed, first + i) alone. Contrast pivots about middle grey, since nobody knows
        the mean of a crop before it is rendered; and what the first colours would have clipped is not clipped.
        """
        n, device = len(crops), crops.affine.device
        u = uniforms(seed, first, n)
        inner = self.affine_maps(u[:6], torch.ones(n, 2, dtype=torch.float64))
        inner[:, :, 2] -= 0.5  # the affine maps of an image begin at its corner, the square's at its centre
        colour = self.colour_maps(u[6:10], torch.full((n,), 0.5, dtype=torch.float64)).float().to(device)
        view = crops.compose(inner.float().to(device))
        mix = product(colour[:, :, :3], crops.colour)
        mix[:, :, 3] += colour[:, :, 3]
        return replace(view, colour=mix)

    def affine_maps(self, u: Tensor, sizes: Tensor, parts: Parts | None = None) -> Tensor:
        """(n, 2, 3) maps from the output square to pixels, from six uniform numbers a crop, u (6, n).

        The area is spread over [beta, 1] of the image's by `area_law`, the ratio h / w is log-uniform, the angle
        uniform, the place uniform over all where the turned crop lies inside. A crop too large to lie inside anywhere
        is shrunk about its own shape until it just does: no black corner, no invented pixel, no rejection.
        """
        parts = parts or PARTS
        width, height = sizes.unbind(1)
        share = self.beta ** (1 - u[0]) if self.area_law == "log-uniform" else self.beta + (1 - self.beta) * u[0]
        ratio = torch.exp((2 * u[1] - 1) * math.log(1 / self.gamma))
        angle = (2 * u[2] - 1) * math.radians(self.alpha)
        w, h = parts.crop_size(share * width * height, ratio)
        box_w, box_h = parts.bounding_box(w, h, angle)
        fit = torch.minimum(width / box_w, height / box_h).clamp(max=1)
        w, h, box_w, box_h = w * fit, h * fit, box_w * fit, box_h * fit
        x, y = box_w / 2 + u[3] * (width - box_w), box_h / 2 + u[4] * (height - box_h)
        cos, sin = angle.cos(), angle.sin()
        turned = torch.stack([w * cos, -h * sin, w * sin, h * cos], 1).view(-1, 2, 2)
        turned = turned @ parts.flip_map(u[5] < self.flip).to(turned)
        return torch.cat([turned, torch.stack([x, y], 1)[:, :, None]], 2)

    def colour_maps(self, u: Tensor, mean_grey: Tensor, parts: Parts | None = None) -> Tensor:
        """(n, 3, 4) maps of an RGB value, from four uniform numbers a crop, u (4, n).

        Brightness, contrast, saturation and hue, in this order, are each linear, so that their product is one
        matrix. Contrast pivots about the image's mean grey (n,); hue turns the colour plane of YIQ.
        """
        s, parts = self.jitter, parts or PARTS
        brightness, contrast, saturation = 1 + s * (2 * u[:3] - 1)
        turn = 2 * math.pi * (s / 4) * (2 * u[3] - 1)
        hue = torch.eye(3, dtype=u.dtype).repeat(len(turn), 1, 1)
        hue[:, 1, 1], hue[:, 1, 2] = turn.cos(), -turn.sin()
        hue[:, 2, 1], hue[:, 2, 2] = turn.sin(), turn.cos()
        mixed = parts.colour_map(brightness, contrast, saturation, mean_grey).to(hue)
        return torch.linalg.inv(_YIQ) @ hue @ _YIQ @ mixed


def product(a: Tensor, b: Tensor) -> Tensor:
    """a @ b for small matrices (..., i, j) and (..., j, k), never in less than their own precision: with the few bits
    of bfloat16 or TF32, which training may switch on, a place in a photograph would be off by pixels."""
    return (a[..., :, :, None] * b[..., None, :, :]).sum(-2)


def crop_size(area: Tensor, ratio: Tensor) -> tuple[Tensor, Tensor]:
    """Width and height in pixels of crops with these areas in pixels and these ratios of height to width, all (n,)."""
    return (area / ratio).sqrt(), (area * ratio).sqrt()


def bounding_box(width: Tensor, height: Tensor, angle: Tensor) -> tuple[Tensor, Tensor]:
    """Width and height of the upright box around crops (n,) turned by `angle` (n,) radians."""
    cos, sin = angle.cos().abs(), angle.sin().abs()
    return width * cos + height * sin, width * sin + height * cos


def flip_map(flipped: Tensor) -> Tensor:
    """(n, 2, 2) maps of the output square that swap left and right where `flipped` (n,) is true."""
    maps = torch.eye(2).repeat(len(flipped), 1, 1)
    maps[:, 0, 0] = torch.where(flipped, -1.0, 1.0)
    return maps


def turned_maps(affine: Tensor, quarter_turns: int) -> Tensor:
    """Maps (n, 2, 3) from the output square to pixels, so changed that what they cut out is turned counter-clockwise.

    The columns of a map say where one step to the right and one step down in the crop lead, and where its middle lies.
    Turned once, the right of the new crop is what was down. Taught in notebook 02.
    """
    cos, sin = ((1, 0), (0, 1), (-1, 0), (0, -1))[quarter_turns % 4]
    right, down, centre = affine.unbind(2)
    return torch.stack([cos * right + sin * down, cos * down - sin * right, centre], 2)


def colour_map(brightness: Tensor, contrast: Tensor, saturation: Tensor, mean_grey: Tensor) -> Tensor:
    """(n, 3, 4) maps of an RGB value and a constant 1, from four numbers a crop, (n,) each.

    First the value is multiplied by `brightness`; then its distance from the grey that `mean_grey` has become, by
    `contrast`; then its distance from its own luminance, by `saturation`.
    """
    grey = LUMA.to(saturation).expand(3, 3)
    saturate = saturation[:, None, None] * torch.eye(3).to(grey) + (1 - saturation)[:, None, None] * grey
    # A grey stays what it is under a change of saturation, and so does the constant.
    constant = ((1 - contrast) * brightness * mean_grey)[:, None, None].expand(-1, 3, 1)
    return torch.cat([saturate * (brightness * contrast)[:, None, None], constant], 2)


class Parts(NamedTuple):
    """The four functions that a scheme is made of; in notebook 01 the learner writes them."""

    crop_size: Callable[[Tensor, Tensor], tuple[Tensor, Tensor]]
    bounding_box: Callable[[Tensor, Tensor, Tensor], tuple[Tensor, Tensor]]
    flip_map: Callable[[Tensor], Tensor]
    colour_map: Callable[[Tensor, Tensor, Tensor, Tensor], Tensor]


PARTS = Parts(crop_size, bounding_box, flip_map, colour_map)


def uniforms(seed: int, first: int, count: int) -> Tensor:
    """(12, count) uniform numbers in [0, 1), float64; column i belongs to crop `first + i` and to `seed` alone.

    Philox is a counter-based generator (Salmon et al. 2011): any crop's numbers are reached without making those
    before it, and they are the same on every machine.
    """
    if seed < 0 or first < 0:
        raise ValueError(f"seed and first must not be negative, got {seed} and {first}")
    bits = np.random.Philox(key=seed).advance(first * _DRAWS // 4).random_raw(count * _DRAWS)
    return torch.from_numpy((bits >> np.uint64(11)) * 2.0**-53).view(count, _DRAWS).T


def _require(name: str, value: float, holds: bool, allowed: str) -> None:
    if not holds:
        raise ValueError(f"{name} must lie in {allowed}, got {value}")
