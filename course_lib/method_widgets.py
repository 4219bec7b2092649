"""Sliders over the pure functions of method_panels.py: what a trained method answers, groups and makes."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any

import ipywidgets as widgets
import numpy as np
import torch
from torch import Tensor

from course_lib.datasets import CropDataset
from course_lib.depth import AXES, Accuracies
from course_lib.depth_pictures import Places, place_panel
from course_lib.films import Film
from course_lib.frozen_pictures import depth_panel
from course_lib.grid_panels import CHOICES, grid_panel
from course_lib.method_panels import codes_of, films_panel, groups_panel, turn_panel, walk_panel
from course_lib.networks import LAYERS
from course_lib.pretext import Batch, method_names
from course_lib.pretext.bigan import BiGAN
from course_lib.pretext.rotnet import RotNet
from course_lib.preview import Preview, preview_panel
from course_lib.probes import POOLINGS
from course_lib.puzzle_pictures import puzzle_panel
from course_lib.puzzles import Tricks
from course_lib.widgets import WRAP, Panel, named_slider, panel_over

_PAIRS = 9
_BEGINS = ("random codes", "codes of crops")


def explore_turns(method: RotNet, data: CropDataset) -> Panel:
    """Turn a crop by any angle, and see how sure the network is of each quarter turn."""
    number = named_slider("crop", min(2, len(data) - 1), widgets.IntSlider, min=0, max=min(99, len(data) - 1))
    angle = named_slider("angle", 0, widgets.IntSlider, min=-180, max=180, step=5)
    return panel_over([number, angle], lambda: turn_panel(method, data, number.value, angle.value))


def explore_groups(images: Tensor, features: Tensor, k: int = 30) -> Panel:
    """Group crops (n, 3, side, side) by their features (n, f), with sliders for k and for where k-means begins."""
    groups = named_slider("k", k, widgets.IntSlider, min=2, max=min(200, len(images)))
    seed = named_slider("seed", 0, widgets.IntSlider, min=0, max=99)
    return panel_over([groups, seed], lambda: groups_panel(images, features, groups.value, seed.value))


def explore_places(measured: Mapping[str, Accuracies], places: Places) -> Panel:
    """Move through networks that were probed, by any kind of depth, and read all of them at the same depth."""
    axis = widgets.Dropdown(options=list(AXES), value="stage", description="by", layout={"width": "200px"})
    share = named_slider("depth", 1.0, widgets.FloatSlider, min=0, max=1, step=0.02)
    return panel_over([axis, share], lambda: place_panel(measured, places, axis.value, share.value))


def explore_puzzle(data: CropDataset, orders: Tensor) -> Panel:
    """Cut a crop into nine tiles: which crop, the gap, how far tiles move within it, the order they are dealt in, and
    the other tricks, each to be switched off.

    orders: (count, 9), to choose from by their numbers.
    """
    number = named_slider("crop", min(3, len(data) - 1), widgets.IntSlider, min=0, max=min(99, len(data) - 1))
    gap = named_slider("gap", 0.25, widgets.FloatSlider, min=0, max=0.6, step=0.05)
    jitter = named_slider("jitter", 1.0, widgets.FloatSlider, min=0, max=1, step=0.1)
    order = named_slider("order", 1, widgets.IntSlider, min=0, max=len(orders) - 1)
    deal = named_slider("seed", 0, widgets.IntSlider, min=0, max=99)
    normalise, grey = (
        widgets.Checkbox(value=False, description=name, indent=False, layout={"width": "110px"})
        for name in ("normalise", "grey")
    )
    shift = named_slider("shift", 0, widgets.IntSlider, min=0, max=4)

    def draw() -> tuple[np.ndarray, str]:
        tricks = Tricks(gap.value, jitter.value, normalise.value, float(grey.value), shift.value)
        return puzzle_panel(data, number.value, tricks, orders[order.value], deal.value)

    return panel_over([number, order, gap, jitter, shift, deal, normalise, grey], draw)


def explore_probes(preview: Preview, labels: int = 1_000) -> Panel:
    """Previews of every network's probe, with a layer, a pooling and the number of labels to choose."""
    layer = widgets.Dropdown(options=LAYERS, value="conv2", description="layer", layout={"width": "200px"})
    pooling = widgets.Dropdown(options=list(POOLINGS), description="pooling", layout={"width": "200px"})
    most = len(preview.data)
    least = min(20, most)
    count = named_slider("labels", min(labels, most), widgets.IntSlider, min=least, max=most, step=20)
    return panel_over([layer, pooling, count], lambda: preview_panel(preview, layer.value, pooling.value, count.value))


def explore_grid(rows: Sequence[dict[str, Any]]) -> Panel:
    """The probe rows of a sweep, one choice at a time: by images, by what was left out, by what the image held."""
    sets = list(dict.fromkeys(row["data"] for row in rows))
    methods = [name for name in method_names() if name in {row["method"] for row in rows} - {"supervised"}]
    options = {"probes on": sets, "method": methods, "choice": list(CHOICES), "layer": list(LAYERS)}
    data, method, choice, layer = (
        widgets.Dropdown(options=some, description=name, layout={"width": "240px"}) for name, some in options.items()
    )
    layer.value = "conv2"
    return panel_over(
        [data, method, choice, layer], lambda: grid_panel(rows, data.value, method.value, choice.value, layer.value)
    )


def explore_depth(rows: Sequence[dict[str, Any]]) -> Panel:
    """Choose how deep the network is frozen, and see what became of each at that depth."""
    depth = named_slider("depth", 2, widgets.IntSlider, min=0, max=len(LAYERS))
    return panel_over([depth], lambda: depth_panel(rows, depth.value))


def explore_codes(method: BiGAN, data: CropDataset, seed: int = 0) -> Panel:
    """Walk from some codes to others: random ones, or those that the encoder gives to crops, which the generator then
    makes again."""
    share = named_slider("way", 0.0, widgets.FloatSlider, min=0, max=1, step=0.05)
    deal = named_slider("seed", seed, widgets.IntSlider, min=0, max=max(99, seed))
    kind = widgets.Dropdown(options=_BEGINS, description="between", layout={"width": "260px"})

    def draw() -> tuple[np.ndarray, str]:
        begin, end = some_codes(method, data, kind.value, deal.value)
        return walk_panel(method, begin, end, share.value)

    return panel_over([kind, share, deal], draw)


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
    left.on_change = right.on_change = panel.redraw
    slider.observe(panel.redraw, "value")
    return panel


class _FilmChoice:
    """A network chosen by two drop-downs: its method, and those of the pictures that there is a film of."""

    def __init__(self, side: str, films: Sequence[Film], method: str) -> None:
        self._films = films
        self.on_change: Callable[[], None] = lambda: None
        look = {"layout": {"width": "300px"}, "style": {"description_width": "62px"}}
        names = list(dict.fromkeys(film.method for film in films))
        self._method = widgets.Dropdown(options=names, value=method, description=side, **look)
        self._pictures = widgets.Dropdown(options=self._of_method(), description="on", **look)
        self.controls = [self._method, self._pictures]
        self._method.observe(self._other_method, "value")
        self._pictures.observe(self._other_pictures, "value")

    @property
    def film(self) -> Film:
        """The one that is chosen."""
        asked = (self._method.value, self._pictures.value)
        return next(film for film in self._films if (film.method, film.pictures) == asked)

    def _of_method(self) -> list[str]:
        return [film.pictures for film in self._films if film.method == self._method.value]

    def _other_method(self, _: Any) -> None:
        """Offer the pictures of this method, and keep to the same ones where it can: one new picture, not three."""
        kept, options = self._pictures.value, self._of_method()
        self._pictures.unobserve(self._other_pictures, "value")
        self._pictures.options = options
        self._pictures.value = kept if kept in options else options[0]
        self._pictures.observe(self._other_pictures, "value")
        self.on_change()

    def _other_pictures(self, _: Any) -> None:
        self.on_change()


def some_codes(method: BiGAN, data: CropDataset, kind: str, seed: int) -> tuple[Tensor, Tensor]:
    """Pairs of codes, two times (9, code): `random codes`, or `codes of crops`."""
    index = torch.arange(2 * _PAIRS, device=data.source.device)
    if kind == _BEGINS[0]:
        codes = Batch(index, seed, 0, 0).uniform(method.code)
    else:
        codes = codes_of(method, data[(index + 2 * _PAIRS * seed) % len(data)])
    return codes[:_PAIRS], codes[_PAIRS:]
