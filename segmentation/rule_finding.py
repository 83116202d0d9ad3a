"""Finds the printed rules of a page: long straight runs of ink, at half the usual resolution of scans.

Rules may be broken or missing, and text or a black page edge adds false ones; who fits a form to them counts
only what agrees.
"""

from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

from segmentation.illumination import otsu_level

Floats = NDArray[np.float64]
Integers = NDArray[np.intp]
Bits = NDArray[np.uint64]

WORK_DPI = 150.0
INTERPOLATED = (0.45, 0.55)  # working pixels per page pixel at which interpolation is as good as a mean
MIN_RUN = 14  # pixels at WORK_DPI; a 3 pixel rule keeps runs of this length up to 10 degrees of skew
MIN_RULE = 30  # pixels at WORK_DPI, about 5 mm: shorter ones are strokes of writing or print
SHORTEST_RULE = 16  # the same for forms of which the cell lines are that short
MAX_SKEW = 8.0  # degrees
MAX_RULES = 1500  # of one direction, the longest; noise has more
MAX_RULED = 0.1  # share of a page that rules may cover; what is more has black margins, or is all black
SOLID = 15  # pixels at WORK_DPI: what is as thick as that both ways is a black margin


@dataclass(frozen=True, slots=True)
class Rules:
    """Straight printed rules of one direction as end points, float64 (N, 4): x0, y0, x1, y1.

    Horizontal rules run from left to right, vertical ones from top to bottom.
    """

    ends: Floats
    horizontal: bool

    @property
    def lengths(self) -> Floats:
        """Length of each rule along its direction, in pixels."""
        along = 0 if self.horizontal else 1
        return self.ends[:, along + 2] - self.ends[:, along]

    @property
    def slope(self) -> float:
        """The common slope, across over along: the median over the length of all rules."""
        across = 1 if self.horizontal else 0
        lengths = self.lengths
        if not lengths.sum():
            return 0.0
        slopes = (self.ends[:, across + 2] - self.ends[:, across]) / lengths
        order = np.argsort(slopes)
        middle = np.searchsorted(np.cumsum(lengths[order]), lengths.sum() / 2)
        return float(slopes[order[min(middle, len(order) - 1)]])


class RuleFinder:
    """The rules of one page, found once for each scale and kept: for several forms, or turns of the page."""

    def __init__(self, gray: NDArray[np.uint8]) -> None:
        """Finds nothing yet; ``gray`` is uint8 (H, W), 0 = black."""
        self.gray = gray
        self._found: dict[float, tuple[Rules, Rules]] = {}

    def find(self, factor: float, shortest: float) -> tuple[Rules, Rules]:
        """Like ``find_rules``."""
        key = round(factor, 4)
        if key not in self._found:
            self._found[key] = find_rules(self.gray, factor, SHORTEST_RULE)
        horizontal, vertical = self._found[key]
        return _longer(horizontal, shortest), _longer(vertical, shortest)


def find_rules(gray: NDArray[np.uint8], factor: float, shortest: float = MIN_RULE) -> tuple[Rules, Rules]:
    """Finds straight horizontal and vertical runs of ink.

    Args:
        gray: uint8 (H, W), 0 = black.
        factor: working pixels per page pixel; the search wants about ``WORK_DPI``.
        shortest: least length of a rule, in working pixels.

    Returns:
        Horizontal and vertical rules, in working pixels.
    """
    height, width = gray.shape
    size = (max(1, round(width * factor)), max(1, round(height * factor)))
    # Means of whole blocks of pixels are fast, and so is interpolation; means of other areas take a tenth of
    # the time of a page.
    halves = INTERPOLATED[0] <= factor <= INTERPOLATED[1] or factor >= 1
    blocks = width % size[0] == 0 and height % size[1] == 0
    method = cv2.INTER_LINEAR if halves and not blocks else cv2.INTER_AREA
    small = cv2.resize(gray, size, interpolation=method)
    _, ink = cv2.threshold(small, otsu_level(small), 255, cv2.THRESH_BINARY_INV)
    packed = _packed(ink)
    across, down = (_rules_of(ink, packed, shortest, horizontal) for horizontal in (True, False))
    return across, down


def _rules_of(ink: NDArray[np.uint8], packed: Bits, shortest: float, horizontal: bool) -> Rules:
    """Connected runs of at least ``shortest`` pixels, thin and straight, with a line fitted through each.

    ``packed`` is the same ink in bits; see ``_packed``.
    """
    level, first, last = _find_runs(packed, horizontal)
    if (last - first).sum() > MAX_RULED * ink.size:
        level, first, last = _find_runs(_packed(_without_solids(ink)), horizontal)
    owner = _connect_runs(level, first, last)
    count = int(owner.max(initial=-1)) + 1
    pixels = (last - first).astype(np.float64)
    areas = np.bincount(owner, pixels, count)
    size = np.maximum(areas, 1)
    middle = (first + last - 1) / 2
    center_a, center_c = (np.bincount(owner, pixels * value, count) / size for value in (middle, level))
    a, c = middle - center_a[owner], level - center_c[owner]
    # Of the pixels of a run, n next to each other, the squares sum to n a² + n (n² - 1) / 12.
    variance = np.bincount(owner, pixels * (a * a + (pixels * pixels - 1) / 12), count)
    together = np.bincount(owner, pixels * a * c, count)
    slopes = together / np.maximum(variance, 1)
    square = np.bincount(owner, pixels * c * c, count) - slopes * (2 * together - slopes * variance)
    off_line = np.sqrt(np.maximum(square, 0) / size)
    start, stop = np.full(count, np.inf), np.full(count, -np.inf)
    np.minimum.at(start, owner, first.astype(np.float64))  # of whole numbers it would take ten times as long
    np.maximum.at(stop, owner, last.astype(np.float64))
    length = stop - start
    keep = (length >= shortest) & (np.abs(slopes) <= np.tan(np.radians(MAX_SKEW))) & (off_line <= 4)
    keep &= areas >= 0.5 * length
    if np.count_nonzero(keep) > MAX_RULES:
        keep &= length >= np.sort(length[keep])[-MAX_RULES]
    along, across = (0, 1) if horizontal else (1, 0)
    ends = np.empty((int(keep.sum()), 4))
    for offset, position in ((0, start[keep]), (2, stop[keep])):
        ends[:, along + offset] = position
        ends[:, across + offset] = center_c[keep] + slopes[keep] * (position - center_a[keep])
    return Rules(ends, horizontal)


def _packed(ink: NDArray[np.uint8]) -> Bits:
    """Pixels, uint8 (H, W), not zero = ink, as bits, uint64 (H, ceil(W / 64) + 1), the highest bit first.

    The last word of each row is blank, so that all rows one after the other are as good as one long row.
    """
    rows = np.packbits(ink, axis=1)
    whole = np.zeros((rows.shape[0], 8 * (-(-rows.shape[1] // 8) + 1)), np.uint8)
    whole[:, : rows.shape[1]] = rows
    return whole.view(">u8").astype(np.uint64)


def _find_runs(packed: Bits, horizontal: bool) -> tuple[Integers, Integers, Integers]:
    """Runs of at least ``MIN_RUN`` pixels of ink.

    Args:
        packed: the ink as ``_packed`` returns it.
        horizontal: whether runs lie along the rows, or else along the columns.

    Returns:
        Place across, first and past-last place along, int (N,) each, in order of places across, then along.
    """
    width = packed.shape[1]
    full, count = packed.ravel(), 1  # where the next so many pixels are all ink
    while count < MIN_RUN:
        step = min(count, MIN_RUN - count)
        full, count = _and_ahead(full, step, None if horizontal else width), count + step
    some = np.flatnonzero(full)  # of the words hardly any
    here, before, after = _beside(full, some, None if horizontal else width)
    firsts, lasts = _places(here & ~before, some, width), _places(here & ~after, some, width)
    if horizontal:
        (level, first), (_, last) = firsts, lasts
    else:
        # They come row by row: only in the order of columns do they belong together.
        (first, level), (last, other) = firsts, lasts
        order = np.argsort(level, kind="stable")
        level, first, last = level[order], first[order], last[np.argsort(other, kind="stable")]
    return level, first, last + MIN_RUN


def _and_ahead(words: Bits, steps: int, width: int | None) -> Bits:
    """The pixels that are ink as the one so many steps, 1 to 63, farther on is; beyond the end nothing is.

    Args:
        words: uint64 (N,), the rows that ``_packed`` returns one after the other.
        steps: to the right, or down.
        width: how many words a row has, for steps down; None for steps to the right.
    """
    if width is None:
        ahead = words << np.uint64(steps)
        ahead[:-1] |= words[1:] >> np.uint64(64 - steps)
        ahead &= words
        return ahead
    both, down = np.zeros_like(words), steps * width
    np.bitwise_and(words[:-down], words[down:], out=both[:-down])
    return both


def _beside(words: Bits, some: Integers, width: int | None) -> tuple[Bits, Bits, Bits]:
    """Some of the words, int (M,), as ``_and_ahead`` takes them, uint64 (M,) each.

    Returns:
        The words; in them at each pixel the one before it, to the left or above; and the one after it.
    """
    step = width or 1
    framed = np.zeros(len(words) + 2 * step, np.uint64)
    framed[step:-step] = words
    before, here, after = framed[some], framed[some + step], framed[some + 2 * step]
    if width is None:
        one, most = np.uint64(1), np.uint64(63)
        before, after = (here >> one) | (before << most), (here << one) | (after >> most)
    return here, before, after


def _places(words: Bits, some: Integers, width: int) -> tuple[Integers, Integers]:
    """Rows and columns of the pixels that are ink in some words, in reading order.

    Args:
        words: uint64 (M,), the highest bit first.
        some: int (M,) their places among all words, in reading order.
        width: how many words a row has.
    """
    bits = np.flatnonzero(np.unpackbits(words.astype(">u8").view(np.uint8)).view(np.bool_))
    row, word = np.divmod(some[bits >> 6], width)
    return row, 64 * word + (bits & 63)


def _without_solids(ink: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """The ink without what is as thick as ``SOLID`` both ways."""
    solid = cv2.morphologyEx(ink, cv2.MORPH_OPEN, np.ones((SOLID, SOLID), np.uint8))
    return cv2.subtract(ink, solid)


def _connect_runs(level: Integers, first: Integers, last: Integers) -> Integers:
    """The component of each run, int (N,), from 0: runs of neighbouring rows that touch are connected.

    Args:
        level, first, last: runs as ``_find_runs`` returns them.
    """
    # As one long row of all rows, in which a run lies just beside what it touches in the next row.
    stride = int(last.max(initial=0)) + 2
    starts, stops = level * stride + first, level * stride + last
    begin = np.searchsorted(stops, starts + stride)
    counts = np.maximum(np.searchsorted(starts, stops + stride, side="right") - begin, 0)
    upper = np.repeat(np.arange(len(level)), counts)
    lower = np.arange(len(upper)) - np.repeat(np.cumsum(counts) - counts - begin, counts)
    root = np.arange(len(level))
    while True:
        one, other = root[upper], root[lower]
        apart = one != other
        if not apart.any():
            return (np.cumsum(root == np.arange(len(root))) - 1)[root]
        upper, lower, one, other = upper[apart], lower[apart], one[apart], other[apart]
        root[np.maximum(one, other)] = np.minimum(one, other)
        while (root[root] != root).any():
            root = root[root]


def _longer(rules: Rules, shortest: float) -> Rules:
    return Rules(rules.ends[rules.lengths >= shortest], rules.horizontal)
