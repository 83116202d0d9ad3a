"""Follows printed rules through ink, all rules of a page side by side in one band (``rule_band``)."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from segmentation.rule_band import (
    BLOCK,
    MARGIN,
    ORIGIN,
    REACH,
    SEARCH,
    Bits,
    Blocks,
    ExpectedRule,
    Floats,
    Integers,
    Mask,
    lay_blocks,
)

STRAY = 0.02  # share of its ink that a rule loses for each pixel off its place, when it is chosen
NOMINAL_WIDTH = 5.0  # pixels of a printed rule at 300 dpi, where none can be measured
MIN_COVERAGE = 0.4
STRAIGHT = 3.0  # pixels that the middle of a block may lie off its neighbours' line
BENT = 2.0  # pixels off a straight line, from which on a rule is followed as a bent one
STEEPEST = 5.0  # pixels from block to block that paper bends; writing beside a broken rule jumps
FULL = 0.7  # inked share of a block that surely shows where the rule is
LEAST_BLOCKS = 5  # of a bent rule
_ACROSS = np.uint64((1 << (2 * MARGIN + 1)) - 1)
# How many of the highest, or of the lowest, of twelve bits are set without a gap.
_OF_TWELVE = np.unpackbits(np.arange(1 << REACH, dtype=">u2")[:, None].view(np.uint8), axis=1)[:, -REACH:]
_FROM_TOP = np.cumprod(_OF_TWELVE, axis=1).sum(axis=1).astype(np.uint8)
_FROM_BOTTOM = np.cumprod(_OF_TWELVE[:, ::-1], axis=1).sum(axis=1).astype(np.uint8)


@dataclass(frozen=True, slots=True)
class TracedRules:
    """The rules that were found, R of them.

    Attributes:
        which: int (R,) the place of each in the sequence that was asked for.
        begins, ends: int (R,) its columns in the band.
        firsts: int (R,) the column of its ink at its first column of the band.
        tops: int (R,) the row of its ink that bit 0 of a column stood for before it was straightened.
        rule_of: int (N,) the number of the rule at each column, R where there is none.
        lifts: uint64 (N,) by how many bits each column was shifted down to straighten the rule.
        band: uint64 (N,) the ink across each column: bit ``MARGIN`` is the middle of the rule, the bits above
            it are the pixels below, as many as there are.
        levels, widths: float64 (R,) the row of each rule's middle, its width in pixels.
        seen: float64 (R,) the share of its columns with ink, three rows taken together.
        inked: bool (N,) which columns these are.
    """

    which: Integers
    begins: Integers
    ends: Integers
    firsts: Integers
    tops: Integers
    rule_of: Integers
    lifts: Bits
    band: Bits
    levels: Floats
    widths: Floats
    seen: Floats
    inked: Mask

    def gaps(self, least: int) -> list[float]:
        """The most columns of each rule, side by side, that have no ink; 0 if fewer than ``least``."""
        sizes = self.ends - self.begins
        longest = [0.0] * len(sizes)
        for rule in np.flatnonzero(sizes * (1.0 - self.seen) > least - 0.5).tolist():  # hardly any
            own = self.inked[self.begins[rule] : self.ends[rule]]
            gap = int(np.diff(np.flatnonzero(np.concatenate([[True], own, [True]]))).max()) - 1
            longest[rule] = float(gap) if gap >= least else 0.0
        return longest


def trace_rules(
    rules: Sequence[ExpectedRule], search: int = SEARCH, coverage: float = MIN_COVERAGE
) -> TracedRules | None:
    """Finds and follows rules.

    Args:
        rules: where they should be.
        search: rows that a rule may lie off, at most ``SEARCH``.
        coverage: inked share of three rows together, 0..1, at least, if a rule is there.

    Returns:
        Those that are there; None if none is.
    """
    blocks = lay_blocks(rules, search)
    if blocks is None:
        return None
    middles, present = _follow_blocks(blocks, search, coverage)
    if not present.any():
        return None
    begins, ends = blocks.begins[present], blocks.ends[present]
    # On from the outermost blocks' middles a rule goes level.
    kept = present[blocks.rule_of]
    places = np.concatenate([begins, blocks.centers[kept], ends - 1])
    outermost = middles[blocks.first[present]], middles[kept], middles[blocks.last[present]]
    order = np.argsort(places, kind="stable")
    middle = np.interp(np.arange(len(blocks.band)), places[order], np.concatenate(outermost)[order])
    rule_of = np.full(len(blocks.band), len(begins))
    for number, (begin, end) in enumerate(zip(begins.tolist(), ends.tolist(), strict=True)):
        rule_of[begin:end] = number
    # Bit 0 stands for row 0 of the middles, which count from the top of the band.
    lifts = np.clip(np.rint(middle) - MARGIN, 0, BLOCK - 1).astype(np.uint64)
    band = (blocks.band >> lifts) & _ACROSS
    band[rule_of == len(begins)] = 0
    inked = (band & np.uint64(0b111 << (MARGIN - 1))) != 0
    parts = np.stack([begins, ends], axis=1).ravel()
    seen = np.add.reduceat(inked, parts, dtype=np.intp)[::2] / (ends - begins)
    tops = blocks.tops[present]
    return TracedRules(
        blocks.which[present],
        begins,
        ends,
        blocks.firsts[present],
        tops,
        rule_of,
        lifts,
        band,
        tops + _medians(middles, blocks.rule_of)[present],
        _widths(band, rule_of, len(begins)),
        seen,
        inked,
    )


def _follow_blocks(blocks: Blocks, search: int, coverage: float) -> tuple[Floats, Mask]:
    """The bit of the rule's middle in each block, float64 (B,), and which rules are there, bool (V,)."""
    counts, sizes, rule_of = blocks.counts, blocks.sizes, blocks.rule_of
    of_three = counts.copy()
    of_three[1:] += counts[:-1]
    of_three[:-1] += counts[1:]
    steps = np.arange(len(counts))[:, None]
    # Of two rules close to each other, as between two boxes, the one nearer to its place.
    first = ORIGIN - search
    smooth = of_three * (1 - STRAY * np.abs(first + steps - blocks.off[rule_of]))
    peak = smooth.max(axis=0) / (3 * sizes)
    weight = peak * sizes
    present = np.add.reduceat(weight, blocks.first) >= coverage * np.add.reduceat(sizes, blocks.first)
    # The middle of each block is the centre of the rows that are nearly as full as the fullest.
    share = counts / sizes
    nearest = np.abs(steps - np.argmax(smooth, axis=0)) <= 5
    share = np.where(nearest & (share >= 0.6 * peak), share, 0) + 1e-9
    middle = first + (share * steps).sum(axis=0) / share.sum(axis=0)
    line = _robust_lines(blocks.centers, middle, weight, blocks.first, rule_of)
    line += _bends(middle - line, peak, rule_of)
    return np.where(np.abs(middle - line) <= STRAIGHT, middle, line), present


def _bends(off: Floats, peak: Floats, rule_of: Integers) -> Floats:
    """How far rules on curled paper lie off their straight lines, float64 (B,); 0 for straight rules.

    Told from blocks that are nearly full of a line, by the median of five neighbours.

    Args:
        off: float64 (B,) how far the middle of each block lies off the straight line.
        peak: float64 (B,) the inked share of the fullest rows of each block, three together.
        rule_of: int (B,) the rule of each block, 0..V-1.
    """
    bends = np.zeros_like(off)
    far = (np.abs(off) > BENT) & (peak >= FULL)
    for rule in np.flatnonzero(np.bincount(rule_of, far) >= 2).tolist():  # hardly any
        blocks = np.flatnonzero(rule_of == rule)
        full = blocks[peak[blocks] >= FULL]
        if len(full) < LEAST_BLOCKS:
            continue
        padded = np.pad(off[full], 2, mode="reflect", reflect_type="odd")
        smooth = np.median(np.lib.stride_tricks.sliding_window_view(padded, 5), axis=1)
        steps = np.abs(np.diff(smooth)) / np.diff(full)
        if np.abs(smooth).max() > BENT and steps.max() <= STEEPEST:
            bends[blocks] = np.interp(blocks, full, smooth)
    return bends


def _robust_lines(x: Floats, y: Floats, weight: Floats, first: Integers, rule_of: Integers) -> Floats:
    """Values at x of a straight line through the points of each rule, with far ones losing their weight."""

    def total(values: Floats) -> Floats:
        sums: Floats = np.add.reduceat(values, first)
        return sums[rule_of]

    few = np.bincount(rule_of)[rule_of] < 3
    average = total((weight + 1e-9) * y) / total(weight + 1e-9)
    fitted = _medians(y, rule_of)[rule_of]
    for _ in range(4):
        trust = weight / (1 + (y - fitted) ** 2) + 1e-9
        trust /= total(trust)
        from_middle, level = x - total(trust * x), total(trust * y)
        spread = np.maximum(total(trust * from_middle**2), 1e-12)
        fitted = level + total(trust * from_middle * (y - level)) / spread * from_middle
    return np.where(few, average, fitted)


def _medians(values: Floats, rule_of: Integers) -> Floats:
    """The median of the values of each rule, float64 (V,), given the rule of each value, 0..V-1."""
    counts = np.bincount(rule_of)
    first = np.cumsum(counts) - counts
    ordered = values[np.lexsort((values, rule_of))]
    medians: Floats = (ordered[first + (counts - 1) // 2] + ordered[first + counts // 2]) / 2
    return medians


def _widths(band: Bits, rule_of: Integers, count: int) -> Floats:
    """The median thickness of each rule's ink, where there is any, within what rules may have."""
    band, rule_of = band[::2], rule_of[::2]  # half of the columns tell as much
    up, down = extents(band)
    together = up + down
    seen = (together > 0) & (rule_of < count)
    bins = 2 * REACH + 2
    table = np.bincount(rule_of[seen] * bins + together[seen] + 1, minlength=count * bins)
    below = np.cumsum(table.reshape(count, bins), axis=1)
    total = below[:, -1]
    # The middle one of an odd number, the mean of the two middle ones of an even number.
    middles = ((below <= place[:, None]).sum(axis=1) for place in ((total - 1) // 2, total // 2))
    widths = np.where(total > 0, sum(middles) / 2, NOMINAL_WIDTH)
    return np.clip(widths, 1.0, 3 * NOMINAL_WIDTH)


def extents(band: Bits) -> tuple[NDArray[np.uint8], NDArray[np.uint8]]:
    """How far the ink at a rule's middle reaches up and down in each column of its band, 0..REACH pixels."""
    some = ((band >> np.uint64(MARGIN)) & np.uint64(1)).astype(np.uint8)
    twelve = np.uint64((1 << REACH) - 1)
    above, below = (band >> np.uint64(MARGIN - REACH)) & twelve, (band >> np.uint64(MARGIN + 1)) & twelve
    # Places of a table are wanted as signed numbers, and the same bits say the same.
    return some * _FROM_TOP[above.view(np.int64)], some * _FROM_BOTTOM[below.view(np.int64)]
