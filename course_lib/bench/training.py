"""Images a second of a training: the course's loop beside the bare network and the usual practice."""

from __future__ import annotations

import statistics
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from course_lib.bench.crops import SCHEME, pil_loader
from course_lib.bench.report import Peer, Report, Tell, compare, tell, timed
from course_lib.data.datasets import CropDataset
from course_lib.data.loading import load_source
from course_lib.pretext.deepcluster import DeepCluster
from course_lib.pretext.method import Recipe
from course_lib.pretext.rotnet import TURNS, RotNet, four_turns
from course_lib.profiles import PROFILES, Profile
from course_lib.support.machine import cpu_cores, describe_machine
from course_lib.training.arithmetic import Arithmetic, arithmetic_of, autotuned
from course_lib.training.steps import Training

CROPS = {"cpu": 48, "cuda": 256}
"""A step's crops, each in four turns."""

_STEPS = 100_000  # of the recipes, more than are ever run
_WORKERS = 16  # at most, of the DataLoader


def bench_training(device: torch.device, compiled: bool = True, keep: Tell = tell) -> Report:
    """RotNet's step in images a second, at 32 px on a CPU, 128 px on a GPU; and what DeepCluster's grouping costs.

    compiled: on a GPU, also what torch.compile makes of the course's step and of the bare network's.
    """
    on_gpu = device.type == "cuda"
    profile = replace(PROFILES["standard"], side=128) if on_gpu else PROFILES["quick"]
    data = CropDataset(load_source("china").to(device), SCHEME, d=100_000, side=profile.side)
    report = Report(describe_machine())
    peers = training_peers(profile, data, compiled and on_gpu)
    report.extend(compare(peers, device, profile.side, unit="images/s", keep=keep))
    report.rows.append(grouping_row(PROFILES["standard" if on_gpu else "quick"], device))
    keep(report.rows[-1])
    return report


def training_peers(profile: Profile, data: CropDataset, compiled: bool = False) -> list[Peer]:
    """The same network, task, optimiser and batch in every peer; what differs is said. compiled: as `bench_training`
    has it."""
    device = data.source.device
    count, workers = CROPS[device.type], min(_WORKERS, max(2, cpu_cores()))

    def ours(kind: type[RotNet] = RotNet, compiled: bool = False) -> Callable[[], Any]:
        training = Training(kind.build(profile, data).to(device), data, Recipe(_STEPS, count, 0.01), 0, compiled)
        training.method.train()
        return training.step

    plain = f"plain loop, DataLoader with {workers} workers"
    ways = {
        "ours": (f"fit's own step, crops made on the fly, in {arithmetic_of(device)}", ours),
        "ours, compiled": ("by torch.compile", lambda: ours(compiled=True)),
        "ours, one cached batch": ("the same, with the pictures of one batch kept", lambda: ours(_Cached)),
        "bare network": ("nothing but the network, on a constant batch", lambda: _bare(profile, data, count, False)),
        "bare network, compiled": ("by torch.compile", lambda: _bare(profile, data, count, True)),
        plain: ("float32, channels first, crops by torchvision on PIL", lambda: _plain(profile, data, count, workers)),
    }
    chosen = [who for who in ways if compiled or not who.endswith("compiled")]
    late = [plain, *(who for who in ways if who.endswith("compiled"))]
    return [Peer(who, ways[who][0], TURNS * count, ways[who][1], late=who in late) for who in chosen]


def grouping_row(profile: Profile, device: torch.device) -> dict[str, Any]:
    """The share of DeepCluster's time that the feature pass, whitening and k-means take, as a row."""
    recipe = DeepCluster.RECIPES[profile.name]
    data = CropDataset(load_source("china").to(device), d=100_000, side=profile.side)
    torch.manual_seed(0)
    training = Training(DeepCluster.build(profile, data).to(device), data, recipe, 0, False)
    training.method.train()
    training.step()  # groups for the first time, and warms up
    step = statistics.median(timed(training.step, device) for _ in range(8))
    grouping = statistics.median(timed(lambda: training._begin_round(1), device) for _ in range(3))
    share = grouping / (grouping + recipe.round_steps * step)
    what = f"feature pass, whitening and k-means once in {recipe.round_steps} steps of {recipe.batch} crops"
    row = {"who": "DeepCluster's grouping", "what": what, "side": profile.side, "rate": round(100 * share, 1)}
    return row | {"unit": "% of its time", "ratio_to_ours": 1.0, "quality": None}


class _Cached(RotNet):
    """RotNet that renders one batch and keeps it: how fast it would be if crops cost nothing."""

    def views(self, data: CropDataset, index: Tensor) -> tuple[Tensor, Tensor]:
        """The same pictures whatever the index."""
        if not hasattr(self, "kept"):
            self.kept = super().views(data, index)
        return self.kept


def _bare(profile: Profile, data: CropDataset, count: int, compiled: bool) -> Callable[[], None]:
    """The network alone, in the course's arithmetic, on one batch."""
    device = data.source.device
    network, arithmetic = RotNet.build(profile, data).to(device), arithmetic_of(device)
    arithmetic.prepare(network)
    batch = network.views(data, torch.arange(count, device=device))
    return _loop(torch.compile(network) if compiled else network, lambda: batch, arithmetic)


def _plain(profile: Profile, data: CropDataset, count: int, workers: int) -> Callable[[], None]:
    """The usual practice: float32 with channels first, and crops from worker processes."""
    device = data.source.device
    turns = torch.arange(TURNS, device=device).repeat_interleave(count)
    load = pil_loader(data.source, profile.side, count, workers)
    network = RotNet.build(profile, data).to(device)
    return _loop(network, lambda: (four_turns(load()), turns), Arithmetic())


def _loop(network: nn.Module, batch: Callable[[], tuple[Tensor, Tensor]], arithmetic: Arithmetic) -> Callable[[], None]:
    fused = arithmetic != Arithmetic()
    optimiser = torch.optim.SGD(network.parameters(), 0.01, 0.9, weight_decay=5e-4, nesterov=True, fused=fused)

    @autotuned()
    def step() -> None:
        images, turns = batch()
        with arithmetic.autocast(images.device):
            loss = F.cross_entropy(network(images), turns)
        optimiser.zero_grad(set_to_none=True)
        loss.backward()
        optimiser.step()

    return step
