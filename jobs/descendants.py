"""The processes that this one has started, and those that they have, also through a shell in between."""

import os
import subprocess
from collections import defaultdict
from pathlib import Path


def descendants() -> set[int]:
    """Numbers of all processes below this one that are alive; none where the system does not tell."""
    children = defaultdict(list)
    for process, parent in _parents():
        children[parent].append(process)
    found: set[int] = set()
    waiting = [os.getpid()]
    while waiting:
        below = [process for process in children[waiting.pop()] if process not in found]
        found.update(below)
        waiting += below
    return found


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
