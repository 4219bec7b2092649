"""Pictures and panels: they are made, they carry their words, and no slider breaks them."""

from __future__ import annotations

import html
import io
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from course_lib.data.crops import CropScheme
from course_lib.data.loading import load_source
from course_lib.data.sources import Source
from course_lib.lessons.crops.measures import crop_histograms
from course_lib.pictures import charts, figures
from course_lib.pictures.figures import Picture, tile, to_pixels
from course_lib.pretext.method import method_names
from course_lib.support.palette import COLOURS, MARKERS


@pytest.fixture(scope="module")
def china() -> Source:
    return load_source("china")


def pictures(china: Source) -> Iterator[Picture]:
    crops = CropScheme().sample(china, 20)
    filters = torch.randn(12, 3, 5, 5)
    rows = [
        {"method": m, "layer": layer, "accuracy": 0.5, "seed": s}
        for m in ("random", "rotnet")
        for layer in ("conv1", "conv2")
        for s in range(2)
    ]
    yield figures.outlines(china, crops)
    yield figures.crop_sheet(torch.rand(5, 3, 8, 8), "five crops")
    yield crop_histograms(china, crops, CropScheme())
    yield figures.crop_rows({"a": torch.rand(5, 3, 8, 8), "b": torch.rand(5, 3, 8, 8)}, "two rows")
    yield figures.filter_sheet(filters, "filters")
    yield figures.compare_filters({"a": filters, "b": filters}, "two nets")
    yield charts.training_picture("rotnet", torch.rand(9), torch.rand(9), 20, filters)
    yield charts.training_picture("rotnet", torch.empty(0), torch.empty(0), 20, filters)
    yield figures.answers(torch.rand(3, 3, 8, 8), "abc", "abd")
    yield charts.accuracy_by_layer(rows, "probes")


def test_every_picture_is_drawn_and_carries_its_words(china: Source) -> None:
    for picture in pictures(china):
        pixels = np.asarray(Image.open(io.BytesIO(picture.png())).convert("RGB"))
        assert min(pixels.shape[:2]) > 5 and pixels.std() > 1, picture.caption
        assert picture.caption and f'alt="{html.escape(picture.caption)}"' in picture.html()
        assert picture.bundle()["text/plain"] == picture.caption


def test_a_caption_cannot_break_out_of_its_attribute() -> None:
    page = Picture(np.zeros((4, 4, 3), np.uint8), 'a "quoted" <b>word</b>').html()
    assert 'alt="a &quot;quoted&quot; &lt;b&gt;word&lt;/b&gt;"' in page and "<b>" not in page


def test_every_method_has_a_colour_and_a_marker_of_its_own() -> None:
    assert set(method_names()) | {"random"} <= set(COLOURS) == set(MARKERS)
    assert len(set(COLOURS.values())) == len(COLOURS) and len(set(MARKERS.values())) == len(MARKERS)


def test_pixels_map_the_range_exactly() -> None:
    images = torch.tensor([-1.0, 0.0, 1.0]).view(3, 1, 1, 1).expand(3, 3, 1, 1)
    assert to_pixels(images)[:, 0, 0, 0].tolist() == [0, 128, 255]
    assert (to_pixels(torch.full((1, 3, 1, 1), 7, dtype=torch.uint8)) == 7).all()


def test_tile_places_every_picture() -> None:
    numbered = np.arange(5, dtype=np.uint8)[:, None, None, None] * np.ones((1, 2, 2, 3), np.uint8)
    sheet = tile(numbered, columns=3, scale=2, gap=1)
    assert sheet.shape == (2 * 4 + 1, 3 * 4 + 2, 3)
    assert [sheet[0, 0, 0], sheet[0, 5, 0], sheet[0, 10, 0], sheet[5, 0, 0], sheet[5, 5, 0]] == [0, 1, 2, 3, 4]
    assert sheet[0, 4, 0] == 255 and sheet[5, 10, 0] == 255


def test_the_readmes_figures_are_there(request: pytest.FixtureRequest) -> None:
    for name in ("crops", "filters", "layers"):
        assert Image.open(Path(request.config.rootpath) / f"assets/figures/{name}.png").size[0] > 400


def test_a_method_of_the_readers_own_is_drawn_too() -> None:
    from course_lib.pictures.charts import accuracy_by_layer

    rows = [{"method": m, "layer": "conv1", "accuracy": 0.5, "seed": 0} for m in ("rotnet", "mine")]
    assert "mine 50 at conv1" in accuracy_by_layer(rows, "Probes").caption
