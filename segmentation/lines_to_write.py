"""Finds the printed lines to write on that no box encloses, "Name: ________", and the room above them.

Forms have other lines too. One to write on has its caption before it or below it, or is one of several of the
same length below each other; one that underlines print or parts a page is left out.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from segmentation.printed_boxes import PrintedBox
from segmentation.printed_lines import LEAN, PrintedPage, find_lines, inked_share, is_inked

# Lengths in inches, so that pages of any resolution are treated alike.
SHORTEST = 0.6  # of a line to write on
SOLID = 0.95  # share of such a line that is ink
CLEAR = 0.03  # beside a line, in which its own ink is
ROOM = 0.34  # above a line that is its field, at most
LEAST_ROOM = 0.16  # the same at least
BELOW = 0.05  # below a line that is its field: the line lies in it, and so do descenders
PRINTED = 0.3  # share of a line with ink just above it, from which on it underlines print
CAPTION_GAP = 0.6  # between a caption and the line that it stands before
CAPTION_BELOW = 0.16  # below a line, in which its caption may stand
CAPTION_SHARE = 0.7  # of a line that a caption below it takes, at most
ALONG_PAGE = 0.7  # share of the page's width from which on a line without a caption before it parts the page
ROW = 0.5  # between two rows of ruled paper, at most
MANY = 3  # lines of ruled paper, at least
ALIKE = 0.06  # by which the ends of lines below each other may differ
NEAR = 0.05  # of a line and the side of a box, if it is that


@dataclass(frozen=True, slots=True)
class _Line:
    level: float
    start: float
    stop: float


def find_lines_to_write(page: PrintedPage, boxes: Sequence[PrintedBox]) -> list[PrintedBox]:
    """The room above lines to write on, as ``open`` boxes.

    Args:
        page: the page.
        boxes: that were found on it; their sides, and lines inside them, are left out.
    """
    lines = [_Line(*line) for line in find_lines(page.across, page.dpi)]
    lines = [line for line in lines if _is_free(line, boxes, page) and _has_room(line, page)]
    meant = [line for line in lines if _has_caption(line, page) or _is_ruled_paper(line, lines, page.dpi)]
    kept = [line for line in lines if any(_are_alike(line, other, page.dpi) for other in meant)]
    return [_room(line, page) for line in kept]


def _is_free(line: _Line, boxes: Sequence[PrintedBox], page: PrintedPage) -> bool:
    """Whether a line is long enough, drawn all along, and neither a side of a box nor inside one."""
    near = NEAR * page.dpi
    if line.stop - line.start < SHORTEST * page.dpi:
        return False
    if not is_inked(page.across, line.level, line.start, line.stop, page.dpi):
        return False
    reach = max(1, round(CLEAR / 3 * page.dpi + LEAN * (line.stop - line.start)))
    if inked_share(page.ink, line.level, line.start, line.stop, reach) < SOLID:
        return False  # dashes and the feet of letters between them, or print
    middle = (line.start + line.stop) / 2
    return not any(
        box.left - near <= middle <= box.right + near and box.top - near <= line.level <= box.bottom + near
        for box in boxes
    ) and not _is_crossed(line, page)


def _is_crossed(line: _Line, page: PrintedPage) -> bool:
    """Whether an upright stands on either end of a line, as in a table or an open box."""
    reach = round(CLEAR * page.dpi)
    rows = slice(max(0, round(line.level) - 4 * reach), max(0, round(line.level) - reach))
    return any(
        bool(page.down[rows, max(0, round(x) - reach) : round(x) + reach + 1].any(axis=1).all())
        for x in (line.start, line.stop)
    )


def _ink_above(line: _Line, page: PrintedPage, reach: float) -> NDArray[np.bool_]:
    """The ink above a line, bool (H, W), the row next to it first."""
    last = max(0, round(line.level - CLEAR * page.dpi))
    first = max(0, round(line.level - reach * page.dpi))
    return page.ink[first:last, round(line.start) : round(line.stop) + 1][::-1]


def _has_room(line: _Line, page: PrintedPage) -> bool:
    """Whether one can write above a line: it does not underline print, nor lie right under another."""
    above = _ink_above(line, page, LEAST_ROOM)
    return above.size > 0 and float(above.any(axis=0).mean()) < PRINTED


def _has_caption(line: _Line, page: PrintedPage) -> bool:
    """Whether print stands before a line or, over a part of it, below it."""
    gap, clear = round(CAPTION_GAP * page.dpi), round(CLEAR * page.dpi)
    level, start, stop = round(line.level), round(line.start), round(line.stop)
    rows = slice(max(0, level - round(LEAST_ROOM * page.dpi)), level - clear)
    before = page.ink[rows, max(0, start - gap) : max(0, start - clear // 2)]
    if before.any(axis=1).sum() >= clear:
        return True
    if line.stop - line.start >= ALONG_PAGE * page.ink.shape[1]:
        return False
    below = page.ink[level + clear : level + round(CAPTION_BELOW * page.dpi), start : stop + 1]
    columns = np.flatnonzero(below.any(axis=0))
    return len(columns) > clear and float(np.ptp(columns)) <= CAPTION_SHARE * (stop - start)


def _is_ruled_paper(line: _Line, lines: Sequence[_Line], dpi: float) -> bool:
    """Whether a line is one of three or more below each other, as close as rows of writing."""
    levels = sorted(other.level for other in lines if _are_alike(line, other, dpi))
    near = [level for level in levels if abs(level - line.level) <= ROW * dpi]
    return len(levels) >= MANY and len(near) >= 2


def _are_alike(line: _Line, other: _Line, dpi: float) -> bool:
    """Whether lines begin and end at the same place: they go on with each other, or are one."""
    return max(abs(line.start - other.start), abs(line.stop - other.stop)) <= ALIKE * dpi


def _room(line: _Line, page: PrintedPage) -> PrintedBox:
    """The box above a line, up to the print above it."""
    above = _ink_above(line, page, ROOM)
    empty = above.mean(axis=1) <= 0.5 / max(1, above.shape[1]) * CLEAR * page.dpi
    printed = np.flatnonzero(~empty)
    clear = CLEAR * page.dpi
    room = clear + (float(printed[0]) - clear if len(printed) else float(len(empty)))
    room = max(room, LEAST_ROOM * page.dpi)
    return PrintedBox(line.start, line.level - room, line.stop, line.level + BELOW * page.dpi, open=True)
