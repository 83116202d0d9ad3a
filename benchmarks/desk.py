"""How fast the verification desk answers with many doubtful fields, and what corrections cost a query.

    python -m benchmarks.desk --rows 1000000

Of the made-up fields one in ten is doubtful, with six characters each.
"""

import argparse
import hashlib
import json
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from benchmarks.commands import FIELDS_PER_PAGE, field_rows
from benchmarks.timing import seconds, table
from jobs.query import execute, open_results
from pipeline.schemas import TABLES
from review.database import sqlite_url
from review.desk import Desk, DeskOptions
from review.keys import parse_field_id

ROUNDS = 200
SLOW_ROUNDS = 5
QUERY = "SELECT field, count(*), count(final_text) FROM fields GROUP BY ALL"


def write_run(output: Path, count: int) -> None:
    """A complete run of ``count`` field rows, with their forms and the characters of the doubtful ones."""
    writers = {}
    for name, schema in TABLES.items():
        folder = output / name / "run=made-up"
        folder.mkdir(parents=True)
        writers[name] = pq.ParquetWriter(folder / "part-0.parquet", schema, compression="zstd")
    for fields in field_rows(count):
        writers["fields"].write_table(fields, row_group_size=16_384)
        writers["forms"].write_table(_forms(fields))
        writers["characters"].write_table(_characters(fields))
    for writer in writers.values():
        writer.close()
    (output / "_runs").mkdir()
    record = {"run": "made-up", "finished": "2026-01-01T00:00:00+00:00"}
    (output / "_runs" / "made-up.json").write_text(json.dumps(record), "utf-8")


def _forms(fields: pa.Table) -> pa.Table:
    rows = []
    for source in dict.fromkeys(fields["source"].to_pylist()):
        row = dict.fromkeys(TABLES["forms"].names, 0)
        row |= dict.fromkeys(("status", "template_sha256", "model_sha256"), "x")
        sha256 = hashlib.sha256(source.encode()).hexdigest()
        row |= {"source": source, "page": 1, "sha256": sha256, "template": "made-up"}
        rows.append(row | {"transform": [1.0] * 6, "width": 2560, "height": 3300})
    return pa.Table.from_pylist(rows, TABLES["forms"])


def _characters(fields: pa.Table) -> pa.Table:
    doubtful = fields.filter(pa.array(np.array(fields["status"].to_pylist()) == "review"))
    alternatives = [{"label": label, "confidence": 0.1} for label in "1234"]
    crop = bytes(784)
    rows = [
        {
            **{"source": source, "page": 1, "field": field, "position": position, "label": label},
            **{f"box_{part}": 10.0 for part in ("x", "y", "width", "height")},
            **{"confidence": 0.5, "alternatives": alternatives, "crop": crop},
        }
        for source, field, text in zip(
            doubtful["source"].to_pylist(),
            doubtful["field"].to_pylist(),
            doubtful["text"].to_pylist(),
            strict=True,
        )
        for position, label in enumerate(text)
    ]
    return pa.Table.from_pylist(rows, TABLES["characters"])


def _timed(call: Callable[[], object], rounds: int) -> list[str]:
    """Median and 95th percentile of the time, and the processor's share of it, in ms."""
    start = time.process_time()
    taken = [1000 * seconds(call) for _ in range(rounds)]
    share = 1000 * (time.process_time() - start) / rounds
    return [f"{np.median(taken):.1f}", f"{np.percentile(taken, 95):.1f}", f"{share:.1f}"]


def measure_desk(desk: Desk) -> list[list[str]]:
    """A row for each thing that people wait for."""
    kinds = [kind["kind"] for kind in desk.queue.kinds()]
    rows = [["leasing 10 fields", *_timed(lambda: desk.lease("ann", 10, None, []), ROUNDS)]]
    todo = [row["id"] for kind in kinds for row in desk.queue.lease("bob", 10, kind, []).fields]
    todo = [parse_field_id(field_id) for field_id in todo[:ROUNDS]]
    answers = iter(todo)
    rows.append(
        ["saving an answer", *_timed(lambda: desk.queue.answer(next(answers), "bob", "text", "5"), len(todo))]
    )
    rows.append(["progress", *_timed(lambda: desk.queue.progress("bob"), ROUNDS)])
    readings = desk.readings
    grid = _timed(lambda: readings.list_characters("7", "confidence", 200, 0), SLOW_ROUNDS)
    rows.append(["200 characters of the grid", *grid])
    listed = _timed(lambda: readings.list_fields({"status": "review"}, 100, 0), SLOW_ROUNDS)
    rows.append(["`GET /api/fields?status=review`", *listed])
    return rows


def _ask(output: Path) -> None:
    list(execute(open_results(output), QUERY)[1])


def main() -> None:
    """Prints the figures as Markdown."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rows", type=int, default=1_000_000, metavar="N", help="fields (%(default)s)")
    count = max(parser.parse_args().rows, 10 * FIELDS_PER_PAGE)
    with tempfile.TemporaryDirectory() as scratch:
        output = Path(scratch) / "out"
        write_run(output, count)
        rows = [["a query over all fields, without a database", *_timed(lambda: _ask(output), SLOW_ROUNDS)]]
        desk = Desk(DeskOptions(output, sqlite_url(output)))
        start = time.perf_counter()
        taken = desk.take_in()
        rows.append([f"taking in {taken:,} doubtful fields, s", f"{time.perf_counter() - start:.1f}", "", ""])
        rows += measure_desk(desk)
        desk.close()
        rows.append(["a query over all fields, with corrections", *_timed(lambda: _ask(output), SLOW_ROUNDS)])
    print(table(["what", "median, ms", "95 %, ms", "processor, ms"], rows))


if __name__ == "__main__":
    main()
