"""Freshly augmented epochs, made in other processes while the network trains on the last one, or before."""

import contextlib
import multiprocessing
import os
import queue
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any, Protocol

import cv2
import numpy as np
from numpy.typing import NDArray

# Images, uint8 (N, 28, 28), and labels int16 (N,), or in their place what teachers taught, (N, classes).
Epoch = tuple[NDArray[np.uint8], NDArray[Any]]
_NICE = 5
_LOOK_AFTER_S = 5.0


class EpochSource(Protocol):
    """Makes epochs by number."""

    def make(self, epoch: int) -> Epoch:
        """Images uint8 (N, 28, 28) and labels int16 (N,), shuffled; the same for the same number."""
        ...


class BackgroundEpochs:
    """Keeps some epochs ahead: use as a context manager.

    Args:
        open_source: picklable; called in the other processes. Its data never enters this one.
        processes: how many make epochs, one each; as many are kept ahead.
    """

    def __init__(self, open_source: Callable[[], EpochSource], processes: int = 1) -> None:
        """Starts the processes; nothing is made before the first epoch is asked for."""
        self._folder = tempfile.TemporaryDirectory(prefix="formscribe-epochs-")
        context = multiprocessing.get_context("spawn")
        self._wanted, self._ready = context.Queue(), context.Queue()
        arguments = (open_source, Path(self._folder.name), self._wanted, self._ready)
        self._processes = [
            context.Process(target=_make_epochs, args=arguments, daemon=True) for _ in range(processes)
        ]
        for process in self._processes:
            process.start()
        self._asked: set[int] = set()
        self._made: dict[int, Path] = {}

    def __enter__(self) -> "BackgroundEpochs":
        """Itself."""
        return self

    def __exit__(self, *_: object) -> None:
        """Ends the processes and removes what they left."""
        for process in self._processes:
            process.terminate()
            process.join()
        self._folder.cleanup()

    def get(self, epoch: int, last: int | None = None) -> Epoch:
        """Waits for an epoch; those that come next, up to ``last``, are made meanwhile.

        Raises:
            RuntimeError: a process that makes epochs failed, or was ended; the message says how.
        """
        for number in range(epoch, epoch + len(self._processes) + 1):
            if number not in self._asked and (last is None or number <= last):
                self._asked.add(number)
                self._wanted.put(number)
        while epoch not in self._made:
            number, path, error = self._next_ready()
            if error:
                raise RuntimeError(f"making an epoch failed: {error}")
            self._made[number] = path
        path = self._made.pop(epoch)
        result = load_epoch(path)
        os.unlink(path)
        return result

    def _next_ready(self) -> tuple[int, Path, str]:
        while True:
            with contextlib.suppress(queue.Empty):
                return self._ready.get(timeout=_LOOK_AFTER_S)
            for process in self._processes:
                if not process.is_alive():  # a process that was killed tells nobody
                    raise RuntimeError(
                        f"a process that makes epochs ended with exit code {process.exitcode}. -9 is often "
                        "want of memory; fewer of --processes need less."
                    )


def epoch_path(folder: Path, epoch: int) -> Path:
    """Where a folder keeps an epoch."""
    return folder / f"epoch-{epoch}.npz"


def save_epoch(epoch: Epoch, path: Path) -> None:
    """Writes an epoch, whole or not at all."""
    fresh = path.with_name(f"new-{path.name}")
    np.savez(fresh, images=epoch[0], labels=epoch[1])
    fresh.replace(path)


def load_epoch(path: Path) -> Epoch:
    """Reads what ``save_epoch`` wrote."""
    with np.load(path) as arrays:
        return arrays["images"], arrays["labels"]


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
    ready: "multiprocessing.Queue[tuple[int, Path, str]]",
) -> None:
    os.nice(_NICE)
    cv2.setNumThreads(1)
    try:
        source = open_source()
        while (epoch := _next_wanted(wanted)) is not None:
            path = epoch_path(folder, epoch)
            save_epoch(source.make(epoch), path)
            ready.put((epoch, path, ""))
    except Exception as error:  # reported in the process that waits
        ready.put((-1, folder, f"{type(error).__name__}: {error}"))
