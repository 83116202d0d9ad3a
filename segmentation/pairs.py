"""Bodies of ink that may be two digits in one, and their crops for the reader of pairs.

Two digits that share ink have no cut between them that is right, so they are read as a whole. Reading digits
that touch without cutting them: A. G. Hochuli, L. S. Oliveira, A. S. Britto Jr, R. Sabourin, "Handwritten
digit segmentation: Is it still necessary?", Pattern Recognition 78 (2018).
"""

from collections.abc import Iterable

import cv2
import numpy as np
from numpy.typing import NDArray

from segmentation.components import Components
from segmentation.glyphs import usual_height
from segmentation.pieces import Pieces

PAIR_HEIGHT, PAIR_WIDTH = 28, 44
# The ink is scaled to fit in here; what is left is a margin all around, as in the crops of single characters.
INK_HEIGHT, INK_WIDTH = 24, 40
# Widths of what may be two digits, in usual heights of the row's pieces. A body that is wider than two digits
# usually are may be three or more, so runs within it are looked at too.
LEAST_WIDTH, MOST_WIDTH, WIDE = 0.5, 2.4, 1.4
MOST_PIECES = 10  # of two digits


def find_bodies(pieces: Pieces, parts: Components) -> NDArray[np.int32]:
    """The runs of pieces that no white parts: the pieces of one component, and of all that mingle with it.

    Pieces are ordered by their middles, so where two components reach over each other, pieces of one may
    stand among those of the other; then both are one body. So are specks and loose strokes with what they
    belong to.

    Args:
        pieces: a row as ``cut_pieces`` gives it.
        parts: the components that were cut, in the same raster.

    Returns:
        int32 (B, 2) first and past-last piece, left to right; together they cover every piece once.
    """
    count = len(pieces.areas)
    if not count:
        return np.zeros((0, 2), np.int32)
    inked = np.flatnonzero(pieces.labels > 0)  # of whole numbers it would take six times as long
    piece = pieces.labels.ravel()[inked].astype(np.intp) - 1
    component = parts.labels.ravel()[inked].astype(np.intp)
    # The last piece of each component, seen from its first one.
    first = np.full(len(parts) + 1, count, np.intp)
    last = np.full(len(parts) + 1, -1, np.intp)
    meet = np.zeros(len(first) * count, bool)
    meet[component * count + piece] = True
    joint = np.flatnonzero(meet)
    np.minimum.at(first, joint // count, joint % count)
    np.maximum.at(last, joint // count, joint % count)
    seen = last >= 0
    reach = np.arange(count)
    np.maximum.at(reach, first[seen], last[seen])
    starts = np.flatnonzero(np.concatenate([[True], np.maximum.accumulate(reach)[:-1] < np.arange(1, count)]))
    return np.column_stack([starts, np.append(starts[1:], count)]).astype(np.int32)


def pair_windows(pieces: Pieces, bodies: NDArray[np.integer]) -> NDArray[np.int32]:
    """The runs of pieces that may be two digits: whole bodies, and of wide ones all runs within.

    Args:
        pieces: a row as ``cut_pieces`` gives it.
        bodies: int (B, 2) as ``find_bodies`` gives them, or those of them that are worth it.

    Returns:
        int32 (W, 2) first and past-last piece, at least two pieces each, in order of bodies.
    """
    usual = usual_height(pieces)
    lefts, rights = pieces.boxes[:, 0].tolist(), (pieces.boxes[:, 0] + pieces.boxes[:, 2]).tolist()
    windows: list[tuple[int, int]] = []
    for first, last in bodies.tolist():
        if max(rights[first:last]) - min(lefts[first:last]) < WIDE * usual:
            runs = [(first, last)]
        else:
            runs = [
                (i, j) for i in range(first, last - 1) for j in range(i + 2, min(i + MOST_PIECES, last) + 1)
            ]
        for start, stop in runs:
            width = max(rights[start:stop]) - min(lefts[start:stop])
            if stop - start > 1 and LEAST_WIDTH * usual <= width <= MOST_WIDTH * usual:
                windows.append((start, stop))
    return np.array(windows, np.int32).reshape(-1, 2)


def pair_crops(pieces: Pieces, bodies: NDArray[np.integer]) -> NDArray[np.uint8]:
    """Crops of the ink of runs of pieces.

    Args:
        pieces: a row as ``cut_pieces`` gives it.
        bodies: int (B, 2) first and past-last piece.

    Returns:
        uint8 (B, 28, 44), see ``normalize_pair``.
    """
    return stack_pairs(body_mask(pieces, start, stop) for start, stop in bodies.tolist())


def body_mask(pieces: Pieces, start: int, stop: int) -> NDArray[np.uint8]:
    """The ink of a run of pieces on the tight raster around it: uint8 (H, W), 0 or 255."""
    corners, sizes = pieces.boxes[start:stop, :2], pieces.boxes[start:stop, 2:]
    left, top = corners.min(axis=0).tolist()
    right, bottom = (corners + sizes).max(axis=0).tolist()
    mask: NDArray[np.uint8] = cv2.inRange(pieces.labels[top:bottom, left:right], start + 1, stop)
    return mask


def stack_pairs(inks: Iterable[NDArray[np.uint8]]) -> NDArray[np.uint8]:
    """``normalize_pair`` of many inks: uint8 (N, 28, 44); N may be 0."""
    crops = [normalize_pair(ink) for ink in inks]
    return np.array(crops, np.uint8).reshape(-1, PAIR_HEIGHT, PAIR_WIDTH)


def normalize_pair(ink: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """Scales the ink to fit in 24x40, keeping its aspect, and centres its box in a crop of 28x44.

    The same function makes training and serving crops.

    Args:
        ink: uint8 (H, W), ink > 0 (255 = full ink) on 0. It may have empty margins.

    Returns:
        uint8 (28, 44), ink up to 255 on 0, anti-aliased; all zero if there is no ink.
    """
    crop = np.zeros((PAIR_HEIGHT, PAIR_WIDTH), np.uint8)
    rows, columns = np.flatnonzero(ink.any(axis=1)), np.flatnonzero(ink.any(axis=0))
    if not len(rows):
        return crop
    tight = np.ascontiguousarray(ink[rows[0] : rows[-1] + 1, columns[0] : columns[-1] + 1])
    height, width = tight.shape
    scale = min(INK_HEIGHT / height, INK_WIDTH / width)
    width, height = max(1, round(width * scale)), max(1, round(height * scale))
    method = cv2.INTER_AREA if scale < 1 else cv2.INTER_LINEAR
    top, left = (PAIR_HEIGHT - height) // 2, (PAIR_WIDTH - width) // 2
    crop[top : top + height, left : left + width] = cv2.resize(tight, (width, height), interpolation=method)
    return crop
