"""What a page costs, beside what it costs at least, measured in one go on the same pages.

python -m benchmarks.page
python -m benchmarks.page --page PAGE.png --template hsf --ten_million

Prints Markdown: our page against the bare decode of the same file and against decode, Otsu and connected
components; the stages of our page; the whole job; crops per second; how long commands take to start; queries.
Everything compared takes turns with what it is compared with. One thread, except where a row says otherwise.
"""

import os

# Before numpy loads: the stages are measured as one worker on one core runs them.
os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")

import argparse
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np
from numpy.typing import NDArray

from benchmarks.commands import measure_job, measure_queries, measure_start
from benchmarks.timing import Spread, in_rounds, machine, ratio, table
from model.networks import Networks
from pipeline.classifying import classify_pages
from pipeline.options import JobOptions
from pipeline.reading import page_rows
from pipeline.records import PageKey, PageToClassify
from pipeline.stages import Stages, real_stages
from segmentation.images import open_document
from segmentation.templates import load_template

SAMPLES = Path(__file__).parent.parent / "sample_forms" / "hsf"
STAGES = ("decode", "register", "clean", "cut", "classify", "read")
BATCHES = (1, 32, 256, 1024, 4096)


@dataclass(frozen=True, eq=False)
class PageReader:
    """One page after the other from bytes to rows, in this process, and what each stage took."""

    options: JobOptions
    stages: Stages
    networks: Networks

    def read(self, data: bytes) -> dict[str, float]:
        """Seconds of each stage; ``candidates`` is how many there were."""
        begun = time.perf_counter()
        gray = open_document(data).read(1).gray
        decoded = time.perf_counter()
        segmented = self.stages.segment_page(gray, self.options.template)
        cut = time.perf_counter()
        times = {"decode": 1000 * (decoded - begun), "segment": 1000 * (cut - decoded)}
        page = PageToClassify(PageKey("page", 1), "0" * 64, segmented, times)
        classified = classify_pages([page], self.networks)[0]
        known = time.perf_counter()
        page_rows(classified.page, classified.log_probs, self.options, self.stages.decode)
        done = time.perf_counter()
        again = (classified.page.milliseconds["segment"] - times["segment"]) / 1000  # the second look's cuts
        inner = {name: segmented.seconds[name] for name in ("register", "clean", "cut")}
        inner["cut"] += again
        outer = {"decode": decoded - begun, "classify": known - cut - again, "read": done - known}
        candidates = float(len(classified.page.segmented.crops()))
        return {**inner, **outer, "page": done - begun, "candidates": candidates}

    def crops(self, data: bytes) -> NDArray[np.uint8]:
        """The candidates of a page."""
        segmented = self.stages.segment_page(open_document(data).read(1).gray, self.options.template)
        page = PageToClassify(PageKey("page", 1), "0" * 64, segmented, {})
        return classify_pages([page], self.networks)[0].page.segmented.crops()


def bare_decode(data: bytes) -> NDArray[np.uint8]:
    """The least that any reader does."""
    return cv2.imdecode(np.frombuffer(data, np.uint8), cv2.IMREAD_GRAYSCALE)


def decode_and_label(data: bytes) -> None:
    """The least that a reader of marks on paper does: ink, and what of it is connected."""
    _, ink = cv2.threshold(bare_decode(data), 0, 255, cv2.THRESH_BINARY_INV | cv2.THRESH_OTSU)
    cv2.connectedComponentsWithStats(ink)


def measure_pages(reader: PageReader, pages: dict[str, bytes], rounds: int) -> str:
    """Our page against the least, and its stages, as Markdown."""
    against, shares = [], []
    for name, data in pages.items():
        stages: list[dict[str, float]] = []

        def ours(data: bytes = data, stages: list[dict[str, float]] = stages) -> None:
            stages.append(reader.read(data))

        work: dict[str, Callable[[], object]] = {
            "decode": lambda data=data: bare_decode(data),
            "label": lambda data=data: decode_and_label(data),
            "ours": ours,
        }
        taken = in_rounds(work, rounds)
        stages = stages[1:]  # the first round does not count
        against.append(
            [
                name,
                *(Spread.of([1000 * t for t in taken[key]]).text() for key in work),
                ratio(taken["ours"], taken["decode"]).text(),
                ratio(taken["ours"], taken["label"]).text(),
            ]
        )
        for stage in STAGES:
            spread = Spread.of([1000 * one[stage] for one in stages])
            share = Spread.of([100 * one[stage] / one["page"] for one in stages])
            shares.append([name, stage, spread.text(), share.text("", 0)])
        shares.append([name, "candidates", f"{stages[0]['candidates']:,.0f}", ""])
    heads = ["page", "decode, ms", "with Otsu and components, ms", "ours, ms", "ours : decode", "ours : this"]
    return "\n\n".join([table(heads, against), table(["page", "stage", "ms", "% of our page"], shares)])


def measure_classifier(reader: PageReader, data: bytes, rounds: int) -> str:
    """Crops per second of the shipped model by how many are handed over at once, as Markdown."""
    crops = reader.crops(data)
    crops = np.concatenate([crops] * (max(BATCHES) // max(len(crops), 1) + 1))
    work = {
        str(size): lambda size=size: [
            reader.networks.characters.classify(crops[:size]) for _ in range(-(-64 // size))
        ]
        for size in BATCHES
    }
    taken = in_rounds(work, rounds)
    rows = []
    for size in BATCHES:
        count = size * -(-64 // size)
        rows.append([f"{size:,}", Spread.of([count / t for t in taken[str(size)]]).text("", 0)])
    return table(["crops handed over at once", "crops per second"], rows)


def measure_tesseract(reader: PageReader, pages: dict[str, bytes]) -> str:
    """Tesseract's page against ours, on one thread, its start included; or that it is not there."""
    if shutil.which("tesseract") is None:
        return "Not installed, so not compared."
    rows = []
    one_thread = {**os.environ, "OMP_THREAD_LIMIT": "1"}
    for name, data in pages.items():
        work: dict[str, Callable[[], object]] = {
            "theirs": lambda data=data: subprocess.run(
                ["tesseract", "stdin", "stdout"], input=data, check=True, capture_output=True, env=one_thread
            ),
            "ours": lambda data=data: reader.read(data),
        }
        taken = in_rounds(work, 3)
        theirs = Spread.of([1000 * one for one in taken["theirs"]])
        rows.append([name, theirs.text(), ratio(taken["theirs"], taken["ours"]).text()])
    return table(["page", "Tesseract, ms", "Tesseract : ours"], rows)


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.split("\n\n", 1)[0])
    parser.add_argument("--page", type=Path, action="append", help="default: two of sample_forms/hsf")
    parser.add_argument("--template", default="hsf", help="its form (default: %(default)s)")
    parser.add_argument("--rounds", type=int, default=11, help="(default: %(default)s)")
    parser.add_argument("--job_pages", type=int, default=32, help="of the whole job (default: %(default)s)")
    parser.add_argument("--ten_million", action="store_true", help="query ten million rows too")
    args = parser.parse_args()
    paths = args.page or [SAMPLES / "form_0001.png", SAMPLES / "form_0004.png"]
    cv2.setNumThreads(1)
    options = JobOptions(inputs=("page",), output="none", template=load_template(args.template))
    stages = real_stages(options)
    reader = PageReader(options, stages, stages.load_networks())
    pages = {path.name: path.read_bytes() for path in paths}
    print(f"{machine()}. Median (least-greatest) of {args.rounds} rounds.\n", flush=True)
    print("## A page\n\n" + measure_pages(reader, pages, args.rounds), flush=True)
    print("\n## Crops\n\n" + measure_classifier(reader, next(iter(pages.values())), args.rounds), flush=True)
    print("\n## Tesseract\n\n" + measure_tesseract(reader, pages), flush=True)
    with tempfile.TemporaryDirectory() as folder:
        scratch = Path(folder)
        decode = {name: in_rounds({"d": lambda d=d: bare_decode(d)}, 5)["d"] for name, d in pages.items()}
        print("\n## The whole job\n\n" + measure_job(paths, args.template, args.job_pages, decode, scratch))
        print("\n## Start\n\n" + measure_start(paths[0], args.template, scratch), flush=True)
        counts = [1_000, 100_000] + [10_000_000] * args.ten_million
        print("\n## Queries\n\n" + measure_queries(counts, scratch), flush=True)
    return 0


if __name__ == "__main__":
    sys.exit(main())
