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
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np
from numpy.typing import NDArray
from PIL import Image

from jobs.exit_codes import CommandError
from jobs.form_scores import figures, score_field
from jobs.models import quietly
from jobs.overlay import field_corners
from jobs.preview import ReadPage, decode_page, read_bytes, read_page
from jobs.truth import PageTruth, TruthError, read_truth
from model.classifier import Classifier
from pipeline.options import JobOptions
from pipeline.stages import Stages, real_stages
from segmentation.finding import find_form
from segmentation.registration import RegistrationError
from segmentation.templates import Box, FormTemplate, TemplateError, load_template

Gray = NDArray[np.uint8]
KINDS = ("digits", "upper", "lower")
ANGLES = (-5, -2, 2, 5)  # degrees, positive clockwise as seen on screen
RESOLUTIONS = (200, 400)
SHIFT = 100  # pixels
SPECKLE = 0.01  # of the pixels, half of them black
SIZES = (0.9, 0.7)  # widths of the page, in those of the scanner's glass
BEND = 8.0  # pixels that curled paper lies off, up and down and to both sides
TILTED = 0.02  # of its width, by which a photographed page is narrower at the top
STREAKS = (0.2, 0.51, 0.745)  # of the width, where dust draws a line of two pixels through the page
PENCILS = (0.45, 0.3)  # contrast of writing in pencil, in that of the print
PALE_PRINT = 0.3  # contrast of print, in that of the writing
FAINT = 0.15  # contrast of all that is on a page
FAR = 14  # degrees


@dataclass(frozen=True)
class Variant:
    """A page derived from the original."""

    name: str
    gray: Gray


def variants(gray: Gray, dpi: float, template: FormTemplate) -> Iterator[Variant]:
    """The page itself, and what may happen to it; corners and edges that come into view are paper."""
    yield Variant("as it is", gray)
    for angle in ANGLES:
        yield Variant(f"rotated {angle:+d} degrees", rotated(gray, angle))
    for resolution in RESOLUTIONS:
        yield Variant(f"{resolution} dpi", resampled(gray, resolution / dpi))
    for name, (dx, dy) in {"left": (-1, 0), "right": (1, 0), "up": (0, -1), "down": (0, 1)}.items():
        yield Variant(f"shifted {SHIFT} px {name}", shifted(gray, dx * SHIFT, dy * SHIFT))
    yield Variant(f"{100 * SPECKLE:g} % salt and pepper", speckled(gray, SPECKLE, seed=1))
    for size in SIZES:
        for name, level in {"black": 10, "white": 255}.items():
            yield Variant(f"on {name} glass, {size:g} as wide", on_glass(gray, size, level))
    yield Variant("as a negative", 255 - gray)
    yield Variant(f"curled by {BEND:g} px", curled(gray, BEND))
    yield Variant(f"seen at a tilt, {100 * TILTED:g} % narrower at the top", tilted(gray, TILTED))
    yield Variant(f"{len(STREAKS)} streaks of a dirty scanner", streaked(gray, STREAKS))
    yield Variant("as a JPEG of quality 20", compressed(gray, 20))
    yield Variant("out of focus, a Gaussian of 2 px", cv2.GaussianBlur(gray, (0, 0), 2.0))  # type: ignore
    yield Variant("in the shade, the light falling by half", shaded(gray))
    yield Variant("the same, in dots of black and white", dotted(shaded(gray)))
    yield Variant(f"faint, {100 * FAINT:g} % of the contrast", faint(gray, FAINT))
    yield Variant(f"turned by {FAR} degrees on white glass", rotated(on_glass(gray, 0.8, 255), FAR))
    inside = inside_boxes(gray, template)
    if inside is not None:
        for contrast in PENCILS:
            pencil = paler(gray, inside, contrast)
            yield Variant(f"in pencil of {100 * contrast:g} % of the print's contrast", pencil)
        pale = paler(gray, ~inside, PALE_PRINT)
        yield Variant(f"print of {100 * PALE_PRINT:g} % of the writing's contrast", pale)


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


def on_glass(gray: Gray, size: float, level: int) -> Gray:
    """On a scanner's glass of a grey level, of which the page takes a share of the width and the height."""
    height, width = gray.shape
    glass = np.full((round(height / size), round(width / size)), level, np.uint8)
    top, left = (glass.shape[0] - height) // 4, (glass.shape[1] - width) // 3
    glass[top : top + height, left : left + width] = gray
    return glass


def curled(gray: Gray, bend: float) -> Gray:
    """Bent in waves as paper that does not lie flat: nearly one and a half across the page, as many down."""
    height, width = gray.shape
    y, x = np.mgrid[0:height, 0:width].astype(np.float32)
    across = x + bend * np.sin(2 * np.pi * 1.5 * y / height, dtype=np.float32)
    down = y + bend * np.sin(2 * np.pi * 1.3 * x / width, dtype=np.float32)
    return cv2.remap(gray, across, down, cv2.INTER_LINEAR, borderValue=255)  # type: ignore


def tilted(gray: Gray, share: float) -> Gray:
    """Photographed at an angle, so that its upper edge is shorter, and somewhat askew."""
    height, width = gray.shape
    corners = np.array([[0, 0], [width, 0], [width, height], [0, height]], np.float32)
    moved = (
        corners + np.array([[share, 0.4 * share], [-share, 0], [0, -0.2 * share], [0, 0]], np.float32) * width
    )
    matrix = cv2.getPerspectiveTransform(corners, moved.astype(np.float32))
    return cv2.warpPerspective(gray, matrix, (width, height), borderValue=255)  # type: ignore


def streaked(gray: Gray, places: Sequence[float]) -> Gray:
    """With black lines from top to bottom, two pixels wide."""
    dirty = gray.copy()
    for place in places:
        column = round(place * gray.shape[1])
        dirty[:, column : column + 2] = 0
    return dirty


def compressed(gray: Gray, quality: int) -> Gray:
    """Scanned in grey and kept as JPEG."""
    soft = cv2.GaussianBlur(gray, (0, 0), 1.0)
    return cv2.imdecode(cv2.imencode(".jpg", soft, [cv2.IMWRITE_JPEG_QUALITY, quality])[1], 0)  # type: ignore


def shaded(gray: Gray) -> Gray:
    """Lit from one corner."""
    height, width = gray.shape
    y, x = np.mgrid[0:height, 0:width].astype(np.float32)
    light = 0.5 + 0.5 * np.clip((x / width + y / height) / 1.1, 0, 1)
    return (cv2.GaussianBlur(gray, (0, 0), 1.0) * light).astype(np.uint8)


def dotted(gray: Gray) -> Gray:
    """As a scanner set to photographs writes greys with black and white, by error diffusion."""
    return np.where(np.asarray(Image.fromarray(gray).convert("1")), np.uint8(255), np.uint8(0))


def faint(gray: Gray, contrast: float) -> Gray:
    """Scanned so faintly that the darkest ink differs from the paper by a share of all grey levels."""
    ink = 1 - cv2.GaussianBlur(gray, (0, 0), 0.8) / np.float32(255)
    noise = np.random.default_rng(1).normal(0, 2, gray.shape)
    return np.clip(250 - 255 * contrast * ink + noise, 0, 255).astype(np.uint8)


def inside_boxes(gray: Gray, template: FormTemplate) -> NDArray[np.bool_] | None:
    """What is inside the boxes of a page, bool (H, W); None if the form is not found on it."""
    try:
        found = find_form(gray, [template]).registration
    except RegistrationError:
        return None
    inside = np.zeros(gray.shape, np.uint8)
    aside = template.dpi / 30
    for box in (spec.box for spec in template.fields):
        inner = Box(box.x + aside, box.y + aside, box.width - 2 * aside, box.height - 2 * aside)
        cv2.fillConvexPoly(inside, np.rint(field_corners(inner, found)).astype(np.int32), 255)
    return inside > 0


def paler(gray: Gray, where: NDArray[np.bool_], contrast: float) -> Gray:
    """In grey with a little noise, with paler ink somewhere: writing in pencil, or pale print."""
    ink = 1 - cv2.GaussianBlur(gray, (0, 0), 0.8) / np.float32(255)
    ink = np.where(where, contrast * ink, ink)
    noise = np.random.default_rng(1).normal(0, 6, gray.shape)
    return np.clip(245 - 225 * ink + noise, 0, 255).astype(np.uint8)


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
        for variant in variants(gray, args.dpi or template.dpi, template):
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
