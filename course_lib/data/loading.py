"""Any source and any labelled set by its name, as the notebooks' parameters SOURCE and DATA give it."""

from __future__ import annotations

import warnings
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from torch import Tensor

from course_lib.data.datasets import LabelledImages
from course_lib.data.images import (
    PHOTOGRAPHS,
    SOURCE_PHOTOGRAPHS,
    list_images,
    read_image,
    read_photograph,
    warn_of_left_out,
)
from course_lib.data.labelled import CIFAR, cifar, labelled_folder, photos10
from course_lib.data.sources import GENERATED, Source, generate, shrink
from course_lib.support.errors import CourseError, unknown
from course_lib.support.files import user_path


def load_source(name: str, n: int = 1, seed: int = 0) -> Source:
    """The source that a notebook's parameters SOURCE and N name.

    name: a bundled photograph (`china`), a generated image (`dead_leaves`, `noise`, `flat`), a picture file, a folder
        of pictures, or `set:NAME`, the training pictures of a labelled set (`set:cifar10`) without their labels. Of a
        folder and of a set, `n` are drawn by `seed`; 0 takes all.
    Raises CourseError for a name that is none of these and for a folder with fewer than n pictures.
    """
    if n < 0:
        raise CourseError(f"N must be a whole number of 0 or more, and 0 takes all pictures; got {n}")
    path = user_path(name)
    label = path.name
    if name in SOURCE_PHOTOGRAPHS:
        images = [read_photograph(name)]
    elif name in GENERATED:
        if not n:
            raise CourseError(f"{name} is made as often as N says, and there is no last one; give N = 1 or more")
        images = [generate(name, seed=seed + i) for i in range(n)]
    elif name.startswith("set:"):
        labelled = load_labelled(name.removeprefix("set:"))
        images, label = _draw(labelled.train_images, name, n, seed), labelled.name
    elif path.is_dir():
        images = _read_some(path, n, seed)
    elif path.is_file():
        images = [read_image(path)]
    else:
        known = ", ".join((*SOURCE_PHOTOGRAPHS, *GENERATED, "set:cifar10"))
        raise CourseError(f"no source is called {name!r}; give one of {known}, or the path of a picture or a folder")
    if n and len(images) != n:
        raise CourseError(f"{name!r} is one image but N = {n} were asked for; give a folder of at least {n} pictures")
    return Source.from_images([shrink(image) for image in images], label)


def _draw(pictures: Sequence[Any], name: str, n: int, seed: int) -> list[Any]:
    """`n` of the pictures or paths, in their order; 0 takes all."""
    _need(n, len(pictures), name)
    chosen = np.random.default_rng(seed).permutation(len(pictures))[: n or len(pictures)]
    return [pictures[i] for i in sorted(chosen)]


def _need(n: int, found: int, name: str) -> None:
    if n > found:
        raise CourseError(f"{name} holds {found} pictures but N = {n} were asked for; add more or lower N")


def _read_some(folder: Path, n: int, seed: int) -> list[Tensor]:
    """`n` pictures of a folder, drawn as `_draw` draws them; 0 takes all. Those that cannot be read or are too small
    are left out, and the next takes their place; a warning counts them."""
    paths, found, broken = list_images(folder), {}, []
    for i in np.random.default_rng(seed).permutation(len(paths)):
        if n and len(found) == n:
            break
        try:
            found[i] = shrink(read_image(paths[i]))  # at once: a thousand at their full size are more than memory
        except CourseError as error:
            broken.append(error)
    if broken and not found:
        raise CourseError(f"none of the {len(broken)} pictures in {folder} can be used; the first: {broken[0]}")
    warn_of_left_out(broken, len(paths))
    _need(n, len(found), str(folder))
    return [found[i] for i in sorted(found)]


def load_labelled(name: str, side: int = 32) -> LabelledImages:
    """The labelled set that a notebook's parameter DATA names: `photos10`, `cifar10`, `cifar100` or `folder:PATH`.

    side: pixels; pictures of another size are resized on their short side and cut to the centre square.
    Raises CourseError for another name and for a folder that is not laid out as it must be. Where CIFAR has to be
    fetched and there is no network, a warning says so and photos10 is given instead.
    """
    if name == "photos10":
        return photos10(side)
    if name in CIFAR:
        try:
            return cifar(name, side)
        except CourseError as error:
            warnings.warn(f"{error}. Going on with photos10, which needs no download.", stacklevel=2)
            return photos10(side)
    if name.startswith("folder:"):
        return labelled_folder(user_path(name.removeprefix("folder:")), side)
    raise unknown("labelled data set", name, ("photos10", *CIFAR, "folder:PATH"))


_PATHS = ("SOURCE", "DATA", "CONTENT", "STYLE", "BOXES")


def from_here(name: str, value: str) -> str:
    """A path in a notebook's parameter, or several between commas, as seen from where the user stands; the notebooks
    run in a folder of their own."""
    if name not in _PATHS:
        return value
    parts = [value] if user_path(value).exists() else value.split(",")
    return ",".join(_one_from_here(name, part) for part in parts)


def _one_from_here(name: str, value: str) -> str:
    prefix = next((prefix for prefix in ("set:folder:", "folder:") if value.startswith(prefix)), "")
    if not prefix and (name in ("DATA", "BOXES") or value in PHOTOGRAPHS + GENERATED):
        return value
    path = user_path(value.removeprefix(prefix))
    return f"{prefix}{path.absolute()}" if path.exists() else value
