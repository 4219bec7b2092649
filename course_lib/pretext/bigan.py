"""BiGAN: a generator makes pictures from numbers, an encoder makes numbers from pictures, and a discriminator, which
sees both at once, must not be able to tell the two kinds of pairs apart.

Donahue, Krähenbühl and Darrell, "Adversarial feature learning", ICLR 2017. Taught in notebook 04.
"""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from course_lib.data.datasets import CropDataset
from course_lib.networks.trunk import Trunk
from course_lib.pretext.method import Batch, Method, Recipe, Shown
from course_lib.profiles import Profile
from course_lib.support import distributed

CODE = 200
"""Numbers in a code z, each uniform in [-1, 1], as in the original."""

LARGEST = 64
"""Pixels. The generator and the discriminator see no larger pictures, as in the original; the encoder does."""

CERTAIN = 0.9
"""Guard: what the discriminator is to answer for a real pair in place of 1 (one-sided smoothing, Salimans et al. 2016,
section 3.4), so that it never grows so sure that the others learn nothing from it."""

RESTS_ABOVE = 0.9
"""Guard: while its accuracy on pairs is above this, the discriminator does not learn, and the others catch up."""

COLLAPSED = 0.2
"""Where pictures of random codes differ by less than this share of what crops do, the generator has collapsed."""

_SPREAD = 3**-0.5  # the standard deviation of a number that is uniform in [-1, 1]
_SLOPE = 0.2  # of the leaky ReLU below zero
_START = 4  # pixels, of the generator's first map


class Generator(nn.Module):
    """Codes (n, code) to pictures (n, 3, side, side) in [-1, 1], by doubling a map of 4 pixels; side: 32, 64 or 128.

    The code is also added to every hidden layer's channels, as a bias that is learned, as in the original.
    """

    def __init__(self, code: int, side: int, width: int) -> None:
        super().__init__()
        channels = _channels(side, width)[::-1]
        self.first = nn.Linear(code, channels[0] * _START**2, bias=False)
        self.norms = nn.ModuleList(nn.BatchNorm2d(c) for c in channels)
        self.biases = nn.ModuleList(nn.Linear(code, c, bias=False) for c in channels)
        steps = zip(channels, channels[1:])
        self.doublings = nn.ModuleList(_doubling(a, b, bias=False) for a, b in steps)
        self.last = _doubling(channels[-1], 3, bias=True)

    def forward(self, z: Tensor) -> Tensor:
        """Pictures of codes."""
        x = self.first(z).view(len(z), -1, _START, _START)
        for i, (norm, bias) in enumerate(zip(self.norms, self.biases)):
            x = x if i == 0 else self.doublings[i - 1](x)
            x = F.relu(norm(x) + bias(z)[:, :, None, None])
        return self.last(x).tanh()


def _doubling(taken: int, made: int, bias: bool) -> nn.Sequential:
    """Every pixel becomes four, then a convolution: a transposed one leaves a chequered pattern (Odena et al. 2016)."""
    return nn.Sequential(nn.Upsample(scale_factor=2), nn.Conv2d(taken, made, 3, 1, 1, bias=bias))


class Discriminator(nn.Module):
    """Pairs of a picture (n, 3, side, side) and a code (n, code) to one logit each, (n,): high for a real picture."""

    def __init__(self, code: int, side: int, width: int) -> None:
        super().__init__()
        channels = _channels(side, width)
        self.halvings = nn.ModuleList(
            nn.Conv2d(a, b, 4, 2, 1, bias=i == 0) for i, (a, b) in enumerate(zip((3, *channels), channels))
        )
        self.norms = nn.ModuleList(nn.BatchNorm2d(c) for c in channels[1:])
        self.biases = nn.ModuleList(nn.Linear(code, c, bias=False) for c in channels[1:])
        self.last = nn.Linear(channels[-1] * _START**2, 1)

    def forward(self, x: Tensor, z: Tensor) -> Tensor:
        """Logits of pairs."""
        x = F.leaky_relu(self.halvings[0](x), _SLOPE)
        for halving, norm, bias in zip(self.halvings[1:], self.norms, self.biases):
            x = F.leaky_relu(norm(halving(x)) + bias(z)[:, :, None, None], _SLOPE)
        return self.last(x.flatten(1))[:, 0]


def _channels(side: int, width: int) -> list[int]:
    """Channels of the maps of side / 2, side / 4, ..., 4 pixels."""
    if side not in (32, 64, 128):
        raise ValueError(f"BiGAN makes pictures of 32, 64 or 128 pixels, got {side}")
    halvings = (side // _START).bit_length() - 1
    return [min(8, 2**i) * width for i in range(halvings)]


class BiGAN(Method):
    """A trunk with a linear layer as the encoder, a generator, and a joint discriminator.

    code: numbers in z. side: pixels of the generated pictures. width: channels of the largest maps of generator and
    discriminator. spread: how far pictures of random codes differed at the last step, as a share of how far crops do.
    """

    # At `paper` as the original: Adam, batches of 128, 100 passes, the rate constant in the first half.
    RECIPES = {
        "quick": Recipe(500, 64, 3e-4, weight_decay=0, optimiser="adam", schedule="late decay"),
        "standard": Recipe(6_000, 256, 2e-4, weight_decay=2.5e-5, optimiser="adam", schedule="late decay"),
        "paper": Recipe(1_000_800, 128, 2e-4, weight_decay=2.5e-5, optimiser="adam", schedule="late decay"),
    }

    def __init__(self, trunk: Trunk, code: int = CODE, side: int = 64, width: int = 64) -> None:
        super().__init__()
        self.trunk, self.code, self.side = trunk, code, side
        # Guard: every number of the code has the mean and spread of z, so that the encoder cannot settle for one code.
        self.to_code = nn.Sequential(nn.Linear(trunk.out_features, code), nn.BatchNorm1d(code, affine=False))
        self.generator = Generator(code, side, width)
        self.discriminator = Discriminator(code, side, width)
        self.register_buffer("spread", torch.tensor(torch.nan))

    @classmethod
    def build(cls, profile: Profile, data: CropDataset) -> BiGAN:
        """BiGAN at a profile's sizes."""
        width = max(16, round(64 * profile.width))
        # Adam moves every filter as far in a step, so that conv1 need not begin small to be seen moving.
        return cls(profile.trunk(first=1.0), CODE, min(profile.side, LARGEST), width)

    def encode(self, images: Tensor) -> Tensor:
        """Codes (n, code) of pictures (n, 3, side, side) in [-1, 1], of the trunk's side."""
        return self.to_code(self.trunk(images)) * _SPREAD

    def loss(self, data: CropDataset, batch: Batch) -> tuple[Tensor, Tensor]:
        """The discriminator's loss plus that of encoder and generator, each with a gradient for its own weights alone.

        One minimum would suit nobody: the discriminator is to call real pairs (x, E(x)) real and made pairs (G(z), z)
        made, the other two want the labels the other way round (section 3). The accuracy is the discriminator's.
        """
        seen = data[batch.index]
        real = seen if data.side == self.side else data.render(data.crops[batch.index], self.side)
        z = batch.uniform(self.code)
        made, code = self.generator(z), self.encode(seen)
        judged = self._judge((real, code.detach()), (made.detach(), z))
        accuracy = ((judged[0] > 0).float().mean() + (judged[1] < 0).float().mean()) / 2
        everywhere = distributed.all_sum(accuracy.clone()) / distributed.size()
        learns = (everywhere < RESTS_ABOVE).float()
        self.discriminator.requires_grad_(False)
        try:
            fooled = self._judge((real, code), (made, z))
        finally:
            self.discriminator.requires_grad_(True)
        self.spread.copy_(spread(made, real))
        return learns * game(*judged, CERTAIN)[0] + game(*fooled)[1], accuracy

    def _judge(self, real: tuple[Tensor, Tensor], made: tuple[Tensor, Tensor]) -> tuple[Tensor, Tensor]:
        """Logits of both kinds of pairs, (n,) each, from one pass over both."""
        pairs = (torch.cat([a.to(b.dtype), b]) for a, b in zip(real, made))
        return self.discriminator(*pairs).chunk(2)

    @property
    def collapsed(self) -> bool:
        """Whether the generator makes nearly the same picture of every code."""
        return bool(self.spread < COLLAPSED)

    def shown(self, data: CropDataset) -> Shown:
        """Twelve crops, what the generator makes of their codes, and what it makes of random codes."""
        index = torch.arange(min(12, len(data)), device=data.crops.source.device)
        n, real = len(index), data.render(data.crops[index], self.side)
        again = self.generator(self.encode(data[index])).float()
        made = self.generator(Batch(index, 0, 0, 0).uniform(self.code)).float()
        return Shown(torch.cat([real, again, made]), n, ("crops", "G(E(x))", "G(z)"))


def game(real: Tensor, made: Tensor, certain: float = 1.0) -> tuple[Tensor, Tensor]:
    """What the discriminator wants small, and what encoder and generator want small: two scalars.

    real, made: (n,) logits of pairs (x, E(x)) and (G(z), z). Both are binary cross-entropies in which each kind of pair
    counts as much; the discriminator's has the label `certain` for real pairs and 0 for made ones, the other's 0 for
    real pairs and 1 for made ones (section 3). Taught in notebook 04.
    """
    return _towards(real, certain) + _towards(made, 0.0), _towards(real, 0.0) + _towards(made, 1.0)


def _towards(logits: Tensor, label: float) -> Tensor:
    wanted = torch.full_like(logits, label, dtype=torch.float32)
    return F.binary_cross_entropy_with_logits(logits.float(), wanted)


def spread(made: Tensor, real: Tensor) -> Tensor:
    """How far made pictures (n, 3, side, side) differ from each other, as a share of how far real ones do: a scalar.

    Pictures differ by the mean, over pixels and colours, of the standard deviation over the pictures: where one picture
    is made of every code it is 0, however colourful that picture is. Taught in notebook 04.
    """
    return made.detach().float().std(0).mean() / real.detach().float().std(0).mean()


METHOD = BiGAN
