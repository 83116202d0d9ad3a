"""Takes the printed frames of fields out and leaves the strokes that touch or cross them.

Each side of a frame is traced column by column, or row by row (``rule_traces``), and erased but for strokes
(``rule_erasing``). The rules of all fields of a page go together.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from statistics import median

import numpy as np

from segmentation.rule_band import ExpectedRule, Mask
from segmentation.rule_erasing import SLACK, erase_rules
from segmentation.rule_traces import trace_rules

SIDES = ("top", "bottom", "left", "right")
ASTRAY = 40  # pixels that an upright side may lie off on curled paper, where both lying ones are in place
GAP = 42  # pixels at 300 dpi; broken print, and rules of a form drawn faintly, miss less at once
WHOLE = 0.8  # inked share of the height between these that tells it from a stroke


@dataclass(frozen=True, slots=True)
class Frame:
    """The printed frame of a field in its own raster: middle lines of its four sides and their width, pixels.

    ``seen`` is the inked share, 0..1, of that of its long sides of which less was found, ``gap`` the longest
    stretch without ink, in pixels, of that of which less misses at once.
    """

    left: float
    top: float
    right: float
    bottom: float
    width: float
    seen: float = 0.0
    gap: float = 0.0

    def moved(self, x: float, y: float) -> "Frame":
        """The same frame, so many pixels farther right and down."""
        sides = self.left + x, self.top + y, self.right + x, self.bottom + y
        return Frame(*sides, self.width, self.seen, self.gap)


def remove_frame(ink: Mask, expected: Frame, digits: bool = False) -> tuple[Mask, Frame]:
    """A copy without the four sides of a printed frame, and the frame; see ``remove_frames``."""
    cleaned = ink.copy()
    return cleaned, remove_frames([cleaned], [expected], [digits])[0]


def remove_frames(
    inks: Sequence[Mask], expected: Sequence[Frame], digits: Sequence[bool] | None = None
) -> list[Frame]:
    """Removes the four sides of printed frames, one of each field.

    Args:
        inks: bool (H, W) of each field's raster, upright; True = ink. The frames are removed from them, when
            all have been looked at: they may be views of one raster and overlap.
        expected: where registration expects the middle of each side.
        digits: whether nothing but digits is written in each field, whose loops are closed where a side hides
            their ends; None for other fields alone.

    Returns:
        For each field the frame as it was found. A side of which less than two fifths is there is left alone,
        and stays where it was expected.
    """
    only = digits or [False] * len(inks)
    rules = _sides(inks, expected, only)
    traced = trace_rules(rules)
    if traced is None:
        return list(expected)
    found = {place: number for number, place in enumerate(traced.which.tolist())}
    astray = _astray(rules, expected, found, traced.levels.tolist())
    if astray:
        expected = [astray.get(field, frame) for field, frame in enumerate(expected)]
        rules = _sides(inks, expected, only)
        traced = trace_rules(rules)
        if traced is None:
            return list(expected)
        found = {place: number for number, place in enumerate(traced.which.tolist())}
    levels, seen, thick = traced.levels.tolist(), traced.seen.tolist(), traced.widths.tolist()
    gaps = traced.gaps(GAP)
    widths = traced.widths.copy()
    frames = []
    for field, frame in enumerate(expected):
        numbers = [found.get(4 * field + place) for place in range(4)]
        own = [number for number in numbers if number is not None]
        if not own:
            frames.append(frame)
            continue
        width = median(thick[number] for number in own)
        widths[own] = width
        places = {
            side: getattr(frame, side) if number is None else levels[number]
            for side, number in zip(SIDES, numbers, strict=True)
        }
        long_sides = (0.0 if number is None else seen[number] for number in numbers[:2])
        gap = min((gaps[number] for number in numbers[:2] if number is not None), default=0.0)
        frames.append(Frame(**places, width=width, seen=min(long_sides), gap=gap))
    erase_rules(traced, rules, [ink for ink in inks for _ in SIDES], widths)
    for ink, frame, before in zip(inks, frames, expected, strict=True):
        if frame is not before:
            _erase_corners(ink, frame)
    return frames


def _sides(inks: Sequence[Mask], expected: Sequence[Frame], digits: Sequence[bool]) -> list[ExpectedRule]:
    """The four sides of each frame, in order of ``SIDES``."""
    rules = []
    for ink, frame, only in zip(inks, expected, digits, strict=True):
        rules += [
            ExpectedRule(ink, level, frame.left, frame.right, digits=only)
            for level in (frame.top, frame.bottom)
        ]
        rules += [
            ExpectedRule(ink, x, frame.top, frame.bottom, upright=True, digits=only)
            for x in (frame.left, frame.right)
        ]
    return rules


def _astray(
    rules: Sequence[ExpectedRule],
    expected: Sequence[Frame],
    found: Mapping[int, int],
    levels: Sequence[float],
) -> dict[int, Frame]:
    """Frames of which both lying sides are in their places, but an upright one stands somewhat beside it.

    On curled or photographed paper a box may lie to one side by more than a rule is looked for; left in its
    field, its side would be read as a 1.

    Args:
        rules: as ``_sides`` gives them.
        expected: the frames as they were expected.
        found: by place in ``rules``, the number of each traced one.
        levels: of the traced ones.

    Returns:
        By place in ``expected``, where such frames are instead.
    """
    astray: dict[int, Frame] = {}
    for field, frame in enumerate(expected):
        lying = [found.get(4 * field + place) for place in (0, 1)]
        missing = [place for place in (2, 3) if 4 * field + place not in found]
        if not missing or None in lying:
            continue
        top, bottom = (levels[number] for number in lying if number is not None)
        for place in missing:
            rule = rules[4 * field + place]
            first = max(0, round(rule.level) - ASTRAY)
            rows = slice(max(0, round(top + frame.width)), max(0, round(bottom - frame.width) + 1))
            between = rule.ink[rows, first : round(rule.level) + ASTRAY + 1]
            share = between.mean(axis=0) if between.size else np.zeros(1)
            best = int(share.argmax())
            if share[best] >= WHOLE:
                moved = replace(astray.get(field, frame), top=top, bottom=bottom)
                astray[field] = replace(moved, **{SIDES[place]: float(first + best)})
    return astray


def remove_rules(
    rules: Sequence[ExpectedRule], targets: Sequence[Mask], search: int, coverage: float
) -> list[tuple[float, float] | None]:
    """Removes rules as ``remove_frames`` does.

    Args:
        rules: where they are expected.
        targets: bool (H, W) for each rule, like its ink, changed in place.
        search: rows that a rule may lie off.
        coverage: inked share of three rows together, 0..1, at least, if a rule is there.

    Returns:
        For each rule the row of its middle (of an upright one the column) and its width in pixels; None, and
        nothing is removed, if it is not there.
    """
    removed: list[tuple[float, float] | None] = [None] * len(rules)
    traced = trace_rules(rules, search, coverage)
    if traced is not None:
        erase_rules(traced, rules, targets, traced.widths)
        found = zip(traced.which.tolist(), traced.levels.tolist(), traced.widths.tolist(), strict=True)
        for place, level, width in found:
            removed[place] = level, width
    return removed


def _erase_corners(cleaned: Mask, frame: Frame) -> None:
    """Clears the four corners, where each side looks like a stroke crossing the other."""
    reach = round(frame.width / 2 + SLACK)
    rows, columns = (
        [slice(max(0, round(level) - reach), max(0, round(level) + reach + 1)) for level in levels]
        for levels in ((frame.top, frame.bottom), (frame.left, frame.right))
    )
    for band in rows:
        for part in columns:
            cleaned[band, part] = False
