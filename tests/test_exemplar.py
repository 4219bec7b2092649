"""Exemplar SVM and LDA, oriented gradients, detections: against scikit-learn, torchvision and windows found by hand."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from scipy.special import logit
from sklearn.discriminant_analysis import LinearDiscriminantAnalysis
from sklearn.linear_model import LogisticRegression
from sklearn.svm import SVC
from test_method_panels import slide
from torch import Tensor
from torchvision.ops import box_iou, nms

from course_lib.data.sources import generate
from course_lib.lessons.one_example.detections import (
    CELL,
    Calibration,
    Detections,
    HogPyramid,
    by_cell,
    calibrate,
    detect,
    hog_map,
    judged,
    suppress,
)
from course_lib.lessons.one_example.exemplar import (
    Background,
    Template,
    fit_svm,
    hardest,
    mine,
    objective,
    some_windows,
    whiten,
    widest_margin,
    windows_at,
)
from course_lib.lessons.one_example.template_pictures import (
    detections_picture,
    explore_template,
    mining_picture,
    strokes,
    template_panel,
    templates,
)
from course_lib.lessons.uses.precision import overlap


def draws(*shape: int, seed: int = 0) -> Tensor:
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed))


@pytest.fixture(scope="module")
def leaves() -> HogPyramid:
    return HogPyramid.of(generate("dead_leaves", 200, 150), least=72)


@pytest.fixture(scope="module")
def others() -> list[Tensor]:
    return [m for seed in (1, 2) for m in HogPyramid.of(generate("dead_leaves", 160, 120, seed), least=72).maps]


def toy() -> tuple[Tensor, Tensor]:
    """A positive near the negatives, so that the margin is not empty."""
    return draws(8) + 0.5, draws(60, 8, seed=1)


@pytest.mark.parametrize("cost", [0.01, 0.1, 10.0])
def test_the_machine_of_one_positive_is_scikit_learns(cost: float) -> None:
    positive, negatives = toy()
    w, bias = fit_svm(positive, negatives, cost, 50.0)
    x, y = torch.cat([positive[None], negatives]).numpy(), [1] + [-1] * len(negatives)
    theirs = SVC(kernel="linear", C=cost, class_weight={1: 50.0}, tol=1e-6).fit(x, y)
    assert np.allclose(x @ w.numpy() + bias, theirs.decision_function(x), atol=2e-3)


def test_products_that_several_examples_share_change_nothing() -> None:
    positive, negatives = toy()
    shared = fit_svm(positive, negatives, 0.1, 50.0, negatives @ negatives.T)
    assert torch.allclose(shared[0], fit_svm(positive, negatives, 0.1, 50.0)[0], atol=1e-5)


def test_the_machine_minimises_the_objective() -> None:
    positive, negatives = toy()
    w, bias = fit_svm(positive, negatives, 0.1, 50.0)
    least = objective(w, bias, positive, negatives, 5.0, 0.1)
    for seed in range(20):
        step = 0.05 * draws(9, seed=seed)
        assert objective(w + step[:8], bias + float(step[8]), positive, negatives, 5.0, 0.1) > least - 1e-4


def test_costs_that_are_not_positive_are_refused() -> None:
    with pytest.raises(ValueError, match="above 0, got 0 and 1"):
        widest_margin(torch.eye(2), torch.tensor([1, -1]), 0)


@pytest.mark.parametrize("cost", [0.01, 1e-3])
def test_mining_ends_at_the_machine_of_all_windows(leaves: HogPyramid, others: list[Tensor], cost: float) -> None:
    """So that what was thrown away did not matter."""
    exemplar, _ = leaves.nearest_window(60, 40, 64)
    rounds = mine(exemplar, others, 60, cost)
    assert 2 < len(rounds) < 60, "it ends when nothing new is found"
    assert rounds[0].hard == sum((m.shape[1] - 6) * (m.shape[2] - 6) for m in others)
    every = torch.cat([windows_at(m, range((m.shape[1] - 6) * (m.shape[2] - 6)), 7, 7) for m in others])
    w, bias = fit_svm(exemplar.flatten(), every, cost)
    mined = torch.cat([rounds[-1].template.scores(m).flatten() for m in others])
    assert torch.allclose(mined, every @ w + bias, atol=0.01)


def test_mining_says_what_it_cannot_do(leaves: HogPyramid) -> None:
    exemplar, _ = leaves.nearest_window(60, 40, 64)
    with pytest.raises(ValueError, match="rounds must be at least 1, got 0"):
        mine(exemplar, leaves.maps, 0)
    with pytest.raises(ValueError, match="no negative is as large"):
        mine(exemplar, [torch.zeros(36, 3, 9)])


def test_a_template_slides_over_every_window() -> None:
    features, template = draws(4, 6, 9), Template(draws(4, 2, 3, seed=1), 0.5)
    scores = template.scores(features)
    assert scores.shape == (5, 7)
    cut = windows_at(features, range(35), 2, 3)
    assert torch.allclose(cut @ template.weights.flatten() + 0.5, scores.flatten(), atol=1e-5)
    assert torch.equal(cut[8].view(4, 2, 3), features[:, 1:3, 1:4])
    assert template.scores(features[:, :1]).numel() == 0
    hard, count = hardest(template, features, most=3)
    order = scores.flatten().argsort(descending=True).tolist()
    assert count == int((scores >= -1).sum()) and hard == order[:3]
    assert hardest(template, features, {order[0]}, 2) == (order[1:3], count - 1)


def test_windows_are_drawn_from_each_map_by_its_size() -> None:
    maps = [torch.zeros(2, 5, 5), torch.ones(2, 9, 11), torch.ones(2, 2, 2)]
    drawn = some_windows(maps, 3, 3, 36)
    assert len(drawn) == 37 and int(drawn[:, 0].sum()) == 32, "9 windows, 63, and none"
    assert not torch.equal(*(some_windows([draws(2, 9, 9)], 3, 3, 9, seed) for seed in (0, 1)))


def test_exemplar_lda_is_scikit_learns_discriminant() -> None:
    """Of two classes, one of which is a single example: the same direction, since its own covariance is none."""
    positive, negatives = draws(6) + 1, draws(200, 6, seed=1) @ draws(6, 6, seed=2)
    background = Background.of(negatives, ridge=0)
    theirs = LinearDiscriminantAnalysis(solver="lsqr", priors=[0.5, 0.5])
    theirs.fit(torch.cat([negatives, positive[None]]).numpy(), [0] * 200 + [1])
    ours = whiten(background.covariance, positive, background.mean)
    cosine = torch.cosine_similarity(ours, torch.from_numpy(theirs.coef_[0]).float(), dim=0)
    assert cosine > 0.9999
    assert torch.cosine_similarity(positive - background.mean, ours, dim=0) < 0.9, "the covariance matters here"


def test_templates_are_compared_at_one_scale(leaves: HogPyramid, others: list[Tensor]) -> None:
    exemplar, _ = leaves.nearest_window(60, 40, 64)
    background = Background.of(some_windows(others, 7, 7, 300))
    w, mean = whiten(background.covariance, exemplar.flatten(), background.mean), background.mean.view_as(exemplar)
    scaled = Template(w.view_as(exemplar)).between(exemplar, mean)
    assert float(scaled.scores(exemplar)) == pytest.approx(1, abs=1e-3)
    assert float(scaled.scores(mean)) == pytest.approx(-1, abs=1e-3)


def test_gradients_are_counted_by_direction() -> None:
    """Stripes that change from left to right fill the first bin and its neighbour across 180 degrees, and no other."""
    stripes = torch.arange(64).remainder(8).ge(4).mul(255).byte().expand(3, 64, 64)
    upright, lying = by_cell(hog_map(stripes)), by_cell(hog_map(stripes.mT.contiguous()))
    assert upright.shape == (9, 8, 8)
    assert upright[0].min() > 0.1 and upright[1:8].max() < 1e-6
    assert lying[4].min() > 0.1 and lying[[0, 1, 2, 6, 7, 8]].max() < 1e-6
    assert hog_map(torch.full((3, 64, 64), 9, dtype=torch.uint8)).abs().max() == 0
    with pytest.raises(ValueError, match="16 pixels a side, got a picture of"):
        hog_map(stripes[:, :15])


def test_light_and_contrast_drop_out_of_gradients() -> None:
    image = generate("dead_leaves", 96, 96)
    darker = (image.float() * 0.5 + 20).byte()
    assert torch.cosine_similarity(hog_map(image).flatten(), hog_map(darker).flatten(), dim=0) > 0.98
    assert torch.cosine_similarity(image.float().flatten() - 128, darker.float().flatten() - 128, dim=0) < 0.9


def test_a_pyramid_knows_how_large_its_cells_are(leaves: HogPyramid) -> None:
    assert len(leaves.maps) == len(leaves.cells) == 5
    assert leaves.cells[0] == (CELL, CELL) and leaves.cells[4] == (2 * CELL, 2 * CELL)
    exemplar, box = leaves.nearest_window(30, 26, 64)
    assert box.tolist() == [32, 24, 96, 88] and torch.equal(exemplar, leaves.maps[0][:, 3:10, 4:11])
    twice, box = leaves.nearest_window(500, -3, 130)
    assert torch.equal(twice, leaves.maps[4][:, :7, -7:]) and box.tolist() == [64, 0, 192, 128]
    with pytest.raises(ValueError, match="no room for 8 x 8 cells"):
        HogPyramid.of(generate("noise", 60, 60), least=32).nearest_window(0, 0, 64)


def boxes(count: int, seed: int) -> Tensor:
    corner, size = 100 * draws(2, count, 2, seed=seed).abs()
    return torch.cat([corner, corner + size + 1], 1)


@pytest.mark.parametrize("seed", range(5))
@pytest.mark.parametrize("most", [0.1, 0.5, 0.9])
def test_suppression_and_overlap_are_torchvisions(seed: int, most: float) -> None:
    found = Detections(boxes(80, seed), draws(80, seed=seed + 50))
    assert torch.allclose(overlap(found.boxes, found.boxes[:9]), box_iou(found.boxes, found.boxes[:9]), atol=1e-6)
    kept = suppress(found, most)
    assert torch.equal(kept.boxes, found.boxes[nms(found.boxes, found.scores, most)])
    assert len(suppress(found[:0])) == 0


def test_an_example_is_found_where_it_was_taken(leaves: HogPyramid, others: list[Tensor]) -> None:
    exemplar, box = leaves.nearest_window(60, 40, 90)
    template = mine(exemplar, others)[-1].template
    found = suppress(detect(template, leaves))
    assert torch.allclose(found.boxes[0], box) and float(found.scores[0]) == pytest.approx(1, abs=1e-2)
    assert (found.scores[1:] < 0.5).all()
    scores, right = judged(template, [leaves, HogPyramid.of(generate("noise", 120, 120), 72)], [box, None])
    assert int(right.sum()) >= 1 and scores[right].max() == found.scores[0] and not right[-1]


def test_what_is_neither_right_nor_wrong_is_not_judged(leaves: HogPyramid) -> None:
    features = leaves.maps[0]
    template = Template(torch.zeros(36, 7, 7), 0.0)  # every window scores 0
    box = torch.tensor([0.0, 0.0, 64.0, 64.0])
    few = HogPyramid((features[:, :8, :10],), ((8.0, 8.0),))
    everything = detect(template, few)
    assert len(everything) == 8 and everything.boxes[0].tolist() == box.tolist()
    scores, right = judged(template, [few], [box])
    assert len(scores) == 1 and right.tolist() == [True], "the first box, which suppresses all others"


def test_calibration_is_platts() -> None:
    """His targets are logistic regression with every example twice, once of each class, by weight."""
    right = torch.arange(40) % 3 == 0
    scores = draws(40) + 1.5 * right
    n, m = int(right.sum()), int((~right).sum())
    target = torch.where(right, (n + 1) / (n + 2), 1 / (m + 2)).numpy()
    x, y = np.tile(scores.numpy(), 2)[:, None], [1] * 40 + [0] * 40
    theirs = LogisticRegression(C=1e9, tol=1e-10).fit(x, y, np.concatenate([target, 1 - target]))
    ours = calibrate(scores, right)
    assert ours.slope == pytest.approx(float(theirs.coef_[0, 0]), rel=1e-3)
    assert ours.middle == pytest.approx(float(-theirs.intercept_[0] / theirs.coef_[0, 0]), abs=1e-3)
    apart = calibrate(torch.tensor([-1.0, -2.0, 3.0]), torch.tensor([False, False, True]))
    assert apart.slope < 20, "scores that part the two leave the slope finite"
    assert float(Calibration(2.0, 0.5).chance(torch.tensor(1.0))) == pytest.approx(1 / (1 + np.exp(-1)))
    assert logit(float(ours.chance(torch.tensor(ours.middle)))) == pytest.approx(0, abs=1e-5)
    with pytest.raises(ValueError, match="right and wrong detections, got 3 and 0"):
        calibrate(torch.zeros(3), torch.ones(3, dtype=torch.bool))


def test_strokes_run_along_edges() -> None:
    """An upright edge is an upright stroke; a template that wants nothing is black."""
    template = torch.zeros(36, 1, 1)
    template[[0, 9, 18, 27]] = 1
    drawn = strokes(template)
    assert drawn.shape == (48, 48, 3)
    rows, columns = (drawn[:24, :24, 0] > 128).nonzero()
    assert np.ptp(rows) > 15 and np.ptp(columns) < 8
    assert strokes(-template).max() == 0


def test_the_pictures_say_what_they_show(leaves: HogPyramid, others: list[Tensor]) -> None:
    image = generate("dead_leaves", 200, 150)
    exemplar, box = leaves.nearest_window(60, 40, 64)
    rounds = mine(exemplar, others, 3)
    shown = templates(image, box, exemplar, {"SVM": rounds[-1].template}, "A square")
    assert shown.caption == "A square. From left to right: the one example, its edges, SVM wants, SVM avoids"
    found = suppress(detect(rounds[-1].template, leaves))[:2]
    boxed = detections_picture(image, found.boxes, torch.tensor([0.9, 0.2]), "Found", box)
    assert boxed.caption.startswith("Found: 2 boxes, the first 90% at (64, 40) to (128, 104)")
    assert boxed.caption.endswith("the dashed box is where the example was taken: (64, 40) to (128, 104)")
    assert not np.array_equal(boxed.image, image.permute(1, 2, 0).numpy())
    nothing = detections_picture(image, found.boxes[:0], torch.empty(0), "Found")
    assert nothing.caption == "Found: 0 boxes, the first none"
    curve = mining_picture(rounds, "Mining")
    assert f"round 1: {rounds[0].hard:,} and {rounds[0].used}" in curve.caption
    assert all(picture.png().startswith(b"\x89PNG") for picture in (shown, boxed, curve))


def test_the_panel_of_templates(leaves: HogPyramid, others: list[Tensor]) -> None:
    image = generate("dead_leaves", 200, 150)
    exemplar, _ = leaves.nearest_window(60, 40, 64)
    drawn = [template_panel(image, leaves, one) for one in mine(exemplar, others, 2)]
    assert drawn[0][0].shape == drawn[1][0].shape and drawn[0][0].dtype == np.uint8
    assert all("The best boxes score 1.00" in words for _, words in drawn)
    panel = explore_template(image, leaves, exemplar, others)
    assert "C 1e-02, round " in panel.words.value
    slide(panel)
