"""Results and scans that lie in an object store, for commands that work on files of this machine.

The Parquet files that a question needs are copied into a temporary folder, which is deleted afterwards.
Nothing is kept: asking twice fetches twice.
"""

import json
import re
import shutil
import sys
import tempfile
from collections.abc import Collection, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TextIO

from jobs.exit_codes import CommandError, ExitCode

TABLES = ("forms", "fields", "characters", "failures")
NEEDED = frozenset({"forms", "failures"})  # tell the newest run of each source
AT_ONCE = 8
SPARE_BYTES = 100_000_000  # of the disk, for DuckDB


def is_remote(path: str) -> bool:
    """Whether a path is of an object store."""
    return "://" in path


def refuse_remote(command: str, output: str) -> None:
    """Tells that a command works on local results only.

    Raises:
        CommandError: these are in an object store.
    """
    if is_remote(output):
        told = f"{output}: `formscribe {command}` works on a folder of this machine. Copy the output first."
        raise CommandError(ExitCode.NO_RESULTS, told)


def tables_named_in(sql: str) -> frozenset[str]:
    """The tables whose names a question holds; the others need not be fetched."""
    words = set(re.findall(r"[a-z_]+", sql.lower()))
    return frozenset(table for table in TABLES if table in words)


@contextmanager
def local_results(output: str, run_id: str | None = None, tables: Collection[str] = TABLES) -> Iterator[Path]:
    """A folder of this machine with the results: the very one, or copies of those of an object store.

    Args:
        output: what ``formscribe run --output`` was given.
        run_id: only this run.
        tables: those whose rows are wanted; the others may come out empty.

    Raises:
        CommandError: the store cannot be used, has no such results, or they do not fit on the disk.
    """
    if not is_remote(output):
        yield Path(output)
        return
    _open_store(output)
    folder = Path(tempfile.mkdtemp(prefix="formscribe-results-"))
    try:
        with _told(output):
            _fetch(output.rstrip("/"), run_id, frozenset(tables) | NEEDED, folder)
        yield folder
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def read_scan(path: str) -> bytes:
    """The bytes of a scan, local or remote.

    Raises:
        OSError: it cannot be had.
    """
    if not is_remote(path):
        return Path(path).read_bytes()
    from pipeline.inputs import read_file
    from pipeline.remote import reason
    from pipeline.stages import Stages

    try:
        _open_store(path)
        return read_file(path, Stages.max_bytes)
    except CommandError as error:
        raise OSError(None, str(error)) from None
    except Exception as error:
        raise OSError(None, reason(error)[1]) from error


def _open_store(path: str) -> None:
    """Whatever Beam's flags say for a job, variables of the environment say here."""
    from apache_beam.options.pipeline_options import PipelineOptions

    from pipeline.remote_access import RemoteError, check_store, may_be_read, use_stores

    options = PipelineOptions([])
    use_stores(options)
    try:
        check_store(path, options)
    except RemoteError as error:
        if not (error.denied and may_be_read(path)):
            raise CommandError(ExitCode.NO_RESULTS, f"{path}: {error}") from None


@contextmanager
def _told(output: str) -> Iterator[None]:
    from pipeline.remote import reason

    try:
        yield
    except CommandError:
        raise
    except Exception as error:
        message = getattr(error, "strerror", None) or reason(error)[1]
        raise CommandError(ExitCode.NO_RESULTS, f"{output}: cannot be fetched ({message}).") from error


@dataclass(frozen=True)
class _Copy:
    source: str
    target: Path
    size: int


def _fetch(output: str, run_id: str | None, tables: Collection[str], folder: Path) -> None:
    from pipeline.remote import list_objects

    records = [
        _Copy(found.path, folder / "_runs" / Path(found.path).name, found.size_in_bytes)
        for found in list_objects(f"{output}/_runs/")
        if found.path.endswith(".json")
    ]
    _copy_all(records)
    runs = [_run_of(record) for record in records]
    if not runs:
        raise CommandError(
            ExitCode.NO_RESULTS,
            f"{output}: holds no complete run. Is it the --output of a `formscribe run` that has ended?",
        )
    if run_id is not None and run_id not in runs:
        raise CommandError(
            ExitCode.NO_RESULTS,
            f"--run {run_id}: is no complete run of {output}. There are: {', '.join(sorted(runs))}.",
        )
    wanted = runs if run_id is None else [run_id]
    _copy_tables(list(_parts(output, wanted, tables, folder)), output)
    for table in set(TABLES) - set(tables):
        _write_empty(folder, table, wanted[0])


def _run_of(record: _Copy) -> str:
    try:
        return str(json.loads(record.target.read_text("utf-8"))["run"])
    except (ValueError, KeyError, TypeError) as error:
        raise CommandError(
            ExitCode.NO_RESULTS, f"{record.source}: is damaged ({error}). Delete it to leave this run out."
        ) from None


def _parts(output: str, runs: Sequence[str], tables: Collection[str], folder: Path) -> Iterator[_Copy]:
    from pipeline.remote import list_objects

    for table in sorted(tables):
        for run in runs:
            place = f"{output}/{table}/run={run}/"
            parts = [found for found in list_objects(place) if found.path.endswith(".parquet")]
            if not parts:
                raise CommandError(
                    ExitCode.NO_RESULTS, f"{place}: the files of this run are gone. Run the job again."
                )
            for found in parts:
                target = folder / table / f"run={run}" / Path(found.path).name
                yield _Copy(found.path, target, found.size_in_bytes)


def _copy_tables(parts: Sequence[_Copy], output: str) -> None:
    size = sum(part.size for part in parts)
    free = shutil.disk_usage(tempfile.gettempdir()).free
    if size + SPARE_BYTES > free:
        raise CommandError(
            ExitCode.NO_RESULTS,
            f"{output}: {size / 1e9:.1f} GB are to be fetched, and {tempfile.gettempdir()} has room for "
            f"{free / 1e9:.1f} GB. Let TMPDIR name a larger disk, or ask with --run for one run.",
        )
    _copy_all(parts, sys.stderr)


def _copy_all(parts: Sequence[_Copy], stream: TextIO | None = None) -> None:
    """Copies several files at once; on a terminal the stream shows how far it is."""
    live = stream is not None and stream.isatty()
    size, done = sum(part.size for part in parts), 0
    pool = ThreadPoolExecutor(AT_ONCE)
    try:
        for part in pool.map(_copy, parts):
            done += part.size
            if stream and live:
                stream.write(f"\r\x1b[Kfetching {done / 1e6:,.0f} of {size / 1e6:,.0f} MB")
                stream.flush()
    finally:
        pool.shutdown(cancel_futures=True)
        if stream and live:
            stream.write("\r\x1b[K")
    if stream and not live and parts:
        stream.write(f"fetched {len(parts):,} files, {size / 1e6:,.1f} MB\n")


def _copy(part: _Copy) -> _Copy:
    from apache_beam.io.filesystem import CompressionTypes
    from apache_beam.io.filesystems import FileSystems

    part.target.parent.mkdir(parents=True, exist_ok=True)
    with (
        FileSystems.open(part.source, compression_type=CompressionTypes.UNCOMPRESSED) as source,
        part.target.open("wb") as target,
    ):
        shutil.copyfileobj(source, target, 16 * 1024 * 1024)
    return part


def _write_empty(folder: Path, table: str, run: str) -> None:
    """A table that the question does not name, so that it can be described all the same."""
    import pyarrow.parquet as pq

    from pipeline import schemas

    path = folder / table / f"run={run}" / "part-00000-of-00001.parquet"
    path.parent.mkdir(parents=True)
    pq.write_table(schemas.TABLES[table].empty_table(), path)
