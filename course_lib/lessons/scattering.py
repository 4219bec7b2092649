"""The scattering transform: a first two layers that nobody trains.

Waves of a few sizes and directions, the modulus of what they answer, and a mean over a neighbourhood, done twice over
(Mallat 2012; Oyallon, Belilovsky and Zagoruyko 2017 put it in place of a network's first layers).

Taught in notebook 07.
"""

from __future__ import annotations

import contextlib
import hashlib
from importlib.util import find_spec

import torch
from torch import Tensor, nn

from course_lib.data.datasets import LabelledImages, to_float
from course_lib.probes.classifier import ProbeResult
from course_lib.probes.frozen import FrozenMaps, begin_above
from course_lib.probes.transfer import Retrained, train_above
from course_lib.profiles import Course
from course_lib.support.errors import CourseError
from course_lib.support.files import cache_folder, hash_of_code, write_file

SCALE = 2
"""J: the mean reaches over 2^J pixels, so that the map's side is 2^J times smaller, as after two layers with pools."""

_ANGLES = 8  # L, kymatio's
CHANNELS = 3 * (1 + SCALE * _ANGLES + _ANGLES**2 * SCALE * (SCALE - 1) // 2)
"""Maps of a picture: for each colour the mean, J L of the first order and L^2 J (J - 1) / 2 of the second."""

_BATCH = 50


def installed() -> bool:
    """Whether kymatio is here, which computes the transform. Colab does not have it."""
    return find_spec("kymatio") is not None


def scattering_maps(images: Tensor) -> Tensor:
    """The transform of pictures (n, 3, side, side) uint8: (n, 243, side / 4, side / 4) float16, colour by colour.

    Computed once for a set of pictures: it is kept in the cache folder, 31 kB a picture at 32 pixels, under the hash of
    the pixels and J. Raises CourseError where kymatio is not installed.
    """
    key = hashlib.sha256(repr((tuple(images.shape), SCALE)).encode() + images.cpu().numpy().tobytes()).hexdigest()[:16]
    path = cache_folder() / f"scattering-{key}.safetensors"
    from safetensors import SafetensorError
    from safetensors.torch import load, save

    if path.exists():
        with contextlib.suppress(SafetensorError, KeyError):  # a damaged file is computed again
            return load(path.read_bytes())["maps"].to(images.device)
    maps = _transform(images)
    try:
        write_file(path, save({"maps": maps.cpu()}))
    except CourseError as error:  # a full disk must not cost what was computed
        print(f"{error}. The scattering transform can be used here and now, but it is not kept.")
    return maps


@torch.inference_mode()
def _transform(images: Tensor) -> Tensor:
    if not installed():
        raise CourseError("the scattering transform needs kymatio; install it with `pip install kymatio`")
    # Not `from kymatio.torch import Scattering2D`: in 0.3.0 that imports the three-dimensional transform too, which
    # asks scipy for `sph_harm`, gone in scipy 1.17. A pin of scipy would hold back all else that uses it.
    from kymatio.scattering2d.frontend.torch_frontend import ScatteringTorch2D

    side = images.shape[-1]
    scattering = ScatteringTorch2D(SCALE, (side, side)).to(images.device)
    small = side // 2**SCALE
    maps = torch.empty(len(images), CHANNELS, small, small, dtype=torch.float16, device=images.device)
    for some, into in zip(images.split(_BATCH), maps.split(_BATCH)):
        into.copy_(scattering(to_float(some).contiguous()).flatten(1, 2))
    return maps


def scattered(images: Tensor, labels: Tensor, copies: int = 2) -> FrozenMaps:
    """The scattering transform of pictures (n, 3, side, side) uint8, in the form of a frozen layer's answers."""
    kept = torch.stack([scattering_maps(some) for some in (images, images.flip(3))[:copies]])
    return FrozenMaps(images, labels, torch.nn.Identity(), kept)


_LEAST_SPREAD = 1e-8  # BatchNorm's eps: the second order's variances are as small as the usual 1e-5


def retrain_scattering(data: LabelledImages, course: Course, steps: int = 0) -> ProbeResult:
    """As `retrain`, with a scattering transform in place of conv1 and conv2, then BatchNorm, and conv3 to conv5.

    The network's own conv1 and conv2 are there and have nothing to do. Raises CourseError where kymatio is missing.
    """
    data = data.to(course.device)
    new = begin_above(None, 0, course)
    conv, *rest = new.conv3
    conv = nn.Conv2d(CHANNELS, conv.out_channels, conv.kernel_size, padding=conv.padding, bias=False)
    new.conv3 = nn.Sequential(nn.BatchNorm2d(CHANNELS, _LEAST_SPREAD), conv, *rest)
    method = Retrained(new, 2, len(data.classes), course.profile.hidden).to(course.device)
    return train_above(
        "scattering", 2, method, scattered, data, course, steps, {"scattering": hash_of_code("lessons/scattering.py")}
    )


def wave(side: int, angle: float, frequency: float = 0.25, width: float = 3.0) -> Tensor:
    """A Gabor wave of mean zero, in the frequencies of `torch.fft.fft2`: (side, side) real.

    angle: radians. frequency: cycles a pixel. width: of its bell, in pixels.
    """
    wave = _bell(side, width, frequency * torch.tensor([torch.tensor(angle).sin(), torch.tensor(angle).cos()]))
    bell = _bell(side, width, torch.zeros(2))
    return wave - wave[0, 0] / bell[0, 0] * bell


def window(side: int, width: float = 2.0) -> Tensor:
    """A bell that takes a mean over about 2 `width` pixels, in the frequencies of `torch.fft.fft2`: (side, side)."""
    return _bell(side, width, torch.zeros(2))


def _bell(side: int, width: float, centre: Tensor) -> Tensor:
    places = torch.fft.fftfreq(side)
    distance = (places[:, None] - centre[0]) ** 2 + (places - centre[1]) ** 2
    return torch.exp(-2 * (torch.pi * width) ** 2 * distance)


def first_order(images: Tensor, wave: Tensor, window: Tensor) -> Tensor:
    """How strongly a wave answers, whatever its phase, around each place: |x * wave| * window, real (n, side, side).

    images: (n, side, side), which go on beyond their border as if they were tiles. wave, window: (side, side), in the
    frequencies of `torch.fft.fft2`.
    """
    strength = torch.fft.ifft2(torch.fft.fft2(images) * wave).abs()
    return torch.fft.ifft2(torch.fft.fft2(strength) * window).real
