"""How long whole commands take: the job per page, their start, and queries over many rows."""

import itertools
import json
import shutil
import subprocess
import sys
from collections.abc import Callable, Iterable, Iterator, Sequence
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from benchmarks.runs import formscribe, linked, page_cost
from benchmarks.timing import Spread, in_rounds, ratio, table
from jobs.query import execute, open_results
from pipeline.schemas import TABLES

FIELDS_PER_PAGE = 34
JOB_ROUNDS = 3
GROUP = 1_000_000  # rows made and written at a time
QUERIES = {
    "count by field and status": "SELECT field, status, count(*) FROM fields GROUP BY ALL",
    "fields of one page": "SELECT field, text FROM fields WHERE source = '/scans/0000003.png'",
}


def measure_job(
    paths: Sequence[Path], template: str, count: int, bare: Callable[[], object], scratch: Path
) -> str:
    """The job over ``count`` pages and over three times as many: the difference is free of its start.

    ``bare`` decodes every file of ``paths`` once; it is timed in every round.
    """
    few, many = (linked(paths, scratch / f"scans{copies}", copies) for copies in (count, 3 * count))
    numbers = itertools.count()

    def run(scans: Path) -> None:
        output = scratch / f"job{next(numbers)}"
        formscribe("run", "--input", str(scans), "--output", str(output), "--template", template)
        shutil.rmtree(output)

    work = {"few": lambda: run(few), "many": lambda: run(many), "bare": lambda: [bare() for _ in range(10)]}
    taken = in_rounds(work, JOB_ROUNDS)
    pairs = zip(taken["few"], taken["many"], strict=True)
    page = [page_cost(long, 3 * count, short, count) for short, long in pairs]
    decode = [one / (10 * len(paths)) for one in taken["bare"]]
    start = [short - count * one for short, one in zip(taken["few"], page, strict=True)]
    rows = [
        ["a page of the whole job, ms", Spread.of([1000 * one for one in page]).text()],
        ["the same : bare decode of the same files", ratio(page, decode).text()],
        ["what a run costs besides, s", Spread.of(start).text("", 2)],
    ]
    return table([f"{count} and {3 * count} pages, one worker, {JOB_ROUNDS} rounds", ""], rows)


def measure_start(path: Path, template: str, scratch: Path) -> str:
    """``--help`` and a run of one page, each in a new process."""
    numbers = itertools.count()

    def one_page() -> None:
        output = str(scratch / f"one{next(numbers)}")
        formscribe("run", "--input", str(path), "--output", output, "--template", template)

    work = {
        "python, doing nothing": lambda: subprocess.run([sys.executable, "-c", "pass"], check=True),
        "formscribe --help": lambda: formscribe("--help"),
        "formscribe run, one page": one_page,
    }
    taken = in_rounds(work, 5)
    return table(["command", "s"], [[name, Spread.of(times).text("", 2)] for name, times in taken.items()])


def measure_queries(counts: Iterable[int], scratch: Path) -> str:
    """Each query over as many made-up field rows, from opening the folder to the last row."""
    rows = []
    for count in counts:
        output = scratch / f"rows{count}"
        write_results(output, count)
        work = {
            name: lambda sql=sql, output=output: list(execute(open_results(output), sql)[1])
            for name, sql in QUERIES.items()
        }
        taken = in_rounds(work, 5)
        first = QUERIES["count by field and status"]
        command = in_rounds({"": lambda o=output, sql=first: formscribe("query", str(o), sql)}, 3)
        rows += [[f"{count:,}", name, Spread.of(times).text("", 3)] for name, times in taken.items()]
        rows.append([f"{count:,}", "the first, as a command", Spread.of(command[""]).text("", 3)])
        shutil.rmtree(output)
    return table(["field rows", "query", "s"], rows)


def write_results(output: Path, count: int) -> None:
    """A complete run of ``count`` field rows; its other tables are empty."""
    for name, schema in TABLES.items():
        folder = output / name / "run=made-up"
        folder.mkdir(parents=True)
        batches = field_rows(count) if name == "fields" else iter(())
        with pq.ParquetWriter(folder / "part-0.parquet", schema, compression="zstd") as writer:
            for batch in batches:
                writer.write_table(batch)
            if name != "fields":
                writer.write_table(schema.empty_table())
    (output / "_runs").mkdir()
    record = {"run": "made-up", "finished": "2026-01-01T00:00:00+00:00"}
    (output / "_runs" / "made-up.json").write_text(json.dumps(record), "utf-8")


def field_rows(count: int) -> Iterator[pa.Table]:
    """Made-up rows of ``FIELDS``: pages of digits, of which one in ten needs review."""
    rng = np.random.default_rng(0)
    for start in range(0, count, GROUP):
        rows = np.arange(start, min(start + GROUP, count))
        ordinal = rows % FIELDS_PER_PAGE
        numbers = rng.integers(0, 1_000_000, len(rows))
        confidence = rng.random(len(rows), np.float32)
        columns = {
            "source": [f"/scans/{number:07}.png" for number in (rows // FIELDS_PER_PAGE).tolist()],
            "page": np.ones(len(rows), np.int32),
            "field": [f"field_{number:02}" for number in ordinal.tolist()],
            "ordinal": ordinal.astype(np.int32),
            "text": [f"{number:06}" for number in numbers.tolist()],
            "confidence": confidence,
            "status": np.where(confidence < 0.1, "review", "accepted").tolist(),
            "charset": ["digits"] * len(rows),
            **{f"box_{part}": rng.random(len(rows), np.float32) for part in ("x", "y", "width", "height")},
            "ink_ratio": rng.random(len(rows), np.float32),
            "runners_up": [[{"text": "123456", "confidence": 0.01}]] * len(rows),
        }
        yield pa.table(columns, schema=TABLES["fields"])
