"""Pictures with boxes say the truth, detections are judged as others judge them, and a detector learns to find."""

from __future__ import annotations

import copy
import hashlib
import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import tiny
import torch
from conftest import need
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image
from sklearn.metrics import precision_recall_curve
from torch import Tensor
from torchvision.datasets import VOCDetection
from torchvision.ops import box_iou

from course_lib.lessons.uses import cutouts, voc
from course_lib.lessons.uses.cutouts import CLASSES, DIFFICULT, HIDDEN, SIZES, make_scene
from course_lib.lessons.uses.detection import SIZES as DETECTORS
from course_lib.lessons.uses.detection import Detector, mirrored, train_detector
from course_lib.lessons.uses.detection_pictures import precision_over_recall, side_by_side, true_boxes
from course_lib.lessons.uses.precision import (
    Boxes,
    Found,
    average_precision,
    by_all_recalls,
    by_torchmetrics,
    interpolated,
    judge,
    judge_picture,
    mean_average_precision,
    overlap,
    precision_recall,
)
from course_lib.lessons.uses.voc import BoxedPictures, load_voc, render_voc
from course_lib.networks.alexnet import LAYERS
from course_lib.pretext.method import Batch, Recipe
from course_lib.profiles import PROFILES, Course
from course_lib.support.errors import CourseError
from course_lib.training.loop import fit

FLOOR = 0.4
"""Mean average precision of an untrained trunk, all frozen, at `quick`: over seeds 0, 1 and 2 0.51, standard deviation
0.03, least 0.48. RotNet on one photograph has 0.68 (0.04), and the labels of photos10 give 0.74 (0.01)."""


@pytest.fixture(autouse=True)
def plain(monkeypatch: pytest.MonkeyPatch) -> None:
    """float32, on every machine."""
    monkeypatch.setattr("course_lib.training.steps.arithmetic_of", lambda *_: tiny.Arithmetic())


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return render_voc(tmp_path_factory.mktemp("voc") / "set", 96, {"train": 30, "test": 20})


@pytest.fixture
def train(folder: Path) -> BoxedPictures:
    return load_voc(f"folder:{folder}", "train")


@pytest.fixture
def test(folder: Path) -> BoxedPictures:
    return load_voc(f"folder:{folder}", "test")


@pytest.fixture
def course() -> Course:
    return Course(PROFILES["quick"], 0, torch.device("cpu"))


def trunk(seed: int = 0) -> torch.nn.Module:
    torch.manual_seed(seed)
    return PROFILES["quick"].trunk()


# Pictures.


def test_torchvision_reads_what_was_rendered(folder: Path, train: BoxedPictures) -> None:
    for part, image_set, count in (("train", "trainval", 30), ("test", "test", 20)):
        files = VOCDetection(str(folder), "2007", image_set)
        assert len(files) == count
        for i, (picture, answer) in enumerate(files):
            scene = make_scene(part, 96, np.random.default_rng((0, part == "test", i)))
            said = answer["annotation"]
            assert picture.size == (96, 96) == tuple(int(said["size"][side]) for side in ("width", "height"))
            assert np.abs(np.asarray(picture)[:, :, 0].astype(float) - scene.pixels).mean() < 3, "JPEG of quality 95"
            assert [one["name"] for one in said["object"]] == [thing.name for thing in scene.things]
            for one, thing in zip(said["object"], scene.things):
                left, top, right, bottom = thing.box
                corners = {"xmin": left + 1, "ymin": top + 1, "xmax": right, "ymax": bottom}
                assert one["bndbox"] == {key: str(value) for key, value in corners.items()}
                assert one["difficult"] == str(int(thing.difficult))
    scene = make_scene("train", 96, np.random.default_rng((0, 0, 4)))
    assert train.truth[4].boxes.tolist() == [list(thing.box) for thing in scene.things]
    assert [train.classes[label - 1] for label in train.truth[4].labels] == [thing.name for thing in scene.things]


def test_the_same_pictures_are_rendered_again(folder: Path, tmp_path: Path) -> None:
    def hashes(root: Path) -> dict[str, str]:
        files = (path for path in root.rglob("*") if path.is_file())
        return {str(path.relative_to(root)): hashlib.sha256(path.read_bytes()).hexdigest() for path in files}

    again = hashes(render_voc(tmp_path / "again", 96, {"train": 5, "test": 5}))
    first = hashes(folder)
    assert again and all(first[name] == value for name, value in again.items() if "ImageSets" not in name)


def test_a_rendering_that_fails_leaves_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(*_: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(voc, "make_scene", full)
    with pytest.raises(CourseError, match="disk is full"):
        render_voc(tmp_path / "set", 96, voc.PICTURES)
    assert not list(tmp_path.glob("*")) and not list(tmp_path.glob(".*"))


def test_the_stand_in_is_rendered_once(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(voc, "PICTURES", {"train": 9, "test": 3})
    first = load_voc("stand-in", "train", side=64)
    assert first.classes == CLASSES and "stand-in" in first.note and first.picture(0).shape == (3, 64, 64)
    monkeypatch.setattr(voc, "make_scene", None)
    assert len(load_voc("stand-in", "test", side=64)) == 3


@pytest.mark.parametrize("part", ["train", "test"])
def test_boxes_are_tight_around_what_is_seen(part: str) -> None:
    for i in range(60):
        scene = make_scene(part, 96, np.random.default_rng((7, i)))
        assert 1 <= len(scene.things) <= 3
        for thing, mask in zip(scene.things, scene.masks):
            left, top, right, bottom = thing.box
            assert mask[top:bottom, left:right].sum() == mask.sum() and 0 <= thing.hidden <= HIDDEN
            assert thing.difficult == (thing.hidden >= DIFFICULT)
            assert all(mask[edge].any() for edge in (np.s_[top, :], np.s_[bottom - 1, :], np.s_[:, left]))
        if len(scene.things) == 1:  # what differs from the background is the thing, but for its soft edge
            before = np.asarray(cutouts.background(part, 96, np.random.default_rng((7, i))))
            changed = (np.abs(scene.pixels.astype(int) - before) > 12).nonzero()
            seen = (changed[1].min(), changed[0].min(), changed[1].max() + 1, changed[0].max() + 1)
            assert np.abs(np.array(seen) - scene.things[0].box).max() <= 3
            longest = max(right - left, bottom - top)
            assert 0.6 * SIZES[0] * 96 <= longest <= SIZES[1] * 96 * 1.3, "the turning makes corners that are cut again"


def test_the_parts_share_no_coin_and_no_photograph_of_a_wheel() -> None:
    one, other = cutouts._FEW["train"], cutouts._FEW["test"]
    assert not set(one["coin"]) & set(other["coin"]) and one["wheel"][0][0] != other["wheel"][0][0]


def test_difficult_things_are_left_out_of_training(train: BoxedPictures) -> None:
    which = [i for i, true in enumerate(train.truth) if true.difficult.any()]
    assert which, "the rendering has none, and this tests nothing"
    assert all(len(train.truth[i].easy.boxes) == int((~train.truth[i].difficult).sum()) for i in which)


@pytest.mark.parametrize(
    ("data", "says"), [("coco", "stand-in, voc2007, folder:PATH"), ("folder:/nowhere", "must hold")]
)
def test_data_that_there_is_not(data: str, says: str) -> None:
    with pytest.raises(CourseError, match=says):
        load_voc(data, "train")


def test_a_split_that_there_is_not() -> None:
    with pytest.raises(CourseError, match="no split called 'val'"):
        load_voc("stand-in", "val")


def test_a_download_that_fails_says_what_to_do(monkeypatch: pytest.MonkeyPatch) -> None:
    def offline(*_: object, **__: object) -> None:
        raise OSError("no route to host")

    monkeypatch.setattr("torchvision.datasets.voc.download_and_extract_archive", offline)
    with pytest.raises(CourseError, match="no route to host.*run again.*stand-in.*folder:PATH"):
        load_voc("voc2007", "train")


def test_an_annotation_that_is_cut_off(folder: Path, tmp_path: Path) -> None:
    own = render_voc(tmp_path / "own", 96, {"train": 3, "test": 1})
    path = next((own / "VOCdevkit/VOC2007/Annotations").glob("train*"))
    path.write_bytes(path.read_bytes()[:100])
    with pytest.raises(CourseError, match=f"{path.name} is not an annotation"):
        load_voc(f"folder:{own}", "train")


# Judging.

places = st.integers(0, 40)
boxes = st.lists(st.tuples(places, places, st.integers(1, 30), st.integers(1, 30)), min_size=1, max_size=8)


def as_boxes(some: list[tuple[int, ...]]) -> Tensor:
    left, top, width, height = torch.tensor(some, dtype=torch.float32).unbind(1)
    return torch.stack([left, top, left + width, top + height], 1)


@given(boxes, boxes)
@settings(deadline=None)
def test_overlap_is_torchvisions(one: list, other: list) -> None:
    assert torch.allclose(overlap(as_boxes(one), as_boxes(other)), box_iou(as_boxes(one), as_boxes(other)), atol=1e-6)


def test_overlap_by_hand() -> None:
    one = torch.tensor([[0.0, 0, 4, 4]])
    others = torch.tensor([[2.0, 0, 6, 4], [0, 0, 4, 4], [4, 0, 8, 4], [1, 1, 3, 3]])
    assert overlap(one, others)[0].tolist() == pytest.approx([8 / 24, 1, 0, 4 / 16])


@given(st.lists(st.booleans(), min_size=1, max_size=40), st.integers(0, 10))
@settings(deadline=None)
def test_average_precision_is_the_area_under_scikit_learns_best(right: list[bool], never_found: int) -> None:
    scores, positives = -np.arange(len(right), dtype=float), sum(right) + never_found
    ours = average_precision(torch.tensor(right), positives)
    if not any(right):
        assert ours == 0
        return
    precision, recall, _ = precision_recall_curve(right, scores, drop_intermediate=False)  # recall falls
    best = np.maximum.accumulate(precision[:-1])
    # its last point, recall 0, is made up
    area = float((best * -np.diff(recall)).sum()) * sum(right) / positives
    assert ours == pytest.approx(area, abs=1e-9)


def test_average_precision_by_hand() -> None:
    right = torch.tensor([True, False, True, False])
    precision, recall = precision_recall(right, 4)
    assert precision.tolist() == pytest.approx([1, 1 / 2, 2 / 3, 1 / 2]) and recall.tolist() == [0.25, 0.25, 0.5, 0.5]
    assert average_precision(right, 4) == pytest.approx(0.25 + 0.25 * 2 / 3)
    at = torch.tensor([0.0, 0.25, 0.3, 0.5, 0.6])
    assert interpolated(right, 4, at).tolist() == pytest.approx([1, 1, 2 / 3, 2 / 3, 0])


def random_pictures(seed: int, count: int = 30) -> tuple[list[Found], list[Boxes]]:
    """Truth, and detections of which some are near to it, some are not, and some have another class."""
    generator = torch.Generator().manual_seed(seed)
    found, truth = [], []
    for _ in range(count):
        n = int(torch.randint(0, 4, (1,), generator=generator))
        corner = torch.rand(n, 2, generator=generator) * 60
        true = torch.cat([corner, corner + 15 + torch.rand(n, 2, generator=generator) * 20], 1)
        labels = torch.randint(1, 4, (n,), generator=generator)
        near = true + torch.randn(n, 4, generator=generator) * 3
        corner = torch.rand(3, 2, generator=generator) * 60
        every = torch.cat([near, torch.cat([corner, corner + 25], 1), near + 1])
        said = torch.cat([labels, torch.randint(1, 4, (3,), generator=generator), labels])
        found.append(Found(every, said, torch.rand(len(every), generator=generator)))
        truth.append(Boxes(true, labels, torch.zeros(n, dtype=torch.bool)))
    return found, truth


@pytest.mark.parametrize("seed", range(4))
def test_precisions_are_torchmetrics(seed: int) -> None:
    need("torchmetrics"), need("pycocotools")
    found, truth = random_pictures(seed)
    ours, theirs = (each(found, truth, ("a", "b", "c")) for each in (by_all_recalls, by_torchmetrics))
    assert ours.by_class.keys() == theirs.by_class.keys()
    assert ours.mean == pytest.approx(theirs.mean, abs=0.02), "101 recalls instead of all"
    assert 0.1 < ours.mean < 0.95


@pytest.mark.parametrize("way", [by_all_recalls, by_torchmetrics])
def test_a_perfect_detector_has_1_and_an_empty_one_0(way: object, test: BoxedPictures) -> None:
    if way is by_torchmetrics:
        need("torchmetrics"), need("pycocotools")
    perfect = [Found(true.boxes, true.labels, torch.ones(len(true.labels))) for true in test.truth]
    empty = [Found(torch.empty(0, 4), torch.empty(0, dtype=torch.int64), torch.empty(0)) for _ in test.truth]
    best = way(perfect, test.truth, test.classes)
    assert best.mean == pytest.approx(1) and set(best.by_class) == set(CLASSES)
    assert way(empty, test.truth, test.classes).mean == 0
    with pytest.raises(ValueError, match="longer|same length"):
        way(perfect[:3], test.truth, test.classes)


def test_a_second_box_on_a_thing_is_wrong_and_one_on_a_difficult_thing_is_neither() -> None:
    true = Boxes(as_boxes([(0, 0, 10, 10), (30, 0, 10, 10)]), torch.tensor([1, 1]), torch.tensor([False, True]))
    said = Found(
        as_boxes([(0, 0, 10, 9), (0, 0, 10, 10), (30, 0, 10, 10), (60, 0, 5, 5), (0, 0, 10, 10)]),
        torch.tensor([1, 1, 1, 1, 2]),
        torch.tensor([0.6, 0.9, 0.8, 0.7, 0.99]),
    )
    assert judge_picture(said, true).tolist() == [0, 1, -1, 0, 0]
    judged = judge([said], [true], 1)
    assert judged.right.tolist() == [True, False, False] and judged.positives == 1


# The detector.


def detector(frozen: int, seed: int = 0) -> Detector:
    return Detector(trunk(seed), CLASSES, replace(DETECTORS["quick"], frozen=frozen))


@pytest.mark.parametrize("frozen", [0, 3, 5])
def test_frozen_layers_do_not_move_and_the_others_do(frozen: int, train: BoxedPictures) -> None:
    one = detector(frozen)
    one.settle(train)
    before = copy.deepcopy(one.trunk.state_dict())
    fit(one, train, Recipe(3, 2, 0.02), shown=False)
    changed = {key for key, value in one.trunk.state_dict().items() if not torch.equal(before[key], value)}
    assert {key.split(".")[0] for key in changed} == set(LAYERS[frozen:])
    assert not any("running" in key for key in changed), "BatchNorm learns no statistics on the way"


def test_settling_makes_answers_equally_strong(train: BoxedPictures) -> None:
    one = detector(5)
    one.settle(train)
    images = one.network.transform([train.picture(i) / 255 for i in range(16)])[0].tensors
    answers = {}
    for layer in LAYERS:
        getattr(one.trunk, layer)[1].register_forward_hook(lambda *given: answers.update({given[0]: given[2].clone()}))
    one.network.backbone(images)
    assert len(answers) == len(LAYERS) and all(0.75 < answer.std() < 1.25 for answer in answers.values())


def test_mirrored_boxes_lie_on_the_mirror_image(train: BoxedPictures) -> None:
    image, box = torch.zeros(1, 20, 30), torch.tensor([[3.0, 5, 10, 9]])
    image[:, 5:9, 3:10] = 1
    left, top, right, bottom = mirrored(box, 30)[0].long().tolist()
    assert image.flip(2)[:, top:bottom, left:right].min() == 1 and image.sum() == (right - left) * (bottom - top)


def test_a_loss_depends_on_seed_and_example_alone(train: BoxedPictures) -> None:
    one = detector(5).train()
    batch = Batch(torch.tensor([3, 8]), 0, 5, 10)
    first = one.loss(train, batch)
    torch.rand(7)
    assert all(torch.equal(value, again) for value, again in zip(first, one.loss(train, batch)))
    state = torch.get_rng_state()
    one.loss(train, batch)
    assert torch.equal(state, torch.get_rng_state())


def test_a_training_that_was_stopped_goes_on_to_the_same_end(
    course: Course, train: BoxedPictures, test: BoxedPictures, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    whole, _ = train_detector("net", trunk(), train, course, steps=5)
    monkeypatch.setenv("COURSE_RUNS", str(tmp_path / "other"))
    with tiny.stopped_at(Detector, 3):
        half, history = train_detector("net", trunk(), train, course, steps=5)
    assert history.stopped == 2 and len(half.detect(test)) == 20
    again, history = train_detector("net", trunk(), train, course, steps=5)
    assert len(history.loss) == 5 and history.stopped is None
    assert all(torch.equal(value, again.state_dict()[key]) for key, value in whole.state_dict().items())
    monkeypatch.setattr(Detector, "draw", None)  # it is kept: nothing is trained
    assert torch.equal(train_detector("net", trunk(), train, course, steps=5)[1].loss, history.loss)


@pytest.mark.full
def test_a_short_training_finds_things(course: Course, tmp_path: Path) -> None:
    """An untrained trunk, all frozen: the hardest of the three that notebook 11 compares."""
    root = render_voc(tmp_path / "set", 96, voc.PICTURES | {"test": 60})
    train, test = (load_voc(f"folder:{root}", split) for split in ("train", "test"))
    one, history = train_detector("random", trunk(course.seed), train, course)
    assert history.loss[-10:].mean() < 0.6 * history.loss[:10].mean()
    found = one.detect(test)
    assert by_all_recalls(found, test.truth, test.classes).mean > FLOOR


# The pictures.


def test_pictures_say_what_the_data_says(test: BoxedPictures) -> None:
    perfect = [Found(true.boxes, true.labels, torch.ones(len(true.labels))) for true in test.truth]
    empty = [Found(*(part[:0] for part in one)) for one in perfect]
    doubled = [Found(*(torch.cat([part, part]) for part in one)) for one in perfect]
    found = {"rotnet": perfect, "random": empty, "supervised": doubled}
    things = sum(len(test.truth[i].easy.boxes) for i in (0, 2))
    picture = side_by_side(test, found, [0, 2], "Some")
    assert f"rotnet {things} right, 0 wrong, 0 missed" in picture.caption
    assert f"random 0 right, 0 wrong, {things} missed" in picture.caption
    assert f"supervised {things} right, {things} wrong, 0 missed" in picture.caption
    assert len(picture.image.axes) == 8 and picture.png()[:4] == b"\x89PNG"
    curves = precision_over_recall(test, found, "All")
    assert "rotnet 1.00" in curves.caption and "random 0.00" in curves.caption and "mean of cat, coin" in curves.caption


def test_pictures_and_objects_of_any_kind_can_be_trained_on(course: Course, tmp_path: Path) -> None:
    """As in VOC 2007: pictures of several sizes, one without a thing, parts in objects, no word about difficulty."""
    root = render_voc(tmp_path / "set", 96, {"train": 4, "test": 1})
    base = root / "VOCdevkit/VOC2007"
    first, second, *_ = sorted((base / "Annotations").glob("train*"))
    first.write_text("<annotation><size><width>96</width></size></annotation>")
    part = "<part><name>ear</name><bndbox><xmin>3</xmin></bndbox></part>"
    box = "<bndbox><xmin>10</xmin><ymin>21.5</ymin><xmax>30</xmax><ymax>60</ymax></bndbox>"
    second.write_text(f"<annotation><object><name>cat</name>{part}{box}</object></annotation>")
    path = base / "JPEGImages" / f"{second.stem}.jpg"
    Image.open(path).resize((150, 80)).convert("L").save(path)
    train = load_voc(f"folder:{root}", "train")
    assert train.truth[0].boxes.shape == (0, 4) and train.truth[1].boxes.tolist() == [[9, 20.5, 30, 60]]
    assert train.picture(1).shape == (3, 80, 150) and not train.truth[1].difficult.any()
    one, history = train_detector("net", trunk(), train, course, steps=3)
    assert history.loss.isfinite().all() and len(one.detect(train)) == 4


def test_on_a_cpu_channels_come_first(train: BoxedPictures, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("course_lib.training.steps.arithmetic_of", lambda *_: tiny.Arithmetic(channels_last=True))
    one, loss = detector(2), Detector.loss

    def looked_at(self: Detector, *rest: object) -> tuple[Tensor, Tensor]:
        assert all(weight.is_contiguous() for weight in self.parameters())
        return loss(self, *rest)

    monkeypatch.setattr(Detector, "loss", looked_at)
    assert fit(one, train, Recipe(2, 2, 0.01), shown=False).loss.isfinite().all()


def test_true_boxes_are_told(test: BoxedPictures) -> None:
    picture = true_boxes(test, (0, 1), "Two")
    for i in (0, 1):
        assert ", ".join(test.classes[label - 1] for label in test.truth[i].labels.tolist()) in picture.caption
    assert picture.png().startswith(b"\x89PNG")


def test_where_torchmetrics_is_missing_the_courses_own_count_is_taken(
    test: BoxedPictures, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    found = [Found(one.boxes, one.labels, torch.ones(len(one.labels))) for one in test.truth]
    assert mean_average_precision(found, test.truth, test.classes).mean == pytest.approx(1, abs=0.01)
    assert capsys.readouterr().out == ""
    monkeypatch.setitem(sys.modules, "torchmetrics.detection", None)
    assert mean_average_precision(found, test.truth, test.classes) == by_all_recalls(found, test.truth, test.classes)
    said = capsys.readouterr().out
    assert "pip install torchmetrics pycocotools" in said and "the course's own count" in said
