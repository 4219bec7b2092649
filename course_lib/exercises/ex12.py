"""Notebook 12: what an exemplar SVM minimises, the weights of exemplar LDA, correlation by the Fourier transform."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor

from course_lib.exercises.compare import difference, each, explain_numbers, fits, numbers
from course_lib.exercises.drawing import between, draws_of
from course_lib.exercises.exercise import Exercise, Mistake, Quiz
from course_lib.lessons.one_example.correlation import correlate
from course_lib.lessons.one_example.exemplar import objective, whiten

_Objective = Callable[..., Tensor]


def _fits_of_svms(seed: int) -> list[tuple]:
    """Weights, a bias, a positive inside its margin, negatives on both sides of theirs, and two costs."""
    draws = draws_of(seed)
    return [_a_fit(n, f, draws) for n, f in ((9, 4), (14, 6))]


def _a_fit(n: int, f: int, draws: torch.Generator) -> tuple:
    w = torch.randn(f, generator=draws)
    bias, reached = float(between(0.2, 0.6, 1, draws)), between(0.1, 0.5, 1, draws)
    positive = w * (reached - bias) / w.square().sum()
    aims = torch.cat([between(-3.5, -1.5, n - n // 2, draws), between(-0.5, 1.5, n // 2, draws)])
    beside = torch.randn(n, f, generator=draws)
    beside -= (beside @ w)[:, None] * w / w.square().sum()
    negatives = beside + (aims - bias)[:, None] * w / w.square().sum()
    return (
        w,
        bias,
        positive,
        negatives,
        round(float(between(2, 4, 1, draws)), 2),
        round(float(between(0.1, 0.3, 1, draws)), 2),
    )


def _slacks(w: Tensor, bias: float, positive: Tensor, negatives: Tensor) -> tuple[Tensor, Tensor]:
    """By how much the positive and each negative miss their margins; below 0 where they do not."""
    return 1 - (positive @ w + bias), 1 + (negatives @ w + bias)


def _without_hinge(w: Tensor, bias: float, x: Tensor, n: Tensor, c1: float, c2: float) -> Tensor:
    found, passed = _slacks(w, bias, x, n)
    return w.square().sum() / 2 + c1 * found + c2 * passed.sum()


def _of_the_mean(w: Tensor, bias: float, x: Tensor, n: Tensor, c1: float, c2: float) -> Tensor:
    found, passed = _slacks(w, bias, x, n)
    return w.square().sum() / 2 + c1 * F.relu(found) + c2 * F.relu(passed).mean()


def _all_found(w: Tensor, bias: float, x: Tensor, n: Tensor, c1: float, c2: float) -> Tensor:
    found, passed = _slacks(w, bias, x, n)
    return w.square().sum() / 2 + c1 * F.relu(found) + c2 * F.relu(2 - passed).sum()


def _without_bias(w: Tensor, bias: float, x: Tensor, n: Tensor, c1: float, c2: float) -> Tensor:
    return objective(w, 0.0, x, n, c1, c2)


def _without_half(w: Tensor, bias: float, x: Tensor, n: Tensor, c1: float, c2: float) -> Tensor:
    return objective(w, bias, x, n, c1, c2) + w.square().sum() / 2


def _swapped_costs(w: Tensor, bias: float, x: Tensor, n: Tensor, c1: float, c2: float) -> Tensor:
    return objective(w, bias, x, n, c2, c1)


_OBJECTIVES: dict[str, _Objective] = {
    "You let an example on the right side of its margin make up for another: h(t) is never below 0.": _without_hinge,
    "You take the mean over the negatives; each of them costs C2, so that it is a sum.": _of_the_mean,
    "A negative should score low: inside h its score has the other sign than the positive's.": _all_found,
    "The bias is missing from the scores.": _without_bias,
    "The length of w counts by half of its square.": _without_half,
    "Your two costs are swapped: C1 is the positive's.": _swapped_costs,
}


def _explain_objective(questions: list[tuple], answers: list[Any]) -> str:
    given, expected = numbers(answers), [float(objective(*question)) for question in questions]
    if isinstance(given, str):
        return given
    return explain_numbers(given, expected, {w: [float(f(*q)) for q in questions] for w, f in _OBJECTIVES.items()})


def _backgrounds(seed: int) -> list[tuple]:
    """A covariance that is far from a multiple of one, an example, and a mean."""
    draws = draws_of(seed)
    return [_a_background(f, draws) for f in (4, 6)]


def _a_background(f: int, draws: torch.Generator) -> tuple[Tensor, Tensor, Tensor]:
    mixed = torch.randn(f, f, generator=draws)
    covariance = mixed @ mixed.T / f + torch.diag(between(0.3, 2, f, draws))
    return covariance, torch.randn(f, generator=draws), 1 + torch.randn(f, generator=draws)


def _by_half(covariance: Tensor, positive: Tensor, mean: Tensor) -> Tensor:
    """Whitened once, as data are, and not twice, as weights are."""
    values, vectors = torch.linalg.eigh(covariance)
    return vectors @ ((vectors.T @ (positive - mean)) / values.sqrt())


_WHITENED: dict[str, Callable[[Tensor, Tensor, Tensor], Tensor]] = {
    "You multiply by S, which makes loud what is loud anyway; its inverse is asked for.": lambda s, x, m: s @ (x - m),
    "The mean of the background is still in your example.": lambda s, x, m: torch.linalg.solve(s, x),
    "You divide by the variances alone: the numbers that vary together are then counted several times.": (
        lambda s, x, m: (x - m) / s.diagonal()
    ),
    "You whiten once: that is right for data. Weights meet data that are not white, and need it twice.": _by_half,
    "Your weights point from the example to the background.": lambda s, x, m: torch.linalg.solve(s, m - x),
    "You leave S out: every direction counts as if it were equally usual.": lambda s, x, m: x - m,
}


def _explain_whiten(given: Any, covariance: Tensor, positive: Tensor, mean: Tensor) -> str:
    wrong = difference(given, whiten(covariance, positive, mean), 1e-3)
    if not wrong or not fits(given, positive):
        return wrong
    return _named(given, {words: f(covariance, positive, mean) for words, f in _WHITENED.items()}, wrong)


def _pictures_and_filters(seed: int) -> list[tuple]:
    draws = draws_of(seed)
    return [
        (torch.randn(H, W, generator=draws), torch.randn(h, w, generator=draws))
        for H, W, h, w in ((12, 16, 3, 5), (15, 9, 4, 2))
    ]


def _spectra(image: Tensor, template: Tensor) -> tuple[Tensor, Tensor]:
    return torch.fft.fft2(image), torch.fft.fft2(template, s=image.shape)


def _convolved(image: Tensor, template: Tensor) -> Tensor:
    one, other = _spectra(image, template)
    return torch.fft.ifft2(one * other).real


def _backwards(image: Tensor, template: Tensor) -> Tensor:
    one, other = _spectra(image, template)
    return torch.fft.ifft2(one.conj() * other).real


def _by_centre(image: Tensor, template: Tensor) -> Tensor:
    return correlate(image, template).roll([size // 2 for size in template.shape], (0, 1))


def _centred(image: Tensor, template: Tensor) -> Tensor:
    return torch.fft.fftshift(correlate(image, template))


_PLANES: dict[str, Callable[[Tensor, Tensor], Tensor]] = {
    "That is a convolution: the filter is turned by half a turn. One of the spectra needs its conjugate.": _convolved,
    "Your plane runs backwards: the conjugate belongs to the filter's spectrum, not to the picture's.": _backwards,
    "Your plane is shifted by half a filter: a peak shall name the window's top left pixel.": _by_centre,
    "Your plane begins in its middle; no `fftshift` is needed, as pixel (0, 0) is the first.": _centred,
    "You leave out what lies over the edge by setting it to zero; the picture goes on from its far edge.": (
        lambda image, template: F.pad(_valid(image, template), (0, template.shape[1] - 1, 0, template.shape[0] - 1))
    ),
}


def _valid(image: Tensor, template: Tensor) -> Tensor:
    return F.conv2d(image[None, None], template[None, None])[0, 0]


def _explain_correlate(given: Any, image: Tensor, template: Tensor) -> str:
    wrong = difference(given, correlate(image, template), 1e-3)
    if not wrong or not fits(given, image) or given.is_complex():
        return wrong
    return _named(given, {words: f(image, template) for words, f in _PLANES.items()}, wrong)


def _named(given: Tensor, mistakes: dict[str, Tensor], wrong: str) -> str:
    """The sentence of the mistake that an answer is; else how far off it is."""
    return next((words for words, value in mistakes.items() if not difference(given, value, 1e-3)), wrong)


EXERCISES = {
    "12.objective": Exercise(
        objective,
        _fits_of_svms,
        _explain_objective,
        tuple(Mistake(function, words) for words, function in _OBJECTIVES.items()),
        "medium",
        8,
        (
            "Three terms: how long w is, what the one positive costs, what all negatives cost. Which of them wants a "
            "high score, and which a low one?",
            "A score is `x @ weights + bias`. The positive misses its margin by 1 minus its score, a negative by 1 "
            "plus its score; what misses nothing costs nothing: `F.relu`.",
            "Add `weights.square().sum() / 2`, C1 times the positive's relu, and C2 times the sum of the negatives'.",
        ),
    ),
    "12.whiten": Exercise(
        whiten,
        _backgrounds,
        each(_explain_whiten),
        tuple(Mistake(function, words) for words, function in _WHITENED.items()),
        "easy",
        5,
        (
            "What is unusual about the example? First take out what every window has.",
            "Then weigh each direction by the inverse of the covariance. A system of equations need not be inverted to "
            "be solved.",
            "`torch.linalg.solve(A, b)` gives the x with A x = b; here A is the covariance, and b the example less the "
            "mean.",
        ),
    ),
    "12.correlate": Exercise(
        correlate,
        _pictures_and_filters,
        each(_explain_correlate),
        (
            *(Mistake(function, words) for words, function in _PLANES.items()),
            Mistake(_valid, "Your answer has the shape"),
            Mistake(lambda image, template: torch.fft.fft2(image) * torch.fft.fft2(template), "It raised RuntimeError"),
        ),
        "hard",
        10,
        (
            "A product of two spectra is a convolution, which turns the filter by half a turn. What undoes the turn?",
            "`torch.fft.fft2(template, s=image.shape)` fills the filter up with zeros to the picture's size; its "
            "conjugate, `.conj()`, makes a correlation of the convolution.",
            "Multiply the picture's `fft2` by that conjugate, and take the real part of the `ifft2`. Shift nothing.",
        ),
    ),
}

QUIZZES = {
    "12.references": Quiz(
        "A text's number for one method leads to a paper about the other. What settles in a minute which is which?",
        {
            "The order of the list.": "It follows names, or first mentions; neither knows what is in a paper.",
            "The years.": "Both methods are older than the text, and either could have come first.",
            "The titles.": "Yes: here both name their method. The number in the text is what was mixed up.",
        },
        "The titles.",
    ),
    "12.negatives": Quiz(
        "An exemplar SVM has one positive. Where does it learn how far another view of it may differ?",
        {
            "From the positive.": "One point has no spread.",
            "Nowhere: the negatives only say what is not meant.": "Yes. What it allows comes with its features.",
            "From calibration.": "That maps scores to chances, and moves no weight.",
        },
        "Nowhere: the negatives only say what is not meant.",
    ),
    "12.alpha": Quiz(
        "A correlation filter with hardly any alpha has a needle for a peak. What is the price?",
        {
            "It takes longer to compute.": "Every filter is one division, frequency by frequency.",
            "It needs more negatives.": "It needs none: it is made of the example's own spectrum.",
            "It answers to nothing but the very same pixels.": "Yes: turn them a little, and the needle is gone.",
        },
        "It answers to nothing but the very same pixels.",
    ),
}
