"""One example, found again: the hunt, the measure against scikit-learn's, the learners, and the controls."""

from __future__ import annotations

import pytest
import tiny
import torch
from torch import Tensor

from course_lib.lessons.one_example import hunts
from course_lib.lessons.one_example.exemplar import Background, whiten
from course_lib.lessons.one_example.hunts import (
    LEARNERS,
    Hunt,
    all_features,
    by_lda,
    find_again,
    hunt_with,
    make_hunt,
    precision_by_layer,
)
from course_lib.networks.alexnet import LAYERS
from course_lib.support.errors import CourseError


def small_hunt(places: int = 5, seed: int = 0) -> Hunt:
    """Of photographs that are made small, since averaging large ones takes seconds."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(hunts, "_LONGEST", 130)
        return make_hunt(["coffee"], 32, places=places, views=4, negatives=40, seed=seed)


@pytest.fixture(scope="module")
def hunt() -> Hunt:
    return small_hunt()


def test_a_hunt_is_what_it_says(hunt: Hunt) -> None:
    assert hunt.examples.shape == (5, 3, 32, 32) and hunt.views.shape == (20, 3, 32, 32)
    assert len(hunt.backdrop) == len(hunt.strangers) == 40 and len(hunt.pool) == 60
    assert hunt.answers.shape == (5, 60) and hunt.answers.sum(1).tolist() == [4] * 5
    assert hunt.answers[1, 4:8].all() and not hunt.answers[:, 20:].any()
    assert all(part.dtype == torch.uint8 for part in (hunt.examples, hunt.pool, hunt.backdrop))
    again, other = (small_hunt(seed=seed) for seed in (0, 1))
    assert torch.equal(again.pool, hunt.pool) and not torch.equal(other.examples, hunt.examples)


def test_views_are_of_the_places_and_negatives_are_not(hunt: Hunt) -> None:
    """Each view is more like its own example than like the other examples, on the average, even in colours."""
    mean = [images.float().mean((2, 3)) for images in (hunt.examples, hunt.views)]
    distance = torch.cdist(*mean)
    own = hunt.answers[:, :20]
    assert distance[own].mean() < distance[~own].mean()
    examples = hunt.examples.float().flatten(1)
    assert torch.cdist(examples, hunt.backdrop.float().flatten(1)).min() > 0


def test_a_photograph_can_be_kept_out_of_a_hunt(monkeypatch: pytest.MonkeyPatch) -> None:
    """The one that a network was trained on is neither a negative nor a stranger."""
    read: list[str] = []
    monkeypatch.setattr(hunts, "read_photograph", lambda name: read.append(name) or torch.randint(0, 256, (3, 60, 80)))
    monkeypatch.setattr(hunts, "shrink", lambda image, longest: image.byte())
    make_hunt(["coffee"], 16, "china", places=2, views=1, negatives=4)
    assert read[0] == "coffee" and read.count("coffee") == 1 and "china" not in read and len(read) == 13


def test_places_that_do_not_fit_are_refused() -> None:
    with pytest.raises(CourseError, match="coffee has only .* of 400 places that do not overlap; ask for fewer"):
        small_hunt(places=400)


def clouds(spread: float) -> dict[str, Tensor]:
    """Features of 6 places, 5 views of each about its example, 100 negatives, and as many strangers."""
    draws = torch.Generator().manual_seed(0)
    examples = torch.randn(6, 30, generator=draws)
    views = examples.repeat_interleave(5, 0) + spread * torch.randn(30, 30, generator=draws)
    negatives, strangers = torch.randn(2, 100, 30, generator=draws)
    return {"examples": examples, "negatives": negatives, "pool": torch.cat([views, strangers])}


ANSWERS = torch.cat([torch.eye(6).repeat_interleave(5, 1), torch.zeros(6, 100)], 1).bool()


@pytest.mark.parametrize("name", LEARNERS)
def test_every_learner_finds_what_is_near_and_nothing_by_a_false_example(name: str) -> None:
    near, far = clouds(0.2), clouds(3.0)
    assert find_again(LEARNERS[name], **near, answers=ANSWERS).min() > 0.95
    assert find_again(LEARNERS[name], **far, answers=ANSWERS).mean() < 0.6
    assert find_again(LEARNERS[name], **near, answers=ANSWERS.roll(1, 0)).mean() < 0.2, "another's answers"


def test_lda_of_several_examples_is_that_of_each() -> None:
    parts = clouds(1.0)
    background = Background.of(parts["negatives"])
    one = whiten(background.covariance, parts["examples"][2], background.mean)
    assert torch.allclose(by_lda(parts["examples"], parts["negatives"])[2], one, atol=1e-4)


def test_features_of_every_kind_are_at_most_as_many_as_asked_for(hunt: Hunt) -> None:
    trunks = {"random": tiny.method("rotnet").trunk.eval()}
    made = all_features(hunt.examples, 900, trunks)
    assert list(made) == [("pixels", ""), ("HOG", ""), *(("random", layer) for layer in LAYERS)]
    assert all(len(x) == 5 and x.shape[1] <= 900 for x in made.values())
    parts = hunt_with(hunt, 900, trunks)["random", "conv2"]
    assert torch.allclose(parts["examples"], made["random", "conv2"], atol=1e-2)
    assert [len(part) for part in parts.values()] == [5, 40, 60]


def test_an_example_leads_and_a_flat_square_does_not(hunt: Hunt) -> None:
    parts = hunt_with(hunt, 900, {})["HOG", ""]
    flat = all_features(torch.full((1, 3, 32, 32), 128, dtype=torch.uint8), 900, {})["HOG", ""]
    led = find_again(LEARNERS["SVM"], **parts, answers=hunt.answers).mean()
    astray = find_again(LEARNERS["SVM"], **parts | {"examples": flat.expand(5, -1)}, answers=hunt.answers).mean()
    assert led > 0.6 > 0.4 > astray


def test_the_picture_of_precisions_says_its_numbers() -> None:
    spread = torch.linspace(0, 0.2, 4)
    kinds = [("pixels", ""), ("HOG", ""), *((who, layer) for who in ("random", "rotnet") for layer in LAYERS)]
    precisions = {key: 0.05 * i + spread for i, key in enumerate(kinds)}
    picture = precision_by_layer(precisions, 0.02, "One example")
    assert picture.caption.startswith("One example. Mean over places: random conv1 0.20, conv2 0.25")
    assert picture.caption.endswith("HOG 0.15; pixels 0.10; chance 0.02")
    assert picture.png().startswith(b"\x89PNG")
