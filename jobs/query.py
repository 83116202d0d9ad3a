"""Asks the results in SQL: views forms, fields, characters and failures over the complete runs of a folder.

Every source shows the rows of its newest complete run, so that a folder read twice does not count double.
"""

import argparse
import json
import re
import sys
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import Any, TextIO

import duckdb

from jobs.exit_codes import CommandError, ExitCode
from jobs.tables import write_csv, write_json, write_table

VIEWS = ("forms", "fields", "characters", "failures")
OVERVIEW = "SELECT source, page, field, text, confidence, status FROM fields ORDER BY source, page, ordinal"
BATCH = 10_000
EPILOG = """examples:
  formscribe query out
  formscribe query out "SELECT status, count(*) FROM fields GROUP BY status"
  formscribe query out "SELECT source, field, text FROM fields WHERE status = 'review'" --format csv
  formscribe query out "SELECT * FROM failures" --format json

The SQL is DuckDB's; only reading is allowed. `run` is a column of every view. Tables: DESCRIBE fields.
"""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Adds the arguments of the command."""
    parser.add_argument("output", metavar="OUT", help="the folder that `formscribe run --output` wrote")
    parser.add_argument(
        "sql", metavar="SQL", nargs="?", help="one SELECT (default: an overview of all fields)"
    )
    parser.add_argument(
        "--format", choices=("table", "csv", "json"), default="table", help="(default: %(default)s)"
    )
    parser.add_argument(
        "--rows",
        type=int,
        default=50,
        metavar="N",
        help="most rows of a table, 0 for all (default: %(default)s)",
    )
    which = parser.add_mutually_exclusive_group()
    which.add_argument("--run", metavar="ID", help="only this run")
    which.add_argument(
        "--all-runs", action="store_true", help="all complete runs, not the newest of each source"
    )


def run(args: argparse.Namespace) -> int:
    """Prints the rows of a query."""
    if args.rows < 0:
        raise CommandError(ExitCode.USAGE, f"--rows {args.rows}: is below 0; 0 shows all.")
    connection = open_results(Path(args.output), args.run, args.all_runs)
    columns, rows = execute(connection, args.sql or OVERVIEW)
    stream: TextIO = sys.stdout
    if args.format == "csv":
        write_csv(stream, columns, rows)
    elif args.format == "json":
        write_json(stream, columns, rows)
    else:
        write_table(stream, columns, rows, args.rows)
    stream.flush()
    return ExitCode.OK


def complete_runs(output: Path) -> dict[str, str]:
    """Runs that ended well, oldest first: their name, and when they ended.

    Raises:
        CommandError: there is none, or a record cannot be read.
    """
    if not output.is_dir():
        raise CommandError(
            ExitCode.NO_RESULTS, f"{output}: is no folder. Name the --output of a `formscribe run`."
        )
    runs = {}
    for path in (output / "_runs").glob("*.json"):
        try:
            record = json.loads(path.read_text("utf-8"))
            runs[str(record["run"])] = str(record["finished"])
        except (OSError, ValueError, KeyError) as error:
            raise CommandError(
                ExitCode.NO_RESULTS, f"{path}: is damaged ({error}). Delete it to leave this run out."
            ) from None
    if not runs:
        raise CommandError(
            ExitCode.NO_RESULTS,
            f"{output}: holds no complete run. Is it the --output of a `formscribe run` that has ended?",
        )
    return dict(sorted(runs.items(), key=lambda item: (item[1], item[0])))


def open_results(
    output: Path, run_id: str | None = None, all_runs: bool = False
) -> duckdb.DuckDBPyConnection:
    """A database in memory whose views read the Parquet files of complete runs, and nothing else.

    Args:
        output: the folder of results.
        run_id: only this run.
        all_runs: rows of all runs; otherwise those of the newest run of each source.

    Raises:
        CommandError: there is no complete run, or not this one.
    """
    runs = complete_runs(output)
    if run_id is not None and run_id not in runs:
        raise CommandError(
            ExitCode.NO_RESULTS,
            f"--run {run_id}: is no complete run of {output}. There are: {', '.join(runs)}.",
        )
    chosen = [run_id] if run_id is not None else list(runs)
    connection = duckdb.connect(":memory:")
    connection.execute("CREATE SCHEMA stored")
    files = [path for view in VIEWS for path in _store(connection, output, view, chosen)]
    newest = len(chosen) > 1 and not all_runs
    if newest:
        _find_newest(connection, runs)
    for view in VIEWS:
        only = "SEMI JOIN stored.newest USING (source, run)" if newest else ""
        connection.execute(f"CREATE VIEW {view} AS SELECT * FROM stored.{view} {only}")
    _lock(connection, files)
    return connection


def _store(connection: duckdb.DuckDBPyConnection, output: Path, view: str, runs: Sequence[str]) -> list[str]:
    files = [
        str(path.resolve())
        for run in runs
        for path in sorted((output / view / f"run={run}").glob("*.parquet"))
    ]
    if not files:
        raise CommandError(
            ExitCode.NO_RESULTS,
            f"{output / view}: the files of run {', '.join(runs)} are gone. Run the job again.",
        )
    listed = ", ".join(_quote(path) for path in files)
    connection.execute(
        f"CREATE VIEW stored.{view} AS SELECT * FROM read_parquet([{listed}], union_by_name = true, "
        "hive_partitioning = true, hive_types = {'run': VARCHAR})"
    )
    return files


def _find_newest(connection: duckdb.DuckDBPyConnection, runs: dict[str, str]) -> None:
    """A run in which a source failed is its newest too: old readings do not hide a new failure."""
    connection.execute("CREATE TABLE stored.finished (run VARCHAR, place INTEGER)")
    connection.executemany(
        "INSERT INTO stored.finished VALUES (?, ?)", [(run, place) for place, run in enumerate(runs)]
    )
    connection.execute(
        """
        CREATE TABLE stored.newest AS
        SELECT source, max_by(run, place) AS run
        FROM (SELECT source, run FROM stored.forms UNION SELECT source, run FROM stored.failures)
        JOIN stored.finished USING (run)
        GROUP BY source
        """
    )


def _lock(connection: duckdb.DuckDBPyConnection, files: Iterable[str]) -> None:
    """From here on nothing but these files can be opened."""
    listed = ", ".join(_quote(path) for path in sorted(files))
    connection.execute(f"SET allowed_paths = [{listed}]")
    connection.execute("SET enable_external_access = false")
    connection.execute("SET lock_configuration = true")


def _quote(text: str) -> str:
    return "'" + text.replace("'", "''") + "'"


def execute(connection: duckdb.DuckDBPyConnection, sql: str) -> tuple[list[str], Iterator[tuple[Any, ...]]]:
    """Runs one statement that reads, and gives its columns and rows.

    Raises:
        CommandError: the SQL is wrong or would do more than read; the message lists views and columns.
    """
    try:
        _check_reads(connection, sql)
        cursor = connection.execute(sql)
    except duckdb.Error as error:
        raise _bad_query(connection, error) from None
    return [column[0] for column in cursor.description or ()], _rows(connection, cursor)


def _rows(
    connection: duckdb.DuckDBPyConnection, cursor: duckdb.DuckDBPyConnection
) -> Iterator[tuple[Any, ...]]:
    while True:
        try:
            batch = cursor.fetchmany(BATCH)
        except duckdb.Error as error:
            raise _bad_query(connection, error) from None
        if not batch:
            return
        yield from batch


def _check_reads(connection: duckdb.DuckDBPyConnection, sql: str) -> None:
    inner = re.sub(r"^\s*EXPLAIN\s+(ANALYZE\s+)?", "", sql, flags=re.IGNORECASE)
    statements = connection.extract_statements(inner)
    if len(statements) != 1 or statements[0].type != duckdb.StatementType.SELECT:
        raise CommandError(
            ExitCode.BAD_QUERY, "The SQL must be one statement that reads: SELECT, WITH, DESCRIBE, EXPLAIN."
        )


def _bad_query(connection: duckdb.DuckDBPyConnection, error: Exception) -> CommandError:
    columns = connection.execute(
        "SELECT table_name, string_agg(column_name, ', ' ORDER BY column_index) FROM duckdb_columns() "
        "WHERE schema_name = 'main' AND NOT internal GROUP BY table_name"
    ).fetchall()
    views = "\n".join(f"  {name}: {dict(columns)[name]}" for name in VIEWS)
    return CommandError(
        ExitCode.BAD_QUERY, f"{str(error).strip()}\n\nThe views and their columns are:\n{views}"
    )
