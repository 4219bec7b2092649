"""What a trained RotNet answers: a crop turned by any angle, and how sure it is of each quarter turn (notebook 02)."""

from __future__ import annotations

import math
from collections.abc import Sequence

import ipywidgets as widgets
import numpy as np
import torch
from PIL import Image, ImageDraw, ImageFont
from torch import Tensor

from course_lib.data.crops import Crops
from course_lib.data.datasets import CropDataset
from course_lib.pictures.figures import RIGHT, WRONG, to_pixels
from course_lib.pictures.panel import Panel, named_slider, panel_over
from course_lib.pretext.rotnet import RotNet

TURN_NAMES = ("0°", "90°", "180°", "270°")


_LARGE = 224  # pixels of the one crop in a panel of turns


def turn_panel(method: RotNet, data: CropDataset, number: int, angle: float) -> tuple[np.ndarray, str]:
    """Crop `number`, turned counter-clockwise by `angle` degrees, and how sure the network is of each quarter turn.

    Returns pixels (height, width, 3) uint8 and words. A crop that is not turned by a whole quarter is made a little
    smaller, so that its corners stay inside what it showed before.
    """
    crop = tilted(data.crops[[number]], angle)
    shares = answers_of(method, data.render(crop))[0]
    pixels = to_pixels(data.render(crop, _LARGE))[0]
    nearest = round(angle / 90) % 4
    said = int(shares.argmax())
    words = f"Turned by {angle:.0f} degrees: the network says {TURN_NAMES[said]}, {shares[said]:.0%} sure"
    return np.concatenate([pixels, _bars(shares.tolist(), nearest)], 1), words


def tilted(crops: Crops, angle: float) -> Crops:
    """Crops turned counter-clockwise by any angle in degrees, and shrunk so that they stay inside where they were."""
    turn = math.radians(angle)
    cos, sin = math.cos(turn), math.sin(turn)
    scale = 1 / (abs(cos) + abs(sin))
    inner = torch.tensor([[cos, -sin, 0], [sin, cos, 0]], dtype=torch.float32, device=crops.affine.device) * scale
    return crops.compose(inner)


@torch.inference_mode()
def answers_of(method: RotNet, images: Tensor) -> Tensor:
    """The probabilities (n, 4) that the network gives the four turns of pictures (n, 3, side, side)."""
    return method(images).float().softmax(1).cpu()


def _bars(shares: Sequence[float], right: int) -> np.ndarray:
    """Four bars, one a turn; the right one in another colour, and with a tick."""
    canvas = Image.new("RGB", (_LARGE, _LARGE), "white")
    pen, font = ImageDraw.Draw(canvas), ImageFont.load_default(13)
    for i, (name, share) in enumerate(zip(TURN_NAMES, shares)):
        top = 16 + i * 52
        pen.text((52, top + 2), name, fill="black", font=font, anchor="ra")
        if i == right:  # a second mark beside the colour
            pen.text((52, top + 18), "right", fill="black", font=font, anchor="ra")
        pen.rectangle((60, top, 60 + 110 * share, top + 32), fill=RIGHT if i == right else WRONG)
        pen.text((66 + 110 * share, top + 10), f"{share:.0%}", fill="black", font=font)
    return np.asarray(canvas)


def explore_turns(method: RotNet, data: CropDataset) -> Panel:
    """Turn a crop by any angle, and see how sure the network is of each quarter turn."""
    number = named_slider("crop", min(2, len(data) - 1), widgets.IntSlider, min=0, max=min(99, len(data) - 1))
    angle = named_slider("angle", 0, widgets.IntSlider, min=-180, max=180, step=5)
    return panel_over([number, angle], lambda: turn_panel(method, data, number.value, angle.value))
