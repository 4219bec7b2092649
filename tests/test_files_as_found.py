"""Files as people have them: damaged metadata, odd numbers, hidden files, links, names.

What is whole is used, what is left out is counted, and nothing but a sentence comes out.
"""

from __future__ import annotations

import contextlib
import html
import io
import os
import shutil
import stat
import struct
import subprocess
import sys
import warnings
from pathlib import Path

import nbformat
import numpy as np
import pytest
import torch
from click.testing import CliRunner
from conftest import ROOT
from hypothesis import given, settings
from hypothesis import strategies as st
from matplotlib import rcParams
from matplotlib.figure import Figure
from matplotlib.text import Text
from PIL import Image

from course_lib import profiles
from course_lib.__main__ import main
from course_lib.data.images import list_images, read_image
from course_lib.data.loading import from_here, load_labelled, load_source
from course_lib.experiments.execution import execute
from course_lib.lessons.uses.voc import BoxedPictures, load_voc
from course_lib.lessons.your_image import standing_picture
from course_lib.pictures.charts import accuracy_by_layer, bar_chart
from course_lib.pictures.figures import Picture, compare_filters
from course_lib.profiles import start
from course_lib.support.errors import CourseError
from course_lib.support.files import cache_folder, is_left_behind, user_path, write_file

RNG = np.random.default_rng(0)
COLOUR = RNG.integers(0, 256, (80, 100, 3), dtype=np.uint8)
RAMP = np.tile(np.linspace(0, 1, 120), (100, 1))
LEFT_BEHIND = (".DS_Store", "._0.png", ".ipynb_checkpoints", ".Trash", "__MACOSX", "Thumbs.db", "@eaDir", "~$a.png")


def picture(path: Path, size: tuple[int, int] = (90, 80)) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(RNG.integers(0, 256, (*size[::-1], 3), dtype=np.uint8)).save(path)
    return path


def a_set(root: Path) -> Path:
    """Two classes with three pictures each, in both parts."""
    for part in ("train", "test"):
        for one in ("cat", "dog"):
            for i in range(3):
                picture(root / part / one / f"{i}.png")
    return root


# Pictures whose metadata are broken, while their pixels are whole.

TURNED = struct.pack("<HHIHH", 0x0112, 3, 1, 6, 0)


def exif(*entries: bytes, more: bytes = b"") -> bytes:
    return (
        b"Exif\0\0II*\0\x08\0\0\0" + struct.pack("<H", len(entries)) + b"".join(entries) + struct.pack("<I", 0) + more
    )


BROKEN_EXIF = {
    "a rational of -1 / 0": exif(TURNED, struct.pack("<HHII", 0x011A, 10, 1, 38), more=struct.pack("<ii", -1, 0)),
    "an entry that lies outside": exif(TURNED, struct.pack("<HHII", 0x010E, 2, 400, 70_000)),
    "an unknown type": exif(TURNED, struct.pack("<HHII", 0x010E, 77, 4, 1)),
    "a GPS block that is none": exif(TURNED, struct.pack("<HHII", 0x8825, 4, 1, 99_999)),
    "many more entries than there are": b"Exif\0\0II*\0\x08\0\0\0" + struct.pack("<H", 900) + TURNED,
}


@pytest.mark.parametrize("what", BROKEN_EXIF)
def test_a_picture_with_broken_exif_is_turned_all_the_same(what: str, tmp_path: Path) -> None:
    Image.fromarray(COLOUR).save(tmp_path / "a.jpg", exif=BROKEN_EXIF[what])
    assert read_image(tmp_path / "a.jpg").shape == (3, 100, 80)


@pytest.mark.parametrize("chunk", [b"", b"\0\x08\0\x02", b"MM\0*", b"II*\0\xff\xff\xff\xff", bytes(range(100, 150))])
def test_a_png_with_broken_exif_stays_as_it_lies(chunk: bytes, tmp_path: Path) -> None:
    Image.fromarray(COLOUR).save(tmp_path / "a.png", exif=chunk or b"\0")
    assert read_image(tmp_path / "a.png").shape == (3, 80, 100)


def test_metadata_may_stand_behind_the_pixels(tmp_path: Path) -> None:
    Image.fromarray(COLOUR).save(file := io.BytesIO(), "PNG", exif=exif(TURNED)[6:])
    content = file.getvalue()
    start = content.index(b"eXIf") - 4
    stop = start + 12 + struct.unpack(">I", content[start : start + 4])[0]
    end = content.index(b"IEND") - 4
    moved = content[:start] + content[stop:end] + content[start:stop] + content[end:]
    (tmp_path / "a.png").write_bytes(moved)
    assert read_image(tmp_path / "a.png").shape == (3, 100, 80)


@pytest.mark.parametrize("kind", ["a.jpg", "a.png", "a.tif", "a.webp"])
def test_a_broken_colour_profile_costs_nothing(kind: str, tmp_path: Path) -> None:
    Image.fromarray(COLOUR).save(tmp_path / kind, icc_profile=b"not a profile" * 20)
    assert read_image(tmp_path / kind).shape == (3, 80, 100)


# Pictures of numbers.


@pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf])
@pytest.mark.parametrize("full", [1.0, 200.0, 60_000.0])
def test_a_pixel_that_is_no_number_leaves_the_others(value: float, full: float, tmp_path: Path) -> None:
    pixels = (RAMP * full).astype(np.float32)
    pixels[3, 3] = value
    Image.fromarray(pixels).save(tmp_path / "a.tif")
    top = 255 * full / next(scale for scale in (1, 255, 65535) if scale >= full)
    assert read_image(tmp_path / "a.tif").float().mean() == pytest.approx(top / 2, abs=2)


@pytest.mark.parametrize(
    ("low", "high", "mean"), [(0, 1.05, 0.52), (0, 270, 0.52), (-1, 1, 0.5), (-20_000, 9_000, 0.5), (0, 1e9, 0.5)]
)
def test_the_range_of_numbers_is_kept(low: float, high: float, mean: float, tmp_path: Path) -> None:
    Image.fromarray((low + RAMP * (high - low)).astype(np.float32)).save(tmp_path / "a.tif")
    pixels = read_image(tmp_path / "a.tif").float() / 255
    assert pixels.min() < 0.02 and (pixels.mean() - mean).abs() < 0.1 and pixels.std() > 0.1


def test_unsigned_32_bits_are_not_halved(tmp_path: Path) -> None:
    tags = [(256, 120), (257, 100), (258, 32), (259, 1), (262, 1), (273, 200), (277, 1), (278, 100), (279, 48_000)]
    tags.append((339, 1))
    table = struct.pack("<H", len(tags)) + b"".join(struct.pack("<HHII", tag, 4, 1, value) for tag, value in tags)
    head = b"II*\0\x08\0\0\0" + table + struct.pack("<I", 0)
    (tmp_path / "a.tif").write_bytes(head.ljust(200, b"\0") + (RAMP * (2**32 - 1)).astype("<u4").tobytes())
    pixels = read_image(tmp_path / "a.tif").float()
    assert pixels.mean() == pytest.approx(127.5, abs=2) and pixels[0, 0, -1] == 255


def test_white_may_be_zero(tmp_path: Path) -> None:
    Image.fromarray((RAMP * 65535).astype(np.uint16)).save(tmp_path / "a.tif", tiffinfo={262: 0})
    pixels = read_image(tmp_path / "a.tif")
    assert pixels[0, 0, 0] == 255 and pixels[0, 0, -1] == 0


def test_a_picture_without_any_number_is_refused(tmp_path: Path) -> None:
    Image.fromarray(np.full((80, 80), np.nan, dtype=np.float32)).save(tmp_path / "a.tif")
    with pytest.raises(CourseError, match=r"a\.tif.*it holds no number"):
        read_image(tmp_path / "a.tif")


# Damage of every kind.

FORMATS = {"JPEG": "jpg", "PNG": "png", "TIFF": "tif", "GIF": "gif", "WEBP": "webp", "BMP": "bmp", "PPM": "ppm"}


def damaged(content: bytes, cut: float, flips: list[tuple[float, int]]) -> bytes:
    kept = bytearray(content[: max(1, round(cut * len(content)))])
    for place, bits in flips:
        kept[int(place * (len(kept) - 1))] ^= bits
    return bytes(kept)


@pytest.mark.parametrize("kind", FORMATS)
@settings(max_examples=20, deadline=None)
@given(
    cut=st.one_of(st.just(1.0), st.floats(0, 1)),
    flips=st.lists(st.tuples(st.one_of(st.floats(0, 0.1), st.floats(0, 1)), st.integers(1, 255)), max_size=4),
)
def test_damage_ends_in_pixels_or_in_a_sentence(
    kind: str, tmp_path_factory: pytest.TempPathFactory, cut: float, flips: list
) -> None:
    more = {"exif": exif(TURNED)} if kind in ("JPEG", "PNG", "WEBP") else {}
    Image.fromarray(COLOUR).save(file := io.BytesIO(), kind, **more)
    path = tmp_path_factory.mktemp("damaged") / f"a.{FORMATS[kind]}"
    path.write_bytes(damaged(file.getvalue(), cut, flips))
    with contextlib.suppress(CourseError):
        assert read_image(path).shape[0] == 3


@pytest.mark.parametrize("size", [(64, 140_000), (300_000, 64), (64, 16_384)])
def test_a_strip_is_read_or_refused(size: tuple[int, int], tmp_path: Path) -> None:
    Image.new("RGB", size, "red").save(tmp_path / "strip.png")
    if max(size) <= 256 * 64:
        assert min(load_source(str(tmp_path / "strip.png")).sizes[0].tolist()) == 8
    else:
        with pytest.raises(CourseError, match=rf"strip\.png is {size[0]} x {size[1]} pixels, too long a strip"):
            load_source(str(tmp_path / "strip.png"))


# Folders.


@pytest.mark.parametrize("name", LEFT_BEHIND)
def test_what_programs_leave_behind_is_no_picture_and_no_class(name: str, tmp_path: Path) -> None:
    root = a_set(tmp_path / "set")
    assert is_left_behind(name)
    for part in ("train", "test"):
        (root / part / name).mkdir()
        picture(root / part / name / "9.png")
        picture(root / part / "cat" / name / "9.png")
    data = load_labelled(f"folder:{root}")
    assert data.classes == ("cat", "dog") and len(data.train_images) == 6
    for i in range(3):
        picture(tmp_path / "source" / f"{i}.png")
    (tmp_path / "source" / f"{name}.png" if name == ".Trash" else tmp_path / "source" / name).write_bytes(b"no picture")
    assert len(load_source(str(tmp_path / "source"), 0)) == 3


def test_a_link_to_its_own_folder_multiplies_nothing(tmp_path: Path) -> None:
    root = a_set(tmp_path / "set")
    (root / "train/cat/loop").symlink_to(root / "train/cat")
    (root / "train/cat/up").symlink_to(root)
    assert len(load_labelled(f"folder:{root}").train_images) == 6


def test_a_folder_elsewhere_is_found_by_its_link(tmp_path: Path) -> None:
    root = a_set(tmp_path / "set")
    for i in range(2):
        picture(tmp_path / "more" / f"{i}.png")
    (root / "train/cat/more").symlink_to(tmp_path / "more")
    assert len(load_labelled(f"folder:{root}").train_images) == 8


def test_an_unusable_picture_costs_a_folder_no_other(tmp_path: Path) -> None:
    for i in range(6):
        picture(tmp_path / f"{i}.png")
    picture(tmp_path / "small.png", (75, 56))
    (tmp_path / "cut.jpg").write_bytes(b"\xff\xd8\xff\xe0")
    for seed in range(4):
        with warnings.catch_warnings(record=True) as said:
            warnings.simplefilter("always")
            assert len(load_source(str(tmp_path), 5, seed)) == 5
        assert len(said) <= 1, "those that were not drawn are not looked at"
    with pytest.warns(UserWarning, match="2 of 8 pictures were left out; the first: "):
        assert len(load_source(str(tmp_path), 0)) == 6
    with pytest.raises(CourseError, match="holds 6 pictures but N = 7"), pytest.warns(UserWarning, match="2 of 8"):
        load_source(str(tmp_path), 7)
    with pytest.raises(CourseError, match="none of the 1 pictures"):
        load_source(str(picture(tmp_path / "only/small.png", (75, 56)).parent), 0)


def test_those_that_are_drawn_do_not_depend_on_the_unusable(tmp_path: Path) -> None:
    for i in range(9):
        picture(tmp_path / f"{i}.png", (90 + i, 80))
    chosen = np.random.default_rng(3).permutation(9)[:4]
    assert load_source(str(tmp_path), 4, 3).sizes[:, 0].tolist() == [90 + i for i in sorted(chosen)]


def test_pictures_of_a_kind_that_cannot_be_read_are_counted(tmp_path: Path) -> None:
    picture(tmp_path / "a.png")
    for name in ("b.heic", "c.HEIF", "d.dng", "notes.txt"):
        (tmp_path / name).write_bytes(b"something")
    with pytest.warns(UserWarning, match=r"3 of 4 pictures were left out; the first: .*b\.heic"):
        assert [path.name for path in list_images(tmp_path)] == ["a.png"]
    (tmp_path / "a.png").unlink()
    with pytest.raises(CourseError, match="3 of another kind, as b.heic"):
        list_images(tmp_path)


def test_a_cache_knows_two_sets_of_one_relative_path_apart(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    found = []
    for project in ("one", "two"):
        root = a_set(tmp_path / project / "data")
        for path in sorted(root.rglob("*.png")):
            path.write_bytes(path.read_bytes().ljust(30_000, b"\0"))  # of one size
            os.utime(path, (1, 1))  # and of one time
        monkeypatch.chdir(tmp_path / project)
        found.append(load_labelled("folder:data").train_images[:])
    assert (found[0] != found[1]).any()


def voc(root: Path, content: bytes) -> BoxedPictures:
    base = root / "VOCdevkit/VOC2007"
    for folder in ("JPEGImages", "Annotations", "ImageSets/Main"):
        (base / folder).mkdir(parents=True)
    (base / "JPEGImages/0.jpg").write_bytes(content)
    box = "<bndbox><xmin>1</xmin><ymin>1</ymin><xmax>90</xmax><ymax>9</ymax></bndbox>"
    (base / "Annotations/0.xml").write_text(f"<annotation><object><name>dog</name>{box}</object></annotation>")
    for part in ("trainval", "test"):
        (base / f"ImageSets/Main/{part}.txt").write_text("0\n")
    return load_voc(f"folder:{root}", "test")


def test_a_picture_with_boxes_stays_as_its_boxes_lie(tmp_path: Path) -> None:
    Image.fromarray(COLOUR).save(file := io.BytesIO(), "JPEG", exif=exif(TURNED))
    assert voc(tmp_path, file.getvalue()).picture(0).shape == (3, 80, 100)


def test_a_cut_picture_with_boxes_is_named(tmp_path: Path) -> None:
    Image.fromarray(COLOUR).save(file := io.BytesIO(), "JPEG")
    with pytest.raises(CourseError, match=r"0\.jpg is damaged"):
        voc(tmp_path, file.getvalue()[:900]).picture(0)


# Names that are markup elsewhere.

NAMES = (
    "cash$1_$2.jpg",
    "$x^",
    "a_{b}^c",
    "$\\frac{1}{0}$",
    "50 % & more",
    "<b>bold</b>",
    "two\nlines",
    "\u202eright to left",
    "$",
)


@pytest.mark.parametrize("name", NAMES)
def test_a_name_is_drawn_as_it_stands(name: str) -> None:
    rows = [
        {"layer": layer, "accuracy": 0.5, "method": "rotnet", "source": "china", "n": 1, "data": name, "seed": seed}
        for layer in ("conv1", "conv2")
        for seed in (0, 1)
    ]
    pictures = [
        standing_picture(40.0, {"china": [39.0, 41.0], name: [38.0]}, name, name),
        accuracy_by_layer(rows, f"Linear probes on folder:{name}"),
        bar_chart({name: 0.5, "china": 0.4}, name, 0.1, name),
        compare_filters({f"yours: N = 1, {name}": torch.zeros(4, 3, 5, 5)}, name),
    ]
    for one in pictures:
        assert one.png()[:4] == b"\x89PNG" and html.escape(name) in one.html()
    for text in pictures[2].image.findobj(Text):
        assert not text.get_parse_math()
    assert rcParams["text.parse_math"], "a learner's own charts keep their mathematics"


def test_a_scale_of_powers_has_numbers_and_no_markup() -> None:
    figure = Figure()
    axes = figure.subplots()
    axes.plot([1, 1_000], [0.001, 100])
    axes.set(xscale="log", yscale="log")
    Picture(figure, "").png()
    assert {"0.1", "10", "100"} <= {label.get_text() for label in axes.get_yticklabels()}


# Rights, homes and paths.


@pytest.mark.skipif(os.name != "posix", reason="needs a system with a umask")
@pytest.mark.parametrize(("mask", "mode"), [(0o077, 0o600), (0o022, 0o644), (0o002, 0o664)])
def test_files_have_the_rights_that_the_umask_leaves(mask: int, mode: int, tmp_path: Path) -> None:
    before = os.umask(mask)
    try:
        write_file(tmp_path / "grades.csv", "learner,total")
    finally:
        os.umask(before)
    assert stat.S_IMODE((tmp_path / "grades.csv").stat().st_mode) == mode


@pytest.mark.parametrize("given", ["", "relative/path"])
def test_an_empty_cache_path_counts_as_none(given: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("COURSE_CACHE", raising=False)
    monkeypatch.setenv("XDG_CACHE_HOME", given)
    monkeypatch.setenv("HOME", str(tmp_path))
    assert cache_folder() == tmp_path / ".cache/course_lib"


def test_a_home_that_is_not_there_is_a_sentence() -> None:
    for call in (user_path, load_source, lambda path: load_labelled(f"folder:{path}")):
        with pytest.raises(CourseError, match="there is no home folder of that name"):
            call("~nobody-of-this-name/x")


@pytest.mark.skipif(not shutil.which("setpriv") or os.geteuid() != 0, reason="needs root, to be somebody else")
def test_without_a_home_the_journal_lasts_for_the_session() -> None:
    code = "from course_lib.exercises.journal import note_attempt, was_attempted; note_attempt('x', True); "
    command = [sys.executable, "-c", code + "print(was_attempted('x'))"]
    as_nobody = ["setpriv", "--reuid", "54321", "--regid", "54321", "--clear-groups"]
    environment = {"PATH": os.environ["PATH"], "PYTHONPATH": str(ROOT), "PYTHONDONTWRITEBYTECODE": "1"}
    done = subprocess.run([*as_nobody, *command], env=environment, capture_output=True, text=True, cwd="/")
    assert done.stdout.splitlines()[-1:] == ["True"], done.stderr


@pytest.mark.parametrize(
    ("name", "value", "seen"),
    [
        ("SOURCE", "mine.jpg", "HERE/mine.jpg"),
        ("CONTENT", "mine.jpg", "HERE/mine.jpg"),
        ("STYLE", "mine.jpg", "HERE/mine.jpg"),
        ("BOXES", "folder:boxes", "folder:HERE/boxes"),
        ("DATA", "photos10,folder:boxes", "photos10,folder:HERE/boxes"),
        ("SOURCE", "set:folder:boxes", "set:folder:HERE/boxes"),
        ("SOURCE", "a,b.jpg", "HERE/a,b.jpg"),
        ("SOURCE", "china", "china"),
        ("CONTENT", "coffee", "coffee"),
        ("METHOD", "rotnet", "rotnet"),
        ("SOURCE", "nowhere.jpg", "nowhere.jpg"),
    ],
)
def test_paths_are_seen_from_where_the_user_stands(
    name: str, value: str, seen: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "boxes").mkdir()
    for file in ("mine.jpg", "a,b.jpg", "china", "coffee", "rotnet"):
        (tmp_path / file).touch()
    assert from_here(name, value) == seen.replace("HERE", str(tmp_path))


# Numbers, and kernels.


@pytest.mark.parametrize("seed", [-1, "five", "-5", 2**63, 1.5, True, None, [0]])
def test_a_seed_that_is_none_is_refused(seed: object) -> None:
    with pytest.raises(CourseError, match="SEED must be a whole number"):
        start("quick", seed)


def test_texts_are_understood_as_papermill_hands_them_on(monkeypatch: pytest.MonkeyPatch) -> None:
    assert start("quick", "5").seed == 5
    for wrong in ("perhaps", "", 1.5, None, [True]):
        with pytest.raises(CourseError, match="OR_QUICK must be True or False"):
            start("quick", 0, wrong)
    monkeypatch.setattr(profiles, "this_device", lambda: torch.device("cpu"))
    for text in ("false", "False", " FALSE ", False):
        with pytest.raises(CourseError, match="needs a GPU"):
            start("standard", 0, text)
    for text in ("true", " True ", True):
        assert start("standard", 0, text).profile.name == "quick"


@pytest.mark.parametrize(
    "arguments",
    [
        "rotnet --steps -1",
        "rotnet --seed -1",
        "rotnet --n -1",
        "rotnet --steps 1 --source dead_leaves --n 0",
        "rotnet --seed \u00b2",
        "rotnet --steps 1 --source ~nobody-of-this-name/x.jpg",
    ],
)
def test_numbers_out_of_range_are_refused_before_any_work(arguments: str) -> None:
    done = CliRunner().invoke(main, ["train", *arguments.split()])
    assert done.exit_code == 2 and done.exception.__class__ is SystemExit


@pytest.mark.parametrize(("n", "says"), [(0, "there is no last one; give N = 1"), (-2, "N must be a whole number")])
def test_generated_images_are_counted_out(n: int, says: str) -> None:
    with pytest.raises(CourseError, match=says):
        load_source("dead_leaves", n)


def test_a_run_starts_its_own_interpreter(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "jupyter/kernels/python3").mkdir(parents=True)
    spec = '{"argv": ["/bin/false", "{connection_file}"], "display_name": "Python 3", "language": "python"}'
    (tmp_path / "jupyter/kernels/python3/kernel.json").write_text(spec)
    monkeypatch.setenv("JUPYTER_PATH", str(tmp_path / "jupyter"))
    notebook = nbformat.v4.new_notebook(cells=[nbformat.v4.new_code_cell("import sys; print(sys.executable)")])
    nbformat.write(notebook, tmp_path / "a.ipynb")
    result = execute(tmp_path / "a.ipynb", tmp_path / "out.ipynb", {}, {})
    assert result.status == "ok", result.error
    assert nbformat.read(tmp_path / "out.ipynb", 4).cells[-1].outputs[0].text.strip() == sys.executable


def test_a_notebook_is_tested_where_xdist_is_not_installed(tmp_path: Path) -> None:
    notebook = ROOT / "notebooks/00_start_here.ipynb"
    without = ["-p", "no:xdist", "-p", "no:cacheprovider", "--collect-only", "-q", "--nbval-lax", str(notebook)]
    done = subprocess.run([sys.executable, "-m", "pytest", *without], capture_output=True, text=True, cwd=ROOT)
    assert done.returncode == 0, done.stderr
