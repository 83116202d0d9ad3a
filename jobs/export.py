"""Writes the verified table, every field with what stands there, or the labelled characters to train with."""

import argparse
from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any

import duckdb
import pyarrow as pa
import pyarrow.parquet as pq

from jobs import corrections
from jobs.exit_codes import CommandError, ExitCode
from jobs.query import add_database, open_results
from jobs.remote_results import is_remote, refuse_remote
from jobs.single_floats import places_in_arrow, shorten_rows
from jobs.tables import write_csv

COLUMNS = (
    "source", "page", "sha256", "template", "field", "ordinal", "final_text", "status", "confidence", "text",
    "verdict", "verified_text", "verifier", "verified_at", "charset", "run",
)  # fmt: skip
BATCH = 16_384
EPILOG = """examples:
  formscribe export out --out verified.parquet
  formscribe export out --out verified.csv
  formscribe export out --out verified.csv --only verified
  formscribe export out --out verified.parquet --database postgresql+psycopg://desk@db.example/formscribe
  formscribe export out --crops corrections.npz

A row a field. final_text is what somebody has verified, else what was read; it is empty where the field is
blank, and NULL where somebody has found that nobody can read it. In CSV an empty text is "" and NULL is
nothing between the commas; for readers that do not tell these apart, the verdict is `unreadable`.

--crops writes the pictures of the characters whose label follows from what people said: a data set for
`formscribe train --dataset corrections:FILE`.
"""
_SQL = """
    SELECT {columns}
    FROM fields
    JOIN (SELECT source, page, run, sha256, template FROM forms) USING (source, page, run)
    LEFT JOIN (
        SELECT DISTINCT ON (sha256, page, template, field)
               sha256, page, template, field, verifier AS said_by, created AS said_at
        FROM corrections ORDER BY id DESC
    ) USING (sha256, page, template, field)
    {where}
    ORDER BY source, page, ordinal, field
"""
_SHOWN = {
    "verifier": "CASE WHEN verdict IS NOT NULL THEN said_by END AS verifier",
    "verified_at": "CASE WHEN verdict IS NOT NULL THEN said_at END AS verified_at",
}
_ONLY = {
    "all": "",
    "verified": "WHERE verdict IS NOT NULL",
    "sure": "WHERE verdict IS NOT NULL OR status <> 'review'",
}


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Adds the arguments of the command."""
    parser.add_argument("output", metavar="OUT", help="the folder that `formscribe run --output` wrote")
    target = parser.add_mutually_exclusive_group(required=True)
    target.add_argument("--out", metavar="FILE", help="the table to write: .parquet or .csv")
    target.add_argument("--crops", metavar="FILE", help="the labelled characters to write: .npz")
    parser.add_argument(
        "--only",
        choices=sorted(_ONLY),
        default="all",
        help="verified: fields that people have looked at; sure: these, and those that nobody need look at "
        "(default: %(default)s)",
    )
    parser.add_argument("--run", metavar="ID", help="only this run (default: the newest of each source)")
    add_database(parser)


def run(args: argparse.Namespace) -> int:
    """Writes the table under a temporary name and renames it: it is whole or not there.

    Raises:
        CommandError: the format is unknown, there are no results, or the file cannot be written.
    """
    refuse_remote("export", args.output)
    if is_remote(args.out or args.crops):
        told = f"{args.out or args.crops}: name a file of this machine, and copy it there afterwards."
        raise CommandError(ExitCode.OUTPUT_NOT_WRITABLE, f"{'--out' if args.out else '--crops'} {told}")
    if args.crops:
        return corrections.export_crops(Path(args.output), args.database, Path(args.crops))
    target = Path(args.out)
    writers: dict[str, Callable[[Path, pa.RecordBatchReader], int]]
    writers = {".parquet": _write_parquet, ".csv": _write_csv}
    write = writers.get(target.suffix.lower())
    if write is None:
        raise CommandError(ExitCode.USAGE, f"--out {target}: name a file that ends with .parquet or .csv.")
    connection = open_results(Path(args.output), args.run, database=args.database)
    temporary = target.with_name(target.name + ".part")
    try:
        rows = write(temporary, _rows(connection, args.only))
        temporary.replace(target)
    except OSError as error:
        discard(temporary)
        raise CommandError(
            ExitCode.OUTPUT_NOT_WRITABLE,
            f"--out {target}: cannot be written ({error.strerror or error}). Is there such a folder?",
        ) from None
    except BaseException:
        discard(temporary)
        raise
    print(f"{rows:,} {'row' if rows == 1 else 'rows'}: {target}")
    return ExitCode.OK


def discard(temporary: Path) -> None:
    """Deletes a file, if it is there and may be deleted."""
    with suppress(OSError):
        temporary.unlink()


def _rows(connection: duckdb.DuckDBPyConnection, only: str) -> pa.RecordBatchReader:
    columns = ", ".join(_SHOWN.get(name, name) for name in COLUMNS)
    return connection.execute(_SQL.format(columns=columns, where=_ONLY[only])).to_arrow_reader(BATCH)


def _write_parquet(path: Path, batches: pa.RecordBatchReader) -> int:
    rows = 0
    with pq.ParquetWriter(path, batches.schema, compression="zstd") as writer:
        for batch in batches:
            writer.write_batch(batch)
            rows += batch.num_rows
    return rows


def _write_csv(path: Path, batches: pa.RecordBatchReader) -> int:
    rows = 0

    def lines() -> Iterator[tuple[Any, ...]]:
        nonlocal rows
        for batch in batches:
            rows += batch.num_rows
            yield from zip(*(column.to_pylist() for column in batch.columns), strict=True)

    with path.open("w", encoding="utf-8", newline="") as stream:
        places = [places_in_arrow(kind) for kind in batches.schema.types]
        write_csv(stream, batches.schema.names, shorten_rows(lines(), places))
    return rows
