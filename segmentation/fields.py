"""Cuts one field out of a page, upright and at 300 dpi, with only the ink that belongs to it."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace

import cv2
import numpy as np
from numpy.typing import NDArray

from segmentation.cell_lines import CellLines, remove_cell_lines
from segmentation.components import Components, find_components
from segmentation.registration import FRAME_INSET, Registration
from segmentation.rules import Frame, remove_frames
from segmentation.templates import Box, FieldSpec, FormTemplate

CUT_DPI = 300.0  # of every field raster, whatever the template's own, so that sizes in pixels mean the same
OVERHANG = 0.5  # how far beyond its box writing is looked for, above and below, in box heights
OUTREACH = 1.5  # the same to the left and right
MAX_OVERHANG = 0.2  # inches, so that a tall box does not look over half the page
MAX_OUTREACH = 0.5  # inches
OWN_SHARE = 0.3  # of a component's ink in the writing area that makes it the field's own
OWN_SHARE_OF_MARK = 0.15  # the same of a tick box, as ticks may be much larger than their box
CELL_LINE_BAND = 3  # pixels beside a removed cell line in which only its remains stand
SPECK = 10  # pixels of ink below which a component is dust
SPARE_COMPONENTS = 250  # what a field may have besides four for each of its characters; noise has thousands


@dataclass(frozen=True, slots=True)
class FieldInk:
    """The writing of one field, or of one of its rows.

    Attributes:
        parts: the connected strokes of the field's own ink, without print, on a tight raster, 300 dpi.
        area: the writing area inside the frame, in raster pixels; at least one pixel wide and high.
        to_page: float64 (2, 3), raster pixels to page pixels.
        cell_edges: float64 (n + 1,) where the cells of a comb part, in pixels right of ``area.x``; empty for
            any other field.
        frame_seen: inked share of the printed frame, as ``Frame.seen``; 1 for a field without a frame.
    """

    parts: Components
    area: Box
    to_page: NDArray[np.float64]
    cell_edges: NDArray[np.float64] = field(default_factory=lambda: np.zeros(0))
    frame_seen: float = 1.0

    def only(self, keep: NDArray[np.bool_]) -> "FieldInk":
        """The same with those parts for which ``keep``, bool (N,), holds, on the tight raster around them."""
        parts, left, top = self.parts.only(keep)
        shift = np.array([[1, 0, left], [0, 1, top], [0, 0, 1]], np.float64)
        area = Box(self.area.x - left, self.area.y - top, self.area.width, self.area.height)
        return replace(self, parts=parts, area=area, to_page=self.to_page @ shift)


def surroundings(template: FormTemplate) -> dict[str, Box]:
    """For each field the region in which its writing may be found: its box and what is free around it.

    A region reaches half-way to the neighbouring boxes of the same row at most, and stays on the page.
    """
    regions = {}
    for spec in template.fields:
        box = spec.box
        overhang = min(OVERHANG * box.height, MAX_OVERHANG * template.dpi)
        outreach = min(OUTREACH * box.height, MAX_OUTREACH * template.dpi)
        left, right = max(0.0, box.x - outreach), min(float(template.width), box.right + outreach)
        for other in template.fields:
            beside = other.box
            if beside.y < box.bottom and beside.bottom > box.y and other is not spec:
                if beside.x >= box.right:
                    right = min(right, (box.right + beside.x) / 2)
                elif beside.right <= box.x:
                    left = max(left, (beside.right + box.x) / 2)
        top, bottom = max(0.0, box.y - overhang), min(float(template.height), box.bottom + overhang)
        regions[spec.name] = Box(left, top, right - left, bottom - top)
    return regions


@dataclass(frozen=True, slots=True)
class _Raster:
    """A field cut out upright: its ink, bool (H, W), and in pixels of it its box and its cell lines."""

    ink: NDArray[np.bool_]
    area: Box
    cell_lines: list[float]
    to_page: NDArray[np.float64]

    @property
    def frame(self) -> Frame:
        """Where the form has the frame."""
        inset, area = FRAME_INSET * CUT_DPI, self.area
        return Frame(area.x + inset, area.y + inset, area.right - inset, area.bottom - inset, 2 * inset)


def cut_field(
    gray: NDArray[np.uint8],
    threshold: float,
    registration: Registration,
    spec: FieldSpec,
    region: Box,
    dpi: float,
) -> FieldInk:
    """Cuts one field out and cleans it; see ``cut_fields``."""
    return cut_fields(gray, threshold, registration, [spec], {spec.name: region}, dpi)[0]


def cut_fields(
    gray: NDArray[np.uint8],
    threshold: float,
    registration: Registration,
    specs: Sequence[FieldSpec],
    regions: Mapping[str, Box],
    dpi: float,
) -> list[FieldInk]:
    """Cuts fields out and cleans them, the printed rules of all of them together.

    Args:
        gray: uint8 (H, W) page, 0 = black.
        threshold: grey value 0..255; what is darker is ink.
        registration: where the form lies on the page.
        specs: the fields.
        regions: by name, the part of the template to cut for each, as ``surroundings`` gives it.
        dpi: resolution of the template.
    """
    rasters = [_cut(gray, threshold, registration, spec, regions[spec.name], dpi) for spec in specs]
    framed = [place for place, spec in enumerate(specs) if spec.framed]
    removed = remove_frames([rasters[i].ink for i in framed], [rasters[i].frame for i in framed])
    cleaned = dict(zip(framed, removed, strict=True))
    return [
        _own_ink(spec, raster, *cleaned.get(place, (raster.ink, None)))
        for place, (spec, raster) in enumerate(zip(specs, rasters, strict=True))
    ]


def _cut(
    gray: NDArray[np.uint8],
    threshold: float,
    registration: Registration,
    spec: FieldSpec,
    region: Box,
    dpi: float,
) -> _Raster:
    scale = dpi / CUT_DPI
    left, top = round(region.x), round(region.y)
    to_page = registration.matrix @ np.array([[scale, 0, left], [0, scale, top], [0, 0, 1]], np.float64)
    size = (max(1, round(region.width / scale)), max(1, round(region.height / scale)))
    raster = cv2.warpAffine(
        gray, to_page, size, flags=cv2.INTER_LINEAR | cv2.WARP_INVERSE_MAP, borderValue=255
    )
    box = spec.box
    area = Box((box.x - left) / scale, (box.y - top) / scale, box.width / scale, box.height / scale)
    # What is below the next whole number is below the threshold too, and is found without floats.
    return _Raster(
        raster < int(np.ceil(threshold)), area, [(x - left) / scale for x in spec.cell_lines], to_page
    )


def _own_ink(spec: FieldSpec, raster: _Raster, ink: NDArray[np.bool_], frame: Frame | None) -> FieldInk:
    """The field's own ink, given its raster without the printed frame, and that frame."""
    area, lines = raster.area, None
    if frame is not None:
        half = frame.width / 2
        # A field no wider than its own frame has no inside; a pixel stands for it: others divide by its size.
        inner_width = max(1.0, frame.right - frame.left - frame.width)
        inner_height = max(1.0, frame.bottom - frame.top - frame.width)
        area = Box(frame.left + half, frame.top + half, inner_width, inner_height)
    cell_edges = np.zeros(0)
    if spec.cell_lines:
        sides = frame or Frame(area.x, area.y, area.right, area.bottom, 0.0)
        ink, lines = remove_cell_lines(ink, sides, raster.cell_lines)
        cell_edges = np.concatenate([[sides.left], lines.middles, [sides.right]]) - area.x
    left, top, ink = _near_ink(ink, area)
    area = Box(area.x - left, area.y - top, area.width, area.height)
    to_page = raster.to_page @ np.array([[1, 0, left], [0, 1, top], [0, 0, 1]], np.float64)
    parts = find_components(ink)
    remains = np.zeros(len(parts), bool)
    if frame is not None:
        remains |= _rule_remains(parts, frame, left, top)
    if lines is not None:
        remains |= _cell_line_remains(parts, lines, left)
    keep = _own(parts, area, remains, spec.layout)
    keep = parts.largest(SPARE_COMPONENTS + 4 * spec.max_length, keep)
    seen = frame.seen if frame is not None else 1.0
    return FieldInk(parts, area, to_page, cell_edges, seen).only(keep)


def _near_ink(ink: NDArray[np.bool_], area: Box) -> tuple[int, int, NDArray[np.bool_]]:
    """The part of a raster that may hold the field's own ink, and x and y of its corner.

    Beyond an empty row above or below the writing area nothing is the field's: it neither hangs together with
    ink inside, nor goes on with the row of writing beside it.
    """
    rows = np.logical_or.reduce(ink, axis=1)
    first, last = (min(max(round(edge), 0), len(rows)) for edge in (area.y, area.bottom))
    above, below = np.flatnonzero(~rows[:first]), np.flatnonzero(~rows[last:])
    top = int(above[-1]) + 1 if len(above) else 0
    bottom = last + int(below[0]) if len(below) else len(rows)
    columns = np.flatnonzero(np.logical_or.reduce(ink[top:bottom], axis=0))
    left, right = (int(columns[0]), int(columns[-1]) + 1) if len(columns) else (0, 0)
    return left, top, ink[top:bottom, left:right]


def _cell_line_remains(parts: Components, lines: CellLines, origin: int) -> NDArray[np.bool_]:
    """bool (N,): components within the band of a removed cell line; ``origin`` is the x of their raster."""
    left = parts.boxes[:, 0] + origin
    right = left + parts.boxes[:, 2]
    remains = np.zeros(len(parts), bool)
    for middle, width in zip(lines.middles[lines.found], lines.widths[lines.found], strict=True):
        band = width / 2 + CELL_LINE_BAND
        remains |= (left >= middle - band) & (right <= middle + band + 1)
    return remains


def _rule_remains(parts: Components, frame: Frame, x: int, y: int) -> NDArray[np.bool_]:
    """bool (N,): flat components within the band of a removed rule; ``x`` and ``y`` are of their raster."""
    band = frame.width / 2 + 4
    left, top, width, height = parts.boxes.T
    left, top = left + x, top + y
    right, bottom = left + width, top + height
    remains = np.zeros(len(parts), bool)
    for level in (frame.top, frame.bottom):
        remains |= (top >= level - band) & (bottom <= level + band + 1)
    for level in (frame.left, frame.right):
        remains |= (left >= level - band) & (right <= level + band + 1)
    return remains


def _own(parts: Components, area: Box, print_remains: NDArray[np.bool_], layout: str) -> NDArray[np.bool_]:
    """bool (N,): the components that belong to the field.

    These are the components with a good share of their ink in the writing area, and beside it those that go
    on with the row of writing: as high as letters, at the same level, next to ink already kept.
    """
    share = OWN_SHARE_OF_MARK if layout == "mark" else OWN_SHARE
    eligible = (parts.areas >= SPECK) & ~print_remains
    keep = eligible & (_ink_inside(parts, area, eligible) >= share * parts.areas)
    if not keep.any() or layout in ("comb", "mark"):
        return keep
    left, _, width, height = parts.boxes.T
    right = left + width
    x, y = parts.centers.T
    letter = (height >= 0.3 * area.height) & (height <= 1.2 * area.height) & ~keep & ~print_remains
    letter &= (y > area.y) & (y < area.bottom)
    gap = 0.6 * area.height
    after = np.flatnonzero(letter & (x > area.right))
    edge = right[keep].max()
    for index in after[np.argsort(left[after], kind="stable")]:
        if left[index] - edge <= gap:
            keep[index] = True
            edge = max(edge, right[index])
    before = np.flatnonzero(letter & (x < area.x))
    edge = left[keep].min()
    for index in before[np.argsort(-right[before], kind="stable")]:
        if edge - right[index] <= gap:
            keep[index] = True
            edge = min(edge, left[index])
    return keep


def _ink_inside(parts: Components, area: Box, wanted: NDArray[np.bool_]) -> NDArray[np.intp]:
    """int (N,): pixels of each wanted component inside the writing area; 0 for the others."""
    x0, y0 = max(0, round(area.x)), max(0, round(area.y))
    x1, y1 = max(0, round(area.right)), max(0, round(area.bottom))
    left, top, width, height = parts.boxes.T
    right, bottom = left + width, top + height
    whole = (left >= x0) & (top >= y0) & (right <= x1) & (bottom <= y1)
    apart = (left >= x1) | (top >= y1) | (right <= x0) | (bottom <= y0)
    inside = np.where(whole & wanted, parts.areas, 0).astype(np.intp)
    # Counting pixels is worth it only for the few components that lie across the edge.
    for index in np.flatnonzero(wanted & ~whole & ~apart):
        rows = slice(max(y0, top[index]), min(y1, bottom[index]))
        columns = slice(max(x0, left[index]), min(x1, right[index]))
        inside[index] = np.count_nonzero(parts.labels[rows, columns] == index + 1)
    return inside
