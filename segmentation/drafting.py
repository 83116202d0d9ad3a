"""Drafts a template from one page of a form: its printed boxes become fields, named in reading order.

What stands beside a box is not read: names, charsets and lengths are guesses, and the file says what to edit.
"""

import json
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field
from math import ceil, floor

import numpy as np
from numpy.typing import NDArray

from segmentation.cell_rows import join_cells
from segmentation.field_print import PrintInside
from segmentation.lines_to_write import find_lines_to_write
from segmentation.printed_boxes import PrintedBox, cell_dividers, find_boxes
from segmentation.printed_lines import PrintedPage, straighten
from segmentation.registration import FRAME_INSET
from segmentation.rounded_boxes import add_rounded
from segmentation.templates import LAYOUTS, Box

Floats = NDArray[np.float64]

PAPERS = (8.5, 8.27)  # inches: widths of letter and A4
RESOLUTIONS = (100, 150, 200, 240, 300, 400, 600)
MARK_SIDE = 0.34  # inches: a lone box whose sides are no longer is for a tick
MARK_ASPECT = 1.7  # of its longer to its shorter side, at most
PARAGRAPH_HEIGHT = 0.6  # inches from which a box has room for several rows
TICK_SHARE = 0.12  # of the height of a box, that a short line between two cells has at least
EVEN = 0.012  # inches by which cell lines may lie off equal spacing
IN_RING = 0.62  # side of the square inside a ring, in its diameters: clear of its line by a twentieth
SMALL_INSET = 0.08  # share of a box's area below which what lies in it is writing, not another box


class DraftingError(Exception):
    """No template can be drafted from this page; ``code`` is stable, the message says why."""

    def __init__(self, code: str, message: str) -> None:
        """Keeps the code beside the message."""
        super().__init__(message)
        self.code = code


@dataclass(frozen=True, slots=True)
class DraftedField:
    """A guess at one field.

    Attributes:
        name: ``field_01`` and so on, in reading order.
        box: to the outer edge of its printed frame, in pixels of the upright page.
        layout: as in ``segmentation.templates``.
        cell_edges: x of the lines between the cells of a comb; empty for other layouts.
        even: whether the cells are equally wide.
        framed: whether lines are printed all around it.
        gap: white between two cells of a comb, in pixels; 0 if they share a line.
        radius: of the outer edge of the frame at its corners, in pixels; 0 if they are square.
    """

    name: str
    box: Box
    layout: str
    cell_edges: tuple[float, ...] = ()
    even: bool = True
    framed: bool = True
    radius: float = 0.0
    gap: float = 0.0


@dataclass(frozen=True, slots=True)
class Draft:
    """Fields found on a page that was ``skew`` degrees askew, in pixels of the page turned upright.

    ``upright`` is that page, uint8 (H, W), 0 = black, of ``width`` x ``height`` pixels at ``dpi``.
    """

    width: int
    height: int
    dpi: float
    skew: float
    fields: tuple[DraftedField, ...]
    upright: NDArray[np.uint8] = field(repr=False, compare=False)


def guess_dpi(width: int, height: int) -> int:
    """The resolution at which a page of so many pixels is nearest to a usual size of paper."""
    short = min(width, height)
    errors = {dpi: min(abs(short / dpi / paper - 1) for paper in PAPERS) for dpi in RESOLUTIONS}
    return min(errors, key=lambda dpi: errors[dpi])


def draft_template(gray: NDArray[np.uint8], dpi: float) -> Draft:
    """Finds the fields of a form on a blank page; a filled one will do.

    Args:
        gray: uint8 (H, W), 0 = black, upright but for a few degrees of skew.
        dpi: its resolution.

    Raises:
        DraftingError: ``no_boxes`` if nothing on the page is a closed rectangle, ``only_lines`` if there are
            but lines to write on.
    """
    page = straighten(gray, dpi)
    found = join_cells(add_rounded(find_boxes(page), page), dpi)
    boxes = _without_frames([_with_short_dividers(box, page) for box in found], dpi)
    lines = find_lines_to_write(page, boxes)
    if not boxes:
        if lines:
            raise DraftingError(
                "only_lines", f"{len(lines)} lines to write on, but no closed box on this page"
            )
        raise DraftingError("no_boxes", "no closed box is printed on this page")
    boxes += lines
    digits = max(2, len(str(len(boxes))))
    fields = [
        _draft_field(f"field_{number:0{digits}d}", box, dpi, gray.shape)
        for number, box in enumerate(reading_order(boxes), 1)
    ]
    return Draft(gray.shape[1], gray.shape[0], dpi, page.skew, tuple(fields), page.gray)


def reading_order(boxes: list[PrintedBox]) -> list[PrintedBox]:
    """Boxes row by row, each from left to right; a row is what overlaps its first box by half in height."""
    left = sorted(boxes, key=lambda box: box.top)
    ordered: list[PrintedBox] = []
    while left:
        first = left[0]
        row = [
            box
            for box in left
            if min(box.bottom, first.bottom) - max(box.top, first.top) >= 0.5 * min(box.height, first.height)
            and box.height <= 2 * first.height
        ]
        ordered += sorted(row, key=lambda box: box.left)
        left = [box for box in left if box not in row]
    return ordered


def template_text(draft: Draft, name: str, source: str, inside: PrintInside | None = None) -> str:
    """The draft as a template file with comments that say what to edit.

    Args:
        draft: what was found.
        name: of the form.
        source: the file it was drafted from.
        inside: what is printed in its fields; if the page has been filled, comments say where.
    """
    layouts = Counter(field.layout for field in draft.fields)
    counts = ", ".join(f"{layouts[layout]} {layout}" for layout in LAYOUTS if layouts[layout])
    head = f"""\
# Drafted from {source}: {len(draft.fields)} fields ({counts}).
# Look at them:  formscribe template preview THIS_FILE {source} --out overlay.png
#
# To edit, for each field:
#   name     what it is called in the output; the draft only counts in reading order.
#   charset  digits, upper, lower, letters, alphanumeric or text: the narrower, the better it is read.
#   length   how many characters, as 5 or [0, 5], spaces not counted.
#   ignore   areas with print inside the box, which is not read.
#   layout   line, comb (with cells), mark (a tick) or paragraph (several rows).
# Delete the tables of boxes that are no fields (photographs, notices, office use).
# Then:  formscribe template check THIS_FILE
#
# Lengths are pixels at this dpi, from the top left corner of the upright page. A box is
# [x, y, width, height] to the outer edge of its printed frame.

[form]
name = {_quoted(name)}
title = {_quoted(name)}
dpi = {draft.dpi:g}
width = {draft.width}
height = {draft.height}
"""
    return head + "".join(
        _field_text(field, draft.dpi) + _ignored_text(field.name, inside) for field in draft.fields
    )


def _ignored_text(name: str, inside: PrintInside | None) -> str:
    """The line of a field with the areas in which nothing is read."""
    if inside is None or name not in inside.areas:
        return ""
    line = f"ignore = {areas_text(inside.areas[name])}"
    return f"# {line}  # if this is print\n" if inside.filled else f"{line}  # print inside\n"


def areas_text(areas: Sequence[Box]) -> str:
    """Areas as a template writes them, rounded outwards to whole pixels."""
    numbers = (
        [floor(area.x), floor(area.y), ceil(area.right) - floor(area.x), ceil(area.bottom) - floor(area.y)]
        for area in areas
    )
    return str(list(numbers))


def _field_text(field: DraftedField, dpi: float) -> str:
    box = field.box
    numbers = ", ".join(f"{v:.1f}".removesuffix(".0") for v in (box.x, box.y, box.width, box.height))
    size = f"{25.4 * box.width / dpi:.0f} x {25.4 * box.height / dpi:.0f} mm"
    lines = ["", f"[[field]]  # {size}", f"name = {_quoted(field.name)}", f"box = [{numbers}]"]
    lines.append(f'layout = "{field.layout}"')
    if field.layout == "comb":
        if field.even:
            lines.append(f"cells = {len(field.cell_edges) + 1}")
        else:
            edges = ", ".join(f"{x:.1f}" for x in field.cell_edges)
            lines.append(f"cell_edges = [{edges}]  # {len(field.cell_edges) + 1} cells, not equally wide")
    if not field.framed:
        lines.append("frame = false")
    if field.gap:
        lines.append(f"gap = {field.gap:.1f}")
    if field.radius:
        lines.append(f"radius = {field.radius:.0f}")
    if field.layout != "mark":
        lines.append('charset = "text"')
    return "\n".join(lines) + "\n"


def _quoted(text: str) -> str:
    """A TOML basic string; JSON escapes the same way."""
    return json.dumps(text, ensure_ascii=False)


def _draft_field(name: str, box: PrintedBox, dpi: float, shape: tuple[int, ...]) -> DraftedField:
    if box.ring:
        return DraftedField(name, _in_ring(box), "mark", framed=False)
    if box.open:
        numbers = (round(v, 1) for v in (box.left, box.top, box.width, box.height))
        return DraftedField(name, Box(*numbers), "line", framed=False)
    inset = FRAME_INSET * dpi
    # Lines were measured between the middles of pixels, boxes count from the corner of the first one.
    x, y = max(0.0, box.left + 0.5 - inset), max(0.0, box.top + 0.5 - inset)
    right = min(float(shape[1]), box.right + 0.5 + inset)
    bottom = min(float(shape[0]), box.bottom + 0.5 + inset)
    place = Box(round(x, 1), round(y, 1), round(right - x - 0.05, 1), round(bottom - y - 0.05, 1))
    # The outer cells end half a gap before the place where another one would begin.
    edges = np.array([box.left - box.gap / 2, *box.dividers, box.right + box.gap / 2])
    off = np.abs(edges - np.linspace(edges[0], edges[-1], len(edges))).max()
    return DraftedField(
        name,
        place,
        _layout(box, dpi),
        cell_edges=tuple(x + 0.5 for x in box.dividers),
        even=bool(off <= EVEN * dpi),
        radius=min(round(box.radius + inset), place.height // 2) if box.radius else 0,
        gap=max(0.0, box.gap - 2 * inset),
    )


def _in_ring(ring: PrintedBox) -> Box:
    """The square inside a ring, clear of its line."""
    side = IN_RING * min(ring.width, ring.height)
    x, y = (ring.left + ring.right + 1 - side) / 2, (ring.top + ring.bottom + 1 - side) / 2
    return Box(round(x, 1), round(y, 1), round(side, 1), round(side, 1))


def _layout(box: PrintedBox, dpi: float) -> str:
    if box.dividers:
        return "comb"
    long, short = max(box.width, box.height), min(box.width, box.height)
    if long <= MARK_SIDE * dpi and long <= MARK_ASPECT * short:
        return "mark"
    return "paragraph" if box.height >= PARAGRAPH_HEIGHT * dpi else "line"


def _without_frames(boxes: list[PrintedBox], dpi: float) -> list[PrintedBox]:
    """Leaves out frames around other boxes, and boxes that are but strokes of writing inside a field."""
    slack = 0.02 * dpi
    kept = []
    for box in boxes:
        inner = [other for other in boxes if other is not box and other.within(box, slack)]
        outer = [other for other in boxes if other is not box and box.within(other, slack)]
        if any(_holds_writing(other, box, dpi) for other in outer):
            continue
        if any(not _holds_writing(box, other, dpi) for other in inner):
            continue
        kept.append(box)
    return kept


def _holds_writing(outer: PrintedBox, inner: PrintedBox, dpi: float) -> bool:
    """Whether a rectangle inside a box is writing: in a comb, or in a box of one row and much smaller."""
    if outer.dividers:
        return True
    small = inner.width * inner.height < SMALL_INSET * outer.width * outer.height
    return small and outer.height < PARAGRAPH_HEIGHT * dpi


def _with_short_dividers(box: PrintedBox, page: PrintedPage) -> PrintedBox:
    """A box whose cells are parted by short lines on its lower edge or below its upper one."""
    if box.dividers or box.height < 0.14 * page.dpi or box.height > PARAGRAPH_HEIGHT * page.dpi:
        return box
    for ticks in (_short_lines(box, page, at_bottom=True), _short_lines(box, page, at_bottom=False)):
        pitched = cell_dividers([box.left, *ticks, box.right], box.height, 0.1 * page.dpi)
        edges = np.array([box.left, *pitched, box.right])
        # Feet of letters stand here too: only an even row of lines is a comb.
        seen = sum(any(abs(x - tick) < 0.02 * page.dpi for tick in ticks) for x in pitched)
        if len(pitched) >= 2 and seen >= 0.8 * len(pitched) and seen >= 0.7 * len(ticks):
            widths = np.diff(edges)
            if np.ptp(widths) <= 0.3 * np.median(widths):
                return PrintedBox(box.left, box.top, box.right, box.bottom, pitched)
    return box


def _short_lines(box: PrintedBox, page: PrintedPage, *, at_bottom: bool) -> list[float]:
    """x of the thin upright lines that stand on the lower edge of a box, or hang from its upper edge."""
    clear = 0.018 * page.dpi
    reach = max(4.0, TICK_SHARE * box.height - clear)
    if at_bottom:
        rows = slice(round(box.bottom - clear - reach), round(box.bottom - clear))
    else:
        rows = slice(round(box.top + clear), round(box.top + clear + reach))
    first, last = round(box.left + 2 * clear), round(box.right - 2 * clear)
    full = page.ink[rows, first:last].mean(axis=0) >= 0.9
    steps = np.flatnonzero(np.diff(np.concatenate([[0], full.astype(np.int8), [0]])))
    thin = [(a, b) for a, b in zip(steps[::2], steps[1::2], strict=True) if b - a <= 0.03 * page.dpi]
    middles = [first + (a + b - 1) / 2 for a, b in thin]
    return [x for i, x in enumerate(middles) if i == 0 or x - middles[i - 1] > 0.03 * page.dpi]
