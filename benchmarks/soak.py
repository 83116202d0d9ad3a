"""Does a worker stay as it was over thousands of pages? ``python -m benchmarks.soak --out soak``.

Renders some pages, lists them under as many names as are asked for (hard links), reads them with ``formscribe
run``, and samples memory, open files and threads of every process of the run whenever it tells how far it is.
Short runs before and after tell what a page costs there. Writes ``samples.csv`` and ``summary.json`` into
``--out``; ``python -m benchmarks.soak_report`` draws them.
"""

import argparse
import csv
import json
import os
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from dataclasses import asdict, dataclass, fields
from pathlib import Path

import psutil

from benchmarks.runs import adopt_orphans, cpu_of_children, linked, page_cost, rendered, run_words
from benchmarks.timing import machine

STRIP = Path(__file__).parent.parent / "sample_forms" / "strip" / "strip.toml"
SHORT_PAGES = 100


@dataclass(frozen=True)
class Sample:
    """One process of the run at one moment; ``pages`` are those that all workers together have done."""

    seconds: float
    pages: int
    role: str
    process: int
    resident_mb: float
    own_mb: float
    files: int
    threads: int
    cpu_seconds: float
    load: float


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.split("\n\n", 1)[0])
    parser.add_argument("--out", type=Path, required=True, help="folder for samples.csv and summary.json")
    parser.add_argument("--template", default=str(STRIP), help="a form (default: the strip of sample_forms)")
    parser.add_argument("--pages", type=int, default=10_000, help="(default: %(default)s)")
    parser.add_argument("--distinct", type=int, default=200, help="rendered pages (default: %(default)s)")
    parser.add_argument("--workers", type=int, default=2, help="(default: %(default)s)")
    parser.add_argument("--rounds", type=int, default=3, help="short runs before and after (default: 3)")
    parser.add_argument("--run_flag", action="append", default=[], help="of formscribe run, may be repeated")
    args = parser.parse_args()
    args.out.mkdir(parents=True, exist_ok=True)
    adopt_orphans()
    with tempfile.TemporaryDirectory(dir=args.out) as scratch:
        pages = rendered(Path(scratch) / "rendered", args.distinct, args.template)
        scans = {n: linked(pages, Path(scratch) / f"scans{n}", n) for n in (1, SHORT_PAGES, args.pages)}
        short: dict[int, list[float]] = {1: [], SHORT_PAGES: []}
        for _ in range(args.rounds):
            measure_short(short, scans, args)
        summary = long_run(scans[args.pages], args)
        for _ in range(args.rounds):
            measure_short(short, scans, args)
    summary |= costs(short, summary["cpu_seconds"], args.pages)
    (args.out / "summary.json").write_text(json.dumps(summary, indent=1) + "\n", encoding="utf-8")
    print(json.dumps(summary, indent=1))
    return 0


def measure_short(short: dict[int, list[float]], scans: dict[int, Path], args: argparse.Namespace) -> None:
    for pages, taken in short.items():
        output = args.out / f"output{pages}"
        before = cpu_of_children()
        quiet = {"stdout": subprocess.DEVNULL, "stderr": subprocess.DEVNULL}
        words = run_words(scans[pages], output, args.template, args.workers, args.run_flag)
        subprocess.run(words, check=True, **quiet)
        taken.append(cpu_of_children() - before)
        shutil.rmtree(output)
        print(f"{pages} pages: {taken[-1]:.1f} s of processor", file=sys.stderr, flush=True)


def long_run(scans: Path, args: argparse.Namespace) -> dict:
    """The run itself: samples into ``samples.csv``; what it took."""
    output = args.out / "output"
    before, start = cpu_of_children(), time.monotonic()
    words = run_words(scans, output, args.template, args.workers, args.run_flag)
    process = subprocess.Popen(words, stderr=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
    assert process.stderr is not None
    assert process.stdout is not None
    with open(args.out / "samples.csv", "w", newline="", encoding="utf-8") as stream:
        writer = csv.DictWriter(stream, [field.name for field in fields(Sample)])
        writer.writeheader()
        for line in process.stderr:
            first = line.partition(" ")[0].replace(",", "")
            pages = int(first) if first.isdigit() else 0
            for sample in samples(process.pid, pages, time.monotonic() - start):
                writer.writerow(asdict(sample))
            stream.flush()
    told = process.stdout.read()
    code = process.wait()
    seconds = time.monotonic() - start
    written = sum(path.stat().st_size for path in output.rglob("*") if path.is_file())
    shutil.rmtree(output, ignore_errors=True)
    return {
        "machine": machine(),
        "template": Path(args.template).name,
        "pages": args.pages,
        "workers": args.workers,
        "exit_code": code,
        "told": told.splitlines()[:3],
        "seconds": round(seconds, 1),
        "cpu_seconds": round(cpu_of_children() - before, 1),
        "output_bytes": written,
    }


def samples(process: int, pages: int, seconds: float) -> Iterator[Sample]:
    """Every process of the run as it is now; the launcher first."""
    load = os.getloadavg()[0]
    try:
        launcher = psutil.Process(process)
        tree = [launcher, *launcher.children(recursive=True)]
    except psutil.Error:
        return
    for one in tree:
        try:
            with one.oneshot():
                memory, times = one.memory_full_info(), one.cpu_times()
                yield Sample(
                    seconds=round(seconds, 1),
                    pages=pages,
                    role="launcher" if one.pid == process else "worker",
                    process=one.pid,
                    resident_mb=round(memory.rss / 1e6, 1),
                    own_mb=round(memory.uss / 1e6, 1),
                    files=one.num_fds(),
                    threads=one.num_threads(),
                    cpu_seconds=round(times.user + times.system, 2),
                    load=round(load, 2),
                )
        except psutil.Error:  # it has ended
            continue


def costs(short: dict[int, list[float]], cpu_seconds: float, pages: int) -> dict:
    """Processor seconds of a page in runs of either length, the start of a run taken out, and their ratio."""
    start, hundred = statistics.median(short[1]), statistics.median(short[SHORT_PAGES])
    at_hundred = page_cost(hundred, SHORT_PAGES, start, 1)
    at_all = page_cost(cpu_seconds, pages, start, 1)
    return {
        "short_runs": short,
        "cpu_seconds_a_page_at_100": at_hundred,
        f"cpu_seconds_a_page_at_{pages}": at_all,
        "ratio": round(at_all / at_hundred, 3),
    }


if __name__ == "__main__":
    sys.exit(main())
