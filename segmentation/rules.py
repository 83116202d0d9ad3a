"""Takes the printed frames of fields out and leaves the strokes that touch or cross them.

Each side of a frame is traced column by column (or row by row). Where the ink across the rule is no thicker
than the rule itself, it is print and goes; where it sticks out on either side, a stroke touches or crosses
the rule there, and all of it stays. The rules of all fields of a page go together (``rule_traces``).
"""

from collections.abc import Sequence
from dataclasses import dataclass

import cv2
import numpy as np

from segmentation.rule_traces import (
    DROPOUT,
    MARGIN,
    SEARCH,
    ExpectedRule,
    Floats,
    Mask,
    TracedRules,
    extents,
    median,
    trace_rules,
)

SLACK = 2.0  # pixels a ragged rule may stick out without being a stroke
SPUR = 3  # columns: what sticks out on fewer is raggedness
MAX_BRIDGE = 30  # columns between two strokes that may be one written along the rule
LEAN_OVER = 5  # rows over which strokes must lean towards each other to be joined
LONG_RUN = 81  # columns of ink along a rule that are a rule themselves
SIDES = ("top", "bottom", "left", "right")


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

    def moved(self, x: float, y: float) -> "Frame":
        """The same frame, so many pixels farther right and down."""
        sides = self.left + x, self.top + y, self.right + x, self.bottom + y
        return Frame(*sides, self.width, self.seen)


def remove_frame(ink: Mask, expected: Frame) -> tuple[Mask, Frame]:
    """A copy without the four sides of a printed frame, and the frame; see ``remove_frames``."""
    cleaned = ink.copy()
    return cleaned, remove_frames([cleaned], [expected])[0]


def remove_frames(inks: Sequence[Mask], expected: Sequence[Frame]) -> list[Frame]:
    """Removes the four sides of printed frames, one of each field.

    Args:
        inks: bool (H, W) of each field's raster, upright; True = ink. The frames are removed from them, when
            all have been looked at: they may be views of one raster and overlap.
        expected: where registration expects the middle of each side.

    Returns:
        For each field the frame as it was found. A side of which less than two fifths is there is left alone,
        and stays where it was expected.
    """
    rules, targets, starts = [], [], []
    for ink, frame in zip(inks, expected, strict=True):
        for side in SIDES:
            level = getattr(frame, side)
            if side in ("top", "bottom"):
                rules.append(ExpectedRule(ink, level, frame.left, frame.right))
                targets.append(ink)
                starts.append(0)
            else:  # A turned copy of what is near lets one function trace upright rules too.
                strip = _strip(ink, level)
                rules.append(
                    ExpectedRule(turned(ink[:, strip]), level - strip.start, frame.top, frame.bottom)
                )
                targets.append(ink[:, strip].T)
                starts.append(strip.start)
    traced = trace_rules(rules)
    if traced is None:
        return list(expected)
    found = {place: number for number, place in enumerate(traced.which.tolist())}
    levels, seen = traced.levels.tolist(), traced.seen.tolist()
    widths = traced.widths.copy()
    frames = []
    for field, frame in enumerate(expected):
        numbers = [found.get(4 * field + place) for place in range(4)]
        own = [number for number in numbers if number is not None]
        if not own:
            frames.append(frame)
            continue
        width = median(traced.widths[own])
        widths[own] = width
        places = {
            side: getattr(frame, side) if number is None else levels[number] + starts[4 * field + place]
            for place, (side, number) in enumerate(zip(SIDES, numbers, strict=True))
        }
        long_sides = (0.0 if number is None else seen[number] for number in numbers[:2])
        frames.append(Frame(**places, width=width, seen=min(long_sides)))
    _erase(traced, rules, targets, widths)
    for field, frame in enumerate(frames):
        if frame is not expected[field]:
            _erase_corners(inks[field], frame)
    return frames


def turned(ink: Mask) -> Mask:
    """A copy of a raster with its columns as rows, bool (W, H)."""
    if not ink.size:
        return ink.T.copy()
    return np.asarray(cv2.transpose(ink.view(np.uint8))).view(np.bool_)  # in a tenth of numpy's time


def _strip(ink: Mask, level: float) -> slice:
    """The columns in which an upright rule near column ``level`` and what touches it may stand."""
    first = max(0, round(level) - MARGIN - 3 * SEARCH)
    first -= first % 2  # halves of a pixel are rounded to even: to the same one in the strip as outside
    return slice(first, max(first, min(ink.shape[1], round(level) + MARGIN + 3 * SEARCH + 1)))


def remove_rules(
    rules: Sequence[ExpectedRule], targets: Sequence[Mask], search: int, coverage: float
) -> list[tuple[float, float] | None]:
    """Removes nearly horizontal rules as ``remove_frames`` does.

    Args:
        rules: where they are expected.
        targets: bool (H, W) for each rule, like its ink, changed in place.
        search: rows that a rule may lie off.
        coverage: inked share of three rows together, 0..1, at least, if a rule is there.

    Returns:
        For each rule the row of its middle and its width in pixels; None, and nothing is removed, if it is
        not there.
    """
    removed: list[tuple[float, float] | None] = [None] * len(rules)
    traced = trace_rules(rules, search, coverage)
    if traced is not None:
        _erase(traced, rules, targets, traced.widths)
        found = zip(traced.which.tolist(), traced.levels.tolist(), traced.widths.tolist(), strict=True)
        for place, level, width in found:
            removed[place] = level, width
    return removed


def _erase(
    traced: TracedRules, rules: Sequence[ExpectedRule], targets: Sequence[Mask], widths: Floats
) -> None:
    """Erases traced rules from their targets, but for the strokes of their ink that touch or cross them.

    A stroke that touches from one side keeps its end up to the middle of the rule, a crossing one is kept
    whole and joined where it dropped out.
    """
    halves = (widths - 1) / 2
    half = np.append(halves, 0.0)[traced.rule_of]
    band = _without_other_rules(traced, halves)
    up, down = extents(band)
    # Scanners drop pixels where a stroke crosses a rule.
    kernel = np.ones((DROPOUT + 1, 1), np.uint8)
    closed = cv2.morphologyEx(band.view(np.uint8), cv2.MORPH_CLOSE, kernel).view(np.bool_)
    closed_up, closed_down = extents(closed)
    out = half + SLACK
    touched = np.stack([up > out, down > out, (closed_up > out) & (closed_down > out)])
    above, below, crossing = _without_spurs(touched)
    above_ends = above | _bridges(traced, rules, above, -1, halves)
    below_ends = below | _bridges(traced, rules, below, 1, halves)
    reaches = np.ceil(halves + DROPOUT).astype(np.intp)
    reach = int(reaches.max())
    steps = np.arange(-reach, reach + 1, dtype=np.int8)[:, None]
    far = np.abs(steps)
    kept = far > np.ceil(half + SLACK).astype(np.int8)
    kept |= crossing
    kept[: reach + 1] |= above_ends
    kept[reach:] |= below_ends
    joined = closed[MARGIN - reach : MARGIN + reach + 1] & crossing
    joined &= far <= np.append(reaches, 0).astype(np.int8)[traced.rule_of]
    places = traced.which.tolist()
    shifts, owns = traced.shifts.tolist(), reaches.tolist()
    for stretch in traced.stretches:
        target, shift, own = targets[places[stretch.rule]], shifts[stretch.rule], owns[stretch.rule]
        row = stretch.row
        top, bottom = max(0, row - own), min(len(target), row + own + 1)
        if top < bottom:
            part = slice(top - row + reach, bottom - row + reach), slice(stretch.first, stretch.stop)
            place = target[top:bottom, stretch.first + shift : stretch.stop + shift]
            place &= kept[part]
            place |= joined[part]


def _without_other_rules(traced: TracedRules, halves: Floats) -> Mask:
    """The band without other boxes' rules beside those traced, to which strokes would seem to go on."""
    joined = cv2.morphologyEx(
        traced.band.view(np.uint8), cv2.MORPH_CLOSE, np.ones((1, DROPOUT + 1), np.uint8)
    )
    # A run of that length fills some bytes of eight columns; nearly always only the rule itself does.
    full = np.packbits(joined, axis=1) == 255
    for step in (1, 2, 4):
        full[:, :-step] &= full[:, step:]
    long = LONG_RUN // 8 - 1
    assert long >= 8
    reaches = np.ceil(halves + SLACK).astype(np.intp).tolist()
    band = traced.band
    for begin, end, reach in zip(traced.begins.tolist(), traced.ends.tolist(), reaches, strict=True):
        if end - begin < 2 * LONG_RUN:
            continue
        beside = full[:, begin // 8 : end // 8 + 1].any(axis=1)
        beside[MARGIN - reach : MARGIN + reach + 1] = False
        if beside.any():
            runs = cv2.morphologyEx(
                np.ascontiguousarray(joined[:, begin:end]), cv2.MORPH_OPEN, np.ones((1, LONG_RUN), np.uint8)
            )
            runs[MARGIN - reach : MARGIN + reach + 1] = 0
            if runs.any():
                band = band.copy() if band is traced.band else band
                band[:, begin:end] &= cv2.dilate(runs, np.ones((3, 1), np.uint8)) == 0
    return band


def _without_spurs(touched: Mask) -> Mask:
    """Clears, in each row, runs of fewer than ``SPUR`` columns: the ragged edge of a rule, not a stroke."""
    kernel = np.ones((1, SPUR), np.uint8)
    return cv2.morphologyEx(touched.view(np.uint8), cv2.MORPH_OPEN, kernel).view(np.bool_)


def _bridges(
    traced: TracedRules, rules: Sequence[ExpectedRule], touched: Mask, direction: int, halves: Floats
) -> Mask:
    """Columns between two strokes that run together inside the rule, like the bottom of a u written on it.

    ``direction`` is -1 for strokes that come from above, 1 from below. Two neighbouring contacts are joined
    if they are at most ``MAX_BRIDGE`` apart and both lean towards each other.
    """
    joined = np.zeros_like(touched)
    changes = np.flatnonzero(touched[1:] != touched[:-1]) + 1
    bounds = np.concatenate([[0], changes]) if touched[0] else changes
    bounds = np.append(bounds, len(touched)) if len(bounds) % 2 else bounds
    lefts, rights = bounds[1:-1:2], bounds[2::2]
    near = (rights - lefts <= MAX_BRIDGE) & (traced.rule_of[lefts - 1] == traced.rule_of[rights])
    for left_stop, right_start in zip(lefts[near].tolist(), rights[near].tolist(), strict=True):
        rule = int(traced.rule_of[right_start])
        ink, shift = rules[int(traced.which[rule])].ink, int(traced.shifts[rule])
        level = round(float(traced.middle[left_stop]))
        distance = round(float(halves[rule]) + SLACK + 1)
        rows = [level + direction * (distance + further) for further in (0, LEAN_OVER)]
        if _lean_together(ink, rows, left_stop + shift, right_start + shift):
            joined[left_stop:right_start] = True
    return joined


def _lean_together(ink: Mask, rows: Sequence[int], left_stop: int, right_start: int) -> bool:
    """Whether two strokes are farther from each other in the second of two rows than in the first."""
    gaps = []
    for row in rows:
        if not 0 <= row < ink.shape[0]:
            return False
        first = max(0, left_stop - 1 - SPUR - LEAN_OVER)
        line = ink[row, first : right_start + SPUR + LEAN_OVER]
        center = (left_stop + right_start) // 2 - first
        left, right = np.flatnonzero(line[:center]), np.flatnonzero(line[center:])
        if len(left) == 0 or len(right) == 0:
            return False
        gaps.append((center - left[-1], right[0]))
    return all(far - close >= 1 for close, far in zip(*gaps, strict=True))


def _erase_corners(cleaned: Mask, frame: Frame) -> None:
    """Clears the four corners, where each side looks like a stroke crossing the other."""
    reach = round(frame.width / 2 + SLACK)
    height, width = cleaned.shape
    for y in (frame.top, frame.bottom):
        for x in (frame.left, frame.right):
            rows = slice(max(0, round(y) - reach), min(height, round(y) + reach + 1))
            columns = slice(max(0, round(x) - reach), min(width, round(x) + reach + 1))
            cleaned[rows, columns] = False
