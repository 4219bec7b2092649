"""Crops a second: the course's renderer beside the libraries that augment pictures, on the same source.

Every call makes crops with parameters of their own: area in [0.001, 1], ratio in [3/4, 4/3], a turn of up to 35
degrees, a flip, brightness, contrast, saturation and hue; and leaves (n, 3, side, side) numbers in [-1, 1]. Quality is
measured without the colours, against exact area sampling. A missing library raises ImportError.
"""

from __future__ import annotations

import multiprocessing
import os
from collections.abc import Callable, Sequence
from dataclasses import replace
from multiprocessing.context import BaseContext
from typing import Any

import torch
import torch.nn.functional as F
from PIL import Image
from torch import Tensor, nn

from course_lib.bench.report import Peer, Report, Tell, compare, tell
from course_lib.data.crops import Crops, CropScheme
from course_lib.data.render import render
from course_lib.data.sources import Source, generate
from course_lib.lessons.crops.measures import exact_crops, psnr
from course_lib.pictures.figures import photograph
from course_lib.support.machine import cpu_cores, describe_machine

SCHEME = CropScheme(beta=1e-3)
"""What every peer is asked for; its quality is judged without the colours."""
JUDGED = 60
"""Crops that the quality is measured on."""

_AREA, _RATIO = (SCHEME.beta, 1.0), (SCHEME.gamma, 1 / SCHEME.gamma)
_JITTER = (SCHEME.jitter, SCHEME.jitter, SCHEME.jitter, SCHEME.jitter / 4)
_KORNIA, _PIL = 256, 32  # crops a call, of PIL from each worker
_TABLE = 1 << 17  # crops
_PIXELS = {"cpu": 1 << 18, "cuda": 1 << 26}  # a call: enough to keep the device busy


def bench_crops(device: torch.device, sides: Sequence[int], keep: Tell = tell) -> Report:
    """All peers at each side, in pixels."""
    source = Source.from_images([generate("dead_leaves", 1600, 1200)], "dead leaves, 1600 x 1200").to(device)
    report = Report(describe_machine() | {"source": source.name})
    for side in sides:
        report.extend(compare([*own_peers(source, side), *library_peers(source, side)], device, side, keep=keep))
    return report


def own_peers(source: Source, side: int) -> list[Peer]:
    """The course's renderer, and PyTorch's own sampler asked for the same crops."""
    device = source.device
    kind = torch.bfloat16 if device.type == "cuda" else torch.float32
    count = max(1, _PIXELS[device.type] // side**2)
    table = SCHEME.sample(source, max(_TABLE, count)).to(device)
    judged = replace(SCHEME, jitter=0).sample(source, JUDGED).to(device)
    image = (source.image().float() / 255)[None]

    def peer(who: str, what: str, draw: Callable[[Crops], Tensor]) -> Peer:
        def call() -> Tensor:
            return draw(table[torch.randint(len(table), (count,), device=device)])

        return Peer(who, what, count, lambda: call, lambda: judge(source, judged, draw(judged)))

    words = str(kind).removeprefix("torch.")

    def new_table() -> Tensor:
        return render(source, SCHEME.sample(source, count).to(device), side, kind)

    peers = [
        peer("ours", f"from the table, {words}, channels_last", lambda c: render(source, c, side, kind)),
        Peer("ours, and a new table", "as above, with a new table of numbers", count, lambda: new_table),
        peer("plain grid_sample", "one bilinear read of the photograph", lambda c: grid_sample(image, c, side)),
    ]
    if device.type == "cuda":
        peers.insert(1, peer("ours, float32", "as the peers write it", lambda c: render(source, c, side)))
    return peers


def grid_sample(image: Tensor, crops: Crops, side: int) -> Tensor:
    """Crops of an image (1, 3, H, W) in [0, 1] as PyTorch's own sampler reads them, with the same colours."""
    n, size = len(crops), image.new_tensor([image.shape[3], image.shape[2]])
    theta = crops.affine / size[:, None]
    theta = torch.cat([theta[:, :, :2], 2 * theta[:, :, 2:] - 1], 2)
    grid = F.affine_grid(theta, [n, 3, side, side], align_corners=False).view(1, n * side, side, 2)
    planes = F.grid_sample(image, grid, padding_mode="border", align_corners=False)
    pixels = planes.view(3, n, side * side).transpose(0, 1)
    mixed = torch.baddbmm(crops.colour[:, :, 3:], crops.colour[:, :, :3], pixels)
    return mixed.clamp_(0, 1).mul_(2).sub_(1).view(n, 3, side, side)


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
        Peer(pil, what, _PIL * cores, lambda: pil_loader(source, side, _PIL * cores, cores), pil_quality, late=True),
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


def _kornia(side: int) -> nn.Sequential:
    import kornia.augmentation as K

    large = side * 3 // 2  # so that cutting out the middle of a turned crop leaves no empty corner
    return nn.Sequential(
        K.RandomResizedCrop((large, large), scale=_AREA, ratio=_RATIO, cropping_mode="resample"),
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
            T.RandomResizedCrop(side * 3 // 2, scale=_AREA, ratio=_RATIO, antialias=True),
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
