"""The process that reads pages for another one: it runs ``main``, and ``segmentation.isolation`` starts it.

It answers one request after the other over a socket. Documents come in and pages go out as shared memory, so
that no pixel is copied through the socket. Every request brings its own limits, which the kernel holds: an
alarm ends the process, and memory beyond the limit is not given to it.
"""

import mmap
import os
import pickle
import resource
import signal
import socket
import struct
import tempfile
import threading
import time
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from segmentation.image_document import (
    BYTES_A_PIXEL,
    Document,
    ImageError,
    ImageErrorCode,
    ImageLimits,
    is_memory_error,
)

ALARM_AFTER = 5.0  # seconds after its time that the process ends itself, if nobody has ended it
_LENGTH = struct.Struct(">Q")
_ORPHAN_SECONDS = 1.0
_MOST_MEMORY = 2**62  # bytes; a larger limit would not be one


@dataclass(frozen=True, slots=True)
class Request:
    """What is to be done, and the seconds and bytes it may take; None for no limit."""

    kind: str
    arguments: tuple[Any, ...]
    seconds: float | None
    memory: int | None


@dataclass(frozen=True, slots=True)
class Answer:
    """What came of a request: a value, or an error as itself or told by code, type and message."""

    value: Any = None
    error: BaseException | None = None
    told: tuple[str | None, str, str] | None = None


def send(channel: socket.socket, message: object, files: tuple[int, ...] = ()) -> None:
    """Sends an object, and open files with it."""
    body = pickle.dumps(message, protocol=pickle.HIGHEST_PROTOCOL)
    socket.send_fds(channel, [_LENGTH.pack(len(body))], list(files))
    channel.sendall(body)


def receive(channel: socket.socket) -> tuple[Any, list[int]]:
    """The next object, and the files that came with it.

    Raises:
        EOFError: the other side has gone.
    """
    head, files, _, _ = socket.recv_fds(channel, _LENGTH.size, 1)
    head += _exactly(channel, _LENGTH.size - len(head))
    return pickle.loads(_exactly(channel, _LENGTH.unpack(head)[0])), files


def _exactly(channel: socket.socket, count: int) -> bytes:
    body = bytearray(count)
    view, done = memoryview(body), 0
    while done < count:
        got = channel.recv_into(view[done:])
        if not got:
            raise EOFError("the other side has gone")
        done += got
    return bytes(body)


def shared_file(data: bytes | memoryview) -> int:
    """An open file that lies in memory only, and holds these bytes; to be closed by the caller."""
    if hasattr(os, "memfd_create"):
        file = os.memfd_create("formscribe")
    else:
        with tempfile.TemporaryFile() as stream:
            file = os.dup(stream.fileno())
    try:
        view = memoryview(data).cast("B")
        while view:
            view = view[os.pwrite(file, view, os.lseek(file, 0, os.SEEK_END)) :]
    except BaseException:
        os.close(file)
        raise
    return file


def mapped(file: int, shape: tuple[int, int]) -> NDArray[np.uint8]:
    """The pixels in an open file, uint8 (H, W), read-only and shared with whoever else has it open."""
    return np.frombuffer(mmap.mmap(file, shape[0] * shape[1], prot=mmap.PROT_READ), np.uint8).reshape(shape)


@dataclass(frozen=True, slots=True)
class _BoundLimits(ImageLimits):
    """Limits that also refuse a page for which the memory would not suffice, before anything is allocated."""

    def check_size(self, width: int, height: int, bytes_a_pixel: int = BYTES_A_PIXEL) -> None:
        ImageLimits.check_size(self, width, height)
        check_memory(bytes_a_pixel * width * height)


def check_memory(needed: int) -> None:
    """Raises ImageError unless this process may take so many more bytes."""
    limit, _ = resource.getrlimit(resource.RLIMIT_DATA)
    if limit != resource.RLIM_INFINITY and private_bytes() + needed > limit:
        raise too_much_memory(f"the page needs up to {needed / 1e6:,.0f} MB")


def too_much_memory(why: str) -> ImageError:
    """The error of a page that would go over ``--max_worker_memory``."""
    return ImageError(
        ImageErrorCode.TOO_MUCH_MEMORY,
        f"There is not enough memory left for it ({why}): raise --max_worker_memory, or scan it at a lower "
        "resolution.",
    )


def private_bytes() -> int:
    """What the kernel counts against the limit: memory that only this process has, touched or not."""
    with open("/proc/self/status", encoding="ascii") as stream:
        return 1024 * next(int(line.split()[1]) for line in stream if line.startswith("VmData"))


class _Cell:
    """The documents and the page that are open here."""

    def __init__(self) -> None:
        self._documents: dict[int, Document] = {}
        self._page: tuple[int, NDArray[np.uint8]] | None = None

    def open(self, file: int, token: int, limits: ImageLimits) -> int:
        from segmentation.images import open_in_process

        with os.fdopen(file, "rb") as stream:
            data = stream.read()
        sizes = (limits.max_pixels, limits.max_pages, limits.max_bytes, limits.max_side)
        document = open_in_process(data, _BoundLimits(*sizes))
        self._documents[token] = document
        return document.page_count

    def read(self, token: int, number: int, name: int) -> tuple[tuple[int, int], float | None, int]:
        self._page = None
        page = self._documents[token].read(number)
        check_memory(page.gray.size)
        file = shared_file(np.ascontiguousarray(page.gray).data)
        self._page = (name, page.gray)  # and not the shared copy, whose every page would have to be mapped
        return page.gray.shape, page.dpi, file

    def close(self, token: int) -> None:
        document = self._documents.pop(token, None)
        if document is not None:
            document.close()

    def segment(self, function: Callable[..., Any], gray: NDArray[np.uint8] | int, template: object) -> Any:
        if isinstance(gray, int):
            if self._page is None or self._page[0] != gray:
                raise LookupError("the page is not here any more")
            gray = self._page[1]
        return function(gray, template)


def _limited(memory: int | None) -> None:
    """Sets the bytes that this process may have; fewer than it has only mean no more; None for any.

    Never 0, which Linux takes for no limit at all, nor more than it may be given.
    """
    _, most = resource.getrlimit(resource.RLIMIT_DATA)
    ceiling = _MOST_MEMORY if most == resource.RLIM_INFINITY else most
    resource.setrlimit(resource.RLIMIT_DATA, (most if memory is None else min(max(memory, 1), ceiling), most))


def _answer(cell: _Cell, request: Request, files: list[int]) -> tuple[Answer, tuple[int, ...]]:
    try:
        if request.kind == "open":
            return Answer(cell.open(files.pop(), *request.arguments)), ()
        if request.kind == "read":
            shape, dpi, file = cell.read(*request.arguments)
            return Answer((shape, dpi)), (file,)
        return Answer(getattr(cell, request.kind)(*request.arguments)), ()
    except BaseException as error:
        if request.memory is not None and _no_memory(error):
            error = too_much_memory(str(error) or "an allocation failed")
        return _told(error), ()
    finally:
        for file in files:
            os.close(file)


def _no_memory(error: BaseException) -> bool:
    if isinstance(error, ImageError):
        return error.code == ImageErrorCode.OUT_OF_MEMORY
    return is_memory_error(error)


def _told(error: BaseException) -> Answer:
    """The error itself if it can be sent, else what it says."""
    try:
        if type(pickle.loads(pickle.dumps(error))) is type(error):
            return Answer(error=error)
    except Exception:
        pass
    code = getattr(error, "code", None)
    return Answer(told=(code if isinstance(code, str) else None, type(error).__name__, str(error)))


def _end_when_orphaned(parent: int) -> None:
    while os.getppid() == parent:
        time.sleep(_ORPHAN_SECONDS)
    os._exit(0)


def main(file: int, parent: int) -> None:
    """Answers requests from the socket ``file`` until the other side, process ``parent``, has gone."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C is for the process that asks
    signal.signal(signal.SIGALRM, signal.SIG_DFL)
    threading.Thread(target=_end_when_orphaned, args=(parent,), daemon=True).start()
    import cv2

    cv2.setNumThreads(1)
    channel, cell = socket.socket(fileno=file), _Cell()
    with suppress(EOFError, BrokenPipeError, ConnectionResetError):
        while True:
            request, files = receive(channel)
            _limited(request.memory)
            if request.seconds is not None:
                signal.setitimer(signal.ITIMER_REAL, request.seconds + ALARM_AFTER)
            answer, made = _answer(cell, request, files)
            signal.setitimer(signal.ITIMER_REAL, 0)
            send(channel, answer, made)
            for one in made:
                os.close(one)
    os._exit(0)
