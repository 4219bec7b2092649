"""Sources by name, from files, folders and rules."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from course_lib.data.loading import load_source
from course_lib.data.sources import GENERATED, LONGEST_SIDE, Source, generate
from course_lib.support.errors import CourseError


def save(path: Path, width: int = 90, height: int = 70, seed: int = 0) -> Path:
    pixels = np.random.default_rng(seed).integers(0, 256, (height, width, 3), dtype=np.uint8)
    Image.fromarray(pixels).save(path)
    return path


def test_a_bundled_photograph_keeps_its_pixels() -> None:
    source = load_source("china")
    assert source.sizes.tolist() == [[640, 427]] and len(source) == 1
    assert source.image().shape == (3, 427, 640)
    assert 0.3 < source.mean_grey.item() < 0.8


def test_images_of_different_sizes_share_an_atlas() -> None:
    images = [torch.randint(0, 256, (3, 64 + 40 * i, 200 - 30 * i), dtype=torch.uint8) for i in range(5)]
    source = Source.from_images(images, "five")
    for i, image in enumerate(images):
        assert torch.equal(source.image(i), image)


@pytest.mark.parametrize("kind", GENERATED)
def test_generated_images_are_repeatable(kind: str) -> None:
    image = generate(kind, seed=3)
    assert image.shape == (3, 427, 640) and image.dtype == torch.uint8
    assert torch.equal(image, generate(kind, seed=3))
    assert kind == "flat" or not torch.equal(image, generate(kind, seed=4))


def test_n_generated_images_differ() -> None:
    source = load_source("noise", n=3)
    assert len(source) == 3
    assert not torch.equal(source.image(0), source.image(1))


def test_dead_leaves_have_edges_of_all_scales() -> None:
    """Neighbouring pixels are mostly equal, unlike in noise, and far ones are not."""
    leaves = generate("dead_leaves").float()
    near, far = (leaves[..., 1:] - leaves[..., :-1]).abs().mean(), (leaves[..., 200:] - leaves[..., :-200]).abs().mean()
    assert near < 0.35 * far


def test_a_file_and_a_folder(tmp_path: Path) -> None:
    for i in range(4):
        save(tmp_path / f"{i}.png", seed=i)
    (tmp_path / "notes.txt").write_text("not a picture, and not in the way")
    assert load_source(str(tmp_path / "2.png")).name == "2.png"
    source = load_source(str(tmp_path), n=3, seed=1)
    assert len(source) == 3 and source.name == tmp_path.name
    assert torch.equal(source.texels, load_source(str(tmp_path), n=3, seed=1).texels)


def test_a_large_photograph_is_averaged_down(tmp_path: Path) -> None:
    path = save(tmp_path / "large.png", width=2600, height=1300)
    assert load_source(str(path)).sizes.tolist() == [[LONGEST_SIDE, LONGEST_SIDE // 2]]


@pytest.mark.parametrize(
    ("name", "n", "says"),
    [
        ("chinaa", 1, "no source is called 'chinaa'"),
        ("china", 10, "is one image but N = 10"),
        ("{folder}", 3, "holds 2 pictures but N = 3"),
        ("{empty}", 1, "holds no pictures"),
    ],
)
def test_what_is_no_source_is_refused_in_a_sentence(name: str, n: int, says: str, tmp_path: Path) -> None:
    folder, empty = tmp_path / "folder", tmp_path / "empty"
    folder.mkdir(), empty.mkdir()
    save(folder / "a.png"), save(folder / "b.png")
    with pytest.raises(CourseError, match=says):
        load_source(name.format(folder=folder, empty=empty), n=n)


def test_a_source_without_images_is_refused() -> None:
    with pytest.raises(ValueError, match="at least one image"):
        Source.from_images([], "nothing")
    with pytest.raises(ValueError, match="at least 2 pixels"):
        Source.from_images([torch.zeros(3, 1, 50, dtype=torch.uint8)], "a line")


def test_many_images_of_one_size_are_as_one_by_one() -> None:
    """Averaged together, in parts, and between images of another size."""
    draws = torch.Generator().manual_seed(0)
    small = [torch.randint(0, 256, (3, 24, 20), generator=draws, dtype=torch.uint8) for _ in range(5)]
    large = torch.randint(0, 256, (3, 60, 50), generator=draws, dtype=torch.uint8)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("course_lib.data.mips._PIXELS_AT_ONCE", 24 * 20 * 2)
        together = Source.from_images([*small, large, *small], "all")
    alone = [Source.from_images([image], "one") for image in (*small, large, *small)]
    assert torch.equal(together.texels, torch.cat([one.texels for one in alone]))
    assert all(torch.equal(together.image(i), one.image()) for i, one in enumerate(alone))


@pytest.mark.parametrize(("n", "count"), [(0, 6000), (10, 10)])
def test_a_labelled_sets_pictures_without_their_labels(n: int, count: int) -> None:
    source = load_source("set:photos10", n, seed=1)
    assert len(source) == count and source.name == "photos10" and source.sizes[0].tolist() == [32, 32]


def test_more_pictures_than_there_are() -> None:
    with pytest.raises(CourseError, match="set:photos10 holds 6000 pictures but N = 7000 were asked for"):
        load_source("set:photos10", 7000)
