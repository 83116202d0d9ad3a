"""The benchmark of the desk's pages, as somebody types it, with a small queue."""

import subprocess
import sys
from pathlib import Path

import pytest

from tests.desk_browser import CHROMIUM

pytestmark = pytest.mark.slow


@pytest.mark.skipif(CHROMIUM is None, reason="needs Chromium: sudo apt install -y chromium")
def test_the_benchmark_prints_a_row_for_each_pace():
    words = [sys.executable, "-m", "benchmarks.desk_pages", "--fields", "300", "--answers", "5"]
    root = Path(__file__).resolve().parent.parent
    told = subprocess.run(words, cwd=root, capture_output=True, text=True, check=True, timeout=600).stdout
    rows = [line.split("|")[1:-1] for line in told.splitlines() if line.startswith("| ")][2:]
    assert [row[0].strip() for row in rows] == ["four answers a second", "as fast as the page takes them"]
    for _, median, late, hourly in rows:
        assert 0 < int(median) <= int(late)
        assert int(hourly.replace(",", "")) > 0
