"""A folder of results with corrections, written by hand: pictures in fields, and what people said of them."""

import hashlib
import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from pipeline.schemas import TABLES
from review.database import Database, sqlite_url
from review.tables import character_marks, corrections

RUN = "20260101-000000"
TEMPLATE = "small"


@dataclass(frozen=True)
class Field:
    """A field of a page as it was read, with a crop for each character of ``read``."""

    page: int
    name: str
    read: str
    crops: np.ndarray
    charset: str = "digits"


def scan_hash(page: int) -> str:
    """Every page is a scan of its own."""
    return hashlib.sha256(f"scan {page}".encode()).hexdigest()


def write_results(output: Path, fields: list[Field], run: str = RUN) -> None:
    """Writes the four tables of one run, and its record."""
    rows: dict[str, list[dict[str, Any]]] = {name: [] for name in TABLES}
    for page in sorted({field.page for field in fields}):
        rows["forms"].append(
            _filled("forms", source=f"{page}.png", page=1, sha256=scan_hash(page), template=TEMPLATE)
        )
    for field in fields:
        place = {"source": f"{field.page}.png", "page": 1, "field": field.name}
        rows["fields"].append(_filled("fields", **place, text=field.read, charset=field.charset))
        for position, label in enumerate(field.read):
            crop = np.ascontiguousarray(field.crops[position]).tobytes()
            rows["characters"].append(
                _filled("characters", **place, position=position, label=label, crop=crop)
            )
    for name, schema in TABLES.items():
        folder = output / name / f"run={run}"
        folder.mkdir(parents=True)
        pq.write_table(pa.Table.from_pylist(rows[name], schema), folder / "part-0.parquet")
    (output / "_runs").mkdir(exist_ok=True)
    (output / "_runs" / f"{run}.json").write_text(
        json.dumps({"run": run, "finished": "2026-01-01T00:00:00Z"})
    )


def _filled(table: str, **given: Any) -> dict[str, Any]:
    """A row with a value of no meaning wherever none is given."""
    empty = {pa.types.is_string: "", pa.types.is_integer: 0, pa.types.is_floating: 0.5, pa.types.is_list: []}
    row = {}
    for column in TABLES[table]:
        value = next((value for test, value in empty.items() if test(column.type)), None)
        row[column.name] = given.get(column.name, value)
    return row


def say(output: Path, entries: list[dict[str, Any]]) -> None:
    """Adds corrections (entries with ``text`` or a verdict) and marks (those with ``position``) in order."""
    database = Database(sqlite_url(output))
    database.migrate()
    with database.writing() as connection:
        for entry in entries:
            row = {
                "sha256": scan_hash(entry["page"]),
                "page": 1,
                "template": TEMPLATE,
                "field": entry["field"],
                "verifier": "ada",
                "created": entry.get("created", "2026-01-02T00:00:00Z"),
                "run": entry.get("run", RUN),
            }
            if "position" in entry:
                mark = {key: entry.get(key) for key in ("position", "read_label", "verdict", "label")}
                connection.execute(character_marks.insert().values(**row, **mark))
            else:
                verdict, text = entry.get("verdict", "text"), entry.get("text")
                connection.execute(
                    corrections.insert().values(**row, verdict=verdict, text=text, read_text="")
                )
    database.close()
