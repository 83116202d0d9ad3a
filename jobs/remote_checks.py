"""Sees, before a job starts, whether the object stores it names can be used, and takes the output for it."""

import atexit
import shutil
import sys
import tempfile
from pathlib import Path

from apache_beam.options.pipeline_options import GoogleCloudOptions, PipelineOptions, StandardOptions

from jobs.beam_flags import DEFAULT_RUNNER, worker_processes
from jobs.dataflow.defaults import check_places, is_dataflow, job_name
from jobs.exit_codes import CommandError, ExitCode
from jobs.remote_lock import RemoteRunLock, clear_dead_remote_runs, run_is_known
from jobs.run_lock import RunLock
from pipeline.inputs import read_file
from pipeline.matching import is_local, match_files
from pipeline.options import JobOptions
from pipeline.remote import reason
from pipeline.remote_access import RemoteError, check_store, hand_to_workers, may_be_read, use_stores

MAX_TEMPLATE_BYTES = 10_000_000


def open_stores(options: JobOptions, flags: PipelineOptions) -> None:
    """Lets this process reach the stores that a job names, and sees whether they answer.

    Workers of a service have an account of their own: that this machine may not list an input is no error
    then.

    Raises:
        CommandError: packages or credentials are missing, a bucket is missing, or access is denied.
    """
    use_stores(flags)
    if worker_processes(flags):
        hand_to_workers(flags)
    runner = flags.view_as(StandardOptions).runner
    if is_dataflow(runner):
        _prepare_dataflow(options, flags)
    elsewhere = runner != DEFAULT_RUNNER
    for name in options.inputs:
        try:
            check_store(name, flags)
        except RemoteError as error:
            if error.denied and (elsewhere or may_be_read(name)):
                continue
            raise CommandError(ExitCode.NO_INPUT, f"--input {name}: {error}") from None
    try:
        check_store(options.output, flags)
    except RemoteError as error:
        raise CommandError(ExitCode.OUTPUT_NOT_WRITABLE, f"--output {options.output}: {error}") from None


def local_copy(flag: str, name: str, flags: PipelineOptions) -> str:
    """A file of this machine with the content of a remote one, deleted at the end; local names stay.

    Raises:
        CommandError: it cannot be had.
    """
    if is_local(name):
        return name
    use_stores(flags)
    try:
        check_store(name, flags)
        content = read_file(name, MAX_TEMPLATE_BYTES)
    except RemoteError as error:
        raise CommandError(ExitCode.BAD_TEMPLATE, f"{flag} {name}: {error}") from None
    except Exception as error:
        raise CommandError(ExitCode.BAD_TEMPLATE, f"{flag} {name}: {reason(error)[1]}.") from error
    folder = Path(tempfile.mkdtemp(prefix="formscribe-"))
    atexit.register(shutil.rmtree, folder, ignore_errors=True)
    copy = folder / Path(name).name
    copy.write_bytes(content)
    return str(copy)


def _prepare_dataflow(options: JobOptions, flags: PipelineOptions) -> None:
    check_places(options.inputs, options.output)
    google = flags.view_as(GoogleCloudOptions)
    google.job_name = google.job_name or job_name(options.run_id)
    for name in ("temp_location", "staging_location"):
        place = getattr(google, name)
        try:
            check_store(place or google.temp_location, flags)
        except RemoteError as error:
            raise CommandError(ExitCode.OUTPUT_NOT_WRITABLE, f"--{name} {place}: {error}") from None


def first_remote(name: str) -> str | None:
    """The first file that a remote input means, or its own name if this machine may not know.

    Raises:
        CommandError: the store gave an error.
    """
    try:
        return next(match_files(name), None)
    except Exception as error:
        code, message = reason(error)
        if code == "permission_denied":
            return name
        raise CommandError(ExitCode.NO_INPUT, f"--input {name}: cannot be listed ({message}).") from error


def claim_remote_output(options: JobOptions) -> RunLock:
    """Sees whether a remote output can be written, clears what is dead in it, and locks it for the run.

    Raises:
        CommandError: it cannot, or it already has a run of this name.
    """
    lock = RemoteRunLock(options.output, options.run_id)
    try:
        if run_is_known(options.output, options.run_id):
            raise run_taken(options)
        for run in clear_dead_remote_runs(options.output):
            print(f"cleared: what run {run} had left in {options.output}", file=sys.stderr)
        if not lock.acquire():
            raise run_taken(options)
    except CommandError:
        raise
    except Exception as error:
        raise CommandError(
            ExitCode.OUTPUT_NOT_WRITABLE,
            f"--output {options.output}: cannot be written ({reason(error)[1]}). Give the user or service "
            "account the right to list, read, write and delete there.",
        ) from error
    return lock


def run_taken(options: JobOptions) -> CommandError:
    """The error for a name that another run has, or had when it was killed."""
    remedy = "name another"
    if not is_local(options.output):
        remedy += ", or delete what a killed run of that name has left under _temp"
    return CommandError(
        ExitCode.USAGE, f"--run_id {options.run_id}: is in {options.output} already; {remedy}."
    )
