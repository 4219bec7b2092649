"""The libraries that augment pictures, each called in its own best way. A missing one raises ImportError."""

from __future__ import annotations

import math
import multiprocessing
import os
from collections.abc import Callable
from dataclasses import replace
from multiprocessing.context import BaseContext
from typing import Any

import numpy as np
import torch
from PIL import Image
from torch import Tensor

from course_lib.bench.report import Peer
from course_lib.data.crops import Crops, CropScheme
from course_lib.data.quality import exact_crops, psnr
from course_lib.data.sources import Source
from course_lib.pictures.figures import photograph
from course_lib.support.machine import cpu_cores

SCHEME = CropScheme(beta=1e-3)
"""What every peer is asked for; its quality is judged without the colours."""
JUDGED = 60
"""Crops that the quality is measured on."""

_AREA, _RATIO = (SCHEME.beta, 1.0), (SCHEME.gamma, 1 / SCHEME.gamma)
_JITTER = (SCHEME.jitter, SCHEME.jitter, SCHEME.jitter, SCHEME.jitter / 4)
_SLOW, _FAST = 32, 256  # crops a call


def library_peers(source: Source, side: int) -> list[Peer]:
    """Every peer for one side, in pixels."""
    large = side * 3 // 2  # crops are turned at this size, so that cutting out the middle leaves no empty corner
    cores, steps = cpu_cores(), "RandomResizedCrop, RandomRotation, CenterCrop, flip, colour jitter"
    peers = [
        Peer(
            f"kornia, {mode}",
            steps,
            _FAST,
            lambda mode=mode: _kornia(source, side, large, mode, colours=True)[1],
            lambda mode=mode: _judge_kornia(source, side, large, mode),
        )
        for mode in ("slice", "resample")
    ]
    peers.append(
        Peer(
            "torchvision v2, tensors",
            f"{steps}, a crop a call",
            _SLOW,
            lambda: _torchvision(source.image(), side, large),
            lambda: _judge_torchvision(source, source.image(), side, large),
        )
    )
    peers.append(
        Peer(
            f"torchvision on PIL, {cores} workers",
            "the same on PIL images, in DataLoader workers, one a core",
            _SLOW * cores,
            lambda: pil_loader(source, side, _SLOW * cores, cores),
            lambda: _judge_torchvision(source, Image.fromarray(photograph(source)), side, large),
        )
    )
    peers.append(
        Peer(
            "OpenCV",
            "a loop of warpAffine and transform",
            _FAST,
            lambda: _opencv(source, side)[0],
            lambda: _judge_reader(source, _opencv(source, side)[1]),
        )
    )
    peers.append(
        Peer(
            "DALI",
            "warp_affine and color_twist, a pipeline",
            _FAST,
            lambda: _dali(source, side),
            lambda: _judge_dali(source, side),
        )
    )
    return peers


def judge(source: Source, crops: Crops, pixels: Tensor) -> float:
    """Quality in dB of pixels (n, 3, side, side) in [-1, 1] that should be these crops, on whatever device they are."""
    return psnr(pixels.float().cpu(), exact_crops(source.to("cpu"), crops.to("cpu"), pixels.shape[-1]))


def judged_crops(source: Source) -> Crops:
    """The crops that a reader which takes our maps is judged on."""
    return replace(SCHEME, jitter=0).sample(source, JUDGED)


def _judge_reader(source: Source, draw: Callable[[Crops], Tensor]) -> float:
    crops = judged_crops(source)
    return judge(source, crops, draw(crops))


def _from_pixels(maps: Tensor, side: int) -> Crops:
    """Crops from (n, 3, 3) maps of an output pixel's place to a source pixel's, both counted from centres."""
    n = len(maps)
    to_pixel = torch.tensor([[side, 0, (side - 1) / 2], [0, side, (side - 1) / 2], [0, 0, 1.0]])
    affine = (maps.cpu().float() @ to_pixel)[:, :2].clone()
    affine[:, :, 2] += 0.5
    return Crops(torch.zeros(n, dtype=torch.int32), affine, torch.eye(3, 4).expand(n, 3, 4))


def _kornia(source: Source, side: int, large: int, mode: str, colours: bool) -> tuple[Any, Callable[[], Tensor]]:
    import kornia.augmentation as K

    chain = [
        K.RandomResizedCrop((large, large), scale=_AREA, ratio=_RATIO, cropping_mode=mode),
        K.RandomRotation(SCHEME.alpha, p=1.0),
        K.CenterCrop((side, side)),
        K.RandomHorizontalFlip(p=0.5),
    ]
    if colours:
        chain.append(K.ColorJiggle(*_JITTER, p=1.0))
    chain = torch.nn.Sequential(*chain).to(source.device)
    image = (source.image().float() / 255)[None]
    count = _FAST if colours else JUDGED
    return chain, lambda: chain(image.expand(count, -1, -1, -1)).mul(2).sub_(1)


def _judge_kornia(source: Source, side: int, large: int, mode: str) -> float:
    chain, call = _kornia(source, side, large, mode, colours=False)
    pixels, maps = call(), torch.eye(3).expand(JUDGED, 3, 3)
    for step in chain:
        maps = step.transform_matrix.cpu().float() @ maps
    return judge(source, _from_pixels(torch.linalg.inv(maps), side), pixels)


def _transforms(side: int, large: int) -> Callable[[Any], Any]:
    from torchvision.transforms import v2 as T

    return T.Compose(
        [
            T.RandomResizedCrop(large, scale=_AREA, ratio=_RATIO, antialias=True),
            T.RandomRotation(SCHEME.alpha, interpolation=T.InterpolationMode.BILINEAR),
            T.CenterCrop(side),
            T.RandomHorizontalFlip(),
            T.ColorJitter(*_JITTER),
        ]
    )


def _torchvision(image: Tensor, side: int, large: int) -> Callable[[], Tensor]:
    transform, image = _transforms(side, large), image.float() / 255
    return lambda: torch.stack([transform(image) for _ in range(_SLOW)]).mul_(2).sub_(1)


def _judge_torchvision(source: Source, image: Any, side: int, large: int) -> float:
    """The same steps with numbers that we know, since the transforms keep theirs to themselves."""
    from torchvision.transforms.v2 import functional as T

    rng = np.random.default_rng(0)
    width, height = source.sizes[0].tolist()
    pixels, maps = [], []
    for _ in range(JUDGED):
        area, ratio = rng.uniform(SCHEME.beta, 0.5) * width * height, math.exp(rng.uniform(*np.log(_RATIO)))
        w, h = round(math.sqrt(area * ratio)), round(math.sqrt(area / ratio))
        left, top = int(rng.integers(0, width - w + 1)), int(rng.integers(0, height - h + 1))
        angle = rng.uniform(-SCHEME.alpha, SCHEME.alpha)
        crop = T.resized_crop(image, top, left, h, w, [large, large], antialias=True)
        crop = T.center_crop(T.rotate(crop, angle, T.InterpolationMode.BILINEAR), [side, side])
        pixels.append(T.pil_to_tensor(crop) if not isinstance(crop, Tensor) else crop)
        cos, sin, middle = math.cos(math.radians(angle)), math.sin(math.radians(angle)), (large - 1) / 2
        edge = round((large - side) / 2)
        centred = np.array([[1, 0, edge - middle], [0, 1, edge - middle], [0, 0, 1]])
        turned = np.array([[cos, -sin, middle], [sin, cos, middle], [0, 0, 1]])
        x, y = w / large, h / large
        scaled = np.array([[x, 0, (x - 1) / 2 + left], [0, y, (y - 1) / 2 + top], [0, 0, 1]])
        maps.append(scaled @ turned @ centred)
    crops = _from_pixels(torch.from_numpy(np.stack(maps)), side)
    return judge(source, crops, torch.stack(pixels).float() / 127.5 - 1)


class _PilCrops(torch.utils.data.IterableDataset):
    def __init__(self, source: Source, side: int, large: int) -> None:
        self.image, self.transform = Image.fromarray(photograph(source)), _transforms(side, large)

    def __iter__(self) -> Any:
        from torchvision.transforms.v2 import functional as T

        while True:
            yield T.pil_to_tensor(self.transform(self.image))


def _workers_context(device: torch.device) -> BaseContext:
    """How workers are started: as cheaply as may be. A process that has used CUDA must not be forked; there they are
    forks of a server that has imported all they need, once for all of them."""
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
    images, pace = _PilCrops(source.to("cpu"), side, side * 3 // 2), {"num_workers": workers, "prefetch_factor": 1}
    loader = torch.utils.data.DataLoader(images, count // workers, multiprocessing_context=context, **pace)
    batches = iter(loader)
    return lambda: torch.cat([next(batches) for _ in range(workers)]).to(source.device).float().div_(127.5).sub_(1)


def _inverse_maps(crops: Crops, side: int) -> np.ndarray:
    """(n, 2, 3) maps from an output pixel's place to a source pixel's, both counted from centres."""
    affine = crops.affine.cpu().double()
    linear = affine[:, :, :2] / side
    shift = affine[:, :, 2] - linear.sum(2) * (side - 1) / 2 - 0.5
    return torch.cat([linear, shift[:, :, None]], 2).numpy()


def _opencv(source: Source, side: int) -> tuple[Callable[[], Tensor], Callable[[Crops], Tensor]]:
    import cv2

    image, table = photograph(source), SCHEME.sample(source, 4096)
    flags = cv2.INTER_LINEAR | cv2.WARP_INVERSE_MAP

    def draw(crops: Crops) -> Tensor:
        maps, colours = _inverse_maps(crops, side), crops.colour.numpy().copy()
        colours[:, :, 3] *= 255
        out = np.empty((len(crops), side, side, 3), np.uint8)
        for i in range(len(crops)):
            crop = cv2.warpAffine(image, maps[i], (side, side), flags=flags, borderMode=cv2.BORDER_REPLICATE)
            out[i] = cv2.transform(crop, colours[i])
        return torch.from_numpy(out).permute(0, 3, 1, 2).float().div_(127.5).sub_(1)

    return lambda: draw(table[torch.randint(len(table), (_FAST,))]).to(source.device), draw


def _dali_pipeline(source: Source, side: int, count: int, colours: bool, maps: Callable[[], np.ndarray]) -> Any:
    from nvidia.dali import fn, pipeline_def, types

    device = "gpu" if source.device.type == "cuda" else "cpu"
    image = photograph(source)

    @pipeline_def(batch_size=count, num_threads=cpu_cores(), device_id=0 if device == "gpu" else None, seed=1)
    def crops() -> Any:
        matrix = fn.external_source(source=maps, batch=True, dtype=types.FLOAT)
        photograph = types.Constant(image, device=device, layout="HWC")
        out = fn.warp_affine(photograph, matrix=matrix, size=[side, side], interp_type=types.INTERP_LINEAR)
        if colours:
            strength = {name: fn.random.uniform(range=(0.6, 1.4)) for name in ("brightness", "contrast", "saturation")}
            out = fn.color_twist(out, hue=fn.random.uniform(range=(-36.0, 36.0)), **strength)
        scale = {"mean": [127.5] * 3, "std": [127.5] * 3}
        return fn.crop_mirror_normalize(out, dtype=types.FLOAT, output_layout="CHW", **scale)

    pipeline = crops()
    pipeline.build()
    return pipeline


def _dali_maps(crops: Crops, side: int) -> np.ndarray:
    """DALI counts places from the corners of pixels."""
    maps = _inverse_maps(crops, side)
    maps[:, :, 2] += 0.5 - maps[:, :, :2].sum(2) / 2
    return maps.astype(np.float32)


def _dali(source: Source, side: int) -> Callable[[], Any]:
    maps = _dali_maps(SCHEME.sample(source, 4096), side)
    rng = np.random.default_rng(0)
    return _dali_pipeline(source, side, _FAST, True, lambda: maps[rng.integers(0, len(maps), _FAST)]).run


def _judge_dali(source: Source, side: int) -> float:
    def draw(crops: Crops) -> Tensor:
        (out,) = _dali_pipeline(source, side, len(crops), False, lambda: _dali_maps(crops, side)).run()
        on_cpu = out.as_cpu() if source.device.type == "cuda" else out
        return torch.from_numpy(np.stack([np.array(one) for one in on_cpu]))

    return _judge_reader(source, draw)
