"""Freshly augmented epochs, made in another process while the network trains on the last one."""

import contextlib
import multiprocessing
import os
import queue
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Protocol

import cv2
import numpy as np
from numpy.typing import NDArray

Epoch = tuple[NDArray[np.uint8], NDArray[np.int16]]
_NICE = 5
_LOOK_AFTER_S = 5.0


class EpochSource(Protocol):
    """Makes epochs by number."""

    def make(self, epoch: int) -> Epoch:
        """Images uint8 (N, 28, 28) and labels int16 (N,), shuffled; the same for the same number."""
        ...


class BackgroundEpochs:
    """Keeps one epoch ahead: use as a context manager.

    Args:
        open_source: picklable; called in the other process. Its data never enters this one.
        folder: where epochs are handed over; a temporary one if not given.
    """

    def __init__(self, open_source: Callable[[], EpochSource], folder: Path | None = None) -> None:
        """Starts the process; nothing is made before the first epoch is asked for."""
        self._own = tempfile.TemporaryDirectory(prefix="formscribe-epochs-") if folder is None else None
        self._folder = Path(self._own.name) if self._own else Path(str(folder))
        context = multiprocessing.get_context("spawn")
        self._wanted, self._ready = context.Queue(), context.Queue()
        arguments = (open_source, self._folder, self._wanted, self._ready)
        self._process = context.Process(target=_make_epochs, args=arguments, daemon=True)
        self._process.start()
        self._asked: set[int] = set()

    def __enter__(self) -> "BackgroundEpochs":
        """Itself."""
        return self

    def __exit__(self, *_: object) -> None:
        """Ends the process and removes what it left."""
        self._process.terminate()
        self._process.join()
        if self._own:
            self._own.cleanup()

    def get(self, epoch: int, ahead: int | None = None) -> Epoch:
        """Waits for an epoch; ``ahead`` (the next one by default) is made meanwhile.

        Raises:
            RuntimeError: the process that makes epochs failed; the message holds its error.
        """
        for number in (epoch, epoch + 1 if ahead is None else ahead):
            if number not in self._asked:
                self._asked.add(number)
                self._wanted.put(number)
        path, error = self._ready.get()
        if error:
            raise RuntimeError(f"making an epoch failed: {error}")
        with np.load(path) as arrays:
            result = arrays["images"], arrays["labels"]
        os.unlink(path)
        return result


def _next_wanted(wanted: "multiprocessing.Queue[int]") -> int | None:
    """The next number asked for; None once the process that asks is gone, however it ended."""
    asking = os.getppid()
    while os.getppid() == asking:
        with contextlib.suppress(queue.Empty):
            return wanted.get(timeout=_LOOK_AFTER_S)
    return None


def _make_epochs(
    open_source: Callable[[], EpochSource],
    folder: Path,
    wanted: "multiprocessing.Queue[int]",
    ready: "multiprocessing.Queue[tuple[Path | None, str]]",
) -> None:
    os.nice(_NICE)
    cv2.setNumThreads(1)
    try:
        source = open_source()
        while (epoch := _next_wanted(wanted)) is not None:
            images, labels = source.make(epoch)
            path = folder / f"epoch-{epoch}.npz"
            np.savez(path, images=images, labels=labels)
            ready.put((path, ""))
    except Exception as error:  # reported in the process that waits
        ready.put((None, f"{type(error).__name__}: {error}"))
