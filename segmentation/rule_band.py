"""Lays the surroundings of printed rules out side by side, in a band of bits.

Alone, each rule is a hundred small operations on arrays, and a page has more than a hundred rules. In one
band each operation is done once for all. What lies across a rule at one of its columns is kept as the bits of
one number, so that a rule is straightened by shifting bits.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

SEARCH = 14  # pixels a rule may lie off its expected place
BLOCK = 64  # pixels of rule traced at a time, and pixels across it that are kept: bits of a number
REACH = 12  # pixels looked at on each side of a rule to tell print from strokes
DROPOUT = 6  # pixels of a gap inside a stroke where it crosses a rule
MARGIN = REACH + DROPOUT + 1  # pixels on each side of a rule that are looked at
AT_ONCE = 128  # blocks whose pixels are laid out at a time
PARTING = DROPOUT + 2  # empty columns between the rules of a band, so that nothing grows from one to another
ORIGIN = SEARCH + MARGIN  # bit of a column that stands for the row at which its rule is expected

Mask = NDArray[np.bool_]
Floats = NDArray[np.float64]
Integers = NDArray[np.intp]
Bits = NDArray[np.uint64]


@dataclass(frozen=True, slots=True)
class ExpectedRule:
    """A rule to look for in ``ink``, bool (H, W): near row ``level``, from column ``start`` to ``stop``.

    An upright one is looked for near column ``level``, from row ``start`` to ``stop``. Below, "row" and
    "column" are said of rules as if they all lay. ``digits``: nothing else is written there.
    """

    ink: Mask
    level: float
    start: float
    stop: float
    upright: bool = False
    digits: bool = False

    @property
    def size(self) -> tuple[int, int]:
        """Rows and columns of the ink."""
        height, width = self.ink.shape
        return (width, height) if self.upright else (height, width)

    def part(self, top: int, bottom: int, first: int, last: int) -> Mask:
        """The ink of some rows and columns, as if the rule lay."""
        if self.upright:
            return turned(self.ink[first:last, top:bottom])
        return self.ink[top:bottom, first:last]


def turned(ink: Mask) -> Mask:
    """A copy of a raster with its columns as rows, bool (W, H)."""
    if not ink.size:
        return ink.T.copy()
    return np.asarray(cv2.transpose(ink.view(np.uint8))).view(np.bool_)  # in a tenth of numpy's time


def runs(columns: Mask) -> tuple[Integers, Integers]:
    """First and past-last column, int (M,) each, of each run of true ones."""
    changes = np.flatnonzero(np.diff(columns, prepend=False, append=False))
    return changes[::2], changes[1::2]


def count_between(places: Integers, starts: Integers, stops: Integers) -> Integers:
    """How many of some ordered places, int (M,), are in each range; below 0 if it stops before it starts."""
    found: Integers = np.searchsorted(places, stops) - np.searchsorted(places, starts)
    return found


@dataclass(frozen=True, slots=True)
class Blocks:
    """The surroundings of V rules, laid out in a band of N columns, in B blocks of ``BLOCK`` columns.

    Attributes:
        which: int (V,) place of each rule in the sequence that was asked for.
        begins, ends: int (V,) its columns in the band.
        firsts: int (V,) the column of its ink from which on it is followed.
        tops: int (V,) the row of its ink that is bit 0 of a column; may be negative.
        off: float64 (V,) how far below the middle of its first row the level is at which it is expected.
        first, last: int (V,) its first and its last block.
        rule_of: int (B,) the rule of each block, 0..V-1.
        sizes: int (B,) columns of the rule in each block.
        centers: float64 (B,) the middle of these columns, in columns of the band.
        counts: int (2 * search + 1, B) pixels of ink in each row around the one where the rule is expected.
        band: uint64 (N,) the ink across each column.
    """

    which: Integers
    begins: Integers
    ends: Integers
    firsts: Integers
    tops: Integers
    off: Floats
    first: Integers
    last: Integers
    rule_of: Integers
    sizes: Integers
    centers: Floats
    counts: Integers
    band: Bits


def lay_blocks(rules: Sequence[ExpectedRule], search: int) -> Blocks | None:
    """Lays out what is around rules; None if none lies far enough within its ink to be followed."""
    which, columns, tops, off, parts = [], [], [], [], []
    for place, rule in enumerate(rules):
        height, width = rule.size
        first, last = max(0, round(rule.start) - 3), min(width, round(rule.stop) + 4)
        middle = round(rule.level)
        if last - first < 8 or min(height, middle + search + 1) - max(0, middle - search) < 3:
            continue
        row = middle - ORIGIN
        which.append(place)
        columns.append((first, last))
        tops.append(row)
        off.append(rule.level - row)
        top, bottom = max(0, row), min(height, row + BLOCK)
        parts.append((slice(top - row, bottom - row), rule.part(top, bottom, first, last)))
    if not which:
        return None
    lengths = np.array([last - first for first, last in columns])
    words = -(-(lengths + PARTING) // BLOCK)
    starts = np.cumsum(words) - words
    begins = BLOCK * starts
    searched, band = _lay(parts, words.tolist(), search)
    rule_of = np.repeat(np.arange(len(which)), words)
    number = np.arange(len(rule_of)) - starts[rule_of]
    sizes = np.clip(lengths[rule_of] - BLOCK * number, 0, BLOCK)
    # A rest that is too short to tell where the rule is does not count.
    used = (sizes >= BLOCK // 2) | (number == 0)
    rule_of, sizes = rule_of[used], sizes[used]
    counts = np.bincount(rule_of)
    return Blocks(
        which=np.array(which),
        begins=begins,
        ends=begins + lengths,
        firsts=np.array([first for first, _ in columns]),
        tops=np.array(tops),
        off=np.array(off),
        first=np.cumsum(counts) - counts,
        last=np.cumsum(counts) - 1,
        rule_of=rule_of,
        sizes=sizes,
        centers=begins[rule_of] + BLOCK * number[used] + sizes / 2,
        counts=np.bitwise_count(searched[:, used]).astype(np.intp),
        band=band,
    )


def _lay(parts: Sequence[tuple[slice, Mask]], words: Sequence[int], search: int) -> tuple[Bits, Bits]:
    """Lays the surroundings of rules beside one another.

    Args:
        parts: rows of the band and the ink there, of each rule.
        words: blocks of ``BLOCK`` columns that each gets, B in all.
        search: as of ``trace_rules``.

    Returns:
        uint64 (2 * search + 1, B), the ink along each row near the expected one; and uint64 (BLOCK * B,), the
        ink across each column.
    """
    along, across = [], []
    for places in _few_at_a_time(words):
        lying = np.zeros((BLOCK, BLOCK * sum(words[places])), np.bool_)
        begin = 0
        for (rows, part), count in zip(parts[places], words[places], strict=True):
            lying[rows, begin : begin + part.shape[1]] = part
            begin += BLOCK * count
        along.append(np.packbits(lying[ORIGIN - search : ORIGIN + search + 1], axis=1).view(np.uint64))
        across.append(np.packbits(turned(lying), bitorder="little").view("<u8"))
    return np.concatenate(along, axis=1), np.concatenate(across).astype(np.uint64, copy=False)


def _few_at_a_time(words: Sequence[int]) -> Iterator[slice]:
    """Parts rules into groups of so few blocks that their pixels stay in the processor's cache."""
    first, length = 0, 0
    for place, count in enumerate(words):
        if place > first and length + count > AT_ONCE:
            yield slice(first, place)
            first, length = place, 0
        length += count
    yield slice(first, len(words))
