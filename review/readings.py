"""The readings of a folder of results as the desk asks for them; the newest run of each source counts."""

import threading
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar

import duckdb

from pipeline.results import ResultsError, complete_runs, open_results, reading_files, rows_as_dicts
from review.keys import CharacterKey, FieldKey

Row = dict[str, Any]
Answer = TypeVar("Answer")

_FIELD = """
    SELECT f.source, f.page, f.field, f.ordinal, f.text, f.confidence, f.status, f.charset,
           f.box_x, f.box_y, f.box_width, f.box_height, f.runners_up, f.run,
           forms.sha256, forms.template, forms.width AS page_width, forms.height AS page_height
    FROM fields AS f JOIN forms USING (source, page, run)
"""
_CHARACTERS = """
    SELECT source, page, field, run,
           list({'label': label, 'confidence': confidence, 'alternatives': alternatives,
                 'box': [box_x, box_y, box_width, box_height]} ORDER BY position) AS characters
    FROM characters SEMI JOIN wanted USING (source, page, field, run)
    GROUP BY source, page, field, run
"""


@dataclass(frozen=True)
class _Opened:
    runs: dict[str, str]
    connection: duckdb.DuckDBPyConnection
    labels: list[Row]


class Readings:
    """Questions to the Parquet files of a folder; safe to use from many threads.

    Where its files are gone or damaged, they raise ``ResultsError``.
    """

    def __init__(self, output: Path) -> None:
        """Opens the complete runs; see ``pipeline.results.open_results`` for what it raises."""
        self.output = output
        self._lock = threading.Lock()
        self._opened = self._open(complete_runs(output))

    @property
    def runs(self) -> dict[str, str]:
        """The runs that are open, oldest first, and when they ended."""
        return self._opened.runs

    def refresh(self) -> bool:
        """Opens the runs anew if there are others than before; says whether there are."""
        with self._lock:
            runs = complete_runs(self.output)
            if runs == self._opened.runs:
                return False
            self._opened = self._open(runs)
            return True

    def _open(self, runs: dict[str, str]) -> _Opened:
        return _Opened(runs, open_results(self.output), [])

    def _ask(self, sql: str, values: Sequence[Any] = ()) -> list[Row]:
        return self._again(lambda: [row for batch in self._batches(sql, values, 10_000) for row in batch])

    def _again(self, ask: Callable[[], Answer]) -> Answer:
        """Asks once more if a run was deleted a moment ago; the others are still there."""
        try:
            return ask()
        except ResultsError:
            if not self.refresh():
                raise
            return ask()

    def _batches(self, sql: str, values: Sequence[Any], size: int) -> Iterator[list[Row]]:
        with reading_files(self.output), self._opened.connection.cursor() as cursor:
            cursor.execute(sql, list(values))
            yield from rows_as_dicts(cursor, size)

    def sources_of(self, runs: Iterable[str]) -> list[str]:
        """Every source that one of these runs has tried to read."""
        rows = self._ask(
            "SELECT DISTINCT source "
            "FROM (SELECT source, run FROM forms UNION SELECT source, run FROM failures) "
            "WHERE list_contains($1, run) ORDER BY source",
            [list(runs)],
        )
        return [row["source"] for row in rows]

    def doubtful(self, runs: Iterable[str], size: int) -> Iterator[list[Row]]:
        """Yields the fields of these runs that are for review, ``size`` at a time; see ``fields_of``."""
        wanted = "f.status = 'review' AND list_contains($1, f.run)"
        return self._fields(wanted, [list(runs)], size)

    def fields_of(self, keys: Sequence[FieldKey]) -> dict[FieldKey, Row]:
        """Fields by keys, ``runners_up`` and ``characters`` as JSON; what no run has read is missing."""
        found: dict[FieldKey, Row] = {}
        if not keys:
            return found
        condition = " OR ".join(
            "(forms.sha256 = ? AND f.page = ? AND forms.template = ? AND f.field = ?)" for _ in keys
        )
        values = [value for key in keys for value in key]
        batches = self._again(lambda: list(self._fields(f"({condition})", values, 1000)))
        found.update({key_of(row): row for batch in batches for row in batch})
        return found

    def _fields(self, condition: str, values: Sequence[Any], size: int) -> Iterator[list[Row]]:
        sql = f"""
            WITH wanted AS MATERIALIZED ({_FIELD} WHERE {condition}), read AS ({_CHARACTERS})
            SELECT wanted.* REPLACE (to_json(runners_up)::VARCHAR AS runners_up),
                   coalesce(to_json(characters)::VARCHAR, '[]') AS characters
            FROM wanted LEFT JOIN read USING (source, page, field, run)
        """
        return self._batches(sql, values, size)

    def list_fields(self, filters: dict[str, Any], limit: int, offset: int) -> tuple[int, list[Row]]:
        """How many fields have these values, and some of them in the order of sources, pages and places."""
        condition = " AND ".join(f"f.{name} = ?" for name in filters) or "true"
        values = list(filters.values())
        (count,) = self._ask(f"SELECT count(*) AS n FROM fields AS f WHERE {condition}", values)
        rows = self._ask(
            f"{_FIELD} WHERE {condition} ORDER BY f.source, f.page, f.ordinal, f.field LIMIT ? OFFSET ?",
            [*values, limit, offset],
        )
        return count["n"], rows

    def list_forms(self, limit: int, offset: int) -> tuple[int, list[Row]]:
        """How many pages were read, and some of them."""
        (count,) = self._ask("SELECT count(*) AS n FROM forms")
        rows = self._ask(
            "SELECT source, page, sha256, status, template, run, width, height, fields, fields_accepted, "
            "fields_review, fields_blank, residual_px, skew_degrees FROM forms "
            "ORDER BY source, page LIMIT ? OFFSET ?",
            [limit, offset],
        )
        return count["n"], rows

    def labels(self) -> list[Row]:
        """The characters that were read, the most frequent first: ``label`` and ``count``."""
        opened = self._opened
        if not opened.labels:
            opened.labels[:] = self._ask(
                "SELECT label, count(*) AS count FROM characters GROUP BY label ORDER BY count DESC, label"
            )
        return opened.labels

    def list_characters(self, label: str, order: str, limit: int, offset: int) -> tuple[int, list[Row]]:
        """How many characters were read so, and some of them with their crops.

        Args:
            label: the character.
            order: ``confidence``, the least sure first, or ``source``.
            limit: of the rows.
            offset: of the first row.
        """
        total = next((row["count"] for row in self.labels() if row["label"] == label), 0)
        by = "confidence, source, page, field, position"
        if order == "source":
            by = "source, page, field, position"
        rows = self._ask(
            f"""
            WITH shown AS MATERIALIZED (
                SELECT source, page, field, position, label, confidence, crop, run
                FROM characters WHERE label = ? ORDER BY {by} LIMIT ? OFFSET ?
            )
            SELECT shown.*, forms.sha256, forms.template FROM shown JOIN forms USING (source, page, run)
            ORDER BY {by}
            """,
            [label, limit, offset],
        )
        return total, rows

    def characters_of(self, keys: Sequence[CharacterKey]) -> dict[CharacterKey, Row]:
        """Characters by their keys: ``label`` and ``run``; those that no run has read are missing."""
        condition = " OR ".join(
            "(forms.sha256 = ? AND forms.page = ? AND forms.template = ? AND c.field = ? AND c.position = ?)"
            for _ in keys
        )
        rows = self._ask(
            f"""
            SELECT forms.sha256, forms.template, c.page, c.field, c.position, c.label, c.run
            FROM characters AS c JOIN forms USING (source, page, run) WHERE {condition or "false"}
            """,
            [value for key in keys for value in (*key.field, key.position)],
        )
        return {CharacterKey(key_of(row), row["position"]): row for row in rows}


def key_of(row: Row) -> FieldKey:
    """The key of a row that has ``sha256``, ``page``, ``template`` and ``field``."""
    return FieldKey(row["sha256"], row["page"], row["template"], row["field"])


def queue_row(row: Row) -> Row:
    """A field of ``Readings`` as the table ``queue`` keeps it, without desk, state and reason."""
    key = key_of(row)
    same = (
        "run", "source", "ordinal", "charset", "text", "confidence", "status", "box_x", "box_y", "box_width",
        "box_height", "page_width", "page_height",
    )  # fmt: skip
    return {
        **key._asdict(),
        **{name: row[name] for name in same},
        "id": key.id,
        "kind": f"{key.template}/{key.field}",
        "rank": -1.0 if row["confidence"] is None else row["confidence"],
        "runners_up": row["runners_up"],
        "characters": row["characters"],
    }
