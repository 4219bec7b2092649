"""Several processes that train one network: on the GPUs of a machine, or of many.

The engine is PyTorch's own. Whatever starts the processes and tells each its place in the usual environment variables
will do: `torchrun`, `accelerate launch`, or accelerate's `notebook_launcher`. Every process then runs the same code.
"""

from __future__ import annotations

import atexit
import os

import torch
import torch.distributed as dist
from torch import Tensor, nn


def join() -> None:
    """Join the other processes, where a launcher started some; alone, and the second time, it does nothing."""
    if int(os.environ.get("WORLD_SIZE", "1")) > 1 and not dist.is_initialized():
        if torch.cuda.is_available():
            torch.cuda.set_device(int(os.environ.get("LOCAL_RANK", "0")))
        dist.init_process_group("nccl" if torch.cuda.is_available() else "gloo")
        atexit.register(dist.destroy_process_group)


def size() -> int:
    """How many processes train together; 1 for one alone."""
    return dist.get_world_size() if dist.is_initialized() else 1


def rank() -> int:
    """This process's place among them, from 0."""
    return dist.get_rank() if dist.is_initialized() else 0


def share(total: int) -> tuple[int, int]:
    """This process's part of `total` things, from the first number to before the second; parts follow each other."""
    return rank() * total // size(), (rank() + 1) * total // size()


def all_sum(values: Tensor) -> Tensor:
    """The sum over all processes; in place where there is more than one."""
    if size() > 1:
        dist.all_reduce(values)
    return values


def gather(part: Tensor, total: int) -> Tensor:
    """The parts (n, ...) of all processes, as `share` divides `total` things, one after another."""
    if size() == 1:
        return part
    whole = part.new_zeros(total, *part.shape[1:])
    start, stop = share(total)
    whole[start:stop] = part
    return all_sum(whole)


def wait_for_all() -> None:
    """Go on only when every process has come this far; alone, it does nothing.

    Never at the end of a process: one that failed would wait there for others that wait for it.
    """
    if size() > 1:
        dist.barrier()


def from_first(content: bytes | None) -> bytes | None:
    """What the first process has, in all of them: nobody else need see its disk."""
    if size() == 1:
        return content
    given = [content]
    dist.broadcast_object_list(given, 0)
    return given[0]


class _AllSum(torch.autograd.Function):
    """The sum over all processes, whose gradient is summed over them too."""

    @staticmethod
    def forward(_: object, values: Tensor) -> Tensor:
        return all_sum(values.clone())

    @staticmethod
    def backward(_: object, gradient: Tensor) -> Tensor:
        return all_sum(gradient.clone())


class SyncedBatchNorm(nn.modules.batchnorm._BatchNorm):
    """BatchNorm over the batches of all processes. PyTorch's own SyncBatchNorm does this on GPUs alone."""

    def _check_input_dim(self, x: Tensor) -> None:
        """Any number of dimensions will do."""

    def forward(self, x: Tensor) -> Tensor:
        """Normalise (n, channels, ...) by the mean and variance over all processes."""
        if not self.training:
            return super().forward(x)
        dims = [d for d in range(x.dim()) if d != 1]
        count = x.numel() / x.shape[1]
        own = torch.cat([x.float().sum(dims), x.float().square().sum(dims), x.new_tensor([count], dtype=torch.float32)])
        total, squares, n = _AllSum.apply(own).split([x.shape[1], x.shape[1], 1])
        mean, variance = total / n, squares / n - (total / n).square()
        with torch.no_grad():
            self.num_batches_tracked += 1
            share = 1 / int(self.num_batches_tracked) if self.momentum is None else self.momentum
            self.running_mean.lerp_(mean.detach(), share)
            self.running_var.lerp_(variance.detach() * n / (n - 1), share)
        shape = [1, -1] + [1] * (x.dim() - 2)
        gain, offset = (variance + self.eps).rsqrt(), 0.0
        if self.affine:
            gain, offset = gain * self.weight, self.bias
        return (x.float() * gain.view(shape) + (offset - mean * gain).view(shape)).to(x.dtype)


def sync_batchnorm(module: nn.Module) -> None:
    """Let every BatchNorm inside see the batches of all processes, as if there were one: in place, weights kept."""
    for name, child in module.named_children():
        if isinstance(child, nn.modules.batchnorm._BatchNorm) and not isinstance(child, SyncedBatchNorm):
            kind = nn.SyncBatchNorm if child.running_mean.device.type == "cuda" else SyncedBatchNorm
            synced = kind(child.num_features, child.eps, child.momentum, child.affine)
            synced.__dict__.update({k: child.__dict__[k] for k in ("_parameters", "_buffers", "training")})
            setattr(module, name, synced)
        else:
            sync_batchnorm(child)
