"""Which arithmetic trains fastest on this machine: tried on a few steps, once, and remembered.

bfloat16 is several times as fast where the processor multiplies it in hardware, and a loss elsewhere; so is the order
of the channels. The answer is kept in the user's cache, so that one seed gives one network, whatever else runs at the
time.
"""

from __future__ import annotations

import contextlib
import functools
import json
import platform
import time
from contextlib import AbstractContextManager
from dataclasses import asdict, dataclass
from pathlib import Path

import torch
from torch import nn

from course_lib.errors import CourseError
from course_lib.files import cache_folder, write_file
from course_lib.networks import AlexNet

_TRIALS = 4  # of each, in turns; the shortest counts, so that another program's load decides nothing
_GAIN = 1.1  # by which a choice must be faster than those before it in the list, so that chance never decides
_BATCH = {"cpu": 64, "cuda": 1024}


@dataclass(frozen=True)
class Arithmetic:
    """How a training calculates. precision: "float32" or "bfloat16". channels_last: the order in memory."""

    precision: str = "float32"
    channels_last: bool = False

    def __str__(self) -> str:
        return f"{self.precision}, channels {'last' if self.channels_last else 'first'}"

    def prepare(self, module: nn.Module) -> None:
        """Put a module's weights into the order in memory, in place."""
        torch.backends.cudnn.benchmark = True
        if self.channels_last:
            module.to(memory_format=torch.channels_last)

    def autocast(self, device: torch.device) -> AbstractContextManager[None]:
        """The context that a loss is calculated in."""
        return torch.autocast(device.type, dtype=torch.bfloat16, enabled=self.precision == "bfloat16")


# The simplest first.
CHOICES = (
    Arithmetic(),
    Arithmetic(channels_last=True),
    Arithmetic("bfloat16"),
    Arithmetic("bfloat16", channels_last=True),
)


def fastest(device: torch.device, trunk: AlexNet) -> Arithmetic:
    """The fastest of CHOICES for networks of this trunk's size, from the cache or from a trial of about a second.

    Only an AlexNet is tried; any other network takes the last on a GPU, and the first elsewhere.
    """
    if not isinstance(trunk, AlexNet):
        return CHOICES[-1] if device.type == "cuda" else CHOICES[0]
    channels = trunk.conv1[0].out_channels, trunk.conv5[0].out_channels
    return _fastest(str(device), trunk.side, channels)


@functools.cache
def _fastest(device: str, side: int, channels: tuple[int, int]) -> Arithmetic:
    path, key = _remembered(), f"{_processor(device)}, {side} px, {channels[0]} to {channels[1]} channels"
    known = _read(path)
    if key not in known:
        seconds = trial(torch.device(device), side, channels)
        chosen = CHOICES[0]
        for choice in CHOICES:
            chosen = choice if seconds[chosen] > _GAIN * seconds[choice] else chosen
        known = _read(path) | {key: asdict(chosen)}
        if path:
            _write(path, known)
    return Arithmetic(**known[key])


def trial(device: torch.device, side: int, channels: tuple[int, int]) -> dict[Arithmetic, float]:
    """Seconds that a step forward and back takes at its shortest, for each of CHOICES.

    channels: of the first layer and of the last; those between are as in an AlexNet.
    """
    state = torch.get_rng_state()
    width = channels[1] / 256
    trunks = {choice: AlexNet(side, width).to(device) for choice in CHOICES}
    images = torch.rand(_BATCH[device.type], side, side, 3, device=device).permute(0, 3, 1, 2)  # as crops are rendered
    shortest = dict.fromkeys(CHOICES, float("inf"))
    for turn in range(_TRIALS):
        for choice, trunk in trunks.items():
            choice.prepare(trunk)
            _wait(device)
            start = time.perf_counter()
            with choice.autocast(device):
                loss = trunk(images).float().square().mean()
            loss.backward()
            _wait(device)
            if turn:  # the first is to warm up
                shortest[choice] = min(shortest[choice], time.perf_counter() - start)
    torch.set_rng_state(state)
    return shortest


def _wait(device: torch.device) -> None:
    if device.type == "cuda":
        torch.cuda.synchronize(device)


def _processor(device: str) -> str:
    if torch.device(device).type == "cuda":
        return f"{torch.cuda.get_device_name(device)}, torch {torch.__version__}"
    try:
        lines = Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines()
        name = next(line.partition(":")[2].strip() for line in lines if line.startswith("model name"))
    except (OSError, StopIteration):
        name = platform.processor() or platform.machine()
    return f"{name}, {torch.get_num_threads()} threads, torch {torch.__version__}"


def _remembered() -> Path | None:
    try:
        return cache_folder() / "arithmetic.json"
    except CourseError:  # a cache that cannot be written to costs a second, and no more
        return None


def _read(path: Path | None) -> dict[str, dict]:
    try:
        found = json.loads(path.read_text(encoding="utf-8")) if path else {}
        return {key: asdict(Arithmetic(**value)) for key, value in found.items()}
    except (OSError, ValueError, TypeError, AttributeError):  # not there yet, or not whole
        return {}


def _write(path: Path, known: dict[str, dict]) -> None:
    with contextlib.suppress(CourseError):  # a full disk costs the next training a second
        write_file(path, json.dumps(known, indent=1))
