"""Hunts: places of photographs that must be found again in other views, among everything else. Taught in notebook
12."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from course_lib.data.crops import Crops, CropScheme
from course_lib.data.images import PHOTOGRAPHS, read_photograph
from course_lib.data.render import render
from course_lib.data.sources import Source, shrink
from course_lib.support.errors import CourseError

VIEWS = CropScheme(beta=0.4, gamma=1.0, alpha=20.0, flip=0.0, jitter=0.4)
"""How another view of a place differs from the example: milder than the crops that a network is trained on."""

PLACES = CropScheme(beta=0.01, gamma=1.0, alpha=0.0, flip=0.0, jitter=0.0, area_law="log-uniform")
"""Where examples are taken: upright squares of a photograph, with its own colours."""

_LONGEST = 360  # pixels of a photograph, so that the smallest place has about as many as a picture of 32
_LARGEST = 0.08  # of a photograph's area; a place is a part of it
_LEAST_SPREAD = 30.0  # of the grey values, of 255: in an empty sky there is nothing to find again
_TRIED = 2000


@dataclass(frozen=True)
class Hunt:
    """Examples, and the pictures among which each must be found again: all uint8, (n, 3, side, side).

    examples: one of each of p places. views: v of each place, place by place. backdrop: pictures of other photographs,
    the negatives. strangers: of yet others, among which the views hide, with those of the other places.
    """

    examples: Tensor
    views: Tensor
    backdrop: Tensor
    strangers: Tensor

    @property
    def pool(self) -> Tensor:
        """All pictures that are searched."""
        return torch.cat([self.views, self.strangers])

    @property
    def answers(self) -> Tensor:
        """(p, pool): which pictures of the pool show each place."""
        places, views = len(self.examples), len(self.views)
        own = torch.arange(views) // (views // places)
        found = own == torch.arange(places)[:, None]
        return torch.cat([found, torch.zeros(places, len(self.strangers), dtype=torch.bool)], 1)


def make_hunt(
    photographs: Sequence[str],
    side: int,
    without: str = "",
    places: int = 24,
    views: int = 8,
    negatives: int = 400,
    seed: int = 0,
) -> Hunt:
    """A hunt for `places` places of bundled photographs, among `views` views of each and `negatives` strangers.

    Half of all the other photographs give the negatives, and half the strangers. without: a photograph to leave out,
    such as the one that a network was trained on.
    """
    others = [name for name in PHOTOGRAPHS if name not in (*photographs, without)]
    source, known, strange = (_source(names) for names in (photographs, others[::2], others[1::2]))
    found = _places(source, places, seed)
    seen = VIEWS.sample_within(found[torch.arange(places).repeat_interleave(views)], seed + 1)
    return Hunt(
        *(render(source, crops, side, torch.uint8) for crops in (found, seen)),
        *(render(some, PLACES.sample(some, negatives, seed + 2), side, torch.uint8) for some in (known, strange)),
    )


def _source(photographs: Sequence[str]) -> Source:
    images = [shrink(read_photograph(name), _LONGEST) for name in photographs]
    return Source.from_images(images, ", ".join(photographs))


def _places(source: Source, count: int, seed: int) -> Crops:
    """Squares with something in them that do not overlap."""
    drawn = PLACES.sample(source, _TRIED, seed)
    share = drawn.size.prod(1) / source.sizes[drawn.source.long()].prod(1)
    drawn = drawn[share < _LARGEST]
    spread = render(source, drawn, 16, torch.uint8).float().mean(1).flatten(1).std(1)
    drawn, chosen = drawn[spread > _LEAST_SPREAD], []
    for i in range(len(drawn)):
        if len(chosen) < count and all(_apart(drawn[i], drawn[j]) for j in chosen):
            chosen.append(i)
    if len(chosen) < count:
        raise CourseError(f"{source.name} has only {len(chosen)} of {count} places that do not overlap; ask for fewer")
    return drawn[torch.tensor(chosen)]


def _apart(one: Crops, other: Crops) -> bool:
    """Whether two upright crops share no pixel."""
    gap = (one.affine[0, :, 2] - other.affine[0, :, 2]).abs()
    return bool(one.source != other.source) or bool((gap >= (one.size[0] + other.size[0]) / 2).any())
