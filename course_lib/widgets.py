"""Panels of sliders over pure functions: a function of the parameters makes pixels, one Image widget shows them.

Core ipywidgets only, of version 7.7.1 (Colab) and 8.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import ipywidgets as widgets
import numpy as np
from PIL import Image
from torch import Tensor

from course_lib.crops import CropScheme
from course_lib.figures import Picture, draw_outlines, filter_pixels, photograph, tile, to_pixels
from course_lib.render import render
from course_lib.sources import Source

_HEIGHT = 296  # pixels of the photograph in the panel of crops
_OUTLINED = 5
_COLUMNS, _ROWS, _SIDE = 8, 6, 48


def crop_panel(source: Source, beta: float, gamma: float, alpha: float, seed: int = 0) -> np.ndarray:
    """A photograph with five crops outlined, and 48 crops beside it: (height, width, 3) uint8 of one size for all
    values. Raises ValueError for values that CropScheme refuses."""
    crops = CropScheme(beta, gamma, alpha).sample(source, _COLUMNS * _ROWS, seed)
    pixels = photograph(source)
    scale = _HEIGHT / pixels.shape[0]
    small = np.asarray(Image.fromarray(pixels).resize((round(pixels.shape[1] * scale), _HEIGHT)))
    left = draw_outlines(small, crops[:_OUTLINED], scale)
    right = tile(to_pixels(render(source, crops, _SIDE)), _COLUMNS, gap=2)
    canvas = np.full((max(left.shape[0], right.shape[0]), left.shape[1] + 12 + right.shape[1], 3), 255, np.uint8)
    canvas[: left.shape[0], : left.shape[1]] = left
    canvas[: right.shape[0], -right.shape[1] :] = right
    return canvas


def explore_crops(source: Source, seed: int = 0) -> widgets.VBox:
    """Sliders for beta, gamma and alpha over `crop_panel`, and a button that deals other crops."""
    sliders = {
        "beta": widgets.FloatLogSlider(1e-4, base=10, min=-4, max=0, step=0.1, readout_format=".1e"),
        "gamma": widgets.FloatSlider(0.75, min=0.2, max=1, step=0.05),
        "alpha": widgets.FloatSlider(35, min=0, max=180, step=5),
    }
    for name, slider in sliders.items():
        slider.description = name
    deal = widgets.Button(description="deal again")
    state = {"seed": seed}

    def draw() -> np.ndarray:
        return crop_panel(source, *(slider.value for slider in sliders.values()), seed=state["seed"])

    panel, redraw = _panel(draw, [*sliders.values(), deal])
    for slider in sliders.values():
        slider.observe(redraw, "value")

    def deal_again(_: Any) -> None:
        state["seed"] += 1
        redraw()

    deal.on_click(deal_again)
    return panel


def film_panel(films: dict[str, Tensor], frame: int, columns: int = 8, scale: int = 9) -> np.ndarray:
    """Frame `frame` of several films of filters (frames, n, 3, k, k) side by side: (height, width, 3) uint8."""
    sheets = [tile(filter_pixels(film[min(frame, len(film) - 1)]), columns, scale) for film in films.values()]
    return tile(np.stack(sheets), len(sheets), gap=24)


def explore_film(films: dict[str, Tensor], steps: Tensor) -> widgets.VBox:
    """A slider over the frames of films of filters; steps (frames,) are the training steps of the frames."""
    slider = widgets.IntSlider(0, min=0, max=len(steps) - 1, description="frame")
    play = widgets.Play(0, min=0, max=len(steps) - 1, interval=250)
    widgets.jslink((play, "value"), (slider, "value"))
    label = widgets.Label()

    def draw() -> np.ndarray:
        label.value = f"{' | '.join(films)} at step {int(steps[slider.value])}"
        return film_panel(films, slider.value)

    panel, redraw = _panel(draw, [widgets.HBox([play, slider]), label])
    slider.observe(redraw, "value")
    return panel


def _panel(draw: Callable[[], np.ndarray], controls: list[widgets.Widget]) -> tuple[widgets.VBox, Callable[..., None]]:
    """Controls above one picture of fixed size, and the function that draws it anew; an error shows in the panel."""
    first = draw()
    height, width = first.shape[:2]
    image = widgets.Image(value=Picture(first, "").png(), format="png", width=width, height=height)
    image.layout.max_width = "100%"
    image.layout.object_fit = "contain"
    problem = widgets.HTML()

    def redraw(_: Any = None) -> None:
        try:
            image.value, problem.value = Picture(draw(), "").png(), ""
        except Exception as error:  # a callback's error goes nowhere that a learner would see
            problem.value = f"<b>{type(error).__name__}</b>: {error}"

    return widgets.VBox([*controls, image, problem]), redraw
