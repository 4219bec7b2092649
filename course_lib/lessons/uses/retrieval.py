"""Retrieval: the pictures that are most alike by the features of a layer, and a search to click through.

A classifier learns which features matter; a search takes them as they are. Taught in notebook 11."""

from __future__ import annotations

import base64
from collections.abc import Callable, Mapping, Sequence

import ipywidgets as widgets
import numpy as np
import torch.nn.functional as F
from PIL import Image, ImageDraw, ImageOps
from torch import Tensor

from course_lib.data.datasets import LabelledImages
from course_lib.networks.trunk import Trunk
from course_lib.pictures.drawing import Paper
from course_lib.pictures.figures import Picture, tile, to_pixels
from course_lib.pictures.panel import WRAP, Drawn, Panel, named_slider, panel_over
from course_lib.probes.classifier import standardise
from course_lib.probes.features import NUMBERS, pooled_features
from course_lib.support.palette import RIGHT, WRONG

NEAREST = 5
"""Pictures that a search gives."""


def nearest(queries: Tensor, gallery: Tensor, k: int = NEAREST) -> Tensor:
    """For each query the k pictures of the gallery whose features point most nearly the same way, best first: (n, k).

    queries: features (n, f). gallery: features (m, f). Likeness is the cosine, so that a picture with larger features
    is no nearer to all others. Raises ValueError where the gallery has fewer than k.
    """
    if k > len(gallery):
        raise ValueError(f"the gallery has {len(gallery)} pictures, and {k} were asked for")
    return (F.normalize(queries) @ F.normalize(gallery).T).topk(k).indices


def precision_at(queries: Tensor, gallery: Tensor, labels: Tensor, gallery_labels: Tensor, k: int) -> float:
    """The share of the k nearest pictures that have their query's label, on average over the queries: precision at k.

    queries, gallery: features (n, f) and (m, f). labels, gallery_labels: (n,) and (m,). Taught in notebook 11.
    """
    found = gallery_labels[nearest(queries, gallery, k)]
    return (found == labels[:, None]).double().mean().item()


class Search:
    """The pictures of a labelled set as each layer of a trunk sees them. Its test pictures are the queries and its
    training pictures the gallery, so that no picture can find itself.

    numbers: features per layer, at most.
    """

    def __init__(self, trunk: Trunk, data: LabelledImages, numbers: int = NUMBERS) -> None:
        self.data, self.layers = data.to(next(trunk.parameters()).device), trunk.layers
        gallery = pooled_features(trunk, self.data.train_images, None, numbers)
        queries = pooled_features(trunk, self.data.test_images, None, numbers)
        self._features = {layer: standardise(gallery[layer], queries[layer]) for layer in self.layers}

    def features(self, layer: str) -> tuple[Tensor, Tensor]:
        """A layer's standardised features, (m, f) of the gallery and (n, f) of the queries."""
        return self._features[layer]

    def nearest(self, query: int, layer: str) -> list[int]:
        """The training pictures that are most like one test picture by a layer, best first."""
        gallery, queries = self.features(layer)
        return nearest(queries[query : query + 1], gallery)[0].tolist()

    def precision(self, layer: str) -> float:
        """`precision_at` NEAREST, over all test pictures."""
        gallery, queries = self.features(layer)
        return precision_at(queries, gallery, self.data.test_labels, self.data.train_labels, NEAREST)


def queries_of(data: LabelledImages, count: int) -> list[int]:
    """Test pictures to ask about, the first of each class in turn, then the second."""
    labels = data.test_labels.tolist()
    return sorted(range(len(labels)), key=lambda i: (labels[:i].count(labels[i]), labels[i]))[:count]


def precision_rows(searches: Mapping[str, Search], layers: Sequence[str]) -> list[dict]:
    """Rows with method, layer and precision (a share of 1), for each network at each layer."""
    return [
        {"method": name, "layer": layer, "precision": search.precision(layer)}
        for name, search in searches.items()
        for layer in layers
    ]


_TILE, _FRAME, _GAP = 64, 4, 6  # pixels of a found picture, of its frame, and between two
_LEFT, _TOP = 150, 24  # pixels for names
_QUERIES = 20
_BUTTON = 48  # pixels


def search_panel(searches: Mapping[str, Search], query: int, layer: str) -> Drawn:
    """What each network's layer finds most like a test picture, one row per network, best first.

    A frame's colour says whether the class is the query's; where it is not, there is a cross as well.
    """
    data, cells, said = next(iter(searches.values())).data, [], []
    label = int(data.test_labels[query])
    for name, search in searches.items():
        found = search.nearest(query, layer)
        right = (data.train_labels[found] == label).tolist()
        cells.append(_framed(data.test_images[query], None))
        cells += [_framed(data.train_images[i], same) for i, same in zip(found, right)]
        said.append(f"{name} {sum(right)} of {NEAREST}")
    sheet = tile(np.stack(cells), 1 + NEAREST, gap=_GAP)
    step = sheet.shape[1] / (1 + NEAREST)
    paper = Paper(_LEFT + sheet.shape[1], _TOP + len(sheet), left=_LEFT)
    paper.write(_LEFT, 4, "asked for", "la")
    paper.write(_LEFT + step, 4, f"found by {layer}, the most alike first", "la")
    for row, name in enumerate(searches):
        paper.name(_TOP + (row + 0.5) * step, name)
    pixels = paper.pixels
    pixels[_TOP:, _LEFT:] = sheet
    return pixels, f"{data.classes[label]} asked for, by {layer}: of the same class are {', '.join(said)}"


def _thumbnail(image: Tensor) -> Image.Image:
    return Image.fromarray(to_pixels(image[None])[0]).resize((_TILE, _TILE), Image.Resampling.NEAREST)


def _framed(image: Tensor, right: bool | None) -> np.ndarray:
    """A picture in a frame that says whether it is right, with a cross where it is not; white for neither."""
    colour = {None: "white", True: RIGHT, False: WRONG}[right]
    canvas = ImageOps.expand(_thumbnail(image), _FRAME, colour)
    if right is False:
        pen, x, y = ImageDraw.Draw(canvas), canvas.width - 16, 4
        for ends in ((x, y, x + 11, y + 11), (x, y + 11, x + 11, y)):
            pen.line(ends, fill="white", width=5)
            pen.line(ends, fill=colour, width=3)
    return np.asarray(canvas)


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
