"""Watches a local job from outside, and says when going on is of no use."""

import os
import signal
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass, field

from jobs.exit_codes import CommandError, ExitCode

EARLY_PAGES = 100  # before so many are done the share of failures may be chance
_WORKER = "worker:"


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
    _workers: set[int] = field(default_factory=set)

    def stops(self, counts: Mapping[str, int]) -> bool:
        """Whether the job should stop now; the reason is kept."""
        if self.watch_workers:
            known = {int(name.removeprefix(_WORKER)) for name in counts if name.startswith(_WORKER)}
            self._workers = known - {os.getpid()}
        if self.reason is None:
            self.reason = self._too_many_failures(counts) or self._lost_worker()
        return self.reason is not None

    def end_workers(self) -> None:
        """Kills the workers, so that they write nothing more; for a job that has been given up."""
        for worker in self._workers:
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

    def _lost_worker(self) -> CommandError | None:
        if all(_lives(worker) for worker in self._workers):
            return None
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
