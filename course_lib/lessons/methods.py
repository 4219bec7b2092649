"""What a method does, under sliders: RotNet's answers to a turned crop, groups of crops by DeepCluster's features, and
pictures that BiGAN generates from codes. Taught in notebooks 02 to 04."""

from __future__ import annotations

import math

import ipywidgets as widgets
import numpy as np
import torch
from torch import Tensor

from course_lib.data.crops import Crops
from course_lib.data.datasets import CropDataset
from course_lib.pictures.drawing import Paper
from course_lib.pictures.figures import tile, to_pixels
from course_lib.pictures.panel import Drawn, Panel, named_slider, panel_over
from course_lib.pretext.bigan import BiGAN
from course_lib.pretext.clustering import assign, kmeans
from course_lib.pretext.method import Batch
from course_lib.pretext.rotnet import RotNet
from course_lib.support.palette import RIGHT, WRONG

_NAMES = ("0°", "90°", "180°", "270°")
_LARGE = 224  # pixels of the crop
_ROWS, _COLUMNS, _GAP = 8, 12, 4  # groups, crops of each, and pixels between two
_PAIRS = 9  # of codes
_BEGINS = ("random codes", "codes of crops")


def explore_turns(method: RotNet, data: CropDataset) -> Panel:
    """Turn a crop by any angle, and see how sure the network is of each quarter turn."""
    number = named_slider("crop", min(2, len(data) - 1), widgets.IntSlider, min=0, max=min(99, len(data) - 1))
    angle = named_slider("angle", 0, widgets.IntSlider, min=-180, max=180, step=5)
    return panel_over([number, angle], lambda: turn_panel(method, data, number.value, angle.value))


@torch.inference_mode()
def turn_panel(method: RotNet, data: CropDataset, number: int, angle: float) -> Drawn:
    """Crop `number`, turned counter-clockwise by `angle` degrees, and how sure the network is of each quarter turn.

    A crop that is not turned by a whole quarter is made a little smaller, so that its corners stay inside.
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


def explore_groups(images: Tensor, features: Tensor, k: int = 30) -> Panel:
    """Group crops (n, 3, side, side) by their features (n, f), with sliders for k and for the seed of k-means."""
    groups = named_slider("k", k, widgets.IntSlider, min=2, max=min(200, len(images)))
    seed = named_slider("seed", 0, widgets.IntSlider, min=0, max=99)
    return panel_over([groups, seed], lambda: groups_panel(images, features, groups.value, seed.value))


def groups_panel(images: Tensor, features: Tensor, k: int, seed: int = 0) -> Drawn:
    """Crops (n, 3, side, side) grouped by their features (n, f) into k groups, and of the largest the members nearest
    to the centre: pixels uint8 of one size for every k, and words."""
    found = kmeans(features, min(k, len(features)), seed=seed)
    counts = torch.bincount(found.labels, minlength=k)
    shown = counts.topk(min(_ROWS, k)).indices.tolist()
    distance = assign(features, found.centres)[1] + features.square().sum(1)
    side = images.shape[-1]
    cells = np.full((_ROWS, _COLUMNS, side, side, 3), 255, np.uint8)
    for row, group in zip(cells, shown):
        members = (found.labels == group).nonzero()[:, 0]
        members = members[distance[members].argsort()][:_COLUMNS]
        row[: len(members)] = to_pixels(images[members])
    share = found.objective[-1] / features.square().sum()
    words = (
        f"{len(images):,} crops in k = {k} groups, the {len(shown)} largest with {counts.max()} to "
        f"{int(counts[shown[-1]])} crops each, one row per group; {share:.0%} of the features is left unexplained"
    )
    return tile(cells.reshape(-1, side, side, 3), _COLUMNS, max(1, 64 // side), _GAP), words


def nearest(x: Tensor, centres: Tensor) -> Tensor:
    """The number (n,) of the centre (k, f) that is nearest to each row (n, f). Taught in notebook 03."""
    return assign(x, centres)[0]


def explore_codes(method: BiGAN, data: CropDataset, seed: int = 0) -> Panel:
    """Walk from some codes to others: random ones, or those that the encoder gives to crops, which the generator then
    reconstructs."""
    share = named_slider("way", 0.0, widgets.FloatSlider, min=0, max=1, step=0.05)
    deal = named_slider("seed", seed, widgets.IntSlider, min=0, max=max(99, seed))
    kind = widgets.Dropdown(options=_BEGINS, description="between", layout={"width": "260px"})

    def draw() -> Drawn:
        return walk_panel(method, *some_codes(method, data, kind.value, deal.value), share.value)

    return panel_over([kind, share, deal], draw)


def walk_panel(method: BiGAN, begin: Tensor, end: Tensor, share: float) -> Drawn:
    """What the generator draws on the way from some codes to others.

    begin, end: codes (n, code). The first row shows the whole way in equal steps for the first pair; the second, at
    `share` of the way, in [0, 1], every pair.
    """
    steps = torch.linspace(0, 1, len(begin), device=begin.device)[:, None]
    codes = torch.cat([torch.lerp(begin[:1], end[:1], steps), torch.lerp(begin, end, share)])
    pixels = tile(to_pixels(generate(method, codes)), len(begin), scale=2, gap=4)
    return pixels, f"Above, the way from one code to another; below, {len(begin)} pairs at {share:.0%} of their way"


@torch.inference_mode()
def generate(method: BiGAN, codes: Tensor) -> Tensor:
    """Pictures (n, 3, side, side) in [-1, 1] generated from codes (n, code)."""
    return method.generator(codes).float()


@torch.inference_mode()
def codes_of(method: BiGAN, images: Tensor) -> Tensor:
    """The encoder's codes (n, code) of pictures (n, 3, side, side)."""
    return method.encode(images).float()


def some_codes(method: BiGAN, data: CropDataset, kind: str, seed: int) -> tuple[Tensor, Tensor]:
    """Pairs of codes, two times (9, code): `random codes`, or `codes of crops`."""
    index = torch.arange(2 * _PAIRS, device=data.source.device)
    if kind == _BEGINS[0]:
        codes = Batch(index, seed, 0, 0).uniform(method.code)
    else:
        codes = codes_of(method, data[(index + 2 * _PAIRS * seed) % len(data)])
    return codes[:_PAIRS], codes[_PAIRS:]


def found_again(images: Tensor, again: Tensor) -> Tensor:
    """Of pictures (n, 3, side, side), the share whose nearest in `again`, pixel by pixel, is their own: a scalar.

    again: as many pictures, made from the codes of the first. By chance it would be 1 / n. Taught in notebook 04.
    """
    distance = torch.cdist(images.flatten(1).float(), again.flatten(1).float())
    return (distance.argmin(1) == torch.arange(len(images), device=images.device)).float().mean()
