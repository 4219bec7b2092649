"""A page for each of many photographs, and one page that leads to them: `python -m course_lib run --image PATH`."""

from __future__ import annotations

import base64
import io
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any, NamedTuple
from urllib.parse import quote

from PIL import Image

from course_lib.data.images import list_images
from course_lib.data.loading import load_source
from course_lib.experiments.cells import code_digest
from course_lib.experiments.runs import run_notebooks
from course_lib.lessons.your_image.page import plain_name
from course_lib.pictures.figures import photograph
from course_lib.pretext.method import without_labels
from course_lib.support.errors import CourseError
from course_lib.support.files import make_folder, sha256_of, write_file
from course_lib.support.notebooks import find_notebooks
from course_lib.support.templates import templates
from course_lib.training.trained import hash_of

NOTEBOOK = "13"
"""The one that makes a page."""

_THUMBNAIL = (480, 360)  # pixels


class Entry(NamedTuple):
    """A photograph of the gallery: its name, its page as seen from the gallery's folder, "" where there is none, why
    that is, and itself, small, as JPEG in base64."""

    name: str
    page: str
    error: str
    thumbnail: str


def make_gallery(
    images: Sequence[Path], parameters: dict[str, Any], profile: str, folder: Path, say: Callable[[str], None] = print
) -> list[Entry]:
    """Make a page for every photograph in `images`, files and folders of them, below `folder`, and index.html there.

    parameters: of notebook 13, which is run once for each; all methods are trained unless METHODS says otherwise. A
    page that is there already, of the same pixels, parameters and code, is kept; a training that was broken off goes
    on. A picture that cannot be used costs no other its page. Raises CourseError for a path that is not there, and for
    a folder without pictures.
    """
    paths, entries = list(photographs(images)), []
    parameters = {"METHODS": ", ".join(without_labels(profile))} | parameters
    (notebook,) = find_notebooks([NOTEBOOK])
    code = code_digest(notebook)
    for path in paths:
        entry = _entry(path, notebook, code, parameters, profile, make_folder(folder))
        say(f"{entry.name}: {entry.error or entry.page}")
        entries.append(entry)
        page = templates().get_template("experiments/gallery.html.j2").render(entries=entries)
        write_file(folder / "index.html", page)
    return entries


def photographs(images: Sequence[Path]) -> Iterator[Path]:
    """The picture files that paths of files and folders name, each once."""
    for path in images:
        if not path.exists():
            raise CourseError(f"{path} is not there; give --image a picture, or a folder of pictures")
    found = (one for path in images for one in (list_images(path) if path.is_dir() else [path]))
    yield from dict.fromkeys(one.absolute() for one in found)


def _entry(path: Path, notebook: Path, code: str, parameters: dict[str, Any], profile: str, folder: Path) -> Entry:
    try:
        thumbnail = _thumbnail(path)
    except CourseError as error:
        return Entry(path.name, "", str(error), "")
    facts = {"pixels": sha256_of(path), "parameters": parameters, "profile": profile, "code": code}
    place = folder / f"{plain_name(path.stem)}-{hash_of(facts)}"
    page = place / "page.html"
    if not page.exists():
        (result,) = run_notebooks({notebook: parameters | {"SOURCE": str(path)}}, profile, make_folder(place))
        if result.error:
            return Entry(path.name, "", result.error, thumbnail)
        (made,) = (place / "pages").glob("*.html")
        made.replace(page)
    return Entry(path.name, quote(page.relative_to(folder).as_posix()), "", thumbnail)


def _thumbnail(path: Path) -> str:
    """Raises CourseError for what is no picture, or too small a one to learn from."""
    small, buffer = Image.fromarray(photograph(load_source(str(path)))), io.BytesIO()
    small.thumbnail(_THUMBNAIL)
    small.save(buffer, "JPEG", quality=85)
    return base64.b64encode(buffer.getvalue()).decode()
