"""Parts the ink of a paragraph into rows of writing."""

from collections.abc import Iterator

import cv2
import numpy as np
from numpy.typing import NDArray

from segmentation.fields import FieldInk
from segmentation.templates import Box

MIN_LETTER = 20.0  # pixels at 300 dpi: what is lower is a dot or a dash and goes to the nearest row
SMALL_ROW = 0.35  # rows lower than this part of the typical row are joined to a neighbour
ASCENT = 1.6  # height of a row's writing area in heights of its typical letters


def split_rows(ink: FieldInk, dpi: float) -> Iterator[FieldInk]:
    """Yields each row from top to bottom, with its own writing area.

    Components as high as letters vote for the rows by the middle of their height; every component then goes to
    the nearest row as a whole, so that descenders and ascenders stay with their letters.
    """
    count, labels, stats, _ = cv2.connectedComponentsWithStats(ink.ink.astype(np.uint8), connectivity=8)
    if count == 1:
        return
    heights = stats[:, 3].astype(np.float64)
    heights[0] = 0
    letters = heights >= MIN_LETTER * dpi / 300
    if not letters.any():
        return
    typical = float(np.median(heights[letters]))
    middles = stats[:, 1] + heights / 2
    voters = letters & (heights <= 2.2 * typical)
    centers = _row_centers(middles[voters], stats[voters, 2].astype(np.float64), typical, ink.ink.shape[0])
    row_of = np.argmin(np.abs(middles[:, None] - centers[None, :]), axis=1)
    row_of[0] = -1
    for row, center in enumerate(centers):
        own = row_of == row
        if (own & letters).any():
            height = ASCENT * typical
            first, last = stats[own, 1].min(), (stats[own, 1] + stats[own, 3]).max()
            area = Box(ink.area.x, center - height / 2 - first, ink.area.width, height)
            shift = np.array([[1, 0, 0], [0, 1, first], [0, 0, 1]], np.float64)
            yield FieldInk(own[labels[first:last]], area, ink.to_page @ shift)


def _row_centers(
    middles: NDArray[np.float64], weights: NDArray[np.float64], typical: float, height: int
) -> NDArray[np.float64]:
    """Peaks of the smoothed histogram of letter middles, at least a letter's height apart."""
    histogram = np.bincount(middles.astype(np.intp), weights, minlength=height)
    sigma = max(2.0, 0.35 * typical)
    reach = round(3 * sigma)
    kernel = np.exp(-0.5 * (np.arange(-reach, reach + 1) / sigma) ** 2)
    density = np.convolve(histogram, kernel, "same")
    peaks = np.flatnonzero((density[1:-1] > density[:-2]) & (density[1:-1] >= density[2:])) + 1
    kept: list[int] = []
    for peak in sorted(peaks, key=lambda position: -density[position]):
        far = all(abs(peak - other) >= 0.9 * typical for other in kept)
        if far and density[peak] >= SMALL_ROW * 0.3 * density.max():
            kept.append(int(peak))
    return np.array(sorted(kept) or [float(np.median(middles))], np.float64)
