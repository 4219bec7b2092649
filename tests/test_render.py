"""The pixels of crops: against exact area sampling, against each other, and counted."""

from __future__ import annotations

import dataclasses
import math
import os
import subprocess
import sys
import warnings

import pytest
import torch
import torch.nn.functional as F
from conftest import need
from torch.utils._python_dispatch import TorchDispatchMode

from course_lib.data.crops import AREA_LAWS, Crops, CropScheme
from course_lib.data.loading import load_source
from course_lib.data.render import kernel_works, place, render
from course_lib.data.sources import Source
from course_lib.lessons.crops.measures import exact_crops, psnr

DTYPES = (torch.float32, torch.bfloat16, torch.uint8)
MOST_OPERATIONS = 45


@pytest.fixture(scope="module")
def china() -> Source:
    return load_source("china")


@pytest.mark.parametrize("area_law", AREA_LAWS)
@pytest.mark.parametrize(("name", "side"), [("china", 32), ("china", 64), ("astronaut", 32), ("flower", 48)])
def test_within_40_db_of_exact_area_sampling(name: str, side: int, area_law: str) -> None:
    """Crops of every size, from a few pixels enlarged to the whole photograph made small."""
    source = load_source(name)
    crops = CropScheme(jitter=0, area_law=area_law).sample(source, 100, 4)
    exact = exact_crops(source, crops, side)
    assert psnr(render(source, crops, side), exact) > 40
    if area_law == "uniform":
        full_size = dataclasses.replace(source, levels=source.levels[:, :1])
        least = 26 if name == "china" else 30
        assert psnr(render(full_size, crops, side), exact) < least, "without levels it must alias, or this sees nothing"


def test_every_octave_is_close_to_exact_area_sampling(china: Source) -> None:
    """No octave hides behind the others: by source pixels that an output pixel covers."""
    crops = CropScheme(beta=1e-3, jitter=0, area_law="log-uniform").sample(china, 300, 4)
    covers = (crops.size.prod(1).sqrt() / 32).log2().floor()
    pixels, exact = render(china, crops, 32), exact_crops(china, crops, 32)
    for octave in covers.unique():
        assert psnr(pixels[covers == octave], exact[covers == octave]) > 39.5, octave


def test_levels_and_images_do_not_bleed_into_each_other() -> None:
    """Flat images of two colours side by side in one atlas: every crop is flat, and of its own colour."""
    images = [torch.full((3, 80, 120), value, dtype=torch.uint8) for value in (0, 255)]
    source = Source.from_images(images, "black and white")
    for scheme in (CropScheme(jitter=0), CropScheme(jitter=0, beta=1, alpha=35)):
        crops = scheme.sample(source, 400, 6)
        expected = (crops.source.float() * 2 - 1)[:, None, None, None]
        assert (render(source, crops, 16) - expected).abs().max() < 1e-5


def test_four_turns_are_rot90(china: Source) -> None:
    crops = CropScheme().sample(china, 64, 2)
    upright = render(china, crops, 32)
    for k in range(-1, 5):
        assert (render(china, crops.turned(k), 32) - torch.rot90(upright, k, (2, 3))).abs().max() < 1e-4


def test_a_tile_is_a_piece_of_its_crop() -> None:
    """With no gap, and read from the full photograph on both sides, the tiles are the crop in pieces."""
    source = load_source("china")
    source = dataclasses.replace(source, levels=source.levels[:, :1])
    crops = CropScheme().sample(source, 8, 2)
    whole = render(source, crops, 48)
    tiles = render(source, crops.tiles(3, 0, torch.rand(8, 9, 2)), 16).view(8, 3, 3, 3, 16, 16)
    pieces = tiles.permute(0, 3, 1, 4, 2, 5).reshape(8, 3, 48, 48)
    assert (whole - pieces).abs().max() < 1e-3


def test_crops_are_the_same_under_autocast(china: Source) -> None:
    """Training runs in bfloat16, whose eight bits cannot tell neighbouring pixels of a photograph apart."""
    crops = CropScheme().sample(china, 16, 2)
    expected = render(china, crops.turned(1), 32)
    with torch.autocast("cpu", dtype=torch.bfloat16):
        assert torch.equal(render(china, crops.turned(1), 32), expected)


@pytest.mark.parametrize("dtype", DTYPES)
def test_bits_do_not_depend_on_the_batch(dtype: torch.dtype, china: Source) -> None:
    crops = CropScheme().sample(china, 300, 3)
    whole = render(china, crops, 32, dtype)
    assert torch.equal(whole, render(china, crops, 32, dtype))
    for size in (1, 7, 64, 299):
        parts = [render(china, crops[i : i + size], 32, dtype) for i in range(0, 300, size)]
        assert torch.equal(whole, torch.cat(parts))


def test_bits_do_not_depend_on_the_threads(china: Source) -> None:
    code = (
        "import sys, hashlib, torch\n"
        "torch.set_num_threads(int(sys.argv[1]))\n"
        "from course_lib.data.crops import CropScheme\nfrom course_lib.data.render import render\n"
        "from course_lib.data.loading import load_source\nsource = load_source('china')\n"
        "pixels = render(source, CropScheme().sample(source, 300, 3), 32)\n"
        "print(hashlib.sha256(pixels.contiguous().numpy().tobytes()).hexdigest())"
    )
    given = [subprocess.run([sys.executable, "-c", code, n], capture_output=True, text=True).stdout for n in "12"]
    assert len(given[0]) == 65 and given[0] == given[1]


@pytest.mark.parametrize("dtype", DTYPES)
def test_crops_come_out_channels_last_and_in_range(dtype: torch.dtype, china: Source) -> None:
    crops = CropScheme(jitter=1).sample(china, 50, 3)
    pixels, exact = render(china, crops, 24, dtype), render(china, crops, 24)
    assert pixels.shape == (50, 3, 24, 24) and pixels.dtype == dtype
    assert pixels.is_contiguous(memory_format=torch.channels_last)
    scaled = pixels.float() / 127.5 - 1 if dtype == torch.uint8 else pixels.float()
    assert (scaled - exact).abs().max() <= 1 / 127
    assert exact.min() >= -1 and exact.max() <= 1


def test_no_crops_are_no_pixels(china: Source) -> None:
    assert render(china, CropScheme().sample(china, 0), 32).shape == (0, 3, 32, 32)


@pytest.mark.parametrize(("side", "dtype", "says"), [(0, torch.uint8, "at least 1"), (8, torch.float16, "float16")])
def test_what_cannot_be_rendered_is_refused(side: int, dtype: torch.dtype, says: str, china: Source) -> None:
    with pytest.raises(ValueError, match=says):
        render(china, CropScheme().sample(china, 2), side, dtype)


class Count(TorchDispatchMode):
    """Counts operations that make as many numbers as a batch has pixels, and those for which a GPU and the host wait
    for each other."""

    def __init__(self, pixels: int) -> None:
        super().__init__()
        self.pixels, self.large, self.reads = pixels, 0, 0

    def __torch_dispatch__(self, function, types, args=(), kwargs=None):  # noqa: ANN001
        result = function(*args, **(kwargs or {}))
        made = result if isinstance(result, (tuple, list)) else [result]
        self.large += not function.is_view and any(
            isinstance(x, torch.Tensor) and x.numel() >= self.pixels for x in made
        )
        waits = (
            "_local_scalar_dense",
            "nonzero",
            "lift_fresh",
        )  # a number read back; a tensor made of the host's numbers
        self.reads += any(name in str(function) for name in waits)
        return result


@pytest.mark.parametrize("dtype", DTYPES)
def test_a_batch_takes_few_operations_and_no_reading_back(dtype: torch.dtype, china: Source) -> None:
    crops = CropScheme().sample(china, 64, 1)
    with Count(64 * 32 * 32) as count:
        render(china, crops.turned(1), 32, dtype)
    assert 10 < count.large <= MOST_OPERATIONS
    assert count.reads == 0


def test_the_count_counts() -> None:
    with Count(100) as count:
        large = torch.zeros(100) + 1
        large.sum().item()
        torch.tensor([1.0])
    assert (count.large, count.reads) == (2, 2)


@pytest.mark.full
@pytest.mark.skipif(sys.platform != "linux", reason="reads the peak of a process's memory as Linux gives it")
def test_a_thousand_images_take_less_than_a_gigabyte() -> None:
    """1,000 images of about 128 x 170 pixels, as small copies of ImageNet are, and rendering from all of them."""
    code = (
        "import re, torch\nfrom pathlib import Path\n"
        "from course_lib.data.crops import CropScheme\nfrom course_lib.data.render import render\n"
        "from course_lib.data.sources import Source\n"
        "images = [torch.randint(256, (3, 128, 128 + i % 85), dtype=torch.uint8) for i in range(1000)]\n"
        "peak = lambda: int(re.search(r'VmHWM:\\s*(\\d+)', Path('/proc/self/status').read_text())[1])\n"
        "before = peak()\n"
        "source = Source.from_images(images, 'kilo')\n"
        "pixels = render(source, CropScheme().sample(source, 1000), 128)\n"
        "assert pixels.shape == (1000, 3, 128, 128)\n"
        "print(peak() - before)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert 50_000 < int(done.stdout) < 1_000_000, done.stderr


INTERPRETED = """
import torch
from course_lib.data import crops_triton
from course_lib.data.crops import CropScheme
from course_lib.data.render import RANGES, place, render_torch
from course_lib.data.sources import Source, generate

source = Source.from_images([generate("dead_leaves", 90 + 30 * i, 70) for i in range(3)], "three")
for side, count in ((5, 4), (32, 4), (50, 2), (8, 0)):
    crops = CropScheme(jitter=1).sample(source, count).turned(1)
    for dtype in RANGES:
        given = [
            draw(source.texels, place(source, crops, side, dtype), side, dtype, *RANGES[dtype])
            for draw in (crops_triton.render_triton, render_torch)
        ]
        assert given[0].stride() == given[1].stride() and given[0].dtype == dtype
        scale = 1 if dtype == torch.uint8 else 127.5
        gaps = (given[0].float() - given[1].float()).abs() * scale
        print(max(gaps.flatten().tolist(), default=0))
"""


def test_the_kernel_draws_the_same_picture() -> None:
    """In Triton's interpreter, which runs a kernel on a CPU."""
    need("triton")
    environment = os.environ | {"TRITON_INTERPRET": "1"}
    done = subprocess.run([sys.executable, "-c", INTERPRETED], capture_output=True, text=True, env=environment)
    gaps = [float(line) for line in done.stdout.split()]
    assert len(gaps) == 12 and max(gaps) <= 2, done.stderr


@pytest.mark.parametrize("capability", [75, 80, 90])
@pytest.mark.parametrize("kind", ["fp32", "bf16", "u8"])
def test_the_kernel_compiles(capability: int, kind: str) -> None:
    """For a T4, an A100 and an H100, with no GPU: Triton brings its compilers. Stores must be of whole words."""
    triton = need("triton")
    from triton.backends.compiler import GPUTarget
    from triton.compiler import ASTSource

    from course_lib.data import crops_triton

    constants = {"SIDE": 32, "LOW": -1, "HIGH": 1, "BLOCK": crops_triton.BLOCK}
    pointers = {"texels": "*i32", "texel": "*i32", "numbers": "*fp32", "out": f"*{kind}"}
    aligned = {(i,): [["tt.divisibility", 16]] for i in range(4)}
    signature = pointers | dict.fromkeys(constants, "constexpr")
    source = ASTSource(crops_triton.draw, signature, constants, aligned)
    kernel = triton.compile(source, GPUTarget("cuda", capability, 32), crops_triton.OPTIONS)
    stores = [line for line in kernel.asm["ptx"].splitlines() if "st.global" in line]
    assert 0 < len(stores) <= 8 and all(".v4." in line or ".v2." in line for line in stores), stores
    assert "ld.local" not in kernel.asm["ptx"], "registers spilt to memory"


@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a GPU")
@pytest.mark.parametrize("dtype", DTYPES)
def test_the_gpu_draws_what_the_cpu_draws(dtype: torch.dtype, china: Source) -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert kernel_works(torch.device("cuda"))
    crops, there = CropScheme().sample(china, 500, 3), china.to("cuda")
    assert torch.equal(crops.affine, CropScheme().sample(there, 500, 3).affine), "the table is equal on every device"
    for side in (32, 100, 224):
        given = render(there, crops.to("cuda"), side, dtype).cpu().float()
        scale = 1 if dtype == torch.uint8 else 127.5
        assert ((given - render(china, crops, side, dtype).float()).abs().max() * scale) <= 2


def test_a_place_is_chosen_by_what_a_pixel_covers(china: Source) -> None:
    whole = Crops(torch.zeros(1), torch.tensor([[[640.0, 0, 320], [0, 427, 213.5]]]), torch.eye(3, 4)[None])
    widths = [place(china, whole, side).texel[0, 1].item() for side in (8, 32, 128, 512)]
    assert widths == sorted(widths) and widths[-1] == 640
    assert all(width > 2 * side for width, side in zip(widths[:3], (8, 32, 128)))


def test_an_enlarged_crop_is_bilinear(china: Source) -> None:
    """Where an output pixel is smaller than the photograph's, the picture is what `grid_sample` draws."""
    crops = CropScheme(beta=1e-4, jitter=0, area_law="log-uniform").sample(china, 500, 1)
    crops = crops[crops.size.prod(1) < 30**2]
    theta = crops.affine * 2 / china.sizes[0][:, None]
    theta = torch.cat([theta[:, :, :2] / 2, theta[:, :, 2:] - 1], 2)
    grid = F.affine_grid(theta, [len(crops), 3, 32, 32], align_corners=False)
    image = (china.image().float() / 127.5 - 1).expand(len(crops), -1, -1, -1)
    expected = F.grid_sample(image, grid, padding_mode="border", align_corners=False)
    assert len(crops) > 50 and (render(china, crops, 32) - expected).abs().max() < 2e-3
    assert math.isclose(psnr(expected, expected + 0.02), 40, abs_tol=0.01)
