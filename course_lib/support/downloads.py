"""A download by pooch that is believed only when its hash is right."""

from __future__ import annotations

from pathlib import Path

from course_lib.support.errors import CourseError
from course_lib.support.files import disk_errors

TIMEOUT = 30
"""Seconds without a byte after which a server counts as gone."""


def download(url: str, path: Path, known_hash: str) -> Path:
    """The file at `url`, as `path`; at once where it is there already, and whole.

    known_hash: with the name of its algorithm, as in `sha256:...` or `md5:...`.

    It is fetched under a temporary name and renamed when its hash is right, so that `path` is never a part of it.
    Raises CourseError without a network, when the connection is cut, and when the hash is wrong.
    """
    import pooch  # here, with requests, since few notebooks fetch anything
    import requests

    pooch.get_logger().setLevel("WARNING")
    fetch = pooch.HTTPDownloader(timeout=TIMEOUT, progressbar=True)
    with disk_errors(path):
        try:
            pooch.retrieve(url, known_hash, path.name, path.parent, downloader=fetch)
        except requests.RequestException as error:
            raise CourseError(f"the download of {url} stopped ({error}); run again when the network is back") from error
        except ValueError as error:  # pooch's word for a wrong hash
            raise CourseError(f"{url} gave another file than expected ({error}); run again to fetch it") from error
    return path
