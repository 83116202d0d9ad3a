"""Joins boxes that stand close to each other in a row, alike and equally far apart, to one row of cells."""

from collections.abc import Sequence
from dataclasses import replace
from itertools import pairwise

import numpy as np

from segmentation.printed_boxes import MIN_CELL, PrintedBox

# Lengths in inches, so that pages of any resolution are treated alike.
LARGEST = 0.6  # side of a cell
CLOSE = 0.55  # of a cell's width, that cells are apart at most
LOW = 0.18  # height of boxes, up to which they are rather boxes to tick ...
CLOSER = 0.3  # ... unless they are so close that no caption finds room between them, and three or more
LEVEL = 0.02  # by which tops and bottoms, and distances, may differ
SAME = 0.12  # of a cell's width, by which widths may differ


def join_cells(boxes: Sequence[PrintedBox], dpi: float) -> list[PrintedBox]:
    """The boxes, of which those that are cells of one row are one with ``dividers`` and a ``gap``."""
    single = [box for box in boxes if _may_be_cell(box, dpi)]
    joined = [box for box in boxes if not _may_be_cell(box, dpi)]
    left = sorted(single, key=lambda box: box.left)
    while left:
        row = [left.pop(0)]
        while (after := _next(row, left, dpi)) is not None:
            left.remove(after)
            row.append(after)
        joined += [_joined(row)] if _are_cells(row, dpi) else row
    return joined


def _may_be_cell(box: PrintedBox, dpi: float) -> bool:
    if box.dividers or box.ring or box.height < MIN_CELL * dpi:
        return False
    return max(box.width, box.height) <= LARGEST * dpi and 0.5 <= box.width / box.height <= 2


def _next(row: Sequence[PrintedBox], others: Sequence[PrintedBox], dpi: float) -> PrintedBox | None:
    """The box that goes on with a row of cells, given others from left to right."""
    last = row[-1]
    for box in others:
        gap = box.left - last.right
        level = max(abs(box.top - last.top), abs(box.bottom - last.bottom)) <= LEVEL * dpi
        same = abs(box.width - last.width) <= SAME * last.width
        even = len(row) < 2 or abs(gap - (last.left - row[-2].right)) <= LEVEL * dpi
        close = (CLOSE if last.height > LOW * dpi else CLOSER) * last.width
        if 0 < gap <= close and level and same and even:
            return box
    return None


def _are_cells(row: Sequence[PrintedBox], dpi: float) -> bool:
    return len(row) > 2 or (len(row) == 2 and row[0].height > LOW * dpi)


def _joined(row: Sequence[PrintedBox]) -> PrintedBox:
    """One box around the cells of a row."""
    dividers = tuple((a.right + b.left) / 2 for a, b in pairwise(row))
    return replace(
        row[0],
        top=float(np.mean([box.top for box in row])),
        right=row[-1].right,
        bottom=float(np.mean([box.bottom for box in row])),
        dividers=dividers,
        gap=float(np.mean([b.left - a.right for a, b in pairwise(row)])),
        radius=float(np.median([box.radius for box in row])),
    )
