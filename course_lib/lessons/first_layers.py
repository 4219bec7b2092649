"""First layers side by side as films, and measures of how alike they are. Taught in notebook 05."""

from __future__ import annotations

import functools
import itertools
import math
from collections.abc import Callable, Iterable, Sequence
from typing import Any

import ipywidgets as widgets
import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

from course_lib.evidence.films import Film
from course_lib.networks.trunk import shapes_in_space
from course_lib.pictures.drawing import Paper
from course_lib.pictures.figures import filter_pixels, tile
from course_lib.pictures.panel import WRAP, Drawn, Panel, named_slider

FITS = 0.8
"""The share of a filter's power that a Gabor function must explain for the filter to count as oriented."""


BETTER = 0.1
"""By how much, as a share of its power, a Gabor function must explain a filter better than a blob does."""


def effective_rank(filters: Tensor) -> float:
    """How many directions filters (n, c, k, k) share evenly: the participation ratio of their squared singular values.

    From 1, where all are multiples of one filter, to the smaller of n and c * k * k. Taught in notebook 05.
    """
    power = torch.linalg.svdvals(filters.flatten(1).float()).square()
    return (power.sum().square() / power.square().sum()).item()


def matched_similarity(one: Tensor, other: Tensor) -> float:
    """How alike two sets of filters (n, c, k, k) are when each is paired with a partner of its own: from 0 to 1.

    The mean absolute cosine of the best pairing (Hungarian method; Li et al. 2016, "Convergent learning", pair units so
    by their answers). An order or a sign that differs costs nothing.
    """
    if one.shape[1:] != other.shape[1:]:
        raise ValueError(f"both sets need filters of one shape, got {tuple(one.shape[1:])}, {tuple(other.shape[1:])}")
    from scipy.optimize import linear_sum_assignment  # here, since it takes 13 MB and only this asks for it

    cosines = (F.normalize(one.flatten(1).float()) @ F.normalize(other.flatten(1).float()).T).abs().cpu()
    return float(cosines[linear_sum_assignment(cosines.numpy(), maximize=True)].mean())


def cka(one: Tensor, other: Tensor) -> float:
    """Linear centred kernel alignment of two layers' answers (n, f) and (n, g) to the same n pictures: from 0 to 1.

    1 where one is the other, turned and scaled (Kornblith et al. 2019, section 3). Raises ValueError for another n.
    """
    if len(one) != len(other):
        raise ValueError(f"both layers must answer the same pictures, got {len(one)} and {len(other)}")
    x, y = (part.double() - part.double().mean(0) for part in (one, other))
    # Grams of n by n where the features outnumber the pictures, which is the usual case here.
    gram_x, gram_y = x @ x.T, y @ y.T
    return ((gram_x * gram_y).sum() / (gram_x.norm() * gram_y.norm()).clamp(min=1e-12)).item()


def orientedness(filters: Tensor) -> Tensor:
    """How much of each filter's shape a Gabor function explains: (n,) shares of its power.

    -1 where a blob does nearly as well. The Gabor function (a wave under a bell) is sought on a grid of wave lengths,
    directions, places and widths, its phase and strength solved for: a lower bound, and the same every time.
    """
    shapes = shapes_in_space(filters).flatten(1)
    gabor = _explained(shapes, _gabors(filters.shape[-1]).to(shapes))
    blob = _explained(shapes, _blobs(filters.shape[-1]).to(shapes))
    return torch.where(gabor > blob + BETTER, gabor, -torch.ones_like(gabor))


def oriented_share(filters: Tensor) -> float:
    """The share of filters (n, c, k, k) that are oriented. Read it beside that of random filters of the same size: the
    fewer pixels a filter has, the easier a Gabor function explains it by chance."""
    return (orientedness(filters) > FITS).float().mean().item()


def _explained(shapes: Tensor, bases: Tensor) -> Tensor:
    """The most of each shape's power (n,) that lies in one of the bases (m, b, pixels), each of orthonormal rows."""
    parts = (bases.flatten(0, 1) @ shapes.T).square()
    return parts.view(*bases.shape[:2], len(shapes)).sum(1).amax(0)


@functools.cache
def _gabors(k: int) -> Tensor:
    """Bases (m, 2, k * k) of waves of both phases under a bell, from half a wave across the kernel up."""
    angles = torch.arange(12) * math.pi / 12
    speeds = torch.tensor([0.5, 0.75, 1.0, 1.5, 2.0]) / k  # waves a pixel
    parts = []
    for x, y, bell in _bells(k):
        for speed in speeds[speeds <= 0.5]:
            along = x[None] * angles.cos()[:, None, None] + y[None] * angles.sin()[:, None, None]
            wave = 2 * math.pi * speed * along
            parts.append(torch.stack([bell * wave.cos(), bell * wave.sin()], 1).flatten(2))
    return torch.linalg.qr(torch.cat(parts).mT)[0].mT


@functools.cache
def _blobs(k: int) -> Tensor:
    """Bases (m, 1, k * k) of bells alone."""
    return F.normalize(torch.stack([bell.flatten() for _, _, bell in _bells(k)]))[:, None]


def _bells(k: int) -> list[tuple[Tensor, Tensor, Tensor]]:
    """Pixel coordinates (k, k) from a centre, and a bell around it, for several centres and widths."""
    middle = (k - 1) / 2
    places = torch.tensor([-0.25, 0.0, 0.25]) * k + middle
    found = []
    for cy, cx, width in itertools.product(places, places, (0.2 * k, 0.35 * k, 0.6 * k)):
        y, x = torch.meshgrid(torch.arange(k) - cy, torch.arange(k) - cx, indexing="ij")
        found.append((x, y, torch.exp(-(x.square() + y.square()) / (2 * width**2))))
    return found


_TITLE = 42  # pixels of the two lines above a sheet of filters


def films_panel(left: Film, right: Film, share: float) -> Drawn:
    """The first layers of two networks side by side at `share` of their trainings, in [0, 1].

    The words have the measures of `filters.py` for each, and how well the two match, now and before their first step.
    """
    (one, one_step), (other, other_step) = left.at(share), right.at(share)
    halves = [
        _titled(tile(filter_pixels(filters), 8, scale=max(1, 50 // filters.shape[-1])), film, step)
        for film, filters, step in ((left, one, one_step), (right, other, other_step))
    ]
    gap = np.full((halves[0].shape[0], 24, 3), 255, np.uint8)
    words = f"Left, {_measured(left, one, one_step)}; right, {_measured(right, other, other_step)}. "
    return np.concatenate([halves[0], gap, halves[1]], 1), words + _match(left, right, one, other)


def _titled(sheet: np.ndarray, film: Film, step: int) -> np.ndarray:
    """A sheet of filters with two lines above it that say whose they are."""
    paper = Paper(sheet.shape[1], _TITLE, size=14)
    paper.write(0, 2, film.method, "la")
    paper.write(0, 20, f"{film.pictures}; step {step}", "la")
    return np.concatenate([paper.pixels, sheet])


def _measured(film: Film, filters: Tensor, step: int) -> str:
    numbers = f"{oriented_share(filters):.0%} oriented, {effective_rank(filters):.1f} directions"
    return f"{film.method} ({film.pictures}) at step {step}: {numbers}"


def _match(left: Film, right: Film, one: Tensor, other: Tensor) -> str:
    if one.shape[1:] != other.shape[1:]:
        return "They see different inputs, colours and edges, and cannot be matched."
    start = matched_similarity(left.frames[0], right.frames[0])
    return f"Their match is {matched_similarity(one, other):.2f}, and was {start:.2f} before the first step."


def explore_films(films: Iterable[Film]) -> Panel:
    """Any two networks' first layers side by side: what trained each and on which pictures, and a slider over the time
    of their trainings. It begins with the first and the last method."""
    films = [film.ordered() for film in films]
    methods = list(dict.fromkeys(film.method for film in films))
    left, right = _FilmChoice("left", films, methods[0]), _FilmChoice("right", films, methods[-1])
    last = max(len(film.steps) for film in films) - 1
    slider = named_slider("frame", last, widgets.IntSlider, min=0, max=last)
    play = widgets.Play(value=last, min=0, max=last, interval=250)
    widgets.jslink((play, "value"), (slider, "value"))
    rows = [widgets.HBox(controls, layout=WRAP) for controls in (left.controls, right.controls, [play, slider])]
    panel = Panel(lambda: films_panel(left.film, right.film, slider.value / max(1, last)), rows)
    left.watch(panel.redraw)
    right.watch(panel.redraw)
    slider.observe(panel.redraw, "value")
    return panel


class _FilmChoice:
    """A network chosen by two drop-downs: its method, and those of the pictures that there is a film of."""

    def __init__(self, side: str, films: Sequence[Film], method: str) -> None:
        self._films = films
        look = {"layout": {"width": "300px"}, "style": {"description_width": "62px"}}
        names = list(dict.fromkeys(film.method for film in films))
        self._method = widgets.Dropdown(options=names, value=method, description=side, **look)
        self._pictures = widgets.Dropdown(options=self._of_method(), description="on", **look)
        self.controls = [self._method, self._pictures]

    @property
    def film(self) -> Film:
        """The one that is chosen."""
        asked = (self._method.value, self._pictures.value)
        return next(film for film in self._films if (film.method, film.pictures) == asked)

    def _of_method(self) -> list[str]:
        return [film.pictures for film in self._films if film.method == self._method.value]

    def watch(self, redraw: Callable[[Any], None]) -> None:
        """Draw again after every choice. Another method keeps its pictures where it has the same ones."""

        def other_method(change: Any) -> None:
            kept, options = self._pictures.value, self._of_method()
            self._pictures.unobserve(redraw, "value")  # one new picture, and not one for every value on the way
            self._pictures.options = options
            self._pictures.value = kept if kept in options else options[0]
            self._pictures.observe(redraw, "value")
            redraw(change)

        self._method.observe(other_method, "value")
        self._pictures.observe(redraw, "value")
