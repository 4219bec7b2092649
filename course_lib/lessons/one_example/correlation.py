"""Correlation filters: one example in the frequency domain, from matched filter to widest margin, and its tracking.

Rodriguez, Boddeti, Kumar and Mahalanobis 2013, "Maximum margin correlation filter: a new approach for localization and
classification". Taught in notebook 12.

A filter slides over a picture; its response should be high where the object is and low beside it, even one pixel away.
The second condition is a quadratic form that is diagonal in the frequency domain:

    minimise h* S h / 2 + C sum_i slack_i,   S = alpha + beta D,   D = the mean power of the examples, by frequency

so that S whitens the examples, and what is left is a support vector machine on the whitened ones."""

from __future__ import annotations

from collections.abc import Mapping
from typing import NamedTuple

import ipywidgets as widgets
import numpy as np
import torch
from PIL import Image, ImageDraw
from torch import Tensor

from course_lib.lessons.one_example.exemplar import widest_margin
from course_lib.pictures.charts import chart, legend_beside
from course_lib.pictures.figures import Picture, side_by_side
from course_lib.pictures.panel import Drawn, Panel, named_slider, panel_over
from course_lib.support.palette import PENS, RIGHT, WRONG

ALPHA, BETA, COST = 1e-3, 1 - 1e-3, 1.0
"""As in the authors' code."""

_LOBE = 5  # pixels about a peak that belong to it, on each side


def normalised(patches: Tensor) -> Tensor:
    """Grey patches (..., h, w), each with its mean taken out and scaled to length 1; a flat one becomes all zero."""
    centred = patches - patches.mean((-2, -1), keepdim=True)
    return centred / centred.square().sum((-2, -1), keepdim=True).sqrt().clamp(min=1e-6)


def whitener(spectra: Tensor, alpha: float, beta: float) -> Tensor:
    """S = alpha + beta D for spectra (n, h, w): (h, w).

    alpha alone asks for a margin only; beta for a sharp peak. Raises ValueError where one is negative or both are zero.
    """
    if min(alpha, beta) < 0 or not alpha + beta:
        raise ValueError(f"alpha and beta must not be negative, and not both zero, got {alpha} and {beta}")
    return (alpha + beta * spectra.abs().square().mean(0)).clamp(min=1e-12)


def correlation_filter(
    positive: Tensor, negatives: Tensor, alpha: float = ALPHA, beta: float = BETA, cost: float = COST
) -> Tensor:
    """The filter of one positive patch (h, w) against negatives (n, h, w), all grey, as a patch (h, w) of length 1.

    Without negatives it is S^-1 x: for beta 0 the matched filter, the patch itself; for a small alpha one whose
    response to the patch is a single spike. With them it is the maximum margin correlation filter; for beta 0 a plain
    support vector machine.
    """
    examples = normalised(torch.cat([positive[None], negatives]).double())
    spectra = torch.fft.fft2(examples, norm="ortho")
    s = whitener(spectra, alpha, beta)
    a = torch.ones(1, dtype=torch.float64)
    if len(negatives):
        white = torch.view_as_real(spectra / s.sqrt()).flatten(1)
        labels = torch.tensor([1] + [-1] * len(negatives))
        a = widest_margin(white @ white.T, labels, cost)[0]
    h = torch.fft.ifft2((a[:, None, None] * spectra).sum(0) / s, norm="ortho").real
    return (h / h.norm().clamp(min=1e-12)).float()


def correlate(image: Tensor, template: Tensor) -> Tensor:
    """The correlation plane (H, W) of a picture (H, W) with a filter (h, w), no larger, by the Fourier transform.

    Entry (y, x) is the sum of the filter times the picture's window whose top left pixel is (y, x), as if the picture
    went on from its far edge at the near one. Taught in notebook 12.
    """
    spectrum = torch.fft.rfft2(image) * torch.fft.rfft2(template, s=image.shape).conj()
    return torch.fft.irfft2(spectrum, s=image.shape)


class Peak(NamedTuple):
    """The highest place of a correlation plane. x, y: of the window's top left pixel. sharpness: the peak-to-sidelobe
    ratio, how many standard deviations of the plane around it lie between the peak and that plane's mean."""

    x: int
    y: int
    sharpness: float


def find_peak(plane: Tensor) -> Peak:
    """Where a plane (H, W) is highest, and how far it stands out."""
    y, x = divmod(int(plane.argmax()), plane.shape[1])
    around = torch.ones_like(plane, dtype=torch.bool)
    around[max(0, y - _LOBE) : y + _LOBE + 1, max(0, x - _LOBE) : x + _LOBE + 1] = False
    rest = plane[around]
    return Peak(x, y, float((plane[y, x] - rest.mean()) / rest.std().clamp(min=1e-12)))


def inside(plane: Tensor, height: int, width: int) -> Tensor:
    """The part of a plane (H, W) where a filter of that size lay wholly inside: (H - height + 1, W - width + 1)."""
    return plane[: plane.shape[0] - height + 1, : plane.shape[1] - width + 1]


class Track(NamedTuple):
    """Where the centre of the patch was found in every frame, (n, 2) x and y in pixels, and how sharp each peak was,
    (n,)."""

    places: Tensor
    sharpness: Tensor

    def errors(self, true: Tensor) -> Tensor:
        """How many pixels the found centres lie from the true ones (n, 2): (n,)."""
        return (self.places - true).norm(dim=1)


def window_at(frame: Tensor, centre: Tensor, side: int) -> Tensor:
    """The window of `side` pixels about a point (2,), x and y, of a grey frame (H, W); moved inwards where it would
    stick out."""
    x, y = (min(max(round(c - side / 2), 0), size - side) for c, size in zip(centre.tolist(), frame.shape[::-1]))
    return frame[y : y + side, x : x + side]


def windows_beside(frame: Tensor, centre: Tensor, side: int, count: int, seed: int = 0) -> Tensor:
    """`count` windows of a grey frame (H, W), at least half a side from the point: (count, side, side).

    They are the negatives: what the object is not, from the same frame.
    """
    rng, found = np.random.default_rng(seed), []
    middle = centre.numpy()
    while len(found) < count:
        place = rng.uniform(side / 2, np.array(frame.shape[::-1]) - side / 2)
        if np.abs(place - middle).max() >= side / 2:
            found.append(window_at(frame, torch.from_numpy(place), side))
    return torch.stack(found)


def track(frames: Tensor, template: Tensor) -> Track:
    """Where a filter (h, w) has its peak in each of the grey frames (n, H, W).

    Each frame is searched as a whole, so that what is lost can be found again.
    """
    height, width = template.shape
    peaks = [find_peak(inside(correlate(frame, template), height, width)) for frame in frames]
    places = torch.tensor([[peak.x + width / 2, peak.y + height / 2] for peak in peaks])
    return Track(places, torch.tensor([peak.sharpness for peak in peaks]))


_DASHES = ("-", "--", ":", "-.")  # a second mark beside the colour
_LIMIT = 40  # pixels of error that are drawn
_LARGE, _GAP = 256, 8  # pixels of the frame, the filter and the plane, and between two


def planes(frame: Tensor, found: Mapping[str, tuple[Tensor, Peak]], caption: str) -> Picture:
    """A grey frame (H, W), and beside it the correlation plane of each filter with its peak circled."""
    panels = {f"{name}: {peak.sharpness:.0f}": plane.numpy() for name, (plane, peak) in found.items()}
    figure = side_by_side({"the frame": frame.numpy()} | panels, 2.6, 2.8)
    for axes, (_, peak) in zip(figure.axes[1:], found.values()):
        axes.plot(peak.x, peak.y, "o", markersize=14, markerfacecolor="none", markeredgecolor=WRONG, markeredgewidth=2)
    each = "; ".join(f"{name} {p.sharpness:.1f} at ({p.x}, {p.y})" for name, (_, p) in found.items())
    return Picture(figure, f"{caption}. Peak-to-sidelobe ratio and place of the peak: {each}")


def track_errors(tracks: Mapping[str, Track], true: Tensor, caption: str) -> Picture:
    """How far each filter was from the true centres (n, 2), frame by frame, in pixels; drawn up to 40."""
    (figure, axes), words = chart(8, 2.8), []
    for (name, track), colour, dash in zip(tracks.items(), PENS, _DASHES):
        errors = track.errors(true)
        axes.plot(errors.clamp(max=_LIMIT).numpy(), color=colour, linestyle=dash, label=name)
        words.append(f"{name} median {errors.median():.1f}, lost by more than 5 in {(errors > 5).float().mean():.0%}")
    axes.set(xlabel="frame", ylabel="error in pixels", ylim=(0, _LIMIT * 1.02))
    legend_beside(axes)
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

    def draw() -> Drawn:
        i, some = number.value, negatives[: count.value]
        return filter_panel(frames[i], true[i], positive, some, alpha.value, beta.value)

    return panel_over([alpha, beta, count, number], draw)


def filter_panel(frame: Tensor, true: Tensor, positive: Tensor, negatives: Tensor, alpha: float, beta: float) -> Drawn:
    """A correlation filter, and what it says of a frame: the frame, the filter and the plane side by side.

    frame: grey (H, W), of which true (2,) is where the centre of the patch is. positive, negatives, alpha, beta: as in
    `correlation_filter`.
    """
    template = correlation_filter(positive, negatives, alpha, beta)
    height, width = template.shape
    plane = inside(correlate(frame, template), height, width)
    peak = find_peak(plane)
    found = torch.tensor([peak.x + width / 2, peak.y + height / 2])
    scale = _LARGE / frame.shape[1]
    pictures = [_enlarged(some) for some in (frame, template, plane)]
    pictures[0] = _marked(pictures[0], found * scale, true * scale)
    gap = np.full((_LARGE, _GAP, 3), 255, np.uint8)
    words = (
        f"alpha {alpha:.0e}, beta {beta:.2f}, {len(negatives)} negatives. From left: the frame, with a circle at the "
        f"peak and a cross where the patch is; the filter; its correlation plane. {(found - true).norm():.1f} pixels "
        f"off, peak-to-sidelobe ratio {peak.sharpness:.1f}"
    )
    return np.concatenate([pictures[0], gap, pictures[1], gap, pictures[2]], 1), words


def _enlarged(values: Tensor) -> np.ndarray:
    """Numbers (H, W) as grey pixels from their least to their greatest, each as a block: (_LARGE, _LARGE, 3) uint8."""
    low, high = values.min(), values.max()
    grey = Image.fromarray(((values - low) / (high - low).clamp(min=1e-12) * 255).round().byte().numpy())
    return np.asarray(grey.convert("RGB").resize((_LARGE, _LARGE), Image.Resampling.NEAREST))


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
