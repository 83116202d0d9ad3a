"""Shows how far a job is: one live line on a terminal, a plain line every few seconds elsewhere."""

import os
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Mapping
from contextlib import suppress
from pathlib import Path
from types import TracebackType
from typing import Self, TextIO

from jobs.run_lock import lock
from pipeline.progress import STOP_SUFFIX, ProgressReader, stop_file

LIVE_SECONDS = 0.5
PLAIN_SECONDS = 5.0
PREFIX = "formscribe-progress-"
YOUNG_SECONDS = 60  # may not be locked yet


class ProgressDisplay:
    """Sums what the workers report into a file and shows it until the block is left.

    Attributes:
        path: the file for the workers; exists inside the ``with`` block.
    """

    def __init__(
        self,
        files: int | None,
        stream: TextIO | None = None,
        stops: Callable[[Mapping[str, int]], bool] | None = None,
    ) -> None:
        """Shows nothing yet.

        Args:
            files: how many will be read, if that is known.
            stream: where to show, else stderr.
            stops: looks at the counts a few times a second, and says whether the workers should stop.
        """
        self._files = files
        self._stops = stops or (lambda counts: False)
        self._stream = stream or sys.stderr
        self._live = self._stream.isatty()
        self._stop = threading.Event()
        self._shown = ""
        self.path = ""

    def __enter__(self) -> Self:
        """Makes the file and starts to show."""
        clear_dead_progress(Path(tempfile.gettempdir()))
        self._handle, self.path = tempfile.mkstemp(prefix=PREFIX)
        lock(self._handle)
        self._start = time.monotonic()
        self._thread = threading.Thread(target=self._show_until_stopped, daemon=True)
        self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Stops showing and removes the file."""
        self._stop.set()
        self._thread.join()
        for path in (self.path, stop_file(self.path)):
            Path(path).unlink(missing_ok=True)
        os.close(self._handle)

    def _show_until_stopped(self) -> None:
        reader = ProgressReader(self.path)
        shown = 0.0
        while not self._stop.wait(min(LIVE_SECONDS, PLAIN_SECONDS)):
            counts, seconds = reader.update(), time.monotonic() - self._start
            if self._stops(counts):
                Path(stop_file(self.path)).touch()
            if self._live or seconds - shown >= PLAIN_SECONDS:
                shown = seconds
                self._show(progress_line(counts, self._files, seconds))
        if self._live:
            self._write("\r\x1b[K")

    def _show(self, line: str) -> None:
        line = line[: self._width()] if self._live else line
        if line == self._shown:  # workers of a service cannot tell how far they are
            return
        self._shown = line
        self._write(f"\r\x1b[K{line}" if self._live else f"{line}\n")

    def _width(self) -> int | None:
        """Characters that do not make the line wrap, after which it could not be overwritten."""
        try:
            columns = os.get_terminal_size(self._stream.fileno()).columns
        except (OSError, ValueError):
            return None
        return columns - 1 if columns > 1 else None  # some terminals say 0

    def _write(self, text: str) -> None:
        with suppress(OSError):  # who reads it has gone: the job goes on
            self._stream.write(text)
            self._stream.flush()


def clear_dead_progress(folder: Path) -> None:
    """Deletes what launchers that were killed have left: nobody holds the lock of such a file."""
    for path in folder.glob(f"{PREFIX}*"):
        try:
            if path.suffix == STOP_SUFFIX or time.time() - path.stat().st_mtime < YOUNG_SECONDS:
                continue
            handle = os.open(path, os.O_RDONLY | os.O_NOFOLLOW)
        except OSError:  # of somebody else, or gone meanwhile
            continue
        with suppress(OSError):
            if lock(handle):
                Path(stop_file(str(path))).unlink(missing_ok=True)
                path.unlink()
        os.close(handle)


def progress_line(counts: Mapping[str, int], files: int | None, seconds: float) -> str:
    """One line, such as ``12 pages of 40 files, 1 failed, 3 fields to review, 7.9 pages/s``."""
    read, failed = counts.get("read", 0), counts.get("failed", 0)
    done = read + failed
    if not done and not counts.get("skipped"):
        return "starting" if files is None else f"starting on {files:,} files"
    parts = [
        f"{done:,} {'page' if done == 1 else 'pages'}" + (f" of {files:,} files" if files is not None else "")
    ]
    if counts.get("skipped"):
        parts.append(f"{counts['skipped']:,} skipped")
    if failed:
        parts.append(f"{failed:,} failed")
    parts.append(f"{counts.get('status:review', 0):,} fields to review")
    parts.append(f"{done / max(seconds, 1e-9):.1f} pages/s")
    return ", ".join(parts)
