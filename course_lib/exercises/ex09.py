"""Notebook 09: orders far from each other, tiles without their own mean and spread, and two parts of PIRL's loss."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import torch
import torch.nn.functional as F
from torch import Generator, Tensor

from course_lib.exercises.compare import difference, each, fits, match
from course_lib.exercises.drawing import between, for_each, one_between
from course_lib.exercises.exercise import Quiz, of_any, of_number, of_tensor
from course_lib.pretext.pirl import moved, nce
from course_lib.pretext.puzzles import hamming, normalise, spread_out


def _orders(m: int, count: int, draws: Generator) -> tuple[Tensor, int]:
    """Random orders, and how many of them to choose; so many that no usual mistake comes out right by chance."""
    return torch.stack([torch.randperm(9, generator=draws) for _ in range(m)]), count


def _greedy(choose: Callable[[Tensor], Tensor]) -> Callable[[Tensor, int], Tensor]:
    """Choosing greedily by what `choose` makes of the distances (chosen, m): the largest wins, of those not chosen."""

    def answer(candidates: Tensor, count: int) -> Tensor:
        apart = torch.stack([hamming(order, candidates) for order in candidates]).double()
        chosen = [0]
        while len(chosen) < count:
            score = choose(apart[chosen]).clone()
            score[chosen] = -math.inf
            chosen.append(int(score.argmax()))
        return torch.tensor(chosen)

    return answer


def _by_the_first(candidates: Tensor, count: int) -> Tensor:
    apart = hamming(candidates[0], candidates)
    return torch.cat([torch.zeros(1, dtype=torch.int64), apart.argsort(descending=True, stable=True)[: count - 1]])


_CHOSEN: dict[str, Callable[[Tensor, int], Tensor]] = {
    "You choose by mean distances; a near copy can still have a large one.": _greedy(lambda apart: apart.mean(0)),
    "You look only at the last one chosen, and forget those before it.": _greedy(lambda apart: apart[-1]),
    "You choose near ones; the largest of the smallest distances is needed.": _greedy(lambda apart: -apart.amin(0)),
    "You compare all with the first one only.": _by_the_first,
    "You take the first ones as they come.": lambda candidates, count: torch.arange(count),
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
        return "Your answer does not hold whole numbers, and a candidate's number is one."
    if torch.equal(given, expected):
        return ""
    if int(given[0]) != 0:
        return "The first that is chosen is the first of the candidates, number 0."
    named = match(given, _CHOSEN, (candidates, count), 0.0)
    return named or "At some step, another candidate is farther from all that you had chosen by then."


def _tiles(n: int, side: int, draws: Generator) -> tuple[Tensor]:
    """Tiles of very different means and spreads, in each channel."""
    centre, spread = (between(*ends, n * 3, draws).view(n, 3, 1, 1) for ends in ((-0.6, 0.6), (0.1, 0.5)))
    return (centre + spread * torch.randn(n, 3, side, side, generator=draws),)


def _centred(tiles: Tensor) -> Tensor:
    return tiles - tiles.mean((2, 3), keepdim=True)


def _scaled(*dims: int) -> Callable[[Tensor], Tensor]:
    """Normalising over these dimensions."""
    return lambda x: (x - x.mean(dims, keepdim=True)) / x.std(dims, correction=0, keepdim=True)


_NORMALISED: dict[str, Callable[[Tensor], Tensor]] = {
    "You take one mean and spread for all tiles, as the released code does: each tile keeps its own brightness.": (
        _scaled(0, 1, 2, 3)
    ),
    "You take a mean and spread per channel over all tiles: each tile keeps its own colour.": _scaled(0, 2, 3),
    "You take the three channels together: the tile keeps its hue, and a sky stays blue.": _scaled(1, 2, 3),
    "You subtract the mean, but a tile of high contrast still has more than its neighbour.": _centred,
    "Divide by the root of the variance.": lambda x: _centred(x) / x.var((2, 3), correction=0, keepdim=True),
    "You divide by the spread, but the mean is still there.": lambda x: x / x.std((2, 3), correction=0, keepdim=True),
}


def _explain_normalise(given: Any, tiles: Tensor) -> str:
    wrong = difference(given, normalise(tiles), 0.0)
    if not wrong or not fits(given, tiles):
        return wrong
    if not difference(given, normalise(tiles), 0.05):  # whichever of the two usual standard deviations
        ratio = given.double() / normalise(tiles).double()
        pixels = tiles[0, 0].numel()
        return "" if ((ratio - 1).abs() < 0.6 / pixels + 1e-3).all() else wrong
    return match(given, _NORMALISED, (tiles,), 0.03) or wrong


def _similarities(n: int, m: int, draws: Generator) -> tuple[Tensor, Tensor, float]:
    """Similarities over T to the own row and to negatives, and an offset near the larger of them."""
    return between(2, 9, n, draws), between(-4, 6, n * m, draws).view(n, m), one_between(2, 4, draws)


def _info_nce(near: Tensor, far: Tensor, offset: float) -> Tensor:
    both = torch.cat([near[:, None], far], 1)
    return F.cross_entropy(both, torch.zeros(len(near), dtype=torch.int64))


def _rows(n: int, f: int, low: float, draws: Generator) -> tuple[Tensor, Tensor, float]:
    """Rows and embeddings of length 1, and a momentum that is not one half."""
    rows, embedding = (F.normalize(torch.randn(n, f, generator=draws)) for _ in range(2))
    return rows, embedding, one_between(low, low + 0.1, draws)


EXERCISES = {
    "09.orders": of_any(
        spread_out,
        for_each(_orders, (40, 5), (60, 6), (50, 7)),
        each(_explain_orders),
        {**_CHOSEN, "You return the orders themselves": lambda c, n: c[spread_out(c, n)]},
        "medium · 10 minutes",
        "Keep, for every candidate, the distance to the nearest of those that are chosen. Which is next?",
        "`(candidates != candidates[i]).sum(1)` has the distances to candidate i. When i is chosen, the least "
        "distances become the smaller of what they were and these.",
        "Begin with `chosen = [0]`. While there are too few: append `int(least.argmax())`, and take `torch.minimum` "
        "of `least` and the distances to it.",
    ),
    "09.normalise": of_any(
        normalise,
        for_each(_tiles, (4, 6), (3, 5)),
        each(_explain_normalise),
        _NORMALISED,
        "easy · 5 minutes",
        "Each channel of a tile has a mean and a spread of its own. Over which of the four dimensions are they taken?",
        "`tiles.mean((2, 3), keepdim=True)` is the mean of each channel of each tile, in a shape that can be "
        "subtracted from all of them. `std` works the same way.",
        "Subtract the mean and divide by the standard deviation, both over (2, 3).",
    ),
    "09.nce": of_number(
        nce,
        for_each(_similarities, (4, 7), (6, 5)),
        {
            "That is InfoNCE: one softmax over the own row and the negatives. NCE asks of each separately whether it "
            "is noise.": _info_nce,
            "You take the mean over the negatives; each of them is asked, so their sum is needed.": (
                lambda near, far, offset: -(F.logsigmoid(near - offset) + F.logsigmoid(offset - far).mean(1)).mean()
            ),
            "A negative should be recognised as noise: 1 - h of it, and not h, should be near 1.": (
                lambda near, far, offset: -(F.logsigmoid(near - offset) + F.logsigmoid(far - offset).sum(1)).mean()
            ),
            "The offset is missing: without it, nothing is compared with noise.": lambda n, f, o: nce(n, f, 0.0),
            "You add the offset; exp(s) is compared with it, so it is subtracted.": lambda n, f, o: nce(n, f, -o),
            "Your sign is the wrong way round: a loss is to be minimised.": lambda n, f, o: -nce(n, f, o),
            "You add the examples up; the mean over them is asked for.": lambda n, f, o: nce(n, f, o) * len(n),
            "The negatives are missing.": lambda near, far, offset: -F.logsigmoid(near - offset).mean(),
        },
        "hard · 12 minutes",
        "h(s) = exp(s) / (exp(s) + exp(offset)) is a function of s - offset that you know under another name: which?",
        "It is the sigmoid. And 1 - sigmoid(t) = sigmoid(-t), so you never take the logarithm of almost zero.",
        "The loss is minus the mean of `F.logsigmoid(near - offset) + F.logsigmoid(offset - far).sum(1)`.",
    ),
    "09.moved": of_tensor(
        moved,
        for_each(_rows, (4, 6, 0.7), (5, 4, 0.2)),
        {
            "Your rows are shorter than 1: they must be normalised again.": lambda r, e, m: m * r + (1 - m) * e,
            "Your shares are swapped: the momentum is the share of the old row.": lambda r, e, m: moved(r, e, 1 - m),
            "You replace the old row by the new one: it forgets its earlier visits.": lambda r, e, m: e,
            "You add all of the new embedding; its share is 1 - momentum.": lambda r, e, m: F.normalize(m * r + e),
            "You normalise columns; rows must have length 1.": lambda r, e, m: F.normalize(m * r + (1 - m) * e, dim=0),
        },
        "easy · 5 minutes",
        "It is an average of two rows; the shares add up to 1. How long is the average of two arrows of length 1?",
        "Shorter, unless they point the same way. `F.normalize` makes every row of length 1.",
        "`F.normalize` of momentum times the rows plus (1 - momentum) times the embedding.",
        tolerance=1e-3,
    ),
}

QUIZZES = {
    "09.gap": Quiz(
        "A gap is left between the tiles. On a photograph of a temple below a sky, what can still give the order away?",
        ("Nothing: no edge runs on.", "Look at the bars again: the sky is still bright beyond a gap."),
        ("Brightness and colour, since neighbours are alike.", "Yes, until each tile is normalised by itself."),
        ("The order of the permutations in the list.", "It is the same for every puzzle."),
    ),
    "09.both": Quiz(
        "Jigsaw is told the right order, PIRL is not. What does that demand of their features?",
        ("The same: both see nine tiles.", "They are rewarded for opposite things."),
        ("Jigsaw's must change with the order, PIRL's must not.", "Yes: one is covariant, the other invariant."),
        ("PIRL's must be more precise.", "The memory bank asks which crop it is, and not how it was cut."),
    ),
}
