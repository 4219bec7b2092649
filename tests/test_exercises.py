"""Exercises: the library's function passes, a stub is no attempt, and each typical mistake is named."""

from __future__ import annotations

import math
import statistics
from collections.abc import Callable
from typing import Any

import pandas as pd
import pytest
import torch
from scipy.optimize import linear_sum_assignment

from course_lib.crops import bounding_box, colour_map, crop_size, flip_map
from course_lib.errors import CourseError
from course_lib.evidence import above, interval
from course_lib.exercises import attempted, check, diagnose, find_exercises
from course_lib.exercises.compare import difference
from course_lib.filters import effective_rank, matched_similarity
from course_lib.pretext.bigan import found_again, game
from course_lib.transfer import same_order

EXERCISES = find_exercises()


def stub(*args: Any) -> Any:
    """To be written."""


def box_without_abs(w: Any, h: Any, angle: Any) -> Any:
    return w * angle.cos() + h * angle.sin(), w * angle.sin() + h * angle.cos()


def about(points: Any, reach: float) -> Any:
    """An interval about the mean, by so many standard deviations."""
    middle, spread = sum(points) / len(points), statistics.stdev(points)
    return middle - reach * spread, middle + reach * spread


def own_mean(train: Any, test: Any) -> Any:
    return (train - train.mean(0)) / (train.std(0) + 1e-5), (test - test.mean(0)) / (test.std(0) + 1e-5)


def pooled_mean(train: Any, test: Any) -> Any:
    both = torch.cat([train, test])
    return (train - train.mean(0)) / (train.std(0) + 1e-5), (test - both.mean(0)) / (both.std(0) + 1e-5)


def leak_in_place(train: Any, test: Any) -> Any:
    train -= train.mean(0)
    train /= train.std(0) + 1e-5
    test -= test.mean(0)
    test /= test.std(0) + 1e-5
    return train, test


def frozen(*, count: int = 2, gradients: bool = True, norms: bool = True, evaluate: int | None = None) -> Any:
    """Answers to 07.freeze that freeze `count` layers, and of them all or only a part."""

    def answer(trunk: Any, depth: int) -> Any:
        for number in range(1, count + 1):
            layer = getattr(trunk, f"conv{number}")
            for parameter in layer.parameters() if norms else layer[0].parameters():
                parameter.requires_grad = not gradients
        for number in range(1, 1 + (count if evaluate is None else evaluate)):
            getattr(trunk, f"conv{number}").eval()
        return trunk

    return answer


def zeroed(trunk: Any, depth: int) -> Any:
    trunk = frozen()(trunk, depth)
    trunk.conv1[0].weight.data.zero_()
    return trunk


def heard(x: Any, w: Any, phi: Any, change: Callable[..., Any]) -> Any:
    """An answer to 07.first_order with something else than the modulus."""
    return torch.fft.ifft2(torch.fft.fft2(change(torch.fft.ifft2(torch.fft.fft2(x) * w))) * phi).real


def ordered(one: Any, other: Any) -> int:
    """How many pairs are in the same order."""
    pairs = [(i, j) for i in range(len(one)) for j in range(i)]
    return sum((one[i] - one[j]) * (other[i] - other[j]) > 0 for i, j in pairs)


def fold_in_place(filters: Any, gain: Any, variance: Any, eps: float = 1e-5) -> Any:
    filters *= (gain / (variance + eps).sqrt())[:, None, None, None]
    return filters


def entropy_rank(filters: Any) -> Any:
    shares = torch.linalg.svdvals(filters.flatten(1)).square() / filters.square().sum()
    return (-(shares * shares.log()).sum()).exp()


def cosines(one: Any, other: Any) -> Any:
    return torch.cosine_similarity(one.flatten(1)[:, None], other.flatten(1)[None], dim=-1)


def assigned(scores: Any, maximize: bool) -> Any:
    return scores[linear_sum_assignment(scores.numpy(), maximize=maximize)].mean()


WRONG: list[tuple[str, Callable[..., Any], str]] = [
    ("00.share", lambda w, h, W, H: W * H / (w * h), "upside down"),
    ("00.share", lambda w, h, W, H: 100 * w * h / (W * H), "not percent"),
    ("00.share", lambda w, h, W, H: (w + h) / (W + H), "not a sum"),
    ("00.share", lambda w, h, W, H: "a lot", "a number is expected"),
    ("01.size", lambda a, r: ((a * r).sqrt(), (a / r).sqrt()), "swapped"),
    ("01.size", lambda a, r: (a.sqrt(), a.sqrt()), "the ratio of height to width is not"),
    ("01.size", lambda a, r: (a / r, a), "width times height is not the area"),
    ("01.size", lambda a, r: a, "Two tensors are expected"),
    ("01.box", box_without_abs, "for a negative angle your box comes out too small"),
    ("01.box", lambda w, h, a: (w, h), "Right for a crop that is not turned"),
    ("01.box", lambda w, h, a: bounding_box(h, w, a), "other values"),
    ("01.flip", lambda f: flip_map(~f), "mirror the crops that are not to be flipped"),
    ("01.flip", lambda f: torch.where(f, -1.0, 1.0)[:, None, None] * torch.eye(2), "half a turn"),
    ("01.flip", lambda f: flip_map(f).flip(1, 2), "top and bottom"),
    ("01.flip", lambda f: torch.where(f, -1.0, 1.0), "has the shape"),
    ("01.colour", lambda b, c, s, m: colour_map(b, c, s, m / b), "not all three together"),
    ("01.colour", lambda b, c, s, m: colour_map(b, c, s, 0 * m), "the constant in the fourth is not"),
    ("01.colour", lambda b, c, s, m: colour_map(b, c, 1 / s, m), "saturation alone is wrong"),
    ("01.colour", lambda b, c, s, m: colour_map(1 + 0 * b, c, s, m), "brightness alone is wrong"),
    ("02.turns", lambda x: torch.cat([torch.rot90(x, -k, (2, 3)) for k in range(4)]), "clockwise"),
    (
        "02.turns",
        lambda x: torch.stack([torch.rot90(x, k, (2, 3)) for k in range(4)], 1).flatten(0, 1),
        "another order",
    ),
    ("02.turns", lambda x: torch.cat([x, x.flip(3), x.flip(2), x.flip(2, 3)]), "mirror image"),
    ("02.turns", lambda x: x, "has the shape"),
    ("03.nearest", lambda x, c: torch.cdist(x, c).argmin(0), "nearest row of every centre"),
    ("03.nearest", lambda x, c: torch.cdist(x, c).min(1).values, "holds distances"),
    ("03.nearest", lambda x, c: torch.cdist(x, c).argmax(1), "farthest"),
    ("03.nearest", lambda x, c: (x @ c.T).argmax(1), "Its square is missing"),
    ("03.nearest", lambda x, c: torch.cdist(x, c)[:, :8].argmin(1), "rows have another centre"),
    ("03.balanced", lambda y: torch.full((len(y),), 1 / len(y)), "the largest group is then drawn most"),
    ("03.balanced", lambda y: 1 / torch.bincount(y)[y], "your chances add up to 3"),
    ("03.balanced", lambda y: 1 / (5 * torch.bincount(y)[y]), "count the empty groups"),
    ("03.balanced", lambda y: torch.bincount(y)[y] / torch.bincount(y)[y].sum(), "should be less likely"),
    ("03.balanced", lambda y: 1 / torch.bincount(y), "has the shape"),
    ("04.game", lambda r, m: game(r, m)[::-1], "wrong order"),
    ("04.game", lambda r, m: (game(r, m)[0], -game(r, m)[0]), "sign turned"),
    ("04.game", lambda r, m: [loss / 2 for loss in game(r, m)], "Half of what is expected"),
    ("04.game", lambda r, m: (game(r, m)[0], game(r, m)[0]), "the other way round"),
    ("04.game", lambda r, m: game(r, m)[0], "Two losses are expected"),
    ("04.game", lambda r, m: (r, m), "should be one number"),
    ("04.found", lambda x, y: found_again(y, x), "each made picture among the crops"),
    ("04.found", lambda x, y: found_again(x, y) * len(x), "how many were found"),
    ("04.found", lambda x, y: 1 - found_again(x, y), "not found"),
    ("04.found", lambda x, y: x, "One number is expected"),
    ("05.fold", lambda w, g, v: w * (g / v)[:, None, None, None], "divide by the variance"),
    ("05.fold", lambda w, g, v: w * (g * v.sqrt())[:, None, None, None], "multiply by the standard deviation"),
    ("05.fold", lambda w, g, v: w / v.sqrt()[:, None, None, None], "gain is missing"),
    ("05.fold", lambda w, g, v: w * g / v.sqrt(), "It raised RuntimeError"),
    ("05.rank", lambda w: torch.linalg.matrix_rank(w.flatten(1)), "every direction alike"),
    ("05.rank", lambda w: torch.linalg.svdvals(w.flatten(1)).sum() ** 2 / w.square().sum(), "singular value squared"),
    ("05.rank", lambda w: 1 / effective_rank(w), "upside down"),
    ("05.rank", lambda w: effective_rank(w) / w.square().sum(), "not the sum"),
    ("05.rank", entropy_rank, "exponential of an entropy"),
    ("05.rank", lambda w: torch.linalg.svdvals(w), "one number is expected"),
    ("05.rank", lambda w: effective_rank(w[:, :1]), "Your number is"),
    ("05.match", lambda a, b: assigned(cosines(a, b), True), "sign turned"),
    ("05.match", lambda a, b: cosines(a, b).abs().amax(1).mean(), "some take the same one"),
    ("05.match", lambda a, b: cosines(a, b).abs().amax(0).mean(), "some take the same one"),
    ("05.match", lambda a, b: cosines(a, b).abs().diag().mean(), "in the order they come in"),
    ("05.match", lambda a, b: assigned(cosines(a, b).abs(), False), "worst pairing"),
    ("05.match", lambda a, b: assigned((a.flatten(1) @ b.flatten(1).T).abs(), True), "length 1 first"),
    ("05.match", lambda a, b: len(a) * matched_similarity(a, b), "sum over the pairs"),
    ("05.match", lambda a, b: None, "returned nothing"),
    ("06.standardise", own_mean, "by their own mean"),
    ("08.paired", lambda a, b: b - a, "are not a number there"),
    ("08.paired", lambda a, b: (b - a).dropna(), "the other way round"),
    ("08.paired", lambda a, b: (a - b).abs().dropna(), "lose which of the two was better"),
    ("08.paired", lambda a, b: pd.Series(a.to_numpy() - b.to_numpy()[:3], a.index), "in another order"),
    ("08.paired", lambda a, b: pd.Series(a.to_numpy() - b.to_numpy()[:3]), "other seeds"),
    ("08.paired", lambda a, b: a.mean() - b.mean(), "A value for each seed is expected"),
    ("08.interval", lambda x: interval(x)[::-1], "ends are swapped"),
    ("08.interval", lambda x: about(x, 1.96 / len(x) ** 0.5), "as if the spread were known"),
    ("08.interval", lambda x: about(x, 3.1824463), "where one more seed may fall"),
    ("08.interval", lambda x: about(x, 3.1824463 * (3 / 4) ** 0.5 / 2), "divides by n - 1"),
    ("08.interval", lambda x: (min(x), max(x)), "does not lie about the mean"),
    ("08.interval", lambda x: about(x, 1), "not in its reach"),
    ("08.interval", lambda x: sum(x) / len(x), "Two numbers are expected"),
    ("08.above", lambda low, high, bound: "holds" if low + high > 2 * bound else "fails", "decide by its middle"),
    ("08.above", lambda low, high, bound: above(-high, -low, -bound), "The other way round"),
    ("08.above", lambda low, high, bound: "holds" if low > bound else "undecided", "says more than that"),
    ("08.above", lambda low, high, bound: "fails" if high < bound else "undecided", "is enough for the claim"),
    ("08.above", lambda low, high, bound: above(low, high, 0), "another bound is not looked at"),
    ("08.above", lambda low, high, bound: low > bound, "one of the three words"),
    ("06.standardise", pooled_mean, "that is a leak"),
    ("06.standardise", leak_in_place, "by their own mean"),
    ("07.freeze", frozen(evaluate=0), "BatchNorm still learns mean and spread"),
    ("07.freeze", frozen(gradients=False), "no layer takes no gradient; conv1 and conv2 should"),
    ("07.freeze", frozen(count=1), "At depth 2 conv1 takes no gradient"),
    ("07.freeze", frozen(count=3), "you freeze conv1, conv2, conv3"),
    ("07.freeze", frozen(norms=False), "gains and shifts of BatchNorm"),
    ("07.freeze", frozen(evaluate=5), "layers above are in evaluation mode as well"),
    ("07.freeze", zeroed, "must change no weight"),
    ("07.freeze", lambda trunk, depth: depth, "returned int"),
    ("07.first_order", lambda x, w, phi: heard(x, w, phi, lambda y: y.real), "The modulus is missing"),
    ("07.first_order", lambda x, w, phi: torch.fft.ifft2(torch.fft.fft2(x) * w).abs(), "no mean"),
    ("07.first_order", lambda x, w, phi: heard(x, w, phi, lambda y: y.abs().square()), "square of the modulus"),
    ("07.first_order", lambda x, w, phi: torch.fft.ifft2(torch.fft.fft2(x) * w * phi).abs(), "mean comes first"),
    ("07.first_order", lambda x, w, phi: (x * w).abs() * phi, "pixel by pixel"),
    ("07.first_order", lambda x, w, phi: torch.fft.ifft2(torch.fft.fft2(x) * w), "is complex"),
    ("07.same_order", lambda a, b: ordered(a, b), "how many pairs agree"),
    ("07.same_order", lambda a, b: 1 - same_order(a, b), "in the other order"),
    ("07.same_order", lambda a, b: 2 * same_order(a, b) - 1, "Kendall's tau"),
    ("07.same_order", lambda a, b: torch.corrcoef(torch.tensor([a, b]))[0, 1], "how far apart"),
    ("07.same_order", lambda a, b: 2 * ordered(a, b) / len(a) ** 2, "no pair with itself"),
    ("07.same_order", lambda a, b: ordered(a, b) * 2 / (len(a) * (len(a) - 1)), "should count half"),
    ("06.standardise", lambda a, b: (a - a.mean(), b - a.mean()), "Training features"),
]


@pytest.mark.parametrize("key", EXERCISES)
def test_the_librarys_function_is_right(key: str, capsys: pytest.CaptureFixture[str]) -> None:
    answer = EXERCISES[key].answer
    assert check(key, answer) is answer
    assert f"{key}: right" in capsys.readouterr().out


@pytest.mark.parametrize("key", EXERCISES)
def test_a_stub_is_no_attempt_and_no_obstacle(key: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert check(key, stub) is EXERCISES[key].answer
    assert "not attempted yet" in capsys.readouterr().out


@pytest.mark.parametrize(("key", "mistake", "words"), WRONG, ids=[f"{key}-{words}" for key, _, words in WRONG])
def test_each_typical_mistake_is_named(
    key: str, mistake: Callable[..., Any], words: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert check(key, mistake) is EXERCISES[key].answer
    said = capsys.readouterr().out
    assert "not yet" in said and words in said


def test_every_exercise_has_three_mistakes() -> None:
    for key in EXERCISES:
        assert sum(key == known for known, _, _ in WRONG) >= 3


def test_strict_mode_fails_a_wrong_answer(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COURSE_STRICT", "1")
    with pytest.raises(CourseError, match="01.size: Your width and height are swapped"):
        check("01.size", next(mistake for key, mistake, words in WRONG if words == "swapped"))
    check("01.size", crop_size)
    check("01.size", stub)


def test_an_unknown_exercise_is_answered_with_those_there_are() -> None:
    with pytest.raises(CourseError, match=r"'99.none'; there is 00.share"):
        check("99.none", stub)


def test_what_counts_as_an_attempt() -> None:
    def only_pass() -> None:
        pass

    def something() -> int:
        """With a docstring."""
        return 1

    assert not attempted(only_pass) and not attempted(stub)
    assert attempted(something) and attempted(lambda: 1) and attempted(print)


def test_whatever_an_answer_raises_is_feedback() -> None:
    def explode(*_: Any) -> None:
        raise MemoryError("no")

    assert "It raised MemoryError" in diagnose(EXERCISES["01.size"], explode)


@pytest.mark.parametrize(
    ("given", "words"),
    [
        (None, "returned nothing"),
        (3.0, "returned float"),
        (torch.zeros(2), "the shape (2,), and (3,)"),
        (torch.tensor([1.0, math.nan, 3.0]), "not finite"),
        (torch.tensor([1.0, 2.0, 3.01]), "Close, but not equal"),
        (torch.tensor([1.0, 2.0, -3.0]), "The right shape, but other values"),
        (torch.tensor([1, 2, 3]), ""),
    ],
)
def test_how_far_off_an_answer_is(given: Any, words: str) -> None:
    said = difference(given, torch.tensor([1.0, 2.0, 3.0]))
    assert words in said and bool(said) == bool(words)


def test_a_right_answer_that_works_in_place_is_right() -> None:
    assert check("05.fold", fold_in_place) is fold_in_place
