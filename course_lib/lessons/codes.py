"""Pictures that a trained BiGAN generates from codes, and the walk between codes (notebook 04)."""

from __future__ import annotations

import ipywidgets as widgets
import numpy as np
import torch
from torch import Tensor

from course_lib.data.datasets import CropDataset
from course_lib.pictures.figures import tile, to_pixels
from course_lib.pictures.panel import Panel, named_slider, panel_over
from course_lib.pretext.bigan import BiGAN
from course_lib.pretext.method import Batch

_PAIRS = 9
_BEGINS = ("random codes", "codes of crops")


def explore_codes(method: BiGAN, data: CropDataset, seed: int = 0) -> Panel:
    """Walk from some codes to others: random ones, or those that the encoder gives to crops, which the generator then
    reconstructs."""
    share = named_slider("way", 0.0, widgets.FloatSlider, min=0, max=1, step=0.05)
    deal = named_slider("seed", seed, widgets.IntSlider, min=0, max=max(99, seed))
    kind = widgets.Dropdown(options=_BEGINS, description="between", layout={"width": "260px"})

    def draw() -> tuple[np.ndarray, str]:
        return walk_panel(method, *some_codes(method, data, kind.value, deal.value), share.value)

    return panel_over([kind, share, deal], draw)


def walk_panel(method: BiGAN, begin: Tensor, end: Tensor, share: float) -> tuple[np.ndarray, str]:
    """What the generator draws on the way from some codes to others: pixels uint8, and words.

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
