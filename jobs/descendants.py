"""The processes that this one has started, and those that they have, also through a shell in between."""

import os
import subprocess
from collections import defaultdict
from pathlib import Path

WORKER = "apache_beam.runners.worker"  # stands in the command of a process that works for the local runner


def descendants(command: str = "") -> set[int]:
    """Numbers of all processes below this one that are alive; none where the system does not tell.

    Args:
        command: only those whose command line holds this.
    """
    children = defaultdict(list)
    for process, parent in _parents():
        children[parent].append(process)
    found: set[int] = set()
    waiting = [os.getpid()]
    while waiting:
        below = [process for process in children[waiting.pop()] if process not in found]
        found.update(below)
        waiting += below
    return {process for process in found if command in _command_of(process)} if command else found


def _command_of(process: int) -> str:
    try:
        if Path("/proc/self").exists():
            return Path(f"/proc/{process}/cmdline").read_bytes().decode(errors="replace")
        words = ["ps", "-o", "command=", "-p", str(process)]
        return subprocess.run(words, capture_output=True, text=True, check=False).stdout
    except OSError:
        return ""


def _parents() -> list[tuple[int, int]]:
    places = list(Path("/proc").glob("[0-9]*/stat"))
    return [pair for place in places if (pair := _from_proc(place))] if places else _from_ps()


def _from_proc(place: Path) -> tuple[int, int] | None:
    try:
        told = place.read_bytes()
    except OSError:  # it has just ended
        return None
    state, parent = told.rpartition(b")")[2].split()[:2]  # after a name that may hold anything
    return None if state == b"Z" else (int(place.parent.name), int(parent))


def _from_ps() -> list[tuple[int, int]]:
    """As macOS tells it."""
    try:
        told = subprocess.run(["ps", "-A", "-o", "pid=,ppid="], capture_output=True, text=True, check=True)
    except (OSError, subprocess.CalledProcessError):
        return []
    return [(int(process), int(parent)) for process, parent in map(str.split, told.stdout.splitlines())]
