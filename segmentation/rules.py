"""Takes the printed frame of a field out and leaves the strokes that touch or cross it.

Each side of the frame is traced column by column (or row by row). Where the ink across the rule is no thicker
than the rule itself, it is print and goes; where it sticks out on either side, a stroke touches or crosses
the rule there, and all of it stays.
"""

from collections.abc import Iterator
from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

SEARCH = 14  # pixels a rule may lie off its expected place
STRAY = 0.02  # share of its ink that a rule loses for each pixel off its place, when it is chosen
BLOCK = 64  # pixels of rule traced at a time
REACH = 12  # pixels looked at on each side of a rule to tell print from strokes
NOMINAL_WIDTH = 5.0  # pixels of a printed rule at 300 dpi, where none can be measured
SLACK = 2.0  # pixels a ragged rule may stick out without being a stroke
MIN_COVERAGE = 0.4
SPUR = 3  # columns: what sticks out on fewer is raggedness
MAX_BRIDGE = 30  # columns between two strokes that may be one written along the rule
LEAN_OVER = 5  # rows over which strokes must lean towards each other to be joined
LONG_RUN = 81  # columns of ink along a rule that are a rule themselves
DROPOUT = 6  # pixels of a gap inside a stroke where it crosses a rule
MARGIN = REACH + DROPOUT + 1  # rows on each side of a rule that are looked at


@dataclass(frozen=True, slots=True)
class Frame:
    """The printed frame of a field in its own raster: middle lines of its four sides and their width, pixels.

    ``seen`` is the inked share, 0..1, of that of its long sides of which less was found.
    """

    left: float
    top: float
    right: float
    bottom: float
    width: float
    seen: float = 0.0


def remove_frame(ink: NDArray[np.bool_], expected: Frame) -> tuple[NDArray[np.bool_], Frame]:
    """Removes the four sides of a printed frame.

    Args:
        ink: bool (H, W) of a field raster, upright; True = ink.
        expected: where registration expects the middle of each side.

    Returns:
        A copy without the frame, and the frame as it was found. A side of which less than two fifths is there
        is left alone, and stays where it was expected.
    """
    cleaned = ink.copy()
    left, top, right, bottom = expected.left, expected.top, expected.right, expected.bottom
    # Turned copies of what is near them let one function trace upright rules too.
    strips = {"left": _strip(ink, left), "right": _strip(ink, right)}
    turned = {side: np.ascontiguousarray(ink[:, strip].T) for side, strip in strips.items()}
    traces = {
        "top": _trace(ink, top, left, right),
        "bottom": _trace(ink, bottom, left, right),
        "left": _trace(turned["left"], left - strips["left"].start, top, bottom),
        "right": _trace(turned["right"], right - strips["right"].start, top, bottom),
    }
    found = [trace for trace in traces.values() if trace is not None]
    if not found:
        return cleaned, expected
    width = _median(np.array([trace.width for trace in found]))
    for side, trace in traces.items():
        if trace is not None:
            if side in strips:
                _erase(turned[side], cleaned[:, strips[side]].T, trace, width)
            else:
                _erase(ink, cleaned, trace, width)

    def place(side: str, otherwise: float) -> float:
        trace = traces[side]
        if trace is None:
            return otherwise
        return _median(trace.middle) + (strips[side].start if side in strips else 0)

    seen = min(trace.seen if trace else 0.0 for trace in (traces["top"], traces["bottom"]))
    sides = (place("left", left), place("top", top), place("right", right), place("bottom", bottom))
    frame = Frame(*sides, width, seen)
    _erase_corners(cleaned, frame)
    return cleaned, frame


def _strip(ink: NDArray[np.bool_], level: float) -> slice:
    """The columns in which an upright rule near column ``level`` and what touches it may stand."""
    first = max(0, round(level) - MARGIN - 3 * SEARCH)
    first -= first % 2  # halves of a pixel are rounded to even: to the same one in the strip as outside
    return slice(first, max(first, min(ink.shape[1], round(level) + MARGIN + 3 * SEARCH + 1)))


def remove_rule(
    ink: NDArray[np.bool_],
    cleaned: NDArray[np.bool_],
    level: float,
    start: float,
    stop: float,
    search: int,
    coverage: float,
) -> tuple[float, float] | None:
    """Removes one nearly horizontal rule from ``cleaned`` as ``remove_frame`` does.

    Args:
        ink: bool (H, W), True = ink.
        cleaned: bool (H, W), changed in place.
        level: row at which its middle is expected.
        start, stop: columns from which to which it runs.
        search: rows that it may lie off.
        coverage: inked share of three rows together, 0..1, at least, if it is there.

    Returns:
        The row of its middle and its width in pixels; None, and nothing is removed, if it is not there.
    """
    trace = _trace(ink, level, start, stop, search, coverage)
    if trace is None:
        return None
    _erase(ink, cleaned, trace, trace.width)
    return _median(trace.middle), trace.width


@dataclass(frozen=True, slots=True)
class _Trace:
    """A rule followed from column ``start``: the row of its middle at each of n columns, and its width.

    ``band``, bool (2 * MARGIN + 1, n), is the ink around it, straightened: its middle is row ``MARGIN``.
    ``seen`` is the share of the columns with ink there.
    """

    start: int
    middle: NDArray[np.float64]
    width: float
    band: NDArray[np.bool_]
    seen: float


def _trace(
    ink: NDArray[np.bool_],
    level: float,
    start: float,
    stop: float,
    search: int = SEARCH,
    coverage: float = MIN_COVERAGE,
) -> _Trace | None:
    """Follows a nearly horizontal rule near row ``level`` from column ``start`` to ``stop``."""
    height, width = ink.shape
    first, last = max(0, round(start) - 3), min(width, round(stop) + 4)
    top, bottom = max(0, round(level) - search), min(height, round(level) + search + 1)
    if last - first < 8 or bottom - top < 3:
        return None
    band = ink[top:bottom, first:last]
    edges = np.arange(0, last - first, BLOCK)
    if len(edges) > 1 and last - first - edges[-1] < BLOCK // 2:
        edges = edges[:-1]
    sizes = np.diff(np.append(edges, last - first))
    counts = np.add.reduceat(band.view(np.uint8), edges, axis=1, dtype=np.uint8).astype(np.intp)
    share = counts / sizes
    of_three = counts.copy()
    of_three[1:] += counts[:-1]
    of_three[:-1] += counts[1:]
    # Of two rules close to each other, as between two boxes, the one nearer to its place.
    smooth = of_three * (1 - STRAY * np.abs(np.arange(top, bottom) - level))[:, None]
    peak = smooth.max(axis=0) / (3 * sizes)
    if (peak * sizes).sum() / sizes.sum() < coverage:
        return None
    # The middle of each block is the centre of the rows that are nearly as full as the fullest.
    rows = np.arange(top, bottom, dtype=np.float64)[:, None]
    nearest = np.abs(rows - rows[np.argmax(smooth, axis=0), 0]) <= 5
    weight = np.where(nearest & (share >= 0.6 * peak), share, 0) + 1e-9
    middle = (weight * rows).sum(axis=0) / weight.sum(axis=0)
    centers = first + edges + sizes / 2
    line = _robust_line(centers, middle, peak * sizes)
    middle = np.where(np.abs(middle - line) <= 3, middle, line)
    columns = np.arange(first, last)
    traced = np.interp(columns, centers, middle) if len(centers) > 1 else np.full(len(columns), middle[0])
    straight = _straightened(ink, first, traced)
    up, down = _extents(straight)
    thickness = (up + down + 1)[(up + down) > 0]
    width_here = _median(thickness) if len(thickness) else NOMINAL_WIDTH
    seen = float(straight[MARGIN - 1 : MARGIN + 2].any(axis=0).mean())
    return _Trace(first, traced, min(max(width_here, 1.0), 3 * NOMINAL_WIDTH), straight, seen)


def _median(values: NDArray[np.floating] | NDArray[np.integer]) -> float:
    """What ``np.median`` returns, in a fifth of its time for so few."""
    ordered, middle = np.sort(values), len(values) // 2
    return float((float(ordered[middle]) + float(ordered[-middle - 1])) / 2)


def _robust_line(
    x: NDArray[np.float64], y: NDArray[np.float64], weight: NDArray[np.float64]
) -> NDArray[np.float64]:
    """Values at x of a straight line through the points, with far ones losing their weight."""
    if len(x) < 3:
        return np.full(len(x), np.average(y, weights=weight + 1e-9))
    fitted = np.full(len(x), np.median(y))
    for _ in range(4):
        trust = weight / (1 + (y - fitted) ** 2) + 1e-9
        trust /= trust.sum()
        from_middle, level = x - trust @ x, trust @ y
        slope = (trust * from_middle) @ (y - level) / (trust @ from_middle**2)
        fitted = level + slope * from_middle
    return fitted


def _straightened(ink: NDArray[np.bool_], start: int, middle: NDArray[np.float64]) -> NDArray[np.bool_]:
    """The ink around a traced rule with its middle in row ``MARGIN``; beyond the raster is paper."""
    band = np.zeros((2 * MARGIN + 1, len(middle)), np.bool_)
    for first, last, row in _level_stretches(middle):
        top, bottom = max(0, row - MARGIN), min(len(ink), row + MARGIN + 1)
        if top < bottom:
            at = top - row + MARGIN
            band[at : at + bottom - top, first:last] = ink[top:bottom, start + first : start + last]
    return band


def _level_stretches(middle: NDArray[np.float64]) -> Iterator[tuple[int, int, int]]:
    """Yields first and past-last column of each stretch on which a rule keeps to one row, and that row."""
    rows = np.rint(middle).astype(np.intp)
    steps = np.flatnonzero(rows[1:] != rows[:-1]) + 1
    firsts = [0, *steps.tolist()]
    yield from zip(firsts, [*firsts[1:], len(rows)], rows[firsts].tolist(), strict=True)


def _extents(band: NDArray[np.bool_]) -> tuple[NDArray[np.uint8], NDArray[np.uint8]]:
    """How far the ink at a rule's middle reaches up and down in each column of its band, 0..REACH pixels."""

    both = np.empty((REACH + 1, 2, band.shape[1]), np.uint8)
    both[:, 0], both[:, 1] = band[MARGIN - REACH : MARGIN + 1][::-1], band[MARGIN : MARGIN + REACH + 1]
    reached = both[0].copy()
    extents = np.zeros(reached.shape, np.uint8)
    for row in both[1:]:
        reached &= row
        extents += reached
    return extents[0], extents[1]


def _erase(ink: NDArray[np.bool_], cleaned: NDArray[np.bool_], trace: _Trace, width: float) -> None:
    """Erases a traced rule from ``cleaned``, but for the strokes of ``ink`` that touch or cross it.

    A stroke that touches from one side keeps its end up to the middle of the rule, a crossing one is kept
    whole and joined where it dropped out.
    """
    half = (width - 1) / 2
    band = _without_other_rules(trace.band, half)
    up, down = _extents(band)
    # Scanners drop pixels where a stroke crosses a rule.
    kernel = np.ones((DROPOUT + 1, 1), np.uint8)
    closed = cv2.morphologyEx(band.view(np.uint8), cv2.MORPH_CLOSE, kernel).view(np.bool_)
    closed_up, closed_down = _extents(closed)
    out = half + SLACK
    touched = np.stack([up > out, down > out, (closed_up > out) & (closed_down > out)])
    above, below, crossing = _without_spurs(touched)
    above_ends = above | _bridges(ink, trace, above, -1, half)
    below_ends = below | _bridges(ink, trace, below, 1, half)
    reach = int(np.ceil(half + DROPOUT))
    steps = np.arange(-reach, reach + 1)[:, None]
    stroke = crossing | (above_ends & (steps <= 0)) | (below_ends & (steps >= 0))
    kept = stroke | (np.abs(steps) > np.ceil(half + SLACK))
    joined = crossing & closed[MARGIN - reach : MARGIN + reach + 1]
    for first, last, row in _level_stretches(trace.middle):
        top, bottom = max(0, row - reach), min(len(ink), row + reach + 1)
        if top < bottom:
            part = slice(top - row + reach, bottom - row + reach), slice(first, last)
            place = cleaned[top:bottom, trace.start + first : trace.start + last]
            place &= kept[part]
            place |= joined[part]


def _without_other_rules(band: NDArray[np.bool_], half: float) -> NDArray[np.bool_]:
    """The band of a rule without another box's rule beside it, to which strokes would seem to go on."""
    if band.shape[1] < 2 * LONG_RUN:
        return band
    joined = cv2.morphologyEx(band.view(np.uint8), cv2.MORPH_CLOSE, np.ones((1, DROPOUT + 1), np.uint8))
    runs = cv2.morphologyEx(joined, cv2.MORPH_OPEN, np.ones((1, LONG_RUN), np.uint8))
    reach = int(np.ceil(half + SLACK))
    runs[MARGIN - reach : MARGIN + reach + 1] = 0
    if not runs.any():
        return band
    return band & (cv2.dilate(runs, np.ones((3, 1), np.uint8)) == 0)


def _without_spurs(touched: NDArray[np.bool_]) -> NDArray[np.bool_]:
    """Clears, in each row, runs of fewer than ``SPUR`` columns: the ragged edge of a rule, not a stroke."""
    kernel = np.ones((1, SPUR), np.uint8)
    return cv2.morphologyEx(touched.view(np.uint8), cv2.MORPH_OPEN, kernel).view(np.bool_)


def _bridges(
    ink: NDArray[np.bool_], trace: _Trace, touched: NDArray[np.bool_], direction: int, half: float
) -> NDArray[np.bool_]:
    """Columns between two strokes that run together inside the rule, like the bottom of a u written on it.

    ``direction`` is -1 for strokes that come from above, 1 from below. Two neighbouring contacts are joined
    if they are at most ``MAX_BRIDGE`` apart and both lean towards each other.
    """
    joined = np.zeros_like(touched)
    steps = np.flatnonzero(np.diff(np.concatenate([[0], touched.astype(np.int8), [0]])))
    starts, stops = steps[::2], steps[1::2]
    for left_stop, right_start in zip(stops[:-1], starts[1:], strict=True):
        if right_start - left_stop > MAX_BRIDGE:
            continue
        near = round(half + SLACK + 1)
        gaps = []
        for distance in (near, near + LEAN_OVER):
            row = round(trace.middle[left_stop]) + direction * distance
            if not 0 <= row < ink.shape[0]:
                break
            first = trace.start + left_stop - 1 - SPUR
            line = ink[row, max(0, first - LEAN_OVER) : trace.start + right_start + SPUR + LEAN_OVER]
            center = trace.start + (left_stop + right_start) // 2 - max(0, first - LEAN_OVER)
            left, right = np.flatnonzero(line[:center]), np.flatnonzero(line[center:])
            if len(left) == 0 or len(right) == 0:
                break
            gaps.append((center - left[-1], right[0]))
        if len(gaps) == 2 and all(far - close >= 1 for close, far in zip(*gaps, strict=True)):
            joined[left_stop:right_start] = True
    return joined


def _erase_corners(cleaned: NDArray[np.bool_], frame: Frame) -> None:
    """Clears the four corners, where each side looks like a stroke crossing the other."""
    reach = round(frame.width / 2 + SLACK)
    height, width = cleaned.shape
    for y in (frame.top, frame.bottom):
        for x in (frame.left, frame.right):
            rows = slice(max(0, round(y) - reach), min(height, round(y) + reach + 1))
            columns = slice(max(0, round(x) - reach), min(width, round(x) + reach + 1))
            cleaned[rows, columns] = False
