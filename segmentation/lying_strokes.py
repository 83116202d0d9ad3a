"""Strokes that lie along a printed rule, like the foot of a 2 that is written on the line.

Such a stroke hardly sticks out of the rule, but over many columns: the ink there is thicker than the rule is
beside it. It counts only where it goes on from a stroke that surely touches the rule, away from the corners,
where the other sides of the frame do: scanned rules are a pixel thicker in places, in steps as they lean.
"""

import cv2
import numpy as np
from numpy.typing import NDArray

from segmentation.rule_band import DROPOUT, Floats, Integers, Mask

THICKER = 1  # pixels than the rule is as a whole, in each column but for holes
THICKER_THAN_BESIDE = 1.0  # pixels than the rule is beside the stroke, on average
BESIDE, LEAST_BESIDE = 24, 6  # columns on each side of a stroke that tell what the rule is there
SHORTEST, LONGEST = 5, 90  # columns that lie, without the contacts
HOLE = DROPOUT  # columns of a stroke that may be thinner, or part it from its contact
CORNER = 14  # columns at either end of a rule


def lying_strokes(
    thickness: NDArray[np.uint8], usual: NDArray[np.uint8], touched: Mask, begins: Integers, ends: Integers
) -> Mask:
    """Columns at which a stroke lies along a rule.

    The rules lie in one band of columns, at least ``HOLE`` + 1 apart.

    Args:
        thickness: uint8 (N,) pixels of ink across the rules at each column, reckoned as ``usual``.
        usual: uint8 (N,) what it is for the rule alone, and more than any ``thickness`` between rules.
        touched: bool (N,) columns at which a stroke surely touches or crosses the rule.
        begins, ends: int (R,) columns of each rule in the band, in order.

    Returns:
        bool (N,), without the columns that are ``touched``.
    """
    lying = np.zeros_like(touched)
    thick = _closed((thickness >= usual + THICKER) & ~touched)
    together = _closed(thick | touched)
    changes = np.flatnonzero(np.diff(together, prepend=False, append=False))
    firsts, lasts = changes[::2], changes[1::2]
    contacts, free = _summed(touched), _summed(thick & ~touched)
    rules = np.searchsorted(begins, firsts, side="right") - 1
    lows, highs = begins[rules] + CORNER, ends[rules] - CORNER
    # Contacts between the corners; where there are none, the clipped end comes first.
    inner = contacts[np.minimum(lasts, highs)] - contacts[np.maximum(firsts, lows)]
    lengths = free[lasts] - free[firsts]
    likely = (inner > 0) & (lengths >= SHORTEST) & (lengths <= LONGEST)
    if not likely.any():
        return lying
    firsts, lasts, lows, highs = firsts[likely], lasts[likely], lows[likely], highs[likely]
    alone = ~touched
    excess = np.where(alone, thickness.astype(np.int16) - usual, 0)
    sums, counts = _summed(excess), _summed(alone)

    def mean(starts: Integers, stops: Integers) -> tuple[Floats, Integers]:
        stops = np.maximum(starts, stops)
        columns = counts[stops] - counts[starts]
        return (sums[stops] - sums[starts]) / np.maximum(columns, 1), columns

    of_stroke, _ = mean(firsts, lasts)
    beside = np.full(len(firsts), -np.inf)
    for starts, stops in (
        (np.maximum(lows, firsts - BESIDE), np.maximum(lows, firsts)),
        (np.minimum(highs, lasts), np.minimum(highs, lasts + BESIDE)),
    ):
        level, columns = mean(starts, stops)
        beside = np.maximum(beside, np.where(columns >= LEAST_BESIDE, level, -np.inf))
    surely = np.isfinite(beside) & (of_stroke - beside >= THICKER_THAN_BESIDE)
    for first, last in zip(firsts[surely].tolist(), lasts[surely].tolist(), strict=True):
        lying[first:last] = True
    return lying & alone


def _closed(columns: Mask) -> Mask:
    """With holes of up to ``HOLE`` columns filled."""
    kernel = np.ones((1, HOLE + 1), np.uint8)
    closed = cv2.morphologyEx(columns.view(np.uint8)[None], cv2.MORPH_CLOSE, kernel)[0]
    return np.asarray(closed).view(np.bool_)


def _summed(values: NDArray[np.generic]) -> Integers:
    """Sums of all values before each place, and of all, int (N + 1,)."""
    sums: Integers = np.zeros(len(values) + 1, np.intp)
    np.cumsum(values, out=sums[1:])
    return sums
