"""Sliders over the pure functions of exemplar_panels.py: alpha and beta of a filter, C and rounds of an SVM."""

from __future__ import annotations

import functools
from collections.abc import Sequence

import ipywidgets as widgets
import numpy as np
from torch import Tensor

from course_lib.lessons.one_example.exemplar import Round, mine
from course_lib.lessons.one_example.hog import HogPyramid
from course_lib.lessons.one_example.panels import filter_panel, template_panel
from course_lib.pictures.panel import Panel, named_slider, panel_over

_ROUNDS = 6


def explore_filter(frames: Tensor, true: Tensor, positive: Tensor, negatives: Tensor) -> Panel:
    """Move alpha, beta, the number of negatives and the frame, and see the filter, its plane and its peak.

    frames: grey (n, H, W), in which the centres of the patch are at true (n, 2).
    """
    alpha = named_slider("alpha", 1e-3, widgets.FloatLogSlider, base=10, min=-6, max=0, step=0.25, readout_format=".0e")
    beta = named_slider("beta", 1.0, widgets.FloatSlider, min=0, max=1, step=0.05)
    most = len(negatives)
    count = named_slider("negatives", most, widgets.IntSlider, min=0, max=most)
    number = named_slider("frame", len(frames) // 2, widgets.IntSlider, min=0, max=len(frames) - 1)

    def draw() -> tuple[np.ndarray, str]:
        i, some = number.value, negatives[: count.value]
        return filter_panel(frames[i], true[i], positive, some, alpha.value, beta.value)

    return panel_over([alpha, beta, count, number], draw)


def explore_template(image: Tensor, photograph: HogPyramid, exemplar: Tensor, maps: Sequence[Tensor]) -> Panel:
    """Move C and the rounds of mining of an exemplar SVM, and see its template and what it finds in a picture.

    image: (3, H, W) uint8, and photograph its pyramid. exemplar, maps: as in
    `course_lib.lessons.one_example.exemplar.mine`. After the last round that found anything new, nothing changes.
    """
    cost = named_slider("C", 0.01, widgets.FloatLogSlider, base=10, min=-4, max=0, step=0.5, readout_format=".0e")
    rounds = named_slider("rounds", _ROUNDS, widgets.IntSlider, min=1, max=_ROUNDS)

    @functools.cache
    def mined(value: float) -> list[Round]:
        return mine(exemplar, maps, _ROUNDS, value)

    def draw() -> tuple[np.ndarray, str]:
        done = mined(cost.value)
        shown = min(rounds.value, len(done))
        pixels, words = template_panel(image, photograph, done[shown - 1])
        return pixels, f"C {cost.value:.0e}, round {shown} of {len(done)}. {words}"

    return panel_over([cost, rounds], draw)
