"""The journal, and the help that reads it: hints, reveal, diff; predictions, quizzes, calibration."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import ipywidgets
import pytest
import torch

from course_lib.exercises import (
    calibration,
    came_out,
    check,
    diff,
    find_exercises,
    find_quizzes,
    hint,
    predict,
    quiz,
    reveal,
)
from course_lib.exercises import checking as checking_module
from course_lib.exercises import choices as choices_module
from course_lib.exercises import journal as journal_module
from course_lib.exercises.journal import hints_taken, journal_path, note_hints, read_journal, was_attempted
from course_lib.experiments import runs
from course_lib.pictures.figures import Picture
from course_lib.pretext.rotnet import four_turns
from course_lib.support.errors import CourseError

EXERCISES, QUIZZES = find_exercises(), find_quizzes()
Said = pytest.CaptureFixture[str]


@pytest.fixture(autouse=True)
def own_journal(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COURSE_JOURNAL", str(tmp_path / "notes" / "journal.json"))
    monkeypatch.setattr(journal_module, "_unsaved", {})
    monkeypatch.setattr(choices_module, "_asked", {})


@pytest.fixture
def front_end(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(choices_module, "has_front_end", lambda: True)


def wrong(*_: Any) -> float:
    return 5.0


def test_attempts_are_kept_in_one_file_that_survives_a_restart() -> None:
    assert not was_attempted("00.share")
    check("00.share", wrong)
    check("00.share", EXERCISES["00.share"].answer)
    kept = json.loads(journal_path().read_text())
    assert [(entry["key"], entry["right"]) for entry in kept["attempts"]] == [("00.share", False), ("00.share", True)]
    code = "from course_lib.exercises.journal import was_attempted; print(was_attempted('00.share'))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, env=dict(os.environ))
    assert done.stdout == "True\n"


def test_a_stub_leaves_no_trace() -> None:
    def share(*_: Any) -> None: ...

    check("00.share", share)
    assert not journal_path().exists()


def test_the_journal_lies_in_the_cache_unless_told_otherwise(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("COURSE_JOURNAL")
    assert journal_path() == tmp_path / "cache" / "journal.json"


def test_a_run_of_the_course_has_a_journal_of_its_own(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    given = {}
    monkeypatch.setattr(runs, "execute", lambda *arguments: given.update(arguments[3]) or stop())
    with pytest.raises(KeyboardInterrupt):
        runs.run_notebooks({Path("00_x.ipynb"): {}}, "quick", tmp_path)
    assert given["COURSE_JOURNAL"] == str(tmp_path / "journal.json")


def stop() -> None:
    raise KeyboardInterrupt


CUT = '{"version": 1, "attempts": [{"key"'
FOREIGN = ["", CUT, "[]", '{"version": 2}', '{"version": 1, "attempts": 3}', "\x00", "[" * 100_000]


@pytest.mark.parametrize("content", FOREIGN, ids=lambda text: text[:12])
def test_a_cut_or_a_foreign_file_is_moved_aside(content: str, capsys: Said) -> None:
    path = journal_path()
    path.write_text(content)
    check("00.share", wrong)
    assert "cannot be read as a journal" in capsys.readouterr().out
    assert was_attempted("00.share")
    (aside,) = [other for other in path.parent.iterdir() if other != path]
    assert aside.read_text() == content


def test_odd_entries_in_a_whole_journal_stop_nothing(capsys: Said) -> None:
    odd = {"version": 1, "attempts": [3, {}], "hints": {"00.share": "x"}, "predictions": {"a": 3}, "quizzes": {}}
    journal_path().write_text(json.dumps(odd))
    assert not was_attempted("00.share") and hints_taken("00.share") == 0
    hint("00.share")
    assert "of 0 predictions" in calibration().caption and "hint 1" in capsys.readouterr().out


@pytest.mark.parametrize("trouble", ["a file in the way", "a folder in its place", "no space"])
def test_a_disk_that_refuses_costs_one_sentence(
    trouble: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: Said
) -> None:
    if trouble == "a file in the way":
        (tmp_path / "notes").write_text("")
    elif trouble == "a folder in its place":
        (tmp_path / "notes" / "journal.json" / "precious").mkdir(parents=True)
    else:
        monkeypatch.setattr(journal_module, "write_file", full)
    check("00.share", wrong)
    check("00.share", wrong)
    assert capsys.readouterr().out.count("kept for this session only") == 1
    assert was_attempted("00.share") and len(read_journal()["attempts"]) == 2
    if trouble == "a folder in its place":
        assert (tmp_path / "notes" / "journal.json" / "precious").is_dir()


def full(path: Path, content: str) -> None:
    raise CourseError(f"{path}: the disk is full; free some space and run again")


def test_hints_come_in_stages_and_stay_at_the_last(capsys: Said) -> None:
    hints = EXERCISES["02.turns"].hints
    for stage in range(1, len(hints) + 2):
        hint("02.turns")
        said = capsys.readouterr().out
        shown = min(stage, len(hints))
        assert f"hint {shown} of {len(hints)}. {hints[shown - 1]}" in said
        assert ("reveal(" in said) == (shown == len(hints))
    hint("02.turns", 1)
    assert hints[0] in capsys.readouterr().out and hints_taken("02.turns") == len(hints)


def test_a_stage_that_is_not_there() -> None:
    with pytest.raises(ValueError, match="stage must lie in 1 to 3, got 4"):
        hint("02.turns", 4)
    with pytest.raises(CourseError, match="no exercise called"):
        hint("02.none")


def test_nothing_is_revealed_before_an_attempt(capsys: Said) -> None:
    note_hints("02.turns", 3)
    reveal("02.turns")
    assert "write something first" in capsys.readouterr().out
    check("02.turns", lambda images: images)
    capsys.readouterr()
    reveal("02.turns")
    said = capsys.readouterr().out
    assert "def four_turns(" in said and "torch.rot90" in said and "course_lib.pretext.rotnet" in said


@pytest.mark.parametrize("key", EXERCISES)
def test_one_question_is_judged_as_all_are(key: str, capsys: Said) -> None:
    """`diff` asks one at a time, and finds no difference between the library's function and itself."""
    assert diff(key, EXERCISES[key].answer) is None
    assert "agree on" in capsys.readouterr().out


@pytest.mark.parametrize("key", EXERCISES)
def test_diff_says_where_every_mistake_differs(key: str, capsys: Said) -> None:
    for mistake in EXERCISES[key].mistakes.values():
        diff(key, mistake)
        assert "your answer first differs for this input" in capsys.readouterr().out


def test_diff_shows_pictures_side_by_side(capsys: Said) -> None:
    def clockwise(images: torch.Tensor) -> torch.Tensor:
        return torch.cat([torch.rot90(images, -k, (2, 3)) for k in range(4)])

    picture = diff("02.turns", clockwise)
    assert isinstance(picture, Picture) and "argument 1, yours, expected, difference" in picture.caption
    said = capsys.readouterr().out
    assert "clockwise" in said and "The largest difference" in said and "of 1536 numbers differ" in said
    assert picture._repr_mimebundle_()["text/plain"] == picture.caption
    assert "difference" not in diff("02.turns", lambda images: images).caption


def test_diff_of_nothing_and_of_what_raises(capsys: Said) -> None:
    assert diff("02.turns", four_turns) is None
    assert "agree on 10 questions" in capsys.readouterr().out
    diff("02.turns", lambda images: 1 / 0)
    said = capsys.readouterr().out
    assert "It raised ZeroDivisionError" in said and "your answer:" not in said


def test_diff_remembers_what_was_checked(monkeypatch: pytest.MonkeyPatch, capsys: Said) -> None:
    monkeypatch.setattr(checking_module, "_tried", {})
    assert diff("00.share") is None
    assert "nothing of yours to compare yet" in capsys.readouterr().out
    check("00.share", wrong)
    diff("00.share")
    assert "your answer: 5.0" in capsys.readouterr().out


def test_diff_tells_no_right_number(capsys: Said) -> None:
    question = EXERCISES["05.rank"].questions(0)[0]
    assert diff("05.rank", wrong) is not None  # the filters of the question can be looked at
    said = capsys.readouterr().out
    assert "your answer: 5.0" in said and f"{EXERCISES['05.rank'].answer(*question):.3g}" not in said
    assert diff("08.above", lambda low, high, bound: "fails") is None
    assert "your answer: 'fails'" in capsys.readouterr().out


def parts(box: Any, kind: type) -> list[Any]:
    return [one for one in box.children if isinstance(one, kind)]


CHOICES = ("conv1", "conv5", "nowhere")


def test_without_a_front_end_a_prediction_is_a_line(capsys: Said) -> None:
    assert predict("06.deep", "Where?", CHOICES) is None
    said = capsys.readouterr().out
    assert "Where?" in said and "a) conv1" in said and "c) nowhere" in said
    came_out("06.deep", "conv5")
    assert "It came out: conv5. (You made no prediction" in capsys.readouterr().out
    assert not read_journal()["predictions"]


def test_a_prediction_is_kept_and_compared(front_end: None, capsys: Said) -> None:
    box = predict("06.deep", "Where?", CHOICES)
    (choice,), (sure,) = parts(box, ipywidgets.RadioButtons), parts(box, ipywidgets.IntSlider)
    assert choice.value is None and sure.min == 34
    sure.value = 90
    assert not read_journal()["predictions"]  # how sure of what?
    choice.value = "conv5"
    sure.value = 70
    assert "Noted" in parts(box, ipywidgets.HTML)[-1].value
    came_out("06.deep", "conv1")
    assert "✗ You said: conv5 (70 % sure). It came out: conv1." in capsys.readouterr().out
    kept = read_journal()["predictions"]["06.deep"]
    assert (kept["choice"], kept["confidence"], kept["outcome"]) == ("conv5", 70, "conv1")


def test_nobody_is_wise_after_the_event(front_end: None, capsys: Said) -> None:
    box = predict("06.deep", "Where?", CHOICES)
    parts(box, ipywidgets.RadioButtons)[0].value = "conv5"
    came_out("06.deep", "conv1")
    again = predict("06.deep", "Where?", CHOICES)
    (choice,) = parts(again, ipywidgets.RadioButtons)
    assert choice.disabled and choice.value == "conv5" and "came out: conv1" in parts(again, ipywidgets.HTML)[-1].value
    came_out("06.deep", "nowhere")  # another seed
    assert read_journal()["predictions"]["06.deep"]["outcome"] == "conv1"
    assert "It came out: nowhere" in capsys.readouterr().out


def test_a_prediction_is_still_there_after_a_restart(front_end: None) -> None:
    parts(predict("06.deep", "Where?", CHOICES), ipywidgets.RadioButtons)[0].value = "nowhere"
    assert parts(predict("06.deep", "Where?", CHOICES), ipywidgets.RadioButtons)[0].value == "nowhere"
    assert parts(predict("06.deep", "Where?", ("other", "choices")), ipywidgets.RadioButtons)[0].value is None


def test_a_prediction_that_nobody_asked_for_stops_nothing(monkeypatch: pytest.MonkeyPatch, capsys: Said) -> None:
    monkeypatch.setattr(f"{predict.__module__}._asked", {})
    came_out("06.deep", 1)
    assert "prediction was not run" in capsys.readouterr().out
    came_out("06.deep", "conv5")
    assert "It came out: conv5." in capsys.readouterr().out
    predict("06.deep", "Where?", CHOICES)
    came_out("06.deep", 1)
    assert "It came out: conv5." in capsys.readouterr().out


def test_what_comes_out_must_be_one_of_the_choices() -> None:
    predict("06.deep", "Where?", CHOICES)
    with pytest.raises(ValueError, match="06.deep had the choices conv1, conv5, nowhere, got 3"):
        came_out("06.deep", 3)
    with pytest.raises(ValueError, match="06.deep had the choices conv1, conv5, nowhere, got 'conv3'"):
        came_out("06.deep", "conv3")


@pytest.mark.parametrize("key", QUIZZES)
def test_every_quiz_has_a_right_choice_and_a_reason_for_each(key: str) -> None:
    asked = QUIZZES[key]
    assert asked.right in asked.reasons and len(asked.reasons) >= 3 and asked.question.endswith("?")
    assert all(reason.endswith(".") for reason in asked.reasons.values())
    assert asked.reasons[asked.right].startswith("Yes") and max(map(len, asked.reasons)) <= 90
    assert [choice for choice in asked.reasons if asked.reasons[choice].startswith("Yes")] == [asked.right]


def test_without_a_front_end_a_quiz_is_text_without_reasons(capsys: Said) -> None:
    assert quiz("02.noise") is None
    said = capsys.readouterr().out
    assert QUIZZES["02.noise"].question in said and all(choice in said for choice in QUIZZES["02.noise"].reasons)
    assert not any(reason in said for reason in QUIZZES["02.noise"].reasons.values())
    with pytest.raises(CourseError, match="no quiz called '02.none'; there is 00.layers"):
        quiz("02.none")


def test_each_choice_answers_with_its_reason(front_end: None) -> None:
    asked = QUIZZES["02.noise"]
    box = quiz("02.noise")
    buttons, words = parts(box, ipywidgets.Button), parts(box, ipywidgets.HTML)[-1]
    assert [button.description for button in buttons] == list(asked.reasons)
    for button in buttons:
        button.click()
        assert asked.reasons[button.description] in words.value
        assert words.value.startswith("✓" if button.description == asked.right else "✗")
    kept = read_journal()["quizzes"]["02.noise"]
    assert kept["first"] == buttons[0].description and kept["right"] is False and kept["tries"] == 3


def test_calibration_of_nothing_of_few_and_of_many(front_end: None) -> None:
    assert "of 0 predictions. 0 predictions are few" in calibration().caption
    for i in range(12):
        box = predict(f"0{i % 9}.n{i}", "Which?", ("a", "b"))
        parts(box, ipywidgets.RadioButtons)[0].value = "a"
        parts(box, ipywidgets.IntSlider)[0].value = 90 if i < 8 else 50
        came_out(f"0{i % 9}.n{i}", "a" if i < 6 or i == 11 else "b")
    predict("08.open", "Which?", ("a", "b"))
    caption = calibration().caption
    assert "of 12 predictions" in caption and "few" not in caption
    assert "about 50% sure, 25% of 4" in caption and "about 90% sure, 75% of 8" in caption
    assert calibration().png().startswith(b"\x89PNG")
