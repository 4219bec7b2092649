"""A search in pictures: what each network takes for the most alike, and pictures to click on. For notebook 11."""

from __future__ import annotations

import base64
from collections.abc import Callable, Mapping, Sequence

import ipywidgets as widgets
import numpy as np
from PIL import Image, ImageDraw, ImageFont
from torch import Tensor

from course_lib.lessons.uses.retrieval import NEAREST, Search, queries_of
from course_lib.pictures.figures import Picture, to_pixels
from course_lib.pictures.panel import WRAP, Panel, named_slider, panel_over
from course_lib.support.palette import RIGHT, WRONG

_TILE, _FRAME, _GAP = 64, 4, 6  # pixels of a found picture, of its frame, and between two
_LEFT, _TOP = 150, 24  # pixels for names
_QUERIES = 20
_BUTTON = 48  # pixels


def search_panel(searches: Mapping[str, Search], query: int, layer: str) -> tuple[np.ndarray, str]:
    """What each network's layer finds most like a test picture, one row per network, best first.

    A frame's colour says whether the class is the query's; where it is not, there is a cross as well. Pixels (height,
    width, 3) uint8, and words.
    """
    data = next(iter(searches.values())).data
    label, step = int(data.test_labels[query]), _TILE + 2 * _FRAME + _GAP
    canvas = Image.new("RGB", (_LEFT + step * (NEAREST + 1) + 2 * _GAP, _TOP + step * len(searches)), "white")
    pen, font, said = ImageDraw.Draw(canvas), ImageFont.load_default(13), []
    pen.text((_LEFT, 4), "asked for", fill="black", font=font)
    pen.text((_LEFT + step + 2 * _GAP, 4), f"found by {layer}, the most alike first", fill="black", font=font)
    for row, (name, search) in enumerate(searches.items()):
        top = _TOP + row * step
        pen.text((_LEFT - 10, top + step // 2), name, fill="black", font=font, anchor="rm")
        canvas.paste(_thumbnail(data.test_images[query]), (_LEFT + _FRAME, top + _FRAME))
        found = search.nearest(query, layer)
        for place, i in enumerate(found):
            left = _LEFT + 2 * _GAP + step * (place + 1)
            _framed(canvas, pen, data.train_images[i], left, top, int(data.train_labels[i]) == label)
        right = sum(int(data.train_labels[i]) == label for i in found)
        said.append(f"{name} {right} of {NEAREST}")
    return np.asarray(canvas), f"{data.classes[label]} asked for, by {layer}: of the same class are {', '.join(said)}"


def _thumbnail(image: Tensor) -> Image.Image:
    return Image.fromarray(to_pixels(image[None])[0]).resize((_TILE, _TILE), Image.Resampling.NEAREST)


def _framed(canvas: Image.Image, pen: ImageDraw.ImageDraw, image: Tensor, left: int, top: int, right: bool) -> None:
    far, colour = _TILE + 2 * _FRAME, RIGHT if right else WRONG
    pen.rectangle((left, top, left + far - 1, top + far - 1), fill=colour)
    canvas.paste(_thumbnail(image), (left + _FRAME, top + _FRAME))
    if not right:
        x, y = left + far - 16, top + 4
        for ends in ((x, y, x + 11, y + 11), (x, y + 11, x + 11, y)):
            pen.line(ends, fill="white", width=5)
            pen.line(ends, fill=colour, width=3)


def explore_search(searches: Mapping[str, Search]) -> Panel:
    """Click on a picture, choose a layer, and see which pictures each network finds most like it."""
    first = next(iter(searches.values()))
    queries = queries_of(first.data, _QUERIES)
    layer = named_slider("layer", first.layers[1], widgets.SelectionSlider, options=first.layers)
    chosen = {"query": queries[0]}
    panel = panel_over([layer], lambda: search_panel(searches, chosen["query"], layer.value))

    def ask(place: int) -> None:
        chosen["query"] = queries[place]
        panel.redraw()

    names = [first.data.classes[int(first.data.test_labels[i])] for i in queries]
    pictures = [Picture(np.asarray(_thumbnail(first.data.test_images[i])), "") for i in queries]
    buttons = _picture_buttons(pictures, names, ask)
    panel.box.children = [buttons, *panel.box.children]
    return panel


def _picture_buttons(pictures: Sequence[Picture], names: Sequence[str], ask: Callable[[int], None]) -> widgets.Box:
    """Pictures to click on, or to reach with the tab key: buttons with a picture as background and its name as
    tooltip."""
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
