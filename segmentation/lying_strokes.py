"""Strokes that lie along a printed rule, like the foot of a 2 that is written on the line.

Such a stroke hardly sticks out of the rule, but over many columns: the ink there is thicker than the rule is
beside it. It counts only where it goes on from a stroke that surely touches the rule, away from the corners,
where the other sides of the frame do: scanned rules are a pixel thicker in places, in steps as they lean.
"""

import cv2
import numpy as np
from numpy.typing import NDArray

from segmentation.rule_band import DROPOUT, Integers, Mask, count_between, runs

THICKER = 1  # pixels than the rule is as a whole, in each column but for holes
THICKER_THAN_BESIDE = 1.0  # pixels than the rule is beside the stroke, on average
BESIDE, LEAST_BESIDE = 24, 6  # columns on each side of a stroke that tell what the rule is there
SHORTEST, LONGEST = 3, 90  # columns that lie, without the contacts
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
    # Of 16 bits: what stands between rules may be the largest number of 8.
    thick = _closed((thickness >= usual.astype(np.uint16) + THICKER) & ~touched)
    firsts, lasts = runs(_closed(thick | touched))
    contacts, free = np.flatnonzero(touched), np.flatnonzero(thick & ~touched)
    rules = np.searchsorted(begins, firsts, side="right") - 1
    lows, highs = begins[rules] + CORNER, ends[rules] - CORNER
    # Contacts between the corners: where a run lies within one, its end comes before its begin.
    inner = count_between(contacts, np.maximum(firsts, lows), np.minimum(lasts, highs))
    lengths = count_between(free, firsts, lasts)
    likely = (inner > 0) & (lengths >= SHORTEST) & (lengths <= LONGEST)
    for first, last, low, high in np.stack([firsts, lasts, lows, highs], axis=1)[likely].tolist():  # few
        of_stroke = thickness[first:last][~touched[first:last]].mean()
        level = level_beside(thickness, touched, (first, last), (low, high), BESIDE)
        if level is not None and of_stroke - level >= THICKER_THAN_BESIDE:
            lying[first:last] = True
    return lying & ~touched


def level_beside(
    thickness: NDArray[np.uint8], touched: Mask, run: tuple[int, int], limits: tuple[int, int], reach: int
) -> float | None:
    """How thick a rule is, on average, beside some of its columns, on the side on which it is thicker.

    Args:
        thickness: uint8 (N,) pixels of ink across the rule at each column.
        touched: bool (N,) columns that tell nothing, since a stroke touches the rule there.
        run: first and past-last of the columns.
        limits: the columns of the rule that tell something, likewise.
        reach: so many columns on each side are looked at.

    Returns:
        Pixels, or None where too few columns tell anything.
    """
    (first, last), (low, high) = run, limits
    sides = (max(low, first - reach), max(low, first)), (min(high, last), min(high, last + reach))
    beside = [thickness[start:stop][~touched[start:stop]] for start, stop in sides]
    return max((float(columns.mean()) for columns in beside if len(columns) >= LEAST_BESIDE), default=None)


def _closed(columns: Mask) -> Mask:
    """With holes of up to ``HOLE`` columns filled."""
    kernel = np.ones((1, HOLE + 1), np.uint8)
    closed = cv2.morphologyEx(columns.view(np.uint8)[None], cv2.MORPH_CLOSE, kernel)[0]
    return np.asarray(closed).view(np.bool_)
