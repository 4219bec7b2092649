"""Exercises: the library's function passes, a stub is no attempt, and each typical mistake is named."""

from __future__ import annotations

import itertools
import math
import os
import re
import subprocess
import sys
from typing import Any

import numpy as np
import pandas as pd
import pytest
import torch

from course_lib.data.crops import crop_size
from course_lib.exercises import attempted, check, examine, find_exercises, judge
from course_lib.exercises.asking import ask
from course_lib.exercises.compare import difference, explain_numbers, numbers
from course_lib.exercises.plain import Other, Raised
from course_lib.lessons.story import area_share
from course_lib.networks.trunk import fold_batchnorm
from course_lib.support.errors import CourseError

EXERCISES = find_exercises()
SEEDS = range(5)


def stub(*args: Any) -> Any:
    """To be written."""


def swapped(area: Any, ratio: Any) -> Any:
    return crop_size(area, ratio)[::-1]


@pytest.mark.parametrize("key", EXERCISES)
def test_the_librarys_function_is_right_and_a_stub_no_attempt(key: str, capsys: pytest.CaptureFixture[str]) -> None:
    answer = EXERCISES[key].answer
    assert check(key, answer) is answer
    assert f"{key}: right" in capsys.readouterr().out
    assert not any(examine(key, answer, seed) for seed in SEEDS)
    assert check(key, stub) is answer, "and no obstacle"
    assert "not attempted yet" in capsys.readouterr().out


@pytest.mark.parametrize("key", EXERCISES)
def test_each_typical_mistake_is_named_at_any_seed_and_as_no_other(key: str) -> None:
    mistakes = EXERCISES[key].mistakes
    for (words, function), seed in itertools.product(mistakes.items(), SEEDS):
        said = examine(key, function, seed)
        assert [other for other in mistakes if other in said] == [words], (seed, said)


def test_a_mistake_goes_on_with_the_librarys_function(capsys: pytest.CaptureFixture[str]) -> None:
    assert check("01.size", swapped) is crop_size
    assert "01.size: not yet. Your width and height are swapped" in capsys.readouterr().out


def test_an_exercise_says_what_a_learner_wants_to_know() -> None:
    for exercise in EXERCISES.values():
        assert len(exercise.mistakes) >= 3
        assert re.fullmatch(r"(easy|medium|hard) · (\d|1\d|20) minutes", exercise.effort)
        assert 2 <= len(exercise.hints) <= 3 and all(hint.endswith((".", "?")) for hint in exercise.hints)


def test_questions_are_several_and_decided_by_the_seed_alone() -> None:
    for exercise in EXERCISES.values():
        assert len(exercise.questions(0)) >= 2
        assert repr(exercise.questions(1)) == repr(exercise.questions(1)) != repr(exercise.questions(0))


ODD = (None, "text", math.nan, [], [None, None], (), Other("Thing"), torch.tensor(math.nan))


@pytest.mark.parametrize("key", EXERCISES)
def test_only_right_answers_to_these_questions_are_right(key: str) -> None:
    """No odd answer, none with one number spoiled, and none to other questions: or a learner would hand in a list of
    answers in the place of a function."""
    exercise = EXERCISES[key]
    questions = exercise.questions(0)
    right = ask(exercise.answer, questions, exercise.setting)
    assert not judge(key, questions, right)
    assert judge(key, questions, [*right[:-1], _spoiled(right[-1])])
    for odd in ODD:
        assert judge(key, questions, [odd] * len(questions)), odd
    hits = [seed for seed in range(1, 31) if not judge(key, exercise.questions(seed), right)]
    assert hits == [] or exercise.setting, f"the answers to seed 0 are right for the seeds {hits}"


def _spoiled(answer: Any) -> Any:
    """An answer with its first number made NaN; a word with a letter more."""
    if isinstance(answer, str):
        return answer + "s"
    if isinstance(answer, tuple | list):
        return type(answer)([_spoiled(answer[0]), *answer[1:]]) if answer else [math.nan]
    if isinstance(answer, pd.Series):
        return pd.Series([math.nan, *answer.iloc[1:]], answer.index)
    if isinstance(answer, torch.Tensor):
        answer = answer.double()
        answer.view(-1)[0] = math.nan
        return answer
    return math.nan


def test_strict_mode_fails_a_wrong_answer(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COURSE_STRICT", "1")
    with pytest.raises(CourseError, match="01.size: Your width and height are swapped"):
        check("01.size", swapped)
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

    def leave(*_: Any) -> None:
        sys.exit(0)

    class Mute(Exception):
        def __str__(self) -> str:
            raise ValueError

    def mutter(*_: Any) -> None:
        raise Mute

    assert "It raised MemoryError: no" in examine("01.size", explode)
    assert "It raised SystemExit" in examine("01.size", leave)
    assert "It raised Mute" in examine("01.size", mutter)


def test_a_function_is_called_once_a_question() -> None:
    """So that what it answers the second time round is never seen."""
    calls = []

    def right_at_the_second_call(*question: Any) -> float:
        calls.append(question)
        return area_share(*question) if calls.count(question) > 1 else 0.0

    assert examine("00.share", right_at_the_second_call)
    assert len(calls) == len(EXERCISES["00.share"].questions(0))


def test_a_function_that_is_right_only_once_is_wrong() -> None:
    answers = []

    def remembered(filters: Any, gain: Any, variance: Any) -> Any:
        answers.append(fold_batchnorm(filters, gain, variance))
        return answers[0]

    assert examine("05.fold", remembered)


def test_a_right_answer_that_works_in_place_is_right() -> None:
    def in_place(filters: Any, gain: Any, variance: Any, eps: float = 1e-5) -> Any:
        filters *= (gain / (variance + eps).sqrt())[:, None, None, None]
        return filters

    assert check("05.fold", in_place) is in_place


def test_an_answer_that_spoils_its_arguments_gains_nothing() -> None:
    def blank(filters: Any, gain: Any, variance: Any) -> Any:
        for part in (filters, gain, variance):
            part.zero_()
        return filters

    assert "largest difference" in examine("05.fold", blank)


def test_an_answer_that_is_changed_later_stays_as_it_was_given() -> None:
    kept = torch.zeros(3)

    def reuse(value: float) -> torch.Tensor:
        return kept.fill_(value)

    first, second = ask(reuse, [(1.0,), (2.0,)])
    assert first.tolist() == [1.0] * 3 and second.tolist() == [2.0] * 3


class Always:
    """Equal to everything."""

    def __eq__(self, other: object) -> bool:
        return True

    def __float__(self) -> float:
        return 0.5


class Sly(float):
    """A float that says it is near everything."""

    def __sub__(self, other: float) -> float:
        return 0.0

    __rsub__ = __sub__


@pytest.mark.parametrize("key", ["00.share", "05.rank", "07.same_order", "08.above"])
@pytest.mark.parametrize("answer", [Always(), Sly(3.0), True])
def test_what_only_claims_to_be_equal_is_wrong(key: str, answer: Any) -> None:
    assert examine(key, lambda *_: answer)


def test_no_explanation_tells_the_right_number() -> None:
    for key in ("00.share", "00.smallest", "00.gain", "03.nmi", "04.spread", "05.rank", "05.match", "06.loss"):
        exercise = EXERCISES[key]
        question = exercise.questions(0)[0]
        expected = float(exercise.answer(*question))
        said = examine(key, lambda *_: 1e6)
        assert f"{expected:.3g}" not in said and f"{expected:.2f}" not in said


@pytest.mark.parametrize(
    ("given", "words"),
    [
        (None, "returned nothing"),
        (3.0, "returned float"),
        (Other("Thing"), "returned Thing"),
        (torch.zeros(2), "the shape (2,), and (3,)"),
        (torch.zeros(3, dtype=torch.complex64), "complex"),
        (torch.tensor([1.0, math.nan, 3.0]), "not finite"),
        (torch.tensor([1.0, 2.0, 3.01]), "Close, but not equal"),
        (torch.tensor([1.0, 2.0, -3.0]), "The right shape, but other values"),
        (torch.tensor([1, 2, 3]), ""),
    ],
)
def test_how_far_off_an_answer_is(given: Any, words: str) -> None:
    said = difference(given, torch.tensor([1.0, 2.0, 3.0]))
    assert words in said and bool(said) == bool(words)


def test_what_counts_as_a_number() -> None:
    assert numbers([1, 2.5, torch.tensor([3.0]), np.float32(4)]) == [1.0, 2.5, 3.0, 4.0]
    assert "returned bool" in numbers([True]) and "returned str" in numbers(["1"])
    assert "returned complex" in numbers([1j]) and "returned Tensor" in numbers([torch.zeros(2)])
    assert "not finite" in numbers([1.0, math.inf]) and "returned nothing" in numbers([None])


def test_numbers_are_explained_by_the_mistake_that_gives_them_all() -> None:
    mistakes = {"Doubled.": [2.0, 4.0]}
    assert explain_numbers([1.0, 2.0], [1.0, 2.0], mistakes) == ""
    assert explain_numbers([2.0, 4.0], [1.0, 2.0], mistakes) == "Doubled."
    assert "the largest difference is 1" in explain_numbers([2.0, 2.0], [1.0, 2.0], mistakes)


def test_a_setting_is_judged_by_what_is_observed() -> None:
    (answer, other) = ask(lambda *_: torch.nn.Linear(2, 2), [(0, 2), (1, 1)], "network")
    assert answer == other == Other("Linear")
    assert "returned Linear" in judge("07.freeze", [(0, 2), (1, 1)], [answer, other])


def test_a_missing_or_a_failed_answer_is_named() -> None:
    questions = EXERCISES["00.share"].questions(0)
    assert "3 questions, and 1 answers" in judge("00.share", questions, [0.1])
    assert "It raised ValueError: no" in judge("00.share", questions, [0.1, Raised("ValueError", "no"), 0.1])


def test_asking_imports_no_right_answer() -> None:
    """What a grader lets into a learner's process: no exercise, and of the library only the networks."""
    code = "import sys, course_lib.exercises.asking; print(*[m for m in sys.modules if m.startswith('course_lib.')])"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, env=dict(os.environ))
    loaded = done.stdout.split()
    assert "course_lib.exercises.asking" in loaded
    assert not [name for name in loaded if name.startswith("course_lib.exercises.ex0")]
