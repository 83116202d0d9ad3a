"""Parts the ink of a paragraph into rows of writing."""

from collections.abc import Iterator
from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from segmentation.fields import FieldInk
from segmentation.templates import Box

MIN_LETTER = 20.0  # pixels at 300 dpi: what is lower is a dot or a dash and goes to the nearest row
SPARSE_ROW = 0.1  # a row needs this part of the ink width of the fullest one
ROW_DISTANCE = 0.9  # between two rows at least, in heights of a typical letter
ASCENT = 1.6  # height of a row's writing area in heights of its typical letters


def split_rows(ink: FieldInk) -> Iterator[FieldInk]:
    """Yields each row from top to bottom, with its own writing area.

    Components as high as letters vote for the rows by the middle of their height; every component then goes
    to the nearest row as a whole, so that descenders and ascenders stay with their letters.
    """
    _, tops, widths, heights = ink.parts.boxes.T.astype(np.float64)
    letters = heights >= MIN_LETTER
    if not letters.any():
        return
    typical = float(np.median(heights[letters]))
    middles = tops + heights / 2
    voters = letters & (heights <= 2.2 * typical)
    levels = _row_levels(middles[voters], widths[voters], typical)
    row_of = np.argmin(np.abs(middles[:, None] - levels[None, :]), axis=1)
    for row, level in enumerate(levels):
        own = row_of == row
        if (own & letters).any():
            height = ASCENT * typical
            area = Box(ink.area.x, level - height / 2, ink.area.width, height)
            yield replace(ink, area=area).only(own)


def _row_levels(
    middles: NDArray[np.float64], weights: NDArray[np.float64], typical: float
) -> NDArray[np.float64]:
    """Peaks of the smoothed histogram of letter middles, a letter's height apart, from top to bottom."""
    sigma = max(2.0, 0.35 * typical)
    reach = round(3 * sigma)
    kernel = np.exp(-0.5 * (np.arange(-reach, reach + 1) / sigma) ** 2)
    # The full convolution leaves room around the first and the last row, so that they are peaks too.
    density = np.convolve(np.bincount(middles.astype(np.intp), weights), kernel, "full")
    peaks = np.flatnonzero((density[1:-1] > density[:-2]) & (density[1:-1] >= density[2:])) + 1
    kept: list[int] = []
    for peak in sorted(peaks, key=lambda position: -density[position]):
        far = all(abs(peak - other) >= ROW_DISTANCE * typical for other in kept)
        if far and density[peak] >= SPARSE_ROW * density.max():
            kept.append(int(peak))
    return np.array(sorted(kept), np.float64) - reach
