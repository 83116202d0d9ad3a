"""Asks the results in SQL: views forms, fields, characters and failures over the complete runs of a folder.

Every source shows the rows of its newest complete run, so that a folder read twice does not count double.
What people have said on the verification desk stands beside the readings.
"""

import argparse
import re
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any, TextIO

import duckdb

from jobs.exit_codes import CommandError, ExitCode
from jobs.remote_results import local_results, tables_named_in
from jobs.single_floats import places_in_duckdb, shorten_rows
from jobs.tables import write_csv, write_json, write_table
from pipeline import results

OVERVIEW = "SELECT source, page, field, text, confidence, status FROM fields ORDER BY source, page, ordinal"
BATCH = 10_000
EPILOG = """examples:
  formscribe query out
  formscribe query out "SELECT status, count(*) FROM fields GROUP BY status"
  formscribe query out "SELECT source, field, text FROM fields WHERE status = 'review'" --format csv
  formscribe query out "SELECT * FROM failures" --format json
  formscribe query out "SELECT source, page, field, final_text FROM fields WHERE verdict IS NOT NULL"
  formscribe query gs://bucket/out "SELECT code, count(*) FROM failures GROUP BY code"

The SQL is DuckDB's; only reading is allowed. `run` is a column of every view. Tables: DESCRIBE fields.
What people have said on the verification desk (`formscribe review`): the columns verdict, verified_text and
final_text of `fields`; every entry is in the tables `corrections` and `character_marks`.
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
    add_database(parser)
    which = parser.add_mutually_exclusive_group()
    which.add_argument("--run", metavar="ID", help="only this run")
    which.add_argument(
        "--all-runs", action="store_true", help="all complete runs, not the newest of each source"
    )


def add_database(parser: argparse.ArgumentParser) -> None:
    """Adds the flag that says where people's corrections are."""
    parser.add_argument(
        "--database",
        metavar="URL",
        help="where `formscribe review --database` keeps what people say (default: the file in OUT/_review)",
    )


def run(args: argparse.Namespace) -> int:
    """Prints the rows of a query."""
    if args.rows < 0:
        raise CommandError(ExitCode.USAGE, f"--rows {args.rows}: is below 0; 0 shows all.")
    sql = args.sql or OVERVIEW
    with local_results(args.output, args.run, tables_named_in(sql)) as folder:
        connection = open_results(folder, args.run, args.all_runs, args.database)
        columns, rows = execute(connection, sql)
        _print(args, columns, rows)
    return ExitCode.OK


def _print(args: argparse.Namespace, columns: list[str], rows: Iterator[Sequence[Any]]) -> None:
    stream: TextIO = sys.stdout
    if args.format == "csv":
        write_csv(stream, columns, rows)
    elif args.format == "json":
        write_json(stream, columns, rows)
    else:
        write_table(stream, columns, rows, args.rows)
    stream.flush()


def open_results(
    output: Path, run_id: str | None = None, all_runs: bool = False, database: str | None = None
) -> duckdb.DuckDBPyConnection:
    """As ``pipeline.results.open_results``, with what people have said about the fields.

    Args:
        output: the folder of results.
        run_id: only this run.
        all_runs: rows of all runs; otherwise those of the newest run of each source.
        database: where people's words are; None is the SQLite file in the folder, if there is one.

    Raises:
        CommandError: there is no complete run, or not this one; or the database cannot be read.
    """
    from review.verified import DatabaseError, read_verified

    try:
        return results.open_results(output, run_id, all_runs, read_verified(output, database))
    except (results.ResultsError, DatabaseError) as error:
        raise CommandError(ExitCode.NO_RESULTS, str(error)) from None
    except PermissionError as error:
        told = f"{error.filename or output}: cannot be read ({error.strerror}). Is it yours to read?"
        raise CommandError(ExitCode.NO_RESULTS, told) from None


def execute(connection: duckdb.DuckDBPyConnection, sql: str) -> tuple[list[str], Iterator[Sequence[Any]]]:
    """Runs one statement that reads, and gives its columns and rows; see ``jobs.single_floats``.

    Raises:
        CommandError: the SQL is wrong or would do more than read; the message lists views and columns.
    """
    try:
        _check_reads(connection, sql)
        cursor = connection.execute(sql)
    except duckdb.Error as error:
        raise _bad_query(connection, error) from None
    described = cursor.description or []
    places = [places_in_duckdb(column[1]) for column in described]
    return [column[0] for column in described], shorten_rows(_rows(connection, cursor), places)


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
    views = "\n".join(f"  {name}: {dict(columns)[name]}" for name in results.VIEWS)
    return CommandError(
        ExitCode.BAD_QUERY, f"{str(error).strip()}\n\nThe views and their columns are:\n{views}"
    )
