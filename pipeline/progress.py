"""Lets a launcher on the same machine see what its workers have done, whatever the runner.

Every worker appends a short line a page to one file, and the launcher sums the lines. A single short
``write`` to a file opened for appending is not torn by others. It is a display: retried pages count twice;
the exact totals are in ``_runs/ID.json``.
"""

import os
from collections import Counter
from collections.abc import Mapping

STOP_SUFFIX = ".stop"


class JobStoppedError(RuntimeError):
    """The launcher wants the workers to stop."""


def stop_file(path: str) -> str:
    """The file beside a progress file that tells all workers to stop."""
    return f"{path}{STOP_SUFFIX}"


class ProgressWriter:
    """Appends to the progress file, if there is one on this machine; never disturbs the work."""

    def __init__(self, path: str | None) -> None:
        """Opens the file only if the launcher has made it, and tells which process this is."""
        self._file: int | None = None
        self._stop = stop_file(path) if path is not None else ""
        if path is not None:
            try:
                self._file = os.open(path, os.O_WRONLY | os.O_APPEND)
            except OSError:  # another machine, or the launcher has left
                return
        self.add({f"worker:{os.getpid()}": 1})

    def check(self) -> None:
        """Raises JobStoppedError if the launcher wants to stop."""
        if self._file is not None and os.path.exists(self._stop):
            raise JobStoppedError("stopped by the launcher")

    def add(self, counts: Mapping[str, int]) -> None:
        """Tells the launcher what one page has added."""
        if self._file is None:
            return
        line = " ".join(f"{name}={value}" for name, value in counts.items() if value)
        try:
            os.write(self._file, f"{line}\n".encode())
        except OSError:
            self.close()

    def close(self) -> None:
        """Closes the file; later calls of ``add`` do nothing."""
        if self._file is not None:
            os.close(self._file)
            self._file = None


class ProgressReader:
    """Sums the progress file as it grows."""

    def __init__(self, path: str) -> None:
        """Starts at the beginning of the file."""
        self._path = path
        self._at = 0
        self.counts: Counter[str] = Counter()

    def update(self) -> Counter[str]:
        """Reads what was appended since the last call and returns all sums."""
        with open(self._path, "rb") as stream:
            stream.seek(self._at)
            data = stream.read()
        whole = data[: data.rfind(b"\n") + 1]
        self._at += len(whole)
        for entry in whole.decode("ascii", "replace").split():
            name, _, value = entry.partition("=")
            if value.isdigit():
                self.counts[name] += int(value)
        return self.counts
