"""What a trained RotNet answers: a crop turned by any angle, and how sure it is of each quarter turn (notebook 02)."""

from __future__ import annotations

import math

import ipywidgets as widgets
import numpy as np
import torch

from course_lib.data.crops import Crops
from course_lib.data.datasets import CropDataset
from course_lib.pictures.drawing import Paper
from course_lib.pictures.figures import to_pixels
from course_lib.pictures.panel import Panel, named_slider, panel_over
from course_lib.pretext.rotnet import RotNet
from course_lib.support.palette import RIGHT, WRONG

_NAMES = ("0°", "90°", "180°", "270°")
_LARGE = 224  # pixels of the crop


def explore_turns(method: RotNet, data: CropDataset) -> Panel:
    """Turn a crop by any angle, and see how sure the network is of each quarter turn."""
    number = named_slider("crop", min(2, len(data) - 1), widgets.IntSlider, min=0, max=min(99, len(data) - 1))
    angle = named_slider("angle", 0, widgets.IntSlider, min=-180, max=180, step=5)
    return panel_over([number, angle], lambda: turn_panel(method, data, number.value, angle.value))


@torch.inference_mode()
def turn_panel(method: RotNet, data: CropDataset, number: int, angle: float) -> tuple[np.ndarray, str]:
    """Crop `number`, turned counter-clockwise by `angle` degrees, and how sure the network is of each quarter turn.

    Returns pixels (height, width, 3) uint8 and words. A crop that is not turned by a whole quarter is made a little
    smaller, so that its corners stay inside what it showed before.
    """
    crop = tilted(data.crops[[number]], angle)
    shares = method(data.render(crop)).float().softmax(1)[0].tolist()
    pixels = to_pixels(data.render(crop, _LARGE))[0]
    said, nearest = shares.index(max(shares)), round(angle / 90) % 4
    words = f"Turned by {angle:.0f} degrees: the network says {_NAMES[said]}, {shares[said]:.0%} sure"
    return np.concatenate([pixels, _bars(shares, nearest)], 1), words


def tilted(crops: Crops, angle: float) -> Crops:
    """Crops turned counter-clockwise by any angle in degrees, and shrunk so that they stay inside where they were."""
    turn = math.radians(angle)
    cos, sin = math.cos(turn), math.sin(turn)
    scale = 1 / (abs(cos) + abs(sin))
    inner = torch.tensor([[cos, -sin, 0], [sin, cos, 0]], dtype=torch.float32, device=crops.affine.device) * scale
    return crops.compose(inner)


def _bars(shares: list[float], right: int) -> np.ndarray:
    """A bar for each turn; the right one in another colour, and marked with a word."""
    paper = Paper(_LARGE, _LARGE, left=60, right=54)
    for i, (name, share) in enumerate(zip(_NAMES, shares)):
        middle = 32 + 52 * i
        paper.name(middle - 8 if i == right else middle, name)
        if i == right:
            paper.name(middle + 8, "right")
        paper.bar(middle, share, RIGHT if i == right else WRONG, half=16)
    return paper.pixels
