"""What lies in a folder of results: its complete runs, and their tables as views of a database in memory.

Every source shows the rows of its newest complete run, so that a folder read twice does not count double.
What people have said about fields stands beside the readings, if it is handed in. Needs no Beam.
"""

import json
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import duckdb
import pyarrow as pa

VIEWS = ("forms", "fields", "characters", "failures")
# Only the folder of the file itself: DuckDB's own partitions would be those of every folder above it too.
_RUN_OF_FILE = "parse_path(filename, '/')[-2][5:]"

_SAID = [
    pa.field("id", pa.int64()),  # grows with every entry
    pa.field("sha256", pa.string()),
    pa.field("page", pa.int32()),
    pa.field("template", pa.string()),
    pa.field("field", pa.string()),
]
CORRECTIONS = pa.schema(
    [
        *_SAID,
        pa.field("verdict", pa.string()),  # text, blank, unreadable or undone
        pa.field("text", pa.string()),
        pa.field("read_text", pa.string()),
        pa.field("verifier", pa.string()),
        pa.field("created", pa.string()),  # UTC, ISO 8601
        pa.field("run", pa.string()),
    ]
)
CHARACTER_MARKS = pa.schema(
    [
        *_SAID,
        pa.field("position", pa.int32()),
        pa.field("read_label", pa.string()),
        pa.field("verdict", pa.string()),  # right, wrong or label
        pa.field("label", pa.string()),
        pa.field("verifier", pa.string()),
        pa.field("created", pa.string()),
        pa.field("run", pa.string()),
    ]
)


# What DuckDB raises where a file is gone, is another or is damaged; its bare error is that of a decoder.
_OF_FILES = (duckdb.IOException, duckdb.PermissionException, duckdb.InvalidInputException)


class ResultsError(ValueError):
    """A folder without results that can be shown; the message says why and what to do."""


@dataclass(frozen=True)
class Verified:
    """What people have said: tables of the schemas ``CORRECTIONS`` and ``CHARACTER_MARKS``, every entry."""

    corrections: pa.Table
    character_marks: pa.Table


def complete_runs(output: Path) -> dict[str, str]:
    """Runs that ended well, oldest first: their name, and when they ended.

    Raises:
        ResultsError: there is none, or a record cannot be read.
    """
    runs = {}
    for path in _records(output):
        try:
            record = json.loads(path.read_text("utf-8"))
            runs[str(record["run"])] = str(record["finished"])
        except OSError as error:
            raise _unreadable(path, error) from None
        except (ValueError, KeyError, TypeError) as error:
            raise ResultsError(f"{path}: is damaged ({error}). Delete it to leave this run out.") from None
    if not runs:
        raise ResultsError(
            f"{output}: holds no complete run. Is it the --output of a `formscribe run` that has ended?"
        )
    return dict(sorted(runs.items(), key=lambda item: (item[1], item[0])))


def _records(output: Path) -> list[Path]:
    try:
        if not output.is_dir():
            raise ResultsError(f"{output}: is no folder. Name the --output of a `formscribe run`.")
        folder = output / "_runs"
        return [path for path in folder.iterdir() if path.suffix == ".json"] if folder.is_dir() else []
    except OSError as error:
        raise _unreadable(error.filename, error) from None


def _unreadable(path: Path | str, error: OSError) -> ResultsError:
    return ResultsError(
        f"{path}: cannot be read ({error.strerror}). Is it yours to read? The run itself may be whole."
    )


def open_results(
    output: Path, run_id: str | None = None, all_runs: bool = False, verified: Verified | None = None
) -> duckdb.DuckDBPyConnection:
    """A database in memory whose views read the Parquet files of complete runs, and nothing else.

    Args:
        output: the folder of results.
        run_id: only this run.
        all_runs: rows of all runs; otherwise those of the newest run of each source.
        verified: what people have said, if they have said anything.

    Raises:
        ResultsError: there is no complete run, or not this one, or a file of it is gone or damaged.
    """
    runs = complete_runs(output)
    if run_id is not None and run_id not in runs:
        raise ResultsError(f"--run {run_id}: is no complete run of {output}. There are: {', '.join(runs)}.")
    chosen = [run_id] if run_id is not None else list(runs)
    connection = duckdb.connect(":memory:")
    connection.execute("CREATE SCHEMA stored")
    files = [path for view in VIEWS for path in _store(connection, output, view, chosen)]
    newest = len(chosen) > 1 and not all_runs
    if newest:
        _find_newest(connection, runs)
    only = "SEMI JOIN stored.newest USING (source, run)" if newest else ""
    for view in VIEWS:
        name = "stored.read_fields" if view == "fields" else view
        connection.execute(f"CREATE VIEW {name} AS SELECT * FROM stored.{view} {only}")
    _show_verified(connection, verified)
    _lock(connection, files)
    return connection


@contextmanager
def reading_files(output: Path) -> Iterator[None]:
    """Tells of files that cannot be read, while views of ``open_results`` are made or asked.

    Raises:
        ResultsError: in place of what DuckDB raises for them.
    """
    try:
        yield
    except duckdb.Error as error:
        if type(error) is not duckdb.Error and not isinstance(error, _OF_FILES):
            raise
        reason = str(error).strip().partition("\n")[0]
        raise ResultsError(
            f"{output}: a file of its tables is gone or damaged ({reason}). Bring it back, or delete the "
            "record of its run in _runs and run the job again."
        ) from None


def _store(connection: duckdb.DuckDBPyConnection, output: Path, view: str, runs: Sequence[str]) -> list[str]:
    files = [
        str(path)
        for run in runs
        for path in sorted((output.resolve() / view / f"run={run}").glob("*.parquet"))
    ]
    if not files:
        raise ResultsError(
            f"{output / view}: the files of run {', '.join(runs)} are gone. Run the job again."
        )
    listed = ", ".join(_quote(path) for path in files)
    with reading_files(output):
        connection.execute(
            f"CREATE VIEW stored.{view} AS SELECT * EXCLUDE (filename), {_RUN_OF_FILE} AS run "
            f"FROM read_parquet([{listed}], union_by_name = true, hive_partitioning = false, filename = true)"
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
    _forget_mended_inputs(connection)


def _forget_mended_inputs(connection: duckdb.DuckDBPyConnection) -> None:
    """A folder or pattern that failed, and of which a newer run has read files, has no row in that run."""
    connection.execute(
        """
        DELETE FROM stored.newest WHERE source IN (
            WITH failed AS (
                SELECT source, code, place FROM stored.failures
                SEMI JOIN stored.newest USING (source, run) JOIN stored.finished USING (run)
                WHERE page IS NULL AND sha256 IS NULL
            ), read AS (SELECT source, place FROM stored.newest JOIN stored.finished USING (run))
            SELECT failed.source FROM failed JOIN read ON read.place > failed.place
            AND read.source > rtrim(failed.source, '/') || '/'
            AND read.source < rtrim(failed.source, '/') || '0'  -- what comes after the slash
            UNION
            SELECT failed.source FROM (FROM failed WHERE code = 'no_match') AS failed
            JOIN read ON read.place > failed.place AND read.source GLOB failed.source
        )
        """
    )


def _show_verified(connection: duckdb.DuckDBPyConnection, verified: Verified | None) -> None:
    """Puts what people said beside the readings; without any, no row is joined with anything."""
    _keep(connection, "corrections", verified.corrections if verified else CORRECTIONS.empty_table())
    _keep(
        connection, "character_marks", verified.character_marks if verified else CHARACTER_MARKS.empty_table()
    )
    if not verified or not verified.corrections.num_rows:
        connection.execute(
            "CREATE VIEW fields AS SELECT *, NULL::VARCHAR AS verdict, NULL::VARCHAR AS verified_text, "
            "text AS final_text FROM stored.read_fields"
        )
        return
    # The newest entry counts; of a field whose verdict was taken back there is none. A correction belongs to
    # the bytes of the scan, so it shows in every run and under every name of them.
    connection.execute(
        """
        CREATE TABLE stored.verified AS
        SELECT run, source, page, field, verdict,
               CASE verdict WHEN 'text' THEN text WHEN 'blank' THEN '' END AS verified_text
        FROM (
            SELECT DISTINCT ON (sha256, page, template, field) sha256, page, template, field, verdict, text
            FROM corrections ORDER BY id DESC
        )
        JOIN (SELECT run, source, page, sha256, template FROM stored.forms) USING (sha256, page, template)
        WHERE verdict <> 'undone'
        """
    )
    connection.execute(
        """
        CREATE VIEW fields AS
        SELECT *, CASE WHEN verdict IS NULL THEN text ELSE verified_text END AS final_text
        FROM stored.read_fields LEFT JOIN stored.verified USING (run, source, page, field)
        """
    )


def _keep(connection: duckdb.DuckDBPyConnection, name: str, table: pa.Table) -> None:
    connection.register("handed_in", table)
    connection.execute(f"CREATE TABLE {name} AS SELECT * FROM handed_in")
    connection.unregister("handed_in")


def _lock(connection: duckdb.DuckDBPyConnection, files: Iterable[str]) -> None:
    """From here on nothing but these files can be opened."""
    listed = ", ".join(_quote(path) for path in sorted(files))
    connection.execute(f"SET allowed_paths = [{listed}]")
    connection.execute("SET enable_external_access = false")
    connection.execute("SET lock_configuration = true")


def rows_as_dicts(cursor: Any, size: int) -> Iterable[list[dict[str, Any]]]:
    """Yields what a cursor has found in lists of at most ``size`` rows, each by column name."""
    names = [column[0] for column in cursor.description or ()]
    while batch := cursor.fetchmany(size):
        yield [dict(zip(names, row, strict=True)) for row in batch]


def _quote(text: str) -> str:
    return "'" + text.replace("'", "''") + "'"
