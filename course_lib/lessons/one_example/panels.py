"""The pictures that the sliders of notebook 12 move: pure functions, composed in numpy so that they take no time."""

from __future__ import annotations

import numpy as np
import torch
from torch import Tensor

from course_lib.lessons.one_example.correlation import COST, correlate, correlation_filter, find_peak, inside
from course_lib.lessons.one_example.detections import detect, suppress
from course_lib.lessons.one_example.exemplar import Round
from course_lib.lessons.one_example.hog import HogPyramid
from course_lib.lessons.one_example.pictures import draw_boxes, grey_pixels, mark, strokes
from course_lib.pictures.figures import to_pixels

_LARGE = 256  # pixels of the frame, the filter and the plane
_GAP = 8
_SHOWN = 5  # boxes


def filter_panel(
    frame: Tensor, true: Tensor, positive: Tensor, negatives: Tensor, alpha: float, beta: float
) -> tuple[np.ndarray, str]:
    """A correlation filter, and what it says of a frame: the frame, the filter and the plane side by side.

    frame: grey (H, W), of which true (2,) is where the centre of the patch is. positive, negatives, alpha, beta: as in
    `correlation_filter`. Returns pixels (height, width, 3) uint8, of one size for every alpha and beta, and words.
    """
    template = correlation_filter(positive, negatives, alpha, beta, COST)
    height, width = template.shape
    plane = inside(correlate(frame, template), height, width)
    peak = find_peak(plane)
    found = torch.tensor([peak.x + width / 2, peak.y + height / 2])
    scale = _LARGE / frame.shape[1]
    pictures = [_enlarged(grey_pixels(some)) for some in (frame, template, plane)]
    pictures[0] = mark(pictures[0], found * scale, true * scale)
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


def template_panel(image: Tensor, photograph: HogPyramid, fitted: Round) -> tuple[np.ndarray, str]:
    """What one round of mining gave: its best boxes on a picture (3, H, W) uint8, and beside it the template's strokes,
    above what it wants and below what it avoids.

    Returns pixels (height, width, 3) uint8, of one size for every template of one form, and words.
    """
    found = suppress(detect(fitted.template, photograph))[:_SHOWN]
    scores = [f"{score:.2f}" for score in found.scores]
    left = draw_boxes(to_pixels(image[None])[0], found.boxes, scores)
    wants, avoids = (strokes(sign * fitted.template.weights) for sign in (1, -1))
    right = np.concatenate([wants, np.full((_GAP, wants.shape[1], 3), 255, np.uint8), avoids])
    height = max(len(left), len(right))
    words = (
        f"{fitted.hard:,} new windows of other photographs were taken for the object, or nearly; {fitted.used} were "
        f"learned from; the objective is {fitted.objective:.3f}. The best boxes score {', '.join(scores) or 'below -1'}"
    )
    return np.concatenate([_padded(left, height), _padded(right, height)], 1), words


def _padded(pixels: np.ndarray, height: int) -> np.ndarray:
    return np.pad(pixels, ((0, height - len(pixels)), (0, _GAP), (0, 0)), constant_values=255)
