"""Crops a second: the course's renderer beside the libraries that augment pictures, on the same source.

Every call makes crops with parameters of their own: area in [0.001, 1], ratio in [3/4, 4/3], a turn of up to 35
degrees, a flip, brightness, contrast, saturation and hue; and leaves (n, 3, side, side) numbers in [-1, 1]. Quality is
measured without the colours, against exact area sampling.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace

import torch
import torch.nn.functional as F
from torch import Tensor

from course_lib.bench.peers import JUDGED, SCHEME, judge, library_peers
from course_lib.bench.report import Peer, Report, compare, timed
from course_lib.data.crops import Crops
from course_lib.data.render import render
from course_lib.data.sources import Source, generate
from course_lib.support.machine import describe_machine

_TABLE = 1 << 17
_PIXELS = {"cpu": 1 << 18, "cuda": 1 << 26}  # a call: enough to keep the device busy


def bench_crops(device: torch.device, sides: Sequence[int]) -> Report:
    """All peers at each side, in pixels."""
    source = Source.from_images([generate("dead_leaves", 1600, 1200)], "dead leaves, 1600 x 1200").to(device)
    fill = fill_bandwidth(device) if device.type == "cuda" else 0.0
    report = Report(describe_machine() | {"source": source.name} | ({"fill_bytes_a_second": fill} if fill else {}))
    for side in sides:
        report.extend(compare([*own_peers(source, side), *library_peers(source, side)], device, side, fill))
    return report


def own_peers(source: Source, side: int) -> list[Peer]:
    """The course's renderer, and PyTorch's own sampler asked for the same crops."""
    device = source.device
    kind = torch.bfloat16 if device.type == "cuda" else torch.float32
    count = max(1, _PIXELS[device.type] // side**2)
    table = SCHEME.sample(source, max(_TABLE, count)).to(device)
    judged = replace(SCHEME, jitter=0).sample(source, JUDGED).to(device)
    image = (source.image().float() / 255)[None]

    def peer(who: str, what: str, draw: Callable[[Crops], Tensor], kind: torch.dtype = torch.float32) -> Peer:
        def call() -> Tensor:
            return draw(table[torch.randint(len(table), (count,), device=device)])

        written = count * 3 * side**2 * kind.itemsize
        return Peer(who, what, count, lambda: call, lambda: judge(source, judged, draw(judged)), written)

    words = str(kind).removeprefix("torch.")

    def new_table() -> Tensor:
        return render(source, SCHEME.sample(source, count).to(device), side, kind)

    peers = [
        peer("ours", f"from the table, {words}, channels_last", lambda c: render(source, c, side, kind), kind),
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


def fill_bandwidth(device: torch.device, size: int = 1 << 30) -> float:
    """Bytes a second at which the device fills memory, the median of 25: what no renderer can pass."""
    memory = torch.empty(size, dtype=torch.uint8, device=device)
    seconds = sorted(timed(lambda: memory.fill_(1), device) for _ in range(25))
    return size / seconds[12]
