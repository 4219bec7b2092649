"""The geometry and the colours of crops, against their laws and against exact sampling."""

from __future__ import annotations

import dataclasses
import math

import pytest
import torch
import torch.nn.functional as F
from hypothesis import given, settings
from hypothesis import strategies as st

from course_lib.crops import Crops, CropScheme, bounding_box, crop_size, render, uniforms
from course_lib.sources import Source, load_source

schemes = st.builds(
    CropScheme,
    beta=st.floats(1e-4, 1),
    gamma=st.floats(0.2, 1),
    alpha=st.floats(0, 180),
    flip=st.floats(0, 1),
    jitter=st.floats(0, 1),
)
sides = st.integers(64, 3000)
seeds = st.integers(0, 2**31)


@pytest.fixture(scope="module")
def china() -> Source:
    return load_source("china")


def blank(width: int, height: int) -> Source:
    """A source that has a size and no pixels: enough to sample from."""
    sizes, nothing = torch.tensor([[width, height]]), torch.zeros(3, 1, 1)
    return Source("blank", nothing, sizes, torch.zeros(1, 1, 4, dtype=torch.long), torch.tensor([0.5]))


def angles(crops: Crops) -> torch.Tensor:
    return torch.atan2(-crops.affine[:, 0, 1], crops.affine[:, 1, 1]).rad2deg()


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
    assert (angles(crops).abs() <= scheme.alpha + 1e-2).all()
    # A crop below beta must have been shrunk: then its box fills the image on one side.
    box_w, box_h = bounding_box(w, h, angles(crops).double().deg2rad())
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


def test_laws_of_area_ratio_angle_and_flip() -> None:
    """Small crops, so that none has to be shrunk: then each number has the law that the scheme states."""
    scheme = CropScheme(beta=1e-3)
    crops = scheme.sample(blank(1000, 1000), 50_000, 5)
    w, h = crops.size.double().unbind(1)
    area = w * h / 1e6
    assert (area[area < 0.3] < 0.15).double().mean() == pytest.approx((0.15 - 1e-3) / (0.3 - 1e-3), abs=0.01)
    assert (h / w).log().abs().max() <= math.log(4 / 3) + 1e-5
    assert ((h / w) > 1).double().mean() == pytest.approx(0.5, abs=0.01)
    assert (angles(crops) > 17.5).double().mean() == pytest.approx(0.25, abs=0.01)
    assert (crops.affine[:, :, :2].det() < 0).double().mean() == pytest.approx(0.5, abs=0.01)


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


def test_four_turns_are_rot90(china: Source) -> None:
    crops = CropScheme().sample(china, 64, 2)
    upright = render(china, crops, 32)
    for k in range(-1, 5):
        assert (render(china, crops.turned(k), 32) - torch.rot90(upright, k, (2, 3))).abs().max() < 1e-4


def test_crops_are_the_same_under_autocast(china: Source) -> None:
    """Training runs in bfloat16, whose eight bits cannot tell neighbouring pixels of a photograph apart."""
    crops = CropScheme().sample(china, 16, 2)
    expected = render(china, crops.turned(1), 32)
    with torch.autocast("cpu", dtype=torch.bfloat16):
        assert torch.equal(render(china, crops.turned(1), 32), expected)


def exact_area_sample(source: Source, crops: Crops, side: int, fine: int = 24) -> torch.Tensor:
    """Each output pixel as the mean of fine x fine nearest source pixels inside it: what `render` approximates."""
    image = source.image(0)
    axis = (torch.arange(side * fine) + 0.5) / (side * fine) - 0.5
    grid = torch.stack(torch.meshgrid(axis, axis, indexing="xy"), -1).flatten(0, 1)
    result = []
    for affine, colour in zip(crops.affine, crops.colour):
        x, y = (grid @ affine[:, :2].T + affine[:, 2]).floor().long().unbind(1)
        pixels = image[:, y.clamp(0, image.shape[1] - 1), x.clamp(0, image.shape[2] - 1)]
        means = F.avg_pool2d(pixels.view(3, side * fine, -1), fine).flatten(1)
        result.append((colour[:, :3] @ means + colour[:, 3:]).clamp(0, 1).view(3, side, side))
    return torch.stack(result) * 2 - 1


def test_render_is_close_to_exact_area_sampling(china: Source) -> None:
    """Crops of all sizes above the output's; peak signal-to-noise ratio in dB, over a range of 2."""
    crops = CropScheme(beta=0.01, jitter=0).sample(china, 60, 4)
    exact = exact_area_sample(china, crops, 32)
    assert psnr(render(china, crops, 32), exact) > 35
    full_size = dataclasses.replace(china, levels=china.levels[:, :1])
    assert psnr(render(full_size, crops, 32), exact) < 26, "without mip levels it must alias, or this test sees nothing"


def psnr(pixels: torch.Tensor, exact: torch.Tensor) -> float:
    return 10 * math.log10(4 / (pixels - exact).square().mean())


def test_levels_do_not_bleed_into_each_other() -> None:
    """Flat images of two colours side by side in one atlas: every crop is flat, and of its own colour."""
    images = [torch.full((3, 80, 120), value, dtype=torch.uint8) for value in (0, 255)]
    source = Source.from_images(images, "black and white")
    crops = CropScheme(jitter=0).sample(source, 400, 6)
    pixels = render(source, crops, 16)
    expected = (crops.source.float() * 2 - 1)[:, None, None, None]
    assert (pixels - expected).abs().max() < 1e-5


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
        assert (ours - expected).abs().max() < 1e-3


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
