"""Tells runs at work from dead ones, so that what a killed run has left can be cleared away.

A run with a local output holds a lock on a file in its temporary folder, which the system releases whatever
way the process ends. Where the folder is shared, locks of other machines may not be seen: a run of another
host counts as dead only if nothing in its folder has been touched for a day, while live
launchers touch it every minute. Outputs in an object store have a lock of their own: ``jobs.remote_lock``.
"""

import fcntl
import json
import os
import socket
import time
from pathlib import Path

from pipeline.options import utc_now
from pipeline.writing import discard_run, temporary_folder

OWNER = "_owner.json"
BEAT_SECONDS = 60
DEAD_AFTER_SECONDS = 24 * 3600
_NAME = "run="


class RunLock:
    """Keeps other runs from clearing away this one's temporary files."""

    def __init__(self, output: str, run_id: str) -> None:
        """Locks nothing yet."""
        self._path = Path(temporary_folder(output, run_id)) / OWNER
        self._file: int | None = None
        self._beaten = 0.0

    @property
    def held(self) -> bool:
        """Whether this process has the lock."""
        return self._file is not None

    def acquire(self) -> bool:
        """Makes the temporary folder and locks it; False if a run of this name is at work.

        Raises:
            OSError: the output cannot be written.
        """
        self._path.parent.mkdir(parents=True, exist_ok=True)
        file = os.open(self._path, os.O_RDWR | os.O_CREAT, 0o644)
        if lock(file) is False:
            os.close(file)
            return False
        owner = {"host": socket.gethostname(), "pid": os.getpid(), "started": utc_now()}
        os.ftruncate(file, 0)
        os.write(file, json.dumps(owner).encode())
        self._file = file
        return True

    def beat(self) -> None:
        """Shows other machines that the run is alive, once a minute however often it is called."""
        now = time.monotonic()
        if self._file is None or now - self._beaten < BEAT_SECONDS:
            return
        self._beaten = now
        try:
            os.utime(self._path)
        except OSError:  # the run has been made visible, or the disk is away for a moment
            return

    def release(self) -> None:
        """Gives the lock back."""
        if self._file is not None:
            os.close(self._file)
            self._file = None


def lock(file: int) -> bool | None:
    """True if locked now, False if another process holds the lock, None if the disk knows no locks."""
    try:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    except OSError:
        return None
    return True


def clear_dead_runs(output: str) -> list[str]:
    """Deletes what killed runs have left in a local output; returns their names.

    Nothing of a complete run is touched.
    """
    folders = sorted(Path(temporary_folder(output, "")).parent.glob(f"{_NAME}*"))
    dead = [folder.name.removeprefix(_NAME) for folder in folders if _clear_if_dead(output, folder)]
    return dead


def _clear_if_dead(output: str, folder: Path) -> bool:
    """Holds the lock while clearing, so that a run of the same name cannot begin meanwhile."""
    try:
        file = os.open(folder / OWNER, os.O_RDWR)
    except OSError:
        file = None
    try:
        locked = None if file is None else lock(file)
        if locked is False:
            return False
        ours = file is not None and locked and _host(file) == socket.gethostname()
        if not ours and time.time() - _last_touched(folder) < DEAD_AFTER_SECONDS:
            return False
        discard_run(output, folder.name.removeprefix(_NAME))
        return not folder.exists()
    finally:
        if file is not None:
            os.close(file)


def _host(file: int) -> str | None:
    try:
        return str(json.loads(os.pread(file, 4096, 0))["host"])
    except (ValueError, KeyError, TypeError):
        return None


def _last_touched(folder: Path) -> float:
    times = []
    for path in (folder, *folder.iterdir()):
        try:
            times.append(path.stat().st_mtime)
        except OSError:  # moved meanwhile: somebody is at work
            return time.time()
    return max(times)
