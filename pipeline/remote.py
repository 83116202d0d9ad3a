"""Object stores (gs://, s3://) behave like folders here: listing, patterns, and why something went wrong.

Beam's own matching reads a whole listing before it gives a name, knows no ``{png,jpg}``, and lets ``**/``
miss what lies directly in a folder. These functions give names as they come, and mean what local patterns
mean.
"""

import errno
import re
from collections.abc import Callable, Iterable, Iterator
from functools import cache
from importlib import util
from typing import Any

from apache_beam.io.filesystem import BeamIOError, CompressionTypes
from apache_beam.io.filesystems import FileSystems

_OPEN_CODES = {
    errno.ENOENT: "file_not_found",
    errno.EACCES: "permission_denied",
    errno.EPERM: "permission_denied",
    errno.EISDIR: "is_a_folder",
    401: "permission_denied",
    403: "permission_denied",
    404: "file_not_found",
}
_MEANINGS = {
    "file_not_found": "there is no such file or bucket",
    "permission_denied": "access is denied",
}
_WILD = re.compile(r"[*?\[{]")
_AT_ONCE = 500  # names in one request to delete


@cache
def make_clients_quick() -> None:
    """Lets the clients of S3 that Beam makes, one for each call, share what describes the service to them.

    Otherwise each of them reads it anew, which takes about as long as reading a page.
    """
    if util.find_spec("botocore") is not None:
        import botocore.session

        botocore.session.create_loader = cache(botocore.session.create_loader)


def literal_prefix(pattern: str) -> str:
    """The part of a pattern before its first wildcard."""
    wild = _WILD.search(pattern)
    return pattern[: wild.start()] if wild else pattern


def list_objects(prefix: str) -> Iterator[Any]:
    """Yields Beam's ``FileMetadata`` of the objects whose names begin so, as the store lists them.

    Raises:
        OSError: the listing failed.
    """
    # Beam's public `match` would hold the listing of a whole bucket in memory.
    yield from FileSystems.get_filesystem(prefix)._list(prefix)


def exists(path: str) -> bool:
    """Whether there is an object of this name; False too if that may not be known."""
    try:
        return bool(FileSystems.exists(path))
    except Exception as error:
        if reason(error)[0] == "permission_denied":  # stores say so of what is not there, to who may not list
            return False
        raise


def as_folder(path: str) -> str:
    """The prefix of everything below a folder."""
    return path.rstrip("/") + "/"


def is_bucket(path: str) -> bool:
    """Whether a path names a bucket and nothing in it."""
    return "/" not in path.partition("://")[2].rstrip("/")


def match_objects(choices: Iterable[str], is_scan: Callable[[str], bool]) -> Iterator[str]:
    """Yields the objects that a shell's pattern names, and the scans below the folders that it names.

    Args:
        choices: patterns without ``{a,b}``.
        is_scan: whether a name is that of a scan.
    """
    for choice in choices:
        full = compile_pattern(choice)
        below = re.compile(f"{full.pattern}/.*", re.DOTALL)
        for found in list_objects(literal_prefix(choice)):
            path = found.path
            if path.endswith("/"):
                continue
            if full.fullmatch(path) or (is_scan(path) and below.fullmatch(path)):
                yield path


def compile_pattern(pattern: str) -> re.Pattern[str]:
    """A shell's pattern as a regular expression: only ``**`` crosses a slash, and may stand for no folder."""
    parts = []
    position = 0
    while position < len(pattern):
        rest = pattern[position:]
        at_start = position == 0 or pattern[position - 1] == "/"
        klass = re.match(r"\[(!?)(\]?[^\]]*)\]", rest)
        if at_start and rest.startswith("**/"):
            part, length = "(?:[^/]+/)*", 3
        elif at_start and rest == "**":
            part, length = ".*", 2
        elif rest[0] == "*":
            part, length = "[^/]*", 1
        elif rest[0] == "?":
            part, length = "[^/]", 1
        elif klass:
            inside = klass[2].replace("\\", r"\\").replace("[", r"\[").replace("]", r"\]")
            part, length = f"[{'^' if klass[1] else ''}{inside}]", klass.end()
        else:
            part, length = re.escape(rest[0]), 1
        parts.append(part)
        position += length
    return re.compile("".join(parts), re.DOTALL)


def delete_objects(paths: Iterable[str]) -> None:
    """Deletes objects by their names, whatever characters these have; missing ones are no error.

    Raises:
        OSError: some could not be deleted.
    """
    names = list(paths)
    for start in range(0, len(names), _AT_ONCE):
        part = names[start : start + _AT_ONCE]
        if part[0].startswith("gs://"):  # where Beam's own would take the names for patterns
            from apache_beam.io.gcp.gcsio import GcsIO

            results = GcsIO(pipeline_options=FileSystems._pipeline_options).delete_batch(part)
            wrong = {path: error for path, error in results if error and _http_code(error) != 404}
            if wrong:
                raise BeamIOError("Delete operation failed", wrong)
        else:
            FileSystems.delete(part)


def delete_below(folder: str) -> None:
    """Deletes every object below a folder.

    Raises:
        OSError: some could not be listed or deleted.
    """
    delete_objects([found.path for found in list_objects(as_folder(folder))])


def write_object(path: str, content: bytes) -> None:
    """Writes a small object; it appears whole.

    Raises:
        Exception: of the store; see ``reason``.
    """
    with FileSystems.create(path, "application/octet-stream", CompressionTypes.UNCOMPRESSED) as stream:
        stream.write(content)


def reason(error: BaseException) -> tuple[str | None, str]:
    """Why a file could not be had: the code of a failure row, None for a fault of ours, and a message.

    The libraries of the stores raise errors of their own, which carry the HTTP status as ``code``; Beam wraps
    some of them.
    """
    causes = list(_causes(error))
    for cause in causes:
        number = getattr(cause, "errno", None) or _http_code(cause)
        if number in _OPEN_CODES:
            code = _OPEN_CODES[number]
            return code, getattr(cause, "strerror", None) or _MEANINGS.get(code) or str(cause)
    if any(isinstance(cause, OSError) or _of_a_store(cause) for cause in causes):
        last = causes[-1]
        told = getattr(last, "strerror", None) or getattr(last, "message", None) or str(last)
        code = "file_unreadable"
        return code, " ".join(str(told or type(last).__name__).split())[:300]
    return None, str(error)


def _causes(error: BaseException) -> Iterator[BaseException]:
    yield error
    details = getattr(error, "exception_details", None) or {}
    for inner in details.values():
        if isinstance(inner, BaseException):
            yield from _causes(inner)


def _http_code(error: BaseException) -> int | None:
    code = getattr(error, "code", None)
    if isinstance(code, int):  # HTTPStatus is one
        return int(code)
    response = getattr(error, "response", None)
    status = getattr(response, "status_code", None)
    if status is None and isinstance(response, dict):  # botocore's
        status = response.get("ResponseMetadata", {}).get("HTTPStatusCode")
    return status if isinstance(status, int) else None


def _of_a_store(error: BaseException) -> bool:
    module = type(error).__module__
    return module.startswith(("google.", "botocore.", "boto3.", "apache_beam.io.", "requests.", "urllib3."))
