"""Characters that their data set has spoilt: a stroke is lost, or the picture is rolled over its edge.

Both are found by the recording and its label alone; no reader is asked. What a person can read stays,
however badly it is read.
"""

import numpy as np
from numpy.typing import NDArray

from model.alphabets import CHARACTERS
from model.datasets import Strokes

# What may be one straight line; of i and j the dot may be lost, as on many forms.
LINES = "1Iijl"
# A pen that goes at most so much farther than from its first to its last point has gone straight.
STRAIGHT = 1.05


def stroke_lost(strokes: Strokes) -> NDArray[np.bool_]:
    """Which characters are one straight stroke though their label cannot be: bool (N,).

    In UNIPEN these are mostly of one donor (``ibm``): the bar of a T or the stroke through a 0, alone.
    """
    points = strokes.points.astype(np.float64)
    steps = np.append(0.0, np.hypot(*np.diff(points, axis=0).T))
    steps[strokes.stroke_offsets[:-1]] = 0.0
    way = np.append(0.0, np.cumsum(steps))
    single = np.diff(strokes.offsets) == 1
    first = strokes.stroke_offsets[strokes.offsets[:-1]]
    last = strokes.stroke_offsets[strokes.offsets[:-1] + 1] - 1
    distance = np.hypot(*(points[last] - points[first]).T)
    may_be_line = np.isin(strokes.labels, [CHARACTERS.index(label) for label in LINES])
    return single & ~may_be_line & (way[last + 1] - way[first] <= STRAIGHT * distance)


def rolled_back(images: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """Pictures, of which those that were rolled over their right edge are put together again.

    A character that reaches both the left and the right edge, with empty columns in between, has been
    shifted so that its right end came in again on the left: of the SD19 digits some two in a hundred, most of
    them a 6 whose bowl is torn apart.

    Args:
        images: uint8 (N, h, w), ink > 0.

    Returns:
        uint8 (N, h, w): rolled so that the widest run of empty columns is at the edge.
    """
    inked: NDArray[np.bool_] = np.any(images > 0, axis=1)
    torn = inked[:, 0] & inked[:, -1] & ~np.all(inked, axis=1)
    mended = images.copy()
    for row in np.flatnonzero(torn):
        mended[row] = np.roll(images[row], -_end_of_widest_gap(inked[row]), axis=1)
    return mended


def _end_of_widest_gap(inked: NDArray[np.bool_]) -> int:
    """The column after the widest run of empty ones, of bool (w,) that begins and ends with ink."""
    edges = np.flatnonzero(np.diff(inked.astype(np.int8)))
    starts, stops = edges[::2] + 1, edges[1::2] + 1
    return int(stops[(stops - starts).argmax()])
