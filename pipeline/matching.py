"""From what the user named to the files it means: files, patterns and folders, local or remote.

Names follow the shell (``**`` spans folders, ``{png,jpg}`` chooses), which Beam's own matching does not:
there ``**/*.png`` misses the files directly in the folder and ``*.{png,jpg}`` matches nothing.
"""

import os
import re
from collections.abc import Iterable, Iterator

from pipeline.remote import as_folder, exists, is_bucket, list_objects, literal_prefix, match_objects
from pipeline.walking import by_own_name, expand_pattern, walk

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
        pattern: a file; a folder, which means every file below it, through links too, with one of
            ``EXTENSIONS`` in any case; or a pattern, which means what it matches, files and folders.

    Raises:
        Exception: of a remote store; see ``pipeline.remote.reason``.
    """
    yield from _match_local(pattern) if is_local(pattern) else _match_remote(pattern)


def _match_remote(pattern: str) -> Iterator[str]:
    if not pattern.endswith("/") and not is_bucket(pattern) and exists(pattern):
        yield pattern  # a name may hold [ or *
    elif literal_prefix(pattern) != pattern and not pattern.endswith("/"):
        yield from match_objects(expand_choices(pattern), has_known_extension)
    else:
        below = (found.path for found in list_objects(as_folder(pattern)))
        yield from (path for path in below if has_known_extension(path))


def _match_local(pattern: str) -> Iterator[str]:
    if os.path.isdir(pattern):
        yield from _walk([pattern])
    elif os.path.lexists(pattern):  # a name may hold [ or *; what cannot be read is told later, as a row
        yield pattern
    else:
        for choice in expand_choices(pattern):
            matched = list(expand_pattern(choice))
            folders = [path for path in matched if os.path.isdir(path)]
            files = set(matched).difference(folders)
            yield from by_own_name([*files, *_walk(folders)])


def _walk(tops: Iterable[str]) -> Iterator[str]:
    for folder, names in walk(tops):
        if names is None:  # becomes a failure when it is opened
            yield folder
        else:
            yield from (os.path.join(folder, name) for name in names if has_known_extension(name))


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
