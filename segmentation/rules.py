"""Takes the printed frames of fields out and leaves the strokes that touch or cross them.

Each side of a frame is traced column by column, or row by row (``rule_traces``), and erased but for strokes
(``rule_erasing``). The rules of all fields of a page go together.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from statistics import median
from typing import NamedTuple

import numpy as np

from segmentation.rule_band import ExpectedRule, Mask
from segmentation.rule_erasing import SLACK, erase_rules
from segmentation.rule_traces import TracedRules, trace_rules

SIDES = ("top", "bottom", "left", "right")
ASTRAY = 40  # pixels that an upright side may lie off on curled paper, where both lying ones are in place
GAP = 42  # pixels at 300 dpi; broken print, and rules of a form drawn faintly, miss less at once
CURVE_SLACK = 3.5  # pixels by which a round corner may lie off its place, after its sides were found
WHOLE = 0.8  # inked share of the height between these that tells it from a stroke


@dataclass(frozen=True, slots=True)
class Frame:
    """The printed frame of a field in its own raster: middle lines of its four sides and their width, pixels.

    ``seen`` is the inked share, 0..1, of that of its long sides of which less was found, ``gap`` the longest
    stretch without ink, in pixels, of that of which less misses at once. ``radius`` is that of its middle
    line at the corners.
    """

    left: float
    top: float
    right: float
    bottom: float
    width: float
    seen: float = 0.0
    gap: float = 0.0
    radius: float = 0.0

    def moved(self, x: float, y: float) -> "Frame":
        """The same frame, so many pixels farther right and down."""
        sides = self.left + x, self.top + y, self.right + x, self.bottom + y
        return Frame(*sides, self.width, self.seen, self.gap, self.radius)


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
    sides = _look_for(inks, expected, digits or [False] * len(inks))
    if sides.traced is None:
        return list(sides.expected)
    frames = [_measured(frame, sides.of_frame(number)) for number, frame in enumerate(sides.expected)]
    widths = np.array([frames[place // len(SIDES)].width for place in sides.traced.which.tolist()])
    erase_rules(sides.traced, sides.rules, [ink for ink in inks for _ in SIDES], widths)
    for ink, frame, before in zip(inks, frames, sides.expected, strict=True):
        if frame is not before:
            _erase_corners(ink, frame)
        if frame.radius:
            erase_curves(ink, frame)
    return frames


class _Side(NamedTuple):
    """A side as it was found: its place, its width, and what ``Frame`` says of long ones; all in pixels."""

    level: float
    width: float
    seen: float
    gap: float


@dataclass(frozen=True, slots=True, eq=False)
class _Sides:
    """The sides of frames as they were looked for, and those of them that were found.

    Attributes:
        expected: the frames as they were looked for.
        rules: their sides in order of ``SIDES``, of one frame after the other.
        traced: those that are there; None if none is.
        found: by place in ``rules``, what they are like.
    """

    expected: Sequence[Frame]
    rules: Sequence[ExpectedRule]
    traced: TracedRules | None
    found: Mapping[int, _Side]

    @classmethod
    def near(cls, inks: Sequence[Mask], expected: Sequence[Frame], digits: Sequence[bool]) -> "_Sides":
        """Traces the sides of frames; the arguments are those of ``remove_frames``."""
        rules = _sides(inks, expected, digits)
        traced = trace_rules(rules)
        if traced is None:
            return cls(expected, rules, None, {})
        measures = traced.levels.tolist(), traced.widths.tolist(), traced.seen.tolist(), traced.gaps(GAP)
        found = zip(traced.which.tolist(), map(_Side, *measures), strict=True)
        return cls(expected, rules, traced, dict(found))

    def of_frame(self, number: int) -> list[_Side | None]:
        """Those of a frame in order of ``SIDES``; None for one that was not found."""
        first = len(SIDES) * number
        return [self.found.get(first + place) for place in range(len(SIDES))]


def _look_for(inks: Sequence[Mask], expected: Sequence[Frame], digits: Sequence[bool]) -> _Sides:
    """Traces the sides of frames, and all of them once more where frames stand somewhat beside their places.

    A side that stands elsewhere is another rule to follow, and the lying ones end there.
    """
    sides = _Sides.near(inks, expected, digits)
    astray = _astray(sides)
    if not astray:
        return sides
    return _Sides.near(inks, [astray.get(number, frame) for number, frame in enumerate(expected)], digits)


def _measured(expected: Frame, sides: Sequence[_Side | None]) -> Frame:
    """The frame as it was found; itself if none of its sides was."""
    found = [side for side in sides if side is not None]
    if not found:
        return expected
    places = {
        name: getattr(expected, name) if side is None else side.level
        for name, side in zip(SIDES, sides, strict=True)
    }
    return Frame(
        **places,
        width=median(side.width for side in found),
        seen=min(0.0 if side is None else side.seen for side in sides[:2]),
        gap=min((side.gap for side in sides[:2] if side is not None), default=0.0),
        radius=expected.radius,
    )


def _sides(inks: Sequence[Mask], expected: Sequence[Frame], digits: Sequence[bool]) -> list[ExpectedRule]:
    """The four sides of each frame, in order of ``SIDES``."""
    rules = []
    for ink, frame, only in zip(inks, expected, digits, strict=True):
        rules += [
            ExpectedRule(ink, level, frame.left + frame.radius, frame.right - frame.radius, digits=only)
            for level in (frame.top, frame.bottom)
        ]
        rules += [
            ExpectedRule(
                ink, x, frame.top + frame.radius, frame.bottom - frame.radius, upright=True, digits=only
            )
            for x in (frame.left, frame.right)
        ]
    return rules


def _astray(sides: _Sides) -> dict[int, Frame]:
    """Frames of which both lying sides are in their places, but an upright one stands somewhat beside it.

    On curled or photographed paper a box may lie to one side by more than a rule is looked for; left in its
    field, its side would be read as a 1.

    Returns:
        By place in ``sides.expected``, where such frames are instead.
    """
    astray: dict[int, Frame] = {}
    for number, frame in enumerate(sides.expected):
        top, bottom, *upright = sides.of_frame(number)
        if top is None or bottom is None or None not in upright:
            continue
        between = top.level + frame.width, bottom.level - frame.width
        rules = sides.rules[len(SIDES) * number + 2 : len(SIDES) * (number + 1)]
        levels = {
            name: _upright_beside(rule, *between)
            for name, side, rule in zip(SIDES[2:], upright, rules, strict=True)
            if side is None
        }
        moved = {name: level for name, level in levels.items() if level is not None}
        if moved:
            astray[number] = replace(frame, top=top.level, bottom=bottom.level, **moved)
    return astray


def _upright_beside(rule: ExpectedRule, top: float, bottom: float) -> float | None:
    """The column up to ``ASTRAY`` beside an upright rule with the most ink between two rows.

    None if it has less than a rule has.
    """
    first = max(0, round(rule.level) - ASTRAY)
    rows = slice(max(0, round(top)), max(0, round(bottom) + 1))
    between = rule.ink[rows, first : round(rule.level) + ASTRAY + 1]
    share = between.mean(axis=0) if between.size else np.zeros(1)
    best = int(share.argmax())
    return float(first + best) if share[best] >= WHOLE else None


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


def erase_curves(cleaned: Mask, frame: Frame) -> None:
    """Clears the quarters of a circle by which the sides of a frame with round corners meet."""
    band, radius = frame.width / 2 + CURVE_SLACK, frame.radius
    reach = np.arange(-np.ceil(band), np.ceil(radius) + 1)
    for level, down in ((frame.top, 1), (frame.bottom, -1)):
        for side, right in ((frame.left, 1), (frame.right, -1)):
            rows = np.rint(level + down * reach).astype(np.intp)
            columns = np.rint(side + right * reach).astype(np.intp)
            rows = rows[(rows >= 0) & (rows < cleaned.shape[0])]
            columns = columns[(columns >= 0) & (columns < cleaned.shape[1])]
            y, x = rows - (level + down * radius), columns - (side + right * radius)
            curve = np.abs(np.hypot(y[:, None], x) - radius) <= band
            cleaned[np.ix_(rows, columns)] &= ~curve
