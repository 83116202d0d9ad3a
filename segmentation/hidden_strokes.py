"""Strokes that run on inside a printed rule, where their own ink cannot be told from print.

What is seen of them is where they go in and come out: on the same side, like the bottom of a u written on the
line, whose two stems lean towards each other; or on either side a little further along, like the top of a 7
that begins above the line and whose stem leaves it below.
"""

import numpy as np
from numpy.typing import NDArray

from segmentation.rule_band import MARGIN, Bits, Floats, Integers, Mask
from segmentation.rule_traces import TracedRules

MAX_BRIDGE = 30  # columns between two strokes that may be one written along the rule
MAX_PASSAGE = 10  # the same of one that goes in on one side and comes out on the other
LEAN_OVER = 5  # rows over which strokes must lean towards each other to be joined
LEAST_LEAN = 2  # columns that both lean together over these rows; none may lean away
EDGE = 3  # columns of each stroke that are looked at
BEYOND = 3.0  # pixels from the edge of a rule at which a stroke is surely seen


def bridges(traced: TracedRules, touched: Mask, crossing: Mask, direction: int, halves: Floats) -> Mask:
    """Columns between two strokes that run together inside the rule.

    Two neighbouring contacts are joined if they are at most ``MAX_BRIDGE`` apart, lean towards each other,
    and an arc that goes on as they lean is no deeper than the rule is wide. Strokes that cross the rule meet
    elsewhere.

    Args:
        traced: the rules.
        touched: bool (N,) columns at which a stroke touches the rule from one side.
        crossing: bool (N,) columns at which a stroke crosses it.
        direction: that side, -1 for above, 1 for below.
        halves: float64 (R,) of each rule, half of what its width is beyond one pixel.

    Returns:
        bool (N,).
    """
    joined = np.zeros_like(touched)
    firsts, lasts = runs(touched | crossing)
    ending = ~_any_between(crossing, firsts, lasts)
    lefts, rights = lasts[:-1], firsts[1:]
    of_rule = traced.rule_of[lefts - 1]
    near = (rights - lefts <= MAX_BRIDGE) & (of_rule == traced.rule_of[rights]) & ending[:-1] & ending[1:]
    distances = MARGIN + direction * np.rint(halves + BEYOND).astype(np.intp)
    begins, ends = traced.begins.tolist(), traced.ends.tolist()
    gaps = zip(lefts[near].tolist(), rights[near].tolist(), of_rule[near].tolist(), strict=True)
    for left_stop, right_start, rule in gaps:
        first = max(begins[rule], left_stop - 1 - EDGE - LEAN_OVER)
        last = min(ends[rule], right_start + EDGE + LEAN_OVER)
        bit, width = int(distances[rule]), 2 * float(halves[rule]) + 1
        bits = bit, bit + direction * LEAN_OVER
        if _run_together(traced.band[first:last], bits, (left_stop + right_start) // 2 - first, width):
            joined[left_stop:right_start] = True
    return joined


def passages(traced: TracedRules, above: Mask, below: Mask, crossing: Mask) -> Mask:
    """Columns, bool (N,), between a stroke that goes in on one side and the next one, on the other side.

    ``above`` and ``below``, bool (N,), are columns at which strokes touch the rule from that side. Strokes
    that do so on both, or are ``crossing``, bool (N,), are whole already.
    """
    joined = np.zeros_like(above)
    firsts, lasts = runs(above | below | crossing)
    from_above, from_below, crossed = (
        _any_between(columns, firsts, lasts) for columns in (above, below, crossing)
    )
    lefts, rights = lasts[:-1], firsts[1:]
    one, other = from_above & ~from_below & ~crossed, from_below & ~from_above & ~crossed
    near = (one[:-1] & other[1:]) | (other[:-1] & one[1:])
    near &= (rights - lefts <= MAX_PASSAGE) & (traced.rule_of[lefts - 1] == traced.rule_of[rights])
    for left, right in zip(lefts[near].tolist(), rights[near].tolist(), strict=True):
        joined[left:right] = True
    return joined


def runs(columns: Mask) -> tuple[Integers, Integers]:
    """First and past-last column, int (M,) each, of each run of true ones."""
    changes = np.flatnonzero(np.diff(columns, prepend=False, append=False))
    return changes[::2], changes[1::2]


def _any_between(columns: Mask, firsts: Integers, lasts: Integers) -> Mask:
    """bool (M,): whether any column from each first to before the last one is true."""
    places = np.flatnonzero(columns)
    found: Mask = np.searchsorted(places, lasts) > np.searchsorted(places, firsts)
    return found


def _run_together(band: Bits, bits: tuple[int, int], center: int, width: float) -> bool:
    """Whether two strokes, before and after a column, lean together and meet within a rule of that width.

    They are looked at where they go in, and a little before: at the first and the second of two bits.
    """
    close, far = (_reach(band, bit, center) for bit in bits)
    if close is None or far is None:
        return False
    leans = far - close
    if leans.min() < 0 or leans.sum() < LEAST_LEAN:
        return False
    lean = float(leans.mean()) / LEAN_OVER
    # The height of an arc over its chord, whose ends lean so much: half the chord by the tangent of half the
    # angle between them.
    return float(close.sum()) / 2 * (np.hypot(1, lean) - lean) <= width


def _reach(band: Bits, bit: int, center: int) -> NDArray[np.intp] | None:
    """How far from a column the next ink of a row is on each side, int (2,); None if there is none."""
    inked = np.flatnonzero(band & np.uint64(1 << bit))
    split = int(np.searchsorted(inked, center))
    if split in (0, len(inked)):
        return None
    return np.array([center - inked[split - 1], inked[split] - center])
