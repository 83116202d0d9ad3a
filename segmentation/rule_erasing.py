"""Erases traced rules, and leaves the strokes that touch or cross them.

Where the ink across a rule is no thicker than the rule itself, it is print and goes; where it sticks out on
either side, a stroke touches or crosses the rule there, and all of it stays; so does what lies along the rule
and goes on from there (``lying_strokes``). All of it is done on the bits of the band that ``rule_band`` lays
out, for all rules of a page at once.
"""

from collections.abc import Callable, Sequence

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
    band = _without_other_rules(traced, halves)
    closed = _closed(band)
    up, down = extents(band)
    above, below, dropped = _strokes(traced, up, down, closed, halves)
    crossing = (above & below) | dropped
    thickness = up + down
    contacts = Contacts(traced, halves, above, below, crossing, thickness)
    passing = passages(contacts)
    joined_above, joined_below = (bridges(contacts, rules, direction) for direction in (-1, 1))
    above, below = above | joined_above, below | joined_below
    usual = np.append(np.floor(2 * halves), 255).astype(np.uint8)[traced.rule_of]
    lying = lying_strokes(thickness, usual, above | below | crossing, traced.begins, traced.ends)
    whole = crossing | lying | passing
    erased = np.where(whole, _NONE, _by_column(traced, _around_middle(np.ceil(halves + SLACK))))
    erased &= ~_beyond_gaps(traced, band, halves)
    erased &= np.where(above, _BELOW, _ALL)
    erased &= np.where(below, _ABOVE, _ALL)
    near = _by_column(traced, _around_middle(np.ceil(halves + DROPOUT)))
    joined = np.where(dropped, closed & near, _NONE)
    _apply(traced, rules, targets, erased, joined, np.ceil(halves + SLACK).astype(int))


def _apply(
    traced: TracedRules,
    rules: Sequence[ExpectedRule],
    targets: Sequence[Mask],
    erased: Bits,
    joined: Bits,
    reaches: Integers,
) -> None:
    """Erases from the targets what is ``erased`` and adds what is ``joined``, both uint64 (N,).

    ``reaches`` says of each traced rule, int (R,), how many pixels to each side of its middle may be erased.
    """
    parts = np.stack([traced.begins, traced.ends], axis=1).ravel()
    least, most = (step.reduceat(traced.lifts, parts)[::2].astype(int) for step in (np.minimum, np.maximum))
    lows = MARGIN + least - reaches
    highs = np.minimum(MARGIN + most + reaches + 1, lows + WINDOW)
    erased = (erased << traced.lifts) >> _by_column(traced, lows.astype(np.uint64))
    keep = _pixels(~erased.astype("<u4"))  # the higher bits go
    lying_keep = turned(keep)
    joining = np.logical_or.reduceat(joined != 0, parts)[::2].tolist()  # hardly any
    columns_of = traced.which, traced.begins, traced.ends, traced.firsts, traced.tops, lows, highs
    places = zip(*(numbers.tolist() for numbers in columns_of), joining, strict=True)
    for which, begin, end, first, top, low, high, some in places:
        rule, height = rules[which], rules[which].size[0]
        target = targets[which].T if rule.upright else targets[which]
        columns = slice(first, first + end - begin)
        inner, outer = max(low, -top), min(high, height - top)
        if inner < outer:
            bits = slice(inner - low, outer - low)
            place = target[top + inner : top + outer, columns]
            place &= keep[begin:end, bits].T if rule.upright else lying_keep[bits, begin:end]
        if some:
            inner, outer = max(0, -top), min(BLOCK, height - top)
            band = joined[begin:end] << traced.lifts[begin:end]
            target[top + inner : top + outer, columns] |= _pixels(band)[:, inner:outer].T


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


def _strokes(
    traced: TracedRules, up: NDArray[np.uint8], down: NDArray[np.uint8], closed: Bits, halves: Floats
) -> tuple[Mask, Mask, Mask]:
    """Columns, bool (N,) each, at which a stroke touches from above, from below, or crosses but dropped out.

    Scanners drop pixels beside a rule, over the whole width of a stroke. Where some of a stroke crosses in
    full, what is beside it is no part that dropped out but the inside of a bend.

    ``up`` and ``down`` are uint8 (N,), how far the ink reaches from the middle of the rule.
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
    return above, below, dropped


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
