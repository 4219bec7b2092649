"""DeepCluster: group the crops by the network's own features, then teach the network to name the group.

Caron, Bojanowski, Joulin and Douze, "Deep clustering for unsupervised learning of visual features", ECCV 2018.
Taught in notebook 03.
"""

from __future__ import annotations

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from course_lib.data.crops import CropScheme
from course_lib.data.datasets import CropDataset
from course_lib.networks.alexnet import head
from course_lib.networks.trunk import Trunk
from course_lib.pretext.clustering import kmeans, nmi, whiten
from course_lib.pretext.method import NOISE, Batch, Method, Recipe, Shown
from course_lib.profiles import Profile
from course_lib.support import distributed

VIEW = CropScheme(beta=0.08, gamma=3 / 4, alpha=0, flip=0.5, jitter=0)
"""How a crop is cropped once more to be trained on: the random resized crop of the original."""

CLUSTERS = {"quick": 100, "standard": 1_000, "paper": 10_000}
"""k at each profile; the original's on ImageNet is 10,000."""

GROUPED = {"quick": 6_000, "standard": 100_000, "paper": 1_281_167}
"""Crops at most that are grouped and trained on. Every one of them passes through the network once a round."""

_AT_ONCE = {"cpu": 200, "cuda": 2_000}
"""Crops that pass through the network together: a GPU is not kept busy by few."""


class DeepCluster(Method):
    """A trunk, and a head that names the group of a crop; k-means finds new groups every round.

    groups: k. grouped: how many crops of the data are used. labels: (grouped,) the group of each crop. counts:
    (groups,) crops in each. reach: (grouped,) the chances of the crops up to each, summed. agreement: (rounds,) the
    normalised mutual information of a round's groups with those of the round before; nan for the first. filled:
    (rounds,) the groups that are not empty.
    """

    # At `paper` as the original: constant rate, small decay, batches of 256, 200 passes, new groups in each.
    RECIPES = {
        "quick": Recipe(steps=210, batch=128, learning_rate=0.03, rounds=3),
        "standard": Recipe(steps=4_000, batch=1_024, learning_rate=0.1, rounds=20),
        "paper": Recipe(1_000_800, 256, 0.05, weight_decay=1e-5, schedule="constant", rounds=200),
    }

    def __init__(self, trunk: Trunk, groups: int, grouped: int, rounds: int, hidden: int = 4096) -> None:
        super().__init__()
        self.trunk = trunk
        self.head = head(trunk.out_features, groups, hidden)
        self.groups, self.grouped = groups, grouped
        self.register_buffer("labels", torch.full((grouped,), -1))
        self.register_buffer("counts", torch.zeros(groups, dtype=torch.int64))
        self.register_buffer("reach", torch.zeros(grouped, dtype=torch.float64))
        self.register_buffer("agreement", torch.full((rounds,), torch.nan))
        self.register_buffer("filled", torch.zeros(rounds, dtype=torch.int64))

    @classmethod
    def build(cls, profile: Profile, data: CropDataset) -> DeepCluster:
        """DeepCluster at a profile's sizes."""
        grouped = min(GROUPED[profile.name], len(data))
        rounds = cls.RECIPES[profile.name].rounds
        # conv1 at its usual size: made small, it settles for a few colours, since colour is what the groups share.
        return cls(profile.trunk(first=1.0), min(CLUSTERS[profile.name], grouped), grouped, rounds, profile.hidden)

    def forward(self, images: Tensor) -> Tensor:
        """Logits of the groups: (n, groups) for images (n, 3, side, side) in [-1, 1]."""
        return self.head(self.trunk(images))

    def features(self, images: Tensor) -> Tensor:
        """What is grouped, (n, hidden): the head's last hidden layer, before its ReLU (section 3.2)."""
        return self.head[:-2](self.trunk(images))

    @torch.no_grad()
    def begin_round(self, data: CropDataset, seed: int, number: int) -> list[nn.Parameter]:
        """Group the crops by their features, and draw the head's last layer again: the groups' numbers mean nothing."""
        start, stop = distributed.share(self.grouped)
        at_once = _AT_ONCE[self.labels.device.type]
        parts = [self.features(data[i : min(i + at_once, stop)]).float() for i in range(start, stop, at_once)]
        found = kmeans(whiten(torch.cat(parts)), self.groups, seed=seed + number)
        labels = distributed.gather(found.labels, self.grouped)
        if number:
            self.agreement[number] = nmi(labels, self.labels)
        self.set_labels(labels)
        self.filled[number] = (self.counts > 0).sum()
        top, draws = self.head[-1], torch.Generator().manual_seed(seed + number)
        top.weight.copy_(0.01 * torch.randn(top.weight.shape, generator=draws))
        nn.init.zeros_(top.bias)
        return [top.weight, top.bias]

    def set_labels(self, labels: Tensor) -> None:
        """Take these groups (grouped,) to train on."""
        self.labels.copy_(labels)
        self.counts.copy_(torch.bincount(self.labels, minlength=self.groups))
        self.reach.copy_(balanced(self.labels).cumsum(0))

    def draw(self, total: int, count: int, seed: int, step: int) -> Tensor:
        """Crops (count,) so that every group that has any is as likely as every other (UnifLabelSampler there).

        Without that the largest group would be the best answer to everything.
        """
        u = torch.from_numpy(np.random.default_rng((seed, step)).random(count)).to(self.reach.device)
        return torch.searchsorted(self.reach, u * self.reach[-1], right=True).clamp(max=self.grouped - 1)

    def loss(self, data: CropDataset, batch: Batch) -> tuple[Tensor, Tensor]:
        """Cross-entropy of the groups, and the accuracy, on another random part of each crop."""
        views = VIEW.sample_within(data.crops[batch.index], batch.seed + NOISE, batch.first)
        labels = self.labels[batch.index]
        logits = self(data.render(views))
        return F.cross_entropy(logits, labels), (logits.argmax(1) == labels).float().mean()

    def shown(self, data: CropDataset) -> Shown | None:
        """Twelve crops of each of the three largest groups."""
        if self.labels[0] < 0:
            return None
        largest = self.counts.topk(3).indices.tolist()
        members = [(self.labels == group).nonzero()[:12, 0] for group in largest]
        if any(len(some) < 12 for some in members):
            return None
        images = torch.cat([data[some] for some in members])
        return Shown(images, 12, tuple(f"group {group}" for group in largest))


def balanced(labels: Tensor) -> Tensor:
    """The chance of each crop (n,) float64, in sum 1, by which all groups that have any are drawn equally often.

    labels: (n,) the group of each crop. Taught in notebook 03.
    """
    counts = torch.bincount(labels)
    return 1 / ((counts > 0).sum() * counts[labels]).double()


METHOD = DeepCluster
