"""The lock of a run whose output lies in an object store, where no system releases what a dead run holds.

The launcher writes ``_temp/run=ID/_owner.json`` anew every minute. A run counts as dead once nothing in its
temporary folder has been touched for a day: a job that a service runs goes on when its launcher has died, and
its workers go on writing there.
"""

import json
import os
import socket
import time
from collections.abc import Iterator
from contextlib import suppress

from apache_beam.io.filesystems import FileSystems

from jobs.run_lock import BEAT_SECONDS, DEAD_AFTER_SECONDS, OWNER, RunLock
from pipeline.options import utc_now
from pipeline.remote import as_folder, delete_objects, exists, list_objects, write_object
from pipeline.schemas import TABLES
from pipeline.writing import discard_run, run_record_path, table_folder, temporary_folder

_NAME = "run="


class RemoteRunLock(RunLock):
    """Shows other launchers that a run is alive.

    Two launchers that take the same ``--run_id`` within the same second would not see each other; the names
    that formscribe gives by itself do not collide.
    """

    def __init__(self, output: str, run_id: str) -> None:
        """Writes nothing yet."""
        self._owner = FileSystems.join(temporary_folder(output, run_id), OWNER)
        self._held = False
        self._beaten = 0.0
        self._started = utc_now()

    def acquire(self) -> bool:
        """Writes the owner's file; False if there is one already.

        Raises:
            Exception: of the store; see ``pipeline.remote.reason``.
        """
        if exists(self._owner):
            return False
        self._write()
        self._held = True
        self._beaten = time.monotonic()
        return True

    def beat(self) -> None:
        """Writes the owner's file again, once a minute however often it is called."""
        now = time.monotonic()
        if not self._held or now - self._beaten < BEAT_SECONDS:
            return
        self._beaten = now
        with suppress(Exception):  # the store is away for a moment
            if exists(self._owner):  # else the run has been made visible
                self._write()

    def release(self) -> None:
        """Takes the owner's file away."""
        if self._held:
            self._held = False
            with suppress(Exception):  # only tidiness is lost
                if exists(self._owner):
                    delete_objects([self._owner])

    def _write(self) -> None:
        owner = {"host": socket.gethostname(), "pid": os.getpid(), "started": self._started}
        write_object(self._owner, json.dumps(owner).encode())


def clear_dead_remote_runs(output: str) -> list[str]:
    """Deletes what killed runs have left in a remote output; returns their names.

    Raises:
        Exception: of the store; see ``pipeline.remote.reason``.
    """
    newest: dict[str, float] = {}
    for run, touched in _touched(output):
        newest[run] = max(touched, newest.get(run, 0.0))
    dead = [run for run, touched in sorted(newest.items()) if time.time() - touched > DEAD_AFTER_SECONDS]
    for run in dead:
        discard_run(output, run)
    return dead


def _touched(output: str) -> Iterator[tuple[str, float]]:
    """Yields the run and the time, in seconds of the epoch, of every temporary object."""
    top = as_folder(FileSystems.split(temporary_folder(output, "ID"))[0])
    for found in list_objects(top):
        folder, _, name = found.path[len(top) :].partition("/")
        if name and folder.startswith(_NAME):
            yield folder.removeprefix(_NAME), found.last_updated_in_seconds


def run_is_known(output: str, run_id: str) -> bool:
    """Whether a remote output has something of a run of this name already, complete or not.

    Raises:
        Exception: of the store; see ``pipeline.remote.reason``.
    """
    if exists(run_record_path(output, run_id)):
        return True
    folders = (as_folder(table_folder(output, table, run_id)) for table in TABLES)
    return any(next(list_objects(folder), None) is not None for folder in folders)
