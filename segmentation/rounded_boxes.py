"""Tells boxes with round corners, and rings to tick, from letters: by their corners and what stands beside.

A box with round corners has straight sides between them. A letter has neighbours at the distance of letters,
a ring to tick does not, and there are others of its size in its row or column.
"""

from dataclasses import replace

import numpy as np

from segmentation.enclosures import MAX_RADIUS, Enclosure, find_enclosures, line_around
from segmentation.printed_boxes import LETTER_SIDE, PrintedBox
from segmentation.printed_lines import PrintedPage

# Lengths in inches, so that pages of any resolution are treated alike.
MIN_INSIDE = 0.08  # of the smallest box
ROUND_CORNER = 0.015  # radius of a corner, from which it is not square
BLED_CORNER = 0.03  # the same of a larger box, of which a little bled ink in the corners is no matter
STRAIGHT = 0.4  # share of the longer side of a box that is straight, at least
ALL_ROUND = 0.5  # least radius of four corners, in usual ones, if none of them is square
FILLED = 0.95  # share of a box that its inside fills, beside its corners; it may lean a little
NEAR = 0.07  # by which the sides of one box may be found apart
LETTER_CORNER = 0.35  # radius, in shorter sides, from which a corner of a small shape is that of a letter
COVERED = 0.45  # share of a box that the loops of a letter take, of which it is a part
RING_SIDES = (0.09, 0.28)  # diameters of rings to tick
RING_ASPECT = 1.12  # of its longer to its shorter side, at most
RING_SHARE = (0.74, 0.83)  # of its square that a ring's inside fills: a circle fills pi / 4
RING_LINE = 0.2  # thickness of the line of a ring, in diameters, at most
APART = 0.3  # in diameters, that ink to the left and to the right of a ring keeps away
ALONE = 1.2  # the same of that on one of both sides
ALIKE = 0.1  # in diameters, by which rings of one question differ, and letters of one row in height
IN_LINE = 0.4  # in diameters, by which they may lie out of their row or column


def add_rounded(boxes: list[PrintedBox], page: PrintedPage) -> list[PrintedBox]:
    """The boxes of a page that were found by their lines, without letters, with rounded boxes and rings.

    Args:
        boxes: as ``printed_boxes.find_boxes`` gives them.
        page: where they were found.
    """
    insides = find_enclosures(page)
    rounded = [_box(inside, page) for inside in insides if _is_rounded(inside, page.dpi)]
    curved = [box for box in rounded if box.radius]
    kept = [
        box
        for box in boxes
        if not _is_letter(box, insides, page)
        and (box.dividers or not any(_is_known(box, other, page.dpi) for other in curved))
    ]
    kept += [box for box in rounded if not any(_is_known(box, other, page.dpi) for other in kept)]
    return kept + [_box(ring, page, ring=True) for ring in _rings(insides, page)]


def _box(inside: Enclosure, page: PrintedPage, *, ring: bool = False) -> PrintedBox:
    box = PrintedBox(*line_around(page, inside), ring=ring)
    radii = np.minimum(inside.radii, inside.bends)
    least, usual = float(radii.min()), float(np.median(radii))
    small = max(inside.width, inside.height) <= LETTER_SIDE * page.dpi
    if ring or least < ALL_ROUND * usual or usual < (ROUND_CORNER if small else BLED_CORNER) * page.dpi:
        return box
    return replace(box, radius=usual + inside.left - box.left)


def _is_known(box: PrintedBox, other: PrintedBox, dpi: float) -> bool:
    """Whether a box is another one, or a cell of it."""
    near = NEAR * dpi
    return box.within(other, near) and (bool(other.dividers) or other.within(box, near))


def _is_rounded(inside: Enclosure, dpi: float) -> bool:
    """Whether this is the inside of a box of which a corner is round."""
    long, short = max(inside.width, inside.height), min(inside.width, inside.height)
    if short < MIN_INSIDE * dpi:
        return False
    radius = float(inside.radii.max())
    if radius > MAX_RADIUS * dpi or inside.filled < FILLED:
        return False
    if long <= LETTER_SIDE * dpi:  # a little radius is much of so small a box, and its lines are short
        return not _has_round_side(inside)
    return radius >= ROUND_CORNER * dpi and long - 2 * radius >= STRAIGHT * long


def _is_letter(box: PrintedBox, insides: list[Enclosure], page: PrintedPage) -> bool:
    """Whether a small box is a letter with a loop: round at one side or all around."""
    if max(box.width, box.height) > LETTER_SIDE * page.dpi or box.dividers:
        return False
    loops = (_shared(inside, box) for inside in insides if _has_round_side(inside))
    return sum(loops) >= COVERED * box.width * box.height


def _shared(inside: Enclosure, box: PrintedBox) -> float:
    """The area of a box that an inside no larger than a letter's takes, in pixels; of a D a part is a box."""
    if inside.width * inside.height > 2.5 * box.width * box.height:
        return 0.0
    wide = min(inside.right, box.right) - max(inside.left, box.left)
    high = min(inside.bottom, box.bottom) - max(inside.top, box.top)
    return max(0.0, wide) * max(0.0, high)


def _has_round_side(inside: Enclosure) -> bool:
    """Whether a small shape has corners as round as those of D, O or 0."""
    radius = float(inside.radii.max())
    return inside.filled >= FILLED and radius > LETTER_CORNER * min(inside.width, inside.height)


def _rings(insides: list[Enclosure], page: PrintedPage) -> list[Enclosure]:
    """Rings that stand apart, two or more of a size in a row or a column."""
    rings = [inside for inside in insides if _is_ring(inside, page.dpi) and _stands_apart(inside, page)]
    return [ring for ring in rings if any(_belong_together(ring, other) for other in rings)]


def _is_ring(inside: Enclosure, dpi: float) -> bool:
    long, short = max(inside.width, inside.height), min(inside.width, inside.height)
    left, top, right, bottom = inside.around
    thick = max(inside.left - left, right - inside.right, inside.top - top, bottom - inside.bottom)
    return (
        RING_SIDES[0] * dpi <= long <= RING_SIDES[1] * dpi
        and long <= RING_ASPECT * short
        and RING_SHARE[0] <= inside.share <= RING_SHARE[1]
        and thick <= RING_LINE * long
    )


def _stands_apart(ring: Enclosure, page: PrintedPage) -> bool:
    """Whether what is printed beside a ring is no farther part of its word, and no letters are as high."""
    gaps = _gaps(ring, page)
    return min(gaps) >= APART and max(gaps) >= ALONE and not _has_letters_beside(ring, page)


def _gaps(inside: Enclosure, page: PrintedPage) -> tuple[float, float]:
    """The white to the left and to the right of the ink around an inside, in heights, 2 at most."""
    left, top, right, bottom = (round(edge) for edge in inside.around)
    reach = round(2 * (bottom - top))
    rows = page.ink[top : bottom + 1]
    before, after = rows[:, max(0, left - reach) : left][:, ::-1], rows[:, right + 1 : right + 1 + reach]
    gaps = []
    for beside in (before, after):
        places = np.flatnonzero(np.logical_or.reduce(beside, axis=0))
        gaps.append(float(places[0]) / (bottom - top) if len(places) else 2.0)
    return gaps[0], gaps[1]


def _has_letters_beside(inside: Enclosure, page: PrintedPage) -> bool:
    """Whether the ink at either side of a closed shape is as high as it is and at its level, as in a word."""
    left, top, right, bottom = (round(edge) for edge in inside.around)
    high, wide = bottom - top, right - left
    if wide > 1.5 * inside.width:  # a shape that hangs together with others is no letter
        return False
    reach, beyond = round(1.2 * high), round(0.5 * high)
    alike = []
    for columns in (slice(max(0, left - reach), left), slice(right + 1, right + 1 + reach)):
        first = max(0, top - beyond)
        rows = np.flatnonzero(page.ink[first : bottom + beyond, columns].any(axis=1)) + first
        if len(rows):
            slack = max(2.0, ALIKE * high)
            alike.append(abs(rows[0] - top) <= slack and abs(rows[-1] - bottom) <= slack)
    return any(alike)


def _belong_together(ring: Enclosure, other: Enclosure) -> bool:
    if ring is other or abs(ring.width - other.width) > ALIKE * ring.width:
        return False
    (x, y), (other_x, other_y) = ring.middle, other.middle
    return min(abs(x - other_x), abs(y - other_y)) <= IN_LINE * ring.width
