"""Finds the closed rectangles that are printed on a page, whatever form it is.

Long straight runs of ink propose levels; a rectangle stands where a top and a bottom are joined by two
uprights and enough of each side is inked. A rule may be broken, pale, doubled, or crossed by writing.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from itertools import pairwise

import numpy as np
from numpy.typing import NDArray

from segmentation.printed_lines import LEAN, PrintedPage, find_lines, inked_share, is_inked, line_middle

Floats = NDArray[np.float64]

# Lengths in inches, so that pages of any resolution are treated alike.
MIN_SIDE = 0.1  # of a rectangle: the smallest tick boxes
MEET = 0.03  # by which an upright may miss the rules it should meet
LETTER_SIDE = 0.35  # of a rectangle that may be a printed letter
LETTER_COVERAGE = 0.93  # share of each side of so small a rectangle that must be inked
LINE_COVERAGE = 0.75  # the same of a larger one, before gaps are closed
MIN_CELL = 0.14  # height of a row of cells
CLOSED = 0.6  # share of a row of boxes, from below a rule, that a lower rule of it does not close again
MAX_CHAIN_COST = 0.5  # a cell, of the dividers of a row of cells; see _chain


@dataclass(frozen=True, slots=True)
class PrintedBox:
    """A printed rectangle: the middles of its four lines and of the lines between its cells, in pixels.

    A ``ring`` is a circle that touches these lines; ``radius`` is that of the middle line at the corners.
    Between two cells are two lines, so far apart as ``gap`` says, or one.
    Of an ``open`` one nothing but a line to write on is printed, just above its lower end.
    """

    left: float
    top: float
    right: float
    bottom: float
    dividers: tuple[float, ...] = ()
    ring: bool = False
    open: bool = False
    gap: float = 0.0
    radius: float = 0.0

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


def find_boxes(page: PrintedPage) -> list[PrintedBox]:
    """Finds the rectangles of a page that no printed line divides further; a row of equal cells is one box.

    A frame around other boxes is found too. Of two rectangles that nearly coincide, the inner one is kept.
    """
    rules = find_lines(page.across, page.dpi)
    uprights = find_lines(page.down.T, page.dpi)
    found: list[PrintedBox] = []
    for i, top in enumerate(rules):
        closed: list[tuple[float, float]] = []
        for bottom in rules[i + 1 :]:
            if bottom[0] - top[0] < MIN_SIDE * page.dpi:
                continue
            for span in _spans(page, top, bottom, uprights):
                first, last = span[0], span[-1]
                if any(min(last, b) - max(first, a) > CLOSED * (last - first) for a, b in closed):
                    continue
                boxes = _boxes_of_span(span, top[0], bottom[0], page)
                # Only what is drawn: the bar of a handwritten 7 would hide the row of cells below it.
                if boxes:
                    closed.append((first, last))
                    found += boxes
    return _distinct([_settled(box, page) for box in found], page.dpi)


def _boxes_of_span(span: list[float], top: float, bottom: float, page: PrintedPage) -> list[PrintedBox]:
    """The drawn boxes of a row of uprights between two rules: a row of cells, or each box by itself."""
    shortest = MIN_SIDE * page.dpi
    dividers = cell_dividers(span, bottom - top, shortest)
    if dividers and bottom - top >= MIN_CELL * page.dpi:
        boxes = [PrintedBox(span[0], top, span[-1], bottom, dividers)]
    else:
        boxes = [PrintedBox(a, top, b, bottom) for a, b in _parts(span, shortest)]
    return [box for box in boxes if _is_drawn(box, page)]


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
    """A box whose sides lie where their own ink is, not where that of its neighbours is."""
    return replace(
        box,
        left=line_middle(page.down.T, box.left, box.top, box.bottom, page.dpi),
        top=line_middle(page.across, box.top, box.left, box.right, page.dpi),
        right=line_middle(page.down.T, box.right, box.top, box.bottom, page.dpi),
        bottom=line_middle(page.across, box.bottom, box.left, box.right, page.dpi),
    )


def _is_drawn(box: PrintedBox, page: PrintedPage) -> bool:
    """Whether the sides are lines: lines of text have gaps, and so have the sides of a round letter."""
    small = max(box.width, box.height) <= LETTER_SIDE * page.dpi
    needed = LETTER_COVERAGE if small else LINE_COVERAGE
    reach = max(1, round(0.006 * page.dpi))
    across, down = round(LEAN * box.width) + reach, round(LEAN * box.height) + reach
    return (
        min(
            inked_share(page.ink, box.top, box.left, box.right, across),
            inked_share(page.ink, box.bottom, box.left, box.right, across),
            inked_share(page.ink.T, box.left, box.top, box.bottom, down),
            inked_share(page.ink.T, box.right, box.top, box.bottom, down),
        )
        >= needed
    )


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
        and is_inked(page.down.T, level, top[0], bottom[0], page.dpi)
    ]
    spans: list[list[float]] = []
    for level in joining:
        before = spans[-1][-1] if spans else None
        if (
            before is not None
            and is_inked(page.across, top[0], before, level, page.dpi)
            and is_inked(page.across, bottom[0], before, level, page.dpi)
        ):
            spans[-1].append(level)
        else:
            spans.append([level])
    return [span for span in spans if span[-1] - span[0] >= MIN_SIDE * page.dpi]


def _distinct(boxes: list[PrintedBox], dpi: float) -> list[PrintedBox]:
    """Leaves out every box that nearly coincides with a smaller one: the outer line of a double frame."""
    near = 0.07 * dpi
    kept: list[PrintedBox] = []
    for box in sorted(boxes, key=lambda box: box.width * box.height):
        if not any(box.within(other, near) and other.within(box, near) for other in kept):
            kept.append(box)
    return kept
