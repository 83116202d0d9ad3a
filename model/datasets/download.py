"""Fetching one file: checksum, resume, retries, progress, and never a half file under the final name."""

import contextlib
import hashlib
import http.client
import os
import sys
import time
import urllib.error
import urllib.request
import zipfile
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import TextIO

from model.datasets.crops import DatasetError

BLOCK = 1 << 18
TIMEOUT_S = 30
RETRY_STATUS = {408, 429, 500, 502, 503, 504}
CACHE_VARIABLE = "FORMSCRIBE_CACHE"


class DownloadError(DatasetError):
    """A file could not be fetched."""


class RefusedError(DownloadError):
    """The server answered that there is no such file, or that we may not have it."""


class ChecksumError(DownloadError):
    """What came is not the file that was published; it has been removed."""


class InterruptedDownloadError(DownloadError):
    """The connection failed again and again; what has come stays and is continued next time."""


@dataclass(frozen=True)
class RemoteFile:
    """A file that can be fetched.

    Attributes:
        url: http(s) address.
        name: file name in the cache.
        sha256: hexadecimal, None where we know of none.
        md5: hexadecimal, used where there is no SHA-256: it guards against damage, not against malice.
        size: bytes, None if not known.
    """

    url: str
    name: str
    sha256: str | None = None
    md5: str | None = None
    size: int | None = None


@dataclass(frozen=True)
class Retries:
    """Patience: attempts without progress, and the first wait in seconds (it doubles, up to 60)."""

    attempts: int = 5
    first_wait_s: float = 1.0


def cache_folder() -> Path:
    """``FORMSCRIBE_CACHE``, else ``~/.cache/formscribe``; not created."""
    return Path(os.environ.get(CACHE_VARIABLE) or Path.home() / ".cache" / "formscribe")


def fetch(
    file: RemoteFile, folder: Path, *, progress: TextIO | None = sys.stderr, retries: Retries = Retries()
) -> Path:
    """Fetches a file unless it is there already.

    What has come is kept as ``<name>.part`` and continued after an interruption where the server can. The
    file gets its name only after its size and checksum were verified; where no checksum is known, its zip
    structure is checked and its SHA-256 written to ``<name>.sha256``, so that a later copy can be compared.

    Args:
        file: what to fetch.
        folder: where to; created if absent.
        progress: where the progress bar goes, None for none.
        retries: patience.

    Returns:
        The path of the file.

    Raises:
        RefusedError: the server said no (404, 403, ...).
        ChecksumError: the wrong bytes came; they were removed.
        InterruptedDownloadError: the connection kept failing; call again to continue.
        DownloadError: the disk refused.
    """
    target = folder / file.name
    if target.is_file():
        return target
    part = folder / f"{file.name}.part"
    try:
        folder.mkdir(parents=True, exist_ok=True)
        _fetch_all(file, part, _Bar(file.name, progress), retries)
        _verify(file, part)
        os.replace(part, target)
    except OSError as error:
        raise DownloadError(f"cannot write {target}: {error}") from error
    return target


def _fetch_all(file: RemoteFile, part: Path, bar: "_Bar", retries: Retries) -> None:
    failures, had = 0, _size(part)
    while True:
        try:
            if _fetch_rest(file, part, bar):
                bar.close()
                return
            reason = "the connection ended early"
        except urllib.error.HTTPError as error:
            error.close()
            if error.code not in RETRY_STATUS:
                raise RefusedError(
                    f"{file.url}: {error.code} {error.reason}; "
                    f"fetch {file.name} yourself and put it into {part.parent}"
                ) from error
            reason = f"{error.code} {error.reason}"
        except (urllib.error.URLError, http.client.HTTPException, ConnectionError, TimeoutError) as error:
            reason = str(getattr(error, "reason", error)) or type(error).__name__
        failures = 1 if _size(part) > had else failures + 1
        had = _size(part)
        if failures >= retries.attempts:
            bar.close()
            raise InterruptedDownloadError(
                f"{file.url}: {reason}, after {failures} attempts; {had} bytes are kept in {part}, "
                "run the command again to continue"
            )
        time.sleep(min(60.0, retries.first_wait_s * 2 ** (failures - 1)))


def _fetch_rest(file: RemoteFile, part: Path, bar: "_Bar") -> bool:
    """Asks for what is missing once; True when all is there."""
    start = _size(part)
    request = urllib.request.Request(
        file.url, headers={"User-Agent": "formscribe", "Accept-Encoding": "identity"}
    )
    if start:
        request.add_header("Range", f"bytes={start}-")
    try:
        response = urllib.request.urlopen(request, timeout=TIMEOUT_S)
    except urllib.error.HTTPError as error:
        if error.code != 416 or not start:
            raise
        error.close()
        # Nothing follows what we have: either it is all, or it is not of this file.
        if _total_of_range(error.headers.get("Content-Range")) == start:
            return True
        part.unlink()
        return False
    with response:
        resumed = response.status == 206 and _start_of_range(response.headers.get("Content-Range")) == start
        if response.status == 206 and not resumed:
            part.unlink()
            return False
        start = start if resumed else 0  # A server without ranges sends it all again.
        length = response.headers.get("Content-Length")
        total = start + int(length) if length is not None else file.size
        with part.open("ab" if resumed else "wb") as out:
            _copy(response.read, out.write, lambda done: bar.show(start + done, total))
    return total is None or _size(part) >= total


def _copy(read: Callable[[int], bytes], write: Callable[[bytes], int], report: Callable[[int], None]) -> None:
    done = 0
    while block := read(BLOCK):
        write(block)
        done += len(block)
        report(done)


def _verify(file: RemoteFile, part: Path) -> None:
    """Raises ChecksumError, and removes the file, unless it is the published one as far as we can tell."""
    problem = None
    sha256, md5 = _digests(part)
    if file.size is not None and _size(part) != file.size:
        problem = f"{_size(part)} bytes came, {file.size} were expected"
    elif file.sha256 is not None:
        problem = None if sha256 == file.sha256 else f"SHA-256 {sha256} where {file.sha256} was expected"
    elif file.md5 is not None:
        problem = None if md5 == file.md5 else f"MD5 {md5} where {file.md5} was expected"
    elif file.name.endswith(".zip"):
        problem = None if zipfile.is_zipfile(part) else "not a zip archive"
    if problem is not None:
        part.unlink()
        raise ChecksumError(
            f"{file.url}: {problem}; removed. Try again, or fetch {file.name} from another place"
        )
    if file.sha256 is None and file.md5 is None:
        part.with_name(f"{file.name}.sha256").write_text(f"{sha256}  {file.name}\n", "ascii")


def _digests(path: Path) -> tuple[str, str]:
    sha256, md5 = hashlib.sha256(), hashlib.md5(usedforsecurity=False)
    with path.open("rb") as stream:
        while block := stream.read(1 << 20):
            sha256.update(block)
            md5.update(block)
    return sha256.hexdigest(), md5.hexdigest()


def _size(path: Path) -> int:
    with contextlib.suppress(FileNotFoundError):
        return path.stat().st_size
    return 0


def _start_of_range(header: str | None) -> int | None:
    """The N of ``bytes N-M/T``."""
    try:
        return int((header or "").removeprefix("bytes ").split("-")[0])
    except ValueError:
        return None


def _total_of_range(header: str | None) -> int | None:
    """The T of ``bytes N-M/T`` or ``bytes */T``."""
    try:
        return int((header or "").rpartition("/")[2])
    except ValueError:
        return None


class _Bar:
    """On a terminal one line that is redrawn, elsewhere a line every tenth."""

    def __init__(self, name: str, stream: TextIO | None) -> None:
        self._name, self._stream = name, stream
        self._redraw = stream is not None and stream.isatty()
        self._last_drawn, self._last_tenth, self._open = 0.0, -1, False

    def show(self, done: int, total: int | None) -> None:
        if self._stream is None:
            return
        megabytes = f"{done / 1e6:.1f}" + (f" of {total / 1e6:.1f}" if total else "") + " MB"
        share = done / total if total else 0.0
        if self._redraw:
            now = time.monotonic()
            if now - self._last_drawn > 0.1 or done == total:
                self._last_drawn, self._open = now, True
                filled = int(30 * share)
                print(
                    f"\r{self._name} [{'#' * filled:30}] {megabytes} ", end="", file=self._stream, flush=True
                )
        elif int(10 * share) > self._last_tenth:
            self._last_tenth = int(10 * share)
            print(f"{self._name}: {megabytes}", file=self._stream, flush=True)

    def close(self) -> None:
        if self._open:
            print(file=self._stream, flush=True)
            self._open = False
