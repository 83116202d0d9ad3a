"""Harvests training crops from the segmenter: rows of writing are composed, cut, and every candidate labelled.

What the segmenter really hands to the classifier, right cuts and wrong ones, is what the classifier must know.
``python -m jobs.harvest --data FOLDER --out harvest.npz`` makes the pool that the recipe mixes into each epoch.
"""

import argparse
import sys
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path

import cv2
import numpy as np
from numpy.typing import NDArray

from jobs.recipe import StrokeWriter, held_out_rows, held_out_unipen_writers, originals, unsquare
from model.alphabets import CHARACTERS, NOT_A_CHARACTER
from model.datasets import Strokes, load_npz, load_strokes
from segmentation import pen
from segmentation.composition import WRONG_CUT, ComposedLine, LineHabits, compose_line

Ink = NDArray[np.uint8]
Row = tuple[list[Ink], list[int]]

SMALL = 0.42  # top of letters without ascender, in heights of a capital
DESCENT = 1.42
MAX_WRONG = 30  # wrong cuts kept of one line, so that long lines do not crowd out others

EXTENTS: dict[str, tuple[float, float]] = {
    **dict.fromkeys(CHARACTERS, (0.0, 1.0)),
    **dict.fromkeys("acemnorsuvwxz", (SMALL, 1.0)),
    **dict.fromkeys("gpqy", (SMALL, DESCENT)),
    "t": (0.12, 1.0),
    "i": (0.08, 1.0),
    "j": (0.08, DESCENT),
}


def random_habits(rng: np.random.Generator) -> LineHabits:
    """Spacing from touching to wide, half of the lines with a printed frame that was taken out."""
    tight = rng.random() < 0.4
    return LineHabits(
        gap=float(rng.uniform(-0.04, 0.12) if tight else rng.uniform(0.1, 0.5)),
        gap_spread=float(rng.uniform(0.03, 0.12)),
        rule=int(rng.integers(3, 8)) if rng.random() < 0.5 else 0,
        rule_level=float(rng.uniform(0.92, 1.3)),
    )


class LineComposer:
    """Composes rows of writing of one hand each, from the training part of the sources only."""

    def __init__(self, data: Path, rng: np.random.Generator) -> None:
        """Loads strokes, SD19 characters and digits, and MNIST from ``data/characters``."""
        folder = data / "characters"
        unipen = load_npz(folder / "unipen_62.npz")
        train = ~np.isin(unipen.writers, held_out_unipen_writers(unipen.writers))
        self._strokes: Strokes = load_strokes(folder / "unipen_62_strokes.npz").select(train)
        self._writer = StrokeWriter(self._strokes, rng)
        images, labels = originals(folder / "sd19_cleaned.npz", "raw128_packed", 128)
        kept = ~held_out_rows(labels)
        self._cleaned = images[kept], labels[kept]
        self._digits = originals(folder / "sd19_digits_train.npz", "images64_packed", 64)
        self._mnist = load_npz(folder / "mnist_train60k.npz")
        self._rng = rng

    def compose(self) -> tuple[ComposedLine, list[int]]:
        """One row and the class index of each of its characters."""
        rng = self._rng
        capital = float(rng.uniform(38, 72))
        sources: Sequence[Callable[[int, float], Row]] = (
            self._from_strokes,
            self._from_cleaned,
            self._from_digits,
            self._from_mnist,
        )
        source = sources[rng.choice(4, p=[0.6, 0.16, 0.12, 0.12])]
        inks, labels = source(int(rng.integers(2, 11)), capital)
        extents = [EXTENTS[CHARACTERS[label]] for label in labels]
        return compose_line(inks, extents, capital, random_habits(rng), rng), labels

    def _from_strokes(self, length: int, capital: float) -> Row:
        rng = self._rng
        first = int(rng.integers(len(self._strokes)))
        rows = [first] + [self._writer.neighbour(first) for _ in range(length - 1)]
        hand = pen.random_pen(rng)
        width = max(2, round(capital * min(hand.width / hand.height, 0.2)))
        inks = []
        for row in rows:
            top, bottom = EXTENTS[CHARACTERS[self._strokes.labels[row]]]
            lines = [line / np.float32(255) for line in self._strokes.polylines(row)]
            rise = max(float(np.ptp(np.concatenate(lines)[:, 1])), 0.25)
            size = min((bottom - top) * capital / rise, 1.6 * capital) * np.exp(rng.normal(0, 0.06))
            inks.append(pen.draw_strokes(lines, replace(hand, height=float(size), width=width), rng))
        return inks, [int(self._strokes.labels[row]) for row in rows]

    def _from_cleaned(self, length: int, capital: float) -> Row:
        images, labels = self._cleaned
        kind = _kind_of(labels) == self._rng.integers(3)
        rows = self._rng.choice(np.flatnonzero(kind), length)
        return self._scale(images, labels, rows, capital)

    def _from_digits(self, length: int, capital: float) -> Row:
        images, labels = self._digits
        first = int(self._rng.integers(len(labels) - 10))
        rows = np.arange(first, first + length)  # neighbours in the file are of one writer
        squares = {int(row): unsquare(images[row], int(labels[row]), self._rng) for row in rows}
        return self._scale(squares, labels, rows, capital)

    def _from_mnist(self, length: int, capital: float) -> Row:
        rows = self._rng.integers(0, len(self._mnist), length)
        return self._scale(self._mnist.images, self._mnist.labels, rows, capital)

    def _scale(
        self,
        images: NDArray[np.uint8] | dict[int, Ink],
        labels: NDArray[np.int16],
        rows: NDArray[np.int64],
        capital: float,
    ) -> Row:
        """Brings bitmaps to the height that their characters have in the row, as jagged binary ink."""
        inks = []
        for row in rows:
            body = pen.crop_ink(images[int(row)])
            top, bottom = EXTENTS[CHARACTERS[labels[row]]]
            factor = (bottom - top) * capital * np.exp(self._rng.normal(0, 0.06)) / body.shape[0]
            factor = min(factor, 1.6 * capital / body.shape[1])
            size = max(3, round(body.shape[1] * factor)), max(3, round(body.shape[0] * factor))
            grown = cv2.resize(body, size, interpolation=cv2.INTER_CUBIC)
            inks.append(np.where(grown > self._rng.uniform(90, 150), np.uint8(255), np.uint8(0)))
        return inks, [int(labels[row]) for row in rows]


def harvest(composer: LineComposer, lines: int, rng: np.random.Generator) -> tuple[Ink, NDArray[np.int16]]:
    """Cuts ``lines`` rows: crops uint8 (N, 28, 28) and labels int16 (N,), wrong cuts as not-a-character."""
    crops: list[Ink] = []
    labels: list[NDArray[np.int16]] = []
    for count in range(1, lines + 1):
        row, classes = composer.compose()
        lattice, verdict = row.candidates()
        right = np.flatnonzero(verdict >= 0)
        wrong = np.flatnonzero(verdict == WRONG_CUT)
        wrong = rng.permutation(wrong)[:MAX_WRONG]
        crops += [lattice.crops[right], lattice.crops[wrong]]
        labels.append(np.array([classes[i] for i in verdict[right]], np.int16))
        labels.append(np.full(len(wrong), NOT_A_CHARACTER, np.int16))
        if count % 200 == 0 or count == lines:
            print(f"\r{count:,} of {lines:,} lines", end="", file=sys.stderr, flush=True)
    print(file=sys.stderr)
    return np.concatenate(crops), np.concatenate(labels)


def _kind_of(labels: NDArray[np.int16]) -> NDArray[np.int64]:
    return np.searchsorted([10, 36], labels, side="right")


def main(argv: Sequence[str] | None = None) -> int:
    """Writes a pool of harvested crops."""
    parser = argparse.ArgumentParser(prog="python -m jobs.harvest", description=__doc__, allow_abbrev=False)
    parser.add_argument("--data", type=Path, required=True, help="folder with characters/*.npz")
    parser.add_argument("--out", type=Path, required=True, help="file to write, .npz")
    parser.add_argument("--lines", type=int, default=8000, help="rows of writing to cut (default 8000)")
    parser.add_argument("--seed", type=int, default=1)
    args = parser.parse_args(argv)
    cv2.setNumThreads(1)
    rng = np.random.default_rng(args.seed)
    images, labels = harvest(LineComposer(args.data, rng), args.lines, rng)
    np.savez_compressed(args.out, images=images, labels=labels)
    print(f"{args.out}: {len(labels):,} crops, {int((labels == NOT_A_CHARACTER).sum()):,} of them wrong cuts")
    return 0


if __name__ == "__main__":
    sys.exit(main())
