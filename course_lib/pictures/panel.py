"""Controls over a pure function that draws pixels: one Image widget of fixed size shows them.

Core ipywidgets only, of version 7.7.1 (Colab) and 8. Every slider moves with the arrow keys.
"""

from __future__ import annotations

import html
from collections.abc import Callable, Sequence
from typing import Any

import ipywidgets as widgets
import numpy as np

from course_lib.pictures.figures import Picture
from course_lib.pictures.png import encode_png

Drawn = tuple[np.ndarray, str]
"""What a panel shows: pixels (height, width, 3) uint8, of one size whatever its controls say, and words."""

WRAP = {"flex_flow": "row wrap"}
"""The layout of controls in a row, on as many lines as it takes."""


class Panel:
    """Controls above one picture of fixed size, with a line of words below it that also reports errors.

    draw: makes the pixels (height, width, 3) uint8, of one size, and what they show in words. Without a kernel, and for
    a screen reader, the notebook keeps the first picture with its words in place of the controls.
    """

    def __init__(self, draw: Callable[[], Drawn], controls: Sequence[widgets.Widget]) -> None:
        self._draw = draw
        self._first = Picture(*draw())
        height, width = self._first.image.shape[:2]
        self.image = widgets.Image(value=self._first.png(), format="png", width=width, height=height)
        self.image.layout.max_width, self.image.layout.object_fit = "100%", "contain"
        # A fixed height, so that longer words never move the page.
        self.words = widgets.HTML(_lines(html.escape(self._first.caption)), layout={"height": "48px"})
        self.box = widgets.VBox([*controls, self.image, self.words])
        self.box.add_class("course-panel")

    def redraw(self, _: Any = None) -> None:
        """Draw the picture again; an error shows in the panel, and the last good picture stays."""
        try:
            self.show(*self._draw())
        except Exception as error:  # a callback's error goes nowhere that a learner would see
            self.complain(type(error).__name__, error)

    def show(self, pixels: np.ndarray, words: str) -> None:
        """Show pixels of the panel's size, and what they show in words."""
        self.image.value, self.words.value = encode_png(pixels), _lines(html.escape(words))

    def complain(self, what: str, error: Exception) -> None:
        """Say below the picture what went wrong."""
        self.words.value = _lines(f"<b>{what}</b>: {html.escape(str(error))}")

    def _repr_mimebundle_(self, include: Any = None, exclude: Any = None) -> dict[str, Any]:
        """The widget where there is a kernel, and the first picture where there is none."""
        view = {"version_major": 2, "version_minor": 0, "model_id": self.box.model_id}
        return {"application/vnd.jupyter.widget-view+json": view} | self._first.bundle()


def panel_over(controls: Sequence[widgets.Widget], draw: Callable[[], Drawn]) -> Panel:
    """A panel that is drawn again when any of its controls moves."""
    panel = Panel(draw, [widgets.HBox(controls, layout=WRAP)])
    for control in controls:
        control.observe(panel.redraw, "value")
    return panel


def _lines(words: str) -> str:
    return f'<div style="line-height: 20px; max-height: 46px; overflow-y: auto">{words}</div>'


def named_slider(name: str, start: Any, kind: type, **options: Any) -> Any:
    """A slider with its name before it; start: its value."""
    words, look = name.replace("_", " "), {"layout": {"width": "275px"}, "style": {"description_width": "62px"}}
    slider = kind(value=start, description=words, **look, **options)
    slider.add_class(f"course-{words.replace(' ', '-')}")
    return slider
