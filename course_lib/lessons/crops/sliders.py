"""The crop explorer: a slider for every number of the scheme, and for each part of it (notebooks 01 and 13)."""

from __future__ import annotations

import functools
import math
import tempfile
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import ipywidgets as widgets

from course_lib.data.crops import AREA_LAWS, CropScheme, Parts
from course_lib.data.images import SOURCE_PHOTOGRAPHS
from course_lib.data.loading import load_source
from course_lib.data.sources import GENERATED, Source
from course_lib.lessons.crops.panel import SCHEME_PARTS, SIDES, Backdrop, crop_panel, make_backdrop, weaken
from course_lib.pictures.panel import Drawn, Panel, named_slider

_SWEEP = 60  # steps of the play button
_WIDE = {"width": "220px"}
_NARROW = {"layout": _WIDE, "style": {"description_width": "55px"}}


def explore_crops(
    source: Source, scheme: CropScheme | None = None, seed: int = 0, side: int = 32, parts: Parts | None = None
) -> SourcePanel:
    """A slider for every number of the scheme, over `crop_panel`; other photographs; and a button that deals again.

    parts: functions to use in place of the library's, such as a learner's own.
    """
    sliders = _scheme_sliders(scheme or CropScheme())
    sliders["side"] = named_slider("side", side, widgets.SelectionSlider, options=SIDES)
    sliders["seed"] = named_slider("seed", seed, widgets.IntSlider, min=0, max=max(99, seed))

    def draw(source: Source, backdrop: Backdrop) -> Drawn:
        given = {name: slider.value for name, slider in sliders.items()}
        side, seed = given.pop("side"), given.pop("seed")
        return crop_panel(source, CropScheme(**given), side, seed, parts, backdrop)

    deal = widgets.Button(description="deal again", layout=_WIDE)
    deal.on_click(lambda _: setattr(sliders["seed"], "value", (sliders["seed"].value + 1) % 100))
    columns = [widgets.VBox(list(sliders.values())[half]) for half in (slice(4), slice(4, None))]
    panel = SourcePanel(source.to("cpu"), draw, columns, [deal, *_sweep(sliders)])
    for slider in sliders.values():
        slider.observe(panel.redraw, "value")
    return panel


class SourcePanel(Panel):
    """A panel over a source that can be changed: by name, or to a picture that is uploaded.

    draw: makes pixels and words of a source and its backdrop. columns, buttons: the controls before and below those of
    the source.
    """

    def __init__(
        self,
        source: Source,
        draw: Callable[[Source, Backdrop], Drawn],
        columns: Sequence[widgets.Widget],
        buttons: Sequence[widgets.Widget],
    ) -> None:
        self.source, self._backdrop = source, make_backdrop(source)
        self._known = {source.name: source}
        names = list(dict.fromkeys([source.name, *SOURCE_PHOTOGRAPHS, *GENERATED]))
        choice = widgets.Dropdown(options=names, description="image", **_NARROW)
        upload = widgets.FileUpload(accept="image/*", description="your photograph", layout=_WIDE)
        choice.observe(lambda change: self._change(functools.partial(self._by_name, change["new"])), "value")
        upload.observe(lambda _: self._uploaded(upload), "value")
        controls = widgets.HBox([*columns, widgets.VBox([choice, upload, *buttons])])
        super().__init__(lambda: draw(self.source, self._backdrop), [controls])

    def _by_name(self, name: str) -> Source:
        """A source that was shown before, or a bundled or generated one."""
        if name not in self._known:
            self._known[name] = load_source(name)
        return self._known[name]

    def _uploaded(self, upload: widgets.FileUpload) -> None:
        for name, content in uploads(upload):
            self._change(functools.partial(source_from_bytes, name, content))

    def _change(self, load: Callable[[], Source]) -> None:
        """Show another source; what fails is said in the panel, and leaves the last one."""
        try:
            source = load()
            self._backdrop = make_backdrop(source)
        except Exception as error:  # no picture, or too small
            self.complain("That cannot be used", error)
        else:
            self.source = source
            self.redraw()


def explore_parts(source: Source, scheme: CropScheme | None = None, seed: int = 0) -> Panel:
    """A slider that takes one part of the augmentations away by degrees, and a button that lets it run."""
    source, scheme = source.to("cpu"), scheme or CropScheme()
    backdrop = make_backdrop(source)
    part = widgets.Dropdown(options=SCHEME_PARTS, description="take away")
    slider = widgets.IntSlider(0, min=0, max=20, description="by", readout=False)
    play = widgets.Play(value=0, min=0, max=20, interval=150)
    widgets.jslink((play, "value"), (slider, "value"))

    def draw() -> Drawn:
        left = 1 - slider.value / slider.max
        pixels, words = crop_panel(source, weaken(scheme, part.value, left), 64, seed, backdrop=backdrop)
        return pixels, f"{1 - left:.0%} of the {part.value} taken away. {words}"

    panel = Panel(draw, [widgets.HBox([part, play, slider])])
    for control in (part, slider):
        control.observe(panel.redraw, "value")
    return panel


def _scheme_sliders(scheme: CropScheme) -> dict[str, Any]:
    log = {"base": 10, "min": min(-4.0, math.floor(math.log10(scheme.beta))), "max": 0, "step": 0.1}
    share = {"min": 0, "max": 1, "step": 0.1, "readout_format": ".1f"}
    laws = [(law.removesuffix("-uniform"), law) for law in AREA_LAWS]
    return {
        "beta": named_slider("beta", scheme.beta, widgets.FloatLogSlider, **log, readout_format=".1e"),
        "gamma": named_slider("gamma", scheme.gamma, widgets.FloatSlider, min=min(0.2, scheme.gamma), max=1, step=0.05),
        "alpha": named_slider("alpha", scheme.alpha, widgets.FloatSlider, min=0, max=180, step=5, readout_format=".0f"),
        "flip": named_slider("flip", scheme.flip, widgets.FloatSlider, **share),
        "jitter": named_slider("jitter", scheme.jitter, widgets.FloatSlider, **share),
        "area_law": named_slider("area_law", scheme.area_law, widgets.SelectionSlider, options=laws),
    }


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
