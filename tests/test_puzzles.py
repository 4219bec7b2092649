"""Puzzles: orders far apart, tiles against an independent oracle, short cuts, and the methods that are made of them."""

from __future__ import annotations

import math
from dataclasses import replace

import numpy as np
import pytest
import tiny
import torch
import torch.nn.functional as F
from test_panels import ends, sliders
from torch import Tensor

from course_lib.data.crops import CropScheme
from course_lib.data.datasets import CropDataset
from course_lib.data.sources import Source, generate
from course_lib.lessons.puzzles import (
    SOLVERS,
    by_edges,
    distances_picture,
    explore_puzzle,
    puzzle_panel,
    seams,
    solved,
    through_lens,
)
from course_lib.networks.alexnet import LAYERS
from course_lib.networks.trunk import conv1_filters
from course_lib.pretext import puzzles
from course_lib.pretext.jigsaw import Jigsaw
from course_lib.pretext.jigsaw_resnet50 import JigsawResNet50
from course_lib.pretext.method import Batch, Recipe
from course_lib.pretext.pirl import BANK, NUMBERS, PIRL, moved, nce
from course_lib.pretext.puzzles import DRAWS, TRICKS, Tricks, assemble, cut, deal, normalise, permutations, spread_out
from course_lib.profiles import PROFILES, Course
from course_lib.training.arithmetic import Arithmetic
from course_lib.training.loop import fit
from course_lib.training.trained import is_trained, pretrain

BARE = TRICKS["none"]
UPRIGHT = CropScheme(beta=0.3, alpha=0, flip=0, jitter=0)


@pytest.fixture(scope="module")
def crops() -> CropDataset:
    return tiny.crops()


@pytest.fixture(scope="module")
def orders() -> Tensor:
    return permutations(60)


def draws(n: int, seed: int = 0) -> Tensor:
    return Batch(torch.arange(n), seed, 0, 0).uniform(DRAWS)


def batch(n: int = 16, step: int = 1) -> Batch:
    return Batch(torch.arange(n), 0, step, step * n)


# Orders


def test_orders_are_distinct_and_farther_apart_than_random_ones(orders: Tensor) -> None:
    assert torch.equal(orders.sort(1).values, torch.arange(9).expand(60, 9))
    assert len(orders.unique(dim=0)) == 60
    apart = torch.pdist(orders.float(), p=0)
    for seed in range(5):
        rng = np.random.default_rng(seed)
        random = torch.from_numpy(np.stack([rng.permutation(9) for _ in range(60)]))
        others = torch.pdist(random.float(), p=0)
        assert apart.min() >= others.min() + 2 and apart.mean() > others.mean()


def test_a_longer_list_begins_with_the_shorter_one_and_a_list_is_its_askers_own() -> None:
    first = permutations(4)
    assert torch.equal(permutations(7)[:4], first)
    first.zero_()
    assert permutations(4).any(), "what is changed is no list that others get"


@pytest.mark.parametrize("count", [0, 362_881])
def test_a_number_of_orders_that_cannot_be(count: int) -> None:
    with pytest.raises(ValueError, match=f"1 to 362880 orders of nine tiles, got {count}"):
        permutations(count)


def test_each_choice_is_the_farthest_that_there_is() -> None:
    """Against the definition, at every step."""
    candidates = torch.stack([torch.randperm(9, generator=torch.Generator().manual_seed(i)) for i in range(80)])
    chosen = spread_out(candidates, 8).tolist()
    assert chosen[0] == 0
    for k in range(1, 8):
        least = [min(int((candidates[i] != candidates[j]).sum()) for j in chosen[:k]) for i in range(80)]
        assert least[chosen[k]] == max(least)


def test_distances_are_of_all_pairs() -> None:
    few = torch.tensor([[*range(9)], [0, 2, 1, *range(3, 9)], [2, 0, 1, *range(3, 9)]])
    assert "2 at least, 2.33 on average" in distances_picture({"few": few}).caption


# Tiles


def test_without_tricks_the_tiles_are_the_crop_cut_up(crops: CropDataset) -> None:
    some = crops.crops[:12]
    whole = crops.render(some, 48)
    assert (assemble(cut(crops, some, 16, BARE, draws(12))) - whole).abs().max() < 2e-3


def test_with_a_gap_they_are_the_inside_of_its_cells() -> None:
    """An oracle of its own: the whole crop rendered, and pixels taken out. A cell of 20 pixels leaves 16 for a tile."""
    data = CropDataset(tiny.crops().source, UPRIGHT, d=8, side=32)
    whole = data.render(data.crops, 60)
    cells = whole.unfold(2, 20, 20).unfold(3, 20, 20)[..., 2:18, 2:18]  # (n, 3, 3, 3, 16, 16): channel, row, column
    expected = cells.permute(0, 2, 3, 1, 4, 5).flatten(1, 2)
    tiles = cut(data, data.crops, 16, replace(BARE, gap=0.2), draws(8))
    assert (tiles - expected).abs().max() < 2e-3


def test_jitter_moves_tiles_within_their_cells(crops: CropDataset) -> None:
    some, tricks = crops.crops[:50], replace(BARE, gap=0.25, jitter=1.0)
    still, other = (cut(crops, some, 16, replace(tricks, jitter=j), draws(50)) for j in (0.0, 1.0))
    assert not torch.allclose(still, other, atol=0.05)
    places = (draws(50)[:, :18] + 1) / 2
    tiles = some.tiles(3, 0.25, places.view(50, 9, 2))
    cells = some.tiles(3, 0.0, places.view(50, 9, 2))
    inverse = torch.linalg.inv(cells.affine[:, :, :2].double())
    inside = (tiles.corners.double() - cells.affine[:, None, :, 2]) @ inverse.mT
    assert inside.abs().max() <= 0.5 + 1e-4


def test_a_share_of_the_puzzles_is_grey(crops: CropDataset) -> None:
    tiles = cut(crops, crops.crops, 8, replace(BARE, grey=0.3), draws(200))
    grey = (tiles - tiles.mean(2, keepdim=True)).abs().amax((1, 2, 3, 4)) < 0.01
    assert 0.2 < grey.float().mean() < 0.4
    shifted = cut(crops, crops.crops, 8, replace(BARE, grey=1.0, shift=2, gap=0.25), draws(200))
    assert (shifted - shifted.mean(2, keepdim=True)).abs().max() < 0.01, "a grey picture gets no seams"


def test_channels_are_shifted_each_by_itself(crops: CropDataset) -> None:
    large = crops.render(crops.crops[:5], 20)
    steps = torch.randint(0, 5, (5, 3, 2))
    cut_out = puzzles.shifted(large, steps, 16)
    for i in range(5):
        for channel in range(3):
            y, x = steps[i, channel].tolist()
            assert torch.equal(cut_out[i, channel], large[i, channel, y : y + 16, x : x + 16])


def test_a_normalised_tile_has_no_mean_and_a_flat_one_stays_flat() -> None:
    tiles = torch.randn(5, 3, 8, 8) * 0.2 + 0.4
    tiles[3, 1] = 0.7
    done = normalise(tiles)
    assert done.mean((2, 3)).abs().max() < 1e-5 and done[3, 1].abs().max() < 1e-5
    rest = done.std((2, 3), correction=0).flatten()
    assert (rest[rest > 0.5] - 1).abs().max() < 1e-4 and int((rest > 0.5).sum()) == 14


def test_what_is_dealt_can_be_put_back(crops: CropDataset, orders: Tensor) -> None:
    tiles = cut(crops, crops.crops[:20], 16, TRICKS["paper"], draws(20))
    dealt = deal(tiles, orders[:20])
    assert torch.equal(dealt[3, 5], tiles[3, orders[3, 5]])
    assert torch.equal(deal(dealt, orders[:20].argsort(1)), tiles)


@pytest.mark.parametrize("wrong", [{"gap": 1.0}, {"gap": -0.1}, {"jitter": 1.5}, {"grey": -1}, {"shift": -1}])
def test_tricks_that_cannot_be_are_refused(wrong: dict[str, float]) -> None:
    with pytest.raises(ValueError, match="must lie in"):
        Tricks(**wrong)


# Short cuts


def test_without_tricks_edges_solve_every_puzzle_and_with_them_hardly_any(crops: CropDataset, orders: Tensor) -> None:
    bare, full = (solved(crops, orders, 16, TRICKS[name], 200) for name in ("none", "paper"))
    assert bare["edges that run on"] > 0.9 and full["edges that run on"] < 0.35
    released = solved(crops, orders, 16, TRICKS["released code"], 200)
    assert released["edges that run on"] > full["edges that run on"] + 0.1


def test_brightness_gives_a_slope_away_until_it_is_normalised(orders: Tensor) -> None:
    """A photograph that grows brighter to the right, and a little downwards, so that no two tiles are alike."""
    slope = torch.arange(300.0)[None, :] * 0.6 + torch.arange(200.0)[:, None] * 0.1
    data = CropDataset(Source.from_images([slope.expand(3, 200, 300).byte()], "slope"), UPRIGHT, d=60, side=32)
    normalised = solved(data, orders, 16, replace(BARE, gap=0.2, normalise=True), 60)
    named = "mean and spread of a tile"
    assert solved(data, orders, 16, replace(BARE, gap=0.2), 60)[named] > normalised[named] + 0.2


def test_a_lens_leaves_seams_that_point_outwards_and_a_shift_hides_them(orders: Tensor) -> None:
    leaves = generate("dead_leaves", 640, 427).float().mean(0).byte().expand(3, 427, 640)
    lens, plain = (Source.from_images([through_lens(leaves, strength)], "lens") for strength in (0.01, 0.0))
    scheme = CropScheme(beta=0.6, alpha=0, flip=0, jitter=0)
    with_lens, without = (CropDataset(source, scheme, d=100, side=32) for source in (lens, plain))
    name, gap = "coloured seams", replace(BARE, gap=0.25)
    assert solved(with_lens, orders, 32, gap, 100)[name] > 0.8
    assert solved(without, orders, 32, gap, 100)[name] < 0.2
    assert solved(with_lens, orders, 32, replace(gap, shift=2), 100)[name] < 0.4


def test_seams_are_measured_in_pixels() -> None:
    y, x = torch.meshgrid(torch.arange(40.0), torch.arange(40.0), indexing="ij")
    wave = lambda dx, dy: 0.3 * ((x - dx) / 6).sin() + 0.3 * ((y - dy) / 5).cos()  # noqa: E731
    tile = torch.stack([wave(0.25, -0.1), wave(0, 0), wave(-0.25, 0.1)])
    assert torch.allclose(seams(tile[None, None])[0, 0], torch.tensor([0.5, -0.2]), atol=0.03)


def test_a_solver_scores_every_order_and_needs_no_place(orders: Tensor) -> None:
    """Tiles all alike fit in any order."""
    for solve in SOLVERS.values():
        assert solve(torch.ones(4, 9, 3, 8, 8), orders).std() < 1e-5
    assert by_edges(torch.rand(4, 9, 3, 8, 8), orders).shape == (4, 60)


# Jigsaw


def test_jigsaw_sees_the_tiles_one_by_one_and_their_order_at_the_head(crops: CropDataset) -> None:
    method = tiny.method("jigsaw").eval()
    tiles, which = method.puzzles(crops, batch())
    assert tiles.shape == (16, 9, 3, 16, 16) and which.min() >= 0 and which.max() < 10
    alone = method.tell(method.trunk(tiles[:, 4]))
    together = method.tell(method.trunk(tiles.flatten(0, 1))).view(16, 9, -1)[:, 4]
    assert torch.allclose(alone, together, atol=1e-4)
    method.train()  # by the batch's own statistics; those of an untrained network would flatten all answers
    assert not torch.allclose(method(tiles), method(tiles.flip(1)), atol=0.05)


def test_every_order_is_dealt_equally_often(crops: CropDataset) -> None:
    index = torch.arange(200).repeat(10)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("course_lib.pretext.jigsaw.cut", lambda *_: None)
        _, which = tiny.method("jigsaw").puzzles(crops, Batch(index, 0, 0, 0))
    assert torch.bincount(which, minlength=10).min() > 150


def test_jigsaw_learns_its_task() -> None:
    sky = torch.linspace(255, 0, 160)[:, None].expand(3, 160, 200).byte()  # above is light and below is dark
    leaves = generate("dead_leaves", 200, 160)
    data = CropDataset(Source.from_images([(0.7 * sky + 0.3 * leaves).byte()], "sky"), UPRIGHT, d=300, side=32)
    method = tiny.method("jigsaw")
    method.tricks = BARE
    history = fit(method, data, Recipe(40, 16, 0.05))
    assert history.accuracy[-8:].mean() > history.accuracy[:8].mean() + 0.2


def test_what_jigsaw_shows(crops: CropDataset) -> None:
    with torch.no_grad():
        shown = tiny.method("jigsaw").eval().shown(crops)
    assert shown.images.shape == (24, 3, 48, 48) and shown.columns == 12 and "of 12" in shown.rows[1]


@pytest.mark.parametrize("name", ["jigsaw", "pirl"])
def test_both_are_built_at_quick(name: str, crops: CropDataset) -> None:
    course = Course(PROFILES["quick"], 0, torch.device("cpu"))
    assert not is_trained(name, course, crops, 2)
    trained = pretrain(name, course, crops, steps=2)
    assert len(trained.history.loss) == 2 and is_trained(name, course, crops, 2)
    assert pretrain(name, course, crops, steps=2).loaded


def test_jigsaw_with_a_resnet_takes_a_step_at_quick(crops: CropDataset, monkeypatch: pytest.MonkeyPatch) -> None:
    """In plain arithmetic: a trial of each, with a network of this size, takes minutes on a CPU."""
    monkeypatch.setattr("course_lib.training.steps.arithmetic_of", lambda *_: Arithmetic())
    monkeypatch.setattr("course_lib.pretext.jigsaw_resnet50.permutations", lambda _: tiny.ORDERS)
    torch.manual_seed(0)
    method = JigsawResNet50.build(PROFILES["quick"], crops)
    before = conv1_filters(method.trunk).clone()
    history = fit(method, crops, Recipe(1, 2, 0.1), shown=False)
    assert history.loss.isfinite().all() and not torch.equal(conv1_filters(method.trunk), before)
    assert set(JigsawResNet50.RECIPES) == {"standard", "paper"}


def test_the_resnets_stages_stand_beside_alexnets_layers(crops: CropDataset, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("course_lib.pretext.jigsaw_resnet50.permutations", lambda _: tiny.ORDERS)
    trunk = JigsawResNet50.build(PROFILES["quick"], crops).trunk.eval()
    maps = trunk.features(torch.randn(2, 3, 32, 32))
    assert trunk.layers == LAYERS and [maps[layer].shape[1] for layer in LAYERS] == [64, 256, 512, 1024, 2048]


# PIRL


def test_nce_is_its_formula() -> None:
    """By the chances themselves, in float64: h = P / (P + m / N), with P = exp(s) / Z."""
    rows, m, log_z = 50, 7, 4.2
    near, far = torch.randn(5, dtype=torch.float64), torch.randn(5, m, dtype=torch.float64)
    chance = lambda s: (s.exp() / math.exp(log_z)) / ((s.exp() / math.exp(log_z)) + m / rows)  # noqa: E731
    expected = (-chance(near).log() - (1 - chance(far)).log().sum(1)).mean()
    offset = log_z + math.log(m / rows)
    assert float(nce(near, far, offset)) == pytest.approx(float(expected))
    left_out = far.clone()
    left_out[:, 2] = -torch.inf
    rest = torch.cat([far[:, :2], far[:, 3:]], 1)
    assert float(nce(near, left_out, offset)) == pytest.approx(float(nce(near, rest, offset)))


def test_the_bank_is_moved_by_the_crop_and_keeps_its_length(crops: CropDataset) -> None:
    method = tiny.method("pirl")
    kept = method.bank.clone()
    some = batch(10)
    torch.manual_seed(1)
    method.loss(crops, some)
    changed = (method.bank != kept).any(1)
    assert changed.tolist() == [i < 10 for i in range(40)] and method.visits.tolist() == [1] * 10 + [0] * 30
    assert (method.bank.norm(dim=1) - 1).abs().max() < 1e-5
    images, _ = method.views(crops, some)
    said = method.embed(images)  # in training mode, as then: by the batch's own statistics
    assert torch.allclose(method.bank[:10], F.normalize(0.5 * kept[:10] + 0.5 * said), atol=1e-4)


def test_the_share_of_the_old_row_is_the_momentum() -> None:
    old, new = F.normalize(torch.randn(3, 8)), F.normalize(torch.randn(3, 8))
    assert torch.allclose(moved(old, new, 1.0), old) and torch.allclose(moved(old, new, 0.0), new)
    assert ((moved(old, new, 0.9) * old).sum(1) > (moved(old, new, 0.1) * old).sum(1)).all()


def test_negatives_are_distinct_of_the_step_and_never_the_own_row(crops: CropDataset) -> None:
    method = tiny.method("pirl")
    one, other = (method._negatives(batch(step=step)) for step in (1, 2))
    assert len(one.unique()) == 20 and not torch.equal(one, other) and torch.equal(one, method._negatives(batch()))
    index = one[:6]
    near, far = method._against_bank(method.bank[index], index, one)
    assert (far == -torch.inf).sum(1).tolist() == [1] * 6 and torch.allclose(near, torch.full((6,), 1 / 0.07))


def test_z_is_estimated_from_the_bank_as_a_round_begins(crops: CropDataset) -> None:
    method = tiny.method("pirl")
    method.begin_round(crops, 0, 0)
    of_noise = float(method.log_z) - math.log(40)
    assert of_noise == pytest.approx(1 / (2 * 128 * 0.07**2), abs=0.1), "the mean exponential of noise is known"
    method.bank[:] = method.bank[:1]
    method.begin_round(crops, 0, 1)
    assert float(method.log_z) == pytest.approx(math.log(40) + 1 / 0.07, abs=1e-3)


def test_a_pass_visits_every_row_once(crops: CropDataset) -> None:
    method = tiny.method("pirl")
    drawn = torch.cat([method.draw(200, 10, 3, step) for step in range(8)])
    assert torch.bincount(drawn[:40]).tolist() == torch.bincount(drawn[40:]).tolist() == [1] * 40
    assert not torch.equal(drawn[:40], drawn[40:]) and torch.equal(method.draw(200, 10, 3, 5), drawn[50:60])
    assert method.draw(200, 64, 0, 0).shape == (64,), "a batch may be larger than the bank"


def test_the_bank_fills_up_in_one_pass() -> None:
    method, _ = tiny.train("pirl")
    assert int(method.visits.min()) > 0 and int(method.visits.sum()) == tiny.STEPS * 16
    first = tiny.method("pirl")
    for step in range(4):
        filled = int((first.visits > 0).sum())
        assert filled == 10 * step
        first.loss(tiny.crops(), Batch(first.draw(200, 10, 0, step), 0, step, 10 * step))
    assert first.visits.tolist() == [1] * 40


def test_a_puzzle_may_be_dealt_in_any_order_and_none_is_favoured(crops: CropDataset) -> None:
    order = draws(3000)[:, -9:].argsort(1)
    assert len(order.unique(dim=0)) > 2950
    counts = torch.stack([torch.bincount(order[:, place], minlength=9) for place in range(9)])
    assert counts.min() > 250 and counts.max() < 420


def test_embeddings_have_length_one(crops: CropDataset) -> None:
    method = tiny.method("pirl").eval()
    images, tiles = method.views(crops, batch())
    for one in (method.embed(images), method.embed_puzzles(tiles)):
        assert one.shape == (16, NUMBERS) and (one.norm(dim=1) - 1).abs().max() < 1e-5


def test_pirl_pulls_a_crop_and_its_puzzle_together(crops: CropDataset) -> None:
    method = tiny.method("pirl")
    few = CropDataset(tiny.crops().source, CropScheme(beta=0.01), d=40, side=32)

    def gap() -> float:
        method.eval()
        with torch.no_grad():
            images, tiles = method.views(few, batch(40, step=0))
            alike = method.embed(images) @ method.embed_puzzles(tiles).T
        return float(alike.diag().mean() - alike.mean())

    before = gap()
    fit(method, few, Recipe(100, 20, 0.03, rounds=3), shown=False)
    assert gap() > before + 0.1


def test_what_pirl_shows(crops: CropDataset) -> None:
    with torch.no_grad():
        shown = tiny.method("pirl").eval().shown(crops)
    assert shown.images.shape == (36, 3, 32, 32) and len(shown.rows) == 3 and "of 12" in shown.rows[2]


@pytest.mark.parametrize("negatives", [0, 40])
def test_negatives_that_cannot_be(negatives: int) -> None:
    with pytest.raises(ValueError, match=f"negatives must lie in \\[1, 39\\].*got {negatives}"):
        PIRL(tiny.method("rotnet").trunk, 40, negatives, 16)


def test_fewer_crops_than_the_bank_has_rows() -> None:
    method = PIRL.build(PROFILES["quick"], tiny.crops(50))
    assert method.bank.shape == (50, NUMBERS) and method.negatives == 49 and BANK["quick"] > 50


# The panel


def test_the_panel_at_every_end_of_its_sliders(crops: CropDataset) -> None:
    panel = explore_puzzle(crops, tiny.ORDERS)
    first = panel.image.value
    for slider in sliders(panel):
        kept = slider.value
        for value in ends(slider):
            slider.value = value
            assert "Error" not in panel.words.value, (slider.description, panel.words.value)
        slider.value = kept
    assert panel.image.value == first


def test_the_panel_is_of_one_size_and_says_what_it_shows(crops: CropDataset) -> None:
    shapes = set()
    for tricks in (*TRICKS.values(), Tricks(gap=0.6, shift=4)):
        pixels, words = puzzle_panel(crops, 2, tricks, tiny.ORDERS[1])
        shapes.add(pixels.shape)
        assert pixels.dtype == np.uint8 and "of crop 2" in words
    assert len(shapes) == 1
    dealt = " ".join(str(int(i) + 1) for i in tiny.ORDERS[1])
    assert words.endswith(dealt)


def test_a_jigsaw_of_another_list_has_another_head() -> None:
    trunk = tiny.method("rotnet").trunk
    assert Jigsaw(trunk, tiny.ORDERS, 16, 8, 16).head[-1].out_features == 10
