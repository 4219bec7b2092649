"""Notebook 09: orders far from each other, tiles without their own mean and spread, and two halves of PIRL's loss."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor

from course_lib.exercises.compare import difference, each, fits, one_number
from course_lib.exercises.drawing import between, draws_of
from course_lib.exercises.exercise import Exercise, Mistake, Quiz
from course_lib.pretext.pirl import moved, nce
from course_lib.pretext.puzzles import hamming, normalise, spread_out


def _orders(seed: int) -> list[tuple]:
    """Some random orders, and how many of them to choose; in such numbers that no usual mistake comes out right."""
    draws = draws_of(seed)
    return [
        (torch.stack([torch.randperm(9, generator=draws) for _ in range(m)]), count)
        for m, count in ((40, 5), (60, 6), (50, 7))
    ]


def _greedy(candidates: Tensor, count: int, choose: Callable[[Tensor], Tensor]) -> Tensor:
    """Greedily, by what `choose` says of the distances (chosen, m): the largest wins, of those not taken."""
    apart = torch.stack([hamming(order, candidates) for order in candidates]).double()
    chosen = [0]
    while len(chosen) < count:
        score = choose(apart[chosen])
        score[chosen] = -math.inf
        chosen.append(int(score.argmax()))
    return torch.tensor(chosen)


def _by_the_first(candidates: Tensor, count: int) -> Tensor:
    apart = hamming(candidates[0], candidates)
    return torch.cat([torch.zeros(1, dtype=torch.int64), apart.argsort(descending=True, stable=True)[: count - 1]])


_CHOSEN: dict[str, Callable[[Tensor, int], Tensor]] = {
    "You choose by the mean distance to those chosen; one that is nearly a copy can still have a large mean.": (
        lambda c, n: _greedy(c, n, lambda apart: apart.mean(0))
    ),
    "You look at the last one chosen alone, and forget those before it.": (
        lambda c, n: _greedy(c, n, lambda apart: apart[-1].clone())
    ),
    "You choose those that are near: the largest of the least distances is asked for.": (
        lambda c, n: _greedy(c, n, lambda apart: -apart.amin(0))
    ),
    "You compare all with the first one only.": _by_the_first,
    "You take the first ones as they come.": lambda c, n: torch.arange(n),
}


def _explain_orders(given: Any, candidates: Tensor, count: int) -> str:
    expected = spread_out(candidates, count)
    if isinstance(given, list) and all(type(one) is int for one in given):
        given = torch.tensor(given)
    if isinstance(given, Tensor) and given.shape == (count, 9):
        return "You return the orders themselves; their numbers among the candidates are asked for."
    if not fits(given, expected):
        return difference(given, expected)
    if given.is_floating_point() or given.is_complex():
        return "Your answer holds no whole numbers; a candidate's number is one."
    if torch.equal(given, expected):
        return ""
    named = (words for words, wrong in _CHOSEN.items() if torch.equal(given, wrong(candidates, count)))
    if int(given[0]) != 0:
        return "The first that is chosen is the first of the candidates, number 0."
    return next(named, "Another candidate is farther, at some step, from all that you had chosen by then.")


def _tiles(seed: int) -> list[tuple]:
    """Tiles of very different means and spreads, in each channel; the last question has a flat one."""
    draws = draws_of(seed)
    questions = []
    for n, side in ((4, 6), (3, 5)):
        centre, spread = between(-0.6, 0.6, n * 3, draws), between(0.1, 0.5, n * 3, draws)
        noise = torch.randn(n, 3, side, side, generator=draws)
        questions.append((centre.view(n, 3, 1, 1) + spread.view(n, 3, 1, 1) * noise,))
    return questions


def _scaled(tiles: Tensor, dims: tuple[int, ...]) -> Tensor:
    return (tiles - tiles.mean(dims, keepdim=True)) / tiles.std(dims, correction=0, keepdim=True)


def _by_variance(tiles: Tensor) -> Tensor:
    return (tiles - tiles.mean((2, 3), keepdim=True)) / tiles.var((2, 3), correction=0, keepdim=True)


_NORMALISED: dict[str, Callable[[Tensor], Tensor]] = {
    "You take one mean and spread for all tiles, as the released code does: each tile keeps its own brightness.": (
        lambda x: _scaled(x, (0, 1, 2, 3))
    ),
    "You take a mean and a spread for each channel, over all tiles together: each tile keeps what it has.": (
        lambda x: _scaled(x, (0, 2, 3))
    ),
    "You take the three channels together: the tile keeps its hue, and a sky stays blue.": (
        lambda x: _scaled(x, (1, 2, 3))
    ),
    "You take the mean out, but a tile of much contrast still has more than its neighbour.": (
        lambda x: x - x.mean((2, 3), keepdim=True)
    ),
    "You divide by the variance; the standard deviation is its root.": _by_variance,
    "You divide by the spread, but the mean is still there.": (lambda x: x / x.std((2, 3), correction=0, keepdim=True)),
}


def _explain_normalise(given: Any, tiles: Tensor) -> str:
    wrong = difference(given, normalise(tiles), 0.0)
    if not wrong or not fits(given, tiles):
        return wrong
    if not difference(given, normalise(tiles), 0.05):  # whichever of the two usual standard deviations
        ratio = given.double() / normalise(tiles).double()
        pixels = tiles[0, 0].numel()
        return "" if ((ratio - 1).abs() < 0.6 / pixels + 1e-3).all() else wrong
    return _named(given, {words: f(tiles) for words, f in _NORMALISED.items()}, wrong)


def _named(given: Tensor, mistakes: dict[str, Tensor], wrong: str) -> str:
    """The sentence of the mistake that an answer is; else how far off it is."""
    return next((words for words, value in mistakes.items() if not difference(given, value, 0.03)), wrong)


def _similarities(seed: int) -> list[tuple]:
    """Similarities over T to the own row and to negatives, and an offset near the larger of them."""
    draws = draws_of(seed)
    return [
        (between(2, 9, n, draws), between(-4, 6, n * m, draws).view(n, m), round(float(between(2, 4, 1, draws)), 2))
        for n, m in ((4, 7), (6, 5))
    ]


def _info_nce(near: Tensor, far: Tensor, offset: float) -> Tensor:
    both = torch.cat([near[:, None], far], 1)
    return F.cross_entropy(both, torch.zeros(len(near), dtype=torch.int64))


def _of_chances(near: Tensor, far: Tensor, offset: float) -> Tensor:
    """Negatives by log h in place of log(1 - h)."""
    return -(F.logsigmoid(near - offset) + F.logsigmoid(far - offset).sum(1)).mean()


_LOSSES: dict[str, Callable[..., Tensor]] = {
    "That is InfoNCE: one softmax over the own row and the negatives. NCE asks of each alone whether it is noise.": (
        _info_nce
    ),
    "You take the mean over the negatives; each of them is asked, so that it is a sum.": (
        lambda near, far, offset: -(F.logsigmoid(near - offset) + F.logsigmoid(offset - far).mean(1)).mean()
    ),
    "A negative should be told as noise: 1 - h of it, and not h, is to be near 1.": _of_chances,
    "The offset is missing: without it, a similarity is not weighed against noise.": (
        lambda near, far, offset: nce(near, far, 0.0)
    ),
    "You add the offset; it is what exp(s) is held against, so that it is taken away.": (
        lambda near, far, offset: nce(near, far, -offset)
    ),
    "Your sign is the other way round: a loss is to be made small.": lambda near, far, offset: -nce(near, far, offset),
    "You add the examples up; the mean over them is asked for.": (
        lambda near, far, offset: nce(near, far, offset) * len(near)
    ),
    "The negatives are missing.": lambda near, far, offset: -F.logsigmoid(near - offset).mean(),
}


def _rows(seed: int) -> list[tuple]:
    """Rows and embeddings of length 1, and a momentum that is not one half."""
    draws = draws_of(seed)
    return [
        (
            F.normalize(torch.randn(n, f, generator=draws)),
            F.normalize(torch.randn(n, f, generator=draws)),
            round(float(between(low, low + 0.1, 1, draws)), 2),
        )
        for n, f, low in ((4, 6, 0.7), (5, 4, 0.2))
    ]


_MOVED: dict[str, Callable[[Tensor, Tensor, float], Tensor]] = {
    "Your rows are shorter than 1: they must be made of length 1 again.": lambda r, e, m: m * r + (1 - m) * e,
    "Your shares are swapped: the momentum is the share of the old row.": lambda r, e, m: moved(r, e, 1 - m),
    "You put the new in the place of the old: the row forgets its other visits.": lambda r, e, m: e,
    "You add the whole of what is said now; only the rest, 1 - momentum, is its share.": (
        lambda r, e, m: F.normalize(m * r + e)
    ),
    "Each number is divided by its column's length; it is the row that must have length 1.": (
        lambda r, e, m: F.normalize(m * r + (1 - m) * e, dim=0)
    ),
}


def _explain_moved(given: Any, rows: Tensor, embedding: Tensor, momentum: float) -> str:
    wrong = difference(given, moved(rows, embedding, momentum), 1e-3)
    if not wrong or not fits(given, rows):
        return wrong
    named = {words: f(rows, embedding, momentum) for words, f in _MOVED.items()}
    return next((words for words, value in named.items() if not difference(given, value, 1e-3)), wrong)


EXERCISES = {
    "09.orders": Exercise(
        spread_out,
        _orders,
        each(_explain_orders),
        (
            *(Mistake(function, words) for words, function in _CHOSEN.items()),
            Mistake(lambda c, n: c[spread_out(c, n)], "You return the orders themselves"),
        ),
        "medium",
        10,
        (
            "Keep, for every candidate, the distance to the nearest of those that are chosen. Who is next?",
            "`(candidates != candidates[i]).sum(1)` has the distances to candidate i. When i is chosen, the least "
            "distances become the smaller of what they were and these.",
            "Begin with `chosen = [0]`. While there are too few: append `int(least.argmax())`, and take "
            "`torch.minimum` of `least` and the distances to it.",
        ),
    ),
    "09.normalise": Exercise(
        normalise,
        _tiles,
        each(_explain_normalise),
        tuple(Mistake(function, words) for words, function in _NORMALISED.items()),
        "easy",
        5,
        (
            "A tile has three channels, and each has a mean and a spread of its own. Over which of the four "
            "dimensions are they taken?",
            "`tiles.mean((2, 3), keepdim=True)` is the mean of each channel of each tile, in a shape that can be taken "
            "away from all of them. `std` goes the same way.",
            "Take the mean away and divide by the standard deviation, both over (2, 3).",
        ),
    ),
    "09.nce": Exercise(
        nce,
        _similarities,
        one_number(nce, _LOSSES),
        tuple(Mistake(function, words) for words, function in _LOSSES.items()),
        "hard",
        12,
        (
            "h(s) = exp(s) / (exp(s) + exp(offset)) is a function that you know under another name. What is it of "
            "s - offset?",
            "It is the sigmoid. And 1 - sigmoid(t) = sigmoid(-t), so that no logarithm of nearly nothing is needed.",
            "Add `F.logsigmoid(near - offset)` and the sum over dimension 1 of `F.logsigmoid(offset - far)`; the loss "
            "is minus the mean of that.",
        ),
    ),
    "09.moved": Exercise(
        moved,
        _rows,
        each(_explain_moved),
        tuple(Mistake(function, words) for words, function in _MOVED.items()),
        "easy",
        5,
        (
            "It is an average of two rows, with shares that add up to 1. How long is the average of two arrows of "
            "length 1?",
            "Shorter, unless they point the same way. `F.normalize` makes every row of length 1.",
            "`F.normalize` of momentum times the rows plus (1 - momentum) times the embedding.",
        ),
    ),
}

QUIZZES = {
    "09.gap": Quiz(
        "A gap is left between the tiles. On a photograph of a temple below a sky, what can still give the order away?",
        {
            "Nothing: no edge runs on.": "Look at the bars again: sky goes on being bright beyond a gap.",
            "The brightness and colour of each tile, since neighbours are much alike.": "Yes, until each tile is "
            "normalised by itself.",
            "The order of the permutations in the list.": "It is the same for every puzzle, and says nothing of one.",
        },
        "The brightness and colour of each tile, since neighbours are much alike.",
    ),
    "09.both": Quiz(
        "Jigsaw is told the right order, PIRL is not. What does that ask of their features?",
        {
            "The same: both see nine tiles.": "They are paid for opposite things.",
            "Jigsaw's must change with the order, PIRL's must not.": "Yes: the one is covariant with the puzzle, the "
            "other invariant to it.",
            "PIRL's must be more precise.": "A bank of other crops asks which crop it is, and not how it was cut.",
        },
        "Jigsaw's must change with the order, PIRL's must not.",
    ),
}
