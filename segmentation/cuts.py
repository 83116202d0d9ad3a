"""Where connected strokes of a row of writing may have to be cut: stroke width, slant, thin or low places."""

import cv2
import numpy as np
from numpy.typing import NDArray

MAX_SLANT = 0.6  # horizontal over vertical
CUT_DISTANCE = 0.11  # between two cuts, in heights of the writing area
NECK = 1.7  # ink across a cut in stroke widths at most, where the writing is thin there
LOW = 0.92  # of a component's usual reach from top to bottom: where it is lower there may be a neck
MIN_CUTS = 7  # that a component may have at most, however narrow it is
CUTS_PER_HEIGHT = 4.0  # the same for each height of the writing area that it is wide: about two a character
MAX_CUTS = 50  # however wide
_SLANT_POINTS = 4000


def stroke_width(ink: NDArray[np.bool_]) -> float:
    """Mean width of the strokes in pixels: four times the mean distance of ink to paper, as in a band."""
    # Beyond the raster is paper, or a stroke that fills a tight raster would have none beside it.
    framed = np.pad(ink.view(np.uint8), 1)
    inside = cv2.distanceTransform(framed, cv2.DIST_L2, 3)[1:-1, 1:-1][ink]
    return float(max(2.0, 4 * inside.mean() - 1)) if len(inside) else 2.0


def estimate_slant(xs: NDArray[np.intp], ys: NDArray[np.intp]) -> float:
    """Horizontal shift a row that makes the writing upright, within ``MAX_SLANT``.

    The right slant gives the most peaked histogram over columns. Positive for writing that leans right.
    Source: A. Vinciarelli, J. Luettin, "A new normalization technique for cursive handwritten words", 2001
    (the same idea, with peaks of whole strokes).
    """
    if len(xs) > _SLANT_POINTS:
        step = len(xs) // _SLANT_POINTS + 1
        xs, ys = xs[::step], ys[::step]
    offsets = ys - ys.mean()
    best, best_score = 0.0, -1.0
    for slant in np.linspace(-MAX_SLANT, MAX_SLANT, 25):
        columns = (xs + slant * offsets).astype(np.intp)
        histogram = np.bincount(columns - columns.min())
        # Ties and near ties go to upright writing.
        score = float((histogram.astype(np.float64) ** 2).sum()) * (1 - 0.1 * abs(slant))
        if score > best_score:
            best, best_score = float(slant), score
    return best


def find_cuts(
    along: NDArray[np.intp], ys: NDArray[np.intp], stroke: float, height: float
) -> NDArray[np.float64]:
    """Places where a component may be two characters.

    Args:
        along: int (N,) columns of the component's pixels, slant taken out.
        ys: int (N,) their rows, in increasing order.
        stroke: stroke width in pixels.
        height: height of the writing area in pixels.

    Returns:
        float (C,) increasing columns, each between two pixels, to cut at; as many at most as fit its width.
    """
    origin = along.min()
    columns = along - origin
    width = int(columns.max()) + 1
    margin = max(2, round(stroke))
    if width <= 2 * margin:
        return np.zeros(0)
    counts = np.bincount(columns, minlength=width)
    top, bottom = np.zeros(width, np.intp), np.zeros(width, np.intp)
    # The last value written to a place stays: the lowest row, and the other way round the highest.
    bottom[columns] = ys
    top[columns[::-1]] = ys[::-1]
    reach = np.where(counts > 0, bottom - top + 1, 0)
    smooth = np.ones(3) / 3
    ink, reach = np.convolve(counts, smooth, "same"), np.convolve(reach, smooth, "same")
    # A cut is cheap where little ink crosses it, and where the writing is low there: at the neck of two
    # touching round characters much ink stands in a column, but the column is short.
    candidates: list[tuple[float, int]] = []
    for profile, limit in ((ink, NECK * stroke), (reach, LOW * _ninth_decile(reach))):
        for column in _valleys(profile, margin, limit, 0.4 * stroke):
            cost = min(ink[column] / stroke, 1 + 2 * reach[column] / height)
            candidates.append((cost, column))
    chosen: list[int] = []
    distance = max(CUT_DISTANCE * height, margin)
    most = min(max(MIN_CUTS, round(CUTS_PER_HEIGHT * width / height)), MAX_CUTS)
    for _, column in sorted(candidates):
        if all(abs(column - other) >= distance for other in chosen):
            chosen.append(column)
        if len(chosen) == most:
            break
    return np.sort(np.array(chosen, np.float64)) + origin + 0.5


def _ninth_decile(values: NDArray[np.float64]) -> float:
    """What ``np.percentile(values, 90)`` returns, in a tenth of its time."""
    place = 0.9 * (len(values) - 1)
    index = int(place)
    low, high = np.sort(values)[[index, min(index + 1, len(values) - 1)]]
    return float(high - (high - low) * (1 - (place - index)))


def _valleys(profile: NDArray[np.float64], margin: int, limit: float, depth: float) -> list[int]:
    """Middles of the local minima not above ``limit`` with walls of at least ``depth`` on both sides.

    Neither the minimum nor the middle lies within ``margin`` of an end.
    """
    found: list[int] = []
    last = len(profile) - margin
    inner = profile[margin:last]
    falls = np.flatnonzero((inner < profile[margin - 1 : last - 1]) & (inner <= limit)) + margin
    if not len(falls):
        return found
    highest_before = np.maximum.accumulate(profile).tolist()
    highest_after = np.maximum.accumulate(profile[::-1])[::-1].tolist()
    values = profile.tolist()
    for column in falls.tolist():
        low, end = values[column], column
        while end + 1 < last and values[end + 1] == low:
            end += 1
        if values[end + 1] > low and min(highest_before[column - 1], highest_after[end + 1]) - low >= depth:
            found.append((column + end) // 2)
    return found
