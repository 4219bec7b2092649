"""Notebook 07: freezing layers, the core of the scattering transform, and whether two rankings agree."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
from torch import Generator, Tensor

from course_lib.exercises.asking import ask
from course_lib.exercises.compare import each, numbers, one_number, same
from course_lib.exercises.drawing import between, whole
from course_lib.exercises.exercise import Quiz, of_any, of_tensor
from course_lib.exercises.plain import name_of
from course_lib.lessons.freezing import same_order
from course_lib.lessons.scattering import first_order, wave, window
from course_lib.networks.alexnet import LAYERS, AlexNet
from course_lib.probes.frozen import freeze


def _networks(draws: Generator) -> list[tuple]:
    """A seed for the weights, and a depth: the arguments of the setting `network`."""
    seed = draws.initial_seed()
    return [(2 * seed, 2), (2 * seed + 1, 1 + 2 * whole(0, 1, draws))]


def _explain_freeze(given: Any, seed: int, depth: int) -> str:
    """given: what the setting `network` observed."""
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
    """Answers to 07.freeze that freeze so many layers more, completely or in part, and evaluate so many more."""

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


def _waves(draws: Generator) -> list[tuple]:
    angles = between(0.3, 1.2, 2, draws).tolist()
    return [(torch.rand(3, n, n, generator=draws), wave(n, angle), window(n)) for n, angle in zip((16, 20), angles)]


def _filtered(values: Tensor, filter_: Tensor) -> Tensor:
    return torch.fft.ifft2(torch.fft.fft2(values) * filter_)


def _rankings(draws: Generator) -> list[tuple]:
    """Pairs of lists in which some neighbours changed places, and a pair in which two accuracies are equal."""
    offsets = between(0.1, 0.15, whole(4, 8, draws), draws).tolist()
    level = [round(0.1 * i + value, 3) for i, value in enumerate(offsets)]
    swapped = [level[1], level[0], *level[2:]]
    lengths = [whole(6, 12, draws) for _ in range(3)]
    pairs = [_ranking(n, whole(2, n // 2, draws), draws) for n in lengths]
    return [*pairs, ([level[0], level[0], *level[2:]], swapped)]


def _ranking(n: int, swaps: int, draws: Generator) -> tuple[list[float], list[float]]:
    one, other = (torch.arange(n) / 10 + 0.1 + between(0, 0.08, n, draws) for _ in range(2))
    for i in range(0, 2 * swaps, 2):
        other[[i, i + 1]] = other[[i + 1, i]]
    order = torch.randperm(n, generator=draws)
    return tuple([round(value, 3) for value in values[order].tolist()] for values in (one, other))


def _explain_same_order(questions: list[tuple], answers: list[Any]) -> str:
    given, expected = numbers(answers), [same_order(*question) for question in questions]
    if isinstance(given, str):
        return given
    if problem := one_number(same_order, _ORDERS)(questions[:2], given[:2]):
        return problem
    return "" if same(given, expected) else "Right without ties; a pair that is tied in one list should count half."


def _ordered(one: list[float], other: list[float]) -> int:
    """How many pairs are in the same order."""
    return sum((one[i] - one[j]) * (other[i] - other[j]) > 0 for i in range(len(one)) for j in range(i))


_ORDERS: dict[str, Callable[[list[float], list[float]], float]] = {
    "That is how many pairs agree; their share of all pairs is asked for.": _ordered,
    "That is the share of pairs that are in the other order.": lambda a, b: 1 - same_order(a, b),
    "That is how many pairs agree, each counted twice; their share is asked for.": lambda a, b: 2 * _ordered(a, b),
    "That is Kendall's tau, from -1 to 1; a share of pairs is asked for.": lambda a, b: 2 * same_order(a, b) - 1,
    "That is a correlation; only the order counts.": lambda a, b: torch.corrcoef(torch.tensor([a, b]))[0, 1],
    "You divide by n squared: no network is paired with itself.": lambda a, b: 2 * _ordered(a, b) / len(a) ** 2,
}


EXERCISES = {
    "07.freeze": of_any(
        freeze,
        _networks,
        each(_explain_freeze),
        {
            "BatchNorm still learns mean and spread": _frozen(evaluated=-9),
            "no layer takes no gradient": _frozen(gradients=False),
            "At depth 2 conv1 takes no gradient": _frozen(more=-1),
            "you freeze conv1, conv2, conv3": _frozen(more=1),
            "gains and shifts of BatchNorm": _frozen(norms=False),
            "layers above are in evaluation mode as well": _frozen(evaluated=9),
            "must change no weight": _zeroed,
            "the network is expected": lambda trunk, depth: depth,
        },
        "medium · 6 minutes",
        "Two things can change a layer while others train. One is the optimiser. The other happens inside BatchNorm.",
        "`requires_grad_(False)` stops the first, `eval()` the second; both work on a whole layer, and both return it.",
        "For each of `LAYERS[:depth]` take the layer with `getattr(trunk, layer)` and call both. Return the trunk.",
        setting="network",
    ),
    "07.first_order": of_tensor(
        first_order,
        _waves,
        {
            "The modulus is missing: waves cancel out.": lambda x, w, phi: _filtered(_filtered(x, w).real, phi).real,
            "You took no mean: the response still changes with every shift.": lambda x, w, phi: _filtered(x, w).abs(),
            "You squared the modulus.": lambda x, w, phi: _filtered(_filtered(x, w).abs().square(), phi).real,
            "You take the mean first: it wipes out the wave.": lambda x, w, phi: _filtered(x, w * phi).abs(),
            "You multiplied pixels: a convolution is a product of frequencies.": lambda x, w, phi: (x * w).abs() * phi,
        },
        "medium · 8 minutes",
        "Convolve with the wave, take the modulus, convolve with the window. How is a convolution done with `fft2`?",
        "A convolution is `ifft2(fft2(x) * filter)`, where the filter is given in frequencies, as both are here.",
        "After the first `ifft2` comes `.abs()`; after the second `.real`, since a mean of real numbers is real.",
        others={"complex numbers": lambda x, w, phi: _filtered(x, w)},
    ),
    "07.same_order": of_any(
        same_order,
        _rankings,
        _explain_same_order,
        {
            **_ORDERS,
            "should count half": lambda a, b: 2 * _ordered(a, b) / (len(a) * (len(a) - 1)),
        },
        "medium · 6 minutes",
        "Go through all pairs, each once. How does the sign of a product tell whether two lists agree on a pair?",
        "`(one[i] - one[j]) * (other[i] - other[j])` is positive where they agree, negative where not. And if it is 0?",
        "Add 1, 0 or one half for each pair, and divide by the number of pairs; `itertools.combinations` gives them.",
    ),
}

QUIZZES = {
    "07.evaluation": Quiz(
        "Why must a frozen layer be in evaluation mode?",
        ("Because it would otherwise take gradients.", "They are switched off separately, in either mode."),
        ("Because BatchNorm would go on learning mean and spread.", "Yes, and answers would depend on the batch."),
        ("Because evaluation is faster.", "A little, and beside the point."),
    )
}
