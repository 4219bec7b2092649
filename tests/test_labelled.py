"""Labelled sets: the bundled one, CIFAR's archive, and folders."""

from __future__ import annotations

import hashlib
import io
import pickle
import tarfile
import warnings
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from course_lib import labelled
from course_lib.errors import CourseError
from course_lib.images import TASK_PHOTOGRAPHS
from course_lib.labelled import load_labelled, photos10, resize


def test_photos10_is_grey_balanced_and_repeatable() -> None:
    data = photos10(side=32, train=200, test=100)
    assert data.classes == TASK_PHOTOGRAPHS and data.side == 32 and len(data) == 200
    assert data.train_labels.bincount().tolist() == [20] * 10 and data.test_labels.bincount().tolist() == [10] * 10
    assert torch.equal(data.train_images[:, 0], data.train_images[:, 2])
    assert torch.equal(data.train_images, photos10(side=32, train=200, test=100).train_images)
    assert data.train_images.float().std((1, 2, 3)).median() > 10
    assert "stand-in" in data.note


def test_photos10_halves_do_not_meet() -> None:
    photograph = torch.arange(101).expand(3, 4, 101)
    left, right = labelled._half(photograph, "train"), labelled._half(photograph, "test")
    assert left.max() < right.min()


def test_take_is_the_same_for_the_same_seed() -> None:
    data = photos10(side=16, train=100, test=50)
    part = data.take(30, 20)
    assert len(part) == 30 and len(part.test_images) == 20
    assert torch.equal(part.train_labels, data.take(30, 20).train_labels)
    assert len(data.take(1000, 1000)) == 100


def make_folder(root: Path, test: str = "test", classes: tuple[str, ...] = ("cat", "dog"), count: int = 3) -> Path:
    for part in ("train", test):
        for k, name in enumerate(classes):
            (root / part / name).mkdir(parents=True, exist_ok=True)
            for i in range(count):
                Image.new("RGB", (40, 30), (80 * k, 10 * i, 90 * (part != "train"))).save(
                    root / part / name / f"{i}.png"
                )
    return root


@pytest.mark.parametrize("test", ["test", "val"])
def test_a_folder_is_decoded_once(test: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    root = make_folder(tmp_path / "pets", test)
    first = load_labelled(f"folder:{root}", 32)
    assert first.name == "folder:pets" and first.classes == ("cat", "dog")
    assert first.train_images.shape == (6, 3, 32, 32) and first.train_labels.tolist() == [0, 0, 0, 1, 1, 1]
    monkeypatch.setattr(labelled, "read_image", lambda *_, **__: pytest.fail("decoded twice"))
    assert torch.equal(load_labelled(f"folder:{root}", 32).train_images, first.train_images)


def test_a_changed_file_is_decoded_again(tmp_path: Path) -> None:
    root = make_folder(tmp_path / "pets")
    before = load_labelled(f"folder:{root}").train_images
    Image.new("RGB", (40, 30), "white").save(root / "train/cat/0.png")
    assert not torch.equal(load_labelled(f"folder:{root}").train_images, before)


def test_broken_files_are_counted_and_left_out(tmp_path: Path) -> None:
    root = make_folder(tmp_path / "pets")
    (root / "train/dog/0.png").write_text("no picture")
    with pytest.warns(UserWarning, match="1 of 6 pictures were left out"):
        assert len(load_labelled(f"folder:{root}")) == 5


def wrong_folders(root: Path) -> dict[str, Path]:
    (root / "empty").mkdir(parents=True)
    (root / "no_classes/train").mkdir(parents=True), (root / "no_classes/test").mkdir()
    other = make_folder(root / "other")
    (other / "test/dog").rename(other / "test/cow")
    unreadable = make_folder(root / "unreadable", count=1)
    for path in unreadable.glob("train/*/*.png"):
        path.write_text("")
    return {name: root / name for name in ("empty", "no_classes", "other", "unreadable")}


@pytest.mark.parametrize(
    ("name", "says"),
    [
        ("empty", "must hold a folder train/"),
        ("no_classes", "has no pictures in folders"),
        ("other", "make them the same"),
        ("unreadable", "none of the 2 pictures could be read"),
    ],
)
@pytest.mark.filterwarnings("ignore")
def test_a_folder_laid_out_wrongly_is_refused_in_a_sentence(name: str, says: str, tmp_path: Path) -> None:
    root = wrong_folders(tmp_path / "wrong")[name]
    with pytest.raises(CourseError, match=says):
        load_labelled(f"folder:{root}")


def test_an_unknown_set_is_answered_with_those_there_are() -> None:
    with pytest.raises(CourseError, match="'mnist'.*photos10, cifar10, cifar100, folder:PATH"):
        load_labelled("mnist")


def test_without_a_network_photos10_is_given_and_said(monkeypatch: pytest.MonkeyPatch) -> None:
    nowhere = labelled._Archive("http://127.0.0.1:9/cifar.tar.gz", "0" * 64)
    monkeypatch.setitem(labelled.CIFAR, "cifar10", nowhere)
    with pytest.warns(UserWarning, match="stopped after 0 bytes.*Going on with photos10"):
        assert load_labelled("cifar10").name == "photos10"


def cifar_archive(path: Path) -> Path:
    """A small archive as Toronto packs them: five training batches, one test batch, and the classes' names."""
    files = {"batches.meta": {"label_names": ["plane", "car"]}}
    for name in [f"data_batch_{i}" for i in range(1, 6)] + ["test_batch"]:
        files[name] = {"data": np.full((4, 3072), 7, dtype=np.uint8), "labels": [0, 1, 0, 1]}
    with tarfile.open(path, "w:gz") as archive:
        for name, content in files.items():
            data = pickle.dumps(content)
            info = tarfile.TarInfo(f"cifar-10-batches-py/{name}")
            info.size = len(data)
            archive.addfile(info, io.BytesIO(data))
    return path


def test_cifar_is_unpacked_from_its_archive(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from torchvision.datasets import CIFAR10

    cache = tmp_path / "cache"
    cache.mkdir()
    content = cifar_archive(cache / "cifar-10-python.tar.gz").read_bytes()
    monkeypatch.setitem(labelled.CIFAR, "cifar10", labelled._Archive(CIFAR10.url, hashlib.sha256(content).hexdigest()))
    monkeypatch.setattr(CIFAR10, "tgz_md5", hashlib.md5(content).hexdigest())
    monkeypatch.setattr(CIFAR10, "_check_integrity", lambda self: (cache / "cifar-10-batches-py").is_dir())
    monkeypatch.setattr("torchvision.datasets.cifar.check_integrity", lambda *_: True)
    with warnings.catch_warnings():
        warnings.simplefilter("error", UserWarning)
        data = load_labelled("cifar10", 32)
    assert data.name == "cifar10" and data.classes == ("plane", "car")
    assert data.train_images.shape == (20, 3, 32, 32) and (data.train_images == 7).all()
    assert data.test_labels.tolist() == [0, 1, 0, 1]


def test_resize_keeps_the_centre() -> None:
    images = torch.zeros(1, 3, 60, 120, dtype=torch.uint8)
    images[..., 25:95] = 200
    assert (resize(images, 30) == 200).all()
    assert resize(images, 64).shape == (1, 3, 64, 64)


def test_a_damaged_cache_is_decoded_anew(tmp_path: Path) -> None:
    root = make_folder(tmp_path / "pets")
    first = load_labelled(f"folder:{root}")
    for kept in (tmp_path / "cache").glob("folder-*"):
        kept.write_bytes(kept.read_bytes()[:50])
    assert torch.equal(load_labelled(f"folder:{root}").train_images, first.train_images)


def test_a_link_that_leads_nowhere_is_left_out(tmp_path: Path) -> None:
    root = make_folder(tmp_path / "pets")
    (root / "train/cat/9.png").symlink_to(tmp_path / "nowhere.png")
    with pytest.warns(UserWarning, match="1 of 7 pictures were left out"):
        assert len(load_labelled(f"folder:{root}")) == 6


def test_one_class_is_refused(tmp_path: Path) -> None:
    with pytest.raises(CourseError, match="has one class, cat, and there is nothing to tell apart"):
        load_labelled(f"folder:{make_folder(tmp_path, classes=('cat',))}")


def test_pictures_in_both_parts_are_counted(tmp_path: Path) -> None:
    root = make_folder(tmp_path)
    noise = np.random.default_rng(0).integers(0, 256, (40, 40, 3), dtype=np.uint8)
    for part in ("train", "test"):
        Image.fromarray(noise).save(root / part / "dog" / "twin.png")
    with pytest.warns(UserWarning, match=r"1 of 7 test pictures of .* are training pictures too"):
        load_labelled(f"folder:{root}")


def test_16_bit_and_tiny_pictures_are_taken(tmp_path: Path) -> None:
    root = make_folder(tmp_path)
    deep = np.linspace(0, 65535, 1600, dtype=np.uint16).reshape(40, 40)
    Image.fromarray(deep).save(root / "train/cat/deep.png")
    Image.fromarray(np.full((1, 3, 3), 200, np.uint8)).save(root / "train/dog/tiny.png")
    data = load_labelled(f"folder:{root}")
    assert len(data) == 8
    assert any(image.float().std() > 60 for image in data.train_images), "16 bits are scaled, not cut off"
