"""Pictures with labels to probe with: `photos10` (bundled), `cifar10`, `cifar100`, or any folder."""

from __future__ import annotations

import contextlib
import hashlib
import os
import warnings
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor
from tqdm import tqdm

from course_lib.data.crops import CropScheme
from course_lib.data.datasets import LabelledImages
from course_lib.data.images import (
    TASK_PHOTOGRAPHS,
    is_picture,
    read_image,
    read_photograph,
    to_grey,
    warn_of_left_out,
)
from course_lib.data.render import render
from course_lib.data.sources import Source, shrink
from course_lib.support.errors import CourseError
from course_lib.support.files import cache_folder, download, is_left_behind, new_file
from course_lib.support.machine import release_memory

_PATIENCE = 5  # seconds of decoding before a bar is shown


def photos10(side: int = 32, train: int = 6_000, test: int = 4_000) -> LabelledImages:
    """From which of ten bundled photographs, in grey, is this crop?

    A stand-in that needs no download: training crops come from the left halves of the photographs and test crops
    from the right halves, and none of the ten is ever a source for training without labels. Brightness and contrast
    vary, so that the mean grey gives little away.
    """
    photographs = [shrink(read_photograph(name), 512) for name in TASK_PHOTOGRAPHS]
    parts = {}
    for part, count in (("train", train), ("test", test)):
        halves = Source.from_images([_half(photograph, part) for photograph in photographs], part)
        images = _grey_crops(halves, side, count)
        parts |= {f"{part}_images": images, f"{part}_labels": torch.arange(count) % len(photographs)}
    release_memory()
    note = "a stand-in made of ten bundled photographs, in grey; train and test come from different halves"
    return LabelledImages("photos10", TASK_PHOTOGRAPHS, **parts, note=note)


def _half(photograph: Tensor, part: str) -> Tensor:
    middle = photograph.shape[2] // 2
    return photograph[:, :, :middle] if part == "train" else photograph[:, :, -middle:]


def _grey_crops(halves: Source, side: int, count: int) -> Tensor:
    """(count, 3, side, side) uint8, in the order of the classes."""
    crops = CropScheme(beta=0.01).sample(halves, count)
    batches = (to_grey(render(halves, crops[i : i + 200], side)) for i in range(0, count, 200))
    grey = torch.cat([((batch + 1) * 127.5).round().to(torch.uint8) for batch in batches])
    return grey[:, None].expand(-1, 3, -1, -1).contiguous()


CIFAR = ("cifar10", "cifar100")
"""Krizhevsky 2009."""


def cifar(name: str, side: int = 32) -> LabelledImages:
    """CIFAR-10 or CIFAR-100, fetched once into the cache folder and checked there by torchvision's address and hash."""
    from torchvision import datasets

    root, loader = cache_folder(), datasets.CIFAR10 if name == "cifar10" else datasets.CIFAR100
    download(loader.url, root / loader.filename, f"md5:{loader.tgz_md5}")
    parts = {}
    for part in ("train", "test"):
        # torchvision finds the archive where it would have put it, and only unpacks it.
        found = loader(str(root), train=part == "train", download=True)
        images = torch.from_numpy(found.data).permute(0, 3, 1, 2).contiguous()
        parts |= {f"{part}_images": resize(images, side), f"{part}_labels": torch.tensor(found.targets)}
    return LabelledImages(name, tuple(found.classes), **parts)


def labelled_folder(root: Path, side: int = 32) -> LabelledImages:
    """A tree of pictures, root/train/CLASS/*.jpg and root/test/CLASS/*.jpg (or val/), as torchvision's ImageFolder.

    Decoded once, picture by picture, into a file in the cache folder, which is then read as it is asked for: a set
    takes room on the disk, not in memory. It is kept under the paths, sizes and times of all pictures. Those that
    cannot be read are left out, and a warning counts them; another counts test pictures that are training pictures too.
    Raises CourseError for another layout, and for less than two classes.
    """
    test = next((part for part in ("test", "val") if (root / part).is_dir()), None)
    if test is None or not (root / "train").is_dir():
        raise CourseError(f"{root} must hold a folder train/ and a folder test/ or val/, each with one folder a class")
    classes, train_files = _list_classes(root / "train")
    test_classes, test_files = _list_classes(root / test)
    if classes != test_classes:
        raise CourseError(f"{root}: train/ has the classes {classes}, {test}/ has {test_classes}; make them the same")
    if len(classes) < 2:
        raise CourseError(f"{root}/train has one class, {classes[0]}, and there is nothing to tell apart; add another")
    parts, prints = {}, {}
    for part, files in (("train", train_files), ("test", test_files)):
        parts[f"{part}_images"], parts[f"{part}_labels"], prints[part] = _decoded(files, side)
    data = LabelledImages(f"folder:{root.name}", classes, **parts)
    if shared := int(np.isin(prints["test"], prints["train"]).sum()):
        total = len(data.test_images)
        words = f"{shared} of {total} test pictures of {root.name} are training pictures too: the accuracy is too good"
        warnings.warn(f"{words}; take them out of one of the two", stacklevel=3)
    return data


def _list_classes(folder: Path) -> tuple[tuple[str, ...], list[tuple[str, int]]]:
    """The classes, a folder each, and all pictures below them with their classes' numbers, by path.

    Not torchvision's ImageFolder: it takes hidden folders for classes, and counts a folder again for every link that
    leads to it.
    """
    classes = tuple(sorted(one.name for one in folder.iterdir() if one.is_dir() and not is_left_behind(one.name)))
    if not classes:
        raise CourseError(f"{folder} has no pictures in folders; put them into folders, one a class")
    seen = set(map(_identity, (folder.parent, folder, *(folder / name for name in classes))))
    files = []
    for label, name in enumerate(classes):
        found = [(path, label) for path in sorted(_pictures_below(folder / name, seen))]
        if not found:
            raise CourseError(f"{folder / name} holds no pictures; put some into it, or take it out")
        files += found
    return classes, files


def _pictures_below(folder: Path, seen: set[tuple[int, int]]) -> Iterator[str]:
    """The pictures in a folder and in those below it, links included. seen: folders, which are not entered again."""
    for root, folders, names in os.walk(folder, followlinks=True):
        folders[:] = [name for name in folders if not is_left_behind(name) and _identity(Path(root, name)) not in seen]
        seen.update(_identity(Path(root, name)) for name in folders)
        yield from (str(Path(root, name)) for name in names if is_picture(name))


def _identity(folder: Path) -> tuple[int, int]:
    """What a folder is known by, whichever way leads to it."""
    status = folder.stat()
    return status.st_dev, status.st_ino


def _decoded(files: list[tuple[str, int]], side: int) -> tuple[Tensor, Tensor, np.ndarray]:
    """The pictures (n, 3, side, side) uint8, their labels (n,) and fingerprints (n,), from the cache where they are
    there."""
    facts = [(str(Path(path).resolve()), label, *_size_and_time(Path(path))) for path, label in files]
    kept = cache_folder() / f"folder-{hashlib.sha256(repr((side, facts)).encode()).hexdigest()[:16]}.pixels"
    labels_file = kept.with_suffix(".labels.npy")
    if kept.exists() and labels_file.exists():
        with contextlib.suppress(ValueError, OSError, EOFError):  # a damaged file is decoded again
            return _opened(kept, labels_file, side)
    _decode(files, side, kept, labels_file)
    return _opened(kept, labels_file, side)


def _opened(kept: Path, labels_file: Path, side: int) -> tuple[Tensor, Tensor, np.ndarray]:
    columns = np.load(labels_file)
    images = np.memmap(kept, np.uint8, "r", shape=(len(columns), 3, side, side))  # ValueError where it is shorter
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", UserWarning)  # that it must not be written to, which nobody does
        return torch.from_numpy(images), torch.from_numpy(columns[:, 0].copy()), columns[:, 1]


def _decode(files: list[tuple[str, int]], side: int, kept: Path, labels_file: Path) -> None:
    """Write the pictures into a file, one at a time, and labels and fingerprints into another beside it."""
    rows, broken = [], []
    with new_file(kept) as file:
        for path, label in tqdm(files, desc="decoding pictures", delay=_PATIENCE, mininterval=2, leave=False):
            try:
                pixels = resize(read_image(path, shortest_side=1)[None], side).numpy().tobytes()
            except CourseError as error:
                broken.append(error)
            else:
                file.write(pixels)
                rows.append((label, int.from_bytes(hashlib.sha256(pixels).digest()[:8], "little", signed=True)))
        if not rows:
            raise CourseError(f"none of the {len(files)} pictures could be read; the first: {broken[0]}")
    warn_of_left_out(broken, len(files))
    with new_file(labels_file) as file:
        np.save(file, np.array(rows, dtype=np.int64))


def _size_and_time(path: Path) -> tuple[int, int]:
    """Bytes and time of change; (0, 0) for a link that leads nowhere, which is then left out as unreadable."""
    if not path.exists():
        return 0, 0
    return path.stat().st_size, path.stat().st_mtime_ns


def resize(images: Tensor, side: int) -> Tensor:
    """(n, 3, H, W) uint8 to (n, 3, side, side): the short side resized, the centre square kept."""
    height, width = images.shape[2:]
    if (height, width) == (side, side):
        return images
    scale = side / min(height, width)
    size = [max(side, round(height * scale)), max(side, round(width * scale))]
    images = F.interpolate(images, size=size, mode="bilinear", antialias=True)
    top, left = (size[0] - side) // 2, (size[1] - side) // 2
    return images[:, :, top : top + side, left : left + side].contiguous()
