"""Notebook 07: freezing, the heart of the scattering transform, and whether two rankings agree."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor

from course_lib.exercises.asking import ask
from course_lib.exercises.compare import difference, each, explain_numbers, fits, numbers, same
from course_lib.exercises.drawing import between, draws_of, whole
from course_lib.exercises.exercise import Exercise, Mistake, Quiz
from course_lib.exercises.plain import name_of
from course_lib.networks.alexnet import LAYERS, AlexNet
from course_lib.networks.scattering import first_order, wave, window
from course_lib.probes.frozen import freeze
from course_lib.probes.transfer import same_order


def _networks(seed: int) -> list[tuple]:
    """A seed for the weights, and a depth: the arguments of the setting `network`."""
    return [(2 * seed, 2), (2 * seed + 1, 1 + 2 * whole(0, 1, draws_of(seed)))]


def _explain_freeze(given: Any, seed: int, depth: int) -> str:
    """given: what `settings` observed of the network."""
    if not isinstance(given, tuple):
        return f"Your function returned {name_of(given)}, and the network is expected; does it end with `return`?"
    moving, learning, weights = given
    frozen = [layer for layer, kinds in zip(LAYERS, moving) if not kinds]
    wanted = " and ".join(LAYERS[:depth])
    if not set(frozen) <= set(LAYERS[:depth]):
        return f"At depth {depth} you freeze {', '.join(frozen)}: count from conv1, and stop at the depth."
    if any(kinds == ["BatchNorm2d"] for kinds in moving[:depth]):
        return "The filters take no gradient, but the gains and shifts of BatchNorm behind them still do."
    if len(frozen) < depth:
        return f"At depth {depth} {' and '.join(frozen) or 'no layer'} takes no gradient; {wanted} should take none."
    if any(learning[:depth]):
        return "No weight can change, but BatchNorm still learns mean and spread: it is in training mode."
    if not all(learning[depth:]):
        return "The layers above are in evaluation mode as well: their BatchNorm could not learn."
    (expected,) = ask(freeze, [(seed, depth)], "network")
    return "" if same(weights, expected[2], 1e-6) else "Freezing must change no weight."


def _frozen(*, more: int = 0, gradients: bool = True, norms: bool = True, evaluated: int = 0) -> Callable[..., AlexNet]:
    """Answers to 07.freeze that freeze so many layers more, of them all or a part, and evaluate so many more."""

    def answer(trunk: AlexNet, depth: int) -> AlexNet:
        for layer in LAYERS[: depth + more]:
            block = getattr(trunk, layer)
            (block if norms else block[0]).requires_grad_(not gradients)
        for layer in LAYERS[: max(0, depth + more + evaluated)]:
            getattr(trunk, layer).eval()
        return trunk

    return answer


def _zeroed(trunk: AlexNet, depth: int) -> AlexNet:
    trunk.conv1[0].weight.data.zero_()
    return freeze(trunk, depth)


def _waves(seed: int) -> list[tuple]:
    draws = draws_of(seed)
    angles = between(0.3, 1.2, 2, draws).tolist()
    return [(torch.rand(3, n, n, generator=draws), wave(n, angle), window(n)) for n, angle in zip((16, 20), angles)]


def _explain_first_order(given: Any, images: Tensor, psi: Tensor, phi: Tensor) -> str:
    if isinstance(given, Tensor) and given.is_complex():
        return "Your answer is complex: the modulus of the wave's answer is real, and so is its mean."
    expected = first_order(images, psi, phi)
    wrong = difference(given, expected)
    if not wrong or not fits(given, expected):
        return wrong
    answer = _filtered(images, psi)
    mistakes = {
        "You took the mean of the wave's answer itself: its ups and downs cancel. The modulus is missing.": _filtered(
            answer.real, phi
        ).real,
        "You took the modulus and no mean: the answer still moves with every pixel.": answer.abs(),
        "The mean comes first in your answer: it wipes out the wave before its strength is taken.": _filtered(
            images, psi * phi
        ).abs(),
        "You took the square of the modulus: a strong answer then drowns the weak ones.": _filtered(
            answer.abs().square(), phi
        ).real,
        "You multiplied pixel by pixel: a convolution is a product of frequencies, after `fft2`.": (images * psi).abs()
        * phi,
    }
    return next((words for words, value in mistakes.items() if not difference(given, value)), wrong)


def _filtered(values: Tensor, filter_: Tensor) -> Tensor:
    return torch.fft.ifft2(torch.fft.fft2(values) * filter_)


def _rankings(seed: int) -> list[tuple]:
    """Pairs of lists of which some neighbours changed places, and a pair in which two accuracies are level."""
    draws = draws_of(seed)
    level = [
        round(0.1 * i + value, 3) for i, value in enumerate(between(0.1, 0.15, whole(4, 8, draws), draws).tolist())
    ]
    swapped = [level[1], level[0], *level[2:]]
    lengths = [whole(6, 12, draws) for _ in range(3)]
    pairs = [_ranking(n, whole(2, n // 2, draws), draws) for n in lengths]
    return [*pairs, ([level[0], level[0], *level[2:]], swapped)]


def _ranking(n: int, swaps: int, draws: torch.Generator) -> tuple[list[float], list[float]]:
    one, other = (torch.arange(n) / 10 + 0.1 + between(0, 0.08, n, draws) for _ in range(2))
    for i in range(0, 2 * swaps, 2):
        other[[i, i + 1]] = other[[i + 1, i]]
    order = torch.randperm(n, generator=draws)
    return tuple([round(value, 3) for value in values[order].tolist()] for values in (one, other))


def _explain_same_order(questions: list[tuple], answers: list[Any]) -> str:
    given, expected = numbers(answers), [same_order(*question) for question in questions]
    if isinstance(given, str):
        return given
    if same(given[:2], expected[:2]):
        level = "Right where no two are level; a pair that is level in one list should count half."
        return "" if same(given, expected) else level
    sizes = [len(one) for one, _ in questions[:2]]
    shares = list(zip(sizes, expected))
    counts = [share * n * (n - 1) / 2 for n, share in shares]
    correlations = [float(torch.corrcoef(torch.tensor(question))[0, 1]) for question in questions[:2]]
    mistakes = {
        "That is the share of pairs that are in the other order.": [1 - share for _, share in shares],
        "That is how many pairs agree; asked for is their share of all pairs.": counts,
        "That is how many pairs agree, each counted twice; asked for is their share.": [2 * c for c in counts],
        "That is Kendall's tau, from -1 to 1; asked for is the share of pairs, from 0 to 1.": [
            2 * share - 1 for _, share in shares
        ],
        "That is a correlation: it asks how far apart the accuracies are. Asked for is only their order.": correlations,
        "You divide by n squared: a network is no pair with itself.": [share * (n - 1) / n for n, share in shares],
    }
    return explain_numbers(given[:2], expected[:2], mistakes)


def _ordered(one: list[float], other: list[float]) -> int:
    """How many pairs are in the same order."""
    return sum((one[i] - one[j]) * (other[i] - other[j]) > 0 for i in range(len(one)) for j in range(i))


def _without_level(one: list[float], other: list[float]) -> float:
    return 2 * _ordered(one, other) / (len(one) * (len(one) - 1))


EXERCISES = {
    "07.freeze": Exercise(
        freeze,
        _networks,
        each(_explain_freeze),
        (
            Mistake(_frozen(evaluated=-9), "BatchNorm still learns mean and spread"),
            Mistake(_frozen(gradients=False), "no layer takes no gradient"),
            Mistake(_frozen(more=-1), "At depth 2 conv1 takes no gradient"),
            Mistake(_frozen(more=1), "you freeze conv1, conv2, conv3"),
            Mistake(_frozen(norms=False), "gains and shifts of BatchNorm"),
            Mistake(_frozen(evaluated=9), "layers above are in evaluation mode as well"),
            Mistake(_zeroed, "must change no weight"),
            Mistake(lambda trunk, depth: depth, "the network is expected"),
        ),
        "medium",
        6,
        (
            "Two things can change a layer while others train. One is the optimiser. The other happens inside "
            "BatchNorm.",
            "`requires_grad_(False)` stops the first, `eval()` the second; both work on a whole layer, and both return "
            "it.",
            "For each of `LAYERS[:depth]` take the layer with `getattr(trunk, layer)` and call both. Return the trunk.",
        ),
        "network",
    ),
    "07.first_order": Exercise(
        first_order,
        _waves,
        each(_explain_first_order),
        (
            Mistake(lambda x, w, phi: _filtered(_filtered(x, w).real, phi).real, "The modulus is missing"),
            Mistake(lambda x, w, phi: _filtered(x, w).abs(), "no mean"),
            Mistake(lambda x, w, phi: _filtered(_filtered(x, w).abs().square(), phi).real, "square of the modulus"),
            Mistake(lambda x, w, phi: _filtered(x, w * phi).abs(), "mean comes first"),
            Mistake(lambda x, w, phi: (x * w).abs() * phi, "pixel by pixel"),
            Mistake(lambda x, w, phi: _filtered(x, w), "is complex"),
        ),
        "medium",
        8,
        (
            "Three steps: convolve with the wave, take the modulus, convolve with the window. How is a convolution "
            "done with `fft2`?",
            "A convolution is `ifft2(fft2(x) * filter)`, with the filter given in frequencies already, as both are "
            "here.",
            "After the first `ifft2` comes `.abs()`; after the second `.real`, since a mean of real numbers is real.",
        ),
    ),
    "07.same_order": Exercise(
        same_order,
        _rankings,
        _explain_same_order,
        (
            Mistake(_ordered, "how many pairs agree;"),
            Mistake(lambda a, b: 1 - same_order(a, b), "in the other order"),
            Mistake(lambda a, b: 2 * same_order(a, b) - 1, "Kendall's tau"),
            Mistake(lambda a, b: torch.corrcoef(torch.tensor([a, b]))[0, 1], "how far apart"),
            Mistake(lambda a, b: 2 * _ordered(a, b) / len(a) ** 2, "no pair with itself"),
            Mistake(_without_level, "should count half"),
        ),
        "medium",
        6,
        (
            "Go through all pairs of networks, each once. How does the sign of a product say that two lists agree on a "
            "pair?",
            "`(one[i] - one[j]) * (other[i] - other[j])` is positive where they agree, negative where not. And where "
            "it is 0?",
            "Add 1, 0 or one half for each pair, and divide by the number of pairs; `itertools.combinations` has them.",
        ),
    ),
}

QUIZZES = {
    "07.evaluation": Quiz(
        "Why must a frozen layer be in evaluation mode?",
        {
            "Because it would otherwise take gradients.": "They are switched off one by one, in either mode.",
            "Because BatchNorm would go on learning mean and spread.": "Yes, and answer each picture by its batch.",
            "Because evaluation is faster.": "A little, and beside the point.",
        },
        "Because BatchNorm would go on learning mean and spread.",
    )
}
