"""Pictures with boxes in the layout of PASCAL VOC (Everingham et al. 2010): a stand-in, VOC 2007, or a folder."""

from __future__ import annotations

import shutil
import urllib.error
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

import numpy as np
import torch
from PIL import Image
from torch import Tensor
from torchvision.datasets import VOCDetection

from course_lib.data.images import read_image
from course_lib.lessons.uses.cutouts import Scene, make_scene
from course_lib.lessons.uses.precision import Boxes
from course_lib.support.errors import CourseError, unknown
from course_lib.support.files import (
    cache_folder,
    disk_errors,
    hash_of_code,
    make_folder,
    name_beside,
    user_path,
    write_file,
)

SPLITS = {"train": "trainval", "test": "test"}
"""The parts of VOC 2007 that are trained on and tested on, by what they are called there."""

PICTURES = {"train": 240, "test": 120}
"""Pictures in each part of the stand-in."""

STAND_IN = (
    "a stand-in: four kinds of things cut out of a few bundled photographs, in grey. Cat and cup are the same in both "
    "parts, and of photographs that photos10 has too: a network that was trained on that has seen them"
)

_YEAR = "2007"
_BASE = Path("VOCdevkit", f"VOC{_YEAR}")
_QUALITY = 95  # of JPEG


@dataclass(frozen=True)
class BoxedPictures:
    """Pictures of any sizes, read as they are asked for, with boxes.

    name: as in tables. classes: of labels 1, 2 and so on. files: torchvision's data set. truth: what is in each. note:
    what a reader of a table must know of it.
    """

    name: str
    classes: tuple[str, ...]
    files: VOCDetection
    truth: tuple[Boxes, ...]
    note: str = ""

    def __len__(self) -> int:
        return len(self.truth)

    def picture(self, i: int) -> Tensor:
        """Picture i: (3, height, width) uint8, as it is stored, since that is where its boxes are. Raises CourseError
        for one that cannot be read."""
        return read_image(self.files.images[i], shortest_side=1, upright=False)


def load_voc(data: str, split: str, side: int = 96) -> BoxedPictures:
    """The pictures with boxes that a notebook's parameter names, through `torchvision.datasets.VOCDetection`.

    data: `stand-in`, made here of the bundled photographs; `voc2007`, fetched once into the cache folder (900 MB); or
    `folder:PATH`, where PATH holds a VOCdevkit/VOC2007. split: "train" (VOC's trainval) or "test". side: pixels of the
    stand-in's pictures; others stay as they are.
    Raises CourseError for another name or split, for a download that failed, and for a folder that is laid out
    otherwise.
    """
    if split not in SPLITS:
        raise unknown("split", split, tuple(SPLITS))
    if data == "stand-in":
        code = hash_of_code("lessons/uses/cutouts.py", "lessons/uses/voc.py")[:16]  # rendered again after a change
        root, note = render_voc(cache_folder() / f"voc-stand-in-{side}-{code}", side, PICTURES), STAND_IN
    elif data == "voc2007":
        root, note = _fetched(SPLITS[split]), ""
    elif data.startswith("folder:"):
        root, note = user_path(data.removeprefix("folder:")), ""
    else:
        raise unknown("set of pictures with boxes", data, ("stand-in", "voc2007", "folder:PATH"))
    found = {name: _opened(root, image_set) for name, image_set in SPLITS.items() if split == name or name == "train"}
    raw = {name: [_objects(files, path) for path in files.annotations] for name, files in found.items()}
    classes = tuple(sorted({one["name"] for objects in raw["train"] for one in objects}))
    if not classes:
        raise CourseError(f"{root / _BASE} has no object in any training picture; look into its Annotations/")
    truth = tuple(_read_boxes(objects, classes, found[split].annotations[i]) for i, objects in enumerate(raw[split]))
    return BoxedPictures(data, classes, found[split], truth, note)


def render_voc(folder: Path, side: int, counts: dict[str, int]) -> Path:
    """Write a small set in the layout that `torchvision.datasets.VOCDetection` reads: pictures of `side` pixels with
    one to three things in each, as `course_lib.lessons.uses.cutouts` makes them.

    counts: pictures of each part. Picture i of a part is a pure function of (part, i). The folder is there whole or not
    at all; one that is there already is left as it is. Returns it. Raises CourseError where the disk is full.
    """
    if folder.is_dir():
        return folder
    with disk_errors(folder):
        folder.parent.mkdir(parents=True, exist_ok=True)
        made = name_beside(folder)
        try:
            _write_all(made / _BASE, side, counts)
            if not folder.is_dir():  # else another process was faster
                made.replace(folder)
        finally:
            shutil.rmtree(made, ignore_errors=True)
    return folder


def _write_all(base: Path, side: int, counts: dict[str, int]) -> None:
    for part in ("JPEGImages", "Annotations", "ImageSets/Main"):
        (base / part).mkdir(parents=True)
    for number, (part, count) in enumerate(counts.items()):
        names = [f"{part}{i:05}" for i in range(count)]
        for i, name in enumerate(names):
            scene = make_scene(part, side, np.random.default_rng((0, number, i)))
            Image.fromarray(scene.pixels).save(base / "JPEGImages" / f"{name}.jpg", quality=_QUALITY)
            (base / "Annotations" / f"{name}.xml").write_text(annotation(name, scene))
        (base / "ImageSets/Main" / f"{SPLITS[part]}.txt").write_text("".join(f"{name}\n" for name in names))


def annotation(name: str, scene: Scene) -> str:
    """What VOC says of a picture, as XML. VOC counts pixels from 1, and its boxes include the last one."""
    height, width = scene.pixels.shape
    objects = [
        f"<object><name>{thing.name}</name><difficult>{int(thing.difficult)}</difficult><bndbox><xmin>{left + 1}</xmin>"
        f"<ymin>{top + 1}</ymin><xmax>{right}</xmax><ymax>{bottom}</ymax></bndbox></object>"
        for thing in scene.things
        for left, top, right, bottom in [thing.box]
    ]
    size = f"<size><width>{width}</width><height>{height}</height><depth>3</depth></size>"
    return "\n".join([f"<annotation><filename>{name}.jpg</filename>{size}", *objects, "</annotation>\n"])


def _fetched(image_set: str) -> Path:
    root = make_folder(cache_folder() / "voc2007")
    for part in {"trainval", image_set}:  # the classes are those of the training pictures
        if (root / f"{part}.whole").is_file():
            continue
        try:
            VOCDetection(str(root), _YEAR, part, download=True)
            write_file(root / f"{part}.whole", "")  # where unpacking was stopped, it is done again
        except (OSError, RuntimeError, EOFError, urllib.error.URLError) as error:
            raise CourseError(
                f"VOC 2007 could not be fetched ({error}); run again, take 'stand-in', which needs no network, or "
                "unpack its two archives, VOCtrainval_06-Nov-2007.tar and VOCtest_06-Nov-2007.tar, from "
                "http://host.robots.ox.ac.uk/pascal/VOC/voc2007/ into one folder and give 'folder:PATH'"
            ) from error
    return root


def _opened(root: Path, image_set: str) -> VOCDetection:
    try:
        return VOCDetection(str(root), _YEAR, image_set)
    except (OSError, RuntimeError, AssertionError) as error:
        raise CourseError(
            f"{root} must hold {_BASE}/ with JPEGImages/, Annotations/ and ImageSets/Main/{image_set}.txt ({error})"
        ) from error


def _objects(files: VOCDetection, path: str) -> list[dict[str, Any]]:
    try:
        return files.parse_voc_xml(ElementTree.parse(path).getroot())["annotation"]["object"]
    except (OSError, ElementTree.ParseError, KeyError) as error:
        raise CourseError(f"{path} is not an annotation of VOC ({error}); copy it again") from error


def _read_boxes(objects: Sequence[dict[str, Any]], classes: tuple[str, ...], path: str) -> Boxes:
    """Objects whose class is not in the training pictures are left out."""
    known = [one for one in objects if one["name"] in classes]
    corners = ("xmin", "ymin", "xmax", "ymax")
    try:
        boxes = [[float(one["bndbox"][corner]) for corner in corners] for one in known]
        difficult = [one.get("difficult", "0") == "1" for one in known]
    except (KeyError, TypeError, ValueError) as error:
        raise CourseError(f"{path}: an object has no box that can be read ({error})") from error
    labels = torch.tensor([1 + classes.index(one["name"]) for one in known], dtype=torch.int64)
    first = torch.tensor([1.0, 1, 0, 0])  # VOC's first pixel is 1
    return Boxes(torch.tensor(boxes).reshape(-1, 4) - first, labels, torch.tensor(difficult, dtype=torch.bool))
