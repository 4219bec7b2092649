"""Photographs: from a file of any common kind, or from the wheels of scikit-image and scikit-learn."""

from __future__ import annotations

import warnings
from importlib.util import find_spec
from pathlib import Path

import numpy as np
import torch
from PIL import Image, ImageOps, UnidentifiedImageError
from torch import Tensor

from course_lib.support.errors import CourseError, unknown

LUMA = torch.tensor([0.299, 0.587, 0.114], dtype=torch.float64)
"""The weights of red, green and blue in a grey value (ITU-R BT.601)."""

SHORTEST_SIDE = 64
"""Pixels. A source image below this holds too few different crops to learn from."""

IMAGE_SUFFIXES = frozenset({".jpg", ".jpeg", ".png", ".bmp", ".tif", ".tiff", ".gif", ".webp", ".ppm", ".pgm"})

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


def read_image(path: str | Path, shortest_side: int = SHORTEST_SIDE) -> Tensor:
    """A picture file as RGB: grey, palette, RGBA (over white), CMYK and 16-bit pictures are converted, a picture
    that its camera stored lying down is turned upright, and of an animation the first frame is taken.

    Returns (3, H, W) uint8. Raises CourseError with the reason for a file that is missing, cut off, no picture,
    or shorter than `shortest_side` pixels on a side.
    """
    path = Path(path)
    if not path.is_file():
        raise CourseError(f"{path} is not a file; give the path of a photograph")
    try:
        with warnings.catch_warnings(), Image.open(path) as picture:
            warnings.simplefilter("ignore", Image.DecompressionBombWarning)
            pixels = to_rgb(picture)
    except UnidentifiedImageError:
        raise CourseError(f"{path} is not a picture that can be read; save it as JPEG or PNG") from None
    except Image.DecompressionBombError:
        raise CourseError(f"{path} has too many pixels to be opened safely; make it smaller first") from None
    except (OSError, SyntaxError, ValueError) as error:
        raise CourseError(f"{path} is damaged ({error}); copy or download it again") from None
    height, width = pixels.shape[1:]
    if min(height, width) < shortest_side:
        raise CourseError(f"{path} is {width} x {height} pixels; at least {shortest_side} on each side are needed")
    return pixels


def to_rgb(picture: Image.Image) -> Tensor:
    """Any PIL picture as (3, H, W) uint8, upright."""
    picture.seek(0)
    picture = ImageOps.exif_transpose(picture)
    if picture.mode.startswith(("I", "F")):
        picture = _to_8_bit(picture)
    elif picture.mode in ("RGBA", "LA", "PA") or "transparency" in picture.info:
        white = Image.new("RGBA", picture.size, "white")
        picture = Image.alpha_composite(white, picture.convert("RGBA"))
    return torch.from_numpy(np.array(picture.convert("RGB"))).permute(2, 0, 1).contiguous()


def _to_8_bit(picture: Image.Image) -> Image.Image:
    """A grey picture of 16 or 32 bits or of floating-point numbers, its range mapped to 0..255.

    PIL's own conversion clips at 255, which turns most such pictures white. What "full" is, only 16-bit pictures say;
    for the others it is the least of 1, 255 and 65,535 that no pixel is above.
    """
    values = np.asarray(picture, dtype=np.float64)
    scales = (65535,) if "16" in picture.mode else (1, 255, 65535)
    full = next((scale for scale in scales if values.max() <= scale), values.max())
    return Image.fromarray((values.clip(0) / full * 255).round().astype(np.uint8))


def to_grey(images: Tensor) -> Tensor:
    """Pictures (..., 3, h, w) as their luminance (..., h, w), float32, on the scale that they have."""
    return (images.float() * LUMA.to(images.device, torch.float32)[:, None, None]).sum(-3)


def list_images(folder: str | Path) -> list[Path]:
    """The picture files directly in a folder, sorted by name. Raises CourseError where there are none."""
    folder = Path(folder)
    if not folder.is_dir():
        raise CourseError(f"{folder} is not a folder; give a folder of pictures")
    paths = sorted(p for p in folder.iterdir() if p.suffix.lower() in IMAGE_SUFFIXES)
    if not paths:
        raise CourseError(f"{folder} holds no pictures; put at least one .jpg or .png into it")
    return paths
