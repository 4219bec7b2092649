"""How a training calculates: bfloat16 where the hardware has it, else float32, so that one seed gives one network.

A rule and no trial: what a machine happens to be busy with must not choose a network. bfloat16 is several times as fast
where the hardware multiplies it, and a loss where it is emulated. The channels come last, as crops are rendered.
"""

from __future__ import annotations

import functools
import re
from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass
from pathlib import Path

import torch
from torch import nn

_CPUINFO = Path("/proc/cpuinfo")
_HAS_BFLOAT16 = re.compile(r"^(?:flags|Features)\s*:.*\b(?:amx_bf16|avx512_bf16|bf16)\b", re.MULTILINE)
_AMPERE = (8, 0)  # the first of NVIDIA's compute capabilities that multiplies bfloat16


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


def arithmetic_of(device: torch.device) -> Arithmetic:
    """The arithmetic of every training on this device."""
    if device.type == "cuda":
        has_bfloat16 = torch.cuda.get_device_capability(device) >= _AMPERE
    else:
        has_bfloat16 = _processor_has_bfloat16()
    return Arithmetic("bfloat16" if has_bfloat16 else "float32", channels_last=True)


@functools.cache
def _processor_has_bfloat16() -> bool:
    """By what Linux says of the processor; elsewhere nobody is asked, and it is float32."""
    try:
        return bool(_HAS_BFLOAT16.search(_CPUINFO.read_text(encoding="utf-8")))
    except OSError:
        return False


@contextmanager
def autotuned() -> Iterator[None]:
    """Let cuDNN time its kernels for each new shape of a layer, and keep the fastest.

    A training then runs up to three times as fast. But the timing takes seconds, which only a loop that repeats its
    shapes thousands of times pays back; a probe does not.
    """
    cudnn = torch.backends.cudnn
    before = cudnn.benchmark, cudnn.benchmark_limit
    cudnn.benchmark, cudnn.benchmark_limit = True, 10
    try:
        yield
    finally:
        cudnn.benchmark, cudnn.benchmark_limit = before
