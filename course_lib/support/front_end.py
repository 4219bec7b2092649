"""Whether somebody may be looking: in a notebook with a front end, or nowhere."""

from __future__ import annotations

import os


def has_front_end() -> bool:
    """Whether somebody may be looking at a growing picture: in a notebook, unless COURSE_LIVE=0 (as `run` sets)."""
    if os.environ.get("COURSE_LIVE") == "0":
        return False
    try:
        from IPython import get_ipython
    except ImportError:
        return False
    return getattr(get_ipython(), "kernel", None) is not None
