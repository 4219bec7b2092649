"""Style transfer: the content of one picture in the style of another, as a network sees both.

Gatys, Ecker and Bethge 2016, section 2. Taught in notebook 11.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import NamedTuple

import torch
import torch.nn.functional as F
from torch import Tensor

from course_lib.data.datasets import to_float
from course_lib.data.images import PHOTOGRAPHS, read_image, read_photograph
from course_lib.networks.alexnet import LAYERS
from course_lib.networks.trunk import Trunk, frozen

CONTENT_LAYER = "conv4"
"""Gatys et al. take VGG's conv4_2: late enough to forget exact pixels, and early enough to know where things are."""

SMOOTH = 0.3
"""The weight of the picture's roughness."""

_INSIDE = 0.98  # of the way to black and white, where tanh still has a slope
_MEMORY = 20  # curvatures that L-BFGS keeps
_EVERY = 5  # steps between two pictures that are shown


class Size(NamedTuple):
    """How large a transfer is: the picture's side in pixels, and the steps of L-BFGS."""

    side: int
    steps: int


SIZES = {"quick": Size(96, 40), "standard": Size(256, 200), "paper": Size(512, 500)}
"""At each profile. Gatys et al. take 512 pixels and some hundreds of steps."""


class Losses(NamedTuple):
    """How far a picture is from its two examples, each as a share of the example's own size, so that networks with
    large and with small features can be compared."""

    content: Tensor
    style: Tensor


class Transfer(NamedTuple):
    """A picture (3, side, side) in [-1, 1] after some steps, and its losses there."""

    image: Tensor
    step: int
    content: float
    style: float


def load_picture(name: str, side: int) -> Tensor:
    """The middle square of a bundled photograph, or of a picture file: (3, side, side) in [-1, 1].

    Raises CourseError for what is neither.
    """
    pixels = read_photograph(name) if name in PHOTOGRAPHS else read_image(name)
    return square(pixels, side)


def square(pixels: Tensor, side: int) -> Tensor:
    """The middle square of a picture (3, H, W) uint8, averaged to (3, side, side) in [-1, 1]."""
    height, width = pixels.shape[1:]
    short = min(height, width)
    top, left = (height - short) // 2, (width - short) // 2
    middle = to_float(pixels[None, :, top : top + short, left : left + short])
    return F.interpolate(middle, size=(side, side), mode="bilinear", antialias=True)[0].clamp(-1, 1)


def gram(maps: Tensor) -> Tensor:
    """Which features respond together, wherever they do: (n, channels, channels) for maps (n, channels, height, width).

    The mean over all places of the product of each pair of channels. Gatys et al. 2016, equation 3, who sum and divide
    later. Taught in notebook 11.
    """
    flat = maps.flatten(2)
    return flat @ flat.transpose(1, 2) / flat.shape[2]


class Examples:
    """What a network sees of a content picture and of a style picture, each (3, side, side) in [-1, 1].

    layers: those whose Gram matrices are the style. Raises CourseError for a layer that does not exist, and ValueError
    for none.
    """

    def __init__(self, trunk: Trunk, content: Tensor, style: Tensor, layers: Sequence[str] = LAYERS) -> None:
        if not layers:
            raise ValueError("a style needs at least one layer, got none")
        self.trunk, self.layers = trunk, trunk.named(layers)
        trunk.named((CONTENT_LAYER,))
        device = next(trunk.parameters()).device
        self.start = content.to(device)
        with torch.no_grad(), frozen(trunk):
            self._content = self._maps(self.start)[CONTENT_LAYER]
            self._style = {layer: gram(one) for layer, one in self._maps(style.to(device)).items()}

    def _maps(self, image: Tensor) -> dict[str, Tensor]:
        wanted = [layer for layer in self.trunk.layers if layer in self.layers or layer == CONTENT_LAYER]
        return self.trunk.features(image[None], wanted)

    def losses(self, image: Tensor) -> Losses:
        """Of a picture (3, side, side) in [-1, 1]; the trunk is in evaluation mode. Every layer of the style has
        the same weight."""
        maps = self._maps(image)
        style = torch.stack([_apart(gram(maps[layer]), self._style[layer]) for layer in self.layers])
        return Losses(_apart(maps[CONTENT_LAYER], self._content), style.mean())


def _apart(given: Tensor, wanted: Tensor) -> Tensor:
    return (given - wanted).square().sum() / wanted.square().sum().clamp(min=1e-12)


def roughness(image: Tensor) -> Tensor:
    """The mean squared difference between neighbouring pixels of (3, side, side), which a network may ignore and an eye
    does not. Mahendran and Vedaldi 2015, section 3.1, with beta = 2."""
    down, across = image.diff(dim=1), image.diff(dim=2)
    return down.square().mean() + across.square().mean()


def transfer(
    examples: Examples, weight: float, steps: int, watch: Callable[[Transfer], None] | None = None
) -> Transfer:
    """Change the pixels of the content picture until the network sees the other's style in it, by L-BFGS.

    weight: of the style, where the content has 1. The pixels are tanh of what is optimised, so that they stay in
    [-1, 1]. watch: is shown the picture every few steps. Raises ValueError for a weight below 0. When interrupted, it
    returns the picture as it is.
    """
    if weight < 0:
        raise ValueError(f"the style's weight must not be below 0, got {weight:g}")
    moved = (_INSIDE * examples.start).atanh().requires_grad_()
    solver = torch.optim.LBFGS([moved], max_iter=_EVERY, history_size=_MEMORY, line_search_fn="strong_wolfe")

    def loss() -> Tensor:
        solver.zero_grad()
        image = moved.tanh()
        content, style = examples.losses(image)
        total = content + weight * style + SMOOTH * roughness(image)
        (slope,) = torch.autograd.grad(total, [moved])  # of the pixels alone, not of the network's weights
        moved.grad = slope.contiguous()  # as L-BFGS needs; a trained network may give channels_last
        return total.detach()

    done = 0
    with frozen(examples.trunk), torch.enable_grad():
        try:
            while done < steps:
                solver.step(loss)
                done += _EVERY
                if watch:
                    watch(_seen(examples, moved, done))
        except KeyboardInterrupt:
            print(f"stopped by hand after {done} steps; the picture is as it was then")
        return _seen(examples, moved, done)


@torch.no_grad()
def _seen(examples: Examples, moved: Tensor, done: int) -> Transfer:
    image = moved.detach().tanh()
    content, style = examples.losses(image)
    return Transfer(image, done, content.item(), style.item())


@torch.no_grad()
def left_to_go(examples: Examples, image: Tensor) -> float:
    """A network's style loss of a picture (3, side, side), as a share of that of the content picture: 1, nothing of the
    style; 0, all of it. Another network may have made the picture."""
    with frozen(examples.trunk):
        before, after = examples.losses(examples.start).style, examples.losses(image.to(examples.start.device)).style
    return (after / before).item()
