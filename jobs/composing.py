"""Rows of writing composed from labelled characters: where these come from, and how a hand sets them.

The same composer serves training (``training_sources``) and what is measured (``held_out_sources``); the two
share no picture. Of the SD19 digits they share hands: that set was split by pictures, not by writers.
"""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Literal, Protocol

import cv2
import numpy as np
from numpy.typing import NDArray

from jobs.recipe import held_out_letters, held_out_rows, held_out_unipen_writers, originals
from jobs.spoilt_characters import rolled_back, stroke_lost
from model.alphabets import CHARACTERS, charset_mask
from model.datasets import Strokes, load_npz, load_strokes
from model.datasets.npz import read_arrays
from model.writing_lines import EXTENTS
from segmentation import pen
from segmentation.composition import ComposedLine, LineHabits, compose_line

Ink = NDArray[np.uint8]
Part = Literal["test", "calibration", "all"]
DIGITS, UPPER, LOWER = 0, 1, 2

# Median width of a digit by its height, as in MNIST.
_ASPECTS = (0.8, 0.3, 0.85, 0.7, 0.7, 0.8, 0.7, 0.7, 0.7, 0.65)

# Mean space between neighbours in heights of a capital, least and most, and its spread.
SPACINGS: dict[str, tuple[float, float, float]] = {
    "free": (0.15, 0.5, 0.1),
    "near": (0.05, 0.15, 0.06),
    "touching": (-0.02, 0.03, 0.04),
    "overlapping": (-0.12, -0.04, 0.05),
}


class Source(Protocol):
    """Labelled characters that can be drawn at a size."""

    @property
    def labels(self) -> NDArray[np.int16]:
        """Class indices, int16 (N,)."""
        ...

    @property
    def writers(self) -> NDArray[np.int32]:
        """Who wrote them, int32 (N,), -1 where unknown."""
        ...

    def draw(self, rows: NDArray[np.int64], capital: float, rng: np.random.Generator) -> list[Ink]:
        """Ink > 0 of the rows as one hand writes them, where a capital is ``capital`` pixels high."""
        ...


class StrokeSource:
    """Pen strokes, drawn with one random pen a row of writing."""

    def __init__(self, strokes: Strokes) -> None:
        """Takes any part of the set."""
        self._strokes = strokes
        self.labels, self.writers = strokes.labels, strokes.writers

    def draw(self, rows: NDArray[np.int64], capital: float, rng: np.random.Generator) -> list[Ink]:
        """See ``Source``."""
        hand = pen.random_pen(rng)
        width = max(2, round(capital * min(hand.width / hand.height, 0.2)))
        inks = []
        for row in rows:
            top, bottom = EXTENTS[CHARACTERS[self.labels[row]]]
            lines = [line / np.float32(255) for line in self._strokes.polylines(int(row))]
            rise = max(float(np.ptp(np.concatenate(lines)[:, 1])), 0.25)
            size = min((bottom - top) * capital / rise, 1.6 * capital) * np.exp(rng.normal(0, 0.06))
            inks.append(pen.draw_strokes(lines, replace(hand, height=float(size), width=width), rng))
        return inks


@dataclass(frozen=True, eq=False)
class BitmapSource:
    """Scanned characters.

    Attributes:
        images: uint8 (N, h, w), ink = 255 on 0.
        squared: they are digits that were stretched to squares; a row of them is given the usual widths of
            such digits, all a little wider or narrower.
    """

    images: NDArray[np.uint8]
    labels: NDArray[np.int16]
    writers: NDArray[np.int32]
    squared: bool = False

    def select(self, mask: NDArray[np.bool_]) -> "BitmapSource":
        """The characters of a mask (N,)."""
        return BitmapSource(self.images[mask], self.labels[mask], self.writers[mask], self.squared)

    def draw(self, rows: NDArray[np.int64], capital: float, rng: np.random.Generator) -> list[Ink]:
        """See ``Source``; brought to size as jagged binary ink."""
        inks = []
        hand = rng.normal(0, 0.15)
        for row in rows:
            label = int(self.labels[row])
            body = pen.crop_ink(_without_specks(self.images[row]) if self.squared else self.images[row])
            if self.squared:
                width = body.shape[0] * _ASPECTS[label] * np.exp(hand + rng.normal(0, 0.12))
                body = cv2.resize(body, (max(6, round(width)), body.shape[0]), interpolation=cv2.INTER_AREA)
            top, bottom = EXTENTS[CHARACTERS[label]]
            factor = (bottom - top) * capital * np.exp(rng.normal(0, 0.06)) / body.shape[0]
            factor = min(factor, 1.6 * capital / body.shape[1])
            size = max(3, round(body.shape[1] * factor)), max(3, round(body.shape[0] * factor))
            grown = cv2.resize(body, size, interpolation=cv2.INTER_CUBIC)
            inks.append(np.where(grown > rng.uniform(90, 150), np.uint8(255), np.uint8(0)))
        return inks


def _without_specks(ink: Ink) -> Ink:
    """Leaves out parts of less than a twentieth of the ink: dirt, which a square had to make room for."""
    count, parts, stats, _ = cv2.connectedComponentsWithStats((ink > 0).astype(np.uint8), connectivity=8)
    areas = stats[:, cv2.CC_STAT_AREA]
    specks = np.flatnonzero(areas < 0.05 * areas[1:].sum()) if count > 2 else np.zeros(0, int)
    return np.where(np.isin(parts, specks[specks > 0]), np.uint8(0), ink)


def training_sources(data: Path) -> dict[str, Source]:
    """What the recipe trains on, without spoilt characters: ``unipen``, ``cleaned``, ``sd19``, ``mnist``.

    Raises:
        DatasetError: a file below ``data/characters`` is missing.
    """
    folder = data / "characters"
    strokes = load_strokes(folder / "unipen_62_strokes.npz")
    held = np.isin(strokes.writers, held_out_unipen_writers(strokes.writers))
    held |= stroke_lost(strokes)
    return {
        "unipen": StrokeSource(strokes.select(~held)),
        "cleaned": _cleaned(folder, held_out=False),
        "sd19": _digits(folder / "sd19_digits_train.npz"),
        "mnist": _mnist(folder / "mnist_train60k.npz"),
    }


def held_out_sources(data: Path, part: Part = "all", spoilt: bool = False) -> dict[str, Source]:
    """What no model of ours was trained on, under the same names.

    It is halved, by writers where they are known, so that what is fitted on held-out characters (calibration,
    the weights of the decoder) is measured on others.

    Args:
        data: the folder of data sets.
        part: which half.
        spoilt: keep characters of which the data set has lost a stroke, and pictures that it has rolled over
            their edge as they are; see ``jobs.spoilt_characters``.

    Raises:
        DatasetError: a file below ``data/characters`` is missing.
    """
    folder = data / "characters"
    strokes = load_strokes(folder / "unipen_62_strokes.npz")
    writers = held_out_unipen_writers(strokes.writers)
    cleaned = _cleaned(folder, held_out=True)
    digits, mnist = _digits(folder / "sd19_digits_val.npz", spoilt), _mnist(folder / "mnist_test10k.npz")
    chosen = np.isin(strokes.writers, writers if part == "all" else writers[int(part == "calibration") :: 2])
    return {
        "unipen": StrokeSource(strokes.select(chosen if spoilt else chosen & ~stroke_lost(strokes))),
        "cleaned": cleaned.select(_half(_ranks(cleaned.labels), part)),
        "sd19": digits.select(_half(digits.writers, part)),
        "mnist": mnist.select(_half(np.arange(len(mnist.labels)), part)),
    }


def _half(numbers: NDArray[np.integer], part: Part) -> NDArray[np.bool_]:
    return np.full(len(numbers), True) if part == "all" else numbers % 2 == int(part == "calibration")


def _ranks(labels: NDArray[np.int16]) -> NDArray[np.int64]:
    """The how-manieth of its class each one is."""
    ranks = np.zeros(len(labels), np.int64)
    for label in np.unique(labels):
        rows = np.flatnonzero(labels == label)
        ranks[rows] = np.arange(len(rows))
    return ranks


def _cleaned(folder: Path, held_out: bool) -> BitmapSource:
    images, labels = originals(folder / "sd19_cleaned.npz", "raw128_packed", 128)
    chosen = held_out_letters(folder) if held_out else ~held_out_rows(labels)
    return BitmapSource(images[chosen], labels[chosen], np.full(int(chosen.sum()), -1, np.int32))


def _digits(path: Path, spoilt: bool = False) -> BitmapSource:
    images, labels = originals(path, "images64_packed", 64)
    writers = read_arrays(path)["writer_template_field_position"][:, 0].astype(np.int32)
    return BitmapSource(images if spoilt else rolled_back(images), labels, writers, squared=True)


def _mnist(path: Path) -> BitmapSource:
    crops = load_npz(path)
    return BitmapSource(crops.images, crops.labels, crops.writers)


def random_habits(rng: np.random.Generator) -> LineHabits:
    """Spacing from touching to wide, half of the lines with a printed frame that was taken out."""
    tight = rng.random() < 0.4
    return LineHabits(
        gap=float(rng.uniform(-0.04, 0.12) if tight else rng.uniform(0.1, 0.5)),
        gap_spread=float(rng.uniform(0.03, 0.12)),
        rule=int(rng.integers(3, 8)) if rng.random() < 0.5 else 0,
        rule_level=float(rng.uniform(0.92, 1.3)),
    )


def spaced_habits(spacing: str, framed: bool, rng: np.random.Generator) -> LineHabits:
    """Habits with a spacing of ``SPACINGS``, ``framed`` by printed lines that were taken out."""
    least, most, spread = SPACINGS[spacing]
    return LineHabits(
        gap=float(rng.uniform(least, most)),
        gap_spread=spread,
        rule=int(rng.integers(3, 8)) if framed else 0,
        rule_level=float(rng.uniform(0.97, 1.4)),
    )


def over_frame(habits: LineHabits, rng: np.random.Generator) -> LineHabits:
    """The same hand in a frame that it writes over, on one side or, seldom, on two."""
    upper = float(rng.uniform(-0.5, -0.2))
    lower = float(rng.uniform(1.15, 1.5))
    ends: list[float | None] = [None, None]
    for side in rng.choice(4, 1 + int(rng.random() < 0.15), replace=False, p=(0.4, 0.2, 0.2, 0.2)):
        reach = float(rng.uniform(-0.06, 0.26))  # by which the writing is beyond the middle of the line
        if side == 0:
            upper = reach
        elif side == 1:
            lower = 1 - reach
        else:
            ends[side - 2] = -reach
    return replace(
        habits, rule=int(rng.integers(3, 8)), rule_level=lower, upper_level=upper, ends=(ends[0], ends[1])
    )


class LineComposer:
    """Composes rows of writing of one hand each; all chance comes from the generator given to each call."""

    def __init__(self, sources: Mapping[str, Source], over: float = 0.0) -> None:
        """Sorts the characters of the sources by hand and kind; ``over`` is the share of rows written over
        their frame.
        """
        self._sources, self._over = sources, over
        self._hands = {name: _Hands(source) for name, source in sources.items()}

    def compose(self, rng: np.random.Generator) -> tuple[ComposedLine, list[int]]:
        """A row of 2 to 10 of whatever source, kind and spacing, and the class index of each character."""
        name = str(rng.choice(["unipen", "cleaned", "sd19", "mnist"], p=[0.6, 0.16, 0.12, 0.12]))
        kind = int(rng.integers(3)) if name == "cleaned" else None
        rows = self._hands[name].some(int(rng.integers(2, 11)), kind, rng)
        return self._set(name, rows, random_habits(rng), rng)

    def compose_string(
        self, source: str, kind: int, length: int, habits: LineHabits, rng: np.random.Generator
    ) -> tuple[ComposedLine, list[int]]:
        """A row of ``length`` characters of one kind (``DIGITS``, ``UPPER``, ``LOWER``)."""
        return self._set(source, self._hands[source].some(length, kind, rng), habits, rng)

    def compose_word(
        self, source: str, length: int, habits: LineHabits, rng: np.random.Generator
    ) -> tuple[ComposedLine, list[int]]:
        """A row of small letters that begins with a capital of the same hand, if there is one."""
        hands = self._hands[source]
        rows = hands.some(length, LOWER, rng)
        rows[0] = hands.of_same_hand(int(rows[0]), UPPER, rng)
        return self._set(source, rows, habits, rng)

    def compose_alphabet(
        self, source: str, kind: int, habits: LineHabits, rng: np.random.Generator
    ) -> tuple[ComposedLine, list[int]]:
        """A row of all letters of one kind that a hand has (at least 24), each once, in any order."""
        return self._set(source, self._hands[source].each_once(kind, rng), habits, rng)

    def _set(
        self, name: str, rows: NDArray[np.int64], habits: LineHabits, rng: np.random.Generator
    ) -> tuple[ComposedLine, list[int]]:
        if self._over and rng.random() < self._over:
            habits = over_frame(habits, rng)
        source, capital = self._sources[name], float(rng.uniform(38, 72))
        labels = [int(label) for label in source.labels[rows]]
        extents = [EXTENTS[CHARACTERS[label]] for label in labels]
        habits = replace(habits, digits=bool(charset_mask("digits")[labels].all()))
        return compose_line(source.draw(rows, capital, rng), extents, capital, habits, rng), labels


_FEW = 4  # characters of a kind that a hand must have to begin a row
_ENOUGH = 24  # of 26 letters, to write an alphabet


class _Hands:
    """The rows of a source by hand and kind; all characters of unknown writers count as one hand."""

    def __init__(self, source: Source) -> None:
        self._labels = source.labels
        self._kinds = np.searchsorted([10, 36], source.labels, side="right")
        self._groups = source.writers.astype(np.int64) * 3 + self._kinds
        self._order = np.argsort(self._groups, kind="stable")
        self._sorted = self._groups[self._order]
        groups, sizes = np.unique(self._groups, return_counts=True)
        self._of_kind = [groups[(groups % 3 == kind) & (sizes >= _FEW)] for kind in (DIGITS, UPPER, LOWER)]

    def _group(self, group: int) -> NDArray[np.int64]:
        low, high = np.searchsorted(self._sorted, [group, group + 1])
        return self._order[low:high]

    def some(self, length: int, kind: int | None, rng: np.random.Generator) -> NDArray[np.int64]:
        """Rows of one hand, none twice; where it has too few, a next hand goes on.

        Of a given kind every hand that has at least four of it is equally likely; of any kind, every
        character.

        Raises:
            ValueError: all hands together have too few.
        """
        if kind is None:
            first = int(self._groups[rng.integers(len(self._groups))])
            kind = first % 3
            hands = np.append(first, rng.permutation(self._of_kind[kind][self._of_kind[kind] != first]))
        else:
            hands = rng.permutation(self._of_kind[kind])
        rows = np.zeros(0, np.int64)
        for hand in hands:
            rows = np.concatenate([rows, rng.permutation(self._group(int(hand)))])
            if len(rows) >= length:
                return rows[:length]
        raise ValueError(f"the source has {len(rows)} characters of kind {kind}, not {length}")

    def of_same_hand(self, row: int, kind: int, rng: np.random.Generator) -> int:
        """A row of the hand of another row and of a kind; the row itself if there is none."""
        pool = self._group(int(self._groups[row] - self._kinds[row]) + kind)
        return int(rng.choice(pool)) if len(pool) else row

    def each_once(self, kind: int, rng: np.random.Generator) -> NDArray[np.int64]:
        """One row for every letter of a kind that a hand has, shuffled."""
        able = [
            group
            for group in self._of_kind[kind].tolist()
            if len(np.unique(self._labels[self._group(group)])) >= _ENOUGH
        ]
        shuffled = rng.permutation(self._group(int(rng.choice(able))))
        _, first = np.unique(self._labels[shuffled], return_index=True)
        return rng.permutation(shuffled[first])
