"""Things cut out of the bundled photographs and pasted onto others: pictures for detection, with known boxes.

A stand-in for annotated photographs. There are four kinds of thing and few of each kind: a detector that does well here
has learned these things, not cats. Everything is grey, so that colour gives nothing away.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import cache
from typing import NamedTuple

import numpy as np
from PIL import Image, ImageDraw, ImageEnhance, ImageFilter

from course_lib.data.images import read_photograph
from course_lib.pictures.figures import to_pixels

SIZES = (0.25, 0.5)
"""The longest side of a thing, as a share of the picture's, at least and at most."""

TURN = 15.0
"""Degrees that a thing is turned by at most, to either side."""

HIDDEN, DIFFICULT = 0.4, 0.2
"""The share of a thing that may be covered by others, and from which on it counts as difficult."""

_TRIES = 30  # places for a thing, before it is left out
_FINE = 4  # times as many pixels in a mask before it is made soft

# Outlines in pixels of their photographs: a polygon, or left, top, right and bottom of an ellipse.
_CAT = (40, 20, 90, 2, 200, 0, 300, 2, 330, 40, 352, 80, 362, 120, 355, 160, 345, 190, 330, 220, 312, 250, 285, 275)
_CAT += (240, 290, 180, 285, 130, 270, 85, 240, 55, 190, 40, 130, 35, 70)
_CUP = (173, 110, 180, 70, 205, 42, 245, 22, 290, 17, 335, 24, 375, 48, 400, 85, 408, 120, 398, 165, 380, 205)
_CUP += (362, 235, 340, 262, 305, 282, 268, 284, 255, 290, 240, 306, 215, 306, 198, 298, 196, 278, 205, 250, 215, 235)
_CUP += (200, 215, 185, 185, 175, 150)
_WHEEL = (121, 310, 124, 280, 135, 255, 155, 242, 185, 238, 215, 240, 245, 252, 265, 275, 276, 305, 280, 345, 275, 370)
_WHEEL += (262, 385, 240, 397, 212, 403, 190, 397, 165, 380, 145, 360, 130, 335)
_WHEEL_FROM_RIGHT = tuple(value - (0 if i % 2 else 42) for i, value in enumerate(_WHEEL))
_COINS = (
    ((22, 35, 66, 74), (80, 39, 120, 74), (132, 28, 179, 74), (192, 30, 240, 73), (255, 34, 297, 72)),
    ((305, 16, 365, 72), (25, 104, 67, 144), (83, 107, 122, 144), (185, 105, 227, 144), (317, 105, 356, 144)),
    ((25, 177, 62, 217), (80, 175, 124, 217), (135, 179, 174, 217), (189, 170, 237, 217), (315, 156, 380, 218)),
    ((18, 232, 75, 288), (92, 244, 136, 287), (143, 236, 201, 287), (219, 240, 269, 287), (275, 239, 326, 288)),
)
_FEW = {
    "train": {
        "cat": [("chelsea", _CAT)],
        "coin": [("coins", box) for row in _COINS[:2] for box in row],
        "cup": [("coffee", _CUP)],
        "wheel": [("motorcycle_left", _WHEEL)],
    },
    "test": {
        "cat": [("chelsea", _CAT)],
        "coin": [("coins", box) for row in _COINS[2:] for box in row],
        "cup": [("coffee", _CUP)],
        "wheel": [("motorcycle_right", _WHEEL_FROM_RIGHT)],
    },
}
"""Coins differ between the parts, and the wheel is seen from another place; cat and cup are the same pixels, varied.
Both are of `photos10` too, whose training half of each photograph holds a part of them."""

CLASSES = tuple(_FEW["train"])
_BACKGROUNDS = ("brick", "grass", "gravel", "immunohistochemistry", "moon", "camera")


class Thing(NamedTuple):
    """Something in a picture. name: its class. box: left, top, right and bottom of what is seen of it, in pixels, so
    that right - left is a width. hidden: the share of it that others cover."""

    name: str
    box: tuple[int, int, int, int]
    hidden: float

    @property
    def difficult(self) -> bool:
        """Whether so much of it is covered that nobody is blamed for missing it."""
        return self.hidden >= DIFFICULT


class Scene(NamedTuple):
    """A picture and what is in it. pixels: (side, side) uint8, grey. masks: (n, side, side) bool, what is seen of each
    thing."""

    pixels: np.ndarray
    things: list[Thing]
    masks: np.ndarray


def make_scene(part: str, side: int, rng: np.random.Generator) -> Scene:
    """One to three things at random places, sizes, angles, mirrored or not, brighter or darker, on a background.

    part: "train" or "test", whose backgrounds are the left and the right halves of other photographs. Patches of a
    third photograph lie about as well, so that not everything with an outline is a thing.
    """
    scene = Scene(np.asarray(background(part, side, rng)), [], np.zeros((0, side, side), bool))
    for _ in range(rng.integers(1, 4)):
        name = CLASSES[rng.integers(len(CLASSES))]
        few = _FEW[part][name]
        scene = _add(scene, name, varied(cut_out(*few[rng.integers(len(few))]), side, rng), rng)
    return scene


def background(part: str, side: int, rng: np.random.Generator) -> Image.Image:
    """A square of a photograph's half, and up to two round patches of another's on it; grey, side x side pixels."""
    first, other = rng.permutation(len(_BACKGROUNDS))[:2]
    canvas = _square(_BACKGROUNDS[first], part, side, rng)
    for _ in range(rng.integers(0, 3)):
        patch = _square(_BACKGROUNDS[other], part, side, rng)
        patch.putalpha(_soft((side, side), (1, 1, side - 1, side - 1), 1))
        patch = varied(patch, side, rng)
        place = tuple(int(rng.integers(0, side - size + 1)) for size in patch.size)
        canvas.paste(patch.convert("L"), place, patch.getchannel("A"))
    return canvas


def _square(name: str, part: str, side: int, rng: np.random.Generator) -> Image.Image:
    photograph = _grey(name)
    width, height = photograph.width // 2, photograph.height
    size = int(rng.integers(min(width, height) // 2, min(width, height) + 1))
    left, top = int(rng.integers(0, width - size + 1)), int(rng.integers(0, height - size + 1))
    left += 0 if part == "train" else photograph.width - width
    square = photograph.crop((left, top, left + size, top + size)).resize((side, side), Image.Resampling.BOX)
    return _lit(square, rng)


@cache
def _grey(name: str) -> Image.Image:
    return Image.fromarray(to_pixels(read_photograph(name)[None])[0]).convert("L")


@cache
def cut_out(photograph: str, outline: tuple[int, ...]) -> Image.Image:
    """What a photograph shows within an outline, in grey and with transparency (mode LA), as large as it is there."""
    left, top = min(outline[::2]), min(outline[1::2])
    box = (left, top, max(outline[::2]) + 1, max(outline[1::2]) + 1)
    piece = _grey(photograph).crop(box)
    piece.putalpha(_soft(piece.size, [value - (left, top)[i % 2] for i, value in enumerate(outline)], 1))
    return piece


def _soft(size: tuple[int, int], outline: Sequence[int], blur: float) -> Image.Image:
    """A mask that is 255 within the outline and falls off over a pixel or two."""
    mask = Image.new("L", (size[0] * _FINE, size[1] * _FINE))
    fine = [value * _FINE for value in outline]
    pen = ImageDraw.Draw(mask)
    (pen.ellipse if len(outline) == 4 else pen.polygon)(fine, fill=255)
    return mask.resize(size, Image.Resampling.BOX).filter(ImageFilter.GaussianBlur(blur))


def varied(thing: Image.Image, side: int, rng: np.random.Generator) -> Image.Image:
    """A cut-out at a random size for pictures of `side` pixels, turned, perhaps mirrored, brighter or darker."""
    scale = rng.uniform(*SIZES) * side / max(thing.size)
    # Turned while it is large, and small pixels are averages: no second resampling is seen.
    turned = thing.rotate(rng.uniform(-TURN, TURN), Image.Resampling.BICUBIC, expand=True)
    turned = turned.transpose(Image.Transpose.FLIP_LEFT_RIGHT) if rng.random() < 0.5 else turned
    size = [max(2, round(length * scale)) for length in turned.size]
    small = turned.resize(size, Image.Resampling.BICUBIC if scale > 1 else Image.Resampling.BOX)
    alpha = small.getchannel("A")
    small = _lit(small.convert("L"), rng)
    small.putalpha(alpha)
    return small.crop(alpha.point(lambda value: 255 * (value > 127)).getbbox())


def _lit(picture: Image.Image, rng: np.random.Generator) -> Image.Image:
    picture = ImageEnhance.Contrast(picture).enhance(rng.uniform(0.7, 1.2))
    return ImageEnhance.Brightness(picture).enhance(rng.uniform(0.7, 1.3))


def _add(scene: Scene, name: str, thing: Image.Image, rng: np.random.Generator) -> Scene:
    """The scene with one more thing, where a place is found at which it covers no other too much."""
    side = len(scene.pixels)
    solid = np.asarray(thing.getchannel("A")) > 127
    for _ in range(_TRIES):
        left, top = (int(rng.integers(0, side - size + 1)) for size in thing.size)
        mask = np.zeros((side, side), bool)
        mask[top : top + thing.height, left : left + thing.width] = solid
        masks = np.concatenate([scene.masks & ~mask, mask[None]])
        lost = (scene.masks & mask).sum((1, 2)) / scene.masks.sum((1, 2)).clip(1)
        hidden = [1 - (1 - one.hidden) * (1 - share) for one, share in zip(scene.things, lost)] + [0.0]
        if max(hidden) <= HIDDEN:
            canvas = Image.fromarray(scene.pixels)
            canvas.paste(thing.convert("L"), (left, top), thing.getchannel("A"))
            names = [*(one.name for one in scene.things), name]
            boxes = [Image.fromarray(seen).getbbox() for seen in masks]
            things = [Thing(*each) for each in zip(names, boxes, hidden)]
            return scene._replace(pixels=np.asarray(canvas), things=things, masks=masks)
    return scene
