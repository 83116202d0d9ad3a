"""How reading suffers when a page lies askew, is scanned finer or coarser, shifted, or speckled.

python benchmarks/robustness.py PAGE --truth PAGE.truth.json --template hsf

Makes the variants of one page, writes each as PNG with its truth (to look at with --keep), reads them from
these files as the job would, and prints a Markdown table.
"""

import argparse
import contextlib
import json
import sys
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np
from numpy.typing import NDArray

from jobs.exit_codes import CommandError
from jobs.form_scores import figures, score_field
from jobs.models import quietly
from jobs.preview import ReadPage, decode_page, read_bytes, read_page
from jobs.truth import PageTruth, TruthError, read_truth
from model.classifier import Classifier
from pipeline.options import JobOptions
from pipeline.stages import Stages, real_stages
from segmentation.templates import TemplateError, load_template

Gray = NDArray[np.uint8]
KINDS = ("digits", "upper", "lower")
ANGLES = (-5, -2, 2, 5)  # degrees, positive clockwise as seen on screen
RESOLUTIONS = (200, 400)
SHIFT = 100  # pixels
SPECKLE = 0.01  # of the pixels, half of them black


@dataclass(frozen=True)
class Variant:
    """A page derived from the original."""

    name: str
    gray: Gray


def variants(gray: Gray, dpi: float) -> Iterator[Variant]:
    """The page itself, and what may happen to it; corners and edges that come into view are paper."""
    yield Variant("as it is", gray)
    for angle in ANGLES:
        yield Variant(f"rotated {angle:+d} degrees", rotated(gray, angle))
    for resolution in RESOLUTIONS:
        yield Variant(f"{resolution} dpi", resampled(gray, resolution / dpi))
    for name, (dx, dy) in {"left": (-1, 0), "right": (1, 0), "up": (0, -1), "down": (0, 1)}.items():
        yield Variant(f"shifted {SHIFT} px {name}", shifted(gray, dx * SHIFT, dy * SHIFT))
    yield Variant(f"{100 * SPECKLE:g} % salt and pepper", speckled(gray, SPECKLE, seed=1))


def rotated(gray: Gray, degrees: float) -> Gray:
    """Turned about its centre in a page of the same size, as a scanner would cut it."""
    height, width = gray.shape
    turn = cv2.getRotationMatrix2D(((width - 1) / 2, (height - 1) / 2), -degrees, 1.0)
    return cv2.warpAffine(gray, turn, (width, height), flags=cv2.INTER_LINEAR, borderValue=255)  # type: ignore


def resampled(gray: Gray, factor: float) -> Gray:
    """Scaled to another resolution."""
    method = cv2.INTER_AREA if factor < 1 else cv2.INTER_CUBIC
    return cv2.resize(gray, None, fx=factor, fy=factor, interpolation=method)  # type: ignore


def shifted(gray: Gray, dx: int, dy: int) -> Gray:
    """Moved right by ``dx`` and down by ``dy`` pixels in a page of the same size."""
    moved = np.full_like(gray, 255)
    height, width = gray.shape
    moved[max(0, dy) : height + min(0, dy), max(0, dx) : width + min(0, dx)] = gray[
        max(0, -dy) : height - max(0, dy), max(0, -dx) : width - max(0, dx)
    ]
    return moved


def speckled(gray: Gray, share: float, seed: int) -> Gray:
    """With a share of all pixels made black or white, by the toss of a coin."""
    random = np.random.default_rng(seed)
    dirty = gray.copy()
    hit = random.random(gray.shape, np.float32) < share
    dirty[hit] = random.integers(0, 2, int(hit.sum()), np.uint8) * 255
    return dirty


def write_variant(variant: Variant, truth: PageTruth, template: str, folder: Path) -> Path:
    """Writes ``NAME.png`` and ``NAME.truth.json``; returns the path of the picture."""
    stem = variant.name.replace(" %", "pct").replace(" ", "_").replace("+", "plus").replace("-", "minus")
    path = folder / f"{stem}.png"
    if not cv2.imwrite(str(path), variant.gray):
        raise OSError(f"{path}: cannot be written")
    content = {"source": path.name, "template": template, "fields": dict(truth.fields), "note": variant.name}
    path.with_name(f"{stem}.truth.json").write_text(json.dumps(content, indent=1), "utf-8")
    return path


def table_row(name: str, page: ReadPage, fields: dict[str, str]) -> str:
    """One line of the table: digit fields all right, characters right in fields of letters."""
    rows = [row for row in page.rows.fields if row["field"] in fields]
    scored = [score_field(row, fields[row["field"]]) for row in rows]
    cells = []
    for kind in KINDS:
        group = figures(one for one in scored if one.charset == kind and one.truth)
        right = (
            (group.right, group.fields) if kind == "digits" else (group.counts.hits, group.counts.characters)
        )
        cells.append(f"{right[0]} of {right[1]}")
    form = page.rows.form
    cells += [f"{form['residual_px']:.2f}", f"{form['skew_degrees']:+.2f}"]
    return f"| {name} | {' | '.join(cells)} |"


def read_variant(path: Path, options: JobOptions, stages: Stages, model: Classifier) -> ReadPage:
    """Reads a file as ``formscribe preview`` does."""
    gray = decode_page(str(path), read_bytes(str(path)), 1, stages)
    return read_page(str(path), 1, gray, options, stages, model)


def truth_of_page(path: str) -> PageTruth:
    """The one page of a truth file."""
    pages = read_truth([path]).pages
    if len(pages) != 1:
        raise TruthError(f"{path}: tells of {len(pages)} pages. Name a truth file of the one page.")
    return pages[0]


def main(argv: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter, allow_abbrev=False
    )
    parser.add_argument("page", metavar="PAGE", help="a scan with a known truth")
    parser.add_argument("--truth", required=True, metavar="JSON", help="what is written on it")
    parser.add_argument(
        "--template", required=True, metavar="FORM", help="name of a shipped form or a TOML file"
    )
    parser.add_argument("--dpi", type=float, help="of the scan (default: the template's)")
    parser.add_argument("--model", metavar="FILE", help="an exported model (default: the one that ships)")
    parser.add_argument("--keep", metavar="FOLDER", help="where the variants stay (default: nowhere)")
    args = parser.parse_args(argv)
    try:
        truth, template = truth_of_page(args.truth), load_template(args.template)
        options = JobOptions((args.page,), "unused", template, model_path=args.model)
        stages = real_stages(options)
        model = quietly(stages.load_networks)
        gray = decode_page(args.page, read_bytes(args.page), 1, stages)
    except (CommandError, TruthError, TemplateError) as error:
        print(error, file=sys.stderr)
        return 2
    print("| variant | digit fields right | upper right | lower right | residual, px | skew, degrees |")
    print("|---|---|---|---|---|---|")
    with contextlib.ExitStack() as stack:
        folder = Path(args.keep or stack.enter_context(tempfile.TemporaryDirectory()))
        folder.mkdir(parents=True, exist_ok=True)
        for variant in variants(gray, args.dpi or template.dpi):
            path = write_variant(variant, truth, args.template, folder)
            try:
                page = read_variant(path, options, stages, model)
            except CommandError as error:
                print(f"| {variant.name} | {error} |  |  |  |  |", flush=True)
                continue
            print(table_row(variant.name, page, dict(truth.fields)), flush=True)
    return 0


if __name__ == "__main__":
    sys.exit(main())
