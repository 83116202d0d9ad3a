"""What whole runs cost: the start taken out, ratios round by round, growth, the first page of a worker."""

import os
import subprocess
import sys
from pathlib import Path

import cv2
import pytest

from benchmarks import growth, runs, worker_start, workers
from benchmarks.growth import Timed
from benchmarks.runs import Run
from benchmarks.timing import Spread


def timed(start: float, page: float, pages: int, number: int) -> Timed:
    seconds = start + page * pages
    return Timed(pages, number, Run(seconds, 2 * seconds, 100.0 + pages, 200.0))


def grown() -> list[Timed]:
    """Runs of 2 seconds and 0.1 s a page, twice as slow in the second round; 0.165 s a page of 1,000."""
    return [
        *(timed(2.0, 0.1, pages, 0) for pages in (1, 100)),
        timed(2.0, 0.165, 1000, 0),
        *(timed(4.0, 0.2, pages, 1) for pages in (1, 100)),
    ]


def test_runs_of_every_length_come_before_and_after_the_longest():
    order = growth.plan([10_000, 10, 1000, 100], 2)
    before, after = [1, 10, 100, 1, 10, 100, 1000], [1, 10, 100, 1000, 1, 10, 100]
    assert [pages for pages, _ in order] == [*before, 10_000, *after]
    assert [number for _, number in order] == [0] * 3 + [1] * 5 + [2] * 4 + [3] * 3
    assert growth.plan([3, 6], 1) == [(1, 0), (3, 0), (6, 0), (1, 1), (3, 1)]


def test_a_page_costs_the_same_however_many_there_are_if_the_start_is_taken_out():
    assert growth.costs(grown(), 100, "seconds", True) == pytest.approx({0: 0.1, 1: 0.2})
    assert growth.costs(grown(), 100, "seconds", False) == pytest.approx({0: 0.12, 1: 0.24})
    assert growth.costs(grown(), 100, "cpu_seconds", True) == pytest.approx({0: 0.2, 1: 0.4})


def test_the_long_run_is_compared_with_the_rounds_before_and_after_it():
    long = [(2.0 + 165.0 - start) / 999 for start in (2.1, 4.2)]
    found = growth.growth_ratio(grown(), 1000, 100, "seconds", True)
    assert (found.low, found.high) == pytest.approx((long[1] / 0.2, long[0] / 0.1))
    assert found.median == pytest.approx((found.low + found.high) / 2)


def test_growth_is_told_as_tables_and_drawn(tmp_path: Path):
    lines = growth.growth_table(grown()).splitlines()
    assert lines[3].startswith(
        "| 100 | 2 | 360.0 (240.0-480.0) | 300.0 (200.0-400.0) | 180.0 (120.0-240.0) |"
    )
    assert lines[-1].endswith("| 1100 | 200 |")
    assert "| | |" not in lines[2]
    assert "a page at 1,000 pages : at 100" in growth.ratios_table(grown(), 100)
    growth.draw(grown(), "machine", tmp_path / "growth.png")
    assert cv2.imread(str(tmp_path / "growth.png")).shape[1] > 600


def test_more_workers_are_compared_round_by_round_with_and_without_the_start():
    def rounds(start: float, *pages: float) -> list[dict[str, Run]]:
        return [
            {
                name: Run(start + page * count, 1.0, 50.0, 70.0)
                for name, count in (("long", 110), ("short", 10))
            }
            for page in pages
        ]

    taken = {1: rounds(1.0, 0.2, 0.4), 2: rounds(3.0, 0.1, 0.25)}
    assert workers.page_seconds(taken[2], 110, 10) == pytest.approx([0.1, 0.25])
    row = workers.workers_table(taken, 110, 10).splitlines()[-1].split(" | ")
    ratios = [23 / 14, 45 / 30.5]
    assert row[2] == Spread.of(ratios).text("", 2)
    assert row[4] == "1.80 (1.60-2.00)"
    assert row[5] == "7.00 (4.00-10.00)"
    assert row[-1] == "70 |"


def test_pages_that_cannot_be_linked_are_copied(tmp_path: Path, monkeypatch):
    page = tmp_path / "a.png"
    page.write_text("a")

    def refuse(source, target):
        raise OSError("another file system")

    linked = runs.linked([page], tmp_path / "linked", 3)
    assert page.stat().st_nlink == 4
    monkeypatch.setattr(os, "link", refuse)
    copied = runs.linked([page], tmp_path / "copied", 2)
    assert page.stat().st_nlink == 4
    names = [[path.name for path in sorted(folder.iterdir())] for folder in (linked, copied)]
    assert names == [[f"page_{number:07}.png" for number in range(count)] for count in (3, 2)]


def test_a_run_is_measured_with_its_processes_and_one_that_fails_is_an_error():
    work = "import subprocess, sys; b = bytearray(60_000_000); "
    work += "subprocess.run([sys.executable, '-c', sys.argv[1]])"
    child = "import time; b = bytearray(120_000_000); t = time.process_time()\n"
    child += "while time.process_time() < t + 1.2: pass"
    run = runs.measured([sys.executable, "-c", work, child])
    assert run.cpu_seconds > 1.2
    assert 60 < run.launcher_mb < 119 < run.worker_mb == run.largest_mb < 300
    with pytest.raises(subprocess.CalledProcessError):
        runs.measured([sys.executable, "-c", "raise SystemExit(3)"])


def test_the_first_page_of_a_worker_is_seen_when_it_is_told():
    watched = worker_start.Watched({})
    watched.look("worker:7=1\n", 1.0)
    watched.look("worker:7=1\nworker:9=1\n", 2.0)
    watched.look("worker:7=1\nworker:9=1\nread=1 status:review=2\n", 3.0)
    watched.look("worker:7=1\nworker:9=1\nread=1 status:review=2\nread=1\n", 4.0)
    assert (watched.readies, watched.read) == ({7: 1.0, 9: 2.0}, 3.0)
    page = worker_start.FirstPage(called=10.0, launched=10.5, ready=11.5, read=11.75, ended=12.0)
    assert list(page.steps.values()) == [0.5, 1.0, 0.25, 0.25]
    assert page.worker == 1.25
    assert "| **a worker to its first page** | 1.25 (1.25-1.25) |" in worker_start.steps_table([page])


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="needs /proc")
def test_the_clock_of_processes_is_the_one_that_is_compared_with_it():
    begun = worker_start.since_boot()
    with subprocess.Popen([sys.executable, "-c", "input()"], stdin=subprocess.PIPE) as process:
        started = worker_start._starts({process.pid})[process.pid]
        assert begun - 0.1 <= started <= worker_start.since_boot() + 0.1
