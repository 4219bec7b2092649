"""A download that is cut, resumed, wrong, or impossible; all from a server on this machine."""

from __future__ import annotations

import hashlib
import http.server
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from course_lib.support.downloads import download
from course_lib.support.errors import CourseError

CONTENT = bytes(range(256)) * 2000
HASH = hashlib.sha256(CONTENT).hexdigest()


class Server(http.server.BaseHTTPRequestHandler):
    """Serves CONTENT, with ranges; `cut` bytes are the most that an answer gives, `asked` the ranges that came in."""

    cut: int | None = None
    ranges = True
    asked: list[str] = []

    def do_GET(self) -> None:  # noqa: N802, the name that the library calls
        self.asked.append(self.headers.get("Range", ""))
        start = int(self.headers["Range"][6:-1]) if "Range" in self.headers and self.ranges else 0
        if start >= len(CONTENT):
            self.send_error(416)
            return
        self.send_response(206 if start else 200)
        self.send_header("Content-Length", str(len(CONTENT) - start))
        self.end_headers()
        self.wfile.write(CONTENT[start : None if self.cut is None else start + self.cut])

    def log_message(self, *_: object) -> None:
        pass


@pytest.fixture
def url() -> Iterator[str]:
    Server.cut, Server.ranges, Server.asked = None, True, []
    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Server)
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    yield f"http://127.0.0.1:{server.server_port}/file"
    server.shutdown()
    server.server_close()
    thread.join()


def test_a_file_arrives_once(url: str, tmp_path: Path) -> None:
    for _ in range(2):
        assert download(url, tmp_path / "file", HASH).read_bytes() == CONTENT
    assert len(Server.asked) == 1
    assert [path.name for path in tmp_path.glob("file*")] == ["file"]


def test_a_download_that_is_cut_goes_on_where_it_was(url: str, tmp_path: Path) -> None:
    Server.cut = 200_000
    with pytest.raises(CourseError, match="stopped after 200,000 bytes.*run again"):
        download(url, tmp_path / "file", HASH)
    Server.cut = None
    assert download(url, tmp_path / "file", HASH).read_bytes() == CONTENT
    assert Server.asked == ["", "bytes=200000-"]


def test_a_server_without_ranges_starts_again(url: str, tmp_path: Path) -> None:
    Server.cut = 100_000
    with pytest.raises(CourseError):
        download(url, tmp_path / "file", HASH)
    Server.cut, Server.ranges = None, False
    assert download(url, tmp_path / "file", HASH).read_bytes() == CONTENT


def test_a_file_that_had_arrived_whole_is_not_fetched_again(url: str, tmp_path: Path) -> None:
    (tmp_path / "file.part").write_bytes(CONTENT)
    assert download(url, tmp_path / "file", HASH).read_bytes() == CONTENT


def test_a_wrong_hash_is_refused_and_the_file_removed(url: str, tmp_path: Path) -> None:
    with pytest.raises(CourseError, match="was expected; it was removed, run again"):
        download(url, tmp_path / "file", "0" * 64)
    assert not list(tmp_path.glob("file*"))


def test_without_a_network_a_sentence_says_so(tmp_path: Path) -> None:
    with pytest.raises(CourseError, match="stopped after 0 bytes"):
        download("http://127.0.0.1:9/nothing", tmp_path / "file", HASH)


def test_a_file_damaged_since_is_fetched_anew(url: str, tmp_path: Path) -> None:
    (tmp_path / "file").write_bytes(CONTENT[:1000])
    assert download(url, tmp_path / "file", HASH).read_bytes() == CONTENT
