"""Names, places, dates and numbers in held-out hands, read as free text: letters, spaces and punctuation.

python -m benchmarks.free_text --data DATA
python -m benchmarks.free_text --data DATA --charset digits

Sets short texts in one hand each, with touching or wide letters, specks, and punctuation drawn with the same
pen, as the data sets have none; cuts, classifies and reads them as the row of a field of charset ``text``.
Prints by kind of text how many are right, spaces and marks included, how many but for these, and of how many
accepted (confidence 0.9) some are wrong. With ``--charset digits`` dates and numbers stand in a field of
digits, in which all that has a mark is wrong and should be doubted. The generator knows what it drew: the
figures tell whether the reader's rules hold together, not how people write commas.
"""

import argparse
import sys
from collections.abc import Sequence

import cv2
import numpy as np
from numpy.typing import NDArray

from benchmarks.hands import SOURCE, Hands, set_word
from benchmarks.held_out import flags, hsf_stages, sources
from benchmarks.timing import table
from model.alphabets import CHARACTERS
from model.lattice import Constraint, Lattice
from model.networks import Networks
from pipeline.classifying import classify_rows
from pipeline.reading import lattice_of
from pipeline.stages import Stages
from segmentation.components import find_components
from segmentation.composition import LineHabits
from segmentation.glyphs import LINE_LIMITS, RowPlace
from segmentation.looks import InkRow, look_at_bodies
from segmentation.templates import Box

FIRST = ("Anna", "Peter", "Maria", "John", "Hans", "Olga", "Ivan", "Lucia", "Fred", "Clara", "Otto", "Nora")
LAST = ("Smith", "Brown", "Miller", "Jensen", "Novak", "Weber", "Olsen", "Fisher", "Bauer", "Rossi", "Meyer")
PLACES = ("Fairview", "Riverton", "Ashford", "Salem", "Madison", "Clinton", "Oakland", "Milton", "Hudson")
STATES = ("PA", "WY", "OH", "CT", "KS", "NY", "CA", "TX", "WA", "OR", "IL", "MI", "GA", "FL")
NUMBERS = ("date 1/2/03", "date 1.2.2003", "number 123-4567", "number 123456")
KINDS = ("place", "name, turned", "name, initial", "name", *NUMBERS)
ACCEPTED = 0.9
LONGEST = 40  # characters
MARGIN = 0.8  # around a row, in heights of a capital
TOGETHER = 100  # rows classified at once


def some_text(kind: str, rng: np.random.Generator) -> str:
    """A text of one of ``KINDS``."""

    def one(names: Sequence[str]) -> str:
        return names[int(rng.integers(len(names)))]

    def digits(count: int) -> str:
        return "".join(str(digit) for digit in rng.integers(0, 10, count))

    day, month = int(rng.integers(1, 32)), int(rng.integers(1, 13))
    return {
        "place": f"{one(PLACES)}, {one(STATES)} {digits(5)}",
        "name, turned": f"{one(LAST)}, {one(FIRST)}",
        "name, initial": f"{one(FIRST)} {one('ABCDEFGHJKLMNPRSTW')}. {one(LAST)}",
        "name": f"{one(FIRST)} {one(LAST)}",
        "date 1/2/03": f"{month}/{day}/{digits(2)}",
        "date 1.2.2003": f"{day}.{month}.{digits(4)}",
        "number 123-4567": f"{digits(3)}-{digits(4)}",
        "number 123456": digits(int(rng.integers(4, 9))),
    }[kind]


def write(hands: Hands, text: str, rng: np.random.Generator) -> tuple[NDArray[np.bool_], Box]:
    """A text in one row, bool (h, w), and the writing area of its field."""
    capital, words = float(rng.uniform(38, 72)), text.split()
    gap = float(rng.uniform(0.02, 0.08) if rng.random() < 0.4 else rng.uniform(0.08, 0.3))
    habits, space = LineHabits(gap=gap, gap_spread=0.06), float(rng.uniform(0.5, 0.9))
    parts = [set_word(signs, capital, habits, rng) for signs in hands.write(words, capital, rng)]
    margin, gaps = round(MARGIN * capital), rng.normal(space, 0.08, len(parts)) * capital
    base, below = max(at for _, at in parts), max(len(ink) - at for ink, at in parts)
    width = sum(ink.shape[1] for ink, _ in parts) + int(np.maximum(gaps, 0).sum()) + 2 * margin
    row = np.zeros((base + below, width), np.bool_)
    x = margin
    for (ink, at), after in zip(parts, gaps.tolist(), strict=True):
        row[base - at : base - at + len(ink), x : x + ink.shape[1]] |= ink
        x += ink.shape[1] + max(0, int(after))
    specks = row.view(np.uint8)
    for _ in range(rng.poisson(0.7)):
        middle = int(rng.integers(0, width)), int(rng.integers(0, len(row)))
        cv2.circle(specks, middle, int(rng.integers(1, 4)), 1, -1)
    room = float(rng.uniform(0.2, 0.5)) * capital
    return row, Box(0, base - capital - room, width, capital + 2 * room)


def cut_rows(
    hands: Hands, kind: str, networks: Networks, args: argparse.Namespace
) -> tuple[list[str], list[Lattice]]:
    """Texts of one kind, and their rows as the decoder wants them."""
    texts, lattices = list[str](), list[Lattice]()
    for begin in range(0, args.texts, TOGETHER):
        rows = []
        for number in range(begin, min(begin + TOGETHER, args.texts)):
            rng = np.random.default_rng([args.seed, KINDS.index(kind), number])
            texts.append(some_text(kind, rng))
            ink, area = write(hands, texts[-1], rng)
            place = RowPlace(area, np.eye(2, 3))
            rows.append(InkRow(find_components(ink), place, LINE_LIMITS, args.charset, 1, LONGEST))
        read, _ = classify_rows(look_at_bodies(rows), networks)
        lattices += [lattice_of(one.line, one.log_probs) for one in read]
    return texts, lattices


def measure(
    hands: Hands, kind: str, stages: Stages, networks: Networks, args: argparse.Namespace
) -> list[str]:
    """A row of the table."""
    texts, lattices = cut_rows(hands, kind, networks, args)
    readings = stages.decode(lattices, [Constraint(args.charset, 1, LONGEST, spaces=True)] * len(lattices))
    right = [text == reading.text for text, reading in zip(texts, readings, strict=True)]
    letters = [
        _letters(text) == _letters(reading.text) for text, reading in zip(texts, readings, strict=True)
    ]
    sure = [reading.confidence >= ACCEPTED for reading in readings]
    wrong = sum(accepted and not good for accepted, good in zip(sure, right, strict=True))
    shares = [f"{100 * sum(one) / len(texts):.1f}" for one in (right, letters)]
    return [kind, f"{len(texts)}", *shares, f"{sum(sure)}", f"{wrong}"]


def _letters(text: str) -> str:
    return "".join(character for character in text if character in CHARACTERS)


def main() -> int:
    parser = flags(__doc__)
    parser.add_argument("--texts", type=int, default=300, help="of each kind (default: %(default)s)")
    parser.add_argument(
        "--charset", choices=("text", "digits"), default="text", help="(default: %(default)s)"
    )
    args = parser.parse_args()
    hands = Hands(sources(parser, args)[SOURCE], CHARACTERS)
    _, stages = hsf_stages(args)
    networks = stages.load_networks()
    rows = [
        measure(hands, kind, stages, networks, args)
        for kind in (NUMBERS if args.charset == "digits" else KINDS)
    ]
    heads = ["text", "texts", "all right, %", "letters right, %", "accepted", "of these wrong"]
    print(f"{len(hands)} hands\n\n{table(heads, rows)}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
