"""Which arithmetic trains fastest on this machine: tried on a few steps, once, and remembered.

bfloat16 is several times as fast where the processor multiplies it in hardware, and a loss elsewhere; so is the order
of the channels. The answer is kept in the user's cache, so that one seed gives one network, whatever else runs at the
time.
"""

from __future__ import annotations

import contextlib
import json
import platform
import time
from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path

import torch
from torch import Tensor, nn

from course_lib.networks.trunk import Trunk
from course_lib.support.errors import CourseError
from course_lib.support.files import cache_folder, write_file

_TRIALS = 3  # of each, in turns, after a first to warm up; the shortest counts, so that no other program's load does
_GAIN = 1.1  # by which a choice must be faster than those before it in the list, so that chance never decides
_TRIED = 2  # kernels that cuDNN times for each layer of a trial: each may have to be compiled first
_SLOW = 5  # a choice that takes so many times as long as another is out: bfloat16 where it is emulated
_PIXELS = {"cpu": 1 << 14, "cuda": 1 << 22}  # of a trial's pictures together, at least 8 and at most 1,024 of them


@dataclass(frozen=True)
class Arithmetic:
    """How a training calculates. precision: "float32" or "bfloat16". channels_last: the order in memory."""

    precision: str = "float32"
    channels_last: bool = False

    def __str__(self) -> str:
        return f"{self.precision}, channels {'last' if self.channels_last else 'first'}"

    def prepare(self, module: nn.Module) -> None:
        """Put a module's weights into the order in memory, in place."""
        if self.channels_last:
            module.to(memory_format=torch.channels_last)

    def autocast(self, device: torch.device) -> AbstractContextManager[None]:
        """The context that a loss is calculated in."""
        return torch.autocast(device.type, dtype=torch.bfloat16, enabled=self.precision == "bfloat16")


_known: dict[str, Arithmetic] = {}  # what this process has found

# The simplest first.
CHOICES = (
    Arithmetic(),
    Arithmetic(channels_last=True),
    Arithmetic("bfloat16"),
    Arithmetic("bfloat16", channels_last=True),
)


@contextmanager
def autotuned(most: int = 10) -> Iterator[None]:
    """Let cuDNN time up to `most` kernels for each new shape of a layer, and keep the fastest.

    A training then runs up to three times as fast. But the timing takes seconds, which only a loop that repeats its
    shapes thousands of times pays back; a probe does not.
    """
    cudnn = torch.backends.cudnn
    before = cudnn.benchmark, cudnn.benchmark_limit
    cudnn.benchmark, cudnn.benchmark_limit = True, most
    try:
        yield
    finally:
        cudnn.benchmark, cudnn.benchmark_limit = before


def fastest(device: torch.device, trunk: Trunk) -> Arithmetic:
    """The fastest of CHOICES for a network like this trunk, from the cache or from a trial of some seconds."""
    weights = sum(weight.numel() for weight in trunk.parameters())
    key = f"{_processor(str(device))}, {trunk.side} px, {type(trunk).__name__} of {weights:,} weights"
    if key not in _known:
        path = _remembered()
        known = _read(path)
        if key not in known:
            known = _read(path) | {key: asdict(_choose(trial(device, trunk)))}
            if path:
                _write(path, known)
        _known[key] = Arithmetic(**known[key])
    return _known[key]


def _choose(seconds: dict[Arithmetic, float]) -> Arithmetic:
    """The fastest, and of those that are about as fast the simplest."""
    chosen = CHOICES[0]
    for choice in CHOICES:
        chosen = choice if seconds[chosen] > _GAIN * seconds[choice] else chosen
    return chosen


def trial(device: torch.device, trunk: Trunk) -> dict[Arithmetic, float]:
    """Seconds that a step forward and back takes at its shortest, for each of CHOICES, on new networks of its form.

    The trunk itself may be fed with something other than pictures, as behind a scattering transform, or be frozen.
    """
    count = min(1024, max(8, _PIXELS[device.type] // trunk.side**2))
    with torch.random.fork_rng(devices=[device] if device.type == "cuda" else []), autotuned(_TRIED):
        trunks = {choice: trunk.anew().to(device).train() for choice in CHOICES}
        images = torch.rand(count, trunk.side, trunk.side, 3, device=device).permute(0, 3, 1, 2)  # as crops are
        for choice, one in trunks.items():
            _step(device, one, choice, images)
        shortest = {choice: _step(device, one, choice, images) for choice, one in trunks.items()}
        for _ in range(_TRIALS - 1):
            for choice, one in trunks.items():
                if shortest[choice] <= _SLOW * min(shortest.values()):
                    shortest[choice] = min(shortest[choice], _step(device, one, choice, images))
    return shortest


def _step(device: torch.device, trunk: Trunk, choice: Arithmetic, images: Tensor) -> float:
    """Seconds of one."""
    choice.prepare(trunk)
    _wait(device)
    start = time.perf_counter()
    with choice.autocast(device):
        loss = trunk(images).float().square().mean()
    loss.backward()
    _wait(device)
    return time.perf_counter() - start


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
