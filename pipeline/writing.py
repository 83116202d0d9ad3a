"""Rows to Parquet: complete or absent.

Each bundle writes its rows under temporary names and gives out the names when it is done. The last step
gets exactly the files of the bundles that succeeded, renames them into place and writes ``_runs/ID.json``.
Files of bundles that failed or ran twice are never named to it, so they are never seen; readers ignore a run
without its record. No row is shuffled: what a worker has read it writes itself.
"""

import json
import os
import shutil
import uuid
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
from apache_beam.io.filesystem import CompressionTypes
from apache_beam.io.filesystems import FileSystems

from pipeline.latency import latencies, latency_counts
from pipeline.matching import list_folder
from pipeline.options import JobOptions, utc_now
from pipeline.records import Failure, PageRows, Row, Seen, ShardFile, Totals
from pipeline.remote import delete_below
from pipeline.schemas import STATUSES, TABLES

ROW_GROUP_ROWS = 4_096
PACK_ROWS = 512  # are kept as Python objects, which take several times the memory of columns
SHARD_BYTES = 256 * 1024 * 1024
RUNS = "_runs"
_TEMPORARY = "_temp"


def run_record_path(output: str, run_id: str) -> str:
    """Where the record of a complete run lies."""
    return FileSystems.join(output, RUNS, f"{run_id}.json")


def temporary_folder(output: str, run_id: str) -> str:
    """Where a run keeps its files until it is complete."""
    return FileSystems.join(output, _TEMPORARY, f"run={run_id}")


def table_folder(output: str, table: str, run_id: str) -> str:
    """Where the files of a table lie once the run is complete."""
    return FileSystems.join(output, table, f"run={run_id}")


class TableWriter:
    """Writes one table to temporary Parquet files, row group by row group, shard by shard."""

    def __init__(self, table: str, folder: str, shard_bytes: int = SHARD_BYTES) -> None:
        """Opens nothing yet."""
        self._table, self._folder, self._shard_bytes = table, folder, shard_bytes
        self._schema: pa.Schema = TABLES[table]
        self._rows: list[Row] = []
        self._packed: list[pa.RecordBatch] = []
        self._waiting = 0
        self._counts: Counter[str] = Counter()
        self._path = ""
        self._stream: Any = None
        self._writer: pq.ParquetWriter | None = None
        self._written = 0
        self._shards: list[ShardFile] = []

    def add(self, rows: Sequence[Row], counts: Mapping[str, int]) -> None:
        """Takes rows, and what they count for in the totals."""
        self._rows.extend(rows)
        self._waiting += len(rows)
        self._counts.update(counts)
        if len(self._rows) >= PACK_ROWS:
            self._pack()
        if self._waiting >= ROW_GROUP_ROWS:
            self._flush()
            if self._stream.tell() >= self._shard_bytes:
                self._close_shard()

    def finish(self) -> list[ShardFile]:
        """Closes the last file and returns all that were written; none if there was no row."""
        if self._waiting:
            self._flush()
        self._close_shard()
        return self._shards

    def _pack(self) -> None:
        self._packed.append(pa.RecordBatch.from_pylist(self._rows, schema=self._schema))
        self._rows = []

    def _flush(self) -> None:
        if self._writer is None:
            self._path = FileSystems.join(self._folder, f"{self._table}-{uuid.uuid4().hex}.parquet")
            self._stream = _create(self._path)
            self._writer = pq.ParquetWriter(self._stream, self._schema, compression="zstd")
        self._pack()
        table = pa.Table.from_batches(self._packed, schema=self._schema)
        self._writer.write_table(table, row_group_size=ROW_GROUP_ROWS)
        self._written += self._waiting
        self._packed, self._waiting = [], 0

    def _close_shard(self) -> None:
        if self._writer is None:
            return
        self._writer.close()
        self._stream.close()
        self._shards.append(ShardFile(self._table, self._path, self._written, dict(self._counts)))
        self._writer, self._stream, self._written, self._counts = None, None, 0, Counter()


class BundleWriter:
    """The writers of all tables for one bundle."""

    def __init__(self, options: JobOptions) -> None:
        """Opens nothing yet."""
        folder = temporary_folder(options.output, options.run_id)
        self._tables = {table: TableWriter(table, folder) for table in TABLES}

    def add(self, item: PageRows | Failure) -> dict[str, int]:
        """Takes the rows of a page, or a failure; returns what they count for."""
        if isinstance(item, Failure):
            counts = {f"code:{item.code}": 1}
            self._tables["failures"].add([item._asdict()], counts)
            return counts
        counts = {f"status:{status}": item.form[f"fields_{status}"] for status in STATUSES}
        self._tables["forms"].add([item.form], {**counts, **latency_counts(item.form)})
        self._tables["fields"].add(item.fields, {})
        self._tables["characters"].add(item.characters, {})
        return counts

    def finish(self) -> list[ShardFile]:
        """Closes all files and returns them."""
        return [shard for writer in self._tables.values() for shard in writer.finish()]


def totals_of(pages_in: int, shards: Iterable[ShardFile]) -> Totals:
    """Sums the counts of the files that make a run."""
    rows: Counter[str] = Counter()
    counts: Counter[str] = Counter()
    for shard in shards:
        rows[shard.table] += shard.rows
        counts.update(shard.counts)

    def of(kind: str) -> dict[str, int]:
        return {name.partition(":")[2]: n for name, n in sorted(counts.items()) if name.startswith(kind)}

    return Totals(pages_in, rows["forms"], rows["failures"], of("status:"), of("code:"), latencies(counts))


def commit_run(
    options: JobOptions, pages_in: int, shards: Iterable[ShardFile], skipped: Seen | None = None
) -> Totals:
    """Makes a run visible: files into place, then the record. Doing it twice is as good as once.

    Args:
        options: of the job.
        pages_in: pages that were found, counted apart from the rows; a file that cannot be opened is one.
        shards: the files of all bundles that succeeded.
        skipped: what was left out because an earlier run has read it.

    Raises:
        RuntimeError: pages in are not forms and failures together; nothing becomes visible.
    """
    shards = sorted(shards)
    totals = totals_of(pages_in, shards)
    if not totals.holds:
        raise RuntimeError(
            f"{pages_in} pages came in, but {totals.forms} forms and {totals.failures} failures came out; "
            "the run is not made visible."
        )
    record = run_record_path(options.output, options.run_id)
    if FileSystems.exists(record):
        discard_temporary(options.output, options.run_id)
        return totals
    for table in TABLES:
        paths = [shard.path for shard in shards if shard.table == table]
        _place(paths or [_empty_file(table, options)], table_folder(options.output, table, options.run_id))
    _write_record(record, options, totals, skipped or Seen())
    discard_temporary(options.output, options.run_id)
    return totals


def _place(paths: Sequence[str], folder: str) -> None:
    """Moves files into a folder, which has no others afterwards.

    A cluster that loses a machine during an earlier try may have had the pages read again: that try has left
    files with the same rows, perhaps of another number.
    """
    _make_folder(folder)
    targets = [
        FileSystems.join(folder, f"part-{number:05d}-of-{len(paths):05d}.parquet")
        for number in range(len(paths))
    ]
    for path, target in zip(paths, targets, strict=True):
        if FileSystems.exists(path):  # else an earlier try has moved it
            FileSystems.rename([path], [target])
        elif not FileSystems.exists(target):
            raise RuntimeError(f"{path}: is gone before it could be moved to {target}")
    others = sorted(set(list_folder(folder, ".parquet")) - set(targets))
    if others:
        FileSystems.delete(others)


def _empty_file(table: str, options: JobOptions) -> str:
    """A file without rows, so that every table can be opened."""
    folder = temporary_folder(options.output, options.run_id)
    path = FileSystems.join(folder, f"{table}-empty.parquet")
    with _create(path) as stream:
        pq.write_table(TABLES[table].empty_table(), stream, compression="zstd")
    return path


def _write_record(path: str, options: JobOptions, totals: Totals, skipped: Seen) -> None:
    finished = utc_now()
    duration = datetime.fromisoformat(finished) - datetime.fromisoformat(options.started)
    seconds = max(duration.total_seconds(), 0.001)
    content = {
        "run": options.run_id,
        "version": options.version,
        "started": options.started,
        "finished": finished,
        "seconds": round(seconds, 3),
        "template_sha256": options.template.sha256,
        "templates": {template.name: template.sha256 for template in options.templates},
        "model_sha256": options.model_sha256,
        "options": options.record(),
        "pages_in": totals.pages_in,
        "forms": totals.forms,
        "failures": totals.failures,
        "fields": dict(totals.fields),
        "failure_codes": dict(totals.failure_codes),
        "skipped": {"files": skipped.skipped_files, "pages": skipped.skipped_pages},
        "pages_per_second": round(totals.pages_in / seconds, 3),
        "latency_ms": dict(totals.latencies),
    }
    temporary = FileSystems.join(temporary_folder(options.output, options.run_id), f"{options.run_id}.json")
    with _create(temporary) as stream:
        stream.write(json.dumps(content, indent=2, ensure_ascii=False).encode())
    _make_folder(FileSystems.split(path)[0])
    FileSystems.rename([temporary], [path])


def read_record(output: str, run_id: str) -> dict[str, Any]:
    """The record of a complete run; raises OSError if there is none."""
    with FileSystems.open(run_record_path(output, run_id)) as stream:
        record: dict[str, Any] = json.loads(stream.read())
    return record


def discard_temporary(output: str, run_id: str) -> None:
    """Deletes what a run has not made visible; says nothing if that cannot be done."""
    folder = temporary_folder(output, run_id)
    try:
        if "://" not in output:
            shutil.rmtree(folder, ignore_errors=True)
            os.rmdir(os.path.dirname(folder))  # fails, as it should, while another run is at work
            return
        delete_below(folder)
    except Exception:  # only tidiness is lost
        return


def discard_run(output: str, run_id: str) -> None:
    """Deletes what a dead run has left, also tables that it had moved into place without their record."""
    if "://" in output:
        _discard_remote_tables(output, run_id)
    elif not os.path.exists(run_record_path(output, run_id)):
        for table in TABLES:
            shutil.rmtree(table_folder(output, table, run_id), ignore_errors=True)
    discard_temporary(output, run_id)


def _discard_remote_tables(output: str, run_id: str) -> None:
    try:
        if not FileSystems.exists(run_record_path(output, run_id)):
            for table in TABLES:
                delete_below(table_folder(output, table, run_id))
    except Exception:  # only tidiness is lost: readers ignore what has no record
        return


def _create(path: str) -> Any:
    return FileSystems.create(path, "application/octet-stream", CompressionTypes.UNCOMPRESSED)


def _make_folder(folder: str) -> None:
    """Makes a folder where the file system has folders; concurrent makers do not disturb each other."""
    if folder.startswith(("gs://", "s3://")):  # which have none
        return
    try:
        if not FileSystems.exists(folder):
            FileSystems.mkdirs(folder)
    except OSError:
        if not FileSystems.exists(folder):
            raise
