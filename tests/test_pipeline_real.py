"""The shipped model on the sample forms, and everything that may lie in a folder beside them."""

import json
import shutil
import struct
import zlib
from pathlib import Path

import cv2
import pytest

from jobs.cli import main
from jobs.exit_codes import ExitCode

SAMPLES = Path(__file__).resolve().parent.parent / "sample_forms" / "hsf"


def png_bomb(path: Path) -> None:
    """A few kB that claim to be 60000x60000 pixels."""

    def chunk(kind: bytes, data: bytes) -> bytes:
        return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))

    header = struct.pack(">IIBBBBB", 60_000, 60_000, 8, 0, 0, 0, 0)
    body = chunk(b"IHDR", header) + chunk(b"IDAT", zlib.compress(bytes(100_000))) + chunk(b"IEND", b"")
    path.write_bytes(b"\x89PNG\r\n\x1a\n" + body)


@pytest.fixture(scope="module")
def results(tmp_path_factory) -> Path:
    folder = tmp_path_factory.mktemp("real")
    scans = folder / "scans"
    scans.mkdir()
    for name in ("form_0001.png", "form_0007.tif"):
        shutil.copy(SAMPLES / name, scans)
    (scans / "truncated.png").write_bytes((SAMPLES / "form_0002.png").read_bytes()[:20_000])
    (scans / "empty.png").write_bytes(b"")
    (scans / "text.png").write_text("hello")
    png_bomb(scans / "bomb.png")
    gray = cv2.imread(str(SAMPLES / "form_0001.png"), cv2.IMREAD_GRAYSCALE)
    cv2.imwrite(str(scans / "other.png"), gray[1000:1400])
    words = ["--input", str(scans), "--output", str(folder / "out"), "--template", "hsf"]
    assert main(["run", *words]) == ExitCode.OK
    return folder / "out"


def rows(capsys, results: Path, sql: str) -> list[dict]:
    assert main(["query", str(results), sql, "--format", "json"]) == ExitCode.OK
    return json.loads(capsys.readouterr().out)


def test_bad_files_are_failures_with_their_own_codes(capsys, results):
    failures = rows(capsys, results, "SELECT parse_filename(source) AS file, code FROM failures")
    assert {row["file"]: row["code"] for row in failures} == {
        "truncated.png": "truncated",
        "empty.png": "empty_file",
        "text.png": "not_an_image",
        "bomb.png": "too_many_pixels",
        "other.png": "form_not_found",
    }


def test_good_pages_are_read(capsys, results):
    truth = json.loads((SAMPLES / "form_0001.truth.json").read_text())["fields"]
    sql = "SELECT field, text FROM fields WHERE source LIKE '%form_0001.png' AND charset = 'digits'"
    read = {row["field"]: row["text"] for row in rows(capsys, results, sql)}
    digits = [name for name in read if name >= "fld_03"]
    assert len(digits) == 28
    assert sum(read[name] == truth[name] for name in digits) >= 24
    (count,) = rows(capsys, results, "SELECT count(*) AS n FROM forms")
    assert count["n"] == 2


def test_characters_lie_inside_their_page(capsys, results):
    sql = """
        SELECT count(*) AS n,
               bool_and(c.box_x >= 0 AND c.box_y >= 0 AND c.box_x + c.box_width <= f.width
                        AND c.box_y + c.box_height <= f.height AND octet_length(c.crop) = 784) AS inside
        FROM characters c JOIN forms f USING (source, page)
    """
    (row,) = rows(capsys, results, sql)
    assert row["n"] > 300
    assert row["inside"]


def test_two_processes_give_the_same_rows(capsys, results, tmp_path):
    words = ["--input", str(results.parent / "scans"), "--output", str(tmp_path), "--template", "hsf"]
    two = ["--direct_num_workers=2", "--direct_running_mode=multi_processing"]
    assert main(["run", *words, *two]) == ExitCode.OK
    capsys.readouterr()
    for view, order in {"fields": "source, page, ordinal", "failures": "source, page"}.items():
        sql = f"SELECT * EXCLUDE (run) FROM {view} ORDER BY {order}"
        assert rows(capsys, tmp_path, sql) == rows(capsys, results, sql)
