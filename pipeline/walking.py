"""Walks folders of this machine, through links too, and comes to no folder twice."""

import glob
import os
from collections.abc import Iterable, Iterator

FolderId = tuple[int, int]  # device and inode, which every name of a folder shares


def walk(tops: Iterable[str], hidden: bool = True) -> Iterator[tuple[str, list[str] | None]]:
    """Yields folders and all below them, each once with the names of its files in order.

    Linked folders come last: what can be reached without a link goes by that name.

    Args:
        tops: folders, or links to some.
        hidden: whether folders whose names begin with a dot are walked.

    Returns:
        Pairs; None instead of names where a folder cannot be listed.
    """
    visited: set[FolderId] = set()
    waiting = list(tops)
    while waiting:
        links: list[str] = []
        for place in sorted(waiting, key=lambda path: (os.path.islink(path.rstrip(os.sep)), path)):
            yield from _walk_past_links(place, visited, hidden, links)
        waiting = links


def _walk_past_links(
    top: str, visited: set[FolderId], hidden: bool, links: list[str]
) -> Iterator[tuple[str, list[str] | None]]:
    unreadable: list[str] = []
    for folder, folders, names in os.walk(top, onerror=lambda error: unreadable.append(error.filename)):
        if not _is_new(folder, visited):
            folders.clear()
            continue
        folders[:] = sorted(name for name in folders if hidden or not name.startswith("."))
        below = (os.path.join(folder, name) for name in folders)
        links += [path for path in below if os.path.islink(path)]
        yield folder, sorted(names)
    yield from ((folder, None) for folder in unreadable)


def _is_new(folder: str, visited: set[FolderId]) -> bool:
    try:
        found = os.stat(folder)
    except OSError:  # gone meanwhile; what it held fails by itself
        return True
    known = (found.st_dev, found.st_ino) in visited
    visited.add((found.st_dev, found.st_ino))
    return not known


def expand_pattern(pattern: str) -> Iterator[str]:
    """Yields the files and folders that a pattern of the shell names, in no order.

    ``**`` stands for any number of folders, none of which it goes through twice, and at the end for the
    files in them. As in a shell, wildcards pass over names that begin with a dot.
    """
    parts = pattern.split("/")
    if "**" not in parts:
        yield from glob.iglob(pattern)
        return
    last = len(parts) - 1 - parts[::-1].index("**")
    head = parts[:last]
    while head and head[-1] == "**":  # two in a row mean the same as one
        head.pop()
    for folder, names in walk(filter(os.path.isdir, _tops(head)), hidden=False):
        yield from _in_folder(folder, names, parts[last + 1 :])


def _tops(head: list[str]) -> Iterator[str]:
    if not head:
        return iter([os.curdir])
    return expand_pattern("/".join(head) or "/")


def _in_folder(folder: str, names: list[str] | None, rest: list[str]) -> Iterator[str]:
    if names is None:
        yield folder
    elif rest:
        yield from glob.iglob(os.path.join(glob.escape(folder), *rest))
    else:
        yield from (os.path.join(folder, name) for name in names if not name.startswith("."))


def by_own_name(paths: list[str]) -> Iterator[str]:
    """Yields files in order, and those that go by several names, because folders are linked, once."""
    real = {folder: os.path.realpath(folder) for folder in {os.path.dirname(path) for path in paths}}

    def own(path: str) -> str:
        return os.path.join(real[os.path.dirname(path)], os.path.basename(path))

    chosen: dict[str, str] = {}
    for path in sorted(paths, key=lambda path: (own(path) != path, path)):
        chosen.setdefault(own(path), path)
    yield from sorted(chosen.values())
