"""One page about a photograph: a file that is complete in itself, to be handed in or shared. Taught in notebook 13."""

from __future__ import annotations

import re
from collections.abc import Sequence
from datetime import datetime
from pathlib import Path
from typing import NamedTuple

import pandas as pd

from course_lib.pictures.figures import Picture
from course_lib.profiles import Course
from course_lib.support.files import runs_folder, write_file
from course_lib.support.machine import describe_machine
from course_lib.support.templates import templates


class Section(NamedTuple):
    """A part of the page: a heading, a sentence or two, pictures with their captions, and a table if there is one."""

    heading: str
    words: str
    pictures: Sequence[Picture] = ()
    table: pd.DataFrame | None = None


def page_html(title: str, sections: Sequence[Section], course: Course) -> str:
    """The page as HTML that asks for no other file; whatever is in a name stays text."""
    return (
        templates()
        .get_template("lessons/your_image/page.html.j2")
        .render(
            title=title,
            sections=sections,
            profile=course.profile.name,
            seed=course.seed,
            date=datetime.now().strftime("%d %B %Y, %H:%M"),
            machine=describe_machine(),
        )
    )


def save_page(name: str, html: str) -> Path:
    """Write a page to `pages/` of the runs, as a file named after the photograph; CourseError for a full disk."""
    return write_file(runs_folder("pages") / f"{plain_name(name)}.html", html)


def plain_name(name: str) -> str:
    """A name that every file system takes: letters, digits, dots and dashes, at most 60 of them."""
    return re.sub(r"[^\w.-]+", "-", name).strip("-.")[:60] or "photograph"
