"""What networks are trained on and probed with: crops without labels, and pictures with them."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
import torch
from torch import Tensor

from course_lib.data.crops import Crops, CropScheme
from course_lib.data.render import render
from course_lib.data.sources import Source
from course_lib.support.errors import CourseError
from course_lib.support.machine import memory_left


class CropDataset:
    """d crops of the source images, held as a table of numbers: about 76 bytes a crop and no files.

    source: the images. scheme: the augmentations. d: how many crops, in the paper as many as ImageNet has training
    images. side: pixels. seed: crop i is a pure function of (seed, i), so that any index can be asked for at any time,
    on any machine, and gives the same crop.
    """

    def __init__(
        self, source: Source, scheme: CropScheme | None = None, d: int = 1_281_167, side: int = 32, seed: int = 0
    ) -> None:
        if d < 1:
            raise ValueError(f"d must be at least 1 crop, got {d}")
        self.source, self.side, self.seed = source, side, seed
        self.scheme = scheme or CropScheme()
        self.crops = self.scheme.sample(source, d, seed).to(source.device)

    def __len__(self) -> int:
        return len(self.crops)

    def __getitem__(self, index: int | slice | Tensor) -> Tensor:
        """Pixels of some crops: (n, 3, side, side) in [-1, 1]; an integer gives a batch of one."""
        return self.render(self.crops[index])

    def render(self, crops: Crops, side: int = 0) -> Tensor:
        """Pixels of any crops of this source, turned ones too: (n, 3, side, side) in [-1, 1]. side: 0 is its own."""
        return render(self.source, crops, side or self.side)


@dataclass(frozen=True)
class LabelledImages:
    """Pictures with labels, in a training and a test part.

    name: as in tables. classes: the labels' names. train_images, test_images: (n, 3, side, side) uint8.
    train_labels, test_labels: (n,) int64. note: what a reader of a table must know of it. The pictures may be more than
    memory holds: then they are a file that is read as they are asked for, and must not be written to.
    """

    name: str
    classes: tuple[str, ...]
    train_images: Tensor
    train_labels: Tensor
    test_images: Tensor
    test_labels: Tensor
    note: str = ""

    def __len__(self) -> int:
        return len(self.train_images)

    @property
    def side(self) -> int:
        """Pixels."""
        return self.train_images.shape[-1]

    @property
    def device(self) -> torch.device:
        """Where the labels lie, and where every batch of pictures goes."""
        return self.train_labels.device

    def to(self, device: torch.device | str) -> LabelledImages:
        """The same pictures on a device. Where they would take more than half of what is left there, they stay where
        they are, and only the labels go."""
        parts, device = ["train_labels", "test_labels"], torch.device(device)
        if self.train_images.nbytes + self.test_images.nbytes < memory_left(device) / 2:
            parts += ["train_images", "test_images"]
        return replace(self, **{part: getattr(self, part).to(device) for part in parts})

    def take(self, train: int, test: int, seed: int = 0) -> LabelledImages:
        """A random part: at most `train` and `test` pictures, the same ones for the same seed.

        A part that is asked for whole stays as it is, in its order: it may be larger than memory. Raises CourseError
        for a number below 1.
        """
        if min(train, test) < 1:
            raise CourseError(
                f"at least one picture to train with and one to test with are needed, got {train}, {test}"
            )
        rng = np.random.default_rng(seed)
        chosen = {}
        for part, most in (("train", train), ("test", test)):
            images, labels = getattr(self, f"{part}_images"), getattr(self, f"{part}_labels")
            index = torch.from_numpy(rng.permutation(len(images))[:most])
            if most < len(images):
                chosen[f"{part}_images"] = images[index.to(images.device)]
                chosen[f"{part}_labels"] = labels[index.to(labels.device)]
        return replace(self, **chosen)

    def training_pictures(self, index: Tensor) -> Tensor:
        """Some training pictures as the networks take them, on the device: (n, 3, side, side) in [-1, 1]."""
        return to_float(self.train_images[index.to(self.train_images.device)].to(self.device))


def to_float(images: Tensor) -> Tensor:
    """uint8 pictures as the networks take them: float32 in [-1, 1]."""
    return images.float() / 127.5 - 1
