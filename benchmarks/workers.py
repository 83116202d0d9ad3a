"""How much faster are more local workers? ``python -m benchmarks.workers --pages 100 --workers 1 2``.

Renders pages, reads them with each number of workers, and prints a table of seconds, pages a second and the
peak memory of the largest process so far. Run it on a machine that does nothing else.
"""

import argparse
import resource
import subprocess
import sys
import tempfile
import time
from pathlib import Path

FORMSCRIBE = [sys.executable, "-m", "jobs.cli"]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--pages", type=int, default=100, help="(default: %(default)s)")
    parser.add_argument("--workers", type=int, nargs="+", default=[1, 2], help="(default: 1 2)")
    parser.add_argument("--scans", help="a folder of scans, instead of rendered pages")
    args = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        scans = args.scans or f"{folder}/scans"
        if not args.scans:
            call("samples", "--out", scans, "--count", str(args.pages))
        pages = len(list(Path(scans).glob("*.png")))
        print(
            "| workers | seconds | pages/s | against the first | largest process, MB |\n|---|---|---|---|---|"
        )
        first = 0.0
        for workers in args.workers:
            start = time.perf_counter()
            output = f"{folder}/out{workers}"
            call("run", "--input", scans, "--output", output, "--template", "hsf", "--workers", str(workers))
            seconds = time.perf_counter() - start
            first = first or seconds
            megabytes = resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss // 1024
            figures = f"{seconds:.1f} | {pages / seconds:.2f} | {first / seconds:.2f} | {megabytes}"
            print(f"| {workers} | {figures} |", flush=True)


def call(*words: str) -> None:
    subprocess.run([*FORMSCRIBE, *words], check=True, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)


if __name__ == "__main__":
    main()
