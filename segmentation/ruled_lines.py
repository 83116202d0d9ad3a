"""Printed lines to write on, inside or below a field: an underlined blank, a paragraph on ruled paper.

Letters that stand on such a line hang together with it and with each other, as one body of ink. Lines are
looked for only where the components of a field say that there may be some, and are taken out like the sides
of a frame: strokes that touch or cross them stay.
"""

from collections.abc import Iterator

import numpy as np

from segmentation.components import Components
from segmentation.rule_band import ExpectedRule, Mask
from segmentation.rules import remove_rules
from segmentation.templates import Box

WIDE = 0.5  # of the writing area that one component, or all flat ones, take if there may be a line
FLAT, LEAST = 0.1, 0.08  # height by width of a flat component, at most, and its width, in those of the area
SHORTEST = 150  # pixels at 300 dpi of a line
STRIPS = 8  # across the writing area, in each of which a line is looked for by itself
INKED = 0.75  # of a strip's columns that a line has ink in, three rows together ...
MOST_STRIPS = 7  # ... in so many strips
DRIFT = 4  # pixels that a line may lie higher or lower in one strip than in the next
APART = 24  # pixels between two lines, at least
COVERED = 0.6  # inked share of three rows of a line together, at least
SEARCH = 5  # pixels that a line may lie off the place that was found so
LOWER = 0.55  # of the height of a field of one row, from which on a line is one to write on


def may_be_ruled(parts: Components, area: Box) -> bool:
    """Whether components around a field are such as those of a printed line, written on or not."""
    if area.width < SHORTEST or not len(parts):
        return False
    width, height = parts.boxes[:, 2], parts.boxes[:, 3]
    if width.max() >= WIDE * area.width:
        return True
    flat = (width >= LEAST * area.width) & (height <= FLAT * width)
    return bool(width[flat].sum() >= WIDE * area.width)


def remove_ruled_lines(ink: Mask, area: Box, one_row: bool, digits: bool) -> tuple[Mask, list[float]]:
    """Takes printed lines out that run through all of a writing area, or just below or above it.

    Args:
        ink: bool (H, W) raster of the field, upright, 300 dpi, its frame removed.
        area: the writing area in its pixels.
        one_row: whether one row is written in the field: what runs through its upper half then is no line to
            write on but may cross out what is written.
        digits: whether nothing but digits is.

    Returns:
        A copy without the lines, ``ink`` itself where there is none; and the rows of their middles.
    """
    left, right = max(0, round(area.x)), min(ink.shape[1], round(area.right))
    levels = list(_levels(ink[:, left:right])) if right - left >= SHORTEST else []
    if one_row:
        levels = [y for y in levels if y >= area.y + LOWER * area.height or y <= area.y]
    if not levels:
        return ink, []
    cleaned = ink.copy()
    rules = [ExpectedRule(ink, level, left, right, digits=digits) for level in levels]
    removed = remove_rules(rules, [cleaned] * len(rules), SEARCH, COVERED)
    found = [place[0] for place in removed if place is not None]
    for rule, place in zip(rules, removed, strict=True):
        if place is not None:
            _erase_ends(cleaned, rule, place)
    return (cleaned, found) if found else (ink, [])


def _levels(ink: Mask) -> Iterator[float]:
    """Rows of level lines that run through all of a raster, but for a gap and a slight lean."""
    height, width = ink.shape
    if height < 3:
        return
    edges = np.linspace(0, width, STRIPS + 1).astype(int)
    three = ink.copy()
    three[1:] |= ink[:-1]
    three[:-1] |= ink[1:]
    counts = np.add.reduceat(three, edges[:-1], axis=1, dtype=np.intp) / np.diff(edges)
    padded = np.pad(counts, ((DRIFT, DRIFT), (0, 0)))
    near = np.lib.stride_tricks.sliding_window_view(padded, 2 * DRIFT + 1, axis=0).max(axis=2)
    inked = np.sort(near, axis=1)[:, STRIPS - MOST_STRIPS]  # of the strips that count, the least
    strength = np.where(inked >= INKED, counts.sum(axis=1), 0.0)
    while strength.any():
        best = int(strength.argmax())
        rows = slice(max(0, best - DRIFT), best + DRIFT + 1)
        yield float(np.average(np.arange(height)[rows], weights=counts[rows].sum(axis=1)))
        strength[max(0, best - APART) : best + APART + 1] = 0.0


def _erase_ends(cleaned: Mask, rule: ExpectedRule, place: tuple[float, float]) -> None:
    """Clears what of a line runs on beyond the writing area."""
    middle, width = place
    reach = round(width / 2) + 2
    rows = slice(max(0, round(middle) - reach), round(middle) + reach + 1)
    cleaned[rows, : round(rule.start)] = False
    cleaned[rows, round(rule.stop) :] = False
