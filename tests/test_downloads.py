"""A download that is cut, wrong, or impossible; all from a server on this machine."""

from __future__ import annotations

import hashlib
import http.server
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from course_lib.support.errors import CourseError
from course_lib.support.files import download

CONTENT = bytes(range(256)) * 2000
HASH = "sha256:" + hashlib.sha256(CONTENT).hexdigest()


class Server(http.server.BaseHTTPRequestHandler):
    """Serves CONTENT; `cut` bytes are the most that an answer gives, `asked` counts what came in."""

    cut: int | None = None
    asked = 0

    def do_GET(self) -> None:  # noqa: N802, the name that the library calls
        Server.asked += 1
        self.send_response(200)
        self.send_header("Content-Length", str(len(CONTENT)))
        self.end_headers()
        self.wfile.write(CONTENT[: self.cut])

    def log_message(self, *_: object) -> None:
        pass


@pytest.fixture
def url() -> Iterator[str]:
    Server.cut, Server.asked = None, 0
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
    assert Server.asked == 1
    assert [path.name for path in tmp_path.iterdir()] == ["file"]


def test_a_download_that_is_cut_leaves_nothing_and_can_be_run_again(url: str, tmp_path: Path) -> None:
    Server.cut = 200_000
    with pytest.raises(CourseError, match="stopped .*; run again"):
        download(url, tmp_path / "file", HASH)
    assert not list(tmp_path.iterdir())
    Server.cut = None
    assert download(url, tmp_path / "file", HASH).read_bytes() == CONTENT


def test_two_at_once_both_get_it(url: str, tmp_path: Path) -> None:
    threads = [threading.Thread(target=download, args=(url, tmp_path / "file", HASH)) for _ in range(2)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert (tmp_path / "file").read_bytes() == CONTENT and len(list(tmp_path.iterdir())) == 1


def test_a_wrong_hash_is_refused_and_the_file_removed(url: str, tmp_path: Path) -> None:
    with pytest.raises(CourseError, match="another file than expected"):
        download(url, tmp_path / "file", "sha256:" + "0" * 64)
    assert not list(tmp_path.iterdir())


def test_without_a_network_a_sentence_says_so(tmp_path: Path) -> None:
    with pytest.raises(CourseError, match="stopped .*; run again when the network is back"):
        download("http://127.0.0.1:9/nothing", tmp_path / "file", HASH)


def test_a_file_damaged_since_is_fetched_again(url: str, tmp_path: Path) -> None:
    (tmp_path / "file").write_bytes(CONTENT[:1000])
    assert download(url, tmp_path / "file", HASH).read_bytes() == CONTENT
