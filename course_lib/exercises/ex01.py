"""Notebook 01: the geometry and the colours of a crop."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor

from course_lib.data.crops import bounding_box, colour_map, crop_size, flip_map
from course_lib.exercises.compare import difference, each, first_problem, fits
from course_lib.exercises.drawing import between, draws_of, factors
from course_lib.exercises.exercise import Exercise, Mistake, Quiz


def _sizes(seed: int) -> list[tuple]:
    draws = draws_of(seed)
    return [(between(50, 900, n, draws), factors(n, draws)) for n in (3, 5)]


def _explain_size(given: Any, area: Tensor, ratio: Tensor) -> str:
    if not isinstance(given, tuple | list) or len(given) != 2:
        return "Two tensors are expected: return width, height."
    width, height = crop_size(area, ratio)
    wrong = difference(given[0], width) or difference(given[1], height)
    if not wrong or not fits(given[0], width) or not fits(given[1], height):
        return wrong
    if not difference(given[0], height) and not difference(given[1], width):
        return "Your width and height are swapped: the ratio is height divided by width."
    if not difference(given[0] * given[1], area):
        return "The area is right, but the ratio of height to width is not."
    if not difference(given[1] / given[0], ratio):
        return "The ratio is right, but width times height is not the area."
    return wrong


def _boxes(seed: int) -> list[tuple]:
    draws = draws_of(seed)
    sides = [torch.tensor([0.0, 1.0, -1.0]), torch.tensor([-1.0, 1.0, 1.0, -1.0])]
    return [
        (between(40, 60, len(s), draws), between(10, 25, len(s), draws), s * between(0.2, 0.7, len(s), draws))
        for s in sides
    ]


def _explain_box(given: Any, width: Tensor, height: Tensor, angle: Tensor) -> str:
    if not isinstance(given, tuple | list) or len(given) != 2:
        return "Two tensors are expected: return the box's width and height."
    expected = bounding_box(width, height, angle)
    wrong = first_problem(difference(g, e) for g, e in zip(given, expected))
    if not wrong or not all(fits(g, e) for g, e in zip(given, expected)):
        return wrong
    if not any(difference(g, e) for g, e in zip(given, reversed(expected))):
        return "Your box's width and height are swapped."
    if not any(difference(g[angle > 0], e[angle > 0]) for g, e in zip(given, expected)):
        return "Right for turns to one side; for a negative angle your box comes out too small."
    if not any(difference(g[angle == 0], e[angle == 0]) for g, e in zip(given, expected)):
        return "Right for a crop that is not turned, wrong for one that is."
    return wrong


def _box_without_abs(width: Tensor, height: Tensor, angle: Tensor) -> tuple[Tensor, Tensor]:
    return width * angle.cos() + height * angle.sin(), width * angle.sin() + height * angle.cos()


def _flips(seed: int) -> list[tuple]:
    draws = draws_of(seed)
    return [(torch.cat([torch.tensor([False, True]), torch.rand(n, generator=draws) < 0.5]),) for n in (2, 5)]


def _explain_flip(given: Any, flipped: Tensor) -> str:
    expected = flip_map(flipped)
    wrong = difference(given, expected)
    if not wrong or not fits(given, expected):
        return wrong
    if not difference(given, flip_map(~flipped)):
        return "You mirror the crops that are not to be flipped, and leave the others."
    if not difference(given, _half_turns(flipped)):
        return "Your flip changes the sign of both axes: that is half a turn, not a mirror image."
    if not difference(given, expected.flip(1, 2)):
        return "Your mirror swaps top and bottom; swap left and right."
    return wrong


def _half_turns(flipped: Tensor) -> Tensor:
    return torch.where(flipped, -1.0, 1.0)[:, None, None] * torch.eye(2)


def _colours(seed: int) -> list[tuple]:
    """Crops of which the first changes in brightness alone, the second in contrast, the third in saturation."""
    draws, alone = draws_of(seed), torch.ones(3, 3) - torch.eye(3)
    changes = [
        torch.cat([torch.where(alone.bool(), 1.0, factors(3, draws)), factors(3, draws)[:, None]], 1) for _ in "ab"
    ]
    return [(*change, between(0.3, 0.6, 4, draws)) for change in changes]


def _explain_colour(given: Any, brightness: Tensor, contrast: Tensor, saturation: Tensor, grey: Tensor) -> str:
    expected = colour_map(brightness, contrast, saturation, grey)
    wrong = difference(given, expected)
    if not wrong or not fits(given, expected):
        return wrong
    parts = [difference(given[i], expected[i]) for i in range(4)]
    if not any(parts[:3]):
        return "Each change is right alone, but not all three together: brightness comes first, and moves the grey."
    if not difference(given[:, :, :3], expected[:, :, :3]):
        return "The three columns of the mixture are right; the constant in the fourth is not."
    names = ("brightness", "contrast", "saturation")
    return next(f"The change of {name} alone is wrong already. {part}" for name, part in zip(names, parts) if part)


EXERCISES = {
    "01.size": Exercise(
        crop_size,
        _sizes,
        each(_explain_size),
        (
            Mistake(lambda a, r: ((a * r).sqrt(), (a / r).sqrt()), "swapped"),
            Mistake(lambda a, r: (a.sqrt(), a.sqrt()), "the ratio of height to width is not"),
            Mistake(lambda a, r: (a / r, a), "width times height is not the area"),
            Mistake(lambda a, r: a, "Two tensors are expected"),
        ),
        "easy",
        4,
        (
            "Two equations, two unknowns: a = w h and r = h / w. Multiply one by the other: what is left of w?",
            "a times r is a square, and so is a divided by r. Of which side each?",
            "The height is `(area * ratio).sqrt()`; the width is what you must multiply it by to get the area.",
        ),
    ),
    "01.box": Exercise(
        bounding_box,
        _boxes,
        each(_explain_box),
        (
            Mistake(_box_without_abs, "for a negative angle your box comes out too small"),
            Mistake(lambda w, h, a: (w, h), "Right for a crop that is not turned"),
            Mistake(lambda w, h, a: bounding_box(h, w, a), "width and height are swapped"),
        ),
        "medium",
        8,
        (
            "Draw a turned rectangle. Which two of its sides does the box's width span, and how much of each?",
            "A side of length w at an angle reaches w cos to the right and w sin down; the other side the other way "
            "round.",
            "The width is w |cos| + h |sin|. Why the bars? And what is the height?",
        ),
    ),
    "01.flip": Exercise(
        flip_map,
        _flips,
        each(_explain_flip),
        (
            Mistake(lambda f: flip_map(~f), "mirror the crops that are not to be flipped"),
            Mistake(_half_turns, "half a turn"),
            Mistake(lambda f: flip_map(f).flip(1, 2), "top and bottom"),
            Mistake(lambda f: torch.where(f, -1.0, 1.0), "has the shape"),
        ),
        "easy",
        4,
        (
            "Which 2 x 2 matrix leaves a point where it is, and which one changes the sign of x alone?",
            "Make n of the first, with `torch.eye(2).repeat(n, 1, 1)`; then change one number of each that is flipped.",
            "That number is `maps[:, 0, 0]`, and `torch.where(flipped, -1.0, 1.0)` says what it should be.",
        ),
    ),
    "01.colour": Exercise(
        colour_map,
        _colours,
        each(_explain_colour),
        (
            Mistake(lambda b, c, s, m: colour_map(b, c, s, m / b), "not all three together"),
            Mistake(lambda b, c, s, m: colour_map(b, c, s, 0 * m), "the constant in the fourth is not"),
            Mistake(lambda b, c, s, m: colour_map(b, c, 1 / s, m), "saturation alone is wrong"),
            Mistake(lambda b, c, s, m: colour_map(1 + 0 * b, c, s, m), "brightness alone is wrong"),
        ),
        "hard",
        12,
        (
            "Write down what happens to one value x, step by step: x b first. What is then added, and what multiplied?",
            "After contrast it is x b c + (1 - c) b m. Saturation mixes the three channels: s of the identity, and 1 - "
            "s of a matrix whose three rows are all LUMA.",
            "That mixing matrix times `(brightness * contrast)[:, None, None]` makes the first three columns. A grey "
            "stays a grey under saturation, so the fourth is (1 - c) b m in each row; `torch.cat` puts them together.",
        ),
    ),
}

QUIZZES = {
    "01.black": Quiz(
        "Why is a crop that sticks out shrunk, and not filled with black?",
        {
            "Black pixels cost memory.": "They cost as much as any others.",
            "Black corners give the angle away.": "Yes: the network would learn to read corners, not pictures.",
            "The paper forbids it.": "The authors' own script fills with black, and cuts corners off afterwards.",
        },
        "Black corners give the angle away.",
    )
}
