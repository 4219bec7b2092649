"""Searching by features: against scikit-learn, and the pictures to click on."""

from __future__ import annotations

import functools

import ipywidgets
import numpy as np
import pytest
import torch
from sklearn.neighbors import NearestNeighbors

from course_lib.data.labelled import photos10
from course_lib.lessons.uses.retrieval import (
    NEAREST,
    Search,
    explore_search,
    nearest,
    precision_at,
    precision_rows,
    queries_of,
    search_panel,
)
from course_lib.networks.alexnet import LAYERS, AlexNet
from course_lib.pictures.charts import accuracy_by_layer
from course_lib.probes.classifier import standardise
from course_lib.probes.features import pooled_features
from course_lib.support.palette import RIGHT, WRONG


@functools.cache
def search(seed: int = 0) -> Search:
    torch.manual_seed(seed)
    return Search(AlexNet(32, 0.1).eval(), photos10(32, 100, 60), 200)


def test_the_nearest_are_scikit_learns() -> None:
    queries, gallery = torch.randn(20, 8), torch.randn(50, 8)
    theirs = NearestNeighbors(n_neighbors=7, metric="cosine").fit(gallery.numpy()).kneighbors(queries.numpy())[1]
    assert np.array_equal(nearest(queries, gallery, 7).numpy(), theirs)


def test_how_loud_a_picture_is_does_not_matter() -> None:
    queries, gallery = torch.randn(20, 8), torch.randn(50, 8)
    loud = gallery * torch.rand(50, 1).mul(9).add(0.1)
    assert torch.equal(nearest(queries, gallery, 5), nearest(3 * queries, loud, 5))


def test_more_than_there_are_cannot_be_found() -> None:
    with pytest.raises(ValueError, match="the gallery has 3 pictures, and 4 were asked for"):
        nearest(torch.randn(1, 2), torch.randn(3, 2), 4)


def test_precision_of_features_that_know_everything_and_nothing() -> None:
    labels = torch.arange(400) % 4
    known = torch.eye(4)[labels] + 0.01 * torch.randn(400, 4)
    assert precision_at(known[:100], known[100:], labels[:100], labels[100:], 5) == 1
    blind = torch.randn(400, 4)
    assert precision_at(blind[:100], blind[100:], labels[:100], labels[100:], 5) == pytest.approx(0.25, abs=0.08)


def test_a_search_asks_with_test_pictures_and_answers_with_training_pictures() -> None:
    one, data = search(), photos10(32, 100, 60)
    gallery, queries = one.features("conv3")
    torch.manual_seed(0)
    trunk = AlexNet(32, 0.1).eval()
    train, test = (
        pooled_features(trunk, images, ["conv3"], 200)["conv3"] for images in (data.train_images, data.test_images)
    )
    for given, wanted in zip((gallery, queries), standardise(train, test)):
        assert torch.allclose(given, wanted)
    assert one.nearest(7, "conv3") == nearest(queries[7:8], gallery, NEAREST)[0].tolist()
    wanted = precision_at(queries, gallery, data.test_labels, data.train_labels, NEAREST)
    assert one.precision("conv3") == wanted


def test_queries_are_of_all_classes_in_turn() -> None:
    data = photos10(32, 100, 60)
    chosen = queries_of(data, 20)
    assert len(set(chosen)) == 20
    assert data.test_labels[chosen].tolist() == [*range(10), *range(10)]


def test_rows_make_a_picture() -> None:
    rows = precision_rows({"random": search(0), "rotnet": search(1)}, LAYERS)
    assert len(rows) == 10 and all(0 <= row["precision"] <= 1 for row in rows)
    picture = accuracy_by_layer(rows, "Precision at 5", "precision")
    assert "Precision in percent, random" in picture.caption and picture.png().startswith(b"\x89PNG")


def test_frames_say_which_are_of_the_same_class() -> None:
    searches = {"random": search(0), "rotnet": search(1)}
    shapes = set()
    for query in (0, 13):
        for layer in LAYERS:
            pixels, words = search_panel(searches, query, layer)
            shapes.add(pixels.shape)
            label = int(search().data.test_labels[query])
            for i, (name, one) in enumerate(searches.items()):
                right = [int(one.data.train_labels[k]) == label for k in one.nearest(query, layer)]
                assert f"{name} {sum(right)} of {NEAREST}" in words
                corners = [pixels[24 + 78 * i, 150 + 78 * (k + 1)] for k in range(NEAREST)]
                colours = [bytes.fromhex((RIGHT if good else WRONG)[1:]) for good in right]
                assert [bytes(corner) for corner in corners] == colours
    assert len(shapes) == 1


def test_a_click_asks_about_another_picture_and_the_slider_about_another_layer() -> None:
    panel = explore_search({"random": search(0), "rotnet": search(1)})
    style, *buttons = panel.box.children[0].children
    assert len(buttons) == 20 and all(isinstance(button, ipywidgets.Button) for button in buttons)
    assert style.value.count("data:image/png") == 20 and all(
        button.tooltip in search().data.classes for button in buttons
    )
    seen = set()
    for button in buttons[:5]:
        button.click()
        seen.add(panel.image.value)
        assert f"{button.tooltip} asked for, by conv2" in panel.words.value
    assert len(seen) == 5
    before = panel.image.value
    panel.box.children[1].children[0].value = "conv5"
    assert panel.image.value != before and "by conv5" in panel.words.value
