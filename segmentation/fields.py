"""Cuts one field out of a page, upright and at 300 dpi, with only the ink that belongs to it."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace

import cv2
import numpy as np
from numpy.typing import NDArray

from segmentation.components import Components
from segmentation.field_cleaning import CleanedField, FieldRaster, clean_field
from segmentation.own_ink import Strokes, own_parts
from segmentation.registration import FRAME_INSET, Registration
from segmentation.rules import remove_frames
from segmentation.templates import Box, FieldSpec, FormTemplate
from segmentation.upright_ink import CUT_DPI, UprightInk, lay_upright

__all__ = ["CUT_DPI", "FieldInk", "cut_field", "cut_fields", "surroundings"]

OVERHANG = 0.5  # how far beyond its box writing is looked for, above and below, in box heights
OUTREACH = 1.5  # the same to the left and right
ROUND_OVERHANG = 1.1  # of a tick box without a frame, inside a ring, above and below
MAX_OVERHANG = 0.2  # inches, so that a tall box does not look over half the page
MAX_OUTREACH = 0.5  # inches
SHARED = 0.05  # inches that two boxes may overlap by the line that they share
SPARE_COMPONENTS = 250  # what a field may have besides four for each of its characters; noise has thousands
AROUND = 0.35  # of the side of a tick box, along which a stroke around it is seen
BEYOND_PRINT = 2.1  # sides of a tick box without a frame, as wide as a ring that is printed around it is not
STRAIGHT_SIDE = 0.8  # of a tick box's side, of a run of ink that is a printed line and no stroke around it
MOST_STRAIGHT = 0.5  # of the ink around a tick box in such runs
USUAL_HEIGHT = 90.0  # pixels at 300 dpi of a writing area; in a higher one, writing is not larger
BLOT = 0.1  # squares of that height, as much ink as a component has at least to be large
MOST_EMPTY = 1.5  # area of a part of the page laid upright at once, in areas of the regions in it
SMALL = 4.0  # square inches that such a part may have besides


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
        frame_gap: pixels of it that miss at once, as ``Frame.gap``.
        blotted: ink in the writing area that is large and not the field's own, in squares of its height.
        ringed: whether a stroke goes around it; told of tick boxes only.
    """

    parts: Components
    area: Box
    to_page: NDArray[np.float64]
    cell_edges: NDArray[np.float64] = field(default_factory=lambda: np.zeros(0))
    frame_seen: float = 1.0
    frame_gap: float = 0.0
    blotted: float = 0.0
    ringed: bool = False

    def only(self, keep: NDArray[np.bool_]) -> "FieldInk":
        """The same with those parts for which ``keep``, bool (N,), holds, on the tight raster around them."""
        parts, left, top = self.parts.only(keep)
        shift = np.array([[1, 0, left], [0, 1, top], [0, 0, 1]], np.float64)
        area = Box(self.area.x - left, self.area.y - top, self.area.width, self.area.height)
        return replace(self, parts=parts, area=area, to_page=self.to_page @ shift)


def surroundings(template: FormTemplate) -> dict[str, Box]:
    """For each field the region in which its writing may be found: its box and what is free around it.

    A region reaches half-way to the neighbouring boxes of the same row at most, and stays on the page. Of
    boxes that share a printed line, as in a table, it holds all of the line.
    """
    boxes = np.array([(spec.box.x, spec.box.y, spec.box.width, spec.box.height) for spec in template.fields])
    left, top, width, height = boxes.reshape(-1, 4).astype(np.float64).T
    right, bottom = left + width, top + height
    rings = np.array([spec.layout == "mark" and not spec.framed for spec in template.fields])
    overhang = np.where(rings, ROUND_OVERHANG, OVERHANG) * height
    overhang = np.minimum(overhang, MAX_OVERHANG * template.dpi)
    outreach = np.minimum(OUTREACH * height, MAX_OUTREACH * template.dpi)
    same_row = (top < bottom[:, None]) & (bottom > top[:, None])
    line = SHARED * template.dpi
    is_after, is_before = left >= right[:, None] - line, right <= left[:, None] + line
    after = np.where(same_row & is_after, np.maximum((right[:, None] + left) / 2, right[:, None]), np.inf)
    before = np.where(same_row & is_before, np.minimum((right + left[:, None]) / 2, left[:, None]), -np.inf)
    x0 = np.maximum(np.maximum(left - outreach, 0), before.max(axis=1, initial=0))
    x1 = np.minimum(np.minimum(right + outreach, template.width), after.min(axis=1, initial=np.inf))
    y0, y1 = np.maximum(top - overhang, 0), np.minimum(bottom + overhang, template.height)
    regions = np.stack([x0, y0, x1 - x0, y1 - y0], axis=1).tolist()
    return {spec.name: Box(*region) for spec, region in zip(template.fields, regions, strict=True)}


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
    rasters: dict[str, FieldRaster] = {}
    for group, whole in _groups(specs, regions, dpi):
        upright = lay_upright(gray, threshold, registration.matrix, whole, dpi)
        rasters |= {spec.name: _cut(upright, spec, regions[spec.name]) for spec in group}
    framed = [spec for spec in specs if spec.framed]
    found = remove_frames(
        [rasters[spec.name].ink for spec in framed],
        [rasters[spec.name].frame for spec in framed],
        [spec.charset == "digits" for spec in framed],
    )
    frames = dict(zip((spec.name for spec in framed), found, strict=True))
    cleaned = [clean_field(spec, rasters[spec.name], frames.get(spec.name)) for spec in specs]
    owned = own_parts([one.strokes for one in cleaned])
    together = zip(specs, cleaned, owned, strict=True)
    return [_field_ink(spec, rasters[spec.name], one, own) for spec, one, own in together]


def _groups(
    specs: Sequence[FieldSpec], regions: Mapping[str, Box], dpi: float
) -> Iterator[tuple[list[FieldSpec], Box]]:
    """Groups fields, from top to bottom, that fill the box around their regions; yields both."""
    group: list[FieldSpec] = []
    whole, filled = Box(0, 0, 0, 0), 0.0
    for spec in sorted(specs, key=lambda spec: regions[spec.name].y):
        region = regions[spec.name]
        filled += region.width * region.height
        wider = _around(whole, region) if group else region
        if group and wider.width * wider.height > MOST_EMPTY * filled + SMALL * dpi * dpi:
            yield group, whole
            group, wider, filled = [], region, region.width * region.height
        group.append(spec)
        whole = wider
    if group:
        yield group, whole


def _around(one: Box, other: Box) -> Box:
    """The box around two."""
    x, y = min(one.x, other.x), min(one.y, other.y)
    return Box(x, y, max(one.right, other.right) - x, max(one.bottom, other.bottom) - y)


def _cut(upright: UprightInk, spec: FieldSpec, region: Box) -> FieldRaster:
    """A view of a field's part of the ink."""
    place, box = upright.place(region), upright.place(spec.box)
    left, top = max(0, round(place.x)), max(0, round(place.y))
    right, bottom = max(left + 1, round(place.right)), max(top + 1, round(place.bottom))
    printed = spec.printed_lines(FRAME_INSET * CUT_DPI / upright.scale[0])
    lines = [(x - upright.corner[0]) * upright.scale[0] - left for x in printed]
    return FieldRaster(
        upright.ink[top:bottom, left:right],
        Box(box.x - left, box.y - top, box.width, box.height),
        lines,
        _shifted(upright.to_page, left, top),
        spec.radius * upright.scale[0],
        tuple(_moved(upright.place(area), -left, -top) for area in spec.ignored),
    )


def _moved(box: Box, x: float, y: float) -> Box:
    return Box(box.x + x, box.y + y, box.width, box.height)


def _field_ink(
    spec: FieldSpec, raster: FieldRaster, cleaned: CleanedField, own: NDArray[np.bool_]
) -> FieldInk:
    """What is left of the ink near a field, given which components are its own."""
    strokes = cleaned.strokes
    most = SPARE_COMPONENTS + 4 * spec.max_length
    if np.count_nonzero(own) > most:
        own = strokes.parts.largest(most, own)
    parts, left, top = strokes.parts.only(own)
    area = Box(strokes.area.x - left, strokes.area.y - top, strokes.area.width, strokes.area.height)
    to_page = _shifted(raster.to_page, cleaned.corner[0] + left, cleaned.corner[1] + top)
    seen, gap = (1.0, 0.0) if strokes.frame is None else (strokes.frame.seen, strokes.frame.gap)
    # Between cells that stand apart it has no lines.
    seen = min(1.0, seen / (1 - spec.gap * (spec.cells - 1) / spec.box.width))
    ringed = spec.layout == "mark" and _ringed(strokes)
    return FieldInk(parts, area, to_page, cleaned.cell_edges, seen, gap, _blotted(strokes, own), ringed)


def _blotted(strokes: Strokes, own: NDArray[np.bool_]) -> float:
    """The ink of large components that are not own in a writing area, in squares of its height."""
    area, parts = strokes.area, strokes.parts
    square = min(area.height, USUAL_HEIGHT) ** 2
    large = ~own & (parts.areas >= BLOT * square)
    if not large.any():
        return 0.0
    left, top, width, height = parts.boxes.T
    large &= (left < area.right) & (left + width > area.x) & (top < area.bottom) & (top + height > area.y)
    if not large.any():  # mostly it is print above or beside the field
        return 0.0
    first, last = max(0, round(area.x)), max(0, round(area.right))
    inside = parts.labels[max(0, round(area.y)) : max(0, round(area.bottom)), first:last]
    return float(np.append(False, large)[inside].sum() / square)


def _ringed(strokes: Strokes) -> bool:
    """Whether a stroke goes around a tick box, as who circles an answer draws it.

    It is seen to the left, to the right, and above or below, along a third of the side at least, and stays
    out of its middle. Frame lines that it crossed may have left it in pieces. The lines of a table around the
    box go around it too, but are straight; a ring that is printed around a box without a frame is smaller.
    """
    area, parts = strokes.area, strokes.parts
    x0, y0, x1, y1 = (round(edge) for edge in (area.x, area.y, area.right, area.bottom))
    left, top, width, height = parts.boxes.T
    beyond = (left < x0) | (top < y0) | (left + width > x1) | (top + height > y1)
    inset = round(0.2 * area.width), round(0.2 * area.height)
    middle = parts.labels[
        max(0, y0 + inset[1]) : max(0, y1 - inset[1]), max(0, x0 + inset[0]) : x1 - inset[0]
    ]
    beyond[np.unique(middle[middle > 0]).astype(np.intp) - 1] = False
    least = AROUND if strokes.frame is not None else BEYOND_PRINT
    large = np.maximum(width, height) >= least * min(area.width, area.height)
    ring = np.zeros(parts.labels.shape, bool)
    for number in np.flatnonzero(beyond & large).tolist():
        x, y, wide, high = parts.boxes[number].tolist()
        stroke = parts.labels[y : y + high, x : x + wide] == number + 1
        if not _straight(stroke.view(np.uint8), area):
            ring[y : y + high, x : x + wide] |= stroke
    rows, columns = slice(max(0, y0), max(0, y1)), slice(max(0, x0), max(0, x1))
    sides = (
        ring[rows, : max(0, x0)].any(axis=1),
        ring[rows, max(0, x1) :].any(axis=1),
        ring[: max(0, y0), columns].any(axis=0),
        ring[max(0, y1) :, columns].any(axis=0),
    )
    on_left, on_right, above, below = (side.sum() >= AROUND * max(1, side.size) for side in sides)
    return bool(on_left and on_right and (above or below))


def _straight(stroke: NDArray[np.uint8], area: Box) -> bool:
    """Whether most of a stroke, uint8 (H, W) of 0 and 1, lies in level or upright runs as long as a box."""
    across, down = (max(2, round(STRAIGHT_SIDE * side)) for side in (area.width, area.height))
    lines = cv2.morphologyEx(stroke, cv2.MORPH_OPEN, np.ones((1, across), np.uint8))
    lines |= cv2.morphologyEx(stroke, cv2.MORPH_OPEN, np.ones((down, 1), np.uint8))
    return bool(np.count_nonzero(lines) >= MOST_STRAIGHT * np.count_nonzero(stroke))


def _shifted(to_page: NDArray[np.float64], left: int, top: int) -> NDArray[np.float64]:
    """The map of the part of a raster that begins at a pixel of it."""
    (a, b, x), (c, d, y) = to_page.tolist()
    return np.array([[a, b, x + (left * a + top * b)], [c, d, y + (left * c + top * d)]])
