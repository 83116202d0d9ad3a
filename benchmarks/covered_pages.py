"""How many fields are lost without a word where something lies over a page.

python -m benchmarks.covered_pages
python -m benchmarks.covered_pages --forms sample_forms/comb --template sample_forms/comb/membership.toml

Lays a white, grey or black rectangle over a part of a page, as a label, a flap or a blot would, reads the
page as the job does, and counts the written fields by the share of each that is covered: how many are lost
without a word, called blank or accepted though wrong, and how many go to review. Prints a Markdown table. A
page that fails is told and counts for none.
"""

import argparse
import sys
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import cv2
import numpy as np
from numpy.typing import NDArray

from benchmarks.page import PageReader
from jobs.models import quietly
from jobs.truth import read_truth
from pipeline.options import JobOptions
from pipeline.records import Row
from pipeline.stages import real_stages
from segmentation.templates import load_template

LEVELS = (0, 90, 200, 255)
SMALLEST, LARGEST = 60, (500, 900)  # height and width of a rectangle, pixels
SHARES = (("nothing", 0.0), ("up to half", 0.5), ("more", 1.0))  # of a field that is covered, at most


def main() -> int:
    """Reads the pages and prints the table."""
    parser = argparse.ArgumentParser(
        "python -m benchmarks.covered_pages",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("--forms", type=Path, default=Path("sample_forms/hsf"), help="pages with truth")
    parser.add_argument("--template", default="hsf")
    parser.add_argument("--pages", type=int, default=300, help="covered pages to make (default: 300)")
    parser.add_argument("--seed", type=int, default=1)
    args = parser.parse_args()
    cv2.setNumThreads(1)
    options = JobOptions(inputs=("x",), output="out", template=load_template(args.template))
    stages = real_stages(options)
    reader = PageReader(options, stages, quietly(stages.load_networks))
    counts: Counter[tuple[str, str]] = Counter()
    for page, truth, covered in covered_pages(args.forms, args.pages, args.seed):
        try:
            rows = reader.read(cv2.imencode(".png", page)[1].tobytes()).rows.fields
        except Exception as error:
            print(f"not read: {error}", file=sys.stderr)
            continue
        for row in rows:
            written = truth.get(row["field"], "")
            if written:
                share = share_of(row, covered)
                counts[share, "fields"] += 1
                counts[share, fate(row, written)] += 1
    print("| of the field is covered | written fields | lost without a word | to review |")
    print("| --- | --- | --- | --- |")
    for share, _ in SHARES:
        print(
            f"| {share} | " + " | ".join(f"{counts[share, c]:,}" for c in ("fields", "lost", "review")) + " |"
        )
    return 0


Rectangle = tuple[int, int, int, int]  # left, top, right, bottom in page pixels


def covered_pages(
    folder: Path, count: int, seed: int
) -> Iterator[tuple[NDArray[np.uint8], dict[str, str], Rectangle]]:
    """Pages of a folder with a rectangle over them, uint8 (H, W); their truth by field; and the rectangle."""
    rng = np.random.default_rng(seed)
    files = sorted(path for path in folder.iterdir() if path.suffix in (".png", ".jpg"))
    truths = {path: dict(read_truth([path.with_suffix(".truth.json")]).pages[0].fields) for path in files}
    for _ in range(count):
        path = files[int(rng.integers(len(files)))]
        page = np.asarray(cv2.imread(str(path), cv2.IMREAD_GRAYSCALE)).copy()
        height, width = (int(rng.integers(SMALLEST, most)) for most in LARGEST)
        top, left = int(rng.integers(page.shape[0])), int(rng.integers(page.shape[1]))
        page[top : top + height, left : left + width] = LEVELS[int(rng.integers(len(LEVELS)))]
        yield page, truths[path], (left, top, left + width, top + height)


def share_of(row: Row, covered: Rectangle) -> str:
    """Which of ``SHARES`` of a field's box a rectangle covers."""
    left, top = row["box_x"], row["box_y"]
    right, bottom = left + row["box_width"], top + row["box_height"]
    wide = min(right, covered[2]) - max(left, covered[0])
    high = min(bottom, covered[3]) - max(top, covered[1])
    share = max(wide, 0.0) * max(high, 0.0) / ((right - left) * (bottom - top))
    return next(name for name, most in SHARES if share <= most + 1e-9)


def fate(row: Row, written: str) -> str:
    """What became of a written field: ``lost``, ``review`` or ``right``."""
    if row["status"] == "review":
        return "review"
    return "right" if "".join(row["text"].split()) == "".join(written.split()) else "lost"


if __name__ == "__main__":
    sys.exit(main())
