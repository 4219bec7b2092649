"""Notebook 01: the geometry and the colours of a crop."""

from __future__ import annotations

import torch
from torch import Generator, Tensor

from course_lib.data.crops import bounding_box, colour_map, crop_size, flip_map
from course_lib.exercises.compare import difference
from course_lib.exercises.drawing import between, factors
from course_lib.exercises.exercise import Quiz, of_tensor

_Two = tuple[Tensor, Tensor]


def _sizes(draws: Generator) -> list[tuple]:
    return [(between(50, 900, n, draws), factors(n, draws)) for n in (3, 5)]


def _half_of_a_size(given: _Two, expected: _Two, area: Tensor, ratio: Tensor) -> str:
    if not difference(given[0] * given[1], area):
        return "The area is right, but the ratio of height to width is not."
    if not difference(given[1] / given[0], ratio):
        return "The ratio is right, but width times height is not the area."
    return ""


def _boxes(draws: Generator) -> list[tuple]:
    sides = [torch.tensor([0.0, 1.0, -1.0]), torch.tensor([-1.0, 1.0, 1.0, -1.0])]
    return [
        (between(40, 60, len(s), draws), between(10, 25, len(s), draws), s * between(0.2, 0.7, len(s), draws))
        for s in sides
    ]


def _some_of_the_boxes(given: _Two, expected: _Two, width: Tensor, height: Tensor, angle: Tensor) -> str:
    if not any(difference(g[angle > 0], e[angle > 0]) for g, e in zip(given, expected)):
        return "Right for turns to one side; for a negative angle your box comes out too small."
    if not any(difference(g[angle == 0], e[angle == 0]) for g, e in zip(given, expected)):
        return "Right for a crop that is not turned, wrong for one that is."
    return ""


def _box_without_abs(width: Tensor, height: Tensor, angle: Tensor) -> _Two:
    return width * angle.cos() + height * angle.sin(), width * angle.sin() + height * angle.cos()


def _flips(draws: Generator) -> list[tuple]:
    return [(torch.cat([torch.tensor([False, True]), torch.rand(n, generator=draws) < 0.5]),) for n in (2, 5)]


def _half_turns(flipped: Tensor) -> Tensor:
    return torch.where(flipped, -1.0, 1.0)[:, None, None] * torch.eye(2)


def _colours(draws: Generator) -> list[tuple]:
    """Crops of which the first changes in brightness alone, the second in contrast, the third in saturation."""
    alone = torch.ones(3, 3) - torch.eye(3)
    changes = [
        torch.cat([torch.where(alone.bool(), 1.0, factors(3, draws)), factors(3, draws)[:, None]], 1) for _ in "ab"
    ]
    return [(*change, between(0.3, 0.6, 4, draws)) for change in changes]


def _one_change(given: Tensor, expected: Tensor, *_: Tensor) -> str:
    parts = [difference(given[i], expected[i]) for i in range(4)]
    if not any(parts[:3]):
        return "Each change is right alone, but not all three together: brightness comes first, and changes the grey."
    if not difference(given[:, :, :3], expected[:, :, :3]):
        return "The three columns of the mixture are right; the constant in the fourth is not."
    names = ("brightness", "contrast", "saturation")
    return next(f"The change of {name} alone is already wrong. {part}" for name, part in zip(names, parts) if part)


EXERCISES = {
    "01.size": of_tensor(
        crop_size,
        _sizes,
        {"Your width and height are swapped: the ratio is height over width.": lambda a, r: crop_size(a, r)[::-1]},
        "easy · 4 minutes",
        "Two equations, two unknowns: a = w h and r = h / w. Multiply one by the other: what is left of w?",
        "a times r is a square, and so is a divided by r. Of which side is each the square?",
        "The height is `(area * ratio).sqrt()`; the width is what you must multiply it by to get the area.",
        others={
            "the ratio of height to width is not": lambda a, r: (a.sqrt(), a.sqrt()),
            "width times height is not the area": lambda a, r: (a / r, a),
            "Two values are expected": lambda a, r: a,
        },
        further=_half_of_a_size,
    ),
    "01.box": of_tensor(
        bounding_box,
        _boxes,
        {"Your box's width and height are swapped.": lambda w, h, a: bounding_box(h, w, a)},
        "medium · 8 minutes",
        "Draw a turned rectangle. Which two of its sides does the box's width span, and how much of each?",
        "A side w at an angle reaches w cos to the right and w sin down; for the other side they trade places.",
        "The width is w |cos| + h |sin|. Why the bars? And what is the height?",
        others={
            "for a negative angle your box comes out too small": _box_without_abs,
            "Right for a crop that is not turned": lambda w, h, a: (w, h),
        },
        further=_some_of_the_boxes,
    ),
    "01.flip": of_tensor(
        flip_map,
        _flips,
        {
            "You mirror the crops that should stay, and leave those that should be flipped.": lambda f: flip_map(~f),
            "Your flip changes the sign of both axes: that is half a turn, not a mirror image.": _half_turns,
            "Your mirror swaps top and bottom; swap left and right.": lambda f: flip_map(f).flip(1, 2),
        },
        "easy · 4 minutes",
        "Which 2 x 2 matrix leaves a point where it is, and which one changes the sign of x alone?",
        "Make n of the first, with `torch.eye(2).repeat(n, 1, 1)`; then change one number in each that is flipped.",
        "That number is `maps[:, 0, 0]`, and `torch.where(flipped, -1.0, 1.0)` says what it should be.",
        others={"has the shape": lambda f: torch.where(f, -1.0, 1.0)},
    ),
    "01.colour": of_tensor(
        colour_map,
        _colours,
        {},
        "hard · 12 minutes",
        "Write down what happens to one value x, step by step: x b first. What is then added, and what multiplied?",
        "After contrast it is x b c + (1 - c) b m. Saturation mixes the three channels: s times the identity, plus 1 "
        "- s times a matrix whose three rows are all LUMA.",
        "That mixing matrix times `(brightness * contrast)[:, None, None]` makes the first three columns. A grey "
        "stays a grey under saturation, so the fourth is (1 - c) b m in each row; `torch.cat` puts them together.",
        others={
            "not all three together": lambda b, c, s, m: colour_map(b, c, s, m / b),
            "the constant in the fourth is not": lambda b, c, s, m: colour_map(b, c, s, 0 * m),
            "saturation alone is already wrong": lambda b, c, s, m: colour_map(b, c, 1 / s, m),
            "brightness alone is already wrong": lambda b, c, s, m: colour_map(1 + 0 * b, c, s, m),
        },
        further=_one_change,
    ),
}

QUIZZES = {
    "01.black": Quiz(
        "Why is a crop that sticks out of the photograph shrunk, and not filled with black?",
        ("Black pixels cost memory.", "They cost as much as any others."),
        ("Black corners give the angle away.", "Yes: the network would learn to read corners, not pictures."),
        ("The paper forbids it.", "The authors' own script fills with black, and cuts corners off afterwards."),
    )
}
