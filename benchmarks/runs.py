"""Whole runs of ``formscribe run``: pages under many names; what a run took of time, processor and memory."""

import ctypes
import os
import resource
import shutil
import subprocess
import sys
import threading
import time
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

import psutil

FORMSCRIBE = [sys.executable, "-m", "jobs.cli"]
LOOK_SECONDS = 0.25  # between two looks at the memory of a run
_SET_CHILD_SUBREAPER = 36  # of prctl


@dataclass(frozen=True)
class Run:
    """What a run took, from the call of the command to its end.

    Attributes:
        seconds: on the clock.
        cpu_seconds: of the processor, all processes together.
        launcher_mb: the most memory, resident, that the command's own process had; with one worker it is
            the worker.
        worker_mb: the same of the largest of its other processes; 0 if there is none.
    """

    seconds: float
    cpu_seconds: float
    launcher_mb: float
    worker_mb: float

    @property
    def largest_mb(self) -> float:
        return max(self.launcher_mb, self.worker_mb)


def formscribe(*words: str) -> None:
    """Runs a command of the program, silently.

    Raises:
        subprocess.CalledProcessError: it failed.
    """
    quiet = subprocess.DEVNULL
    subprocess.run([*FORMSCRIBE, *words], check=True, stdout=quiet, stderr=quiet)


def rendered(folder: Path, count: int, template: str) -> list[Path]:
    """``count`` pages of a form, rendered into a new folder."""
    formscribe("samples", "--out", str(folder), "--count", str(count), "--template", template)
    return pages_in(folder)


def pages_in(folder: Path) -> list[Path]:
    """The pages of a folder of ``formscribe samples``, without their truth."""
    return sorted(path for path in folder.iterdir() if path.suffix not in (".json", ".toml"))


def linked(pages: Sequence[Path], folder: Path, count: int) -> Path:
    """A new folder in which pages stand under ``count`` names: hard links, copies where there can be none."""
    folder.mkdir(parents=True)
    for number in range(count):
        page = pages[number % len(pages)]
        name = folder / f"page_{number:07d}{page.suffix}"
        try:
            os.link(page, name)
        except OSError:  # another file system, or a page that has too many names
            shutil.copy(page, name)
    return folder


def run_words(scans: Path, output: Path, template: str, workers: int, flags: Sequence[str] = ()) -> list[str]:
    """The command that reads ``scans``."""
    words = ["run", "--input", str(scans), "--output", str(output), "--template", template]
    return [*FORMSCRIBE, *words, "--workers", str(workers), *flags]


def adopt_orphans() -> None:
    """Makes this process the parent of those below it that lose theirs, so that their time counts (Linux)."""
    with suppress(AttributeError, OSError):
        ctypes.CDLL(None).prctl(_SET_CHILD_SUBREAPER, 1)


def cpu_of_children() -> float:
    """Processor seconds of all processes that were started here, or below, when all of them have ended."""
    with suppress(ChildProcessError):
        while True:  # those whose own parent ended before them
            os.waitpid(-1, 0)
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    return used.ru_utime + used.ru_stime


def measured(words: Sequence[str]) -> Run:
    """Runs a command silently, and tells what it took. Call ``adopt_orphans`` once before.

    Raises:
        subprocess.CalledProcessError: it failed.
    """
    quiet = subprocess.DEVNULL
    before, begun = cpu_of_children(), time.perf_counter()
    process = subprocess.Popen(words, stdout=quiet, stderr=quiet)
    ended, peaks = threading.Event(), dict[int, float]()
    watch = threading.Thread(target=_watch, args=(process.pid, ended, peaks))
    watch.start()
    try:
        code = process.wait()
    finally:
        seconds = time.perf_counter() - begun
        ended.set()
        watch.join()
    if code:
        raise subprocess.CalledProcessError(code, list(words))
    launcher = peaks.pop(process.pid, 0.0)
    return Run(seconds, cpu_of_children() - before, launcher, max(peaks.values(), default=0.0))


def measured_run(scans: Path, template: str, workers: int, scratch: Path, flags: Sequence[str] = ()) -> Run:
    """``formscribe run`` over a folder; what it wrote is deleted.

    Raises:
        subprocess.CalledProcessError: it failed.
    """
    output = scratch / "output"
    try:
        return measured(run_words(scans, output, template, workers, flags))
    finally:
        shutil.rmtree(output, ignore_errors=True)


def _watch(launcher: int, ended: threading.Event, peaks: dict[int, float]) -> None:
    """Looks again and again at the most memory that each process of a run has had so far, in MB."""
    while not ended.wait(LOOK_SECONDS):
        try:
            one = psutil.Process(launcher)
            processes = [launcher, *(child.pid for child in one.children(recursive=True))]
        except psutil.Error:
            continue
        for process in processes:
            peak = peak_memory(process)
            if peak:  # the last look counts: a process that has just been forked seems as large as its parent
                peaks[process] = peak


def peak_memory(process: int) -> float | None:
    """The most resident memory that a process has had so far, in MB; None if that cannot be told (Linux)."""
    try:
        with open(f"/proc/{process}/status", encoding="ascii", errors="replace") as stream:
            line = next(line for line in stream if line.startswith("VmHWM:"))
    except (OSError, StopIteration):
        return None
    return int(line.split()[1]) * 1024 / 1e6


def page_cost(long: float, long_pages: int, short: float, short_pages: int) -> float:
    """What one more page costs: the start of a run, which both have, is taken out."""
    return (long - short) / (long_pages - short_pages)
