"""The pictures in a notebook's outputs, and nothing else of them: no script, no page, no other file."""

from __future__ import annotations

import base64
import contextlib
from collections.abc import Iterable, Iterator
from html.parser import HTMLParser
from typing import Any

from course_lib.grading.submission import text_of

MOST = 40
LARGEST = 3_000_000  # bytes of all of a submission's pictures, as base64
_PNG = b"\x89PNG\r\n\x1a\n"
_PREFIX = "data:image/png;base64,"


def pictures_of(outputs: Iterable[Any]) -> list[dict[str, str]]:
    """PNG pictures as {"png": base64, "alt": words}, as many as MOST and LARGEST allow."""
    kept, total = [], 0
    for png, alt in _found(outputs):
        total += len(png)
        if len(kept) == MOST or total > LARGEST:
            break
        if _is_png(png):
            kept.append({"png": png, "alt": alt[:1000]})
    return kept


def _found(outputs: Iterable[Any]) -> Iterator[tuple[str, str]]:
    for output in outputs:
        data = output.get("data") if isinstance(output, dict) else None
        if not isinstance(data, dict):
            continue
        page = text_of(data.get("text/html"))
        if "<img" in page:
            yield from _of_page(page)
        elif png := text_of(data.get("image/png")):
            words = output.get("metadata", {})
            words = words.get("image/png", {}) if isinstance(words, dict) else {}
            alt = words.get("alt") if isinstance(words, dict) else None
            yield "".join(png.split()), alt if isinstance(alt, str) else text_of(data.get("text/plain"))


def _of_page(page: str) -> list[tuple[str, str]]:
    reader = _Images()
    with contextlib.suppress(AssertionError, ValueError):  # which the parser raises for some that are no HTML
        reader.feed(page)
    return reader.found


def _is_png(text: str) -> bool:
    try:
        return base64.b64decode(text, validate=True).startswith(_PNG)
    except ValueError:
        return False


class _Images(HTMLParser):
    """The pictures of a page that hold their own pixels."""

    def __init__(self) -> None:
        super().__init__()
        self.found: list[tuple[str, str]] = []

    def handle_starttag(self, tag: str, attributes: list[tuple[str, str | None]]) -> None:
        """Keep an image."""
        given = dict(attributes)
        source = given.get("src") or ""
        if tag == "img" and source.startswith(_PREFIX):
            self.found.append((source.removeprefix(_PREFIX), given.get("alt") or ""))
