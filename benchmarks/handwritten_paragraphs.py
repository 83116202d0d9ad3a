"""Running text in held-out hands, written into a form's paragraph, scanned and read.

python -m benchmarks.handwritten_paragraphs --data DATA
python -m benchmarks.handwritten_paragraphs --data DATA --pages 20 --keep FOLDER

Writes the preamble of the Constitution of the United States into the large box of HSF pages, one hand a page,
with the commas and the full stop that the form prints (drawn, as the data sets have none): on level rows; on
rows that all climb or fall, each a little differently; and on rows that wander and stand closer together.
Pages are scanned as ``formscribe samples`` does and read as the job does. Prints, for each way of writing,
how many pages have all their rows found, and how much of the text is right, by alignment, with and without
its punctuation. The pages hold characters of the data sets, so ``--keep`` writes them to a folder to look at,
and nowhere else.
"""

import argparse
import sys
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

import cv2
import numpy as np
from numpy.typing import NDArray

from benchmarks.hands import SOURCE, Hands, set_word
from benchmarks.held_out import flags, hsf_stages, sources
from benchmarks.page import PageReader
from benchmarks.timing import table
from model.alignment import EditCounts, align
from model.alphabets import PUNCTUATION
from segmentation.composition import LineHabits
from segmentation.registration import RegistrationError
from segmentation.rendering import render_blank, writing_area
from segmentation.scanner import NOISE_LEVELS, random_settings, scan

FIELD = "fld_33"
TEXT = (
    "We, the People of the United States, in order to form a more perfect Union, establish Justice, insure "
    "domestic Tranquility, provide for the common Defense, promote the general Welfare, and secure the "
    "Blessings of Liberty to ourselves and our posterity, do ordain and establish this CONSTITUTION for the "
    "United States of America."
)
LEFT, TOP = (30, 80), 20  # pixels between the box and the writing
ATTEMPTS = 20  # to write a text that fits its box


@dataclass(frozen=True)
class Manner:
    """How rows run.

    Attributes:
        slope: standard deviation of the slope of a page's writing, degrees.
        own_slope: of what each row adds to it; to that of the row above if the rows wander.
        wave: height of the waves that the rows make, in heights of a capital; with them, rows wander.
        pitch: least and greatest distance of two rows, in heights of a capital.
    """

    slope: float
    own_slope: float
    wave: float
    pitch: tuple[float, float]


MANNERS = {
    "level": Manner(0.0, 0.1, 0.0, (1.6, 2.1)),
    "climbing or falling": Manner(1.5, 0.3, 0.0, (1.6, 2.1)),
    "wandering, close": Manner(1.0, 0.3, 0.3, (1.4, 1.8)),
}


@dataclass(frozen=True, eq=False)
class Written:
    """A text as it was written: its ink, bool (h, w), and its rows."""

    ink: NDArray[np.bool_]
    rows: list[str]


def write(
    hands: Hands, text: str, size: tuple[int, int], manner: Manner, rng: np.random.Generator
) -> Written:
    """Writes a text with one hand, in rows no wider than ``size``, width and height in pixels.

    Raises:
        ValueError: whatever was tried does not fit.
    """
    for _ in range(ATTEMPTS):
        written = _write(hands, text, size, manner, rng)
        if written is not None:
            return written
    raise ValueError(f"the text does not fit into {size[0]} x {size[1]} pixels")


def _write(
    hands: Hands, text: str, size: tuple[int, int], manner: Manner, rng: np.random.Generator
) -> Written | None:
    width, height = size
    capital = float(rng.uniform(36, 50))
    gap = float(rng.uniform(-0.02, 0.08) if rng.random() < 0.5 else rng.uniform(0.08, 0.25))
    space, pitch = float(rng.uniform(0.5, 0.9)), float(rng.uniform(*manner.pitch)) * capital
    habits = LineHabits(gap=gap, gap_spread=0.06)
    words = text.split()
    signs = hands.write(words, capital, rng)
    page_slope = slope = float(np.tan(np.radians(rng.normal(0, manner.slope))))
    slope += float(np.tan(np.radians(rng.normal(0, manner.own_slope))))
    phase, length = float(rng.uniform(0, 2 * np.pi)), float(rng.uniform(1300, 4000))
    begin = float(rng.uniform(*LEFT))
    ink = np.zeros((2 * height, width), np.bool_)
    x, level, rows = begin, height / 3, [[]]
    for word, own in zip(words, signs, strict=True):
        written, base = set_word(own, capital, habits, rng)
        if x + written.shape[1] > width - LEFT[0]:
            x, level = begin + float(rng.normal(0, 10)), level + pitch
            last = slope if manner.wave else page_slope
            slope = last + float(np.tan(np.radians(rng.normal(0, manner.own_slope))))
            phase += float(rng.normal(0, 0.3))
            rows.append([])
        wave = manner.wave * capital * np.sin(phase + 2 * np.pi * x / length)
        top = round(level + wave + slope * x + float(rng.normal(0, 0.05 * capital))) - base
        left, (high, wide) = max(0, round(x)), written.shape
        if top < 0 or top + high > len(ink) or left + wide > width:
            return None
        ink[top : top + high, left : left + wide] |= written
        rows[-1].append(word)
        x += wide + max(0.25, float(rng.normal(space, 0.12))) * capital
    used = np.flatnonzero(ink.any(axis=1))
    if np.ptp(used) >= height:
        return None
    return Written(ink[used[0] : used[-1] + 1], [" ".join(row) for row in rows])


@dataclass
class Tally:
    """Pages read: how many, on how many all rows were found, and how their characters fared."""

    pages: int = 0
    all_rows: int = 0
    letters: EditCounts = field(default_factory=EditCounts)
    everything: EditCounts = field(default_factory=EditCounts)

    def count(self, written: Sequence[str], read: str) -> None:
        """Counts one page; spaces count like letters, and ends of rows like spaces."""
        self.pages += 1
        self.all_rows += len(written) == len(read.split("\n"))
        truth, found = " ".join(written), " ".join(read.split())
        self.everything += align(truth, found).counts
        self.letters += align(_letters(truth), _letters(found)).counts

    def row(self, name: str) -> list[str]:
        """Of a table."""
        shares = [f"{100 * (1 - (counts.error_rate or 0)):.1f}" for counts in (self.letters, self.everything)]
        return [name, f"{self.pages}", f"{self.all_rows}", *shares]


def _letters(text: str) -> str:
    return "".join(character for character in text if character not in PUNCTUATION)


def measure(reader: PageReader, hands: Hands, name: str, args: argparse.Namespace) -> Tally:
    """Writes, scans and reads pages, their rows as a manner of ``MANNERS`` has them."""
    template, tally = reader.options.template, Tally()
    area = writing_area(template, template.field(FIELD))
    size = int(area.width) - LEFT[0], int(area.height) - 2 * TOP
    for number in range(args.pages):
        rng = np.random.default_rng([args.seed, number])
        written = write(hands, TEXT, size, MANNERS[name], rng)
        page = render_blank(template, {})
        high, wide = written.ink.shape
        x, y = int(area.x), int(area.y) + TOP
        page[y : y + high, x : x + wide][written.ink] = 0
        gray, _ = scan(page, template.dpi, random_settings(args.level, rng), rng)
        data = cv2.imencode(".png", gray)[1].tobytes()
        try:
            rows = reader.read(data).rows.fields
            text = next(row["text"] for row in rows if row["field"] == FIELD)
        except RegistrationError:  # a page on which the form is not found has all its text wrong
            text = ""
        tally.count(written.rows, text)
        if args.keep:
            stem = args.keep / f"{name.split()[0].strip(',')}_{number:03d}"
            stem.with_suffix(".png").write_bytes(data)
            truth = "\n".join(written.rows)
            stem.with_suffix(".txt").write_text(f"{truth}\n\nread as\n\n{text}\n", encoding="utf-8")
        print(f"\r{number + 1:,} of {args.pages:,} pages  ", end="", file=sys.stderr, flush=True)
    print(file=sys.stderr)
    return tally


def main() -> int:
    parser = flags(__doc__)
    parser.add_argument("--pages", type=int, default=80, help="of each manner (default: %(default)s)")
    parser.add_argument("--level", choices=NOISE_LEVELS, default="normal", help="of the scanner")
    parser.add_argument("--keep", type=Path, metavar="FOLDER", help="write pages and readings there")
    args = parser.parse_args()
    hands = Hands(sources(parser, args)[SOURCE], TEXT)
    if args.keep:
        args.keep.mkdir(parents=True, exist_ok=True)
    options, stages = hsf_stages(args)
    reader = PageReader(options, stages, stages.load_networks())
    rows = [measure(reader, hands, name, args).row(name) for name in MANNERS]
    heads = ["rows", "pages", "all rows found", "letters right, %", "with punctuation, %"]
    print(f"{len(hands)} hands\n\n{table(heads, rows)}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
