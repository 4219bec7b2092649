"""Notebook 07: freezing, the heart of the scattering transform, and whether two rankings agree."""

from __future__ import annotations

import copy
from collections.abc import Callable, Sequence

import torch
from torch import Tensor, nn

from course_lib.exercises import Exercise
from course_lib.exercises.compare import difference
from course_lib.frozen import freeze
from course_lib.networks import LAYERS, AlexNet
from course_lib.scattering import first_order, wave, window
from course_lib.transfer import same_order


def _freeze(function: Callable[[AlexNet, int], AlexNet]) -> str:
    before = AlexNet(16, 0.1).train()
    given = function(copy.deepcopy(before), 2)
    if not isinstance(given, AlexNet):
        return f"Your function returned {type(given).__name__}, and the network is expected; does it end with `return`?"
    frozen = [layer for layer in LAYERS if _weights_moving(getattr(given, layer)) == set()]
    if not set(frozen) <= {"conv1", "conv2"}:
        return f"At depth 2 you freeze {', '.join(frozen)}: count from conv1, and stop at the depth."
    if any(_weights_moving(getattr(given, layer)) == {"BatchNorm2d"} for layer in LAYERS[:2]):
        return "The filters take no gradient, but the gains and shifts of BatchNorm behind them still do."
    if len(frozen) < 2:
        return f"At depth 2 {' and '.join(frozen) or 'no layer'} takes no gradient; conv1 and conv2 should take none."
    if any(norm.training for layer in LAYERS[:2] for norm in _norms(getattr(given, layer))):
        return "No weight can change, but BatchNorm still learns mean and spread: it is in training mode."
    if not all(norm.training for layer in LAYERS[2:] for norm in _norms(getattr(given, layer))):
        return "The layers above are in evaluation mode as well: their BatchNorm could not learn."
    same = all(torch.equal(value, before.state_dict()[key]) for key, value in given.state_dict().items())
    return "" if same else "Freezing must change no weight."


def _weights_moving(layer: nn.Module) -> set[str]:
    """The kinds of parts of a layer whose weights take gradients."""
    return {type(part).__name__ for part in layer for weight in part.parameters() if weight.requires_grad}


def _norms(layer: nn.Module) -> list[nn.Module]:
    return [part for part in layer.modules() if isinstance(part, nn.BatchNorm2d)]


def _first_order(function: Callable[[Tensor, Tensor, Tensor], Tensor]) -> str:
    images = torch.rand(3, 16, 16, generator=torch.Generator().manual_seed(0))
    psi, phi = wave(16, 0.5), window(16)
    expected, given = first_order(images, psi, phi), function(images.clone(), psi.clone(), phi.clone())
    if isinstance(given, Tensor) and given.is_complex():
        return "Your answer is complex: the modulus of the wave's answer is real, and so is its mean."
    wrong = difference(given, expected)
    if not wrong or not isinstance(given, Tensor) or given.shape != expected.shape:
        return wrong
    answer = torch.fft.ifft2(torch.fft.fft2(images) * psi)
    mistakes = {
        "You took the mean of the wave's answer itself: its ups and downs cancel. The modulus is missing.": _mean(
            answer.real, phi
        ),
        "You took the modulus and no mean: the answer still moves with every pixel.": answer.abs(),
        "The mean comes first in your answer: it wipes out the wave before its strength is taken.": torch.fft.ifft2(
            torch.fft.fft2(images) * psi * phi
        ).abs(),
        "You took the square of the modulus: a strong answer then drowns the weak ones.": _mean(
            answer.abs().square(), phi
        ),
        "You multiplied pixel by pixel: a convolution is a product of frequencies, after `fft2`.": (images * psi).abs()
        * phi,
    }
    return next((words for words, value in mistakes.items() if not difference(given, value)), wrong)


def _mean(values: Tensor, phi: Tensor) -> Tensor:
    return torch.fft.ifft2(torch.fft.fft2(values) * phi).real


def _same_order(function: Callable[[Sequence[float], Sequence[float]], float]) -> str:
    one, other = [0.5, 0.61, 0.72, 0.55], [0.3, 0.4, 0.35, 0.32]
    expected, given = same_order(one, other), function(list(one), list(other))
    if not isinstance(given, int | float | Tensor):
        return f"One number is expected, and your function returned {type(given).__name__}."
    given = float(given)
    if abs(given - expected) < 1e-6:
        return _level(function)
    pairs = len(one) * (len(one) - 1) // 2
    if abs(given - (1 - expected)) < 1e-6:
        return "That is the share of pairs that are in the other order."
    if abs(given - expected * pairs) < 1e-6 or abs(given - 2 * expected * pairs) < 1e-6:
        return "That is how many pairs agree; asked for is their share of all pairs."
    if abs(given - (2 * expected - 1)) < 1e-6:
        return "That is Kendall's tau, from -1 to 1; asked for is the share of pairs, from 0 to 1."
    correlation = torch.corrcoef(torch.tensor([one, other]))[0, 1].item()
    if abs(given - correlation) < 1e-4:
        return "That is a correlation: it asks how far apart the accuracies are. Asked for is only their order."
    if abs(given - expected * (len(one) - 1) / len(one)) < 1e-6:
        return "You divide by n squared: a network is no pair with itself."
    return f"Another share of the pairs is expected: you are off by {abs(given - expected):.2g}."


def _level(function: Callable[[Sequence[float], Sequence[float]], float]) -> str:
    one, other = [0.5, 0.5, 0.7], [0.1, 0.2, 0.3]
    wrong = abs(float(function(one, other)) - same_order(one, other)) > 1e-6
    return "Right where no two are level; a pair that is level in one list should count half." if wrong else ""


EXERCISES = {
    "07.freeze": Exercise(freeze, _freeze),
    "07.first_order": Exercise(first_order, _first_order),
    "07.same_order": Exercise(same_order, _same_order),
}
