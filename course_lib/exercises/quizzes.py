"""Questions with a reason for each wrong choice."""

from __future__ import annotations

import html
from functools import partial
from typing import Any

from course_lib.exercises.exercise import Quiz, find_quiz
from course_lib.exercises.journal import note_quiz
from course_lib.exercises.showing import as_text, box_of
from course_lib.support.front_end import has_front_end


def quiz(key: str) -> Any:
    """Show a question with a button for each choice, which answers with its reason; elsewhere print it.

    Returns the buttons where there is a front end. Raises CourseError for an id that does not exist.
    """
    asked = find_quiz(key)
    if not has_front_end():
        print(as_text(asked.question, list(asked.reasons)))
        return None
    return _buttons(key, asked)


def _buttons(key: str, asked: Quiz) -> Any:
    import ipywidgets as widgets

    layout = {"width": "100%", "height": "auto"}
    buttons = [widgets.Button(description=choice, layout=layout) for choice in asked.reasons]
    box, words = box_of(asked.question, buttons)

    def answer(choice: str, button: widgets.Button) -> None:
        right = choice == asked.right
        note_quiz(key, choice, right)
        button.icon = "check" if right else "times"
        words.value = f"{'✓' if right else '✗'} <i>{html.escape(choice)}</i> {html.escape(asked.reasons[choice])}"

    for button in buttons:
        button.on_click(partial(answer, button.description))
    return box
