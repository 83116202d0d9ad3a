"""Reading pages in a process of its own: one that hangs, crashes or takes all memory costs only itself.

Work inside a C library cannot be interrupted, and a crash of one takes its process along. So what may not be
trusted is done by a second process, one for each worker: ended when a page is over its time, held by the
kernel to its memory, and started anew for the next page.
"""

import errno
import itertools
import os
import signal
import socket
import subprocess
import sys
import threading
import time
import weakref
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from segmentation.cell import Answer, Request, mapped, receive, send, shared_file, too_much_memory
from segmentation.image_document import Document, ImageError, ImageErrorCode, ImageLimits, Page

MOST_ENDED = 3  # pages of a file that may end the process before the rest of the file is given up
# How libraries end a process that got no memory, and how the kernel ends one that took the last of it.
_OUT_OF_MEMORY_SIGNALS = (signal.SIGABRT, signal.SIGTRAP, signal.SIGILL, signal.SIGKILL)
_START = "import sys; from segmentation.cell import main; main(int(sys.argv[1]), int(sys.argv[2]))"


class CellError(Exception):
    """An error that was raised in the other process and cannot be sent as it is; ``code`` if it had one."""

    def __init__(self, code: str | None, message: str) -> None:
        """Keeps the code beside the message."""
        super().__init__(message)
        self.code = code


@dataclass(frozen=True, slots=True)
class Bounds:
    """What a page may take.

    Attributes:
        seconds: for decoding and segmenting together; None for no limit.
        memory: bytes that this process and the other one may hold together; None for no limit.
    """

    seconds: float | None = None
    memory: int | None = None


class Isolation:
    """The other process, seen from this one: one at a time, started when it is needed.

    Attributes:
        lock: held while it works; whoever needs it to stay the same over several calls holds it too.
        starts: how often it was started.
    """

    def __init__(self) -> None:
        """Starts nothing yet."""
        self.lock = threading.RLock()
        self._owner = 0
        self._process: subprocess.Popen[bytes] | None = None
        self._channel: socket.socket | None = None
        self._tokens = itertools.count()
        self._page: tuple[weakref.ref[NDArray[np.uint8]], int, float] | None = None
        self.starts = 0

    def open(self, data: bytes, limits: ImageLimits, bounds: Bounds) -> tuple[int, int]:
        """Opens a document there; returns its name there and its number of pages."""
        token = next(self._tokens)
        with self.lock:
            file = shared_file(data)
            try:
                return token, self._ask("open", (token, limits), bounds, (file,))[0]
            finally:
                os.close(file)

    def read(self, token: int, number: int, bounds: Bounds) -> Page:
        """A page of a document that was opened there."""
        start, name = time.monotonic(), next(self._tokens)
        with self.lock:
            (shape, dpi), files = self._ask("read", (token, number, name), bounds)
            if not files:  # the kernel drops what a process may not hold
                raise OSError(errno.EMFILE, os.strerror(errno.EMFILE))
            try:
                gray = mapped(files[0], shape)
            finally:
                os.close(files[0])
            self._page = (weakref.ref(gray), name, time.monotonic() - start)
        return Page(gray, number, dpi)

    def segment(
        self, function: Callable[..., Any], gray: NDArray[np.uint8], template: object, bounds: Bounds
    ) -> Any:
        """Calls ``function(gray, template)`` there; a page that was read there last is not sent again."""
        with self.lock:
            sent: NDArray[np.uint8] | int = gray
            if self._page is not None and self._page[0]() is gray:
                _, sent, spent = self._page
                if bounds.seconds is not None:
                    bounds = Bounds(max(bounds.seconds - spent, 0.01), bounds.memory)
            return self._ask("segment", (function, sent, template), bounds)[0]

    @property
    def process_id(self) -> int | None:
        """Of the other process, while there is one."""
        return None if self._process is None else self._process.pid

    def lives(self, start: int) -> bool:
        """Whether it is still the process of that start, which has what was opened there."""
        ours = self._owner == os.getpid() and start == self.starts
        return ours and self._process is not None and self._process.poll() is None

    def close(self, token: int, start: int) -> None:
        """Closes a document there, unless it went with its process."""
        with self.lock:
            if self.lives(start):
                self._ask("close", (token,), Bounds())

    def end(self) -> None:
        """Ends the other process; the next request starts a new one."""
        with self.lock:
            if self._channel is not None:
                self._channel.close()
            if self._process is not None and self._owner == os.getpid():
                self._process.kill()
                self._process.wait()
            self._process = self._channel = self._page = None

    def _ask(
        self, kind: str, arguments: tuple[Any, ...], bounds: Bounds, files: tuple[int, ...] = ()
    ) -> tuple[Any, list[int]]:
        channel = self._started()
        memory = None if bounds.memory is None else bounds.memory - resident_bytes()
        channel.settimeout(bounds.seconds)
        deadline = None if bounds.seconds is None else time.monotonic() + bounds.seconds
        try:
            send(channel, Request(kind, arguments, bounds.seconds, memory), files)
            if deadline is not None:
                channel.settimeout(max(deadline - time.monotonic(), 0.01))
            answer, came = receive(channel)
        except TimeoutError:
            self.end()
            raise too_slow(bounds.seconds or 0.0) from None
        except (EOFError, OSError):
            raise self._crashed(bounds) from None
        return self._value(answer), came

    def _value(self, answer: Answer) -> Any:
        if answer.error is None and answer.told is None:
            return answer.value
        error = answer.error
        if answer.told is not None:
            code, kind, message = answer.told
            error = CellError(code, message if code else f"{kind}: {message}")
        if getattr(error, "code", None) == ImageErrorCode.TOO_MUCH_MEMORY:
            self.end()  # what it holds would be missing for the next page
        assert error is not None
        raise error

    def _crashed(self, bounds: Bounds) -> ImageError:
        assert self._process is not None
        try:
            code = self._process.wait(5)
        except subprocess.TimeoutExpired:
            code = 0
        self.end()
        if bounds.seconds is not None and -code == signal.SIGALRM:
            return too_slow(bounds.seconds)
        name = signal.Signals(-code).name if code < 0 else f"exit code {code}"
        if bounds.memory is not None and -code in _OUT_OF_MEMORY_SIGNALS:
            return too_much_memory(f"its process ended by {name}")
        return ImageError(
            ImageErrorCode.PAGE_CRASHED,
            f"The process that read it ended by {name}: look at the file, convert it with another program.",
        )

    def _started(self) -> socket.socket:
        if self._owner != os.getpid():  # after a fork the other process belongs to the parent
            self._process = self._channel = self._page = None
        if self._process is not None and self._process.poll() is not None:
            self.end()
        if self._channel is None:
            self._start()
        assert self._channel is not None
        return self._channel

    def _start(self) -> None:
        ours, theirs = socket.socketpair()
        paths = os.pathsep.join(path for path in sys.path if path)
        environment = os.environ | {"PYTHONPATH": paths, "OPENBLAS_NUM_THREADS": "1", "MALLOC_ARENA_MAX": "2"}
        with theirs:
            self._process = subprocess.Popen(
                [sys.executable, "-c", _START, str(theirs.fileno()), str(os.getpid())],
                pass_fds=[theirs.fileno()],
                env=environment,
                stdin=subprocess.DEVNULL,
                stdout=subprocess.DEVNULL,
                stderr=subprocess.DEVNULL,
            )
        self._channel, self._owner = ours, os.getpid()
        self.starts += 1


_SHARED = Isolation()


def shared_isolation() -> Isolation:
    """The one of this process."""
    return _SHARED


class IsolatedDocument(Document):
    """A document that lies open in the other process, and is opened again if that had to be ended."""

    kind = "file"

    def __init__(
        self, data: bytes, limits: ImageLimits, bounds: Bounds, isolation: Isolation | None = None
    ) -> None:
        """Opens it.

        Raises:
            ImageError: no page of the file can be read.
        """
        self._isolation = isolation or shared_isolation()
        self._data, self._limits, self._bounds = data, limits, bounds
        self._ended = 0
        self._gave_up: ImageError | None = None
        self._open()

    def _open(self) -> None:
        with self._isolation.lock:
            self._token, self.page_count = self._isolation.open(self._data, self._limits, self._bounds)
            self._start = self._isolation.starts

    def read(self, number: int) -> Page:
        """As ``Document.read``; what the decoder raised is an ImageError since the other process.

        Raises:
            ImageError: this page cannot be read; others may be.
            OSError: the other process could not be started or reached.
        """
        self._check_number(number)
        return self._decode(number)

    def _decode(self, number: int) -> Page:
        if self._gave_up is not None:
            raise self._gave_up
        try:
            with self._isolation.lock:
                if not self._isolation.lives(self._start):
                    self._open()
                return self._isolation.read(self._token, number, self._bounds)
        except ImageError as error:
            if error.code in (ImageErrorCode.PAGE_TOO_SLOW, ImageErrorCode.PAGE_CRASHED):
                self._count(error)
            raise

    def _count(self, error: ImageError) -> None:
        self._ended += 1
        if self._ended == MOST_ENDED:
            self._gave_up = ImageError(
                error.code, f"{MOST_ENDED} pages of this file went wrong before it. {error.message}"
            )

    def close(self) -> None:
        """Closes it there."""
        self._isolation.close(self._token, self._start)
        self._data = b""


@dataclass(frozen=True)
class IsolatedSegmenter:
    """``function(gray, template)`` in the other process; picklable if the function is."""

    function: Callable[..., Any]
    bounds: Bounds

    def __call__(self, gray: NDArray[np.uint8], template: object) -> Any:
        """See the class.

        Raises:
            ImageError: over its time or memory, or the process crashed; else what the function raises.
        """
        return shared_isolation().segment(self.function, gray, template, self.bounds)


def too_slow(seconds: float) -> ImageError:
    """The error of a page that was over its time."""
    return ImageError(
        ImageErrorCode.PAGE_TOO_SLOW,
        f"It was not done after {seconds:.3g} s: look at it, or raise --max_page_seconds.",
    )


def resident_bytes() -> int:
    """Memory of this process that lies in RAM; 0 where that cannot be told."""
    try:
        with open("/proc/self/statm", encoding="ascii") as stream:
            return int(stream.read().split()[1]) * os.sysconf("SC_PAGE_SIZE")
    except OSError:
        return 0
