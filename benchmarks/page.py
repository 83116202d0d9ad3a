"""What a page costs, beside what it costs at least, measured in one go on the same pages.

python -m benchmarks.page
python -m benchmarks.page --page PAGE.png --truth PAGE.truth.json --template hsf --ten_million
python -m benchmarks.page --only page tesseract --plot stages.png

Prints Markdown: our page against the bare decode of the same file and against decode, Otsu and connected
components; the stages of our page; crops per second; Tesseract, with what both read right; the whole job;
how long commands take to start; queries. Everything compared takes turns with what it is compared with. One
thread, except where a row says otherwise.
"""

import os

# Before numpy loads: the stages are measured as one worker on one core runs them.
os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")

import argparse
import sys
import tempfile
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from pathlib import Path

import cv2
import numpy as np
from numpy.typing import NDArray

from benchmarks.commands import measure_job, measure_queries, measure_start
from benchmarks.page_figures import BARE, LABEL, OURS, PageFigures, against_table, draw, stages_table
from benchmarks.tesseract import measure_tesseract, truth_of
from benchmarks.timing import Spread, in_rounds, machine, table
from jobs.truth import TruthError
from model.classifier import Classifier
from model.networks import Networks
from pipeline.classifying import classify_pages
from pipeline.options import JobOptions
from pipeline.reading import page_rows
from pipeline.records import PageKey, PageRows, PageToClassify
from pipeline.stages import Stages, real_stages
from segmentation.images import open_document
from segmentation.templates import load_template

SAMPLES = Path(__file__).parent.parent / "sample_forms" / "hsf"
PARTS = ("page", "crops", "tesseract", "job", "start", "queries")
BATCHES = (1, 32, 256, 1024, 4096)


@dataclass(frozen=True, eq=False)
class Counting:
    """A classifier that counts what it is asked for."""

    inner: Classifier
    asked: list[int]

    def classify(self, crops: NDArray[np.uint8]) -> NDArray[np.float32]:
        self.asked.append(len(crops))
        return self.inner.classify(crops)


@dataclass(frozen=True)
class ReadPage:
    """A page that was read.

    Attributes:
        rows: its fields and characters.
        seconds: of each stage, and of all of it as ``page``. The cuts of the second look count for ``cut``.
        candidates: of its lattices in the end.
        crops: that the model was asked for.
    """

    rows: PageRows
    seconds: Mapping[str, float]
    candidates: int
    crops: int


@dataclass(frozen=True, eq=False)
class PageReader:
    """One page after the other from bytes to rows, in this process, and what each stage took."""

    options: JobOptions
    stages: Stages
    networks: Networks

    def read(self, data: bytes) -> ReadPage:
        """Reads a page; raises what its stages raise, and RuntimeError if the model fails."""
        asked: list[int] = []
        begun = time.perf_counter()
        gray = open_document(data).read(1).gray
        decoded = time.perf_counter()
        segmented = self.stages.segment_page(gray, self.options.template)
        cut = time.perf_counter()
        times = {"segment": 0.0}  # to which the second look adds what its cuts take
        page = PageToClassify(PageKey("page", 1), "0" * 64, segmented, times)
        counted = replace(self.networks, characters=Counting(self.networks.characters, asked))
        classified = classify_pages([page], counted)[0]
        known = time.perf_counter()
        if classified.log_probs is None:
            raise RuntimeError(f"the model failed: {classified.failure}")
        rows = page_rows(classified.page, classified.log_probs, self.options, self.stages.decode)
        done = time.perf_counter()
        again = classified.page.milliseconds["segment"] / 1000
        inner = {name: segmented.seconds[name] for name in ("register", "clean", "cut")}
        inner["cut"] += again
        outer = {"decode": decoded - begun, "classify": known - cut - again, "read": done - known}
        seconds = {**inner, **outer, "page": done - begun}
        return ReadPage(rows, seconds, len(classified.page.segmented.crops()), sum(asked))

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


def measure_page(reader: PageReader, name: str, data: bytes, rounds: int) -> PageFigures:
    """Our page against the least, all in turn."""
    read: list[ReadPage] = []
    work: dict[str, Callable[[], object]] = {
        BARE: lambda: bare_decode(data),
        LABEL: lambda: decode_and_label(data),
        OURS: lambda: read.append(reader.read(data)),
    }
    taken = in_rounds(work, rounds)
    stages = [one.seconds for one in read[1:]]  # the first round does not count
    return PageFigures(name, taken, stages, read[-1].candidates, read[-1].crops)


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


def main() -> int:
    args = parsed()
    cv2.setNumThreads(1)
    options = JobOptions(inputs=("page",), output="none", template=load_template(args.template))
    stages = real_stages(options)
    reader = PageReader(options, stages, stages.load_networks())
    paths = args.page or [SAMPLES / "form_0001.png", SAMPLES / "form_0004.png"]
    pages = {path: path.read_bytes() for path in paths}
    try:
        truths = {path: truth_of(path, args.truth) for path in paths}
    except TruthError as error:
        print(error, file=sys.stderr)
        return 2
    taken_on = machine()
    print(f"{taken_on}. Median (least-greatest) of {args.rounds} rounds.", flush=True)

    def page() -> str:
        figures = [measure_page(reader, path.name, data, args.rounds) for path, data in pages.items()]
        if args.plot:
            draw(figures, taken_on, args.plot)
        return f"{against_table(figures)}\n\n{stages_table(figures)}"

    with tempfile.TemporaryDirectory() as folder:
        scratch = Path(folder)
        counts = [1_000, 100_000] + [10_000_000] * args.ten_million
        parts: dict[str, tuple[str, Callable[[], str]]] = {
            "page": ("A page", page),
            "crops": ("Crops", lambda: measure_classifier(reader, next(iter(pages.values())), args.rounds)),
            "tesseract": (
                "Beside Tesseract",
                lambda: measure_tesseract(
                    lambda data: reader.read(data).rows,
                    lambda data: open_document(data).read(1).gray,
                    options.template,
                    truths,
                    args.tesseract_rounds,
                    scratch,
                ),
            ),
            "job": (
                "The whole job",
                lambda: measure_job(
                    paths,
                    args.template,
                    args.job_pages,
                    lambda: [bare_decode(data) for data in pages.values()],
                    scratch,
                ),
            ),
            "start": ("Start", lambda: measure_start(paths[0], args.template, scratch)),
            "queries": ("Queries", lambda: measure_queries(counts, scratch)),
        }
        for name in (name for name in PARTS if name in args.only):
            title, measure = parts[name]
            print(f"\n## {title}\n\n{measure()}", flush=True)
    return 0


def parsed() -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter, allow_abbrev=False
    )
    parser.add_argument("--page", type=Path, action="append", help="default: two of sample_forms/hsf")
    parser.add_argument(
        "--truth",
        type=Path,
        action="append",
        default=[],
        help="what is written on the pages (default: PAGE.truth.json beside each)",
    )
    parser.add_argument("--template", default="hsf", help="their form (default: %(default)s)")
    parser.add_argument("--rounds", type=int, default=11, help="(default: %(default)s)")
    parser.add_argument("--tesseract_rounds", type=int, default=5, help="(default: %(default)s)")
    parser.add_argument("--job_pages", type=int, default=32, help="of the whole job (default: %(default)s)")
    parser.add_argument("--ten_million", action="store_true", help="query ten million rows too")
    parser.add_argument(
        "--only", nargs="+", choices=PARTS, default=PARTS, help="measure these (default: all)"
    )
    parser.add_argument("--plot", type=Path, help="a PNG to draw: the stages of a page beside the decode")
    args = parser.parse_args()
    if args.plot and "page" not in args.only:
        parser.error("--plot: draws what `page` measures; add it to --only.")
    return args


if __name__ == "__main__":
    sys.exit(main())
