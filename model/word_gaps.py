"""Where a row of running text has spaces: how surely each gap between its pieces parts two words."""

from math import inf
from statistics import median

import numpy as np
from numpy.typing import NDArray

# No gap asks a higher price for parting words or for not parting them.
MOST_FOR_GAP = 8.0
# How fast belief in a space grows with a gap, in heights of a character.
_GAP_SLOPE = 0.08
# Marks lower than this, in heights of a character, part no words: what lies around them is one gap.
_LEAST_MARK = 0.45
_FEW = 4  # pieces of a row whose gaps say nothing of how wide most of them are


def gap_scores(
    piece_bounds: NDArray[np.floating], piece_ink: NDArray[np.floating], space_gap: float
) -> list[tuple[float, float]]:
    """For the gap before each piece the scores, at most 0, of parting words there and of not parting them.

    A logistic function of the gap, which is even where a space would be written in free text.

    Args:
        piece_bounds: float (P, 4) left, top, right, bottom of each piece, from left to right.
        piece_ink: float (P,) their ink, in any unit.
        space_gap: see ``DecodingOptions.space_gap``.
    """
    left, top, right, bottom = piece_bounds.astype(np.float64).T
    if len(left) == 0:
        return []
    ink = piece_ink + 1e-9
    height = max(float(((bottom - top) * ink).sum() / ink.sum(dtype=np.float64)), 1e-3)
    reach = np.maximum.accumulate(np.where(bottom - top >= _LEAST_MARK * height, right, -inf))
    gaps = np.maximum(left[1:] - reach[:-1], 0.0) / height
    gaps = np.append(0.0, np.where(np.isfinite(gaps), gaps, 0.0))
    white = gaps[gaps > 0.0].tolist()
    usual = min(median(white), space_gap / 2) if white else 0.0
    if len(gaps) > _FEW:  # a comb, or a hand that spaces its letters: hardly any two stand close
        usual = max(usual, float(np.partition(gaps[1:], len(gaps) // 4)[len(gaps) // 4]))
    excess = (gaps - usual - space_gap) / _GAP_SLOPE
    part = np.maximum(-np.logaddexp(0.0, -excess), -MOST_FOR_GAP)
    join = np.maximum(-np.logaddexp(0.0, excess), -MOST_FOR_GAP)
    return list(zip(part.tolist(), join.tolist(), strict=True))
