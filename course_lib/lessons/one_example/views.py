"""Views of one photograph by known affine maps, so that every place is known exactly. Taught in notebook 12."""

from __future__ import annotations

import math
from dataclasses import replace

import torch
from torch import Tensor

from course_lib.data.crops import Crops, CropScheme
from course_lib.data.sources import Source
from course_lib.support.errors import CourseError

_TRIED = 2000  # views that are drawn, to find those that hold the box
_CLOSER = 1.25  # the most that the camera zooms in or out


def place_in(crops: Crops, points: Tensor, side: int) -> Tensor:
    """Where points (k, 2), x and y in the image's pixels, come to lie in crops of `side` pixels: (n, k, 2).

    The crops' own maps, backwards. The first pixel of a crop has its centre at 0.5.
    """
    linear, shift = crops.affine[:, :, :2].double(), crops.affine[:, :, 2].double()
    inner = torch.linalg.solve(linear, (points.double() - shift[:, None]).mT).mT
    return ((inner + 0.5) * side).float()


def box_in(crops: Crops, box: Tensor, side: int) -> Tensor:
    """The upright boxes about where a box (4,) of the image comes to lie in each crop: (n, 4)."""
    left, top, right, bottom = box.tolist()
    corners = torch.tensor([[left, top], [right, top], [right, bottom], [left, bottom]])
    places = place_in(crops, corners, side)
    return torch.cat([places.amin(1), places.amax(1)], 1)


def square_at(source: Source, centre: tuple[float, float], side: float, i: int = 0) -> Crops:
    """The upright square of `side` pixels about a point of source image i, moved inwards where it would stick out: a
    table of one crop, with the colours as they are.

    Raises ValueError for a square that is larger than the image.
    """
    sizes = source.sizes[i].float().cpu()
    if side > sizes.min():
        raise ValueError(f"a square of {side:g} pixels does not fit into an image of {sizes.int().tolist()}")
    x, y = (min(max(c, side / 2), float(size) - side / 2) for c, size in zip(centre, sizes))
    affine = torch.tensor([[[side, 0.0, x], [0.0, side, y]]])
    return Crops(torch.tensor([i], dtype=torch.int32), affine, torch.eye(3, 4)[None])


def views_with(
    around: Crops,
    box: Tensor,
    scheme: CropScheme,
    count: int,
    seed: int = 0,
    sides: tuple[float, float] = (0, math.inf),
) -> Crops:
    """`count` views within a crop, drawn by a scheme, that hold a box (4,) of the image wholly.

    around: a table of one crop. sides: how many pixels of the image a view is wide and high, at least and at most.
    Raises CourseError where the scheme gives hardly any such views.
    """
    drawn = scheme.sample_within(around[torch.zeros(_TRIED, dtype=torch.long)], seed)
    inside = box_in(drawn, box, 1)
    holding = (inside[:, :2] >= 0) & (inside[:, 2:] <= 1) & (drawn.size >= sides[0]) & (drawn.size <= sides[1])
    chosen = holding.all(1).nonzero()[:, 0]
    if len(chosen) < count:
        raise CourseError(f"only {len(chosen)} of {_TRIED} views hold the whole box; raise beta, or lower alpha")
    return drawn[chosen[:count]]


def walk(
    first: Crops, around: Crops, box: Tensor, scheme: CropScheme, frames: int, stops: int = 4, seed: int = 0
) -> Crops:
    """A camera's walk: from the crop `first` through `stops` views, drawn by a scheme within the larger crop `around`,
    in `frames` equal steps, each map a mixture of the two next to it.

    The views are about as large as the first, and the box (4,) is in all of them and, nearly, in everything between.
    """
    side = float(first.size[0].mean())
    there = views_with(around, box, scheme, stops, seed, (side / _CLOSER, side * _CLOSER))
    affine, colour = (torch.cat([getattr(first, k), getattr(there, k)]) for k in ("affine", "colour"))
    along = torch.linspace(0, stops, frames)
    before = along.floor().clamp(max=stops - 1).long()
    share = (along - before)[:, None, None]
    mixed = [torch.lerp(part[before], part[before + 1], share) for part in (affine, colour)]
    return replace(first, source=first.source.expand(frames), affine=mixed[0], colour=mixed[1])
