"""The sliders of notebook 01 over the pictures of `lessons.crops.panel`: every number of the scheme, live."""

from __future__ import annotations

import functools
import math
import tempfile
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import ipywidgets as widgets
import numpy as np

from course_lib.data.crops import AREA_LAWS, CropScheme, Parts
from course_lib.data.images import SOURCE_PHOTOGRAPHS
from course_lib.data.laws import measured
from course_lib.data.loading import load_source
from course_lib.data.sources import GENERATED, Source
from course_lib.lessons.crops.panel import (
    SCHEME_PARTS,
    SIDES,
    Backdrop,
    compose_panel,
    counted_crops,
    make_backdrop,
    weaken,
)
from course_lib.pictures.panel import Panel, named_slider

_SWEEP = 60  # steps of the play button


_WIDE = {"width": "220px"}


_NARROW = {"layout": _WIDE, "style": {"description_width": "55px"}}


class SourcePanel(Panel):
    """A panel over a source that its controls can change."""

    def __init__(
        self,
        chosen: _Chosen,
        draw: Callable[[], tuple[np.ndarray, str]],
        controls: Sequence[widgets.Widget],
    ) -> None:
        super().__init__(draw, controls)
        self._chosen = chosen

    @property
    def source(self) -> Source:
        """The source that is shown now, on the CPU."""
        return self._chosen.source


class _Chosen:
    """The source that an explorer shows now, and those with a name that it has shown."""

    def __init__(self, source: Source) -> None:
        self.known = {source.name: source}
        self.show(source)

    def show(self, source: Source) -> None:
        """Show another source; what fails leaves the last one."""
        backdrop = make_backdrop(source)
        self.source, self.backdrop = source, backdrop

    def by_name(self, name: str) -> Source:
        """A source that was shown before, or a bundled or generated one."""
        if name not in self.known:
            self.known[name] = load_source(name)
        return self.known[name]


def explore_crops(
    source: Source, scheme: CropScheme | None = None, seed: int = 0, side: int = 32, parts: Parts | None = None
) -> SourcePanel:
    """A slider for every number of the scheme, over `crop_panel`; other photographs; and a button that deals again.

    parts: functions to use in place of the library's, such as a learner's own.
    """
    scheme, chosen = scheme or CropScheme(), _Chosen(source.to("cpu"))
    sliders = _scheme_sliders(scheme)
    sliders["side"] = named_slider("side", side, widgets.SelectionSlider, options=SIDES)
    sliders["seed"] = named_slider("seed", seed, widgets.IntSlider, min=0, max=max(99, seed))

    def draw() -> tuple[np.ndarray, str]:
        given = {name: slider.value for name, slider in sliders.items()}
        side, seed = given.pop("side"), given.pop("seed")
        return _panel(chosen.source, CropScheme(**given), side, seed, chosen.backdrop, parts)

    deal = widgets.Button(description="deal again", layout=_WIDE)
    choice = _source_choice(source)
    upload = widgets.FileUpload(accept="image/*", description="your photograph", layout=_WIDE)
    columns = [list(sliders.values())[:4], list(sliders.values())[4:]]
    boxes = [widgets.VBox(column) for column in columns]
    buttons = widgets.VBox([choice, upload, deal, *_sweep(sliders)])
    panel = SourcePanel(chosen, draw, [widgets.HBox([*boxes, buttons])])
    for slider in sliders.values():
        slider.observe(panel.redraw, "value")
    _on_choice(choice, upload, chosen, panel)
    deal.on_click(lambda _: setattr(sliders["seed"], "value", (sliders["seed"].value + 1) % 100))
    return panel


def explore_parts(source: Source, scheme: CropScheme | None = None, seed: int = 0) -> Panel:
    """A slider that takes one part of the augmentations away by degrees, and a button that lets it run."""
    source, scheme = source.to("cpu"), scheme or CropScheme()
    backdrop = make_backdrop(source)
    part = widgets.Dropdown(options=SCHEME_PARTS, description="take away")
    slider = widgets.IntSlider(0, min=0, max=20, description="by", readout=False)
    play = widgets.Play(value=0, min=0, max=20, interval=150)
    widgets.jslink((play, "value"), (slider, "value"))

    def draw() -> tuple[np.ndarray, str]:
        left = 1 - slider.value / slider.max
        weaker = weaken(scheme, part.value, left)
        pixels, words = _panel(source, weaker, 64, seed, backdrop)
        return pixels, f"{1 - left:.0%} of the {part.value} taken away. {words}"

    panel = Panel(draw, [widgets.HBox([part, play, slider])])
    for control in (part, slider):
        control.observe(panel.redraw, "value")
    return panel


def _scheme_sliders(scheme: CropScheme) -> dict[str, Any]:
    log = {"base": 10, "min": min(-4.0, math.floor(math.log10(scheme.beta))), "max": 0, "step": 0.1}
    laws = [(law.removesuffix("-uniform"), law) for law in AREA_LAWS]
    return {
        "beta": named_slider("beta", scheme, widgets.FloatLogSlider, **log, readout_format=".1e"),
        "gamma": named_slider("gamma", scheme, widgets.FloatSlider, min=min(0.2, scheme.gamma), max=1, step=0.05),
        "alpha": named_slider("alpha", scheme, widgets.FloatSlider, min=0, max=180, step=5, readout_format=".0f"),
        "flip": named_slider("flip", scheme, widgets.FloatSlider, min=0, max=1, step=0.1, readout_format=".1f"),
        "jitter": named_slider("jitter", scheme, widgets.FloatSlider, min=0, max=1, step=0.1, readout_format=".1f"),
        "area_law": named_slider("area_law", scheme, widgets.SelectionSlider, options=laws),
    }


def _panel(
    source: Source, scheme: CropScheme, side: int, seed: int, backdrop: Backdrop, parts: Parts | None = None
) -> tuple[np.ndarray, str]:
    """A panel of crops, and what it shows, for who cannot see it."""
    crops = counted_crops(source, scheme, seed, parts)
    numbers = measured(source, crops)
    share = numbers["area"]
    words = (
        f"Crops of {source.name} at {side} px: beta {scheme.beta:.1e}, gamma {scheme.gamma:.2f}, alpha "
        f"{scheme.alpha:.0f}, flip {scheme.flip:.1f}, jitter {scheme.jitter:.1f}, {scheme.area_law} area. Half of them "
        f"cover less than {np.median(share):.0%} of their image, and {(share < 0.1).mean():.0%} less than a tenth."
    )
    return compose_panel(source, scheme, crops, numbers, side, backdrop), words


def _sweep(sliders: dict[str, Any]) -> list[widgets.Widget]:
    """A button that moves one of the sliders from its least to its greatest value."""
    which = widgets.Dropdown(options=list(sliders), description="sweep", **_NARROW)
    play = widgets.Play(value=0, min=0, max=_SWEEP, interval=120)

    def step(change: dict[str, Any]) -> None:
        slider, share = sliders[which.value], change["new"] / _SWEEP
        if isinstance(slider, widgets.SelectionSlider):
            slider.index = round(share * (len(slider.options) - 1))
        elif isinstance(slider, widgets.FloatLogSlider):
            slider.value = slider.base ** (slider.min + share * (slider.max - slider.min))
        else:
            slider.value = type(slider.value)(slider.min + share * (slider.max - slider.min))

    play.observe(step, "value")
    return [which, play]


def _source_choice(source: Source) -> widgets.Dropdown:
    names = dict.fromkeys([source.name, *SOURCE_PHOTOGRAPHS, *GENERATED])
    return widgets.Dropdown(options=list(names), description="image", **_NARROW)


def _on_choice(choice: widgets.Dropdown, upload: widgets.FileUpload, chosen: _Chosen, panel: Panel) -> None:
    """Change the panel's source: by name, or to the picture that was uploaded."""

    def show(load: Callable[[], Source]) -> None:
        try:
            chosen.show(load())
        except Exception as error:  # no picture, or too small: said in the panel, and the last source stays
            panel.complain("That cannot be used", error)
        else:
            panel.redraw()

    def uploaded(_: Any) -> None:
        for name, content in uploads(upload):
            show(functools.partial(source_from_bytes, name, content))

    choice.observe(lambda change: show(lambda: chosen.by_name(change["new"])), "value")
    upload.observe(uploaded, "value")


def uploads(upload: widgets.FileUpload) -> list[tuple[str, bytes]]:
    """Names and contents: ipywidgets 7 keeps them in a dictionary, 8 in a tuple."""
    if isinstance(upload.value, dict):
        return [(name, bytes(file["content"])) for name, file in upload.value.items()]
    return [(file["name"], bytes(file["content"])) for file in upload.value]


def source_from_bytes(name: str, content: bytes) -> Source:
    """The source that a file with this content would be. Raises CourseError as `load_source` does."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / Path(name).name
        path.write_bytes(content)
        return load_source(str(path))
