"""Whole forms written in held-out hands, scanned and read: how reading suffers where writing meets the frame.

python -m benchmarks.handwritten_pages --data DATA
python -m benchmarks.handwritten_pages --data DATA --source unipen --over 0.2 --level hard --keep FOLDER

Renders HSF pages, writes into each box characters that no model was trained on (one hand a box where writers
are known), some of them over one side of the box, scans them as ``formscribe samples`` does, and reads them
as the job does, from finding the form to the text of each field. Prints, by the side that was written over,
how many fields are wrong, and how many of those accepted are. The pages hold characters of the data sets, so
``--keep`` writes those with a wrong field to a folder to look at, and nowhere else.
"""

import argparse
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np
from numpy.typing import NDArray

from benchmarks.held_out import flags, hsf_stages, sources
from benchmarks.page import PageReader
from benchmarks.timing import table
from jobs.composing import DIGITS, LOWER, UPPER, LineComposer
from model.alphabets import CHARACTERS
from segmentation.composition import LineHabits
from segmentation.pen import crop_ink
from segmentation.registration import RegistrationError
from segmentation.rendering import render_blank, writing_area
from segmentation.scanner import NOISE_LEVELS, random_settings, scan
from segmentation.templates import Box, FieldSpec, FormTemplate

SIDES = ("none", "top", "bottom", "left", "right")
KINDS = {"digits": DIGITS, "upper": UPPER, "lower": LOWER}
SOURCES = ("sd19", "mnist", "unipen")
LETTERS = "unipen"  # the only source with hands that wrote all letters
ATTEMPTS = 30  # to find writing that fits a box
WIDEST, HIGHEST = 0.97, 1.25  # of writing, in widths and heights of the writing area
NOT_READ = {"text": "", "status": "failed", "confidence": 0.0}
DEEPEST = 16  # pixels by which writing reaches beyond the inner edge of the frame, at most


@dataclass(frozen=True, eq=False)
class Written:
    """What stands in one field: its text, its ink, bool (h, w), and the side of the frame it lies over."""

    spec: FieldSpec
    text: str
    ink: NDArray[np.bool_]
    side: str


@dataclass
class Tally:
    """Fields counted: all, read wrong, accepted, and accepted though wrong."""

    fields: int = 0
    wrong: int = 0
    accepted: int = 0
    accepted_wrong: int = 0

    def count(self, right: bool, accepted: bool) -> None:
        """Counts one field."""
        self.fields += 1
        self.wrong += not right
        self.accepted += accepted
        self.accepted_wrong += accepted and not right

    def row(self, name: str) -> list[str]:
        """Of a table."""
        share = f"{100 * self.wrong / self.fields:.2f}" if self.fields else "-"
        counts = (self.fields, self.wrong, share, self.accepted, self.accepted_wrong)
        return [name, *(f"{value:,}" if isinstance(value, int) else value for value in counts)]


def write(
    composer: LineComposer, template: FormTemplate, source: str, over: float, rng: np.random.Generator
) -> list[Written]:
    """Writing for every field of digits, capitals or small letters of a form.

    Args:
        composer: of held-out characters.
        template: the form.
        source: of the digits; letters come from ``LETTERS``.
        over: share of the fields, 0..1, written over one side of their frame.
        rng: the only source of chance.

    Returns:
        What is written; a field is left out if nothing that was tried fits it.
    """
    written = []
    for spec in template.fields:
        if spec.charset not in KINDS or spec.layout != "line":
            continue
        found = _fitting(composer, spec, writing_area(template, spec), source, rng)
        if found is not None:
            side = str(rng.choice(SIDES[1:])) if rng.random() < over else SIDES[0]
            written.append(Written(spec, *found, side))
    return written


def _fitting(
    composer: LineComposer, spec: FieldSpec, area: Box, source: str, rng: np.random.Generator
) -> tuple[str, NDArray[np.bool_]] | None:
    """A text and its ink, cropped, that fits a field; None if none was found."""
    kind = KINDS[spec.charset]
    for attempt in range(ATTEMPTS):
        gap = float(rng.uniform(0.1, 0.45)) * (1 - attempt / ATTEMPTS)
        habits = LineHabits(gap=gap, gap_spread=0.1, drift=0.05)
        if kind == DIGITS:
            row, labels = composer.compose_string(source, kind, spec.max_length, habits, rng)
        else:
            row, labels = composer.compose_alphabet(LETTERS, kind, habits, rng)
        if not spec.min_length <= len(labels) <= spec.max_length:
            continue
        ink = crop_ink(row.ink.view(np.uint8)) > 0
        if ink.shape[1] <= WIDEST * area.width and ink.shape[0] <= HIGHEST * area.height:
            return "".join(CHARACTERS[label] for label in labels), ink
    return None


def render(template: FormTemplate, written: Sequence[Written], rng: np.random.Generator) -> NDArray[np.uint8]:
    """A filled form, uint8 (template.height, template.width), 0 = ink, prompts above the boxes as on HSF."""
    page = render_blank(template, {one.spec.name: one.text for one in written})
    for one in written:
        x, y = _corner(one, writing_area(template, one.spec), rng)
        height, width = one.ink.shape
        page[y : y + height, x : x + width][one.ink] = 0
    return page


def _corner(one: Written, area: Box, rng: np.random.Generator) -> tuple[int, int]:
    """Where writing begins: x and y in pixels of the form."""
    height, width = one.ink.shape
    spare, room = area.width - width, area.height - height
    x = area.x + max(3.0, spare * float(rng.uniform(0.05, 0.6)))
    y = area.y + max(3.0, room * float(rng.uniform(0.2, 0.9)))
    beyond = float(rng.uniform(2, DEEPEST))
    if one.side in ("top", "bottom"):
        y = area.y - beyond if one.side == "top" else area.bottom - height + beyond
    elif one.side in ("left", "right"):
        y = area.y + room / 2 + float(rng.normal(0, 6))
        x = area.x - beyond if one.side == "left" else area.right - width + beyond
    return int(x), int(y)


def measure(
    reader: PageReader, composer: LineComposer, args: argparse.Namespace
) -> dict[tuple[str, str], Tally]:
    """Writes, scans and reads pages; the fields counted by charset and side."""
    template = reader.options.template
    tallies: dict[tuple[str, str], Tally] = {}
    for number in range(args.pages):
        rng = np.random.default_rng([args.seed, number])
        written = write(composer, template, args.source, args.over, rng)
        page = render(template, written, rng)
        gray, _ = scan(page, template.dpi, random_settings(args.level, rng), rng)
        data = cv2.imencode(".png", gray)[1].tobytes()
        try:
            read = {row["field"]: row for row in reader.read(data).rows.fields}
        except RegistrationError:  # a page on which the form is not found has all its fields wrong
            read = {}
        wrong = []
        for one in written:
            row = read.get(one.spec.name, NOT_READ)
            right, accepted = row["text"] == one.text, row["status"] == "accepted"
            tallies.setdefault((one.spec.charset, one.side), Tally()).count(right, accepted)
            if not right:
                sure = f"{row['confidence']:.3f}"
                wrong.append(f"  {one.spec.name}, {one.side}: {one.text} read as {row['text']}, {sure}")
        if wrong and args.keep:
            path = args.keep / f"{args.source}_{number:04d}.png"
            path.write_bytes(data)
            print(f"{path}", *wrong, sep="\n")
        print(f"\r{number + 1:,} of {args.pages:,} pages  ", end="", file=sys.stderr, flush=True)
    print(file=sys.stderr)
    return tallies


def main() -> int:
    parser = flags(__doc__)
    parser.add_argument("--pages", type=int, default=80)
    parser.add_argument("--source", choices=SOURCES, default=SOURCES[0], help="of the digits")
    parser.add_argument("--over", type=float, default=0.6, metavar="X", help="share written over the frame")
    parser.add_argument("--level", choices=NOISE_LEVELS, default="normal", help="of the scanner")
    parser.add_argument("--keep", type=Path, metavar="FOLDER", help="write pages with a wrong field there")
    args = parser.parse_args()
    composer = LineComposer(sources(parser, args))
    if args.keep:
        args.keep.mkdir(parents=True, exist_ok=True)
    options, stages = hsf_stages(args)
    tallies = measure(PageReader(options, stages, stages.load_networks()), composer, args)
    heads = ["written", "over the", "fields", "wrong", "%", "accepted", "of these wrong"]
    order = sorted(tallies, key=lambda key: (list(KINDS).index(key[0]), SIDES.index(key[1])))
    print(table(heads, [[charset, *tallies[charset, side].row(side)] for charset, side in order]))
    return 0


if __name__ == "__main__":
    sys.exit(main())
