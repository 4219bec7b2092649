"""Style transfer: what a style is, that pixels move and networks do not, and the panel over it."""

from __future__ import annotations

import functools
import itertools
import re

import pytest
import torch
from test_panels import upload

from course_lib.data.images import PHOTOGRAPHS
from course_lib.data.sources import generate
from course_lib.lessons.uses.style import (
    SIZES,
    Examples,
    Transfer,
    gram,
    left_to_go,
    load_picture,
    roughness,
    square,
    transfer,
)
from course_lib.lessons.uses.style_pictures import explore_style, judged_table, transfer_panel, transfers_picture
from course_lib.networks.alexnet import AlexNet
from course_lib.networks.trunk import frozen
from course_lib.pictures.png import encode_png
from course_lib.profiles import PROFILES
from course_lib.support.errors import CourseError

SIDE = 32


@functools.cache
def trunk(seed: int = 0) -> AlexNet:
    torch.manual_seed(seed)
    return AlexNet(32, 0.1).eval()


@functools.cache
def examples(seed: int = 0) -> Examples:
    return Examples(trunk(seed), load_picture("coffee", SIDE), load_picture("flower", SIDE))


def test_a_gram_matrix_is_a_mean_of_products() -> None:
    maps = torch.randn(2, 3, 4, 5)
    for n, i, j in itertools.product(range(2), range(3), range(3)):
        by_hand = sum(float(maps[n, i, y, x] * maps[n, j, y, x]) for y in range(4) for x in range(5)) / 20
        assert float(gram(maps)[n, i, j]) == pytest.approx(by_hand, abs=1e-5)


def test_a_style_does_not_know_where_anything_is() -> None:
    maps = torch.randn(1, 6, 7, 7)
    mixed = maps.flatten(2)[:, :, torch.randperm(49)].view_as(maps)
    assert torch.allclose(gram(maps), gram(mixed), atol=1e-5)
    assert torch.allclose(gram(maps), gram(maps.repeat(1, 1, 2, 3)), atol=1e-5), "nor how large the picture is"


def test_losses_are_none_at_the_examples_and_one_far_from_them() -> None:
    made, style = examples(), load_picture("flower", SIDE)
    with frozen(made.trunk), torch.no_grad():
        at_content, at_style = made.losses(made.start), made.losses(style)
    assert float(at_content.content) == 0 and float(at_content.style) > 0.01
    assert float(at_style.style) < 1e-9 and float(at_style.content) > 0.01
    assert left_to_go(made, made.start) == 1 and left_to_go(made, style) < 1e-6


@pytest.mark.parametrize("weight", [0.3, 10.0, 1000.0])
def test_the_picture_moves_towards_the_style_and_stays_a_picture(weight: float) -> None:
    made = transfer(examples(), weight, 10)
    assert left_to_go(examples(), made.image) < 0.7 and made.step == 10
    assert made.image.shape == (3, SIDE, SIDE) and made.image.abs().max() <= 1
    assert not made.image.requires_grad


def test_more_weight_leaves_less_of_the_style_to_go() -> None:
    soft, loud = (transfer(examples(), weight, 20) for weight in (0.1, 100))
    assert loud.style < soft.style and loud.content > soft.content


def test_without_a_weight_the_content_stays(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("course_lib.lessons.uses.style.SMOOTH", 0.0)
    made = transfer(examples(), 0, 5)
    assert (made.image - examples().start).abs().max() < 0.03, "but for what tanh takes from black and white"


def test_smoothness_makes_neighbours_alike(monkeypatch: pytest.MonkeyPatch) -> None:
    made = []
    for weight in (0.0, 3.0):
        monkeypatch.setattr("course_lib.lessons.uses.style.SMOOTH", weight)
        made.append(transfer(examples(), 10, 15).image)
    assert roughness(made[1]) < roughness(made[0])


def test_the_network_does_not_move() -> None:
    one = AlexNet(32, 0.1).train()
    before = {name: value.clone() for name, value in one.state_dict().items()}
    transfer(Examples(one, load_picture("coffee", SIDE), load_picture("flower", SIDE)), 10, 5)
    assert all(torch.equal(value, before[name]) for name, value in one.state_dict().items())
    assert one.training and all(weight.grad is None for weight in one.parameters())


def test_the_same_again_is_the_same() -> None:
    assert torch.equal(transfer(examples(), 3, 5).image, transfer(examples(), 3, 5).image)


def test_it_is_watched_on_the_way_and_may_be_stopped(capsys: pytest.CaptureFixture[str]) -> None:
    steps: list[int] = []

    def watch(made: Transfer) -> None:
        steps.append(made.step)
        if made.step == 10:
            raise KeyboardInterrupt

    made = transfer(examples(), 10, 40, watch=watch)
    assert steps == [5, 10] and made.step == 10 and left_to_go(examples(), made.image) < 1
    assert "stopped by hand after 10 steps" in capsys.readouterr().out


def test_what_cannot_be_asked_for_is_said() -> None:
    content = load_picture("coffee", SIDE)
    with pytest.raises(ValueError, match="must not be below 0, got -1"):
        transfer(examples(), -1, 5)
    with pytest.raises(ValueError, match="at least one layer, got none"):
        Examples(trunk(), content, content, ())
    with pytest.raises(CourseError, match="conv9"):
        Examples(trunk(), content, content, ("conv9",))
    with pytest.raises(CourseError, match="no-such.jpg is not a file"):
        load_picture("no-such.jpg", SIDE)


@pytest.mark.parametrize("name", PHOTOGRAPHS)
def test_every_bundled_photograph_can_be_painted(name: str) -> None:
    picture = load_picture(name, SIDE)
    assert picture.shape == (3, SIDE, SIDE) and picture.abs().max() <= 1 and picture.std() > 0.05


def test_the_middle_square_is_taken() -> None:
    pixels = torch.zeros(3, 40, 100, dtype=torch.uint8)
    pixels[:, :, 30:70] = 255
    white = torch.ones(3, 8, 8)
    assert torch.allclose(square(pixels, 8), white) and torch.allclose(square(pixels.transpose(1, 2), 8), white)


def test_every_profile_has_a_size() -> None:
    assert set(SIZES) == set(PROFILES)


def test_pictures_say_what_they_show() -> None:
    made = {f"net {seed}": transfer(examples(seed), 10, 5) for seed in (0, 1)}
    content, style = load_picture("coffee", SIDE), load_picture("flower", SIDE)
    picture = transfers_picture(content, style, made, "coffee in the style of flower")
    for name, one in made.items():
        assert (
            f"{name}: {one.style:.3f} of the style is missing, {one.content:.2f} of the content lost" in picture.caption
        )
    assert picture.png().startswith(b"\x89PNG")
    assert "judged by its own network" not in transfers_picture(content, style, {}, "begun").caption
    shapes = {transfer_panel(content, style, one, "net", 3)[0].shape for one in made.values()}
    assert len(shapes) == 1


def test_the_table_of_judges() -> None:
    lines = judged_table({"a": {"a": 0.1, "b": 0.2}, "b": {"a": 0.3, "b": 0.4}}).splitlines()
    assert [re.findall(r"0\.\d+", line) for line in lines] == [[], ["0.100", "0.200"], ["0.300", "0.400"]]


def test_every_control_of_the_panel_changes_the_picture() -> None:
    panel = explore_style({"rotnet": trunk(0), "other": trunk(1)}, "coffee", "flower", SIDE, steps=5)
    for control in panel.box.children[0].children:
        ends = (
            [control.base**end for end in (control.min, control.max)] if hasattr(control, "base") else control.options
        )
        seen = set()
        for value in list(ends)[:2]:
            control.value = value[1] if isinstance(value, tuple) else value
            assert "<b>" not in panel.words.value, panel.words.value
            seen.add(panel.image.value)
        assert len(seen) == 2, f"{control.description} moves nothing"


def test_a_style_of_ones_own_is_added_and_a_bad_one_is_told() -> None:
    panel = explore_style({"rotnet": trunk()}, "coffee", "flower", SIDE, steps=5)
    seen = [panel.image.value]
    for kind in ("dead_leaves", "noise"):  # another picture of the same name, too
        upload(panel, "mine.png", encode_png(generate(kind, 96, 96).permute(1, 2, 0).contiguous().numpy()))
        assert "<b>" not in panel.words.value and panel.image.value not in seen
        seen.append(panel.image.value)
    content, style = panel.box.children[0].children[1:3]
    assert style.value == "mine.png" and style.options.count("mine.png") == 1
    assert content.value == "coffee" and content.options.count("mine.png") == 1
    upload(panel, "bad.png", b"no picture")
    assert "That cannot be used" in panel.words.value and panel.image.value == seen[-1]


def test_the_picture_grows_while_it_is_painted() -> None:
    panel = explore_style({"rotnet": trunk()}, "coffee", "flower", SIDE, steps=15)
    shown: list[str] = []
    panel.words.observe(lambda change: shown.append(change["new"]), "value")
    panel.box.children[0].children[3].value = 100
    found = [int(step) for words in shown for step in re.findall(r"after (\d+) steps", words)]
    assert found == [5, 10, 15]
