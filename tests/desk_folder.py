"""A folder of results as the job writes it, with scans that are drawn: what the desk's tests start from."""

import hashlib
import json
from collections.abc import Sequence
from pathlib import Path

import cv2
import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from pipeline.schemas import TABLES
from review.database import sqlite_url
from review.desk import Desk, DeskOptions
from review.keys import FieldKey

WIDTH, HEIGHT = 400, 300
FORM = "slip"


def draw_scan(path: Path, words: str) -> str:
    """A page with words on it; returns the hash of the file."""
    page = np.full((HEIGHT, WIDTH), 255, np.uint8)
    cv2.putText(page, words, (20, 70), cv2.FONT_HERSHEY_SIMPLEX, 1.0, 0, 2)
    path.parent.mkdir(parents=True, exist_ok=True)
    cv2.imwrite(str(path), page)
    return hashlib.sha256(path.read_bytes()).hexdigest()


def field(
    name: str, text: str, confidence: float | None = 0.5, status: str = "review", charset: str = "digits"
) -> dict:
    """A field of a page; its place follows from its name, ``a`` above ``b``."""
    place = ord(name[0]) - ord("a")
    return {
        "field": name,
        "ordinal": place,
        "text": text,
        "confidence": confidence,
        "status": status,
        "charset": charset,
        "box_x": 20.0,
        "box_y": 40.0 + 60 * place,
        "box_width": 200.0,
        "box_height": 40.0,
        "ink_ratio": 0.1,
        "runners_up": [{"text": text[::-1], "confidence": 0.2}],
    }


def write_run(
    output: Path,
    run: str,
    pages: dict[str, Sequence[dict]],
    hashes: dict[str, str] | None = None,
    failures: Sequence[str] = (),
) -> None:
    """A complete run. Runs end in the order of their names.

    Args:
        output: the folder.
        run: its name.
        pages: by source its fields; a source is drawn if it is an absolute path without a file.
        hashes: of sources that have no file.
        failures: sources that could not be read.
    """
    rows: dict[str, list[dict]] = {name: [] for name in TABLES}
    for source, fields in pages.items():
        sha256 = (hashes or {}).get(source) or _hash(Path(source))
        at = {"source": source, "page": 1}
        form = dict.fromkeys(TABLES["forms"].names, 0)
        form |= {"sha256": sha256, "status": "review", "template": FORM, "template_sha256": "t"}
        form |= {"model_sha256": "m", "transform": [1.0, 0, 0, 0, 1, 0], "width": WIDTH, "height": HEIGHT}
        rows["forms"].append(form | at | {"fields": len(fields)})
        for entry in fields:
            rows["fields"].append(at | entry)
            rows["characters"] += [at | character for character in _characters(entry)]
    for source in failures:
        failure = {"source": source, "page": None, "sha256": None, "stage": "open"}
        rows["failures"].append(failure | {"code": "gone", "message": "away"})
    for table, content in rows.items():
        folder = output / table / f"run={run}"
        folder.mkdir(parents=True)
        pq.write_table(pa.Table.from_pylist(content, TABLES[table]), folder / "part-00000-of-00001.parquet")
    (output / "_runs").mkdir(exist_ok=True)
    (output / "_runs" / f"{run}.json").write_text(json.dumps({"run": run, "finished": run}))


def _hash(path: Path) -> str:
    if not path.exists():
        return draw_scan(path, path.stem)
    return hashlib.sha256(path.read_bytes()).hexdigest()


def _characters(entry: dict) -> list[dict]:
    crop = np.zeros((28, 28), np.uint8)
    crop[6:22, 12:16] = 255
    return [
        {
            "field": entry["field"],
            "position": position,
            "label": label,
            "confidence": entry["confidence"] or 0.0,
            "alternatives": [{"label": "x", "confidence": 0.1}],
            "box_x": 20.0 + 20 * position,
            "box_y": entry["box_y"],
            "box_width": 18.0,
            "box_height": 30.0,
            "crop": crop.tobytes(),
        }
        for position, label in enumerate(entry["text"])
    ]


def slips(folder: Path, count: int = 3) -> Path:
    """Results of ``count`` scans: field ``a`` doubtful, the worse the earlier; ``b`` too; ``c`` accepted."""
    pages = {
        str(folder / "scans" / f"s{i}.png"): [
            field("a", f"1{i}", 0.10 + 0.01 * i),
            field("b", f"2{i}", 0.50 + 0.01 * i),
            field("c", f"7{i}", 0.99, "accepted"),
        ]
        for i in range(count)
    }
    write_run(folder / "out", "run1", pages)
    return folder / "out"


def open_desk(output: Path, database: str | None = None, **options) -> Desk:
    """A desk with the folder's runs in its queue."""
    desk = Desk(DeskOptions(output, database or sqlite_url(output), **options))
    desk.take_in()
    return desk


def key_of(output: Path, scan: str, name: str) -> FieldKey:
    """The key of a field of a scan of ``slips``."""
    path = output.parent / "scans" / scan
    return FieldKey(hashlib.sha256(path.read_bytes()).hexdigest(), 1, FORM, name)
