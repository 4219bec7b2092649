"""The libraries that augment pictures, each called in its own best way. A missing one raises ImportError."""

from __future__ import annotations

import multiprocessing
import os
from collections.abc import Callable
from multiprocessing.context import BaseContext
from typing import Any

import torch
from PIL import Image
from torch import Tensor, nn

from course_lib.bench.report import Peer
from course_lib.data.crops import Crops, CropScheme
from course_lib.data.sources import Source
from course_lib.lessons.crops.measures import exact_crops, psnr
from course_lib.pictures.figures import photograph
from course_lib.support.machine import cpu_cores

SCHEME = CropScheme(beta=1e-3)
"""What every peer is asked for; its quality is judged without the colours."""
JUDGED = 60
"""Crops that the quality is measured on."""

_AREA, _RATIO = (SCHEME.beta, 1.0), (SCHEME.gamma, 1 / SCHEME.gamma)
_JITTER = (SCHEME.jitter, SCHEME.jitter, SCHEME.jitter, SCHEME.jitter / 4)
_KORNIA, _PIL = 256, 32  # crops a call, of PIL from each worker


def library_peers(source: Source, side: int) -> list[Peer]:
    """kornia on the source's device and torchvision in worker processes, at one side in pixels."""
    cores, steps = cpu_cores(), "RandomResizedCrop, RandomRotation, CenterCrop, flip, colour jitter"

    def kornia_quality() -> float:
        return _judge_chain(source, lambda image: _kornia(side)(image.expand(JUDGED, -1, -1, -1)))

    def pil_quality() -> float:
        return _judge_chain(source, lambda image: _torchvision_drawn(side, image))

    pil, what = f"torchvision on PIL, {cores} workers", "the same on PIL images, in DataLoader workers, one per core"
    return [
        Peer("kornia", steps, _KORNIA, lambda: _kornia_loader(source, side), kornia_quality),
        Peer(pil, what, _PIL * cores, lambda: pil_loader(source, side, _PIL * cores, cores), pil_quality),
    ]


def judge(source: Source, crops: Crops, pixels: Tensor) -> float:
    """Quality in dB of pixels (n, 3, side, side) in [-1, 1] that should be these crops, on whatever device they are."""
    return psnr(pixels.float().cpu(), exact_crops(source.to("cpu"), crops.to("cpu"), pixels.shape[-1]))


def _judge_chain(source: Source, draw: Callable[[Tensor], Tensor]) -> float:
    """Quality in dB of a library that does not say where it reads.

    draw: crops (n, 5, side, side) of an image (5, H, W) on the CPU. Two channels hold the place of every pixel, so what
    is drawn of them is where the other three were read.
    """
    width, height = source.sizes[0].tolist()
    y, x = torch.meshgrid(torch.arange(height) + 0.5, torch.arange(width) + 0.5, indexing="ij")
    drawn = draw(torch.cat([source.image().cpu() / 255, x[None], y[None]]))
    return judge(source, crops_at(drawn[:, 3:]), drawn[:, :3] * 2 - 1)


def crops_at(places: Tensor) -> Crops:
    """Crops without colours, from the places (n, 2, side, side) in source pixels that their output pixels show."""
    n, side = len(places), places.shape[-1]
    low, high = side // 4, side - 1 - side // 4  # well inside: some libraries read otherwise at an edge
    a, b, c, d = places[:, :, [low, low, high, high], [low, high, low, high]].unbind(2)
    scale = side / (high - low) / 2
    affine = torch.stack([(b + d - a - c) * scale, (c + d - a - b) * scale, (a + b + c + d) / 4], 2)
    return Crops(torch.zeros(n, dtype=torch.int32), affine, torch.eye(3, 4).expand(n, 3, 4))


def _larger(side: int) -> int:
    """The side at which crops are turned, so that cutting out the middle leaves no empty corner."""
    return side * 3 // 2


def _kornia(side: int) -> nn.Sequential:
    import kornia.augmentation as K

    large = (_larger(side), _larger(side))
    return nn.Sequential(
        K.RandomResizedCrop(large, scale=_AREA, ratio=_RATIO, cropping_mode="resample"),
        K.RandomRotation(SCHEME.alpha, p=1.0),
        K.CenterCrop((side, side)),
        K.RandomHorizontalFlip(p=0.5),
    )


def _kornia_loader(source: Source, side: int) -> Callable[[], Tensor]:
    import kornia.augmentation as K

    chain = _kornia(side).append(K.ColorJiggle(*_JITTER, p=1.0)).to(source.device)
    images = (source.image().float() / 255).expand(_KORNIA, -1, -1, -1)
    return lambda: chain(images).mul(2).sub_(1)


def _transforms(side: int, *more: Any) -> Callable[[Any], Any]:
    from torchvision.transforms import v2 as T

    return T.Compose(
        [
            T.RandomResizedCrop(_larger(side), scale=_AREA, ratio=_RATIO, antialias=True),
            T.RandomRotation(SCHEME.alpha, interpolation=T.InterpolationMode.BILINEAR),
            T.CenterCrop(side),
            T.RandomHorizontalFlip(),
            *more,
        ]
    )


def _torchvision_drawn(side: int, image: Tensor) -> Tensor:
    """Crops of an image (c, H, W), each channel as a PIL image: (JUDGED, c, side, side)."""
    from torchvision.transforms.v2 import functional as T

    channels, transform = [Image.fromarray(channel.numpy()) for channel in image], _transforms(side)
    return torch.stack([torch.cat([*map(T.pil_to_tensor, transform(channels))]) for _ in range(JUDGED)])


class _PilCrops(torch.utils.data.IterableDataset):
    def __init__(self, source: Source, side: int) -> None:
        from torchvision.transforms import v2 as T

        self.image, self.transform = Image.fromarray(photograph(source)), _transforms(side, T.ColorJitter(*_JITTER))

    def __iter__(self) -> Any:
        from torchvision.transforms.v2 import functional as T

        while True:
            yield T.pil_to_tensor(self.transform(self.image))


def _workers_context(device: torch.device) -> BaseContext:
    """The cheapest way to start workers. A process that has used CUDA must not be forked; its workers are forks of a
    server that has imported what they need once for all of them."""
    if os.name != "posix":
        return multiprocessing.get_context("spawn")
    if device.type == "cpu":
        return multiprocessing.get_context("fork")
    context = multiprocessing.get_context("forkserver")
    context.set_forkserver_preload([__name__, "torchvision.transforms.v2"])
    return context


def pil_loader(source: Source, side: int, count: int, workers: int) -> Callable[[], Tensor]:
    """A call gives `count` crops made by torchvision on PIL images, an equal part from each of the workers.

    One batch of every worker a call, so that the workers, and not what they had ready, set the pace.
    """
    context = _workers_context(source.device)
    images, pace = _PilCrops(source.to("cpu"), side), {"num_workers": workers, "prefetch_factor": 1}
    loader = torch.utils.data.DataLoader(images, count // workers, multiprocessing_context=context, **pace)
    batches = iter(loader)
    return lambda: torch.cat([next(batches) for _ in range(workers)]).to(source.device).float().div_(127.5).sub_(1)
