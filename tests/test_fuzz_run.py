"""The whole command over folders of damaged and malicious files: each is a row, and the exit code is OK."""

import io
import os
import re
import subprocess
import sys
from pathlib import Path

import numpy as np
import pyarrow.dataset as ds
import pytest
from fuzz_files import case, damaged, mended, recursive_form_pdf
from PIL import Image
from test_docs import codes_in_source

from jobs.exit_codes import ExitCode

ROOT = Path(__file__).resolve().parent.parent
SAMPLES = ROOT / "sample_forms"
SEED = 2


def damaged_form(index: int, folder: str) -> tuple[str, bytes]:
    """A sample form with damage that decoders may not notice, so that it goes on to the later stages."""
    chance = np.random.default_rng([SEED, index])
    forms = sorted(path for path in (SAMPLES / folder).iterdir() if path.suffix in (".png", ".jpg", ".tif"))
    path = forms[index % len(forms)]
    if path.suffix == ".png" and index % 2:
        with Image.open(path) as image:
            gray = np.array(image.convert("L"))
        for _ in range(int(chance.integers(1, 40))):  # noise, black bars, missing stripes
            y, x = (int(chance.integers(0, side)) for side in gray.shape)
            part = gray[y : y + int(chance.integers(1, 600)), x : x + int(chance.integers(1, 900))]
            part[:] = chance.choice([0, 255, chance.integers(0, 256, part.shape)[0, 0]])
        if index % 6 == 1:
            gray = chance.integers(0, 256, gray.shape).astype(np.uint8)
        out = io.BytesIO()
        Image.fromarray(gray).save(out, "PNG", compress_level=1)
        return ".png", out.getvalue()
    return path.suffix, mended(damaged(path.read_bytes(), chance))


def write_enemies(scans: Path, cases: int, forms: int, folder: str) -> int:
    """Fills a folder; returns how many files are in it."""
    scans.mkdir()
    for index in range(cases):
        (scans / f"case_{index:05d}.png").write_bytes(case(SEED, index))
    for index in range(forms):
        suffix, data = damaged_form(index, folder)
        (scans / f"form_{index:05d}{suffix}").write_bytes(data)
    (scans / "recursive.pdf").write_bytes(recursive_form_pdf())
    whole = SAMPLES / folder / "form_0001.png"
    (scans / "whole.png").write_bytes(whole.read_bytes())
    return len(list(scans.iterdir()))


def run_over(tmp_path: Path, template: str, *flags: str) -> subprocess.CompletedProcess[str]:
    words = ["run", "--input", "scans", "--output", "out", "--template", template, "--run_id", "r", *flags]
    env = os.environ | {"PYTHONPATH": str(ROOT)}
    return subprocess.run(
        [sys.executable, "-m", "jobs.cli", *words], cwd=tmp_path, env=env, capture_output=True, text=True
    )


def check_rows(tmp_path: Path, done: subprocess.CompletedProcess[str], files: int) -> None:
    assert done.returncode == ExitCode.OK, done.stderr[-2000:]
    assert "Traceback" not in done.stderr
    assert all(re.match(r"starting|[\d,]+ pages? of", line) for line in done.stderr.splitlines()), done.stderr
    failures = ds.dataset(tmp_path / "out" / "failures" / "run=r").to_table().to_pylist()
    forms = ds.dataset(tmp_path / "out" / "forms" / "run=r").to_table(columns=["source"]).to_pylist()
    named = {Path(row["source"]).name for row in [*failures, *forms]}
    assert len(named) == files
    assert "whole.png" in {Path(row["source"]).name for row in forms}
    faults = [row for row in failures if row["code"] == "internal_error" or not row["message"]]
    assert faults == []
    assert {row["code"] for row in failures} <= codes_in_source()


@pytest.mark.timeout(1800)
def test_a_folder_of_hostile_files(tmp_path):
    files = write_enemies(tmp_path / "scans", 150, 20, "strip")
    done = run_over(tmp_path, str(SAMPLES / "strip" / "strip.toml"), "--max_page_seconds=20")
    check_rows(tmp_path, done, files)


@pytest.mark.slow
@pytest.mark.timeout(3600)
@pytest.mark.parametrize("flags", [(), ("--workers=2", "--max_page_seconds=60", "--max_worker_memory=2G")])
def test_some_hundred_hostile_files(tmp_path, flags):
    files = write_enemies(tmp_path / "scans", 300, 120, "hsf")
    check_rows(tmp_path, run_over(tmp_path, "hsf", *flags), files)
