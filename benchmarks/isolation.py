"""What the second process of a worker costs: ``python -m benchmarks.isolation``.

Decodes and segments pages in this process and in the second one, taking turns, and prints Markdown. The
second process is used for PDFs, and with --max_page_seconds or --max_worker_memory for all files. Processor
time of both is measured, which other work on the machine disturbs less than time on the clock.
"""

import argparse
import os
import sys
import time
from collections.abc import Callable
from functools import partial
from pathlib import Path

import cv2
import psutil

from benchmarks.timing import Spread, machine, table
from segmentation.images import Bounds, open_document
from segmentation.isolation import IsolatedSegmenter, shared_isolation
from segmentation.segmenting import segment_page
from segmentation.templates import FormTemplate, load_template

SAMPLES = Path(__file__).parent.parent / "sample_forms"
PAGES = {"hsf/form_0001.png": "hsf", "strip/form_0001.png": str(SAMPLES / "strip" / "strip.toml")}
BOUNDS = Bounds(600, 4_000_000_000)
TIMES = 10  # a page in a row, as the kernel counts in hundredths of a second


def isolated(data: bytes, template: FormTemplate) -> None:
    with open_document(data, None, BOUNDS) as document:
        IsolatedSegmenter(segment_page, BOUNDS)(document.read(1).gray, template)


def plain(data: bytes, template: FormTemplate) -> None:
    with open_document(data) as document:
        segment_page(document.read(1).gray, template)


def processor_ms(work: Callable[[], None]) -> float:
    """Milliseconds of processor of one call, in both processes."""

    def used() -> float:
        times = psutil.Process(shared_isolation().process_id).cpu_times()
        return time.process_time() + times.user + times.system

    begun = used()
    for _ in range(TIMES):
        work()
    return 1000 * (used() - begun) / TIMES


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.split("\n\n", 1)[0])
    parser.add_argument("--rounds", type=int, default=7, help="(default: %(default)s)")
    args = parser.parse_args()
    cv2.setNumThreads(1)
    rows = []
    for name, form in PAGES.items():
        data, template = (SAMPLES / name).read_bytes(), load_template(form)
        isolated(data, template)
        plain(data, template)
        works = [partial(work, data, template) for work in (plain, isolated)]
        pairs = [[processor_ms(work) for work in works] for _ in range(args.rounds)]
        spreads = [Spread.of([pair[i] for pair in pairs]).text() for i in (0, 1)]
        more = Spread.of([there - here for here, there in pairs]).text()
        rows.append([name, *spreads, more, Spread.of([b / a for a, b in pairs]).text("", 2)])
    resident = psutil.Process(shared_isolation().process_id).memory_info().rss / 1e6
    shared_isolation().end()
    begun = time.perf_counter()
    with open_document(data, None, BOUNDS) as document:
        document.read(1)
    start = time.perf_counter() - begun
    print(f"{machine()}. Processor time, median (least-greatest) of {args.rounds} rounds.\n")
    print(table(["page", "in the worker, ms", "in a second process, ms", "difference, ms", "ratio"], rows))
    print(f"\nThe second process holds {resident:.0f} MB; its start and a first page took {start:.2f} s.")
    return 0


if __name__ == "__main__":
    os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")
    sys.exit(main())
