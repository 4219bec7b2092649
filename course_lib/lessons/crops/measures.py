"""How crops are spread, beside the laws that a scheme draws them by, and how close a renderer is to exact sampling.

The laws hold for crops that fit; a crop too large for its angle is shrunk, to a smaller area than was drawn."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence

import numpy as np
import torch
import torch.nn.functional as F
from matplotlib.figure import Figure
from torch import Tensor

from course_lib.data.crops import Crops, CropScheme
from course_lib.data.sources import Source
from course_lib.pictures.figures import Picture
from course_lib.support.palette import COUNTED, LAW

AXIS_LABELS = {"area": "area, as a share of the image's", "ratio": "height / width", "angle": "angle in degrees"}


def area_law(scheme: CropScheme, share: np.ndarray) -> np.ndarray:
    """How likely a crop's area is at most `share` of its image's."""
    if scheme.area_law == "log-uniform":
        return _uniform(np.log(np.maximum(share, 1e-12)), math.log(scheme.beta), 0.0)
    return _uniform(share, scheme.beta, 1.0)


def ratio_law(scheme: CropScheme, ratio: np.ndarray) -> np.ndarray:
    """How likely a crop's ratio of height to width is at most `ratio`."""
    return _uniform(np.log(ratio), math.log(scheme.gamma), -math.log(scheme.gamma))


def angle_law(scheme: CropScheme, degrees: np.ndarray) -> np.ndarray:
    """How likely a crop's angle is at most so many degrees."""
    return _uniform(degrees, -scheme.alpha, scheme.alpha)


LAWS: dict[str, tuple[Callable[[CropScheme, np.ndarray], np.ndarray], np.ndarray]] = {
    "area": (area_law, np.linspace(0, 1, 41)),
    "ratio": (ratio_law, np.exp(np.linspace(math.log(1 / 5), math.log(5), 41))),
    "angle": (angle_law, np.linspace(-180, 180, 41)),
}
"""Each number that is drawn: its law, and the edges of the bins that histograms count it in."""


def measured(source: Source, crops: Crops) -> dict[str, np.ndarray]:
    """The numbers (n,) that the laws are about, read off crops: area as a share of the image's, ratio of height to
    width, and angle in degrees."""
    width, height = crops.size.unbind(1)
    share = width * height / source.sizes[crops.source.long()].prod(1)
    return {"area": share.numpy(), "ratio": (height / width).numpy(), "angle": crops.angle.numpy()}


def _uniform(values: np.ndarray, low: float, high: float) -> np.ndarray:
    if high - low < 1e-9:  # all in one place
        return (values >= high - 1e-9).astype(float)
    return np.clip((values - low) / (high - low), 0, 1)


def crop_histograms(source: Source, crops: Crops, scheme: CropScheme) -> Picture:
    """How crops are spread over area, ratio and angle, and the laws that the scheme drew them by."""
    figure = Figure(figsize=(9, 2.4), layout="constrained")
    values = measured(source, crops)
    for axes, (name, (law, edges)) in zip(figure.subplots(1, 3), LAWS.items()):
        axes.hist(values[name], bins=edges, color=COUNTED)
        axes.stairs(len(crops) * np.diff(law(scheme, edges)), edges, color=LAW, linewidth=2)
        axes.set(xlabel=AXIS_LABELS[name], yticks=[])
    figure.axes[1].set_xscale("log", base=2)
    share = values["area"]
    words = f"median share of the area {np.median(share):.2f}, {(share < 0.1).mean():.0%} of the crops below a tenth"
    return Picture(figure, f"How {len(crops):,} crops are spread; the lines are the laws they were drawn by; {words}")


_FINE = 12


def exact_crops(source: Source, crops: Crops, side: int) -> Tensor:
    """What `render` approximates: (n, 3, side, side) in [-1, 1], each output pixel the mean of the photograph over the
    parallelogram that it covers, by 144 bilinear samples. Slow: some hundred crops a second at 32 px."""
    offsets = (torch.arange(side * _FINE) + 0.5) / (side * _FINE) - 0.5
    square = torch.stack(torch.meshgrid(offsets, offsets, indexing="xy"), -1).flatten(0, 1)
    result = []
    for i, affine, colour in zip(crops.source.tolist(), crops.affine, crops.colour):
        places = square @ affine[:, :2].T + affine[:, 2]
        grid = (2 * places / source.sizes[i] - 1).view(1, side * _FINE, side * _FINE, 2)
        image = source.image(i)[None].float() / 255
        fine = F.grid_sample(image, grid, padding_mode="border", align_corners=False)
        means = F.avg_pool2d(fine, _FINE)[0].flatten(1)
        result.append((colour[:, :3] @ means + colour[:, 3:]).clamp(0, 1).view(3, side, side))
    return torch.stack(result) * 2 - 1


def psnr(pixels: Tensor, exact: Tensor) -> float:
    """Peak signal-to-noise ratio in dB of pixels in [-1, 1], a range of 2; infinite where they are equal."""
    error = (pixels.double() - exact.double()).square().mean().item()
    return 10 * math.log10(4 / error) if error else math.inf


def cut_pieces(images: Sequence[Tensor], count: int, side: int, seed: int = 0) -> list[Tensor]:
    """`count` squares (3, side, side) uint8 cut out of images (3, H, W) at random places, from each image in turn.

    A stand-in for many images where there are few. Raises ValueError where an image is smaller than a piece.
    """
    if (least := min(min(image.shape[1:]) for image in images)) < side:
        raise ValueError(f"pieces of {side} pixels do not fit into an image with a side of {least}")
    rng = np.random.default_rng(seed)
    pieces = []
    for i in range(count):
        image = images[i % len(images)]
        top, left = (int(rng.integers(0, size - side + 1)) for size in image.shape[1:])
        pieces.append(image[:, top : top + side, left : left + side].contiguous())
    return pieces
