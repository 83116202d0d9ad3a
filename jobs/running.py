"""Runs a job that has been checked to its end: progress, Ctrl-C, limits, cleaning up, the summary."""

import os
import re
import shlex
import signal
import threading
import time
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import replace
from types import FrameType
from typing import Any, Self

import apache_beam as beam
from apache_beam.options.pipeline_options import PipelineOptions
from apache_beam.runners.runner import PipelineState

from jobs import portable_job
from jobs.beam_flags import worker_processes
from jobs.cli import stderr_hidden
from jobs.dataflow.job import cancel_job, check_ended, show_job, written_graph
from jobs.exit_codes import CommandError, ExitCode
from jobs.guard import JobGuard
from jobs.progress import ProgressDisplay
from jobs.run_lock import RunLock
from jobs.streams import LINES, tell
from jobs.visible import visible
from pipeline.build import build
from pipeline.matching import is_local
from pipeline.options import JobOptions
from pipeline.progress import JobStoppedError
from pipeline.schemas import TABLES
from pipeline.stages import Stages
from pipeline.writing import discard_run, discard_temporary, read_record, table_folder

_RAISED = "[while running"  # ends what Beam says of an error in a function of the job
_JAVA_CAUSE = "Caused by: "
_JAVA_FRAME = re.compile(r"(at )?[\w.$/<>-]+\([\w.]+\.(java|scala):\d+\)|at .*\(.*\)|\.\.\. \d+ more")
_STOPS = (signal.SIGINT, signal.SIGTERM)  # Ctrl-C, and what schedulers and containers send


def run_job(
    options: JobOptions,
    flags: PipelineOptions,
    stages: Stages,
    files: int | None,
    lock: RunLock,
    verbose: bool = False,
) -> int:
    """Runs the job to its end and prints the summary.

    Args:
        options: of the job.
        flags: of Beam.
        stages: what is done to a page.
        files: how many there are, if known.
        lock: held by this process until the run is visible or gone.
        verbose: whether warnings and logs of the libraries are shown.

    Raises:
        CommandError: the job failed or was stopped.
        KeyboardInterrupt: somebody pressed Ctrl-C before the run was visible.
    """
    start = time.monotonic()
    result = None
    interrupts = Interrupts()
    guard = JobGuard(options.max_failure_ratio, worker_processes(flags))

    def stops(counts: Mapping[str, int]) -> bool:
        lock.beat()
        stop = guard.stops(counts)
        if interrupts.seen:
            guard.end_workers()
        elif guard.waits_in_vain():
            guard.end_workers()
            interrupts.give_up()
        return stop

    try:
        with (
            interrupts,
            stderr_hidden(verbose) as stream,
            guard.hearing_of_workers(),
            ProgressDisplay(files, stream, stops) as progress,
        ):
            options = replace(options, progress_file=progress.path)
            portable_job.name_job(flags, options.run_id)
            pipeline = beam.Pipeline(options=flags)
            build(pipeline, options, stages)
            result = pipeline.run()
            interrupts.watch_again()
            show_job(result, flags, stream)
            state = result.wait_until_finish()
        if written_graph(flags):
            print(f"graph of the job: {written_graph(flags)}; nothing has run")
            return ExitCode.OK
        if state not in (None, PipelineState.DONE):
            raise CommandError(ExitCode.JOB_FAILED, f"the runner ended the job as {state}.")
        record = read_record(options.output, options.run_id)
    except BaseException as error:
        guard.look_again()
        guard.end_workers()
        if interrupts.seen or not (isinstance(error, Exception) or interrupts.given_up):
            cancel_job(result)
            portable_job.cancel_job(result, flags)
            portable_job.stop_service(interrupts.between)
            if not _is_visible(options):  # else it came when all was done
                _discard_interrupted(options)
                raise KeyboardInterrupt from error
        else:
            check_ended(result, flags)
            if not _is_visible(options):  # else only the runner's own tidying up went wrong
                discard_run(options.output, options.run_id)
                raise _job_error(error, guard) from error
        record = read_record(options.output, options.run_id)
    finally:
        lock.release()
    with suppress(BrokenPipeError):  # the run is what it is, whoever reads of it
        print(summary(record, time.monotonic() - start))
    return verdict(record, options.max_failure_ratio)


def _is_visible(options: JobOptions) -> bool:
    try:
        read_record(options.output, options.run_id)
    except Exception:
        return False
    return True


def _discard_interrupted(options: JobOptions) -> None:
    """A runner's threads go on until the process ends: what they move into place now the next run clears."""
    if is_local(options.output):
        folders = (table_folder(options.output, table, options.run_id) for table in TABLES)
        if any(os.path.exists(folder) for folder in folders):
            return
    discard_temporary(options.output, options.run_id)


def _job_error(error: BaseException, guard: JobGuard) -> CommandError:
    told = _last_line(error)
    # A worker also ends because of an error of its own, which says more than that it has ended.
    raised = _RAISED in told and JobStoppedError.__name__ not in told
    if guard.reason is not None and not (raised and guard.reason.code == ExitCode.JOB_FAILED):
        return guard.reason
    if isinstance(error, CommandError):
        return error
    return CommandError(ExitCode.JOB_FAILED, f"the job failed, and nothing of it is visible: {told}")


def verdict(record: Mapping[str, Any], max_failure_ratio: float | None) -> ExitCode:
    """The exit code of a run that is visible."""
    pages, failures = record["pages_in"], record["failures"]
    if failures and not record["forms"]:
        return ExitCode.ALL_PAGES_FAILED
    if max_failure_ratio is not None and failures > max_failure_ratio * pages:
        tell(
            f"--max_failure_ratio {max_failure_ratio:g}: {failures:,} of {pages:,} pages failed; "
            "the run is complete and visible."
        )
        return ExitCode.TOO_MANY_FAILURES
    return ExitCode.OK


class Interrupts:
    """Remembers Ctrl-C and SIGTERM, which Beam makes ordinary errors if they fall into work on an element.

    Attributes:
        seen: whether there was one inside the ``with`` block.
        given_up: whether the job was, by another thread of this process.
        between: what a runner wanted to be called on Ctrl-C.
    """

    def __init__(self) -> None:
        """Watches nothing yet."""
        self.seen = False
        self.given_up = False
        self.between: object = None

    def __enter__(self) -> Self:
        """Watches, if this is the thread that may."""
        self._watching = threading.current_thread() is threading.main_thread()
        if self._watching:
            self._before = {sign: signal.signal(sign, self._interrupt) for sign in _STOPS}
        return self

    def watch_again(self) -> None:
        """Comes before the handler that a runner has put in between, which ends what a cancel needs."""
        if self._watching:
            self.between = signal.getsignal(signal.SIGINT)
            for sign in self._before:
                signal.signal(sign, self._interrupt)

    def give_up(self) -> None:
        """Ends what the main thread waits for, as Ctrl-C does.

        The signal is for that thread: sent to the process, another one may take it and leave it waiting.
        """
        self.given_up = True
        main = threading.main_thread().ident
        assert main is not None
        signal.pthread_kill(main, signal.SIGINT)

    def _interrupt(self, number: int, frame: FrameType | None) -> None:
        self.seen = self.seen or not self.given_up
        raise KeyboardInterrupt

    def __exit__(self, *error: object) -> None:
        """Puts back what was there."""
        if self._watching:
            for sign, before in self._before.items():
                signal.signal(sign, before)


def _last_line(error: BaseException) -> str:
    """The line of an error that says most: the last, or of a Java trace the innermost cause."""
    lines = [line.strip() for line in str(error).splitlines() if line.strip()]
    causes = [line for line in lines if line.startswith(_JAVA_CAUSE)]
    if causes:
        return causes[-1].removeprefix(_JAVA_CAUSE)
    told = [line for line in lines if not _JAVA_FRAME.match(line)]
    return told[-1] if told else type(error).__name__


def summary(record: dict[str, Any], seconds: float) -> str:
    """What a run has done, and what to type next."""
    output, fields = record["options"]["output"], record["fields"]
    shown = os.path.relpath(output) if is_local(output) else output
    quoted = shlex.quote(output if shown.startswith("..") else shown)
    lines = [
        f"{record['forms']:,} of {record['pages_in']:,} pages read in {seconds:.1f} s "
        f"({record['pages_in'] / max(seconds, 1e-9):.1f} pages/s)",
        *skipped_line(record),
        f"{record['failures']:,} failed"
        + "".join(f"; {code}: {n:,}" for code, n in sorted(record["failure_codes"].items())),
        f"fields: {fields.get('accepted', 0):,} accepted, {fields.get('review', 0):,} to review, "
        f"{fields.get('blank', 0):,} blank",
        f"output: {output}, run {record['run']}",
    ]
    sql = "SELECT source, page, code, message FROM failures"
    if record["forms"] or record["skipped"]["files"]:
        sql = "SELECT source, page, field, text, confidence FROM fields WHERE status = 'review'"
    return visible("\n".join([*lines, f'next:   formscribe query {quoted} "{sql}"']), keep=LINES)


def skipped_line(record: Mapping[str, Any]) -> list[str]:
    """What ``--resume`` has left out, if anything."""
    skipped = record["skipped"]
    if not skipped["files"]:
        return []
    return [f"{skipped['files']:,} files, {skipped['pages']:,} pages skipped: read by an earlier run"]
