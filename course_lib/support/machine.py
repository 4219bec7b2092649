"""What the course runs on: the machine, in words and numbers, and whether somebody is looking."""

from __future__ import annotations

import contextlib
import ctypes
import os
import platform
import shutil
from typing import Any

import psutil
import torch

_LEAST_MEMORY = 1.5e9  # bytes free: a notebook takes up to 1.2 GB, and the browser something too
_LEAST_DISK = 1e9


def this_device() -> torch.device:
    """The GPU where there is one, else the CPU."""
    return torch.device("cuda" if torch.cuda.is_available() else "cpu")


def describe_device(device: torch.device) -> str:
    """The device in words: `2 CPU cores`, or the name of the GPU."""
    return torch.cuda.get_device_name(device) if device.type == "cuda" else f"{cpu_cores()} CPU cores"


def cpu_cores() -> int:
    """The processors that this process may use, which in a container are fewer than the machine has."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def describe_machine() -> dict[str, Any]:
    """What a number was measured on."""
    return {
        "device": describe_device(this_device()),
        "processor": platform.machine(),
        "system": platform.system(),
        "python": platform.python_version(),
        "torch": torch.__version__,
    }


def check_machine() -> list[dict[str, str]]:
    """Whether the course will run here: what was looked at, what was found, and advice, empty where all is well."""
    free, disk, device = memory_left(), shutil.disk_usage(".").free, this_device()
    gpu = "" if device.type == "cuda" else "fine for quick; standard needs a GPU"
    lines = [
        ("Python", platform.python_version(), ""),
        ("torch", torch.__version__, ""),
        ("device", describe_device(device), gpu),
        ("free memory", f"{free / 1e9:.1f} GB", "" if free > _LEAST_MEMORY else "shut down other kernels first"),
        ("free disk", f"{disk / 1e9:.1f} GB", "" if disk > _LEAST_DISK else "free some space"),
    ]
    return [dict(zip(("what", "found", "advice"), line)) for line in lines]


def has_front_end() -> bool:
    """Whether somebody may be looking at a growing picture: in a notebook, unless COURSE_LIVE=0 (as `run` sets)."""
    try:
        from IPython import get_ipython
    except ImportError:
        return False
    return os.environ.get("COURSE_LIVE") != "0" and getattr(get_ipython(), "kernel", None) is not None


def memory_used() -> int:
    """Bytes that this process takes: of the GPU's memory where it has one, else of the machine's."""
    if torch.cuda.is_available():
        return torch.cuda.memory_reserved()
    return psutil.Process().memory_info().rss


def release_memory() -> None:
    """Give freed memory back to the system, after a step that used a lot of it.

    glibc keeps what torch has freed, about a tenth of a gigabyte after a training; on Binder that matters.
    """
    with contextlib.suppress(OSError, AttributeError):  # not every system has glibc
        ctypes.CDLL("libc.so.6").malloc_trim(0)


def memory_left(device: torch.device | None = None) -> int:
    """Bytes that this process can still take: the GPU's if `device` is one, else the machine's, or what a container's
    limit leaves (as on Binder)."""
    if device is not None and device.type == "cuda":
        unused = torch.cuda.memory_reserved(device) - torch.cuda.memory_allocated(device)
        return torch.cuda.mem_get_info(device)[0] + unused
    left = psutil.virtual_memory().available
    limit = os.environ.get("MEM_LIMIT", "")  # set by JupyterHub, and so by Binder
    return min(left, int(limit) - psutil.Process().memory_info().rss) if limit.isdigit() else left
