"""What earlier runs have read, so that ``--resume`` need not read it again.

A file is left out if its newest complete run read these very bytes with the same templates, model and
options. Only the newest run of a file counts, because its rows are what ``query`` shows.
"""

import json
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Any, NamedTuple

import pyarrow.parquet as pq
from apache_beam.io.filesystem import CompressionTypes
from apache_beam.io.filesystems import FileSystems

from pipeline.matching import list_folder
from pipeline.options import JobOptions
from pipeline.records import FileToRead
from pipeline.writing import RUNS, table_folder

# May go well the next time, with other neighbours, a mended model file or a mended formscribe.
TRANSIENT = frozenset(
    [
        "internal_error",
        "out_of_memory",
        "too_much_memory",
        "page_too_slow",
        "page_crashed",
        "classification_failed",
        "invalid_model_output",
    ]
)
BAD_NAME = "its name is no text"
_SAME_OPTIONS = ("min_confidence", "max_error_rate", "thresholds", "max_pixels", "max_pages_per_file")


@dataclass(frozen=True)
class EarlierRun:
    """A complete run: its place among all, oldest first, and whether it read as the new one would."""

    run: str
    place: int
    same: bool


class EarlierReading(NamedTuple):
    """What one output file of a run says about a scan."""

    place: int
    same: bool
    sha256: str | None
    pages: int
    transient: bool


def earlier_runs(options: JobOptions) -> tuple[EarlierRun, ...]:
    """The complete runs of the output, oldest first.

    Raises:
        ValueError: a record is damaged; the message names it.
        OSError: the folder cannot be read.
    """
    records = []
    for path in list_folder(FileSystems.join(options.output, RUNS), ".json"):
        with FileSystems.open(path, compression_type=CompressionTypes.UNCOMPRESSED) as stream:
            try:
                record = json.loads(stream.read())
                records.append((str(record["finished"]), str(record["run"]), record))
            except (ValueError, KeyError, TypeError) as error:
                raise ValueError(f"{path}: is damaged ({error}). Delete it to leave this run out.") from None
    records.sort(key=lambda entry: entry[:2])
    return tuple(
        EarlierRun(run, place, read_alike(record, options)) for place, (_, run, record) in enumerate(records)
    )


def read_alike(record: dict[str, Any], options: JobOptions) -> bool:
    """Whether a run read with the templates, the model and the options of another.

    The version of formscribe is not compared: an upgrade alone reads nothing again.
    """
    own = json.loads(json.dumps(options.record()))
    before = record.get("options", {})
    return (
        record.get("templates") == {template.name: template.sha256 for template in options.templates}
        and record.get("model_sha256") == options.model_sha256
        and all(before.get(name, own[name]) == own[name] for name in _SAME_OPTIONS)
    )


def earlier_readings(output: str, run: EarlierRun) -> Iterator[tuple[str, EarlierReading]]:
    """Yields each scan that a run has rows of, once for each of the run's files that has some."""
    for table, columns in {"forms": ["source", "sha256"], "failures": ["source", "sha256", "code"]}.items():
        for path in list_folder(table_folder(output, table, run.run), ".parquet"):
            with FileSystems.open(path, compression_type=CompressionTypes.UNCOMPRESSED) as stream:
                batches = pq.ParquetFile(stream).iter_batches(columns=columns)
                yield from _by_source((row for batch in batches for row in batch.to_pylist()), run)


def _by_source(rows: Iterable[dict[str, Any]], run: EarlierRun) -> Iterator[tuple[str, EarlierReading]]:
    found: dict[str, EarlierReading] = {}
    for row in rows:
        before = found.get(row["source"])
        found[row["source"]] = EarlierReading(
            run.place,
            run.same,
            row["sha256"],
            before.pages + 1 if before else 1,
            row.get("code") in TRANSIENT or (before is not None and before.transient),
        )
    yield from found.items()


def file_to_read(source: str, readings: Iterable[EarlierReading | str | None]) -> Iterator[FileToRead]:
    """Yields a scan with the hash at which it may be left out; nothing if no input means it any more.

    Args:
        source: the scan.
        readings: of all earlier runs, None for each time that an input means the scan, and ``BAD_NAME`` for
            each time that it means one whose name with escapes this is.
    """
    known = list(readings)
    if BAD_NAME in known:
        yield FileToRead(source, bad_name=True)
        known = [reading for reading in known if reading != BAD_NAME]
    earlier = [reading for reading in known if isinstance(reading, EarlierReading)]
    if len(earlier) == len(known):
        return
    newest = max((reading.place for reading in earlier), default=-1)
    parts = [reading for reading in earlier if reading.place == newest]
    hashes = {part.sha256 for part in parts}
    if len(hashes) == 1 and all(part.same and not part.transient for part in parts):
        yield FileToRead(source, hashes.pop(), sum(part.pages for part in parts))
    else:
        yield FileToRead(source)
