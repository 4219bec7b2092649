"""The geometry and the colours of crops, against their laws."""

from __future__ import annotations

import dataclasses
import math

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.stats import binomtest, kstest

from course_lib.data.crops import AREA_LAWS, PARTS_OF_SCHEME, Crops, CropScheme, bounding_box, crop_size, uniforms
from course_lib.data.loading import load_source
from course_lib.data.sources import Source
from course_lib.lessons.story import area_share, smallest_side

schemes = st.builds(
    CropScheme,
    beta=st.floats(1e-4, 1),
    gamma=st.floats(0.2, 1),
    alpha=st.floats(0, 180),
    flip=st.floats(0, 1),
    jitter=st.floats(0, 1),
    area_law=st.sampled_from(AREA_LAWS),
)
sides = st.integers(64, 3000)
seeds = st.integers(0, 2**31)


@pytest.fixture(scope="module")
def china() -> Source:
    return load_source("china")


def blank(width: int, height: int) -> Source:
    """A source that has a size and no pixels: enough to sample from."""
    sizes, nothing = torch.tensor([[width, height]]), torch.zeros(1, 4, dtype=torch.uint8)
    return Source("blank", nothing, sizes, torch.zeros(1, 1, 3, dtype=torch.int32), torch.tensor([0.5]))


@given(schemes, sides, sides, seeds)
@settings(deadline=None, max_examples=60)
def test_crops_keep_to_the_scheme(scheme: CropScheme, width: int, height: int, seed: int) -> None:
    crops = scheme.sample(blank(width, height), 200, seed)
    w, h = crops.size.double().unbind(1)
    corners = crops.corners.double()
    assert corners.min() > -1e-3
    assert (corners - torch.tensor([width, height])).max() < 1e-3
    assert ((h / w) >= scheme.gamma * (1 - 1e-4)).all() and ((h / w) <= (1 / scheme.gamma) * (1 + 1e-4)).all()
    assert (w * h <= width * height * (1 + 1e-5)).all()
    assert (crops.angle.abs() <= scheme.alpha + 1e-2).all()
    # A crop below beta must have been shrunk: then its box fills the image on one side.
    box_w, box_h = bounding_box(w, h, crops.angle.double().deg2rad())
    fills = torch.maximum(box_w / width, box_h / height) > 1 - 1e-3
    assert (fills | (w * h >= scheme.beta * width * height * (1 - 1e-4))).all()


@given(seeds, st.integers(0, 10**9), st.integers(1, 50))
@settings(deadline=None, max_examples=30)
def test_a_crop_depends_on_seed_and_index_alone(seed: int, first: int, count: int) -> None:
    scheme, source = CropScheme(), blank(640, 427)
    many, one = scheme.sample(source, count, seed, first), scheme.sample(source, 1, seed, first + count - 1)
    for field in dataclasses.fields(Crops):
        assert torch.equal(getattr(many, field.name)[-1:], getattr(one, field.name))


def test_blocks_leave_no_seam() -> None:
    scheme, source = CropScheme(), blank(640, 427)
    whole, part = scheme.sample(source, 40_000, 1), scheme.sample(source, 40, 1, first=32_750)
    assert torch.equal(whole.affine[32_750:32_790], part.affine)


def test_seeds_and_crops_differ() -> None:
    scheme, source = CropScheme(), blank(640, 427)
    first, other = scheme.sample(source, 1000, 0).affine, scheme.sample(source, 1000, 1).affine
    assert len(first.flatten(1).unique(dim=0)) == 1000
    assert not (first == other).all(1).all(1).any()


def test_uniforms_are_uniform() -> None:
    u = uniforms(3, 0, 20_000)
    assert u.min() >= 0 and u.max() < 1
    assert (u.mean(1) - 0.5).abs().max() < 0.01
    assert (torch.corrcoef(u) - torch.eye(12)).abs().max() < 0.04


def p_value(values: torch.Tensor, low: float, high: float) -> float:
    """Kolmogorov and Smirnov's test of values against the uniform law between two limits."""
    return kstest(((values.double() - low) / (high - low)).numpy(), "uniform").pvalue


@pytest.mark.parametrize("beta", [1e-4, 1e-2, 0.3])
@pytest.mark.parametrize("area_law", AREA_LAWS)
def test_laws_of_area_ratio_angle_flip_and_place(area_law: str, beta: float) -> None:
    """Against their laws where none has to be shrunk: crops of at most a third of a square image fit at 35 degrees."""
    scheme = CropScheme(beta=beta, area_law=area_law)
    crops = scheme.sample(blank(1000, 1000), 40_000, 5)
    w, h = crops.size.double().unbind(1)
    area = w * h / 1e6
    small = area < 0.35
    if area_law == "uniform":
        assert p_value(area[small], beta, 0.35) > 0.01
    else:
        assert p_value(area[small].log(), math.log(beta), math.log(0.35)) > 0.01
    ratio, angle = (h / w).log(), crops.angle
    assert p_value(ratio, math.log(3 / 4), math.log(4 / 3)) > 0.01
    assert p_value(angle, -35, 35) > 0.01
    assert binomtest(int((crops.affine[:, :, :2].det() < 0).sum()), len(crops), 0.5).pvalue > 0.01
    box = torch.stack(bounding_box(w, h, angle.double().deg2rad()), 1)
    room = (crops.affine[:, :, 2] - box / 2) / (1000 - box)
    for axis in (0, 1):
        assert p_value(room[small, axis], 0, 1) > 0.01


def test_the_law_of_the_area_can_fail() -> None:
    crops = CropScheme(area_law="log-uniform").sample(blank(1000, 1000), 40_000, 5)
    area = crops.size.double().prod(1) / 1e6
    assert p_value(area[area < 0.35], 1e-4, 0.35) < 1e-9


def test_the_smallest_square_crop_has_the_least_area() -> None:
    side = smallest_side(0.01, 640, 400)
    assert area_share(side, side, 640, 400) == pytest.approx(0.01)


def test_a_whole_photograph_turned_by_35_degrees_stays_inside() -> None:
    for width, height in ((640, 427), (1000, 10), (7, 4000)):
        crops = CropScheme(beta=1, alpha=35).sample(blank(width, height), 5_000, 1)
        assert crops.corners.min() > -1e-3
        assert (crops.corners - torch.tensor([width, height])).max() < 1e-3


def test_the_papers_data_set_is_a_table_of_100_mb(china: Source) -> None:
    crops = CropScheme().sample(china, 1_281_167)
    assert sum(getattr(crops, field.name).nbytes for field in dataclasses.fields(crops)) < 100e6
    assert len(crops) == 1_281_167


def test_several_sources_take_turns() -> None:
    images = [torch.randint(0, 256, (3, 64 + 8 * i, 90), dtype=torch.uint8) for i in range(3)]
    crops = CropScheme().sample(Source.from_images(images, "three"), 9)
    assert crops.source.tolist() == [0, 1, 2] * 3
    assert crops[4].source.tolist() == [1]
    assert len(crops[torch.tensor([1, 5])]) == 2


def test_an_unknown_law_is_refused() -> None:
    with pytest.raises(ValueError, match="uniform, log-uniform, got 'normal'"):
        CropScheme(area_law="normal")


def test_tiles_lie_in_their_cells(china: Source) -> None:
    crops = CropScheme(jitter=0).sample(china, 20, 1)
    places = torch.rand(20, 9, 2, generator=torch.Generator().manual_seed(0))
    for tiles in (crops.tiles(3, 11 / 75, where) for where in (places, torch.full_like(places, 0.5))):
        assert len(tiles) == 180
        square = crops[[i // 9 for i in range(180)]].affine
        inner = torch.linalg.solve(square[:, :, :2], tiles.affine[:, :, 2:] - square[:, :, 2:])[:, :, 0]
        cell = torch.tensor([[i % 3, i // 3] for i in range(9)]).repeat(20, 1) / 3 - 1 / 3
        assert ((inner - cell).abs() <= 11 / 75 / 3 / 2 + 1e-4).all()
        assert torch.allclose(tiles.size, crops.size.repeat_interleave(9, 0) * 64 / 225, rtol=1e-3)


def test_tiles_without_a_gap_fill_the_crop(china: Source) -> None:
    crops = CropScheme().sample(china, 3, 1)
    corners = crops.tiles(2, 0, torch.rand(3, 4, 2)).corners.view(3, 4, 4, 2)
    for i, tile in enumerate((0, 1, 3, 2)):  # clockwise, as the corners of a crop go
        assert torch.allclose(corners[:, tile, i], crops.corners[:, i], atol=1e-2)


@given(seeds)
@settings(deadline=None, max_examples=20)
def test_a_second_view_lies_within_the_first(seed: int) -> None:
    crops = CropScheme().sample(blank(640, 427), 100, seed)
    views = CropScheme(beta=0.08).sample_within(crops, seed + 1)
    inverse = torch.linalg.inv(crops.affine[:, :, :2])
    square = (views.corners - crops.affine[:, None, :, 2]) @ inverse.mT
    assert square.abs().max() < 0.5 + 1e-3
    assert torch.equal(views[7:9].affine, CropScheme(beta=0.08).sample_within(crops[7:9], seed + 1, first=7).affine)


def test_a_second_view_mixes_the_colours_of_the_first() -> None:
    crops = CropScheme().sample(blank(640, 427), 50, 0)
    views = CropScheme().sample_within(crops, 1)
    second = CropScheme().colour_maps(uniforms(1, 0, 50)[6:10], torch.full((50,), 0.5, dtype=torch.float64)).float()
    rgb = torch.rand(50, 3, 1)
    once = crops.colour[:, :, :3] @ rgb + crops.colour[:, :, 3:]
    twice = second[:, :, :3] @ once + second[:, :, 3:]
    assert torch.allclose(views.colour[:, :, :3] @ rgb + views.colour[:, :, 3:], twice, atol=1e-5)


@pytest.mark.parametrize(
    ("name", "value", "allowed"),
    [
        ("beta", 0, "(0, 1]"),
        ("beta", 1.5, "(0, 1]"),
        ("gamma", 0, "(0, 1]"),
        ("gamma", 2, "(0, 1]"),
        ("alpha", -1, "[0, 180]"),
        ("alpha", 181, "[0, 180]"),
        ("flip", 1.1, "[0, 1]"),
        ("jitter", -0.1, "[0, 1]"),
        ("beta", float("nan"), "(0, 1]"),
    ],
)
def test_a_number_out_of_range_is_named(name: str, value: float, allowed: str) -> None:
    with pytest.raises(ValueError, match=name) as raised:
        CropScheme(**{name: value})
    assert allowed in str(raised.value) and str(value) in str(raised.value)


def test_colour_is_brightness_contrast_and_saturation_of_torchvision() -> None:
    """Where nothing is clipped, and with the pivot of the contrast that torchvision takes: the picture's own mean."""
    from torchvision.transforms.v2 import functional as T

    image = torch.rand(3, 8, 8, generator=torch.Generator().manual_seed(0), dtype=torch.float64) * 0.2 + 0.4
    for seed in range(5):
        u = torch.rand(4, 1, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)
        u[3] = 0.5  # no hue: torchvision turns it in HSV, the course in YIQ
        mean_grey = T.rgb_to_grayscale(image).mean().reshape(1)
        matrix = CropScheme(jitter=0.3).colour_maps(u, mean_grey)[0]
        brightness, contrast, saturation = (1 + 0.3 * (2 * u[:3, 0] - 1)).tolist()
        expected = T.adjust_saturation(T.adjust_contrast(T.adjust_brightness(image, brightness), contrast), saturation)
        ours = (matrix[:, :3] @ image.flatten(1) + matrix[:, 3:]).view_as(image)
        assert (ours - expected).abs().max() < 1e-4


def test_hue_keeps_the_luminance() -> None:
    u = torch.tensor([[0.5], [0.5], [0.5], [0.9]], dtype=torch.float64)
    matrix = CropScheme(jitter=0.4).colour_maps(u, torch.tensor([0.5], dtype=torch.float64))[0]
    luma = torch.tensor([0.299, 0.587, 0.114], dtype=torch.float64)
    assert torch.allclose(luma @ matrix[:, :3], luma, atol=1e-6)
    assert not torch.allclose(matrix[:, :3], torch.eye(3, dtype=torch.float64), atol=0.05)


def test_without_jitter_a_crop_keeps_its_colours(china: Source) -> None:
    colour = CropScheme(jitter=0).sample(china, 3).colour
    assert torch.allclose(colour, torch.eye(3, 4).expand(3, 3, 4), atol=1e-6)


def test_crop_size_and_bounding_box() -> None:
    w, h = crop_size(torch.tensor(600.0), torch.tensor(1.5))
    assert (w.item(), h.item()) == pytest.approx((20, 30))
    box = bounding_box(w, h, torch.tensor(math.pi / 2))
    assert (box[0].item(), box[1].item()) == pytest.approx((30, 20), abs=1e-4)


def test_negative_seeds_are_refused() -> None:
    with pytest.raises(ValueError, match="seed"):
        uniforms(-1, 0, 1)


def test_a_part_left_out_is_left_out_and_the_rest_stays() -> None:
    whole, source = CropScheme(), blank(640, 427)
    for part, replaced in PARTS_OF_SCHEME.items():
        changed = {key for key in dataclasses.asdict(whole) if getattr(whole.without(part), key) != getattr(whole, key)}
        assert changed == set(replaced)
    assert (whole.without("rotation").sample(source, 500).angle.abs() < 1e-4).all()
    assert (whole.without("flip").sample(source, 500).affine[:, :, :2].det() > 0).all()
    assert torch.allclose(whole.without("colour").sample(source, 500).colour, torch.eye(3, 4), atol=1e-6)
    nothing = whole.without("all").sample(source, 500)
    assert torch.allclose(nothing.size, torch.tensor(427.0), atol=1e-3), "the largest square that lies inside"
    assert nothing.affine[:, 1].unique(dim=0).shape == (1, 3), "it slides along the longer side only"
    assert whole.without("") == whole
    with pytest.raises(ValueError, match="part must be one of crop, rotation, colour, flip or all, got 'blur'"):
        whole.without("blur")
