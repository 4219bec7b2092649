"""Style transfer in pictures: side by side, judged by each network, and as a panel. For notebook 11."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import ipywidgets as widgets
import numpy as np
import torch
from PIL import Image
from torch import Tensor

from course_lib.data.images import PHOTOGRAPHS
from course_lib.lessons.crops.sliders import source_from_bytes, uploads
from course_lib.lessons.uses.style import Examples, Transfer, load_picture, square, transfer
from course_lib.networks.alexnet import LAYERS
from course_lib.networks.trunk import Trunk
from course_lib.pictures.figures import Picture, side_by_side, tile, to_pixels
from course_lib.pictures.panel import Drawn, Panel, named_slider, panel_over

_LARGE, _GAP = 240, 6  # pixels of each picture in the panel, and between two
_STEPS = 30
_LOOK = {"width": "210px"}


def transfers_picture(content: Tensor, style: Tensor, made: Mapping[str, Transfer], title: str) -> Picture:
    """A content and a style picture (3, side, side), then what each network made of the two."""
    panels = {"content": content, "style": style} | {name: one.image for name, one in made.items()}
    pixels = dict(zip(panels, to_pixels(torch.stack([image.cpu() for image in panels.values()]))))
    each = "; ".join(f"{name}: {_missing(one)}" for name, one in made.items())
    return Picture(
        side_by_side(pixels, 1.9, 2.3), f"{title}, each judged by its own network. {each}" if made else title
    )


def _missing(made: Transfer) -> str:
    return f"{made.style:.3f} of the style is missing, {made.content:.2f} of the content lost"


def judged_table(judgements: Mapping[str, Mapping[str, float]]) -> str:
    """As text, one row per maker of a picture: the share of the style loss that each network still sees in it."""
    names = list(judgements)
    lines = ["made by, seen by" + "".join(f"{name:>18}" for name in names)]
    lines += [f"{maker:16}" + "".join(f"{seen[name]:18.3f}" for name in names) for maker, seen in judgements.items()]
    return "\n".join(lines)


def transfer_panel(content: Tensor, style: Tensor, made: Transfer, network: str, weight: float) -> Drawn:
    """Content, style and what one network made of them: pixels (height, width, 3) uint8 of fixed size, and words."""
    images = (Image.fromarray(pixels) for image in (content, style, made.image) for pixels in to_pixels(image[None]))
    shown = tile(np.stack([image.resize((_LARGE, _LARGE), Image.Resampling.BICUBIC) for image in images]), 3, gap=_GAP)
    words = f"{network} after {made.step} steps, style weight {weight:.2g}, content weight 1, judged by itself"
    return shown, f"{words}: {_missing(made)}"


def explore_style(networks: Mapping[str, Trunk], content: str, style: str, side: int, steps: int = _STEPS) -> Panel:
    """Choose a network, two pictures, the style's weight and its layers, and watch the picture change.

    content, style: names of bundled photographs or paths. Each choice starts over from the content picture. A picture
    that is uploaded becomes the style, and can be chosen as the content.
    """
    return _Style(networks, content, style, side, steps).panel


class _Style:
    """The controls of `explore_style`, the pictures that they name, and the panel that they change."""

    def __init__(self, networks: Mapping[str, Trunk], content: str, style: str, side: int, steps: int) -> None:
        self._networks, self._side, self._steps = networks, side, steps
        self._known: dict[str, Tensor] = {}
        first = "rotnet" if "rotnet" in networks else next(iter(networks))
        self._network = widgets.Dropdown(options=list(networks), value=first, description="network", layout=_LOOK)
        self._content, self._style = _choice("content", content), _choice("style", style)
        log = {"base": 10, "min": -1, "max": 4, "step": 0.25}
        self._weight = named_slider("weight", 10.0, widgets.FloatLogSlider, continuous_update=False, **log)
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

    def _draw(self) -> Drawn:
        """Paint, and show each intermediate picture once there is a panel to show it in."""
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
        """Offer a picture as content and as style, and choose it as the style."""
        for choice in (self._content, self._style):
            choice.unobserve(self.panel.redraw, "value")  # redraw once, not at every change below
            kept, choice.options = choice.value, list(dict.fromkeys([*choice.options, name]))
            choice.value = name if choice is self._style else kept
            choice.observe(self.panel.redraw, "value")
        self.panel.redraw()


def _choice(what: str, name: str) -> widgets.Dropdown:
    names = list(dict.fromkeys([name, *PHOTOGRAPHS]))
    return widgets.Dropdown(options=names, value=name, description=what, layout=_LOOK)
