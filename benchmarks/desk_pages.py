"""How long a verifier waits at the desk: from a key press until the next field is painted, in Chromium.

    python -m benchmarks.desk_pages --fields 100000

The queue is filled from readings of the rendered sample forms: every page is a file of its own, which the
server decodes when one of its fields is looked at. Fields are answered at the pace of a quick person first,
then as fast as the page takes them.
"""

import argparse
import hashlib
import json
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from shutil import which

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from playwright.sync_api import Page, sync_playwright

from benchmarks.timing import machine, table
from pipeline.schemas import TABLES

ROOT = Path(__file__).parent.parent
SCANS = sorted((ROOT / "sample_forms" / "hsf").glob("*.png"))
WAIT = 600_000  # milliseconds
PACE = 0.25  # seconds between two answers of a quick person
ARGUMENTS = ["--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run", "--disable-sync"]
# A message that is posted just before a frame is painted arrives after it.
CLOCK = """() => {
  window.waits = [];
  document.addEventListener("keydown", (event) => {
    if (event.key !== "Enter") return;
    const begun = event.timeStamp;
    const stage = document.getElementById("stage");
    const before = stage.dataset.field;
    const look = () => {
      const image = stage.querySelector(".paper img");
      if (stage.dataset.field === before || !image?.complete) return requestAnimationFrame(look);
      const channel = new MessageChannel();
      channel.port1.onmessage = () => window.waits.push(performance.now() - begun);
      channel.port2.postMessage(0);
    };
    requestAnimationFrame(look);
  }, {capture: true});
}"""
READY = "() => document.querySelector('#stage[data-field] .paper img')?.complete"


def read_samples(folder: Path) -> dict[str, dict[str, list[dict]]]:
    """The rows of a run over the sample forms, by scan and table."""
    words = ["run", "--input", *map(str, SCANS), "--output", str(folder), "--template", "hsf"]
    subprocess.run([sys.executable, "-m", "jobs.cli", *words], cwd=ROOT, check=True, capture_output=True)
    rows: dict[str, dict[str, list[dict]]] = {}
    for name in ("forms", "fields", "characters"):
        for row in pq.read_table(folder / name, schema=TABLES[name]).to_pylist():
            rows.setdefault(row["source"], {}).setdefault(name, []).append(row)
    return rows


def write_queue(output: Path, scans: Path, count: int, looked_at: int) -> None:
    """A complete run with at least ``count`` doubtful fields, all fields of one line of many pages.

    Only the pages of the first ``looked_at`` fields, which are the least sure ones, exist as files.
    """
    samples = list(read_samples(output.with_name("samples")).values())
    lines = [row for row in samples[0]["fields"] if row["charset"] == "digits"]
    pages = -(-count // len(lines))
    scans.mkdir()
    made: dict[str, list[dict]] = {name: [] for name in TABLES}
    writers = {}
    for name, schema in TABLES.items():
        (output / name / "run=made-up").mkdir(parents=True)
        writers[name] = pq.ParquetWriter(output / name / "run=made-up" / "part-0.parquet", schema)
    for number in range(pages):
        path = scans / f"{number:06}.png"
        data = SCANS[number % len(SCANS)].read_bytes() + number.to_bytes(4, "big")  # readers stop before it
        if number < looked_at:
            path.write_bytes(data)
        for name, rows in page_rows(samples[number % len(samples)], path, data, number).items():
            made[name] += rows
        if number % 200 == 199 or number == pages - 1:
            for name, rows in made.items():
                writers[name].write_table(pa.Table.from_pylist(rows, TABLES[name]))
                rows.clear()
    for writer in writers.values():
        writer.close()
    (output / "_runs").mkdir()
    record = {"run": "made-up", "finished": "2026-01-01T00:00:00+00:00"}
    (output / "_runs" / "made-up.json").write_text(json.dumps(record), "utf-8")


def page_rows(sample: dict[str, list[dict]], path: Path, data: bytes, number: int) -> dict[str, list[dict]]:
    """The rows of a page like a sample, all its fields of digits doubtful, the less the later the page."""
    at = {"source": str(path), "page": 1}
    fields = [row for row in sample["fields"] if row["charset"] == "digits"]
    names = {row["field"] for row in fields}
    doubt = {"status": "review", "confidence": min(0.89, 0.1 + number * 1e-5)}
    return {
        "forms": [row | at | {"sha256": hashlib.sha256(data).hexdigest()} for row in sample["forms"]],
        "fields": [row | at | doubt for row in fields],
        "characters": [row | at for row in sample["characters"] if row["field"] in names],
    }


@contextmanager
def served(output: Path) -> Iterator[str]:
    """The address of a desk in a process of its own."""
    words = [sys.executable, "-m", "jobs.cli", "review", str(output), "--port", "0", "--no-browser"]
    process = subprocess.Popen(words, cwd=ROOT, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True)
    try:
        assert process.stdout is not None
        line = next(line for line in process.stdout if "http://" in line)
        yield line[line.index("http://") :].strip()
    finally:
        process.terminate()
        process.wait()


def answer(page: Page, count: int, pace: float) -> tuple[list[float], float]:
    """Accepts ``count`` readings; the waits in ms, and the seconds until all were saved."""
    page.evaluate("() => { window.waits.length = 0; }")
    begun = time.perf_counter()
    for number in range(count):
        due = begun + number * pace
        time.sleep(max(0.0, due - time.perf_counter()))
        page.wait_for_function(READY)
        page.keyboard.press("Enter")
        page.wait_for_function("count => window.waits.length === count", arg=number + 1)
    page.wait_for_selector("#saves[data-state=idle]")
    return page.evaluate("window.waits"), time.perf_counter() - begun


def measure(address: str, count: int) -> list[list[str]]:
    """A row for each pace."""
    rows = []
    with sync_playwright() as playwright:
        chromium = playwright.chromium.launch(executable_path=which("chromium"), args=ARGUMENTS)
        context = chromium.new_context(viewport={"width": 1280, "height": 800})
        context.set_default_timeout(WAIT)
        context.add_init_script("localStorage.setItem('formscribe.verifier', '\"ann\"')")
        page = context.new_page()
        page.goto(address)
        page.evaluate(CLOCK)
        page.wait_for_function(READY)
        time.sleep(2)
        answer(page, 10, PACE)
        for name, pace in (("four answers a second", PACE), ("as fast as the page takes them", 0.0)):
            waits, spent = answer(page, count, pace)
            middle, late = np.percentile(waits, [50, 95])
            rows.append([name, f"{middle:.0f}", f"{late:.0f}", f"{3600 * count / spent:,.0f}"])
        chromium.close()
    return rows


def main() -> None:
    """Prints the figures as Markdown."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--fields", type=int, default=100_000, metavar="N", help="in the queue (%(default)s)")
    parser.add_argument("--answers", type=int, default=200, metavar="N", help="of each pace (%(default)s)")
    args = parser.parse_args()
    if which("chromium") is None:
        parser.error("needs Chromium: sudo apt install -y chromium")
    print(machine())
    with tempfile.TemporaryDirectory() as scratch:
        output = Path(scratch) / "out"
        write_queue(output, Path(scratch) / "scans", args.fields, 3 * args.answers + 100)
        with served(output) as address:
            rows = measure(address, args.answers)
    print(table(["pace", "key to painted, median, ms", "95 %, ms", "answers an hour"], rows))


if __name__ == "__main__":
    main()
