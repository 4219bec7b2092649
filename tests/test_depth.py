"""How deep a layer is, by four axes; curves held against each other; and the pictures of it."""

from __future__ import annotations

import functools

import ipywidgets
import numpy as np
import pytest
import torch

from course_lib.lessons.depths.depth import (
    AXES,
    Place,
    convolutions,
    curve,
    gap,
    parameters_below,
    places,
    reached,
    read_at,
)
from course_lib.lessons.depths.pictures import explore_places, place_panel, readings, where_layers_are
from course_lib.networks.alexnet import LAYERS, AlexNet
from course_lib.networks.others import OTHERS, OtherTrunk
from course_lib.support.palette import NETWORK_COLOURS, NETWORK_MARKERS


@functools.cache
def networks() -> dict[str, list[Place]]:
    return {"alexnet": places(AlexNet(32, 0.1)), "resnet18": places(OtherTrunk("resnet18", 32, 0.05))}


@functools.cache
def measured() -> dict[str, dict[str, dict[str, float]]]:
    start = {"random": 0.3, "rotnet": 0.4, "supervised": 0.5}
    layers = {name: [place.layer for place in of] for name, of in networks().items()}
    return {
        name: {kind: {layer: low + 0.05 * i for i, layer in enumerate(of)} for kind, low in start.items()}
        for name, of in layers.items()
    }


def test_alexnets_places_are_counted_by_hand() -> None:
    trunk = AlexNet(32, 0.1)
    found = places(trunk)
    assert [place.layer for place in found] == list(LAYERS)
    assert [place.convolutions for place in found] == [1, 2, 3, 4, 5]
    assert [place.side for place in found] == [32, 16, 8, 8, 8]
    assert [place.stage for place in found] == [0, 0.25, 0.5, 0.75, 1]
    assert [place.parameters for place in found] == parameters_below(convolutions(trunk))
    assert found[-1].parameters == sum(weight.numel() for weight in trunk.parameters())


@pytest.mark.parametrize("network", OTHERS)
def test_another_networks_places(network: str) -> None:
    trunk = OtherTrunk(network, 32, 0.05).train()
    found = places(trunk)
    assert trunk.training and all(weight.grad is None for weight in trunk.parameters())
    assert found[-1].parameters == sum(weight.numel() for weight in trunk.parameters())
    assert found[-1].convolutions == len(convolutions(trunk))
    for name in ("convolutions", "parameters", "stage"):
        values = [getattr(place, name) for place in found]
        assert values == sorted(values) and len(set(values)) == len(values)


def test_a_resnets_shortcuts_are_counted() -> None:
    """conv1, two blocks of two convolutions, and a shortcut's own where the number of channels changes."""
    found = places(OtherTrunk("resnet18", 32, 1.0))
    assert [place.convolutions for place in found] == [1, 5, 10, 15, 20]
    narrow = places(OtherTrunk("resnet18", 32, 0.125))
    assert [place.convolutions for place in narrow] == [1, 6, 11, 16, 21], "the first stage is narrower than conv1"


def test_groups_keep_channels_apart() -> None:
    layer = torch.nn.Sequential(torch.nn.Conv2d(8, 8, 3, groups=8, bias=False), torch.nn.BatchNorm2d(8))
    assert parameters_below([(8, 8, 3, 8)]) == [sum(weight.numel() for weight in layer.parameters())]


def test_reading_between_layers_is_numpys() -> None:
    depths, shares = [0.0, 1.0, 4.0, 4.5], [0.1, 0.5, 0.2, 0.9]
    for depth in np.linspace(0, 4.5, 40):
        assert read_at(depth, depths, shares) == pytest.approx(np.interp(depth, depths, shares))


def test_of_layers_at_one_depth_the_last_counts() -> None:
    of = networks()["alexnet"]
    shares = {place.layer: i / 10 for i, place in enumerate(of)}
    assert curve(of, shares, "resolution") == ([-5.0, -4.0, -3.0], [0.0, 0.1, 0.4])
    assert curve(of, shares, "index") == ([1, 2, 3, 4, 5], [0.0, 0.1, 0.2, 0.3, 0.4])


def test_a_gap_is_the_mean_over_what_both_have() -> None:
    flat, rising = ([0.0, 4.0], [0.2, 0.2]), ([2.0, 6.0], [0.2, 0.6])
    assert gap(rising, flat) == pytest.approx(10) and gap(flat, rising) == pytest.approx(-10)
    assert gap(flat, flat) == 0
    with pytest.raises(ValueError, match="nothing in common: one ends at 4, where the other begins at 5"):
        gap(flat, ([5.0, 6.0], [0.1, 0.2]))


@pytest.mark.parametrize("axis", AXES)
def test_each_axis_compares_the_networks(axis: str) -> None:
    one, other = (curve(of, measured()[name]["rotnet"], axis) for name, of in networks().items())
    assert all(a < b for a, b in zip(one[0], one[0][1:])) and abs(gap(other, one)) < 30
    assert AXES[axis].read(one[0][-1]) == {"index": "5", "stage": "1.00", "resolution": "8"}.get(
        axis, f"{networks()['alexnet'][-1].parameters:,}"
    )


def test_the_four_axes_disagree_about_the_same_numbers() -> None:
    """Or there would be nothing to choose."""
    gaps = [gap(*(curve(of, measured()[name]["rotnet"], axis) for name, of in networks().items())) for axis in AXES]
    assert max(gaps) - min(gaps) > 2


def test_reached_is_a_share_of_the_way() -> None:
    assert reached(0.5, 0.4, 0.6) == pytest.approx(0.5)
    assert reached(0.3, 0.4, 0.6) == pytest.approx(-0.5), "a training can do harm"


def test_pictures_say_their_numbers() -> None:
    picture = where_layers_are(networks(), "Where layers are")
    assert "by resolution, resnet18 ends at 4" in picture.caption and "by index, alexnet ends at 5" in picture.caption
    assert picture.png().startswith(b"\x89PNG")
    picture = readings(measured(), networks(), "Readings")
    assert "alexnet rotnet 40 at conv1 and 60 at conv5" in picture.caption
    assert "resnet18 random 30 at conv1 and 50 at layer4" in picture.caption
    assert picture.png().startswith(b"\x89PNG")


def test_every_network_has_its_colour_and_its_mark() -> None:
    assert set(NETWORK_COLOURS) == set(NETWORK_MARKERS) == {"alexnet", *OTHERS}
    assert len(set(NETWORK_COLOURS.values())) == len(set(NETWORK_MARKERS.values())) == 1 + len(OTHERS)


def test_the_panel_reads_all_networks_at_one_depth() -> None:
    drawn = {
        (axis, share): place_panel(measured(), networks(), axis, share) for axis in AXES for share in (0.0, 0.5, 1.0)
    }
    assert len({pixels.shape for pixels, _ in drawn.values()}) == 1
    assert "alexnet random 50%, rotnet 60%, supervised 70%" in drawn["stage", 1.0][1]
    assert "alexnet has no layer here; resnet18 random" in drawn["index", 1.0][1]
    assert "at 32 (side of the map in pixels)" in drawn["resolution", 0.0][1]
    assert drawn["resolution", 0.0][1].count("rotnet") == 2


def test_every_depth_can_be_read() -> None:
    for axis in AXES:
        for share in np.linspace(0, 1, 51):
            assert place_panel(measured(), networks(), axis, float(share))[1].count("rotnet") >= 1


def test_the_sliders_move_the_panel() -> None:
    panel, drawn = explore_places(measured(), networks()), []
    assert isinstance(panel.box, ipywidgets.VBox) and panel.words.value.count("rotnet") == 2
    panel.image.observe(drawn.append, "value")
    axis, share = panel.box.children[0].children
    share.value = 0.5
    axis.value = "index"
    assert len(drawn) == 2 and "By index" in panel.words.value and "<b>" not in panel.words.value
