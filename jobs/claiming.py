"""Takes the output folder for a run, once it is known that everything in it can be written."""

import os
import tempfile
from pathlib import Path

from jobs.exit_codes import CommandError, ExitCode
from jobs.remote_checks import claim_remote_output, run_taken
from jobs.run_lock import RunLock, clear_dead_runs
from pipeline.matching import is_local
from pipeline.options import JobOptions
from pipeline.schemas import TABLES
from pipeline.writing import RUNS, discard_temporary, run_record_path, table_folder, temporary_folder


def claim_output(options: JobOptions) -> RunLock:
    """Makes the output folder, sees whether it can be written, and clears what is dead in it.

    Raises:
        CommandError: it cannot, or it already has a run of this name.
    """
    if not is_local(options.output):
        return claim_remote_output(options)
    lock = RunLock(options.output, options.run_id)
    taken = run_taken(options)
    try:
        if Path(run_record_path(options.output, options.run_id)).exists():
            raise taken
        clear_dead_runs(options.output)
        places = [table_folder(options.output, table, options.run_id) for table in TABLES]
        if any(Path(place).exists() for place in places) or not lock.acquire():
            raise taken
        probe = Path(temporary_folder(options.output, options.run_id)) / "probe"
        probe.write_bytes(b"")
        probe.unlink()
        _try_folders(options.output)
    except OSError as error:
        if lock.held:  # else it may be the folder of another run that is at work
            discard_temporary(options.output, options.run_id)
        lock.release()
        raise CommandError(
            ExitCode.OUTPUT_NOT_WRITABLE,
            f"--output {_place_of(error, options.output)}: cannot be written ({error.strerror}). "
            "Name a folder that can.",
        ) from None
    return lock


def _try_folders(output: str) -> None:
    """Sees whether the folders that only the end of a run writes into take files; leaves none there."""
    for place in (output, *(os.path.join(output, name) for name in (RUNS, *TABLES))):
        if os.path.lexists(place):
            try:
                with tempfile.TemporaryFile(dir=place):
                    pass
            except OSError as error:
                raise OSError(error.errno, error.strerror, place) from None


def _place_of(error: OSError, output: str) -> str:
    """The folder that an error is about, if it is one of the output that the user knows."""
    place = str(error.filename or output)
    return place if os.path.basename(place) in (RUNS, *TABLES) else output
