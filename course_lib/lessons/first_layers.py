"""First layers side by side as films, with their measures (notebook 05)."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from typing import Any

import ipywidgets as widgets
import numpy as np
from torch import Tensor

from course_lib.evidence.films import Film
from course_lib.lessons.filter_measures import effective_rank, matched_similarity, oriented_share
from course_lib.pictures.drawing import Paper
from course_lib.pictures.figures import filter_pixels, tile
from course_lib.pictures.panel import WRAP, Panel, named_slider

_TITLE = 42  # pixels of the two lines above a sheet of filters


def films_panel(left: Film, right: Film, share: float, columns: int = 8) -> tuple[np.ndarray, str]:
    """The first layers of two networks side by side at `share` of their trainings, in [0, 1]: pixels uint8, and words.

    The words have the measures of `filters.py` for each, and how well the two match, now and before their first step.
    """
    (one, one_step), (other, other_step) = left.at(share), right.at(share)
    halves = [
        _titled(tile(filter_pixels(filters), columns, scale=max(1, 50 // filters.shape[-1])), film, step)
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
