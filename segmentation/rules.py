"""Takes the printed frames of fields out and leaves the strokes that touch or cross them.

Each side of a frame is traced column by column, or row by row (``rule_traces``), and erased but for strokes
(``rule_erasing``). The rules of all fields of a page go together.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from statistics import median

from segmentation.rule_band import ExpectedRule, Mask
from segmentation.rule_erasing import SLACK, erase_rules
from segmentation.rule_traces import trace_rules

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
    rules = []
    for ink, frame, only in zip(inks, expected, digits or [False] * len(inks), strict=True):
        rules += [
            ExpectedRule(ink, level, frame.left, frame.right, digits=only)
            for level in (frame.top, frame.bottom)
        ]
        rules += [
            ExpectedRule(ink, x, frame.top, frame.bottom, upright=True, digits=only)
            for x in (frame.left, frame.right)
        ]
    traced = trace_rules(rules)
    if traced is None:
        return list(expected)
    found = {place: number for number, place in enumerate(traced.which.tolist())}
    levels, seen, thick = traced.levels.tolist(), traced.seen.tolist(), traced.widths.tolist()
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
        frames.append(Frame(**places, width=width, seen=min(long_sides)))
    erase_rules(traced, rules, [ink for ink in inks for _ in SIDES], widths)
    for ink, frame, before in zip(inks, frames, expected, strict=True):
        if frame is not before:
            _erase_corners(ink, frame)
    return frames


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
