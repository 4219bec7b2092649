"""The pages that the course writes, from the templates beside its code."""

from __future__ import annotations

import jinja2


def templates() -> jinja2.Environment:
    """The library's templates, by their paths below `course_lib`; what is filled in is escaped."""
    loader = jinja2.PackageLoader("course_lib", ".")
    return jinja2.Environment(loader=loader, autoescape=True, undefined=jinja2.StrictUndefined)
