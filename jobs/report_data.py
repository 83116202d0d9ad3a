"""What a report says of a folder of results: added up in SQL, so that only short lists are ever in memory."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import duckdb

from pipeline.schemas import STAGES, STATUSES

Row = dict[str, Any]

BINS = 20  # of confidence
FIELD_ROWS = 60  # names of fields in a table
PAGE_ROWS = 12  # pages in a table
CODES, EXAMPLES = 30, 3  # failure codes, and rows of each
RUN_ROWS = 20

_PAIRED = "regexp_replace({}, '\\s', '', 'g')"  # spaces are not compared


@dataclass(frozen=True)
class RunData:
    """The figures of the rows that are shown.

    Attributes:
        runs: records of the runs that have rows here, the newest first, at most ``RUN_ROWS``.
        run_count: how many runs there are.
        pages, files, characters, failed: pages read, their files, characters read, rows of failures.
        statuses: fields by status.
        stages: of each stage ``stage``, ``pages``, ``mean``, ``p50``, ``p95``, ``slowest`` in milliseconds.
        kinds: by charset ``charset``, ``fields``, one count for each status, mean ``confidence``.
        names: the same by template and field, those with most to review first, at most ``FIELD_ROWS``.
        name_count: how many there are.
        histogram: fields of each status in ``BINS`` equal bins of confidence.
        doubtful_pages: the pages with most fields to review, at most ``PAGE_ROWS``.
        pages_to_review: pages with any.
        codes: failures by code, most frequent first: ``code``, ``stages``, ``failures``, ``examples``.
        folder: what all sources begin with, up to a slash.
        verified: by status, what people have said of fields; None if results know nothing of it.
    """

    runs: Sequence[Row]
    run_count: int
    pages: int
    files: int
    characters: int
    failed: int
    statuses: Mapping[str, int]
    stages: Sequence[Row]
    kinds: Sequence[Row]
    names: Sequence[Row]
    name_count: int
    histogram: Sequence[Mapping[str, int]]
    doubtful_pages: Sequence[Row]
    pages_to_review: int
    codes: Sequence[Row]
    folder: str
    verified: Sequence[Row] | None

    @property
    def fields(self) -> int:
        """All fields of the pages that were read."""
        return sum(self.statuses.values())

    def short(self, source: str) -> str:
        """A source without the folder that all share."""
        return source.removeprefix(self.folder)


def read_data(connection: duckdb.DuckDBPyConnection, output: Path) -> RunData:
    """Adds up what the views of ``query.open_results`` show, and reads the records of their runs."""
    total = _rows(
        connection,
        "SELECT count(*) AS pages, count(DISTINCT source) AS files, "
        "coalesce(sum(characters), 0)::BIGINT AS characters, "
        + ", ".join(f"coalesce(sum(fields_{status}), 0)::BIGINT AS {status}" for status in STATUSES)
        + ", count(*) FILTER (fields_review > 0) AS to_review FROM forms",
    )[0]
    runs = [row["run"] for row in _rows(connection, _RUNS)]
    names = _rows(connection, f"{_BY_NAME} LIMIT {FIELD_ROWS}")
    return RunData(
        runs=_records(output, runs),
        run_count=len(runs),
        pages=total["pages"],
        files=total["files"],
        characters=total["characters"],
        failed=_rows(connection, "SELECT count(*) AS n FROM failures")[0]["n"],
        statuses={status: total[status] for status in STATUSES},
        stages=_stages(connection) if total["pages"] else [],
        kinds=_rows(connection, _BY_KIND),
        names=names,
        name_count=names[0]["names"] if names else 0,
        histogram=_histogram(connection),
        doubtful_pages=_rows(connection, _DOUBTFUL_PAGES),
        pages_to_review=total["to_review"],
        codes=_codes(connection),
        folder=_common_folder(connection),
        verified=_verified(connection),
    )


def doubtful_fields(connection: duckdb.DuckDBPyConnection, most: int) -> list[Row]:
    """Fields to review, the least confident first; no field name takes more than a quarter of the places.

    Those that a person has looked at are left out.
    """
    open_only = "AND verified_text IS NULL" if "verified_text" in columns_of(connection, "fields") else ""
    return _rows(
        connection,
        f"""
        SELECT * FROM (
            SELECT source, page, run, field, text, confidence, status, runners_up,
                   box_x, box_y, box_width, box_height,
                   row_number() OVER (PARTITION BY field ORDER BY confidence, source, page) AS place
            FROM fields WHERE status = 'review' {open_only}
        )
        JOIN (SELECT source, page, run, sha256 FROM forms) USING (source, page, run)
        WHERE place <= {quarter(most)}
        ORDER BY confidence, source, page, field LIMIT {int(most)}
        """,
    )


def quarter(places: int) -> int:
    """How often one field may be among so many examples, at least once."""
    return max(1, -(-places // 4))


def sample_pages(connection: duckdb.DuckDBPyConnection, most: int) -> list[Row]:
    """Pages from the one with most to review evenly down to the one with least."""
    return _rows(
        connection,
        f"""
        SELECT * EXCLUDE (place, pages) FROM (
            SELECT source, page, run, sha256, width, height, fields, fields_accepted, fields_review,
                   fields_blank,
                   row_number() OVER (ORDER BY fields_review DESC, source, page) - 1 AS place,
                   count(*) OVER () AS pages
            FROM forms
        )
        WHERE place IN (SELECT (i * pages) // {max(1, int(most))} FROM range({int(most)}) AS numbers(i))
        ORDER BY place
        """,
    )


def fields_of_page(connection: duckdb.DuckDBPyConnection, page: Row) -> list[Row]:
    """The fields of one page, in the order of the form."""
    return _rows(
        connection,
        "SELECT field, text, confidence, status, box_x, box_y, box_width, box_height FROM fields "
        "WHERE source = ? AND page = ? AND run = ? ORDER BY ordinal",
        [page["source"], page["page"], page["run"]],
    )


def characters_of(connection: duckdb.DuckDBPyConnection, field: Row) -> list[Row]:
    """The characters of one field in reading order: label, confidence and crop."""
    return _rows(
        connection,
        "SELECT label, confidence, crop FROM characters "
        "WHERE source = ? AND page = ? AND run = ? AND field = ? ORDER BY position",
        [field["source"], field["page"], field["run"], field["field"]],
    )


def columns_of(connection: duckdb.DuckDBPyConnection, view: str) -> list[str]:
    """The names of the columns of a view."""
    return [column[0] for column in connection.execute(f"SELECT * FROM {view} LIMIT 0").description or ()]


def _rows(connection: duckdb.DuckDBPyConnection, sql: str, values: Sequence[Any] = ()) -> list[Row]:
    cursor = connection.execute(sql, list(values))
    names = [column[0] for column in cursor.description or ()]
    return [dict(zip(names, row, strict=True)) for row in cursor.fetchall()]


_RUNS = "SELECT DISTINCT run FROM (SELECT run FROM forms UNION ALL SELECT run FROM failures)"
_STATUS_COUNTS = ", ".join(f"count(*) FILTER (status = '{status}') AS {status}" for status in STATUSES)
_BY_KIND = f"""
    SELECT charset, count(*) AS fields, {_STATUS_COUNTS}, avg(confidence) AS confidence
    FROM fields GROUP BY charset ORDER BY charset
"""
_BY_NAME = f"""
    SELECT template, field, any_value(charset) AS charset, count(*) AS fields, {_STATUS_COUNTS},
           avg(confidence) AS confidence, count(*) OVER () AS names
    FROM fields JOIN (SELECT source, page, run, template FROM forms) USING (source, page, run)
    GROUP BY template, field ORDER BY review DESC, template, min(ordinal), field
"""
_DOUBTFUL_PAGES = f"""
    SELECT source, page, template, fields, fields_accepted, fields_review, skew_degrees, residual_px,
           landmarks_matched, landmarks
    FROM forms WHERE fields_review > 0 ORDER BY fields_review DESC, source, page LIMIT {PAGE_ROWS}
"""


def _stages(connection: duckdb.DuckDBPyConnection) -> list[Row]:
    parts = []
    for stage in STAGES:
        value = f"{stage}_ms"
        parts.append(
            f"SELECT '{stage}' AS stage, count({value}) AS pages, avg({value}) AS mean, "
            f"quantile_cont({value}, 0.5) AS p50, quantile_cont({value}, 0.95) AS p95, "
            f"max({value}) AS slowest FROM forms"
        )
    found = {row["stage"]: row for row in _rows(connection, " UNION ALL ".join(parts))}
    return [found[stage] for stage in STAGES]


def _histogram(connection: duckdb.DuckDBPyConnection) -> list[dict[str, int]]:
    bins: list[dict[str, int]] = [{} for _ in range(BINS)]
    for row in _rows(
        connection,
        f"SELECT least(greatest(floor(confidence * {BINS}), 0), {BINS - 1})::INTEGER AS bin, status, "
        "count(*) AS fields FROM fields WHERE isfinite(confidence) GROUP BY ALL",
    ):
        bins[row["bin"]][row["status"]] = row["fields"]
    return bins


def _codes(connection: duckdb.DuckDBPyConnection) -> list[Row]:
    codes = _rows(
        connection,
        "SELECT code, string_agg(DISTINCT stage, ', ' ORDER BY stage) AS stages, count(*) AS failures "
        f"FROM failures GROUP BY code ORDER BY failures DESC, code LIMIT {CODES}",
    )
    examples = _rows(
        connection,
        "SELECT code, source, page, message FROM failures QUALIFY row_number() OVER "
        f"(PARTITION BY code ORDER BY source, page) <= {EXAMPLES} ORDER BY code, source, page",
    )
    return [row | {"examples": [one for one in examples if one["code"] == row["code"]]} for row in codes]


def _common_folder(connection: duckdb.DuckDBPyConnection) -> str:
    """The first and the last of sorted texts share what all of them share."""
    ends = _rows(
        connection,
        "SELECT min(source) AS first, max(source) AS last FROM "
        "(SELECT source FROM forms UNION ALL SELECT source FROM failures)",
    )[0]
    if ends["first"] is None:
        return ""
    pairs = enumerate(zip(ends["first"], ends["last"], strict=False))
    shared = next((i for i, (a, b) in pairs if a != b), min(len(ends["first"]), len(ends["last"])))
    return str(ends["first"][: ends["first"].rfind("/", 0, shared) + 1])


def _verified(connection: duckdb.DuckDBPyConnection) -> list[Row] | None:
    columns = columns_of(connection, "fields")
    if "verified_text" not in columns:
        return None
    said = "verdict IS NOT NULL" if "verdict" in columns else "verified_text IS NOT NULL"
    same = f"{_PAIRED.format('text')} = {_PAIRED.format('verified_text')}"
    return _rows(
        connection,
        f"SELECT status, count(*) AS fields, count(*) FILTER ({said}) AS verified, "
        f"count(*) FILTER ({said} AND verified_text IS NULL) AS unreadable, "
        f"count(*) FILTER ({said} AND {same}) AS right FROM fields GROUP BY status "
        f"ORDER BY list_position({list(STATUSES)}, status)",
    )


def _records(output: Path, runs: Sequence[str]) -> list[Row]:
    records = []
    for run in runs:
        content = json.loads((output / "_runs" / f"{run}.json").read_text("utf-8"))
        records.append(content if isinstance(content, dict) else {})
    return sorted(records, key=lambda one: str(one.get("finished")), reverse=True)[:RUN_ROWS]
