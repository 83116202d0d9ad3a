"""The scans behind the readings: found, checked against their hash, decoded, and kept for a while.

Only files that the table ``forms`` names are ever opened, and files of the same name in the folder that the
server was told of; what is no longer the file that was read is not shown.
"""

import hashlib
import math
import os
import threading
import time
from collections import OrderedDict
from collections.abc import Callable
from pathlib import Path
from typing import Any, Generic, TypeVar

import numpy as np
from numpy.typing import NDArray

from segmentation.composed_text import composed
from segmentation.images import ImageError, ImageLimits, open_document

Key = TypeVar("Key")
PAGE_BYTES = 256_000_000
MAX_FILE_BYTES = 500_000_000
RELOOK_SECONDS = 60.0  # between two looks through the folder of moved scans


class ScanError(Exception):
    """A scan that cannot be shown; the message says why, in words for a small picture."""


class ByteCache(Generic[Key]):
    """The most recently used values, up to a number of bytes; safe to use from many threads.

    A value that several threads want at once is made once.
    """

    def __init__(self, limit: int, size: Callable[[Any], int] = len) -> None:
        """``size`` gives the bytes of a value."""
        self._limit, self._size = limit, size
        self._kept: OrderedDict[Key, Any] = OrderedDict()
        self._making: dict[Key, threading.Lock] = {}
        self._bytes = 0
        self._lock = threading.Lock()

    def get(self, key: Key, make: Callable[[], Any]) -> Any:
        """The value of a key, made if it is not kept; what ``make`` raises is not kept."""
        with self._lock:
            if key in self._kept:
                self._kept.move_to_end(key)
                return self._kept[key]
            alone = self._making.setdefault(key, threading.Lock())
        with alone:
            with self._lock:
                if key in self._kept:
                    return self._kept[key]
            try:
                value = make()
            finally:
                with self._lock:
                    self._making.pop(key, None)
            self._keep(key, value)
            return value

    def _keep(self, key: Key, value: Any) -> None:
        with self._lock:
            if key in self._kept:
                return
            self._kept[key] = value
            self._bytes += self._size(value)
            while self._bytes > self._limit and len(self._kept) > 1:
                _, dropped = self._kept.popitem(last=False)
                self._bytes -= self._size(dropped)


class Scans:
    """Pages as grey pixels."""

    def __init__(self, folder: Path | None = None, limits: ImageLimits | None = None) -> None:
        """``folder`` is where scans lie that have moved since they were read."""
        self._folder = folder
        self._limits = limits or ImageLimits()
        self._pages: ByteCache[tuple[str, int]] = ByteCache(PAGE_BYTES, lambda page: page.nbytes)
        self._names: dict[str, list[str]] = {}
        self._looked = -math.inf  # when ``_names`` were made, in seconds of the monotonic clock
        self._lock = threading.Lock()

    def page(self, source: str, sha256: str, number: int) -> NDArray[np.uint8]:
        """A page as uint8 (H, W), 0 = black, origin top left.

        Args:
            source: the file as the table ``forms`` names it.
            sha256: of the file when it was read.
            number: of the page, from 1.

        Raises:
            ScanError: the file is gone, has changed, or cannot be decoded any more.
        """
        return self._pages.get((sha256, number), lambda: self._decode(source, sha256, number))

    def _decode(self, source: str, sha256: str, number: int) -> NDArray[np.uint8]:
        data = self._bytes_of(source, sha256)
        try:
            with open_document(data, self._limits) as document:
                return document.read(number).gray
        except ImageError as error:
            raise ScanError(f"cannot be read: {error.code}") from None

    def _bytes_of(self, source: str, sha256: str) -> bytes:
        why = "not found; start with --scans"
        for path in self._candidates(source):
            try:
                data = _read(path)
            except ScanError as error:
                why = str(error)
                continue
            except Exception:  # remote file systems raise whatever they like
                continue
            if hashlib.sha256(data).hexdigest() == sha256:
                return data
            why = "has changed since it was read"
        raise ScanError(why)

    def _candidates(self, source: str) -> list[str]:
        return [source, *self._named(composed(os.path.basename(source)))]

    def _named(self, name: str) -> list[str]:
        """Files of a name in the folder; what came into it since is found after a while."""
        if self._folder is None:
            return []
        with self._lock:
            if name not in self._names and time.monotonic() >= self._looked + RELOOK_SECONDS:
                self._names = _files_by_name(self._folder)
                self._looked = time.monotonic()
            return self._names.get(name, [])


def _files_by_name(folder: Path) -> dict[str, list[str]]:
    names: dict[str, list[str]] = {}
    for top, _, files in os.walk(folder):
        for name in files:
            names.setdefault(composed(name), []).append(os.path.join(top, name))
    return names


def _read(path: str) -> bytes:
    if "://" in path:
        from pipeline.inputs import FileTooLargeError, read_file

        try:
            return read_file(path, MAX_FILE_BYTES)
        except FileTooLargeError:
            raise ScanError("is too large") from None
    with open(path, "rb") as stream:
        if os.fstat(stream.fileno()).st_size > MAX_FILE_BYTES:
            raise ScanError("is too large")
        return stream.read()
