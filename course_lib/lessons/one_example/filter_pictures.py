"""Correlation filters in pictures: planes, errors of a track, and the panel of alpha and beta. For notebook 12."""

from __future__ import annotations

from collections.abc import Mapping

import ipywidgets as widgets
import numpy as np
import torch
from matplotlib.figure import Figure
from PIL import Image, ImageDraw
from torch import Tensor

from course_lib.lessons.one_example.correlation import Peak, Track, correlate, correlation_filter, find_peak, inside
from course_lib.pictures.figures import Picture
from course_lib.pictures.panel import Panel, named_slider, panel_over
from course_lib.support.palette import IN_TURN, RIGHT, WRONG

_DASHES = ("-", "--", ":", "-.")  # a second mark beside the colour
_LIMIT = 40  # pixels of error that are drawn
_LARGE, _GAP = 256, 8  # pixels of the frame, the filter and the plane, and between two


def planes(frame: Tensor, found: Mapping[str, tuple[Tensor, Peak]], caption: str) -> Picture:
    """A grey frame (H, W), and beside it the correlation plane of each filter with its peak circled."""
    figure = Figure(figsize=(2.6 * (1 + len(found)), 2.8), layout="constrained")
    first, *others = figure.subplots(1, 1 + len(found))
    first.imshow(frame.numpy(), cmap="gray")
    first.set(xticks=[], yticks=[])
    first.set_title("the frame", fontsize=10)
    for axes, (name, (plane, peak)) in zip(others, found.items()):
        axes.imshow(plane.numpy(), cmap="gray")
        axes.set(xticks=[], yticks=[])
        axes.set_title(f"{name}: {peak.sharpness:.0f}", fontsize=10)
        axes.plot(peak.x, peak.y, "o", markersize=14, markerfacecolor="none", markeredgecolor=WRONG, markeredgewidth=2)
    each = "; ".join(f"{name} {p.sharpness:.1f} at ({p.x}, {p.y})" for name, (_, p) in found.items())
    return Picture(figure, f"{caption}. Peak-to-sidelobe ratio and place of the peak: {each}")


def track_errors(tracks: Mapping[str, Track], true: Tensor, caption: str) -> Picture:
    """How far each filter was from the true centres (n, 2), frame by frame, in pixels; drawn up to 40."""
    figure = Figure(figsize=(8, 2.8), layout="constrained")
    axes, words = figure.subplots(), []
    for (name, track), colour, dash in zip(tracks.items(), IN_TURN, _DASHES):
        errors = track.errors(true)
        axes.plot(errors.clamp(max=_LIMIT).numpy(), color=colour, linestyle=dash, label=name)
        words.append(f"{name} median {errors.median():.1f}, lost by more than 5 in {(errors > 5).float().mean():.0%}")
    axes.set(xlabel="frame", ylabel="error in pixels", ylim=(0, _LIMIT * 1.02))
    axes.grid(axis="y", alpha=0.3)
    axes.legend(loc="center left", bbox_to_anchor=(1.01, 0.5), frameon=False)
    return Picture(figure, f"{caption}. Error in pixels: {'; '.join(words)}")


def explore_filter(frames: Tensor, true: Tensor, positive: Tensor, negatives: Tensor) -> Panel:
    """Move alpha, beta, the number of negatives and the frame, and see the filter, its plane and its peak.

    frames: grey (n, H, W), in which the centres of the patch are at true (n, 2).
    """
    alpha = named_slider("alpha", 1e-3, widgets.FloatLogSlider, base=10, min=-6, max=0, step=0.25, readout_format=".0e")
    beta = named_slider("beta", 1.0, widgets.FloatSlider, min=0, max=1, step=0.05)
    most = len(negatives)
    count = named_slider("negatives", most, widgets.IntSlider, min=0, max=most)
    number = named_slider("frame", len(frames) // 2, widgets.IntSlider, min=0, max=len(frames) - 1)

    def draw() -> tuple[np.ndarray, str]:
        i, some = number.value, negatives[: count.value]
        return filter_panel(frames[i], true[i], positive, some, alpha.value, beta.value)

    return panel_over([alpha, beta, count, number], draw)


def filter_panel(
    frame: Tensor, true: Tensor, positive: Tensor, negatives: Tensor, alpha: float, beta: float
) -> tuple[np.ndarray, str]:
    """A correlation filter, and what it says of a frame: the frame, the filter and the plane side by side.

    frame: grey (H, W), of which true (2,) is where the centre of the patch is. positive, negatives, alpha, beta: as in
    `correlation_filter`. Returns pixels (height, width, 3) uint8, of one size for every alpha and beta, and words.
    """
    template = correlation_filter(positive, negatives, alpha, beta)
    height, width = template.shape
    plane = inside(correlate(frame, template), height, width)
    peak = find_peak(plane)
    found = torch.tensor([peak.x + width / 2, peak.y + height / 2])
    scale = _LARGE / frame.shape[1]
    pictures = [_enlarged(_grey_pixels(some)) for some in (frame, template, plane)]
    pictures[0] = _marked(pictures[0], found * scale, true * scale)
    gap = np.full((_LARGE, _GAP, 3), 255, np.uint8)
    words = (
        f"alpha {alpha:.0e}, beta {beta:.2f}, {len(negatives)} negatives. From left: the frame, with a circle at the "
        f"peak and a cross where the patch is; the filter; its correlation plane. {(found - true).norm():.1f} pixels "
        f"off, peak-to-sidelobe ratio {peak.sharpness:.1f}"
    )
    return np.concatenate([pictures[0], gap, pictures[1], gap, pictures[2]], 1), words


def _enlarged(pixels: np.ndarray) -> np.ndarray:
    """Pixels (h, w, 3) at _LARGE x _LARGE, each as a block."""
    rows, columns = (torch.arange(_LARGE) * size // _LARGE for size in pixels.shape[:2])
    return pixels[rows.numpy()][:, columns.numpy()]


def _grey_pixels(values: Tensor) -> np.ndarray:
    """Numbers (H, W) as grey pixels (H, W, 3) uint8, from their least to their greatest."""
    low, high = values.min(), values.max()
    grey = ((values - low) / (high - low).clamp(min=1e-12) * 255).round().byte()
    return np.repeat(grey.numpy()[:, :, None], 3, 2)


def _marked(pixels: np.ndarray, found: Tensor, true: Tensor) -> np.ndarray:
    """On pixels (H, W, 3) uint8 a circle where something was found, (2,) x and y, and a cross where it truly is."""
    canvas = Image.fromarray(pixels)
    pen = ImageDraw.Draw(canvas)
    (x, y), (u, v) = found.tolist(), true.tolist()
    for colour, width in (("white", 5), (RIGHT, 2)):
        pen.line((u - 8, v, u + 8, v), fill=colour, width=width)
        pen.line((u, v - 8, u, v + 8), fill=colour, width=width)
    for colour, width, r in (("white", 5, 11), (WRONG, 2, 10)):
        pen.ellipse((x - r, y - r, x + r, y + r), outline=colour, width=width)
    return np.asarray(canvas)
