"""Correlation filters, views with known maps and tracking: against sums done by hand, scikit-learn, and the maps."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from sklearn.svm import SVC
from test_method_panels import slide
from torch import Tensor

from course_lib.data.crops import Crops, CropScheme
from course_lib.data.images import to_grey
from course_lib.data.render import render
from course_lib.data.sources import Source, generate
from course_lib.lessons.one_example.correlation import (
    correlate,
    correlation_filter,
    explore_filter,
    filter_panel,
    find_peak,
    inside,
    normalised,
    planes,
    track,
    track_errors,
    whitener,
    window_at,
    windows_beside,
)
from course_lib.lessons.one_example.views import box_in, place_in, square_at, views_with, walk
from course_lib.support.errors import CourseError

BOX = torch.tensor([120.0, 80, 184, 144])
CENTRE = torch.tensor([[152.0, 112]])
MILD = CropScheme(beta=0.1, gamma=1.0, alpha=4, flip=0.0, jitter=0.3)


def draws(*shape: int, seed: int = 0) -> Tensor:
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed))


@pytest.fixture(scope="module")
def source() -> Source:
    return Source.from_images([generate("dead_leaves", 320, 240)], "leaves")


@pytest.mark.parametrize(("picture", "template"), [((9, 12), (3, 4)), ((8, 7), (8, 7)), ((16, 5), (1, 2))])
def test_a_plane_is_the_sum_over_every_window(picture: tuple[int, int], template: tuple[int, int]) -> None:
    image, small = draws(*picture), draws(*template, seed=1)
    wrapped = F.pad(image[None, None], (0, template[1] - 1, 0, template[0] - 1), mode="circular")
    direct = F.conv2d(wrapped, small[None, None])[0, 0]
    plane = correlate(image, small)
    assert torch.allclose(plane, direct, atol=1e-4)
    plain = F.conv2d(image[None, None], small[None, None])[0, 0]
    assert torch.allclose(inside(plane, *template), plain, atol=1e-4)


@pytest.mark.parametrize("place", [(0, 0), (5, 17), (36, 24)])
@pytest.mark.parametrize("alpha", [1.0, 1e-3, 1e-6])
def test_a_peak_is_where_the_patch_was_put(place: tuple[int, int], alpha: float) -> None:
    patch, (y, x) = draws(12, 8), place
    frame = 0.2 * draws(48, 32, seed=1)
    frame[y : y + 12, x : x + 8] += patch
    peak = find_peak(inside(correlate(frame, correlation_filter(patch, patch[None][:0], alpha, 1 - alpha)), 12, 8))
    assert (peak.y, peak.x) == place and peak.sharpness > 4


def test_the_two_ends_of_a_filter_without_negatives() -> None:
    """The example itself, and one that answers to it with a spike, less the mean that was taken out."""
    patch, none = draws(10, 14), torch.empty(0, 10, 14)
    matched, needle = (correlation_filter(patch, none, *ends) for ends in ((1, 0), (1e-9, 1)))
    assert torch.allclose(matched, normalised(patch), atol=1e-5)
    beside = [correlate(patch, one).flatten() for one in (needle, matched)]
    assert (beside[0][1:] / beside[0][0]).abs().max() < 0.01 < (beside[1][1:] / beside[1][0]).abs().max()
    sharp = [find_peak(correlate(patch, correlation_filter(patch, none, a, 1))).sharpness for a in (1, 1e-2, 1e-4)]
    assert sharp == sorted(sharp)


def test_without_localisation_it_is_a_support_vector_machine_on_pixels() -> None:
    positive, negatives = draws(6, 5), draws(40, 6, 5, seed=1)
    ours = correlation_filter(positive, negatives, alpha=1, beta=0, cost=0.5).flatten()
    x = normalised(torch.cat([positive[None], negatives])).flatten(1).double().numpy()
    theirs = SVC(kernel="linear", C=0.5, tol=1e-6).fit(x, [1] + [-1] * 40).coef_[0]
    assert np.allclose(ours, theirs / np.linalg.norm(theirs), atol=1e-3)


def test_with_it_the_machine_works_on_whitened_pictures() -> None:
    """Whitened and transformed back, they are plain pictures, which scikit-learn can be given."""
    smooth = F.avg_pool2d(draws(41, 8, 7), 3, 1)  # of unequal power, so that whitening matters
    positive, negatives = smooth[0], smooth[1:]
    alpha, beta = 0.002, 1.0
    examples = normalised(torch.cat([positive[None], negatives]).double())
    spectra = torch.fft.fft2(examples, norm="ortho")
    root = whitener(spectra, alpha, beta).sqrt()
    white = torch.fft.ifft2(spectra / root, norm="ortho").real.flatten(1).numpy()
    w = torch.from_numpy(SVC(kernel="linear", C=0.5, tol=1e-7).fit(white, [1] + [-1] * 40).coef_[0])
    h = torch.fft.ifft2(torch.fft.fft2(w.view(6, 5), norm="ortho") / root, norm="ortho").real
    ours = correlation_filter(positive, negatives, alpha, beta, cost=0.5)
    assert torch.allclose(ours, (h / h.norm()).float(), atol=1e-3)
    plain = correlation_filter(positive, negatives, 1, 0, cost=0.5)
    assert float((ours * plain).sum()) < 0.99, "whitening matters here"


def test_negatives_are_answered_less() -> None:
    positive, negatives = draws(8, 8), draws(8, 8) + 0.7 * draws(30, 8, 8, seed=1)  # look-alikes
    alone, among = (correlation_filter(positive, some, 1, 0) for some in (negatives[:0], negatives))
    margins = [
        float((one * (normalised(positive) - normalised(negatives))).sum((1, 2)).min()) for one in (alone, among)
    ]
    assert margins[1] > margins[0]


@pytest.mark.parametrize("ends", [(-1, 1), (1, -0.1), (0, 0)])
def test_alpha_and_beta_out_of_range_are_refused(ends: tuple[float, float]) -> None:
    with pytest.raises(ValueError, match="must not be negative, and not both zero"):
        correlation_filter(draws(4, 4), draws(2, 4, 4), *ends)


def test_a_flat_patch_makes_no_filter() -> None:
    assert correlation_filter(torch.full((4, 4), 7.0), draws(0, 4, 4)).abs().max() == 0


def test_a_crops_own_corners_come_to_lie_at_its_corners(source: Source) -> None:
    crops = CropScheme(alpha=90).sample(source, 20)
    for i in range(20):
        inner = place_in(crops[i], crops.corners[i], 32)[0]
        assert torch.allclose(inner, torch.tensor([[0.0, 0], [32, 0], [32, 32], [0, 32]]), atol=1e-2)


def test_a_mark_is_rendered_where_the_map_says() -> None:
    """Through turns, scales and mirror images."""
    image = torch.zeros(3, 240, 320, dtype=torch.uint8)
    image[:, 109:116, 149:156] = 255  # its middle is at (152.5, 112.5)
    dotted = Source.from_images([image], "dot")
    around = square_at(dotted, (152.5, 112.5), 230)
    crops = views_with(around, BOX, CropScheme(beta=0.1, gamma=0.8, alpha=60, jitter=0.0), 12)
    grey = to_grey(render(dotted, crops, 100)) + 128  # black is 0
    weights = (grey - grey.amin((1, 2), keepdim=True)).clamp(min=0)
    steps = torch.arange(100) + 0.5
    x, y = (weights.sum(dim) @ steps / weights.sum((1, 2)) for dim in (1, 2))
    expected = place_in(crops, torch.tensor([[152.5, 112.5]]), 100)[:, 0]
    assert (torch.stack([x, y], 1) - expected).abs().max() < 0.3
    assert expected.std(0).min() > 2, "it lies somewhere else in each"


def test_a_square_is_moved_into_the_image(source: Source) -> None:
    assert square_at(source, (5, 5), 100).corners[0, 0].tolist() == [0, 0]
    with pytest.raises(ValueError, match="does not fit into an image of"):
        square_at(source, (5, 5), 241)


def test_every_view_holds_the_box_and_a_walk_does(source: Source) -> None:
    first, around = (square_at(source, (152, 112), side) for side in (110, 230))
    views = views_with(around, BOX, CropScheme(beta=0.2, gamma=1.0, alpha=20), 10)
    boxes = box_in(views, BOX, 50)
    assert len(views) == 10 and boxes.min() >= 0 and boxes.max() <= 50
    there = walk(first, around, BOX, MILD, frames=21, stops=4)
    assert torch.equal(there.affine[0], first.affine[0]) and torch.equal(there.colour[0], first.colour[0])
    stops = views_with(around, BOX, MILD, 4, sides=(110 / 1.25, 110 * 1.25))
    assert torch.allclose(there.affine[5::5], stops.affine, atol=1e-4)
    boxes = box_in(there, BOX, 50)
    assert boxes.min() > -1 and boxes.max() < 51
    jumps = place_in(there, CENTRE, 128)[:, 0].diff(dim=0).norm(dim=1)
    assert 3 < jumps.max() < 16, "the camera moves, and does not jump"
    with pytest.raises(CourseError, match="of 2000 views hold the whole box"):
        views_with(around, torch.tensor([40.0, 5, 264, 229]), CropScheme(alpha=60), 10)


def moved(source: Source, scheme: CropScheme) -> Crops:
    first, around = (square_at(source, (152, 112), side) for side in (110, 230))
    return walk(first, around, BOX, scheme, frames=40)


@pytest.fixture(scope="module")
def scene(source: Source) -> tuple[Tensor, Tensor, Tensor, Tensor]:
    """Frames, true centres, the patch, and negatives."""
    camera = moved(source, MILD)
    frames, true = to_grey(render(source, camera, 96)), place_in(camera, CENTRE, 96)[:, 0]
    return frames, true, window_at(frames[0], true[0], 36), windows_beside(frames[0], true[0], 36, 30)


def test_negatives_lie_beside_the_patch(scene: tuple[Tensor, Tensor, Tensor, Tensor]) -> None:
    frames, true, positive, negatives = scene
    assert negatives.shape == (30, 36, 36) and positive.shape == (36, 36)
    found = find_peak(inside(correlate(frames[0], normalised(negatives[0])), 36, 36))
    away = torch.tensor([found.x + 18.0, found.y + 18]) - true[0]
    assert away.abs().max() >= 17, "half a side away, in one direction at least"
    assert torch.equal(window_at(frames[0], torch.tensor([0.0, 999]), 36), frames[0, -36:, :36])


@pytest.mark.parametrize(("alpha", "beta", "count"), [(1, 0, 0), (1e-3, 1, 0), (1, 0, 30), (1e-3, 1, 30)])
def test_a_patch_is_followed_to_the_pixel(
    scene: tuple[Tensor, Tensor, Tensor, Tensor], alpha: float, beta: float, count: int
) -> None:
    frames, true, positive, negatives = scene
    found = track(frames, correlation_filter(positive, negatives[:count], alpha, beta))
    errors = found.errors(true)
    assert (true - true[0]).norm(dim=1).max() > 6, "it moves"
    assert errors.median() < 1.5 and (errors < 3).float().mean() > 0.9
    wrong = track(frames, correlation_filter(negatives[0], negatives[:0], alpha, beta))
    assert wrong.errors(true).median() > 10, "a filter of another patch follows that one"


def test_a_needle_is_lost_where_the_camera_turns(source: Source) -> None:
    """What the notebook says of alpha."""
    turning = replace(MILD, alpha=30.0)
    camera = moved(source, turning)
    frames, true = to_grey(render(source, camera, 96)), place_in(camera, CENTRE, 96)[:, 0]
    positive = window_at(frames[0], true[0], 36)
    broad, needle = (track(frames, correlation_filter(positive, positive[None][:0], a, 1)) for a in (1e-2, 1e-6))
    assert needle.sharpness[0] > broad.sharpness[0]
    assert needle.errors(true).mean() > 2 * broad.errors(true).mean()


def test_the_pictures_say_what_they_show(scene: tuple[Tensor, Tensor, Tensor, Tensor]) -> None:
    frames, true, positive, negatives = scene
    template = correlation_filter(positive, negatives)
    plane = inside(correlate(frames[0], template), 36, 36)
    peak = find_peak(plane)
    shown = planes(frames[0], {"both": (plane, peak)}, "The first frame")
    assert shown.caption.endswith(f"both {peak.sharpness:.1f} at ({peak.x}, {peak.y})")
    followed = track(frames, template)
    errors = track_errors({"both": followed}, true, "Following a patch")
    assert f"both median {followed.errors(true).median():.1f}, lost by more than 5 in 0%" in errors.caption
    assert all(picture.png().startswith(b"\x89PNG") for picture in (shown, errors))


def test_the_panel_of_filters(scene: tuple[Tensor, Tensor, Tensor, Tensor]) -> None:
    frames, true, positive, negatives = scene
    shapes = set()
    for alpha, beta in ((1, 0), (1e-6, 0), (1e-6, 1), (1, 1)):
        pixels, words = filter_panel(frames[3], true[3], positive, negatives, alpha, beta)
        shapes.add(pixels.shape)
        assert pixels.dtype == np.uint8 and words.startswith(f"alpha {alpha:.0e}, beta {beta:.2f}, 30 negatives.")
    assert len(shapes) == 1
    slide(explore_filter(frames, true, positive, negatives))
