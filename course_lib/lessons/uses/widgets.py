"""Sliders and pictures to click on for notebook 11, over the pure functions of `pictures.py`."""

from __future__ import annotations

import base64
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import ipywidgets as widgets
import numpy as np
from torch import Tensor

from course_lib.data.images import PHOTOGRAPHS
from course_lib.lessons.crops.sliders import source_from_bytes, uploads
from course_lib.lessons.uses.pictures import search_panel, thumbnails, transfer_panel
from course_lib.lessons.uses.retrieval import Search, queries_of
from course_lib.lessons.uses.style import Examples, Transfer, load_picture, square, transfer
from course_lib.networks.alexnet import LAYERS
from course_lib.networks.trunk import Trunk
from course_lib.pictures.figures import Picture
from course_lib.pictures.panel import WRAP, Panel, named_slider, panel_over

_QUERIES = 20
_STEPS = 30
_BUTTON = 48  # pixels
_LOOK = {"width": "210px"}


def explore_style(
    networks: Mapping[str, Trunk], content: str, style: str, side: int, weight: float = 10, steps: int = _STEPS
) -> Panel:
    """Choose who looks, two pictures, the style's weight and its layers, and watch the picture change.

    content, style: names of bundled photographs or paths. Each choice begins anew with the content picture. A picture
    that is uploaded becomes the style, and can be chosen as the content.
    """
    return _Style(networks, content, style, side, weight, steps).panel


class _Style:
    """The controls of `explore_style`, the pictures that they name, and the panel that they change."""

    def __init__(
        self, networks: Mapping[str, Trunk], content: str, style: str, side: int, weight: float, steps: int
    ) -> None:
        self._networks, self._side, self._steps = networks, side, steps
        self._known: dict[str, Tensor] = {}
        first = "rotnet" if "rotnet" in networks else next(iter(networks))
        self._network = widgets.Dropdown(options=list(networks), value=first, description="network", layout=_LOOK)
        self._content, self._style = _choice("content", content), _choice("style", style)
        log = {"base": 10, "min": -1, "max": 4, "step": 0.25}
        self._weight = named_slider("weight", weight, widgets.FloatLogSlider, continuous_update=False, **log)
        depths = [(LAYERS[0] if i == 1 else f"{LAYERS[0]}-{i}", i) for i in range(1, len(LAYERS) + 1)]
        self._layers = named_slider(
            "layers", len(LAYERS), widgets.SelectionSlider, options=depths, continuous_update=False
        )
        self._upload = widgets.FileUpload(accept="image/*", description="your own picture", layout=_LOOK)
        self._upload.observe(self._uploaded, "value")
        self.panel: Panel | None = None
        controls = [self._network, self._content, self._style, self._weight, self._layers]
        self.panel = panel_over(controls, self._draw)
        self.panel.box.children = [self.panel.box.children[0], self._upload, *self.panel.box.children[1:]]

    def _picture(self, name: str) -> Tensor:
        if name not in self._known:
            self._known[name] = load_picture(name, self._side)
        return self._known[name]

    def _draw(self) -> tuple[np.ndarray, str]:
        """Paint, and show the picture on the way as soon as there is a panel to show it in."""
        who, weight = self._network.value, self._weight.value
        two = self._picture(self._content.value), self._picture(self._style.value)
        examples = Examples(self._networks[who], *two, LAYERS[: self._layers.value])

        def grow(made: Transfer) -> None:
            if self.panel:
                self.panel.show(*transfer_panel(*two, made, who, weight))

        return transfer_panel(*two, transfer(examples, weight, self._steps, watch=grow), who, weight)

    def _uploaded(self, _: Any) -> None:
        for name, content in uploads(self._upload):
            try:
                self._known[name] = square(source_from_bytes(name, content).image(), self._side)
            except Exception as error:  # no picture, or too small: said in the panel, and the last style stays
                self.panel.complain("That cannot be used", error)
            else:
                self._choose(name)

    def _choose(self, name: str) -> None:
        """Offer a picture as content and as style, and take it for the style."""
        for choice in (self._content, self._style):
            choice.unobserve(self.panel.redraw, "value")  # one new picture, and not one for every name on the way
            kept, choice.options = choice.value, list(dict.fromkeys([*choice.options, name]))
            choice.value = name if choice is self._style else kept
            choice.observe(self.panel.redraw, "value")
        self.panel.redraw()


def _choice(what: str, name: str) -> widgets.Dropdown:
    names = list(dict.fromkeys([name, *PHOTOGRAPHS]))
    return widgets.Dropdown(options=names, value=name, description=what, layout=_LOOK)


def explore_search(searches: Mapping[str, Search]) -> Panel:
    """Click on a picture, choose a layer, and see which pictures each network takes for the most alike."""
    first = next(iter(searches.values()))
    queries = queries_of(first.data, _QUERIES)
    layer = named_slider("layer", first.layers[1], widgets.SelectionSlider, options=first.layers)
    chosen = {"query": queries[0]}
    panel = panel_over([layer], lambda: search_panel(searches, chosen["query"], layer.value))

    def ask(place: int) -> None:
        chosen["query"] = queries[place]
        panel.redraw()

    names = [first.data.classes[int(first.data.test_labels[i])] for i in queries]
    buttons = picture_buttons(thumbnails(first.data.test_images, queries), names, ask)
    panel.box.children = [buttons, *panel.box.children]
    return panel


def picture_buttons(pictures: Sequence[Picture], names: Sequence[str], ask: Callable[[int], None]) -> widgets.Box:
    """Pictures to click on, or to reach with the tab key: each is a button with the picture for its background, and
    its name as a tooltip."""
    buttons, looks = [], []
    for place, (picture, name) in enumerate(zip(pictures, names)):
        button = widgets.Button(tooltip=name, layout={"width": f"{_BUTTON}px", "height": f"{_BUTTON}px"})
        button.add_class("course-query").add_class(mark := f"course-query-{button.model_id[:12]}")
        data = base64.b64encode(picture.png()).decode()
        looks.append(f".{mark} {{ background: center / cover url(data:image/png;base64,{data}) !important; }}")
        button.on_click(lambda _, place=place: ask(place))
        buttons.append(button)
    style = widgets.HTML(f"<style>{''.join(looks)}</style>", layout={"display": "none"})
    return widgets.Box([style, *buttons], layout=WRAP)
