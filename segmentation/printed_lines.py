"""The printed lines of a page, whatever form it is: the page turned upright, and its long runs of ink."""

from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

from segmentation.registration import WORK_DPI, find_rules

Mask = NDArray[np.bool_]

# Lengths in inches, so that pages of any resolution are treated alike.
MIN_RUN = 0.08  # of ink that may be a piece of a rule: longer than the strokes of small print
MAX_THICKNESS = 0.05  # of a rule
GAP = 0.025  # in a broken rule that is closed before runs are looked for
DOUBLE = 0.012  # between two lines that are taken for one
PALEST = 18  # grey values by which the palest rule is darker than the paper around it
FLANK = 0.45  # of the darkness of a line, below which a pixel beside it is not its ink
COVERAGE = 0.8  # share of each side that must be inked
LEAN = 0.004  # across over along, by which a line may lie off the direction of the page
MIN_SKEW = 0.02  # degrees that are worth turning a page for


@dataclass(frozen=True, slots=True)
class PrintedPage:
    """An upright page and its printed lines.

    Attributes:
        gray: uint8 (H, W), 0 = black, turned so that its rules lie along the rows and columns.
        ink: bool (H, W), what is darker than the paper around it.
        across: bool (H, W), runs of ink along the rows.
        down: bool (H, W), runs of ink along the columns.
        dpi: pixels an inch.
        skew: degrees by which the page was turned back, positive if it lay clockwise.
    """

    gray: NDArray[np.uint8]
    ink: Mask
    across: Mask
    down: Mask
    dpi: float
    skew: float


def straighten(gray: NDArray[np.uint8], dpi: float) -> PrintedPage:
    """Turns a page upright by the median slope of its rules, and finds its runs of ink.

    Args:
        gray: uint8 (H, W), 0 = black, origin top left, skewed by up to 8 degrees.
        dpi: its resolution.
    """
    upright, skew = np.ascontiguousarray(gray), 0.0
    for _ in range(2):  # the slope of much tilted rules is underrated at first
        left = _slope(upright, dpi)
        if abs(left) <= MIN_SKEW:
            break
        skew += left
        upright = _turned(gray, skew)
    ink = _ink(upright, dpi)
    lines = ink & ~_solid(ink, dpi)
    return PrintedPage(upright, ink, _runs(lines, dpi), _runs(lines.T, dpi).T, dpi, skew)


def _slope(gray: NDArray[np.uint8], dpi: float) -> float:
    """Degrees by which the rules of a page lie clockwise of its rows and columns."""
    horizontal, vertical = find_rules(gray, WORK_DPI / dpi)
    across, down = horizontal.lengths.sum(), vertical.lengths.sum()
    rise = (horizontal.slope * across - vertical.slope * down) / max(across + down, 1e-9)
    return float(np.degrees(np.arctan(rise)))


def _turned(gray: NDArray[np.uint8], degrees: float) -> NDArray[np.uint8]:
    """The page turned back about its middle, on paper of its size and tone."""
    height, width = gray.shape
    turn = cv2.getRotationMatrix2D(((width - 1) / 2, (height - 1) / 2), degrees, 1.0)
    paper = float(np.percentile(gray[::8, ::8], 90))
    return cv2.warpAffine(gray, turn, (width, height), flags=cv2.INTER_LINEAR, borderValue=paper)


def find_lines(runs: Mask, dpi: float) -> list[tuple[float, float, float]]:
    """Joins thin straight runs to lines.

    Args:
        runs: bool (H, W) along the rows; the transpose of runs along the columns will do.
        dpi: pixels an inch.

    Returns:
        Lines as (level, start, stop) in pixels, from top to bottom.
    """
    count, _, stats, centers = cv2.connectedComponentsWithStats(runs.astype(np.uint8), connectivity=8)
    pieces = [
        (float(centers[i, 1]), float(stats[i, 0]), float(stats[i, 0] + stats[i, 2]))
        for i in range(1, count)
        if stats[i, 4] <= MAX_THICKNESS * dpi * stats[i, 2] and stats[i, 3] <= 0.1 * dpi
    ]
    lines: list[list[tuple[float, float, float]]] = []
    for piece in sorted(pieces):
        for line in reversed(lines[-40:]):
            middle = float(np.mean([level for level, _, _ in line]))
            if piece[0] - middle <= DOUBLE * dpi and _near(piece, line, 0.3 * dpi):
                line.append(piece)
                break
        else:
            lines.append([piece])
    return sorted(
        (
            float(np.average([p[0] for p in line], weights=[p[2] - p[1] for p in line])),
            min(p[1] for p in line),
            max(p[2] for p in line),
        )
        for line in lines
    )


def _near(piece: tuple[float, float, float], line: list[tuple[float, float, float]], gap: float) -> bool:
    start, stop = min(p[1] for p in line), max(p[2] for p in line)
    return piece[1] <= stop + gap and piece[2] >= start - gap


def is_inked(runs: Mask, level: float, start: float, stop: float, dpi: float) -> bool:
    """Whether enough of a line along the rows is inked; a long one may lean a little."""
    reach = max(1, round(0.006 * dpi + LEAN * (stop - start)))
    return inked_share(runs, level, start, stop, reach) >= COVERAGE


def inked_share(mask: Mask, level: float, start: float, stop: float, reach: int) -> float:
    """Share of the columns from ``start`` to ``stop`` that are inked within ``reach`` of a row, 0..1."""
    middle = round(level)
    band = mask[max(0, middle - reach) : middle + reach + 1, round(start) : round(stop) + 1]
    return float(band.any(axis=0).mean()) if band.size else 0.0


def line_middle(runs: Mask, level: float, start: float, stop: float, dpi: float) -> float:
    """The mean row of the ink of a line near ``level``."""
    reach = max(2, round(DOUBLE * dpi))
    first = max(0, round(level) - reach)
    counts = runs[first : round(level) + reach + 1, round(start) : round(stop) + 1].sum(axis=1)
    rows = first + np.arange(len(counts))
    return float((counts * rows).sum() / counts.sum()) if counts.any() else level


def _ink(gray: NDArray[np.uint8], dpi: float) -> Mask:
    """What is darker than the paper around it, by an amount that pale rules reach and noise does not."""
    size = max(3, round(0.12 * dpi)) | 1
    paper = cv2.medianBlur(cv2.morphologyEx(gray, cv2.MORPH_CLOSE, np.ones((size, size), np.uint8)), 5)
    darker = cv2.subtract(paper, gray)
    noise = 1.48 * float(np.median(darker[::4, ::4]))
    # The blurred flanks of one line may not join it to the next.
    near = max(3, round(0.02 * dpi)) | 1
    darkest = cv2.dilate(darker, np.ones((near, near), np.uint8))
    return (darker > max(PALEST, 4 * noise)) & (darker >= FLANK * darkest)


def _solid(ink: Mask, dpi: float) -> Mask:
    """Areas of ink that are thicker than any rule: photographs, black edges, bars."""
    size = max(3, round(MAX_THICKNESS * dpi))
    core = cv2.erode(ink.astype(np.uint8), np.ones((size, size), np.uint8))
    return cv2.dilate(core, np.ones((size + 4, size + 4), np.uint8)) > 0


def _runs(ink: Mask, dpi: float) -> Mask:
    """Runs along the rows; short gaps are closed."""
    closed = cv2.morphologyEx(
        ink.astype(np.uint8), cv2.MORPH_CLOSE, np.ones((1, max(3, round(GAP * dpi))), np.uint8)
    )
    return cv2.morphologyEx(closed, cv2.MORPH_OPEN, np.ones((1, max(8, round(MIN_RUN * dpi))), np.uint8)) > 0
