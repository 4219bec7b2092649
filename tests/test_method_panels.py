"""The panels over trained methods: what they show at all corners of their sliders, and that sliders move them."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import tiny
import torch
from sklearn.linear_model import Ridge

from course_lib.data.datasets import CropDataset
from course_lib.data.labelled import photos10
from course_lib.evidence.films import Film
from course_lib.lessons.first_layers import explore_films, films_panel
from course_lib.lessons.methods import (
    explore_codes,
    explore_groups,
    explore_turns,
    groups_panel,
    some_codes,
    tilted,
    turn_panel,
    walk_panel,
)
from course_lib.lessons.probing import Preview, explore_probes, preview_panel, ridge
from course_lib.networks.alexnet import LAYERS
from course_lib.pictures.charts import bar_chart, training_picture
from course_lib.pictures.panel import Panel
from course_lib.pretext.bigan import BiGAN
from course_lib.pretext.clustering import whiten
from course_lib.pretext.rotnet import RotNet, four_turns
from course_lib.probes.features import POOLINGS


@pytest.fixture(scope="module")
def crops() -> CropDataset:
    return tiny.crops()


@pytest.fixture(scope="module")
def rotnet() -> RotNet:
    return tiny.method("rotnet").eval()


@pytest.fixture(scope="module")
def bigan() -> BiGAN:
    return tiny.method("bigan").eval()


@pytest.mark.parametrize("k", range(4))
def test_a_crop_turned_by_whole_quarters_is_rotnets(k: int, crops: CropDataset) -> None:
    turned = crops.render(tilted(crops.crops[:3], 90.0 * k))
    assert (turned - four_turns(crops[:3])[3 * k : 3 * k + 3]).abs().max() < 1e-3


@pytest.mark.parametrize("angle", [-170, -45, 10, 45, 130])
def test_a_tilted_crop_stays_inside_where_it_was(angle: int, crops: CropDataset) -> None:
    outer, inner = crops.crops[:50], tilted(crops.crops[:50], angle)
    places = torch.linalg.solve(outer.affine[:, :, :2], (inner.corners - outer.affine[:, None, :, 2]).mT)
    assert places.abs().max() <= 0.5 + 1e-4


def test_the_panel_of_turns(rotnet: RotNet, crops: CropDataset) -> None:
    shapes = set()
    for angle in (-180, -50, 0, 95, 180):
        pixels, words = turn_panel(rotnet, crops, 3, angle)
        shapes.add(pixels.shape)
        assert pixels.dtype == np.uint8 and f"Turned by {angle} degrees: the network says " in words
    assert len(shapes) == 1


def test_the_panel_of_groups_shows_members_of_one_group_in_a_row(crops: CropDataset) -> None:
    """Two kinds of pictures, black and white ones: no row may hold both."""
    images = torch.cat([torch.full((30, 3, 32, 32), -1.0), torch.full((50, 3, 32, 32), 0.6)])
    features = whiten(images.flatten(1)[:, :8] + 0.01 * torch.randn(80, 8), 1)
    pixels, words = groups_panel(images, features, 2)
    rows = pixels[: 2 * 68].reshape(2, 68, -1, 3)[:, 10, 10::68].max(-1)
    assert rows[0].tolist() == [204] * 12 and rows[1].tolist() == [0] * 12, "the larger group comes first"
    assert "the 2 largest with 50 to 30 crops each" in words
    shapes = {groups_panel(crops[:60], whiten(torch.randn(60, 20)), k)[0].shape for k in (2, 7, 60, 200)}
    assert len(shapes) == 1


def test_a_walk_begins_and_ends_at_its_codes(bigan: BiGAN, crops: CropDataset) -> None:
    begin, end = some_codes(bigan, crops, "random codes", 0)
    first, last = (walk_panel(bigan, begin, end, share)[0] for share in (0.0, 1.0))
    assert np.array_equal(first[:64, :64], last[:64, :64]), "the upper row stays"
    assert np.array_equal(first[68:132, :64], first[:64, :64]) and np.array_equal(last[68:132, :64], last[:64, -64:])
    assert not torch.equal(*some_codes(bigan, crops, "codes of crops", 0))


def slide(panel: Panel) -> None:
    """Every control to its ends: each must change the picture or the words, and complain of nothing."""
    for control in panel.box.children[0].children:
        ends = control.options if hasattr(control, "options") else (control.max, control.min)
        ends = [control.base**end for end in ends] if hasattr(control, "base") else ends  # of a logarithmic slider
        seen = set()
        for value in ends:
            control.value = value
            assert "<b>" not in panel.words.value, panel.words.value
            seen.add((panel.image.value, panel.words.value))
        assert len(seen) == len(ends), f"{control.description} moves nothing"


def test_every_slider_moves_its_picture(rotnet: RotNet, bigan: BiGAN, crops: CropDataset) -> None:
    turns = explore_turns(rotnet, crops)
    turns.box.children[0].children[1].value = 45
    slide(turns)
    slide(explore_groups(crops[:80], whiten(torch.randn(80, 20)), 10))
    codes = explore_codes(bigan, crops)
    codes.box.children[0].children[1].value = 0.5
    slide(codes)


@pytest.mark.parametrize("name", ["rotnet", "deepcluster", "bigan"])
def test_the_live_picture_shows_what_a_method_does(name: str, crops: CropDataset) -> None:
    method = tiny.method(name).eval()
    if name == "deepcluster":
        assert method.shown(crops) is None, "before the first round there are no groups"
        method.set_labels(torch.arange(120) % 3)
    with torch.no_grad():
        shown = method.shown(crops)
    assert len(shown.images) == shown.columns * len(shown.rows)
    numbers = torch.rand(5)
    picture = training_picture(name, numbers, numbers, 10, torch.randn(8, 3, 5, 5), shown, "9 crops a second")
    assert shown.rows[0] in picture.caption and "9 crops a second" in picture.caption
    assert picture.png().startswith(b"\x89PNG")


def test_bars_say_their_numbers() -> None:
    picture = bar_chart({"a": 0.5, "b": 1.0}, "Shares", 0.25, "guessing")
    assert picture.caption == "Shares: a 0.50, b 1.00; the line is guessing, 0.25"
    assert picture.png().startswith(b"\x89PNG")


@pytest.fixture(scope="module")
def preview() -> Preview:
    trunks = {"random": tiny.method("rotnet").trunk, "another": tiny.method("rotnet", seed=1).trunk}
    return Preview({name: trunk.eval() for name, trunk in trunks.items()}, photos10(32, 300, 200), 200)


def test_a_preview_is_scikit_learns_ridge() -> None:
    """In both forms: fewer pictures than features, and more."""
    for n, f in ((60, 90), (200, 30)):
        x = torch.randn(n, f, generator=torch.Generator().manual_seed(n)).double()
        x, y = x - x.mean(0), torch.arange(n) % 4
        ours = ridge(x, y, 4, 0.3)
        theirs = Ridge(alpha=0.3 * n).fit(x.numpy(), torch.nn.functional.one_hot(y).double().numpy())
        assert np.allclose(ours[:-1].T, theirs.coef_, atol=1e-8) and np.allclose(ours[-1], theirs.intercept_)


def test_a_preview_ranks_as_the_probe_does_and_tells_of_few_labels(preview: Preview) -> None:
    assert preview.accuracy("random", "conv2") > 0.2, "guessing is a tenth"
    assert preview.accuracy("random", "conv2", labels=20) < preview.accuracy("random", "conv2")


def test_a_preview_computes_features_once(preview: Preview, monkeypatch: pytest.MonkeyPatch) -> None:
    for pooling in POOLINGS:
        preview.accuracy("random", "conv1", pooling)
    monkeypatch.setattr("course_lib.lessons.probing.pooled_features", None)
    assert 0 < preview.accuracy("random", "conv5", "average", 40) < 1


def test_a_slider_costs_one_small_solve_a_network(preview: Preview, monkeypatch: pytest.MonkeyPatch) -> None:
    """No features, no probe, and a system no larger than the fewer of pictures and features: that is what a move of a
    slider takes, on any machine."""
    preview_panel(preview, "conv1", "max", 300)
    solved, sides = 0, []

    def counted(x: torch.Tensor, *rest: object) -> torch.Tensor:
        nonlocal solved
        solved += 1
        sides.append(min(x.shape))
        return ridge(x, *rest)

    monkeypatch.setattr("course_lib.lessons.probing.ridge", counted)
    monkeypatch.setattr("course_lib.lessons.probing.pooled_features", None)
    monkeypatch.setattr("course_lib.probes.classifier.logistic_regression", None)
    for moves, labels in enumerate((20, 40, 299), 1):
        preview_panel(preview, "conv4", "max", labels)
        assert solved == moves * len(preview.networks)
    assert sides[:4] == [20, 20, 40, 40] and max(sides) <= 200, "with 200 numbers a layer"


def test_networks_of_several_methods_and_n_stand_beside_each_other() -> None:
    """Method and N are chosen by the names that are given; a long one must not run out of the picture."""
    trunk = tiny.method("rotnet").trunk.eval()
    names = ["random", "rotnet, N = 1", "rotnet, N = 10", "deepcluster, N = 1,000"]
    preview = Preview(dict.fromkeys(names, trunk), photos10(32, 60, 40), 50)
    pixels, words = preview_panel(preview, "conv1", "max", 40)
    assert all(f"{name} " in words for name in names)
    assert (pixels[:, :4] == 255).all(), "no name touches the left edge"
    rows = [pixels[8 + 34 * i : 34 + 34 * i, :162] for i in range(len(names))]
    assert all((row < 128).any() for row in rows)


def test_the_first_labels_are_of_every_class(preview: Preview) -> None:
    """Also of a folder, whose pictures lie class by class."""
    data = photos10(32, 100, 40)
    order = data.train_labels.argsort(stable=True)
    ordered = replace(data, train_images=data.train_images[order], train_labels=data.train_labels[order])
    assert len(Preview(preview.networks, ordered, 50).data.train_labels[:40].unique()) > 7


def test_the_panel_of_probes(preview: Preview) -> None:
    shapes = {
        preview_panel(preview, layer, pool, n)[0].shape for layer in LAYERS for pool in POOLINGS for n in (20, 300)
    }
    assert len(shapes) == 1
    words = preview_panel(preview, "conv3", "average", 40)[1]
    assert words.startswith("Preview of conv3 with 40 labels, average pooling: random ")
    slide(explore_probes(preview, 200))


def films(k: int = 5) -> list[Film]:
    """Two methods that begin alike, one of them on few and on many pictures, and a still of slopes."""
    draws = torch.Generator().manual_seed(0)
    start = torch.randn(1, 16, 3, k, k, generator=draws)
    grown = [torch.cat([start, torch.randn(3, 16, 3, k, k, generator=draws)]) for _ in range(3)]
    steps = torch.tensor([0, 1, 4, 9])
    found = [Film("rotnet", n, source, grown[i], steps) for i, (n, source) in enumerate([(1, "china"), (10, "kilo")])]
    return [*found, Film("bigan", 1, "china", grown[2], steps * 10), Film("PCA", 0, "", start[:, :, :2], steps[:1])]


@pytest.mark.parametrize("k", [5, 11])
def test_two_networks_stand_side_by_side(k: int) -> None:
    rotnet, _, bigan, pca = films(k)
    pictures = {share: films_panel(rotnet, bigan, share) for share in (0.0, 0.4, 1.0)}
    assert len({pixels.shape for pixels, _ in pictures.values()}) == 1
    words = pictures[1.0][1]
    assert words.startswith("Left, rotnet (N = 1, china) at step 9: ")
    assert "right, bigan (N = 1, china) at step 90: " in words and words.count("directions") == 2
    assert "Their match is 1.00, and was 1.00 before the first step." in pictures[0.0][1], "they begin alike"
    assert "match is 1.00" not in words and "was 1.00 before" in words
    pixels, words = films_panel(rotnet, pca, 1.0)
    assert pixels.shape == pictures[0.0][0].shape and words.endswith("cannot be matched.")


def test_films_have_one_new_picture_a_move() -> None:
    panel, drawn = explore_films(films()), []
    panel.image.observe(drawn.append, "value")
    (left, left_on), (right, _), (_, slider) = (row.children for row in panel.box.children[:3])
    assert (left.value, right.value, slider.value) == ("rotnet", "PCA", 3)
    moves = [(left, "bigan"), (left, "rotnet"), (left_on, "N = 10, kilo"), (right, "rotnet"), (slider, 0), (slider, 1)]
    for count, (control, value) in enumerate([*moves, (right, "PCA"), (left, "bigan")], 1):
        control.value = value
        assert len(drawn) == count and "<b>" not in panel.words.value, (control.description, value)
    assert "Left, bigan (N = 1, china)" in panel.words.value and "right, PCA (no pictures)" in panel.words.value


def test_another_method_keeps_the_pictures_where_it_has_them() -> None:
    (left, left_on), (right, _), _ = (row.children for row in explore_films(films()).box.children[:3])
    left_on.value = "N = 10, kilo"
    left.value = "bigan"
    assert left_on.options == left_on.options[:1] == ("N = 1, china",) and left_on.value == "N = 1, china"
    left.value = "rotnet"
    assert left_on.value == "N = 1, china" and "N = 10, kilo" in left_on.options
    assert right.value == "PCA", "the other side stays"


def test_one_film_can_be_looked_at_alone() -> None:
    panel = explore_films(films()[:1])
    assert "Left, rotnet" in panel.words.value and "right, rotnet" in panel.words.value
