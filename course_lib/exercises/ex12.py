"""Notebook 12: what an exemplar SVM minimises, the weights of exemplar LDA, correlation by the Fourier transform."""

from __future__ import annotations

from collections.abc import Callable

import torch
import torch.nn.functional as F
from torch import Generator, Tensor

from course_lib.exercises.drawing import between, for_each, one_between
from course_lib.exercises.exercise import Quiz, of_number, of_tensor
from course_lib.lessons.one_example.correlation import correlate
from course_lib.lessons.one_example.exemplar import objective, whiten


def _svm(n: int, f: int, draws: Generator) -> tuple:
    """Weights, a bias, a positive inside its margin, negatives on both sides of theirs, and two costs."""
    w = torch.randn(f, generator=draws)
    bias, reached = float(between(0.2, 0.6, 1, draws)), between(0.1, 0.5, 1, draws)
    positive = w * (reached - bias) / w.square().sum()
    aims = torch.cat([between(-3.5, -1.5, n - n // 2, draws), between(-0.5, 1.5, n // 2, draws)])
    beside = torch.randn(n, f, generator=draws)
    beside -= (beside @ w)[:, None] * w / w.square().sum()
    negatives = beside + (aims - bias)[:, None] * w / w.square().sum()
    return w, bias, positive, negatives, one_between(2, 4, draws), one_between(0.1, 0.3, draws)


def _by_slacks(cost: Callable[[Tensor, Tensor, float, float], Tensor]) -> Callable[..., Tensor]:
    """Half the squared weights plus a cost of how far the positive and the negatives miss their margins."""

    def answer(w: Tensor, bias: float, positive: Tensor, negatives: Tensor, c1: float, c2: float) -> Tensor:
        return w.square().sum() / 2 + cost(1 - (positive @ w + bias), 1 + (negatives @ w + bias), c1, c2)

    return answer


def _background(f: int, draws: Generator) -> tuple[Tensor, Tensor, Tensor]:
    """A covariance that is far from a multiple of the identity, an example, and a mean."""
    mixed = torch.randn(f, f, generator=draws)
    covariance = mixed @ mixed.T / f + torch.diag(between(0.3, 2, f, draws))
    return covariance, torch.randn(f, generator=draws), 1 + torch.randn(f, generator=draws)


def _by_half(covariance: Tensor, positive: Tensor, mean: Tensor) -> Tensor:
    """Whitened once, as data are, and not twice, as weights are."""
    values, vectors = torch.linalg.eigh(covariance)
    return vectors @ ((vectors.T @ (positive - mean)) / values.sqrt())


def _picture_and_filter(H: int, W: int, h: int, w: int, draws: Generator) -> tuple[Tensor, Tensor]:
    return torch.randn(H, W, generator=draws), torch.randn(h, w, generator=draws)


def _by_spectra(product: Callable[[Tensor, Tensor], Tensor]) -> Callable[[Tensor, Tensor], Tensor]:
    """What a product of the two spectra is the transform of."""
    return lambda image, template: (
        torch.fft.ifft2(product(torch.fft.fft2(image), torch.fft.fft2(template, s=image.shape))).real
    )


def _valid(image: Tensor, template: Tensor) -> Tensor:
    return F.conv2d(image[None, None], template[None, None])[0, 0]


EXERCISES = {
    "12.objective": of_number(
        objective,
        for_each(_svm, (9, 4), (14, 6)),
        {
            "h(t) is never below 0, for any example.": _by_slacks(lambda p, n, c1, c2: c1 * p + c2 * n.sum()),
            "Add up the negatives' costs.": _by_slacks(lambda p, n, c1, c2: c1 * F.relu(p) + c2 * F.relu(n).mean()),
            "A negative should score low: inside h its score has the other sign than the positive's.": (
                _by_slacks(lambda p, n, c1, c2: c1 * F.relu(p) + c2 * F.relu(2 - n).sum())
            ),
            "The bias is missing from the scores.": lambda w, bias, *rest: objective(w, 0.0, *rest),
            "Half of w's squared length counts, not all.": lambda w, *rest: objective(w, *rest) + w.square().sum() / 2,
            "Your two costs are swapped: C1 is the positive's.": lambda *q: objective(*q[:4], q[5], q[4]),
        },
        "medium · 8 minutes",
        "How long w is, what the positive costs, what the negatives cost. Who wants a high score, and who a low one?",
        "A score is `x @ weights + bias`. The positive misses its margin by 1 minus its score, a negative by 1 plus "
        "its score; one that misses nothing costs nothing: `F.relu`.",
        "Add `weights.square().sum() / 2`, C1 times the positive's relu, and C2 times the sum of the negatives'.",
    ),
    "12.whiten": of_tensor(
        whiten,
        for_each(_background, (4,), (6,)),
        {
            "You multiply by S, which amplifies what is strong; its inverse is needed.": lambda s, x, m: s @ (x - m),
            "The mean of the background is still in your example.": lambda s, x, m: torch.linalg.solve(s, x),
            "You divide by the variances alone; features also vary together.": lambda s, x, m: (x - m) / s.diagonal(),
            "You whiten once: that is right for data. Weights are applied to data that are not white, and need it "
            "twice.": _by_half,
            "Your weights point from the example to the background.": lambda s, x, m: torch.linalg.solve(s, m - x),
            "You leave S out: every direction counts as if it varied equally.": lambda s, x, m: x - m,
        },
        "easy · 5 minutes",
        "What is unusual about the example? First subtract what every window has.",
        "Then weigh each direction by the inverse of the covariance: a system of equations, which can be solved.",
        "`torch.linalg.solve(A, b)` gives the x with A x = b: A is the covariance, b the example minus the mean.",
        tolerance=1e-3,
    ),
    "12.correlate": of_tensor(
        correlate,
        for_each(_picture_and_filter, (12, 16, 3, 5), (15, 9, 4, 2)),
        {
            "That is a convolution: the filter is turned. One spectrum needs its conjugate.": _by_spectra(torch.mul),
            "Your plane runs backwards: conjugate the filter's spectrum.": _by_spectra(lambda x, w: x.conj() * w),
            "Peaks are half a filter off.": lambda x, w: correlate(x, w).roll([size // 2 for size in w.shape], (0, 1)),
            "Your plane begins in its middle: leave `fftshift` out.": lambda x, w: torch.fft.fftshift(correlate(x, w)),
            "You set to zero what lies over the edge; the picture continues there from its opposite edge.": (
                lambda x, w: F.pad(_valid(x, w), (0, w.shape[1] - 1, 0, w.shape[0] - 1))
            ),
        },
        "hard · 10 minutes",
        "A product of two spectra is a convolution, which turns the filter by half a turn. What undoes the turn?",
        "`torch.fft.fft2(template, s=image.shape)` pads the filter with zeros to the picture's size; its conjugate, "
        "`.conj()`, turns the convolution into a correlation.",
        "Multiply the picture's `fft2` by that conjugate, and take the real part of the `ifft2`. Shift nothing.",
        others={
            "Your answer has the shape": _valid,
            "It raised RuntimeError": lambda x, w: torch.fft.fft2(x) * torch.fft.fft2(w),
        },
        tolerance=1e-3,
    ),
}

QUIZZES = {
    "12.references": Quiz(
        "A text's number for one method leads to a paper about the other. What settles in a minute which is which?",
        ("The order of the list.", "It follows names, or first mentions; neither says what a paper contains."),
        ("The years.", "Both methods are older than the text, and either could have come first."),
        ("The titles.", "Yes: here both name their method. It was the number in the text that was mixed up."),
    ),
    "12.negatives": Quiz(
        "An exemplar SVM has one positive. Where does it learn how different another view of it may be?",
        ("From the positive.", "One point has no spread."),
        ("Nowhere: the negatives only say what is not meant.", "Yes. What it tolerates depends on its features."),
        ("From calibration.", "That maps scores to probabilities, and changes no weight."),
    ),
    "12.alpha": Quiz(
        "A correlation filter with hardly any alpha has a needle for a peak. What is the price?",
        ("It takes longer to compute.", "Every filter is one division, frequency by frequency."),
        ("It needs more negatives.", "It needs none: it is made of the example's own spectrum."),
        ("It responds only to exactly the same pixels.", "Yes: turn them a little, and the needle is gone."),
    ),
}
