"""One colour and one marker for each meaning, in every picture: Okabe and Ito's palette, safe for colour-blind readers.

Okabe and Ito 2008, "Color universal design". A second mark stands beside every colour: a marker, a dash or a word.
"""

from __future__ import annotations

from collections.abc import Iterable

BLACK, GREY, BLUE, SKY, GREEN = "#000000", "#999999", "#0072B2", "#56B4E9", "#009E73"
ORANGE, VERMILION, PURPLE = "#E69F00", "#D55E00", "#CC79A7"

_METHODS = {
    "random": (GREY, "o"),
    "supervised": (BLACK, "s"),
    "rotnet": (BLUE, "^"),
    "deepcluster": (VERMILION, "D"),
    "bigan": (GREEN, "v"),
    "jigsaw": (PURPLE, "P"),
    "pirl": (SKY, "X"),
    "jigsaw_resnet50": ("#882255", "p"),
}
COLOURS = {name: colour for name, (colour, _) in _METHODS.items()}
MARKERS = {name: marker for name, (_, marker) in _METHODS.items()}
"""What trained a network, in the order that every picture and table keeps."""

_VARIANTS = {"random, looked": (GREY, "o"), "rotnet, all": (SKY, "X"), "scattering": (ORANGE, "*")}
_OTHERS = (ORANGE, "#8B5A00", "#7A3B69", "#004D40", "#5E5E00", "#1A237E")  # for names that have no colour here

NETWORK_COLOURS = {"alexnet": BLUE, "resnet18": VERMILION, "resnet50": GREEN, "efficientnet_b0": PURPLE}
NETWORK_MARKERS = {"alexnet": "o", "resnet18": "s", "resnet50": "D", "efficientnet_b0": "^"}

PENS = (BLUE, VERMILION, GREEN, PURPLE, SKY)  # in turn, for outlines of crops and lines that differ in nothing else
RIGHT, WRONG, TRUTH = GREEN, VERMILION, BLUE
COUNTED, LAW = "#9EC9E2", VERMILION  # a histogram, and the law that its numbers were drawn by
FROZEN = "#BFE3F5"
HAND_MADE = {"HOG": (ORANGE, "--"), "pixels": ("#7A3B69", ":")}  # with their dashes
BARS = ((BLUE, ""), (ORANGE, "//"), (PURPLE, ".."))  # bars side by side, with their hatches
ASIDE = "#555555"  # words beside the matter


def in_order(methods: Iterable[str]) -> list[str]:
    """Each method once, in the order that every picture and table has them: that of COLOURS, then the unknown ones."""
    given = list(dict.fromkeys(methods))
    return [method for method in COLOURS if method in given] + [method for method in given if method not in COLOURS]


def colours_of(names: Iterable[str]) -> dict[str, str]:
    """Each name's own colour; names without one take turns among those that are left."""
    names = list(names)
    found = {name: COLOURS[name] for name in names if name in COLOURS}
    for name in names:
        if name in _VARIANTS and _VARIANTS[name][0] not in found.values():
            found[name] = _VARIANTS[name][0]
    left = [colour for colour in _OTHERS if colour not in found.values()]
    others = [name for name in names if name not in found]
    return found | {name: left[i % len(left)] for i, name in enumerate(others)}


def marker_of(name: str) -> str:
    """A name's own marker, or that of every name that has none."""
    return MARKERS.get(name) or _VARIANTS.get(name, ("", "*"))[1]


def rgb(colour: str) -> tuple[int, ...]:
    """A colour as its three bytes."""
    return tuple(bytes.fromhex(colour[1:]))
