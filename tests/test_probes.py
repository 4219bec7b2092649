"""Probes against scikit-learn's optimum, and against the ways in which a probe can cheat."""

from __future__ import annotations

import math

import pytest
import torch
from scipy.stats import binom
from sklearn.linear_model import LogisticRegression
from torch import Tensor

from course_lib.data.labelled import photos10
from course_lib.lessons.probing import probe_loss
from course_lib.networks.alexnet import LAYERS, AlexNet
from course_lib.probes import classifier
from course_lib.probes.classifier import (
    ProbeResult,
    binomial_quantile,
    fit_probe,
    logistic_regression,
    logits,
    standardise,
)
from course_lib.probes.features import NUMBERS, pool_side, pooled_features
from course_lib.probes.probe import probe
from course_lib.profiles import PROFILES
from course_lib.support.errors import CourseError


def problem(n: int = 300, f: int = 40, classes: int = 5, seed: int = 0) -> tuple[Tensor, Tensor]:
    """Features in which the class is a noisy linear function."""
    generator = torch.Generator().manual_seed(seed)
    x = torch.randn(n, f, generator=generator, dtype=torch.float64)
    directions = torch.randn(f, classes, generator=torch.Generator().manual_seed(99), dtype=torch.float64)
    return x, (x @ directions + 3 * torch.randn(n, classes, generator=generator, dtype=torch.float64)).argmax(1)


@pytest.mark.parametrize("decay", [1e-3, 1e-2, 1e-1, 1.0])
@pytest.mark.parametrize("classes", [2, 5, 17])
def test_the_optimum_is_scikit_learns(decay: float, classes: int) -> None:
    x, y = problem(classes=classes)
    ours = logistic_regression(x, y, classes, decay, steps=500)
    # With two classes scikit-learn has one weight a feature, where a softmax shares it out as +-1/2: half the penalty.
    share = 2 if classes == 2 else 1
    theirs = LogisticRegression(C=share / (decay * len(x)), tol=1e-10, max_iter=5000).fit(x.numpy(), y.numpy())
    probability = logits(ours, x).softmax(1)
    assert torch.allclose(probability, torch.from_numpy(theirs.predict_proba(x.numpy())), atol=1e-4)
    if classes > 2:
        best = torch.cat([torch.from_numpy(theirs.coef_.T), torch.from_numpy(theirs.intercept_)[None]])
        lowest = probe_loss(best, x, y, decay).item()
        assert probe_loss(ours, x, y, decay).item() == pytest.approx(lowest, abs=1e-6)


def test_the_bias_has_no_price() -> None:
    x, y = problem()
    weights = torch.zeros(x.shape[1] + 1, 5, dtype=x.dtype)
    weights[-1] = 3.0  # alike for all classes: no score is above another
    assert probe_loss(weights, x, y, 1.0).item() == pytest.approx(math.log(5))
    weights[0, 0] = 1.0
    assert (probe_loss(weights, x, y, 1.0) - probe_loss(weights, x, y, 0.0)).item() == pytest.approx(0.5)


def test_a_warm_start_ends_at_the_same_place() -> None:
    x, y = problem()
    far = logistic_regression(x, y, 5, 1.0)
    cold, warm = (logistic_regression(x, y, 5, 1e-2, start, steps=500) for start in (None, far))
    assert torch.allclose(cold, warm, atol=1e-4)


def test_correlated_features_do_not_slow_it_down() -> None:
    """A hundred steps reach the optimum although the features' scales differ by four orders."""
    x, y = problem()
    x = x * torch.logspace(-2, 2, x.shape[1], dtype=torch.float64)
    reached, best = (probe_loss(logistic_regression(x, y, 5, 1e-3, steps=s), x, y, 1e-3) for s in (100, 3000))
    assert reached - best < 1e-3


def test_standardise_takes_its_numbers_from_the_training_set() -> None:
    train, test = torch.randn(500, 3) * 5 + 2, torch.randn(100, 3)
    untouched = train.clone()
    a, b = standardise(train, test)
    assert a.mean(0).abs().max() < 1e-5 and (a.std(0) - 1).abs().max() < 1e-4
    assert torch.allclose(b, (test - train.mean(0)) / (train.std(0) + 1e-5))
    assert standardise(torch.ones(5, 2), torch.ones(3, 2))[1].isfinite().all()
    assert torch.equal(train, untouched), "the caller's features stay as they are"


def test_the_test_set_has_no_say(monkeypatch: pytest.MonkeyPatch) -> None:
    """Other test labels change the score, and neither the weights nor the decay; the test set is scored once."""
    x, y = problem(600)
    asked = []
    original = classifier.accuracy
    monkeypatch.setattr(classifier, "accuracy", lambda w, a, b: asked.append(len(b)) or original(w, a, b))
    honest = fit_probe("conv1", x[:400], y[:400], x[400:], y[400:], (1e-2, 1e-1))
    wrong = fit_probe("conv1", x[:400], y[:400], x[400:], (y[400:] + 1) % 5, (1e-2, 1e-1))
    assert honest.decay == wrong.decay and honest.train_accuracy == wrong.train_accuracy
    assert honest.accuracy > wrong.accuracy + 0.2
    assert asked.count(200) == 2, "the test set is to be looked at once a probe"


def test_permuted_labels_are_at_chance() -> None:
    x, y = problem(2000)
    shuffled = y[:1000][torch.randperm(1000, generator=torch.Generator().manual_seed(0))]
    most_common = y.bincount().max().item() / len(y)
    assert fit_probe("conv1", x[:1000], shuffled, x[1000:], y[1000:], (1e-1,)).accuracy < most_common + 0.05


def test_features_are_pooled_to_about_equal_numbers() -> None:
    trunk = AlexNet(32, width=0.25)
    features = pooled_features(trunk, torch.randint(0, 256, (7, 3, 32, 32), dtype=torch.uint8), numbers=1000)
    assert list(features) == list(LAYERS)
    assert all(len(f) == 7 and 500 < f.shape[1] <= 1000 for f in features.values())
    assert trunk.training, "the trunk is left in the mode it came in"


def test_batchnorm_does_not_learn_from_the_probe() -> None:
    trunk = AlexNet(32, width=0.25)
    before = {key: value.clone() for key, value in trunk.state_dict().items()}
    pooled_features(trunk, torch.randint(0, 256, (50, 3, 32, 32), dtype=torch.uint8), numbers=100)
    assert all(torch.equal(value, before[key]) for key, value in trunk.state_dict().items())


@pytest.mark.parametrize(
    ("channels", "side", "numbers", "pooled"),
    [(64, 32, 9216, 12), (256, 8, 9216, 6), (64, 4, 9216, 4), (300, 8, 100, 1)],
)
def test_pool_side(channels: int, side: int, numbers: int, pooled: int) -> None:
    assert pool_side(torch.zeros(1, channels, side, side), numbers) == pooled


@pytest.mark.parametrize("pooling", ["max", "average"])
def test_alexnet_at_224_has_the_published_numbers(pooling: str) -> None:
    """RotNet's; and `paper` asks for them."""
    sides, counts = [12, 7, 5, 6, 6], [9216, 9408, 9600, 9216, 9216]
    trunk, profile = AlexNet(224).eval(), PROFILES["paper"]
    assert (profile.side, profile.width, profile.numbers) == (224, 1.0, NUMBERS)
    images = torch.randint(0, 256, (2, 3, 224, 224), dtype=torch.uint8)
    with torch.no_grad():
        maps = trunk.features(images.float())
    assert [pool_side(one, NUMBERS) for one in maps.values()] == sides
    assert [one.shape[1] for one in pooled_features(trunk, images, pooling=pooling).values()] == counts


def test_a_probe_of_every_layer() -> None:
    results = probe(AlexNet(32, width=0.25), photos10(32, 300, 200), numbers=300)
    assert [r.layer for r in results] == list(LAYERS)
    assert all(0.2 < r.accuracy <= r.train_accuracy <= 1 for r in results)


def test_too_few_pictures_are_refused_in_a_sentence() -> None:
    x, y = torch.randn(6, 3), torch.arange(6) % 2
    with pytest.raises(CourseError, match="at least 20 training pictures, got 6"):
        fit_probe("conv1", x, y, x, y, (0.1,))


def test_the_interval_is_the_bootstrap_over_test_pictures() -> None:
    """Against resampling itself: 4,000 test sets drawn with replacement from 500 answers, 300 of them right."""
    result = ProbeResult("conv1", 0.6, 0.9, 0.1, 500)
    right = torch.arange(500) < 300
    draws = torch.randint(0, 500, (4_000, 500), generator=torch.Generator().manual_seed(0))
    low, high = right[draws].float().mean(1).quantile(torch.tensor([0.025, 0.975])).tolist()
    assert result.interval == pytest.approx((low, high), abs=0.003)
    assert ProbeResult("conv1", 1.0, 1.0, 0.1, 500).interval == (1, 1)


def test_a_class_without_training_pictures_is_refused() -> None:
    with pytest.raises(CourseError, match="4 training pictures of photos10 hold none of .* and others; take more"):
        probe(AlexNet(32, 0.1), photos10(32, 100, 40).take(4, 40))


def test_both_poolings_are_what_they_say() -> None:
    trunk, images = AlexNet(32, 0.1).eval(), photos10(32, 20, 10).train_images
    maps = trunk.features(images.float() / 127.5 - 1, ["conv3"])["conv3"].detach()
    for pooling, by in (("max", lambda m: m.amax((2, 3))), ("average", lambda m: m.mean((2, 3)))):
        found = pooled_features(trunk, images, ["conv3"], maps.shape[1], pooling)["conv3"]
        assert torch.allclose(found.float(), by(maps), atol=2e-3)
    with pytest.raises(CourseError, match="no pooling called 'min'; there is max, average"):
        pooled_features(trunk, images, ["conv3"], pooling="min")


@pytest.mark.parametrize("share", [0.0, 0.003, 0.1, 0.5, 0.97, 1.0])
def test_quantiles_of_the_binomial_law_are_scipys(share: float) -> None:
    for n in (1, 20, 3_000):
        for q in (0.025, 0.5, 0.975):
            assert binomial_quantile(q, n, share) == binom.ppf(q, n, share)
