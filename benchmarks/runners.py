"""Which local runner is fastest? ``python -m benchmarks.runners --pages 200 --prism PATH``.

Renders pages and reads them on Beam's own Python runner, with one process and with several, and on Prism if
its binary is named. The runners take turns, so that a machine whose speed drifts is fair to all; ratios are
taken round by round, and the first round does not count.
"""

import argparse
import itertools
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from functools import partial
from pathlib import Path

from benchmarks.timing import Spread, in_rounds, machine, ratio, table
from pipeline.matching import has_known_extension

FORMSCRIBE = [sys.executable, "-m", "jobs.cli"]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--pages", type=int, default=100, help="(default: %(default)s)")
    parser.add_argument("--template", default="hsf", help="(default: %(default)s)")
    parser.add_argument("--scans", help="a folder of scans, instead of rendered pages")
    parser.add_argument("--rounds", type=int, default=3, help="(default: %(default)s)")
    parser.add_argument("--workers", type=int, nargs="+", default=[2], help="(default: 2)")
    parser.add_argument("--prism", metavar="PATH", help="a binary made by `go install`; see docs/cluster.md")
    args = parser.parse_args()
    taken_on = machine()
    with tempfile.TemporaryDirectory() as folder:
        scans = args.scans or f"{folder}/scans"
        if not args.scans:
            call("samples", "--out", scans, "--count", str(args.pages), "--template", args.template)
        pages = len([path for path in Path(scans).iterdir() if has_known_extension(str(path))])
        words = ["run", "--input", scans, "--template", args.template, "--output", f"{folder}/out"]
        numbers = itertools.count()
        tasks = {
            name: partial(read, [*words, *flags], numbers)
            for name, flags in runners(args.workers, args.prism).items()
        }
        seconds = in_rounds(tasks, args.rounds)
    first = next(iter(seconds.values()))
    rows = [
        [name, Spread.of(found).text(" s"), ratio(first, found).text("", 2)]
        for name, found in seconds.items()
    ]
    print("\n".join([f"{pages} pages; {taken_on}", "", table(["runner", "a run", "times as fast"], rows)]))


def read(words: list[str], numbers: Iterator[int]) -> None:
    """Reads all pages once, under a name of its own."""
    call(*words, "--run_id", f"run{next(numbers)}")


def runners(workers: list[int], prism: str | None) -> dict[str, list[str]]:
    """Flags by the name of what they choose."""
    found: dict[str, list[str]] = {"one process": []}
    for count in workers:
        found[f"--workers {count}"] = ["--workers", str(count)]
    if prism:
        found["Prism"] = ["--runner=PrismRunner", f"--prism_location={prism}"]
    return found


def call(*words: str) -> None:
    subprocess.run([*FORMSCRIBE, *words], check=True, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)


if __name__ == "__main__":
    main()
