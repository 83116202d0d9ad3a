"""Erases traced rules, and leaves the strokes that touch or cross them.

Where the ink across a rule is no thicker than the rule itself, it is print and goes; where it sticks out on
either side, a stroke touches or crosses the rule there, and all of it stays; so does what lies along the rule
and goes on from there (``lying_strokes``). All of it is done on the bits of the band that ``rule_band`` lays
out, for all rules of a page at once.
"""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import NamedTuple

import cv2
import numpy as np
from numpy.typing import NDArray

from segmentation.hidden_strokes import Contacts, bridges, passages
from segmentation.lying_strokes import lying_strokes
from segmentation.rule_band import (
    BLOCK,
    DROPOUT,
    MARGIN,
    Bits,
    ExpectedRule,
    Floats,
    Integers,
    Mask,
    runs,
    turned,
)
from segmentation.rule_traces import TracedRules, extents

SLACK = 2.0  # pixels a ragged rule may stick out without being a stroke
SPUR = 3  # columns: what sticks out on fewer is raggedness
WIDEST_DROPOUT = 12  # columns of a stroke that dropped out: what is wider lies beside the rule
LONG_RUN = 81  # columns of ink along a rule that are a rule themselves

_NONE, _ALL = np.uint64(0), np.uint64((1 << 64) - 1)
_ABOVE, _BELOW = np.uint64((1 << MARGIN) - 1), _ALL << np.uint64(MARGIN + 1)
WINDOW = 32  # rows at most among which one rule is erased: it is some ten wide, and leans by a few


def erase_rules(
    traced: TracedRules, rules: Sequence[ExpectedRule], targets: Sequence[Mask], widths: Floats
) -> None:
    """Erases traced rules from their targets, but for the strokes of their ink that touch or cross them.

    A stroke that touches from one side keeps its end up to the middle of the rule, a crossing one is kept
    whole and joined where it dropped out, and so is one that lies along the rule or passes through it. Ink
    beside the rule stays.

    Args:
        traced: the rules.
        rules: what they were traced in.
        targets: bool (H, W) for each of ``rules``, like its ink, changed in place.
        widths: float64 (R,) of each traced rule, pixels.
    """
    halves = (widths - 1) / 2
    changes = _changes(traced, rules, halves)
    bits = _cut_to_windows(traced, changes.erased, np.ceil(halves + SLACK).astype(int))
    keep = _pixels(~bits.window.astype("<u4"))  # the higher bits go
    # The rasters lie as their rules do, so that each is changed along its memory.
    keep_of = {True: keep.T, False: turned(keep)}
    joining = _any_of_rule(traced, changes.joined != 0)  # hardly any
    places = zip(
        _places(traced, rules, targets), bits.lows.tolist(), bits.highs.tolist(), joining, strict=True
    )
    for place, low, high, joins in places:
        rows = place.rows(low, high)
        part = place.part(rows)
        part &= keep_of[place.upright][rows.start - low : rows.stop - low, place.band]
        if joins:
            rows = place.rows(0, BLOCK)
            part = place.part(rows)
            part |= _pixels(changes.joined[place.band] << traced.lifts[place.band])[:, rows].T


@dataclass(frozen=True, slots=True, eq=False)
class _Changes:
    """What is to change in the band: the bits that go, and those that are added, uint64 (N,) both."""

    erased: Bits
    joined: Bits


def _changes(traced: TracedRules, rules: Sequence[ExpectedRule], halves: Floats) -> _Changes:
    """Finds out what is print; ``halves``, float64 (R,), as in ``Contacts``."""
    band = _without_other_rules(traced, halves)
    closed = _closed(band)
    up, down = extents(band)
    thickness = up + down
    strokes = _strokes(traced, up, down, closed, halves)
    contacts = Contacts(traced, halves, strokes.above, strokes.below, strokes.crossing, thickness)
    passing = passages(contacts)
    joined_above, joined_below = (bridges(contacts, rules, direction) for direction in (-1, 1))
    above, below = strokes.above | joined_above, strokes.below | joined_below
    usual = np.append(np.floor(2 * halves), 255).astype(np.uint8)[traced.rule_of]
    touched = above | below | strokes.crossing
    lying = lying_strokes(thickness, usual, touched, traced.begins, traced.ends)
    whole = strokes.crossing | lying | passing
    erased = np.where(whole, _NONE, _by_column(traced, _around_middle(np.ceil(halves + SLACK))))
    erased &= ~_beyond_gaps(traced, band, halves)
    erased &= np.where(above, _BELOW, _ALL)
    erased &= np.where(below, _ABOVE, _ALL)
    near = _by_column(traced, _around_middle(np.ceil(halves + DROPOUT)))
    return _Changes(erased, np.where(strokes.dropped, closed & near, _NONE))


@dataclass(frozen=True, slots=True, eq=False)
class _Windows:
    """Bits of the band, cut down to the few rows around each rule in which anything can be erased.

    Attributes:
        window: uint64 (N,) the bits, from the window's first row on.
        lows, highs: int (R,) first and past-last row of the window of each rule; row 0 is bit 0 of the band
            before it was straightened.
    """

    window: Bits
    lows: Integers
    highs: Integers


def _cut_to_windows(traced: TracedRules, bits: Bits, reaches: Integers) -> _Windows:
    """Undoes the straightening of bits, uint64 (N,), that reach, int (R,), pixels to each side at most."""
    parts = _parts(traced)
    least, most = (step.reduceat(traced.lifts, parts)[::2].astype(int) for step in (np.minimum, np.maximum))
    lows = MARGIN + least - reaches
    highs = np.minimum(MARGIN + most + reaches + 1, lows + WINDOW)
    window = (bits << traced.lifts) >> _by_column(traced, lows.astype(np.uint64))
    return _Windows(window, lows, highs)


def _any_of_rule(traced: TracedRules, columns: Mask) -> list[bool]:
    """For each rule whether any of its columns, bool (N,), is true."""
    of_rules: list[bool] = np.logical_or.reduceat(columns, _parts(traced))[::2].tolist()
    return of_rules


def _parts(traced: TracedRules) -> Integers:
    """Where each rule begins in the band, and where what lies between it and the next, int (2 R,)."""
    return np.stack([traced.begins, traced.ends], axis=1).ravel()


class _Place(NamedTuple):
    """Where a rule lies; a tuple, since a page has more than a hundred.

    Attributes:
        target: bool (H, W), a view of the raster from which it is erased, in which it lies level.
        upright: whether the raster was turned for that.
        top: row of the target that is bit 0 of the band; may be negative.
        columns: the rule's columns of the target.
        band: the same in the band.
    """

    target: Mask
    upright: bool
    top: int
    columns: slice
    band: slice

    def rows(self, low: int, high: int) -> slice:
        """Those of some rows of the band that the target has."""
        first = max(low, -self.top)
        return slice(first, max(first, min(high, len(self.target) - self.top)))

    def part(self, rows: slice) -> Mask:
        """A view of the rule's columns at some rows of the band."""
        return self.target[self.top + rows.start : self.top + rows.stop, self.columns]


def _places(traced: TracedRules, rules: Sequence[ExpectedRule], targets: Sequence[Mask]) -> Iterator[_Place]:
    """Yields the place of each traced rule."""
    numbers = (traced.which, traced.begins, traced.ends, traced.firsts, traced.tops)
    for which, begin, end, first, top in zip(*(each.tolist() for each in numbers), strict=True):
        upright = rules[which].upright
        target = targets[which].T if upright else targets[which]
        yield _Place(target, upright, top, slice(first, first + end - begin), slice(begin, end))


def _pixels(bits: NDArray[np.unsignedinteger]) -> Mask:
    """Numbers of 32 or 64 bits as so many pixels each, bool (N, 32 or 64), the lowest bit first."""
    pixels = np.unpackbits(bits.view(np.uint8), bitorder="little")
    return pixels.reshape(len(bits), -1).view(np.bool_)


def _around_middle(reaches: Floats) -> Bits:
    """The bits of the middle and so many to each side, uint64 (R,)."""
    aside, one = reaches.astype(np.uint64), np.uint64(1)
    return ((one << (2 * aside + one)) - one) << (np.uint64(MARGIN) - aside)


def _by_column(traced: TracedRules, of_rules: Bits) -> Bits:
    """For each column of the band what is said of its rule, nothing between two rules."""
    return np.append(of_rules, _NONE)[traced.rule_of]


def _closed(band: Bits) -> Bits:
    """The band with gaps of up to ``DROPOUT`` pixels across the rules closed: scanners drop pixels there."""
    assert DROPOUT == 6
    grown = band
    for step in (1, 2, 3):
        grown = grown | (grown << np.uint64(step))
    for step in (1, 2, 3):
        grown = grown & (grown >> np.uint64(step))
    return grown


def _beyond_gaps(traced: TracedRules, band: Bits, halves: Floats) -> Bits:
    """Ink so near to a rule that it would be erased, but parted from it, and of a stroke that goes on.

    Of a digit that stands just above the line not even the lowest pixels belong to the line.
    """
    one, reaches = np.uint64(1), np.ceil(halves + SLACK)
    aside = reaches.astype(np.uint64)
    just_above, just_below = one << (np.uint64(MARGIN - 1) - aside), one << (np.uint64(MARGIN + 1) + aside)
    columns = np.flatnonzero(band & _by_column(traced, just_above | just_below))  # hardly any
    rules, ink = traced.rule_of[columns], band[columns]
    up, down = ink & just_above[rules], ink & just_below[rules]
    for _ in range(int(reaches.max())):
        up |= (up << one) & ink
        down |= (down >> one) & ink
    print_itself = _around_middle(np.floor(halves + 1))[rules]
    parted = np.zeros_like(band)
    parted[columns] = np.where(up & print_itself, _NONE, up) | np.where(down & print_itself, _NONE, down)
    return parted


@dataclass(frozen=True, slots=True, eq=False)
class _Strokes:
    """Columns, bool (N,) each, at which a stroke meets its rule.

    Attributes:
        above, below: it touches from that side.
        dropped: it crosses, but some of it dropped out.
        crossing: it crosses, be it seen in full or not.
    """

    above: Mask
    below: Mask
    dropped: Mask
    crossing: Mask


def _strokes(
    traced: TracedRules, up: NDArray[np.uint8], down: NDArray[np.uint8], closed: Bits, halves: Floats
) -> _Strokes:
    """Finds where strokes meet rules.

    Scanners drop pixels beside a rule, over the whole width of a stroke. Where some of a stroke crosses in
    full, what is beside it is no part that dropped out but the inside of a bend.

    Args:
        traced: the rules.
        up, down: uint8 (N,), how far the ink reaches from the middle of the rule.
        closed: the band as ``_closed`` gives it.
        halves: float64 (R,) as in ``Contacts``.
    """
    most = np.append(np.floor(halves + SLACK), 255).astype(np.uint8)[traced.rule_of]
    closed_up, closed_down = extents(closed)
    touched = np.stack([up > most, down > most, (closed_up > most) & (closed_down > most)])
    # Fewer columns than a spur has are the ragged edge of a rule.
    kernel = np.ones((1, SPUR), np.uint8)
    above, below, crossing = cv2.morphologyEx(touched.view(np.uint8), cv2.MORPH_OPEN, kernel).view(np.bool_)
    in_full = above & below
    dropped = crossing & ~in_full
    firsts, lasts = runs(dropped)
    beside = in_full[np.maximum(firsts - 1, 0)] | in_full[np.minimum(lasts, len(in_full) - 1)]
    none = beside | (lasts - firsts > WIDEST_DROPOUT)
    for first, last in zip(firsts[none].tolist(), lasts[none].tolist(), strict=True):
        dropped[first:last] = False
    return _Strokes(above, below, dropped, in_full | dropped)


def _without_other_rules(traced: TracedRules, halves: Floats) -> Bits:
    """The band without other boxes' rules beside those traced, to which strokes would seem to go on."""
    beside = ~_around_middle(np.ceil(halves + SLACK))
    beside[traced.ends - traced.begins < 2 * LONG_RUN] = _NONE
    gapless = _over_columns(traced.band, DROPOUT + 1, np.bitwise_or)
    gapless = _over_columns(gapless[::-1], DROPOUT + 1, np.bitwise_and)[::-1]
    gapless = gapless & _by_column(traced, beside)
    # A run of that length fills several blocks of eight columns; nearly always only the rule itself does.
    eights = np.bitwise_and.reduce(gapless[: len(gapless) // 8 * 8].reshape(-1, 8), axis=1)
    full = _over_columns(eights, LONG_RUN // 8 - 1, np.bitwise_and)
    if not full.any():
        return traced.band
    band = traced.band.copy()
    for rule in np.unique(traced.rule_of[8 * np.flatnonzero(full)]).tolist():
        columns = slice(traced.begins[rule], traced.ends[rule])
        runs = _long_runs(gapless[columns])
        one = np.uint64(1)
        band[columns] &= ~(runs | (runs << one) | (runs >> one))
    return band


def _long_runs(bits: Bits) -> Bits:
    """The runs of at least ``LONG_RUN`` columns; those at either end are taken to go on beyond it."""
    aside = LONG_RUN // 2
    cores = np.pad(bits, aside, constant_values=_ALL)
    cores = _over_columns(cores, LONG_RUN, np.bitwise_and)[: len(bits)]
    return _over_columns(np.pad(cores, aside), LONG_RUN, np.bitwise_or)[: len(bits)]


def _over_columns(bits: Bits, count: int, combine: Callable[..., Bits]) -> Bits:
    """For each column, it and those after it, ``count`` in all, combined; at the end as many as there are."""
    combined, done = bits.copy(), 1
    while done < count and done < len(bits):
        step = min(done, count - done)
        combined[:-step] = combine(combined[:-step], combined[step:])
        done += step
    return combined
