"""The grid of notebook 08: which rows stand along which choice, and the picture of each."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from course_lib.lessons.grid import CHOICES, along, explore_grid, grid_panel, imagenet_rows
from course_lib.networks.alexnet import LAYERS
from course_lib.pictures.charts import accuracy_by_choice, forest


def row(method: str, source: str, n: int, left_out: str = "", seed: int = 0, accuracy: float = 0.5) -> dict[str, Any]:
    same = {"method": method, "source": source, "n": n, "data": "cifar10", "left_out": left_out, "seed": seed}
    return same | {"layer": "conv2", "accuracy": accuracy}


ROWS = [
    row("random", "none", 0, accuracy=0.45),
    row("supervised", "cifar10", 50_000, accuracy=0.62),
    row("supervised", "photos10", 6_000),  # taught with the labels of another set: no bound of this one
    row("rotnet", "china", 1, accuracy=0.55),
    row("rotnet", "china", 1, accuracy=0.57, seed=1),
    row("rotnet", "kilo", 10),
    row("rotnet", "kilo", 1_000),
    row("rotnet", "cifar10", 50_000, accuracy=0.6),
    row("rotnet", "noise", 1, accuracy=0.4),
    row("rotnet", "china", 1, "crop", accuracy=0.46),
    row("bigan", "china", 1, accuracy=0.52),
]
EXPECTED = {
    "images": ["0", "labels", "1", "1", "10", "1,000", "all", "1"],
    "left out": ["untrained", "nothing", "nothing", "crop", "nothing"],
    "content": ["untrained", "photograph", "photograph", "noise", "photograph"],
}


@pytest.mark.parametrize("choice", CHOICES)
def test_rows_along_a_choice_differ_in_it_alone(choice: str) -> None:
    found = along(choice, ROWS, "cifar10")
    assert [one[choice] for one in found] == EXPECTED[choice]
    assert along(choice, ROWS, "photos10") == []


def test_rows_without_the_scheme_are_those_with_all_of_it() -> None:
    older = [{key: value for key, value in one.items() if key != "left_out"} for one in ROWS if not one["left_out"]]
    assert [one["left out"] for one in along("left out", older, "cifar10")] == ["untrained"] + ["nothing"] * 3


def test_what_was_measured_twice_counts_once() -> None:
    (found,) = along("images", [row("bigan", "china", 1), row("bigan", "china", 1, accuracy=0.7)], "cifar10")
    assert found["accuracy"] == 0.7


@pytest.mark.parametrize("choice", CHOICES)
def test_panels_have_one_size_and_say_what_they_show(choice: str) -> None:
    pixels, words = grid_panel(ROWS, "cifar10", "rotnet", choice, "conv2")
    empty, nothing = grid_panel(ROWS, "cifar10", "rotnet", choice, "conv5")
    assert pixels.shape == empty.shape and pixels.dtype == np.uint8
    assert "56.0" in words and words.startswith("rotnet, conv2, probes on cifar10")
    assert nothing.endswith("not measured") and (pixels != empty).any()


def test_other_accuracies_give_another_picture() -> None:
    moved = [one | {"accuracy": one["accuracy"] + 0.02} for one in ROWS]
    pictures = [grid_panel(rows, "cifar10", "rotnet", "images", "conv2")[0] for rows in (ROWS, moved)]
    assert (pictures[0] != pictures[1]).any()


def test_every_drop_down_moves_the_picture() -> None:
    more = [
        one | {"layer": layer, "accuracy": one["accuracy"] + i / 100} for i, layer in enumerate(LAYERS) for one in ROWS
    ]
    more += [one | {"data": "photos10", "accuracy": one["accuracy"] / 2} for one in more]
    panel = explore_grid(more)
    for control in panel.box.children[0].children:
        before = panel.image.value, panel.words.value
        control.value = next(value for value in control.options if value != control.value)
        assert panel.image.value != before[0] and panel.words.value != before[1], control.description


def test_figures_say_their_numbers() -> None:
    words = accuracy_by_choice(along("images", ROWS, "cifar10"), "images", CHOICES["images"][1], "conv2").caption
    assert "rotnet: 1 56.0, 10 50.0, 1,000 50.0, all 60.0" in words and "random: 0 45.0" in words
    pairs = [{"what": "a - b", "mean": 1.0, "low": -0.5, "high": 2.5, "verdict": "undecided"}]
    picture = forest(pairs, 0.0, "a claim: undecided")
    assert "a - b -0.5 to 2.5, undecided" in picture.caption and picture.png().startswith(b"\x89PNG")


def test_published_rows_are_of_imagenet_and_of_it_alone() -> None:
    rows = imagenet_rows()
    assert {one["data"] for one in rows} == {"ImageNet"} and len(rows) == 4 * len(LAYERS)
    assert {one["method"] for one in rows} == {"supervised", "random", "k-means", "bigan"}
    assert all(0.1 < one["accuracy"] < 0.6 for one in rows)
