"""The pictures that sliders over a trained method move: pure functions, composed in numpy so that they take no time."""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np
import torch
from PIL import Image, ImageDraw, ImageFont
from torch import Tensor

from course_lib.clustering import assign, kmeans
from course_lib.crops import Crops
from course_lib.datasets import CropDataset
from course_lib.figures import RIGHT, WRONG, filter_pixels, paste, tile, to_pixels
from course_lib.films import Film
from course_lib.filters import effective_rank, matched_similarity, oriented_share
from course_lib.pretext.bigan import BiGAN
from course_lib.pretext.rotnet import RotNet

TURN_NAMES = ("0°", "90°", "180°", "270°")

_LARGE = 224  # pixels of the one crop in a panel of turns
_GAP = 4
_TITLE = 42  # pixels of the two lines above a sheet of filters


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


def groups_panel(
    images: Tensor, features: Tensor, k: int, seed: int = 0, rows: int = 8, columns: int = 12
) -> tuple[np.ndarray, str]:
    """Crops (n, 3, side, side) grouped by their features (n, f) into k groups, and of the largest the members nearest
    to the centre: pixels uint8 of one size for every k, and words."""
    found = kmeans(features, min(k, len(features)), seed=seed)
    counts = torch.bincount(found.labels, minlength=k)
    shown = counts.topk(min(rows, k)).indices.tolist()
    distance = assign(features, found.centres)[1] + features.square().sum(1)
    scale = max(1, 64 // images.shape[-1])
    side = scale * images.shape[-1]
    canvas = np.full((rows * (side + _GAP), columns * (side + _GAP), 3), 255, np.uint8)
    for row, group in enumerate(shown):
        members = (found.labels == group).nonzero()[:, 0]
        members = members[distance[members].argsort()][:columns]
        paste(canvas[row * (side + _GAP) :], to_pixels(images[members]), columns, scale, _GAP)
    share = found.objective[-1] / features.square().sum()
    words = (
        f"{len(images):,} crops in k = {k} groups, the {len(shown)} largest with {counts.max()} to "
        f"{int(counts[shown[-1]])} crops each, a row a group; {share:.0%} of the features is left unexplained"
    )
    return canvas, words


def walk_panel(
    method: BiGAN, begin: Tensor, end: Tensor, share: float, columns: int = 9, scale: int = 2
) -> tuple[np.ndarray, str]:
    """What the generator makes on the way from some codes to others: pixels uint8, and words.

    begin, end: codes (n, code). The first row shows the whole way in equal steps for the first pair; the second, at
    `share` of the way, in [0, 1], every pair.
    """
    steps = torch.linspace(0, 1, columns, device=begin.device)[:, None]
    codes = torch.cat([torch.lerp(begin[:1], end[:1], steps), torch.lerp(begin, end, share)[:columns]])
    pixels = to_pixels(generate(method, codes))
    side = pixels.shape[1] * scale
    canvas = np.full((2 * (side + _GAP), columns * (side + _GAP), 3), 255, np.uint8)
    paste(canvas, pixels, columns, scale, _GAP)
    return canvas, f"Above, the way from one code to another; below, {len(begin)} pairs at {share:.0%} of their way"


@torch.inference_mode()
def generate(method: BiGAN, codes: Tensor) -> Tensor:
    """Pictures (n, 3, side, side) in [-1, 1] of codes (n, code)."""
    return method.generator(codes).float()


@torch.inference_mode()
def codes_of(method: BiGAN, images: Tensor) -> Tensor:
    """The encoder's codes (n, code) of pictures (n, 3, side, side)."""
    return method.encode(images).float()


def films_panel(left: Film, right: Film, share: float, columns: int = 8) -> tuple[np.ndarray, str]:
    """The first layers of two networks side by side at `share` of their trainings, in [0, 1]: pixels uint8, and words.

    The words have the measures of `filters.py` for each, and how well the two match, now and before their first step.
    """
    (one, one_step), (other, other_step) = left.at(share), right.at(share)
    halves = [
        _titled(tile(filter_pixels(filters), columns, scale=max(1, 50 // filters.shape[-1])), film, step)
        for film, filters, step in ((left, one, one_step), (right, other, other_step))
    ]
    gap = np.full((halves[0].shape[0], 24, 3), 255, np.uint8)
    words = f"Left, {_measured(left, one, one_step)}; right, {_measured(right, other, other_step)}. "
    return np.concatenate([halves[0], gap, halves[1]], 1), words + _match(left, right, one, other)


def _titled(sheet: np.ndarray, film: Film, step: int) -> np.ndarray:
    """A sheet of filters with two lines above it that say whose they are."""
    canvas = Image.new("RGB", (sheet.shape[1], _TITLE), "white")
    pen, font = ImageDraw.Draw(canvas), ImageFont.load_default(14)
    pen.text((0, 2), film.method, fill="black", font=font)
    pen.text((0, 20), f"{film.pictures}; step {step}", fill="black", font=font)
    return np.concatenate([np.asarray(canvas), sheet])


def _measured(film: Film, filters: Tensor, step: int) -> str:
    numbers = f"{oriented_share(filters):.0%} oriented, {effective_rank(filters):.1f} directions"
    return f"{film.method} ({film.pictures}) at step {step}: {numbers}"


def _match(left: Film, right: Film, one: Tensor, other: Tensor) -> str:
    if one.shape[1:] != other.shape[1:]:
        return "They see different things, colours and edges, and cannot be matched."
    start = matched_similarity(left.frames[0], right.frames[0])
    return f"Their match is {matched_similarity(one, other):.2f}, and was {start:.2f} before the first step."
