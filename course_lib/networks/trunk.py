"""What a trunk is: a network without its head, with its layers by name; and its first layer's filters.

Taught in notebooks 02 and 05.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from course_lib.support.errors import unknown


@contextmanager
def frozen(network: nn.Module) -> Iterator[None]:
    """The network in evaluation mode, and afterwards in the mode that it was in."""
    was_training = network.training
    network.eval()
    try:
        yield
    finally:
        network.train(was_training)


class Trunk(nn.Module):
    """A network without its head: pictures in, maps of features out, each layer by its name.

    layers: the names of those that are probed, from the pictures up. side: the pictures' side in pixels. out_features:
    of `forward`, which gives (n, out_features) to a head.
    """

    layers: tuple[str, ...]
    side: int
    out_features: int

    def features(self, images: Tensor, layers: Sequence[str] | None = None) -> dict[str, Tensor]:
        """The maps (n, channels, height, width) of some layers, or of all, for images (n, 3, side, side) in [-1, 1].

        Raises CourseError for a layer that does not exist.
        """
        raise NotImplementedError

    def named(self, layers: Sequence[str] | None) -> tuple[str, ...]:
        """The layers that are meant: all for None. Raises CourseError for one that does not exist."""
        for layer in layers or ():
            if layer not in self.layers:
                raise unknown("layer", layer, self.layers)
        return self.layers if layers is None else tuple(layers)

    @torch.no_grad()
    def outputs(self, side: int) -> int:
        """How many numbers `forward` gives for a picture of this side, in pixels."""
        with frozen(self):
            return self(torch.zeros(1, 3, side, side, device=next(self.parameters()).device)).shape[1]

    def laid_out(self, images: Tensor) -> Tensor:
        """Pictures in the weights' order in memory; else theirs would decide in which order the network works."""
        channels_last = first_convolution(self)[0].weight.is_contiguous(memory_format=torch.channels_last)
        return images.contiguous(memory_format=torch.channels_last if channels_last else torch.contiguous_format)


def first_convolution(trunk: nn.Module) -> tuple[nn.Conv2d, nn.Module]:
    """A network's first convolution, and the BatchNorm behind it, of whatever kind."""
    return next(part for part in trunk.modules() if isinstance(part, nn.Conv2d)), batchnorms(trunk)[0]


def batchnorms(network: nn.Module) -> list[nn.Module]:
    """A network's BatchNorms of whatever kind, from the pictures up."""
    return [part for part in network.modules() if isinstance(part, nn.modules.batchnorm._BatchNorm)]


def forget_statistics(network: nn.Module) -> None:
    """Let those BatchNorms that are in training mode start over: from here on each takes the mean over all batches that
    it sees, where it usually follows the last ones."""
    for norm in batchnorms(network):
        if norm.training:
            norm.reset_running_stats()
            norm.momentum = None


def conv1_filters(trunk: Trunk) -> Tensor:
    """The first layer's filters as they act on a picture, BatchNorm folded in: (channels, 3, k, k)."""
    conv, norm = first_convolution(trunk)
    return fold_batchnorm(conv.weight, norm.weight, norm.running_var, norm.eps).detach().float().contiguous()


def fold_batchnorm(filters: Tensor, gain: Tensor, variance: Tensor, eps: float = 1e-5) -> Tensor:
    """Filters (c, 3, k, k) times the factor that BatchNorm gives each one's answer: gain / sqrt(variance + eps).

    Without it a picture would show filters at a strength at which the network never uses them. Taught in notebook 05.
    """
    return filters * (gain / (variance + eps).sqrt())[:, None, None, None]


def shapes_in_space(filters: Tensor) -> Tensor:
    """The part of filters (n, c, k, k) that is one shape in one colour: (n, k, k), of length 1.

    The first singular vector over space: a filter's pattern without its colour.
    """
    return F.normalize(torch.linalg.svd(filters.flatten(2).float(), full_matrices=False)[2][:, 0]).view(
        len(filters), *filters.shape[2:]
    )


def by_frequency(filters: Tensor) -> Tensor:
    """The order (n,) of filters (n, c, k, k) from slow to fast change, and among equals by direction."""
    size = 16
    spectrum = torch.fft.fft2(shapes_in_space(filters), s=(size, size)).abs().square()[..., : size // 2]
    fy = torch.fft.fftfreq(size, device=filters.device)[:, None].expand(size, size // 2)
    fx = torch.fft.fftfreq(size, device=filters.device)[: size // 2].expand(size, size // 2)
    strongest = spectrum.flatten(1).argmax(1)
    speed, turn = torch.hypot(fx, fy).flatten()[strongest], torch.atan2(fy, fx).flatten()[strongest]
    return (torch.round(speed * 8) * 10 + turn).argsort(stable=True)
