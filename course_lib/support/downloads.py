"""A download that goes on where it was cut off, and is believed only when its hash is right."""

from __future__ import annotations

import sys
import urllib.error
import urllib.request
from pathlib import Path

from tqdm.auto import tqdm

from course_lib.support.errors import CourseError
from course_lib.support.files import disk_errors, sha256_of

TIMEOUT = 30
"""Seconds without a byte after which a server counts as gone."""


def download(url: str, path: Path, sha256: str) -> Path:
    """The file at `url`, as `path`; at once where it is there already, and whole.

    What has arrived stands in `path` with `.part` added, and the next call asks the server for the rest only.
    Raises CourseError without a network, when the connection is cut, and when the hash is wrong (the file is then
    removed, so that the next call starts afresh).
    """
    if path.exists():
        if sha256_of(path) == sha256:
            return path
        path.unlink()  # damaged since
    part = path.with_name(path.name + ".part")
    try:
        _fetch(url, part)
    except (OSError, urllib.error.URLError) as error:
        had = part.stat().st_size if part.exists() else 0
        raise CourseError(
            f"the download of {url} stopped after {had:,} bytes ({_reason(error)}); run again to go on from there"
        ) from error
    found = sha256_of(part)
    if found != sha256:
        part.unlink()
        raise CourseError(
            f"{url} gave a file with SHA-256 {found[:12]}... where {sha256[:12]}... was expected; "
            "it was removed, run again to fetch it anew"
        )
    with disk_errors(path):
        part.replace(path)
    return path


def _fetch(url: str, part: Path) -> None:
    had = part.stat().st_size if part.exists() else 0
    request = urllib.request.Request(url, headers={"Range": f"bytes={had}-"} if had else {})
    try:
        answer = urllib.request.urlopen(request, timeout=TIMEOUT)
    except urllib.error.HTTPError as error:
        if error.code == 416 and had:  # the file had arrived whole before the last call ended
            return
        raise
    with answer:
        resumed = answer.status == 206
        start = had if resumed else 0
        length = int(answer.headers.get("Content-Length") or 0)
        with disk_errors(part):
            file = part.open("ab" if resumed else "wb")
        bar = tqdm(
            total=start + length or None, initial=start, unit="B", unit_scale=True, desc=part.stem, file=sys.stdout
        )
        with file, bar:
            while block := answer.read(1 << 16):
                with disk_errors(part):
                    file.write(block)
                bar.update(len(block))
    if length and part.stat().st_size < start + length:
        raise ConnectionError("the connection was closed early")


def _reason(error: OSError) -> str:
    return str(getattr(error, "reason", None) or error) or type(error).__name__
