"""Which of the strokes around a field are its own, for all fields of a page in one go.

These are the components with a good share of their ink in the writing area, and beside it those that go on
with the row of writing: as high as letters, at the same level, next to ink already kept.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field
from itertools import accumulate, pairwise

import numpy as np
from numpy.typing import NDArray

from segmentation.cell_lines import CellLines
from segmentation.components import Components
from segmentation.rules import Frame
from segmentation.templates import Box

OWN_SHARE = 0.3  # of a component's ink in the writing area that makes it the field's own
OWN_SHARE_OF_MARK = 0.15  # the same of a tick box, as ticks may be much larger than their box
RULE_BAND = 4  # pixels beside a removed rule in which flat components are its remains
CELL_LINE_BAND = 3  # pixels beside a removed cell line in which only its remains stand
RULED_BAND = 6  # pixels beside the middle of a removed line to write on in which only its remains stand
SPECK = 10  # pixels of ink below which a component is dust

Mask = NDArray[np.bool_]


@dataclass(frozen=True, slots=True)
class Strokes:
    """The ink around a field.

    Attributes:
        parts: its components, the printed rules removed.
        area: the writing area in pixels of their raster.
        layout: of the field.
        frame: the printed frame that was removed, if there was one, in pixels of the same raster.
        lines: the cell lines that were removed, if there were any, likewise.
        ruled: the rows of the printed lines to write on that were removed.
    """

    parts: Components
    area: Box
    layout: str
    frame: Frame | None = None
    lines: CellLines | None = None
    ruled: list[float] = field(default_factory=list)


def own_parts(fields: Sequence[Strokes]) -> list[Mask]:
    """For each field bool (N,): its own components."""
    if not fields:
        return []
    counts = [len(strokes.parts) for strokes in fields]
    stops = list(accumulate(counts))
    areas = np.concatenate([strokes.parts.areas for strokes in fields])
    keep = np.zeros(len(areas), bool)
    some = np.flatnonzero(areas >= SPECK)  # of noise, which has thousands of components, hardly any
    if len(some):
        edges = [0, *np.searchsorted(some, stops).tolist()]
        places = [slice(first, last) for first, last in pairwise(edges)]
        keep[some] = _judge(fields, places, some, np.repeat(np.arange(len(fields)), counts)[some])
    return [keep[stop - count : stop] for stop, count in zip(stops, counts, strict=True)]


def _judge(
    fields: Sequence[Strokes], places: Sequence[slice], some: NDArray[np.intp], field_of: NDArray[np.intp]
) -> Mask:
    """bool (M,): which of some components of all fields are own.

    Args:
        fields: their strokes.
        places: for each field, which of the M components are its.
        some: int (M,) which they are among the components of all fields, one field after the other.
        field_of: int (M,) whose they are.
    """
    left, top, width, height = np.concatenate([strokes.parts.boxes for strokes in fields])[some].T
    boxes = _Boxes(left, top, left + width, top + height)
    areas = np.concatenate([strokes.parts.areas for strokes in fields])[some]
    firsts = np.cumsum([0, *(len(strokes.parts) for strokes in fields)])[field_of]
    remains = _rule_remains(boxes, fields, field_of)
    for strokes, place in zip(fields, places, strict=True):
        if strokes.lines is not None:
            remains[place] |= _cell_line_remains(boxes, place, strokes.lines)
        if strokes.ruled:
            remains[place] |= _line_remains(boxes, place, strokes.ruled)
    shares = np.array([OWN_SHARE_OF_MARK if one.layout == "mark" else OWN_SHARE for one in fields])
    inside = _ink_inside(boxes, areas, fields, field_of, some - firsts + 1, ~remains)
    keep = ~remains & (inside >= shares[field_of] * areas)
    centers = np.concatenate([strokes.parts.centers for strokes in fields])[some]
    _add_letters_beside(keep, boxes, centers, fields, field_of, places, remains)
    return keep


@dataclass(frozen=True, slots=True)
class _Boxes:
    """The boxes around components of all fields, int (M,) each, in pixels of their own raster."""

    left: NDArray[np.int32]
    top: NDArray[np.int32]
    right: NDArray[np.int32]
    bottom: NDArray[np.int32]


def _rule_remains(boxes: _Boxes, fields: Sequence[Strokes], field_of: NDArray[np.intp]) -> Mask:
    """bool (M,): flat components within the band of a removed rule."""
    nowhere = Frame(np.nan, np.nan, np.nan, np.nan, 0.0)  # no comparison with it holds
    frames = [strokes.frame or nowhere for strokes in fields]
    levels = np.array([(one.left, one.top, one.right, one.bottom) for one in frames])
    bands = np.array([one.width / 2 + RULE_BAND for one in frames])
    low, high = (levels - bands[:, None])[field_of].T, (levels + bands[:, None] + 1)[field_of].T
    upright = (boxes.left >= low[0]) & (boxes.right <= high[0])
    upright |= (boxes.left >= low[2]) & (boxes.right <= high[2])
    level = (boxes.top >= low[1]) & (boxes.bottom <= high[1])
    level |= (boxes.top >= low[3]) & (boxes.bottom <= high[3])
    return upright | level


def _cell_line_remains(boxes: _Boxes, place: slice, lines: CellLines) -> Mask:
    """bool: those components of one field, at ``place``, within the band of a removed cell line."""
    left, right = boxes.left[place, None], boxes.right[place, None]
    middles, bands = lines.middles[lines.found], lines.widths[lines.found] / 2 + CELL_LINE_BAND
    within: Mask = (left >= middles - bands) & (right <= middles + bands + 1)
    return np.logical_or.reduce(within, axis=1)


def _line_remains(boxes: _Boxes, place: slice, ruled: Sequence[float]) -> Mask:
    """bool: those components of one field, at ``place``, within the band of a removed line to write on."""
    top, bottom, middles = boxes.top[place, None], boxes.bottom[place, None], np.array(ruled)
    within: Mask = (top >= middles - RULED_BAND) & (bottom <= middles + RULED_BAND + 1)
    return np.logical_or.reduce(within, axis=1)


def _ink_inside(
    boxes: _Boxes,
    areas: NDArray[np.int32],
    fields: Sequence[Strokes],
    field_of: NDArray[np.intp],
    labels: NDArray[np.intp],
    wanted: Mask,
) -> NDArray[np.intp]:
    """int (M,): pixels of each wanted component, of that label, in the writing area; 0 for the others."""
    edges = np.array([(one.area.x, one.area.y, one.area.right, one.area.bottom) for one in fields])
    x0, y0, x1, y1 = np.maximum(np.rint(edges), 0).astype(np.intp)[field_of].T
    whole = (boxes.left >= x0) & (boxes.top >= y0) & (boxes.right <= x1) & (boxes.bottom <= y1)
    apart = (boxes.left >= x1) | (boxes.top >= y1) | (boxes.right <= x0) | (boxes.bottom <= y0)
    inside = np.where(whole & wanted, areas, 0).astype(np.intp)
    # Counting pixels is worth it only for the few components that lie across the edge.
    for index in np.flatnonzero(wanted & ~whole & ~apart).tolist():
        rows = slice(max(y0[index], boxes.top[index]), min(y1[index], boxes.bottom[index]))
        columns = slice(max(x0[index], boxes.left[index]), min(x1[index], boxes.right[index]))
        raster = fields[field_of[index]].parts.labels
        inside[index] = np.count_nonzero(raster[rows, columns] == labels[index])
    return inside


def _add_letters_beside(
    keep: Mask,
    boxes: _Boxes,
    centers: NDArray[np.float64],
    fields: Sequence[Strokes],
    field_of: NDArray[np.intp],
    places: Sequence[slice],
    remains: Mask,
) -> None:
    """Keeps the letters that go on with a row of writing beyond the ends of its area, in place."""
    x, y = centers.T
    edges = np.array([(one.area.x, one.area.y, one.area.right, one.area.bottom) for one in fields])
    area_left, area_top, area_right, area_bottom = edges[field_of].T
    tall, height = boxes.bottom - boxes.top, area_bottom - area_top
    letter = (tall >= 0.3 * height) & (tall <= 1.2 * height) & ~keep & ~remains
    letter &= (y > area_top) & (y < area_bottom)
    after, before = letter & (x > area_right), letter & (x < area_left)
    for number in np.unique(field_of[after | before]).tolist():
        own, gap = keep[places[number]], 0.6 * fields[number].area.height
        if not own.any() or fields[number].layout in ("comb", "mark"):
            continue
        left, right = boxes.left[places[number]], boxes.right[places[number]]
        edge = right[own].max()
        candidates = np.flatnonzero(after[places[number]])
        for index in candidates[np.argsort(left[candidates], kind="stable")]:
            if left[index] - edge <= gap:
                own[index] = True
                edge = max(edge, right[index])
        edge = left[own].min()
        candidates = np.flatnonzero(before[places[number]])
        for index in candidates[np.argsort(-right[candidates], kind="stable")]:
            if edge - right[index] <= gap:
                own[index] = True
                edge = min(edge, left[index])
