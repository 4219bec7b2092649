"""Verdicts on rows whose answer is known."""

from __future__ import annotations

import json
from dataclasses import replace
from typing import Any

import pytest
from click.testing import CliRunner
from scipy.stats import ttest_rel

from course_lib.__main__ import main
from course_lib.evidence.claims import CLAIMS, NOT_MEASURED, Claim, judge, summed_up
from course_lib.evidence.intervals import FAILS, HOLDS, UNDECIDED, Accuracies, as_table, interval
from course_lib.experiments.command import as_text
from course_lib.lessons.story import points_above
from course_lib.networks.alexnet import LAYERS
from course_lib.support.errors import CourseError

NOISE = (0.001, -0.002, 0.0015, -0.0005, 0.0)


def rows(seeds: int = 5, data: str = "cifar10", **at: tuple[float, ...]) -> list[dict[str, Any]]:
    """Probe rows of methods with these accuracies from conv1 to conv5, a little different for every seed."""
    made = []
    for method, accuracies in at.items():
        for layer, accuracy in zip(LAYERS, accuracies):
            for seed in range(seeds):
                source, n = {"random": ("none", 0), "supervised": (data, 50_000)}.get(method, ("china", 1))
                row = {"method": method, "source": source, "n": n, "data": data, "layer": layer, "seed": seed}
                made.append(row | {"accuracy": accuracy + NOISE[(seed + len(method)) % 5]})
    return made


def grid() -> list[dict[str, Any]]:
    """What the paper tells of: bounds and one photograph, more images, parts of the scheme left out, empty images."""
    made = rows(**PAPER)
    for change, accuracies in (
        ({"n": 1000, "source": "kilo"}, (0.55, 0.60, 0.65, 0.65, 0.62)),
        ({"n": 50_000, "source": "cifar10"}, (0.55, 0.61, 0.67, 0.70, 0.70)),
        ({"left_out": "crop"}, (0.50, 0.51, 0.51, 0.49, 0.46)),
        ({"left_out": "rotation"}, (0.54, 0.59, 0.59, 0.54, 0.49)),
        ({"left_out": "colour"}, (0.54, 0.58, 0.58, 0.53, 0.48)),
        ({"left_out": "flip"}, (0.55, 0.60, 0.59, 0.55, 0.50)),
        ({"left_out": "all"}, (0.50, 0.505, 0.50, 0.48, 0.45)),
        ({"source": "noise"}, (0.50, 0.50, 0.45, 0.40, 0.40)),
        ({"source": "flat"}, (0.48, 0.48, 0.45, 0.40, 0.40)),
    ):
        made += [row | change for row in rows(rotnet=accuracies)]
    made += [row | {"method": "random, looked"} for row in rows(random=PAPER["random"])]
    return made + retrained(none=("nothing frozen", 0.70), rotnet=("conv1 to conv2 frozen", 0.69))


def retrained(**at: tuple[str, float]) -> list[dict[str, Any]]:
    """Rows of networks that were retrained above frozen layers."""
    return [
        {"method": method, "measure": measure, "data": "cifar10", "seed": seed, "accuracy": accuracy + NOISE[seed]}
        for method, (measure, accuracy) in at.items()
        for seed in range(5)
    ]


PAPER = {
    "random": (0.50, 0.50, 0.50, 0.48, 0.45),
    "rotnet": (0.55, 0.60, 0.60, 0.55, 0.50),
    "supervised": (0.55, 0.63, 0.70, 0.75, 0.78),
}


ONE_PHOTOGRAPH = [claim.id for claim in CLAIMS[:4]] + ["learning-needed-at-conv1"]
"""The claims that need no more than one photograph and the bounds."""


def verdicts(given: list[dict[str, Any]], method: str = "rotnet") -> dict[str, str]:
    return {verdict.id: verdict.verdict for verdict in judge(given) if verdict.method == method}


def test_numbers_as_the_paper_tells_of_confirm_it() -> None:
    assert set(verdicts(grid()).values()) == {HOLDS}


def test_a_single_image_that_learned_nothing_breaks_what_it_should() -> None:
    found = verdicts(rows(**(PAPER | {"rotnet": (0.45, 0.45, 0.45, 0.45, 0.45)})))
    assert {key: verdict for key, verdict in found.items() if key in ONE_PHOTOGRAPH} == {
        "matches-at-conv1": FAILS,
        "nearly-at-conv2": FAILS,
        "behind-from-conv3": HOLDS,
        "learns-at-conv2": FAILS,
        "learning-needed-at-conv1": FAILS,
    }


def test_one_layer_that_keeps_up_is_enough_to_break_behind_from_conv3() -> None:
    found = verdicts(rows(**(PAPER | {"rotnet": (0.55, 0.60, 0.60, 0.75, 0.50)})))
    assert found["behind-from-conv3"] == FAILS


def test_methods_that_disagree_have_verdicts_of_their_own() -> None:
    given = rows(**PAPER, bigan=(0.40, 0.40, 0.5, 0.5, 0.5))
    assert verdicts(given) == verdicts(rows(**PAPER))
    other = verdicts(given, "bigan")
    assert other["matches-at-conv1"] == other["learns-at-conv2"] == FAILS and other["behind-from-conv3"] == HOLDS
    of_one = [one for one in judge(given) if one.id == "learns-at-conv2"]
    assert summed_up(of_one) == "holds for rotnet, fails for bigan"
    assert summed_up(replace(one, method=name) for one in of_one[:1] for name in "abc") == "holds for a, b and c"


def test_what_is_level_and_what_was_seen_once_is_undecided() -> None:
    level = verdicts(rows(random=PAPER["random"], bigan=PAPER["random"], supervised=PAPER["supervised"]), "bigan")
    assert level["learns-at-conv2"] == UNDECIDED
    once = verdicts(rows(seeds=1, **PAPER))
    assert {once.pop(key) for key in ONE_PHOTOGRAPH} == {UNDECIDED} and set(once.values()) == {NOT_MEASURED}
    assert "one seed, and an interval needs two" in as_text(judge(rows(seeds=1, **PAPER)))


def test_the_interval_is_that_of_a_paired_t_test() -> None:
    given = rows(**PAPER)
    pair = next(v for v in judge(given) if v.id == "learns-at-conv2").numbers[0]
    mine, chance = (
        [100 * r["accuracy"] for r in given if r["layer"] == "conv2" and r["method"] == m] for m in ("rotnet", "random")
    )
    expected = ttest_rel(mine, chance).confidence_interval(0.95)
    assert (pair["low"], pair["high"]) == pytest.approx((expected.low, expected.high), abs=0.01)
    assert pair["seeds"] == 5


def test_points_above_the_floor_are_paired_and_signed() -> None:
    assert points_above([0.5, 0.6, 0.7], [0.4, 0.5, 0.5]) == pytest.approx(40 / 3)
    assert points_above([0.4], [0.5]) == pytest.approx(-10)
    with pytest.raises(ValueError):
        points_above([0.5], [0.4, 0.5])


def test_single_pictures_are_apart_by_name_and_had_the_whole_scheme() -> None:
    found = Accuracies(as_table(grid()), "cifar10").single_pictures("rotnet", "conv2")
    assert {name: list(by_seed.index) for name, by_seed in found.items()} == {
        name: [*range(5)] for name in ("china", "noise", "flat")
    }
    assert {name: round(by_seed.mean()) for name, by_seed in found.items()} == {"china": 60, "noise": 50, "flat": 48}
    assert Accuracies(as_table(grid()), "photos10").single_pictures("rotnet", "conv2") == {}


def test_each_set_has_its_own_verdict_and_missing_layers_are_no_answer() -> None:
    both = rows(**PAPER) + rows(data="photos10", **{name: values[:1] for name, values in PAPER.items()})
    found = {(v.id, v.data): v.verdict for v in judge(both)}
    assert len(found) == 2 * len(CLAIMS)
    assert found["matches-at-conv1", "photos10"] == HOLDS and found["nearly-at-conv2", "photos10"] == NOT_MEASURED


def test_the_looked_at_floor_is_no_method() -> None:
    given = rows(**PAPER)
    given += [row | {"method": "random, looked"} for row in given if row["method"] == "random"]
    assert verdicts(given) == verdicts(rows(**PAPER)) | {"learns-more-than-to-look-at-conv2": HOLDS}


def test_rows_without_a_method_are_refused() -> None:
    for given in ([], rows(random=PAPER["random"])):
        with pytest.raises(CourseError, match="no probes of a method without labels"):
            judge(given)


def test_the_command_writes_what_it_says(tmp_path: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(
        "course_lib.evidence.results.load_reference", lambda profile: {"probes": rows(**PAPER), "measures": []}
    )
    monkeypatch.setattr("course_lib.evidence.results.own_table", lambda profile: [])
    result = CliRunner().invoke(main, ["claims", "--json", str(tmp_path / "new" / "claims.json")])
    assert result.exit_code == 0
    assert result.output.startswith("one image matches labels at conv1 (cifar10; at most 1 point): holds for rotnet")
    written = json.loads((tmp_path / "new" / "claims.json").read_text())["claims"]
    promised = {"id", "claim", "data", "method", "verdict", "bound", "numbers"}
    assert [set(row) for row in written] == [promised] * len(CLAIMS)
    monkeypatch.setattr("course_lib.evidence.results.load_reference", lambda profile: None)
    result = CliRunner().invoke(main, ["claims"])
    assert result.exit_code == 2 and "no reference run at 'quick' yet" in result.output


def test_a_bound_on_either_side() -> None:
    most, least = Claim("a", "", dict, at_most=1), Claim("b", "", dict, at_least=0)
    assert most.verdict(0.2, 0.9) == HOLDS and most.verdict(1.1, 2) == FAILS and most.verdict(0.2, 1.2) == UNDECIDED
    assert least.verdict(0.2, 1.2) == HOLDS and least.verdict(-1, 0) == FAILS and least.verdict(-0.2, 1) == UNDECIDED


def test_an_interval_needs_two_seeds() -> None:
    with pytest.raises(ValueError, match="at least two seeds, got 1"):
        interval([0.3])


def without(change: dict[str, Any]) -> list[dict[str, Any]]:
    return [row for row in grid() if not all(row.get(key) == value for key, value in change.items())]


BROKEN = {
    "more-images-help-deep": ({"source": "kilo"}, (0.60, 0.66, 0.60, 0.55, 0.50)),
    "nothing-without-augmentation": ({"left_out": "all"}, (0.55, 0.60, 0.60, 0.55, 0.50)),
    "scale-matters-most": ({"left_out": "colour"}, (0.50, 0.40, 0.40, 0.40, 0.40)),
    "content-matters": ({"source": "flat"}, (0.55, 0.61, 0.61, 0.56, 0.51)),
    "learns-more-than-to-look-at-conv2": ({"method": "random, looked"}, (0.55, 0.65, 0.60, 0.60, 0.55)),
}


@pytest.mark.parametrize("key", BROKEN)
def test_each_claim_about_the_grid_can_fail_and_alone(key: str) -> None:
    change, accuracies = BROKEN[key]
    n = {"n": 1000} if "kilo" in change.values() else {}
    found = verdicts(without(change) + [row | change | n for row in rows(rotnet=accuracies)])
    assert found.pop(key) == FAILS
    assert set(found.values()) == {HOLDS}


def test_a_price_of_freezing_can_be_too_high() -> None:
    rest = [row for row in grid() if "measure" not in row]
    dear = retrained(none=("nothing frozen", 0.75), rotnet=("conv1 to conv2 frozen", 0.69))
    assert verdicts(rest + dear)["frozen-costs-little"] == FAILS
    tuned = retrained(none=("nothing frozen", 0.75), rotnet=("fine-tuned from conv2", 0.75))
    assert verdicts(rest + tuned)["frozen-costs-little"] == NOT_MEASURED, "fine-tuning is no freezing"


def test_what_was_not_measured_is_said() -> None:
    given = rows(**PAPER)
    assert verdicts(given)["content-matters"] == NOT_MEASURED
    assert as_text(judge(given)).count("not measured") == len(CLAIMS) - len(ONE_PHOTOGRAPH)


def test_a_method_that_was_not_measured_has_no_say() -> None:
    given = [row for row in grid() if row["method"] != "bigan"] + rows(bigan=PAPER["rotnet"])
    assert verdicts(given)["content-matters"] == HOLDS
    assert verdicts(given, "bigan")["content-matters"] == NOT_MEASURED
