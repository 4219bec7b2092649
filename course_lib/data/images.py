"""Photographs: from a file of any common kind, or from the wheels of scikit-image and scikit-learn."""

from __future__ import annotations

import warnings
from collections.abc import Sequence
from importlib.util import find_spec
from pathlib import Path

import numpy as np
import torch
from PIL import Image, UnidentifiedImageError
from torch import Tensor

from course_lib.support.errors import CourseError, unknown
from course_lib.support.files import is_left_behind

LUMA = torch.tensor([0.299, 0.587, 0.114], dtype=torch.float64)
"""The weights of red, green and blue in a grey value (ITU-R BT.601)."""

SHORTEST_SIDE = 64
"""Pixels. A source image below this holds too few different crops to learn from."""

_COMMON = (".jpg", ".jpeg", ".jpe", ".jfif", ".png", ".bmp", ".tif", ".tiff")
IMAGE_SUFFIXES = frozenset((*_COMMON, ".gif", ".webp", ".avif", ".ppm", ".pgm", ".pbm"))
OTHER_SUFFIXES = frozenset(
    (".heic", ".heif", ".jxl", ".jp2", ".psd", ".tga", ".dng", ".cr2", ".cr3", ".nef", ".arw", ".raf", ".orf", ".rw2")
)
"""Of pictures that cannot be read here: phones and cameras write them, and whoever gives a folder of them is told."""

_TURNS = {
    2: Image.Transpose.FLIP_LEFT_RIGHT,
    3: Image.Transpose.ROTATE_180,
    4: Image.Transpose.FLIP_TOP_BOTTOM,
    5: Image.Transpose.TRANSPOSE,
    6: Image.Transpose.ROTATE_270,
    7: Image.Transpose.TRANSVERSE,
    8: Image.Transpose.ROTATE_90,
}
"""What turns a picture upright, by its EXIF orientation."""
_LONGEST = 256  # times as long as wide: scaled down, a strip longer than that has no width left
_BEYOND = 1.1  # times a scale's end that numbers may reach and still be meant on that scale
_ORIENTATION, _PHOTOMETRIC, _SAMPLE_FORMAT = 0x0112, 262, 339  # tags of EXIF and of TIFF

# Four photographs to learn from and ten to tell apart (`photos10`): no photograph is in both.
SOURCE_PHOTOGRAPHS = ("china", "flower", "astronaut", "hubble_deep_field")
TASK_PHOTOGRAPHS = (
    *("brick", "camera", "cell", "chelsea", "coffee", "grass", "gravel"),
    *("immunohistochemistry", "retina", "rocket"),
)
PHOTOGRAPHS = SOURCE_PHOTOGRAPHS + TASK_PHOTOGRAPHS
SCENES = ("coins", "moon", "motorcycle_left", "motorcycle_right")
"""Others, which notebook 11 cuts things out of and lays behind them."""


def read_photograph(name: str) -> Tensor:
    """A photograph that comes inside a wheel, so that no network is needed.

    Returns (3, H, W) uint8. Raises CourseError for a name that is neither in PHOTOGRAPHS nor in SCENES.
    """
    if name not in PHOTOGRAPHS + SCENES:
        raise unknown("bundled photograph", name, PHOTOGRAPHS)
    # Read as files, because importing the two libraries for it would cost a second and 60 MB.
    package, folder = ("sklearn", "datasets/images") if name in ("china", "flower") else ("skimage", "data")
    paths = list_images(Path(find_spec(package).submodule_search_locations[0]) / folder)
    stem = "ihc" if name == "immunohistochemistry" else name
    return read_image(next(path for path in paths if path.stem == stem))


def read_image(path: str | Path, shortest_side: int = SHORTEST_SIDE, upright: bool = True) -> Tensor:
    """A picture file as RGB: grey, palette, RGBA (over white), CMYK, 16-bit and floating-point pictures are converted,
    a picture that its camera stored lying down is turned, if `upright`, and of an animation the first frame is taken.

    Returns (3, H, W) uint8. Raises CourseError with the reason for a file that is missing, cut off, no picture,
    shorter than `shortest_side` pixels on a side, or a strip of more than 256 times its width.
    """
    path = Path(path)
    if not path.is_file():
        raise CourseError(f"{path} is not a file; give the path of a photograph")
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # of very many pixels, and of metadata that is not needed
            with Image.open(path) as picture:
                pixels = to_rgb(picture, upright)
    except UnidentifiedImageError:
        raise CourseError(f"{path} is not a picture that can be read; save it as JPEG or PNG") from None
    except Image.DecompressionBombError:
        raise CourseError(f"{path} has too many pixels to be opened safely; make it smaller first") from None
    except MemoryError:
        raise CourseError(f"{path} takes more memory than there is; make it smaller first") from None
    except Exception as error:  # what the decoders raise for damaged files is listed nowhere
        raise CourseError(f"{path} is damaged ({error}); copy or download it again") from None
    height, width = pixels.shape[1:]
    if min(height, width) < shortest_side:
        raise CourseError(f"{path} is {width} x {height} pixels; at least {shortest_side} on each side are needed")
    if max(height, width) > _LONGEST * min(height, width):
        raise CourseError(f"{path} is {width} x {height} pixels, too long a strip; cut a part out of it")
    return pixels


def to_rgb(picture: Image.Image, upright: bool = True) -> Tensor:
    """Any PIL picture as (3, H, W) uint8, turned as its camera was held if `upright`. Raises ValueError for one that
    holds no number."""
    picture.seek(0)
    picture.load()  # first, since metadata may stand behind the pixels
    turn = _turn_of(picture) if upright else None
    if picture.mode.startswith(("I", "F")):
        picture = _to_8_bit(picture)
    elif picture.mode in ("RGBA", "LA", "PA") or "transparency" in picture.info:
        white = Image.new("RGBA", picture.size, "white")
        picture = Image.alpha_composite(white, picture.convert("RGBA"))
    picture = picture.convert("RGB")
    picture = picture if turn is None else picture.transpose(turn)
    return torch.from_numpy(np.array(picture)).permute(2, 0, 1).contiguous()


def _turn_of(picture: Image.Image) -> Image.Transpose | None:
    """What turns a picture upright. Where its metadata are broken, its pixels may be whole, and stay as they lie.

    Not `ImageOps.exif_transpose`: that writes all the metadata again, and fails where any of them are broken.
    """
    try:
        return _TURNS.get(picture.getexif().get(_ORIENTATION))
    except Exception:  # of struct, of PIL and of its plugins
        return None


def _to_8_bit(picture: Image.Image) -> Image.Image:
    """A grey picture of 16 or 32 bits or of floating-point numbers, its range mapped to 0..255.

    PIL's own conversion clips at 255, which turns most such pictures white. What "full" is, only 16-bit pictures say;
    for the others it is the least of 1, 255 and 65,535 that no pixel is above, give or take what resampling adds, and
    else the largest pixel. Numbers below 0 beyond that are as much a part of the range. What is no number is drawn
    black, and an infinite one as the end that it lies beyond.
    """
    tags = getattr(picture, "tag_v2", {})
    values = np.asarray(picture)
    if picture.mode == "I" and tags.get(_SAMPLE_FORMAT, (0,))[0] == 1:  # unsigned, which PIL has no mode for
        values = values.view(np.uint32)
    values = values.astype(np.float64)
    if not (known := np.isfinite(values)).any():
        raise ValueError("it holds no number")
    low, high = values[known].min(), values[known].max()
    scales = (65535,) if "16" in picture.mode else (1, 255, 65535)
    full = next((scale for scale in scales if high <= _BEYOND * scale), high)
    full, empty = (high, low) if low < -(_BEYOND - 1) * full else (full, 0.0)
    shares = np.nan_to_num((values - empty) / ((full - empty) or 1), nan=0.0, posinf=1.0, neginf=0.0).clip(0, 1)
    if "16" in picture.mode and tags.get(_PHOTOMETRIC) == 0:  # white is zero; of 8 bits PIL knows it
        shares = 1 - shares
    return Image.fromarray((shares * 255).round().astype(np.uint8))


def to_grey(images: Tensor) -> Tensor:
    """Pictures (..., 3, h, w) as their luminance (..., h, w), float32, on the scale that they have."""
    return (images.float() * LUMA.to(images.device, torch.float32)[:, None, None]).sum(-3)


def list_images(folder: str | Path) -> list[Path]:
    """The picture files directly in a folder, sorted by name, without hidden ones and programs' own.

    Those of a kind that cannot be read are left out, and a warning counts them. Raises CourseError where no others are
    there.
    """
    folder = Path(folder)
    if not folder.is_dir():
        raise CourseError(f"{folder} is not a folder; give a folder of pictures")
    readable, others = (
        sorted(path for path in folder.iterdir() if is_picture(path.name, suffixes))
        for suffixes in (IMAGE_SUFFIXES, OTHER_SUFFIXES)
    )
    if not readable:
        words = f" that can be read here, but {len(others)} of another kind, as {others[0].name}" if others else ""
        raise CourseError(f"{folder} holds no pictures{words}; put at least one .jpg or .png into it")
    reasons = [f"{path} is of a kind that cannot be read here" for path in others]
    warn_of_left_out(reasons, len(readable) + len(others))
    return readable


def is_picture(name: str, suffixes: frozenset[str] = IMAGE_SUFFIXES) -> bool:
    """Whether a file of this name is a picture by its suffix, and nothing that a program has left behind."""
    return Path(name).suffix.lower() in suffixes and not is_left_behind(name)


def warn_of_left_out(reasons: Sequence[object], count: int) -> None:
    """Say in a line how many of `count` pictures are left out, and why the first is."""
    if reasons:
        words = f"{len(reasons)} of {count} pictures were left out; the first: {reasons[0]}"
        warnings.warn(words, stacklevel=3)
