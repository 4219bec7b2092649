"""Questions with choices: quizzes, and predictions of what will come out, how sure of it, and how often right."""

from __future__ import annotations

import html
from collections.abc import Sequence
from functools import partial
from typing import TYPE_CHECKING, Any

from course_lib.exercises.exercise import Quiz, find_quiz
from course_lib.exercises.journal import note_outcome, note_prediction, note_quiz, prediction_of, predictions
from course_lib.support.machine import has_front_end

if TYPE_CHECKING:
    from course_lib.pictures.figures import Picture

_FEW = 10  # with fewer predictions, a calibration is mostly luck
_asked: dict[str, tuple[str, ...]] = {}  # the choices of each prediction that this process has shown


def quiz(key: str) -> Any:
    """Show a question with a button for each choice, which answers with its reason; elsewhere print it.

    Returns the buttons where there is a front end. Raises CourseError for an id that does not exist.
    """
    asked = find_quiz(key)
    if not has_front_end():
        print(_as_text(asked.question, list(asked.reasons)))
        return None
    return _buttons(key, asked)


def _buttons(key: str, asked: Quiz) -> Any:
    import ipywidgets as widgets

    layout = {"width": "100%", "height": "auto"}
    buttons = [widgets.Button(description=choice, layout=layout) for choice in asked.reasons]
    box, words = _box_of(asked.question, buttons)

    def answer(choice: str, button: widgets.Button) -> None:
        right = choice == asked.right
        note_quiz(key, choice, right)
        button.icon = "check" if right else "times"
        words.value = f"{'✓' if right else '✗'} <i>{html.escape(choice)}</i> {html.escape(asked.reasons[choice])}"

    for button in buttons:
        button.on_click(partial(answer, button.description))
    return box


def _as_text(question: str, choices: Sequence[str]) -> str:
    """The question, and a line for each choice."""
    return "\n".join([question, *(f"  {chr(ord('a') + i)}) {choice}" for i, choice in enumerate(choices))])


def _box_of(question: str, controls: Sequence[Any]) -> tuple[Any, Any]:
    """The question above its controls, and a line below them for the response; the box, and that line."""
    import ipywidgets as widgets

    words = widgets.HTML()
    heading = widgets.HTML(f"<b>{html.escape(question)}</b>")
    box = widgets.VBox([heading, *controls, words], layout={"width": "100%", "max_width": "760px"})
    box.add_class("course-question")
    return box, words


def predict(key: str, question: str, choices: Sequence[str]) -> Any:
    """Ask what will come out, before it is run: a choice, and how sure the learner is. It never waits for an answer.

    Returns the buttons and the slider where there is a front end; elsewhere prints the question. key: the notebook's
    number and a name, as in "06.deep"; the prediction stays in the journal under it.
    """
    _asked[key] = tuple(choices)
    said = prediction_of(key)
    if not has_front_end():
        print(_as_text(f"Before you go on: {question}", choices))
        return None
    return _ask(key, question, choices, said)


def _ask(key: str, question: str, choices: Sequence[str], said: dict[str, Any]) -> Any:
    import ipywidgets as widgets

    chance = -(-100 // len(choices))  # how sure one is who only guesses, in percent
    value = said.get("choice") if said.get("choice") in choices else None
    choice = widgets.RadioButtons(options=list(choices), value=value, layout={"width": "auto"})
    sure = widgets.IntSlider(
        value=min(100, max(chance, said.get("confidence", 60))),
        min=chance,
        max=100,
        description="how sure, in %",
        style={"description_width": "initial"},
        layout={"width": "340px"},
    )
    box, words = _box_of(question, [choice, sure])

    def note(_: Any = None) -> None:
        if choice.value is not None:
            note_prediction(key, choice.value, sure.value)
            words.value = "Noted. Go on to the next cell."

    if "outcome" in said:  # only a prediction made before the outcome was known counts
        choice.disabled = sure.disabled = True
        words.value = f"You predicted this before the outcome was known: {_verdict(said)}"
    else:
        choice.observe(note, "value")
        sure.observe(note, "value")
    return box


def came_out(key: str, outcome: str | int) -> None:
    """Print what was predicted under this id beside what came out, and note it.

    outcome: one of the choices, in words, or its place among them, from 0. With a place, the cell that asks must have
    been run; a learner who skipped it is told so. Raises ValueError for an outcome that was not among the choices.
    """
    choices, said = _asked.get(key), prediction_of(key)
    if choices is None and isinstance(outcome, int):
        print("The cell that asks for your prediction was not run. To compare, run it, and then this one again.")
        return
    outcome = _in_words(key, outcome, choices)
    if not said:
        print(f"It came out: {outcome}. (You made no prediction; choose above before you run this.)")
        return
    if "outcome" not in said:
        note_outcome(key, outcome)
    print(_verdict(said | {"outcome": outcome}))


def _in_words(key: str, outcome: str | int, choices: tuple[str, ...] | None) -> str:
    """The choice that came out; without the choices, whatever was given in words."""
    if choices is None:
        return str(outcome)
    if isinstance(outcome, int) and 0 <= outcome < len(choices):
        return choices[outcome]
    if outcome not in choices:
        raise ValueError(f"{key} had the choices {', '.join(choices)}, got {outcome!r}")
    return str(outcome)


def _verdict(said: dict[str, Any]) -> str:
    mark = "✓" if said["choice"] == said["outcome"] else "✗"
    return f"{mark} You said: {said['choice']} ({said['confidence']} % sure). It came out: {said['outcome']}."


def calibration() -> Picture:
    """How sure the learner was, and how often right: on the diagonal, predictions made at 70 % are right 70 % of the
    time."""
    from course_lib.pictures.charts import calibration_picture

    known = [one for one in predictions().values() if "outcome" in one]
    sure = [one["confidence"] / 100 for one in known]
    return calibration_picture(sure, [one["choice"] == one["outcome"] for one in known], _FEW)
