"""A question with its choices: as text, and as a box of controls."""

from __future__ import annotations

import html
from collections.abc import Sequence
from typing import Any


def as_text(question: str, choices: Sequence[str]) -> str:
    """The question, and a line for each choice."""
    return "\n".join([question, *(f"  {chr(ord('a') + i)}) {choice}" for i, choice in enumerate(choices))])


def box_of(question: str, controls: Sequence[Any]) -> tuple[Any, Any]:
    """The question above its controls, and a line below them for what is said; the box, and that line."""
    import ipywidgets as widgets

    words = widgets.HTML()
    heading = widgets.HTML(f"<b>{html.escape(question)}</b>")
    box = widgets.VBox([heading, *controls, words], layout={"width": "100%", "max_width": "760px"})
    box.add_class("course-question")
    return box, words
