"""Finds the closed rectangles that are printed on a page, whatever form it is.

Long straight runs of ink propose levels; a rectangle stands where a top and a bottom are joined by two
uprights and enough of each side is inked. A rule may be broken, pale, doubled, or crossed by writing.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from itertools import pairwise

import cv2
import numpy as np
from numpy.typing import NDArray

from segmentation.registration import WORK_DPI, find_rules

Floats = NDArray[np.float64]
Mask = NDArray[np.bool_]

# Lengths in inches, so that pages of any resolution are treated alike.
MIN_SIDE = 0.1  # of a rectangle: the smallest tick boxes
MIN_RUN = 0.08  # of ink that may be a piece of a rule: longer than the strokes of small print
MAX_THICKNESS = 0.05  # of a rule
GAP = 0.025  # in a broken rule that is closed before runs are looked for
DOUBLE = 0.012  # between two lines that are taken for one
PALEST = 18  # grey values by which the palest rule is darker than the paper around it
FLANK = 0.45  # of the darkness of a line, below which a pixel beside it is not its ink
COVERAGE = 0.8  # share of each side that must be inked
LEAN = 0.004  # across over along, by which a line may lie off the direction of the page
MIN_SKEW = 0.02  # degrees that are worth turning a page for
MEET = 0.03  # by which an upright may miss the rules it should meet
LETTER_SIDE = 0.35  # of a rectangle that may be a printed letter
LETTER_COVERAGE = 0.93  # share of each side of so small a rectangle that must be inked
LINE_COVERAGE = 0.75  # the same of a larger one, before gaps are closed
MIN_CELL = 0.14  # height of a row of cells
MAX_CHAIN_COST = 0.5  # a cell, of the dividers of a row of cells; see _chain


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


@dataclass(frozen=True, slots=True)
class PrintedBox:
    """A printed rectangle: the middles of its four lines and of the lines between its cells, in pixels."""

    left: float
    top: float
    right: float
    bottom: float
    dividers: tuple[float, ...] = ()

    @property
    def width(self) -> float:
        """From the middle of the left line to that of the right one."""
        return self.right - self.left

    @property
    def height(self) -> float:
        """From the middle of the upper line to that of the lower one."""
        return self.bottom - self.top

    def within(self, other: "PrintedBox", slack: float) -> bool:
        """Whether this box lies inside another, up to ``slack`` pixels."""
        return (
            self.left >= other.left - slack
            and self.right <= other.right + slack
            and self.top >= other.top - slack
            and self.bottom <= other.bottom + slack
        )


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


def find_boxes(page: PrintedPage) -> list[PrintedBox]:
    """Finds the rectangles of a page that no printed line divides further; a row of equal cells is one box.

    A frame around other boxes is found too. Of two rectangles that nearly coincide, the inner one is kept.
    """
    rules = _levels(page.across, page.dpi)
    uprights = _levels(page.down.T, page.dpi)
    found: list[PrintedBox] = []
    for i, top in enumerate(rules):
        closed: list[tuple[float, float]] = []
        for bottom in rules[i + 1 :]:
            height = bottom[0] - top[0]
            if height < MIN_SIDE * page.dpi:
                continue
            for span in _spans(page, top, bottom, uprights):
                if any(min(span[-1], b) - max(span[0], a) > 0.1 * (span[-1] - span[0]) for a, b in closed):
                    continue
                closed.append((span[0], span[-1]))
                dividers = cell_dividers(span, height, MIN_SIDE * page.dpi)
                if dividers and height >= MIN_CELL * page.dpi:
                    found.append(PrintedBox(span[0], top[0], span[-1], bottom[0], dividers))
                else:
                    parts = _parts(span, MIN_SIDE * page.dpi)
                    found += [PrintedBox(a, top[0], b, bottom[0]) for a, b in parts]
    drawn = [_settled(box, page) for box in found if _is_drawn(box, page)]
    return _distinct(drawn, page.dpi)


def cell_dividers(uprights: Sequence[float], height: float, shortest: float) -> tuple[float, ...]:
    """Where uprights divide a row into cells of about equal width; none if they do not.

    Some dividers may be missing, doubled, or beside upright strokes of writing: the subset is taken whose
    distances are nearest to once, seldom twice, a common pitch.

    Args:
        uprights: x of at least two uprights, ascending; the first and the last are the ends of the row.
        height: of the row. Cells are from half to twice as wide as high.
        shortest: the smallest width of a cell. All in the same unit.

    Returns:
        x of the lines between the cells, one less than there are cells.
    """
    gaps = np.diff(uprights)
    usual = gaps[(gaps >= max(0.5 * height, shortest)) & (gaps <= 2 * height)]
    if len(usual) == 0:
        return ()
    best_cost, best = np.inf, np.zeros(0)
    for pitch in np.unique(np.quantile(usual, (0.2, 0.5, 0.8))):
        cost, edges = _chain(np.asarray(uprights, np.float64), float(pitch))
        if cost / (len(edges) - 1) < best_cost:
            best_cost, best = cost / (len(edges) - 1), edges
    return tuple(float(x) for x in best[1:-1]) if best_cost < MAX_CHAIN_COST else ()


def _chain(uprights: Floats, pitch: float) -> tuple[float, Floats]:
    """The cheapest way from the first to the last upright in steps of 1 to 3 cells: its cost, cell edges."""
    count = len(uprights)
    cost, before, cells = np.full(count, np.inf), np.zeros(count, np.intp), np.ones(count, np.intp)
    cost[0] = 0
    for i in range(1, count):
        steps = (uprights[i] - uprights[:i]) / pitch
        counts = np.clip(np.rint(steps), 1, 3)
        skipped = np.arange(i)[::-1]
        total = cost[:i] + (3 * (steps - counts)) ** 2 + 0.6 * (counts - 1) + 0.25 * skipped
        before[i] = np.argmin(total)
        cost[i], cells[i] = total[before[i]], counts[before[i]]
    edges, i = [uprights[-1]], count - 1
    while i > 0:
        # A divider that was not seen stands evenly between its neighbours.
        edges += list(np.linspace(uprights[i], uprights[before[i]], cells[i] + 1)[1:])
        i = int(before[i])
    return float(cost[-1]), np.array(edges[::-1])


def _parts(span: Sequence[float], shortest: float) -> list[tuple[float, float]]:
    """The boxes between neighbouring uprights; the slivers between double lines are none."""
    return [(a, b) for a, b in pairwise(span) if b - a >= shortest]


def _settled(box: PrintedBox, page: PrintedPage) -> PrintedBox:
    """A box whose sides lie where their own ink is, not where a line through its neighbours' sides would be."""
    return replace(
        box,
        left=_middle(page.down.T, box.left, box.top, box.bottom, page.dpi),
        top=_middle(page.across, box.top, box.left, box.right, page.dpi),
        right=_middle(page.down.T, box.right, box.top, box.bottom, page.dpi),
        bottom=_middle(page.across, box.bottom, box.left, box.right, page.dpi),
    )


def _middle(runs: Mask, level: float, start: float, stop: float, dpi: float) -> float:
    """The mean row of the ink of a line near ``level``."""
    reach = max(2, round(DOUBLE * dpi))
    first = max(0, round(level) - reach)
    counts = runs[first : round(level) + reach + 1, round(start) : round(stop) + 1].sum(axis=1)
    rows = first + np.arange(len(counts))
    return float((counts * rows).sum() / counts.sum()) if counts.any() else level


def _is_drawn(box: PrintedBox, page: PrintedPage) -> bool:
    """Whether the sides are lines: lines of text have gaps, and so have the sides of a round letter."""
    small = max(box.width, box.height) <= LETTER_SIDE * page.dpi
    needed = LETTER_COVERAGE if small else LINE_COVERAGE
    reach = max(1, round(0.006 * page.dpi))
    across, down = round(LEAN * box.width) + reach, round(LEAN * box.height) + reach
    return (
        min(
            _share(page.ink, box.top, box.left, box.right, across),
            _share(page.ink, box.bottom, box.left, box.right, across),
            _share(page.ink.T, box.left, box.top, box.bottom, down),
            _share(page.ink.T, box.right, box.top, box.bottom, down),
        )
        >= needed
    )


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


def _levels(runs: Mask, dpi: float) -> list[tuple[float, float, float]]:
    """Straight thin components of runs along the rows, those of one line joined: (level, start, stop)."""
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


def _spans(
    page: PrintedPage,
    top: tuple[float, float, float],
    bottom: tuple[float, float, float],
    uprights: list[tuple[float, float, float]],
) -> list[list[float]]:
    """Rows of uprights that join two rules, as x of the uprights; both rules are inked all along a row."""
    reach = MEET * page.dpi
    first, last = max(top[1], bottom[1]) - reach, min(top[2], bottom[2]) + reach
    if last - first < MIN_SIDE * page.dpi:
        return []
    joining = [
        level
        for level, start, stop in uprights
        if first <= level <= last
        and start <= top[0] + reach + 2
        and stop >= bottom[0] - reach - 2
        and _inked(page.down.T, level, top[0], bottom[0], page.dpi)
    ]
    spans: list[list[float]] = []
    for level in joining:
        before = spans[-1][-1] if spans else None
        if (
            before is not None
            and _inked(page.across, top[0], before, level, page.dpi)
            and _inked(page.across, bottom[0], before, level, page.dpi)
        ):
            spans[-1].append(level)
        else:
            spans.append([level])
    return [span for span in spans if span[-1] - span[0] >= MIN_SIDE * page.dpi]


def _inked(runs: Mask, level: float, start: float, stop: float, dpi: float) -> bool:
    """Whether enough of a line along the rows is inked; a long one may lean a little."""
    reach = max(1, round(0.006 * dpi + LEAN * (stop - start)))
    return _share(runs, level, start, stop, reach) >= COVERAGE


def _share(mask: Mask, level: float, start: float, stop: float, reach: int) -> float:
    """Share of the columns from ``start`` to ``stop`` that are inked within ``reach`` of a row, 0..1."""
    middle = round(level)
    band = mask[max(0, middle - reach) : middle + reach + 1, round(start) : round(stop) + 1]
    return float(band.any(axis=0).mean()) if band.size else 0.0


def _distinct(boxes: list[PrintedBox], dpi: float) -> list[PrintedBox]:
    """Leaves out every box that nearly coincides with a smaller one: the outer line of a double frame."""
    near = 0.07 * dpi
    kept: list[PrintedBox] = []
    for box in sorted(boxes, key=lambda box: box.width * box.height):
        if not any(box.within(other, near) and other.within(box, near) for other in kept):
            kept.append(box)
    return kept
