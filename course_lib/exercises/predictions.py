"""What a learner thinks will come out, and how sure of it; what did; and how well the two go together."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from course_lib.exercises.journal import note_outcome, note_prediction, prediction_of, predictions
from course_lib.exercises.showing import as_text, box_of
from course_lib.support.front_end import has_front_end

if TYPE_CHECKING:
    from course_lib.pictures.figures import Picture

_FEW = 10
"""Below so many predictions, a calibration is mostly luck."""

_asked: dict[str, tuple[str, ...]] = {}  # the choices of each prediction that this process has shown


def predict(key: str, question: str, choices: Sequence[str]) -> Any:
    """Ask what will come out, before it is run: a choice, and how sure of it. It never waits for an answer.

    Returns the buttons and the slider where there is a front end; elsewhere prints the question. key: the notebook's
    number and a name, as in "06.deep"; what was said under it stays in the journal.
    """
    _asked[key] = tuple(choices)
    said = prediction_of(key)
    if not has_front_end():
        print(as_text(f"Before you go on: {question}", choices))
        return None
    return _ask(key, question, choices, said)


def _ask(key: str, question: str, choices: Sequence[str], said: dict[str, Any]) -> Any:
    import ipywidgets as widgets

    value = said.get("choice") if said.get("choice") in choices else None
    choice = widgets.RadioButtons(options=list(choices), value=value, layout={"width": "auto"})
    sure = widgets.IntSlider(
        value=min(100, max(chance(choices), said.get("confidence", 60))),
        min=chance(choices),
        max=100,
        description="how sure, in %",
        style={"description_width": "initial"},
        layout={"width": "340px"},
    )
    box, words = box_of(question, [choice, sure])

    def note(_: Any = None) -> None:
        if choice.value is not None:
            note_prediction(key, choice.value, sure.value)
            words.value = "Noted. Now run on."

    if "outcome" in said:  # what was said before the outcome was known is what counts
        choice.disabled = sure.disabled = True
        words.value = f"You said this before it came out: {_verdict(said)}"
    else:
        choice.observe(note, "value")
        sure.observe(note, "value")
    return box


def chance(choices: Sequence[str]) -> int:
    """How sure one is who only guesses, in percent, rounded up."""
    return -(-100 // len(choices))


def came_out(key: str, outcome: str | int) -> None:
    """Print what was predicted under this id beside what came out, and note it.

    outcome: one of the choices, in words, or by its place among them, from 0. By its place nothing is needed from the
    cell that asks, and who skips that cell is told so. Raises ValueError for an outcome that was none of the choices.
    """
    choices, said = _asked.get(key), prediction_of(key)
    if choices is None and isinstance(outcome, int):
        print("The cell that asks for your prediction was not run. Run it, and this one again, to compare.")
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
    """How sure the learner was, and how often right: on the diagonal, who is 70 % sure is right in 70 of 100."""
    from course_lib.pictures.charts import calibration_picture

    known = [one for one in predictions().values() if "outcome" in one]
    sure = [one["confidence"] / 100 for one in known]
    return calibration_picture(sure, [one["choice"] == one["outcome"] for one in known], _FEW)
