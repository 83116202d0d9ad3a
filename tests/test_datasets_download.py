"""Downloads, against a server on localhost that misbehaves on demand."""

import hashlib
import http.server
import io
import threading
import zipfile

import pytest

from model.datasets import download
from model.datasets.download import (
    ChecksumError,
    DownloadError,
    InterruptedDownloadError,
    RefusedError,
    RemoteFile,
    Retries,
    cache_folder,
    fetch,
)

BODY = bytes(range(256)) * 4000
PATIENCE = Retries(attempts=3, first_wait_s=0.01)


class Handler(http.server.BaseHTTPRequestHandler):
    def do_GET(self):
        server = self.server
        server.ranges.append(self.headers.get("Range"))
        if server.statuses:
            self.send_error(server.statuses.pop(0))
            return
        start = 0
        if server.knows_ranges and self.headers.get("Range"):
            start = int(self.headers["Range"].removeprefix("bytes=").rstrip("-"))
            if start >= len(server.body):
                self.send_response(416)
                self.send_header("Content-Range", f"bytes */{len(server.body)}")
                self.end_headers()
                return
            self.send_response(206)
            self.send_header("Content-Range", f"bytes {start}-{len(server.body) - 1}/{len(server.body)}")
        else:
            self.send_response(200)
        rest = server.body[start:]
        if server.states_length:
            self.send_header("Content-Length", str(len(rest)))
        self.end_headers()
        cut = server.cuts.pop(0) if server.cuts else len(rest)
        self.wfile.write(rest[:cut])

    def log_message(self, *_):
        pass


@pytest.fixture
def server():
    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    server.body, server.ranges, server.cuts, server.statuses = BODY, [], [], []
    server.knows_ranges = server.states_length = True
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    yield server
    server.shutdown()
    thread.join()
    server.server_close()


def remote(server, name="file.bin", **known):
    return RemoteFile(f"http://127.0.0.1:{server.server_port}/{name}", name, **known)


def checked(server, **known):
    return remote(server, sha256=hashlib.sha256(BODY).hexdigest(), **known)


def get(file, folder, progress=None):
    return fetch(file, folder, progress=progress, retries=PATIENCE)


def test_a_whole_download(server, tmp_path):
    path = get(checked(server, size=len(BODY)), tmp_path / "new" / "folder")
    assert path.read_bytes() == BODY
    assert [child.name for child in path.parent.iterdir()] == ["file.bin"]


def test_what_is_there_is_not_fetched_again(server, tmp_path):
    get(checked(server), tmp_path)
    get(checked(server), tmp_path)
    assert len(server.ranges) == 1


def test_an_interruption_is_resumed_where_it_broke(server, tmp_path):
    server.cuts = [300_000, 200_000]
    assert get(checked(server), tmp_path).read_bytes() == BODY
    assert server.ranges == [None, "bytes=300000-", "bytes=500000-"]


def test_what_came_is_kept_for_the_next_call(server, tmp_path):
    server.cuts = [300_000, 0, 0, 0]
    with pytest.raises(InterruptedDownloadError, match=r"300000 bytes are kept in .*file\.bin\.part.*again"):
        get(checked(server), tmp_path)
    assert not (tmp_path / "file.bin").exists()
    server.cuts, server.ranges = [], []
    assert get(checked(server), tmp_path).read_bytes() == BODY
    assert server.ranges == ["bytes=300000-"]


def test_a_server_without_ranges_sends_it_all_again(server, tmp_path):
    server.knows_ranges = False
    server.cuts = [300_000]
    assert get(checked(server), tmp_path).read_bytes() == BODY


def test_a_part_that_is_complete_is_only_verified(server, tmp_path):
    (tmp_path / "file.bin.part").write_bytes(BODY)
    assert get(checked(server), tmp_path).read_bytes() == BODY
    assert server.ranges == [f"bytes={len(BODY)}-"]


def test_a_part_longer_than_the_file_is_thrown_away(server, tmp_path):
    (tmp_path / "file.bin.part").write_bytes(BODY + b"more")
    assert get(checked(server), tmp_path).read_bytes() == BODY
    assert server.ranges[-1] is None


def test_a_part_of_another_file_is_found_out_and_removed(server, tmp_path):
    (tmp_path / "file.bin.part").write_bytes(b"x" * 1000)
    with pytest.raises(ChecksumError):
        get(checked(server), tmp_path)
    assert get(checked(server), tmp_path).read_bytes() == BODY


@pytest.mark.parametrize(
    "known",
    [
        {"sha256": "0" * 64},
        {"md5": "0" * 32},
        {"size": 5},
        {"sha256": hashlib.sha256(BODY).hexdigest(), "size": 5},
    ],
)
def test_a_wrong_file_is_refused_and_removed(server, tmp_path, known):
    with pytest.raises(ChecksumError, match=r"file\.bin.*removed"):
        get(remote(server, **known), tmp_path)
    assert list(tmp_path.iterdir()) == []


def test_md5_is_used_where_nothing_better_is_known(server, tmp_path):
    assert get(remote(server, md5=hashlib.md5(BODY).hexdigest()), tmp_path).exists()


def test_without_a_checksum_the_hash_is_recorded(server, tmp_path):
    with pytest.raises(ChecksumError, match="not a zip"):
        get(remote(server, "data.zip"), tmp_path)
    packed = io.BytesIO()
    with zipfile.ZipFile(packed, "w") as archive:
        archive.writestr("a.txt", "a")
    server.body = packed.getvalue()
    get(remote(server, "data.zip"), tmp_path)
    recorded = (tmp_path / "data.zip.sha256").read_text().split()
    assert recorded == [hashlib.sha256(server.body).hexdigest(), "data.zip"]


@pytest.mark.parametrize("status", [403, 404, 410])
def test_a_refusal_is_not_repeated(server, tmp_path, status):
    server.statuses = [status]
    with pytest.raises(RefusedError, match=rf"{status}.*put it into"):
        get(checked(server), tmp_path)
    assert len(server.ranges) == 1


def test_a_busy_server_is_asked_again(server, tmp_path):
    server.statuses = [503, 429]
    assert get(checked(server), tmp_path).read_bytes() == BODY


def test_a_server_that_stays_down(server, tmp_path):
    server.statuses = [503] * 9
    with pytest.raises(InterruptedDownloadError, match="503"):
        get(checked(server), tmp_path)
    assert len(server.ranges) == PATIENCE.attempts


def test_nobody_listens(server, tmp_path):
    closed = RemoteFile("http://127.0.0.1:1/file.bin", "file.bin")
    with pytest.raises(InterruptedDownloadError, match="attempts"):
        get(closed, tmp_path)


def test_a_length_that_is_not_stated(server, tmp_path):
    server.states_length = False
    assert get(checked(server), tmp_path).read_bytes() == BODY


def test_a_folder_that_cannot_be_made(server, tmp_path):
    (tmp_path / "taken").write_text("")
    with pytest.raises(DownloadError, match="cannot write"):
        get(checked(server), tmp_path / "taken")


def test_progress_without_a_terminal_is_a_line_a_tenth(server, tmp_path):
    out = io.StringIO()
    get(checked(server), tmp_path, progress=out)
    lines = out.getvalue().splitlines()
    assert 1 <= len(lines) <= 11
    assert lines[-1] == "file.bin: 1.0 of 1.0 MB"


def test_progress_on_a_terminal_is_one_line(server, tmp_path):
    class Terminal(io.StringIO):
        def isatty(self):
            return True

    out = Terminal()
    get(checked(server), tmp_path, progress=out)
    assert out.getvalue().startswith("\rfile.bin [")
    assert out.getvalue().count("\n") == 1
    assert "#" * 30 in out.getvalue()


def test_the_cache_folder(monkeypatch, tmp_path):
    monkeypatch.setenv("FORMSCRIBE_CACHE", str(tmp_path))
    assert cache_folder() == tmp_path
    monkeypatch.delenv("FORMSCRIBE_CACHE")
    monkeypatch.setattr(download.Path, "home", lambda: tmp_path)
    assert cache_folder() == tmp_path / ".cache" / "formscribe"
