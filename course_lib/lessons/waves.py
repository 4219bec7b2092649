"""One wave of the scattering transform by hand: its frequencies, and how strongly it answers (notebook 07)."""

from __future__ import annotations

import torch
from torch import Tensor


def wave(side: int, angle: float, frequency: float = 0.25, width: float = 3.0) -> Tensor:
    """A Gabor wave of mean zero, in the frequencies of `torch.fft.fft2`: (side, side) real.

    angle: radians. frequency: cycles a pixel. width: of its bell, in pixels.
    """
    wave = _bell(side, width, frequency * torch.tensor([torch.tensor(angle).sin(), torch.tensor(angle).cos()]))
    bell = _bell(side, width, torch.zeros(2))
    return wave - wave[0, 0] / bell[0, 0] * bell


def window(side: int, width: float = 2.0) -> Tensor:
    """A bell that takes a mean over about 2 `width` pixels, in the frequencies of `torch.fft.fft2`: (side, side)."""
    return _bell(side, width, torch.zeros(2))


def _bell(side: int, width: float, centre: Tensor) -> Tensor:
    places = torch.fft.fftfreq(side)
    distance = (places[:, None] - centre[0]) ** 2 + (places - centre[1]) ** 2
    return torch.exp(-2 * (torch.pi * width) ** 2 * distance)


def first_order(images: Tensor, wave: Tensor, window: Tensor) -> Tensor:
    """How strongly a wave answers, whatever its phase, around each place: |x * wave| * window, real (n, side, side).

    images: (n, side, side), which go on beyond their border as if they were tiles. wave, window: (side, side), in the
    frequencies of `torch.fft.fft2`.
    """
    strength = torch.fft.ifft2(torch.fft.fft2(images) * wave).abs()
    return torch.fft.ifft2(torch.fft.fft2(strength) * window).real
