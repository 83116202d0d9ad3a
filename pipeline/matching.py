"""From what the user named to the files it means: files, patterns and folders, local or remote.

Names follow the shell (``**`` spans folders, ``{png,jpg}`` chooses), which Beam's own matching does not:
there ``**/*.png`` misses the files directly in the folder and ``*.{png,jpg}`` matches nothing.
"""

import glob
import os
import re
from collections.abc import Iterator

from pipeline.remote import as_folder, exists, is_bucket, list_objects, literal_prefix, match_objects

EXTENSIONS = (".png", ".jpg", ".jpeg", ".tif", ".tiff", ".pdf", ".pct")
_CHOICE = re.compile(r"\{([^{}]*,[^{}]*)\}")


def is_local(path: str) -> bool:
    """Whether a path is of this machine's own file system."""
    return "://" not in path


def has_known_extension(path: str) -> bool:
    """Whether a file's name says that it is a page, in any case."""
    return path.lower().endswith(EXTENSIONS)


def absolute(path: str) -> str:
    """The same path whatever the current folder; remote paths stay as they are."""
    if not is_local(path):
        return path
    absolute_path = os.path.abspath(os.path.expanduser(path))
    return absolute_path + os.sep if path.endswith(os.sep) and absolute_path != os.sep else absolute_path


def match_files(pattern: str) -> Iterator[str]:
    """Yields the files that an input means, in order; none if nothing matches.

    Args:
        pattern: a file; a pattern; or a folder, which means every file below it with one of ``EXTENSIONS``
            in any case.

    Raises:
        Exception: of a remote store; see ``pipeline.remote.reason``.
    """
    yield from _match_local(pattern) if is_local(pattern) else _match_remote(pattern)


def _match_remote(pattern: str) -> Iterator[str]:
    if not pattern.endswith("/") and not is_bucket(pattern) and exists(pattern):
        yield pattern  # a name may hold [ or *
    elif literal_prefix(pattern) != pattern and not pattern.endswith("/"):
        yield from match_objects(expand_choices(pattern))
    else:
        below = (found.path for found in list_objects(as_folder(pattern)))
        yield from (path for path in below if has_known_extension(path))


def _match_local(pattern: str) -> Iterator[str]:
    if os.path.isdir(pattern):
        yield from _walk(pattern)
    elif os.path.lexists(pattern):  # a name may hold [ or *; what cannot be read is told later, as a row
        yield pattern
    else:
        for choice in expand_choices(pattern):
            found = sorted(glob.iglob(choice, recursive=True))
            yield from (path for path in found if not os.path.isdir(path))


def _walk(top: str) -> Iterator[str]:
    unreadable: list[str] = []
    walk = os.walk(top, onerror=lambda error: unreadable.append(error.filename))
    for folder, folders, names in walk:
        folders.sort()
        yield from (os.path.join(folder, name) for name in sorted(names) if has_known_extension(name))
    yield from unreadable  # a folder that cannot be listed becomes a failure when it is opened


def list_folder(folder: str, suffix: str) -> list[str]:
    """The files directly in a folder whose names end so, in order; none if there is no such folder."""
    if is_local(folder):
        if not os.path.isdir(folder):
            return []
        return sorted(os.path.join(folder, name) for name in os.listdir(folder) if name.endswith(suffix))
    below = as_folder(folder)
    names = (found.path for found in list_objects(below))
    return sorted(name for name in names if name.endswith(suffix) and "/" not in name[len(below) :])


def expand_choices(pattern: str) -> list[str]:
    """``a.{png,jpg}`` to ``a.png`` and ``a.jpg``, as a shell does."""
    choice = _CHOICE.search(pattern)
    if not choice:
        return [pattern]
    before, after = pattern[: choice.start()], pattern[choice.end() :]
    return [full for word in choice[1].split(",") for full in expand_choices(before + word + after)]
