"""Strokes that run on inside a printed rule, where their own ink cannot be told from print.

What is seen of them is where they go in and come out: on the same side, like the bottom of a u written on the
line, whose two stems lean towards each other; or on either side a little further along, like the top of a 7
that begins above the line and whose stem leaves it below.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

from segmentation.lying_strokes import level_beside
from segmentation.rule_band import MARGIN, Bits, ExpectedRule, Floats, Mask, count_between, runs
from segmentation.rule_traces import TracedRules

MAX_BRIDGE = 30  # columns between two strokes that may be one written along the rule
MAX_PASSAGE = 10  # the same of one that goes in on one side and comes out on the other
LEAN_OVER = 5  # rows over which strokes must lean towards each other to be joined
LEAST_LEAN = 2  # columns that both lean together over these rows; none may lean away
EDGE = 3  # columns of each stroke that are looked at
BEYOND = 3.0  # pixels from the edge of a rule at which a stroke is surely seen: one more than it is ragged
THICKER = 0.4  # pixels, on average, that a rule with the end of a loop in it is thicker than beside it
BESIDE = 40  # columns on each side of a loop that tell what the rule is there
BODY, BODY_BESIDE = 70, 30  # rows beyond a rule, and columns to each side, in which a loop closes


@dataclass(frozen=True, slots=True)
class Contacts:
    """Where strokes touch rules.

    Attributes:
        traced: the rules, R of them, over N columns.
        halves: float64 (R,) half of what the width of each rule is beyond one pixel.
        above, below: bool (N,) columns at which a stroke touches the rule from that side.
        crossing: bool (N,) columns at which one crosses it.
        thickness: uint8 (N,) pixels of ink across the rule.
    """

    traced: TracedRules
    halves: Floats
    above: Mask
    below: Mask
    crossing: Mask
    thickness: NDArray[np.uint8]


def bridges(contacts: Contacts, rules: Sequence[ExpectedRule], direction: int) -> Mask:
    """Columns, bool (N,), between two strokes of one side that run together inside the rule.

    Two neighbouring contacts, at most ``MAX_BRIDGE`` apart, are joined if both lean towards each other, and
    an arc that goes on as they lean is no deeper than the rule is wide. Of digits also if both are of one
    body and the rule is thicker between them than beside: all digits but the 4 are closed there. Strokes that
    cross the rule meet elsewhere.

    Args:
        contacts: of strokes and rules.
        rules: what the rules were traced in.
        direction: of the side, -1 for above, 1 for below.
    """
    traced, touched = contacts.traced, contacts.above if direction < 0 else contacts.below
    any_side = contacts.above | contacts.below | contacts.crossing
    joined = np.zeros_like(touched)
    firsts, lasts = runs(touched | contacts.crossing)
    ending = count_between(np.flatnonzero(contacts.crossing), firsts, lasts) == 0
    lefts, rights = lasts[:-1], firsts[1:]
    of_rule = traced.rule_of[lefts - 1]
    near = (rights - lefts <= MAX_BRIDGE) & (of_rule == traced.rule_of[rights]) & ending[:-1] & ending[1:]
    distances = MARGIN + direction * np.rint(contacts.halves + BEYOND).astype(np.intp)
    begins, ends = traced.begins.tolist(), traced.ends.tolist()
    gaps = zip(lefts[near].tolist(), rights[near].tolist(), of_rule[near].tolist(), strict=True)
    for left_stop, right_start, rule in gaps:
        first = max(begins[rule], left_stop - 1 - EDGE - LEAN_OVER)
        last = min(ends[rule], right_start + EDGE + LEAN_OVER)
        bit, width = int(distances[rule]), 2 * float(contacts.halves[rule]) + 1
        bits = bit, bit + direction * LEAN_OVER
        if _run_together(traced.band[first:last], bits, (left_stop + right_start) // 2 - first, width) or (
            rules[traced.which[rule]].digits
            and _is_thicker(
                contacts.thickness, any_side, (left_stop, right_start), (begins[rule], ends[rule])
            )
            and _one_body(traced, rules, (left_stop, right_start), bit, direction)
        ):
            joined[left_stop:right_start] = True
    return joined


def passages(contacts: Contacts) -> Mask:
    """Columns, bool (N,), between a stroke that goes in on one side and the next one, on the other side.

    Strokes that touch the rule on both sides, or cross it, are whole already.
    """
    traced, above, below = contacts.traced, contacts.above, contacts.below
    joined = np.zeros_like(above)
    firsts, lasts = runs(above | below | contacts.crossing)
    from_above, from_below, crossed = (
        count_between(np.flatnonzero(columns), firsts, lasts) > 0
        for columns in (above, below, contacts.crossing)
    )
    lefts, rights = lasts[:-1], firsts[1:]
    one, other = from_above & ~from_below & ~crossed, from_below & ~from_above & ~crossed
    near = (one[:-1] & other[1:]) | (other[:-1] & one[1:])
    near &= (rights - lefts <= MAX_PASSAGE) & (traced.rule_of[lefts - 1] == traced.rule_of[rights])
    for left, right in zip(lefts[near].tolist(), rights[near].tolist(), strict=True):
        joined[left:right] = True
    return joined


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


def _is_thicker(
    thickness: NDArray[np.uint8], touched: Mask, gap: tuple[int, int], ends: tuple[int, int]
) -> bool:
    """Whether a rule, which has so many columns, is thicker between two contacts than beside them."""
    level = level_beside(thickness, touched, gap, ends, BESIDE)
    return level is not None and float(thickness[gap[0] : gap[1]].mean()) - level >= THICKER


def _one_body(
    traced: TracedRules, rules: Sequence[ExpectedRule], gap: tuple[int, int], bit: int, direction: int
) -> bool:
    """Whether the strokes on both sides of a gap hang together on their side of the rule, beyond a bit."""
    number = int(traced.rule_of[gap[0] - 1])
    rule, shift = rules[traced.which[number]], int(traced.firsts[number] - traced.begins[number])
    row, (height, width) = int(traced.tops[number]) + int(traced.lifts[gap[0] - 1]) + bit, rule.size
    low, high = (row - BODY, row + 1) if direction < 0 else (row, row + BODY + 1)
    low, high = max(0, low), min(height, high)
    left, right = gap[0] - 1 + shift, gap[1] + shift
    first, last = max(0, left - BODY_BESIDE), min(width, right + BODY_BESIDE + 1)
    if low >= high or first >= last:
        return False
    patch = np.ascontiguousarray(rule.part(low, high, first, last)).view(np.uint8)
    labels = cv2.connectedComponents(patch)[1][-1 if direction < 0 else 0]
    middle = (left + right) // 2 - first
    lefts, rights = np.flatnonzero(labels[:middle]), np.flatnonzero(labels[middle:])
    return bool(len(lefts) and len(rights) and labels[lefts[-1]] == labels[middle + rights[0]])
