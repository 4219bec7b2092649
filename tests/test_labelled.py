"""Labelled sets: the bundled one, CIFAR's archive, and folders."""

from __future__ import annotations

import gc
import hashlib
import io
import pickle
import subprocess
import sys
import tarfile
import warnings
import weakref
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from course_lib.data import labelled
from course_lib.data.images import TASK_PHOTOGRAPHS
from course_lib.data.labelled import photos10, resize
from course_lib.data.loading import load_labelled
from course_lib.support.errors import CourseError


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
    monkeypatch.setattr("torchvision.datasets.CIFAR10.url", "http://127.0.0.1:9/cifar.tar.gz")
    with pytest.warns(UserWarning, match="the download of .* stopped.*Going on with photos10"):
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


@pytest.mark.parametrize("left", [0, 50, 5_000])
@pytest.mark.parametrize("which", ["folder-*.pixels", "folder-*.labels.npy"])
def test_a_damaged_cache_is_decoded_anew(which: str, left: int, tmp_path: Path) -> None:
    root = make_folder(tmp_path / "pets")
    first = load_labelled(f"folder:{root}").train_images.clone()
    damaged = list((tmp_path / "cache").glob(which))
    for kept in damaged:
        content = kept.read_bytes()
        kept.unlink()  # cut in place, it would be cut for whoever has it open
        kept.write_bytes(content[:left] if len(content) > left else content + bytes(8))
    assert len(damaged) == 2
    again = load_labelled(f"folder:{root}")
    assert torch.equal(again.train_images, first) and again.train_labels.tolist() == [0, 0, 0, 1, 1, 1]


def test_decoding_holds_one_picture_at_a_time(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Of all that was decoded, only the last is still alive when the next is read; what comes back is a file."""
    root = make_folder(tmp_path / "pets", count=3)
    decoded, alive = [], []
    original = labelled.read_image

    def read(path: str, **limits: int) -> torch.Tensor:
        gc.collect()
        alive.append(sum(one() is not None for one in decoded))
        picture = original(path, **limits)
        decoded.append(weakref.ref(picture))
        return picture

    monkeypatch.setattr(labelled, "read_image", read)
    data = load_labelled(f"folder:{root}", 64)
    assert len(alive) == 12 and max(alive) <= 1
    (kept,) = {
        path
        for path in (tmp_path / "cache").glob("folder-*.pixels")
        if np.fromfile(path, np.uint8).sum() == data.train_images.sum()
    }
    with kept.open("r+b") as file:
        file.write(b"*")
    assert data.train_images[0, 0, 0, 0] == ord("*"), "it is the file that is looked at, and not a copy"


def test_decoding_takes_no_memory_for_what_it_has_decoded(tmp_path: Path) -> None:
    """Two thousand pictures, 98 MB at 128 pixels, in a process of their own: it grows by a small part of that."""
    root = make_folder(tmp_path / "many", count=1)
    for i in range(2_000):
        (root / "train/cat" / f"copy{i}.png").hardlink_to(root / "train/cat/0.png")
    script = f"""
import psutil, threading, time, torch
from pathlib import Path
from course_lib.data import labelled
labelled.labelled_folder(Path({str(make_folder(tmp_path / "few"))!r}), 128)  # what is loaded once, is loaded
me = psutil.Process()
own = lambda: me.memory_info().rss - me.memory_info().shared  # without the pages of files, which are given up at need
before, most, done = own(), 0, False
def watch():
    global most
    while not done:
        most = max(most, own())
        time.sleep(0.01)
thread = threading.Thread(target=watch)
thread.start()
data = labelled.labelled_folder(Path({str(root)!r}), 128)
done = True
thread.join()
print(len(data), data.train_images.nbytes, most - before)
"""
    out = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True).stdout
    count, size, grown = map(int, out.split())
    assert count == 2_002 and size == 2_002 * 3 * 128**2 and grown < size / 4


def test_a_part_asked_for_whole_is_not_copied(tmp_path: Path) -> None:
    data = load_labelled(f"folder:{make_folder(tmp_path / 'pets')}")
    assert data.take(6, 5).train_images is data.train_images
    assert data.take(6, 5).test_images is not data.test_images
    assert data.to("cpu").train_images.data_ptr() == data.train_images.data_ptr()


def test_pictures_that_do_not_fit_on_the_device_stay_where_they_are(monkeypatch: pytest.MonkeyPatch) -> None:
    data = photos10(16, 40, 20)
    for left, where in ((10**9, "meta"), (3 * data.train_images.nbytes // 2, "cpu")):
        monkeypatch.setattr("course_lib.data.datasets.memory_left", lambda _, left=left: left)
        moved = data.to("meta")
        assert moved.train_images.device.type == where and moved.device.type == "meta"


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


def test_16_bit_pictures_are_scaled_to_8(tmp_path: Path) -> None:
    """And not cut off at 255 of 65,535, which turns them white."""
    root = make_folder(tmp_path)
    deep = np.linspace(0, 65535, 1024, dtype=np.uint16).reshape(32, 32)
    Image.fromarray(deep).save(root / "train/cat/00.png")
    assert Image.open(root / "train/cat/00.png").mode == "I;16"
    picture = load_labelled(f"folder:{root}").train_images[1, 0]
    assert torch.equal(picture, torch.from_numpy((deep / 257).round().astype(np.uint8)))


@pytest.mark.parametrize("size", [(1, 1), (200, 3), (3, 200)])
@pytest.mark.filterwarnings("error")
def test_tiny_pictures_are_taken(size: tuple[int, int], tmp_path: Path) -> None:
    root = make_folder(tmp_path)
    Image.new("RGB", size, (200, 100, 0)).save(root / "train/dog/tiny.png")
    data = load_labelled(f"folder:{root}")
    assert len(data) == 7 and data.train_images[6, :, 5, 7].tolist() == [200, 100, 0]


def test_the_cache_holds_whole_files(tmp_path: Path) -> None:
    """And no half-written one beside them."""
    load_labelled(f"folder:{make_folder(tmp_path / 'pets')}")
    names = sorted(path.name for path in (tmp_path / "cache").iterdir())
    assert len(names) == 4 and all(name.endswith((".npy", ".pixels")) and not name.startswith(".") for name in names)
