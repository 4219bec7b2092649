"""Pictures of every kind that a learner brings: converted, or refused with the reason."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from course_lib.data.images import PHOTOGRAPHS, SOURCE_PHOTOGRAPHS, TASK_PHOTOGRAPHS, read_image, read_photograph
from course_lib.support.errors import CourseError

RNG = np.random.default_rng(0)
COLOUR = RNG.integers(0, 256, (80, 100, 3), dtype=np.uint8)


def test_every_bundled_photograph_is_there() -> None:
    for name in PHOTOGRAPHS:
        pixels = read_photograph(name)
        assert pixels.dtype == torch.uint8 and pixels.shape[0] == 3 and min(pixels.shape[1:]) >= 300


def test_no_photograph_is_both_source_and_task() -> None:
    assert len(TASK_PHOTOGRAPHS) == 10
    assert not set(SOURCE_PHOTOGRAPHS) & set(TASK_PHOTOGRAPHS)


def test_an_unknown_photograph_is_answered_with_those_there_are() -> None:
    with pytest.raises(CourseError, match="'lena'.*china"):
        read_photograph("lena")


@pytest.mark.parametrize("mode", ["RGB", "L", "RGBA", "LA", "P", "CMYK", "1", "I;16", "I", "F"])
def test_every_mode_becomes_rgb(mode: str, tmp_path: Path) -> None:
    if mode == "I;16":
        picture = Image.fromarray(RNG.integers(0, 65536, (80, 100), dtype=np.uint16))
    else:
        picture = Image.fromarray(COLOUR).convert(mode)
    path = tmp_path / f"picture.{'tiff' if mode in ('CMYK', 'I', 'F') else 'png'}"
    picture.save(path)
    pixels = read_image(path)
    assert pixels.shape == (3, 80, 100) and pixels.dtype == torch.uint8
    assert pixels.float().std() > 20, "the picture has lost its contrast"


def test_16_bit_keeps_its_range(tmp_path: Path) -> None:
    ramp = np.linspace(0, 65535, 80 * 100).reshape(80, 100).astype(np.uint16)
    Image.fromarray(ramp).save(tmp_path / "ramp.png")
    pixels = read_image(tmp_path / "ramp.png").float()
    assert pixels.min() == 0 and pixels.max() == 255
    assert pixels.mean() == pytest.approx(127.5, abs=1)


def test_transparent_pixels_become_white(tmp_path: Path) -> None:
    clear = np.zeros((80, 100, 4), dtype=np.uint8)
    Image.fromarray(clear).save(tmp_path / "clear.png")
    assert (read_image(tmp_path / "clear.png") == 255).all()


def test_a_picture_lying_down_is_turned_upright(tmp_path: Path) -> None:
    exif = Image.Exif()
    exif[0x0112] = 6  # the camera was held on its side
    Image.fromarray(COLOUR).save(tmp_path / "side.png", exif=exif)
    expected = torch.from_numpy(np.rot90(COLOUR, -1).copy()).permute(2, 0, 1)
    assert torch.equal(read_image(tmp_path / "side.png"), expected)


def test_of_an_animation_the_first_frame_is_taken(tmp_path: Path) -> None:
    frames = [Image.new("RGB", (80, 80), colour) for colour in ("red", "blue")]
    frames[0].save(tmp_path / "film.gif", save_all=True, append_images=frames[1:])
    assert read_image(tmp_path / "film.gif")[:, 0, 0].tolist() == [255, 0, 0]


def broken(path: Path, kind: str) -> None:
    if kind == "text":
        path.write_text("not a picture")
    elif kind == "empty":
        path.write_bytes(b"")
    elif kind == "cut":
        Image.fromarray(COLOUR).save(path, "JPEG")
        path.write_bytes(path.read_bytes()[:900])
    elif kind == "small":
        Image.new("RGB", (63, 200)).save(path)


@pytest.mark.parametrize(
    ("kind", "says"),
    [
        ("missing", "is not a file"),
        ("text", "not a picture that can be read"),
        ("empty", "not a picture that can be read"),
        ("cut", "damaged"),
        ("small", "63 x 200 pixels; at least 64"),
    ],
)
def test_what_cannot_be_used_is_refused_in_a_sentence(kind: str, says: str, tmp_path: Path) -> None:
    path = tmp_path / "picture.jpg"
    broken(path, kind)
    with pytest.raises(CourseError, match=says) as raised:
        read_image(path)
    assert "picture.jpg" in str(raised.value)


def test_a_picture_bomb_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    Image.fromarray(COLOUR).save(tmp_path / "bomb.png")
    monkeypatch.setattr(Image, "MAX_IMAGE_PIXELS", 100)
    with pytest.raises(CourseError, match="too many pixels"):
        read_image(tmp_path / "bomb.png")
