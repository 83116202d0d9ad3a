"""Watches a local job from outside, and says when going on is of no use."""

import os
import signal
import threading
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field

from jobs.descendants import descendants
from jobs.exit_codes import CommandError, ExitCode

EARLY_PAGES = 100  # before so many are done the share of failures may be chance
PATIENCE_SECONDS = 10.0  # in which a job that has lost a worker mostly ends by itself
_WORKER = "worker:"
_WAITING_THREAD = "run_worker"  # of the local runner: waits for a worker, and raises if it ends with an error


@dataclass
class JobGuard:
    """Decides from the workers' counts whether the job should stop.

    Attributes:
        max_failure_ratio: of the pages done so far, 0..1; None for no limit.
        watch_workers: whether the workers are processes of this machine that must not die.
        reason: why the job was stopped, if it was.
    """

    max_failure_ratio: float | None = None
    watch_workers: bool = False
    reason: CommandError | None = None
    _workers: set[int] = field(default_factory=set)  # that have told of themselves
    _others: set[int] = field(default_factory=set)  # processes of this one that are none of the job's
    _failed: bool = False  # whether a worker has ended with an error
    _lost: float | None = None  # since when

    def __post_init__(self) -> None:
        """Remembers which processes were there before the workers."""
        if self.watch_workers:
            self._others = descendants()

    @contextmanager
    def hearing_of_workers(self) -> Iterator[None]:
        """Hears of workers that end with an error, however soon: the runner itself would wait for them."""
        before = threading.excepthook

        def hear(raised: threading.ExceptHookArgs) -> None:
            if raised.thread is not None and raised.thread.name == _WAITING_THREAD:
                self._failed = True
            before(raised)

        threading.excepthook = hear
        try:
            yield
        finally:
            threading.excepthook = before

    def stops(self, counts: Mapping[str, int]) -> bool:
        """Whether the job should stop now; the reason is kept."""
        if self.watch_workers:
            known = {int(name.removeprefix(_WORKER)) for name in counts if name.startswith(_WORKER)}
            self._workers = known - {os.getpid()}
        if self.reason is None:
            self.reason = self._too_many_failures(counts) or self._lost_worker()
        return self.reason is not None

    def look_again(self) -> None:
        """Keeps the reason if a worker has ended with an error since the last look.

        For a job that has just failed: a lost worker may end it before anybody has looked. Whether the
        workers live says nothing here, as the runner ends them all with the job.
        """
        if self.reason is None and self._failed:
            self.reason = _worker_died()

    def end_workers(self) -> None:
        """Kills the workers, so that they write nothing more; for a job that has been given up.

        Also those that have not told of themselves yet, for which the runner would wait for ever.
        """
        started = descendants() - self._others if self.watch_workers else set()
        for worker in self._workers | started:
            with suppress(OSError):
                os.kill(worker, signal.SIGKILL)

    def _too_many_failures(self, counts: Mapping[str, int]) -> CommandError | None:
        failed = counts.get("failed", 0)
        done = failed + counts.get("read", 0)
        if self.max_failure_ratio is None or done < EARLY_PAGES or failed <= self.max_failure_ratio * done:
            return None
        codes = sorted(
            ((n, name.partition(":")[2]) for name, n in counts.items() if name.startswith("code:"))
        )
        told = ", ".join(f"{code}: {n:,}" for n, code in reversed(codes))
        return CommandError(
            ExitCode.TOO_MANY_FAILURES,
            f"--max_failure_ratio {self.max_failure_ratio:g}: {failed:,} of the first {done:,} pages failed "
            f"({told}). The job was stopped, and nothing of it is visible.",
        )

    def waits_in_vain(self) -> bool:
        """Whether the runner seems to wait for a worker that died before it had connected; true once."""
        vain = self._lost is not None and time.monotonic() - self._lost > PATIENCE_SECONDS
        if vain:
            self._lost = None
        return vain

    def _lost_worker(self) -> CommandError | None:
        if not self._failed and all(_lives(worker) for worker in self._workers):
            return None
        self._lost = time.monotonic()
        return _worker_died()


def _worker_died() -> CommandError:
    return CommandError(
        ExitCode.JOB_FAILED,
        "the job failed, and nothing of it is visible: a worker process died. If it ran out of memory, "
        "take fewer --workers.",
    )


def _lives(process: int) -> bool:
    try:
        os.kill(process, 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        return True
    return True
