"""One page, from grey pixels to the candidate glyphs of every field."""

import time
from collections.abc import Iterator, Sequence
from dataclasses import replace
from itertools import islice

import numpy as np
from numpy.typing import NDArray

from segmentation.blanks import MIN_WRITING, largest_stroke
from segmentation.combs import comb_line
from segmentation.coverage import not_whole
from segmentation.faint_ink import ink_levels
from segmentation.fields import FieldInk, cut_field, cut_fields, surroundings
from segmentation.finding import find_form
from segmentation.glyphs import LINE_LIMITS, PARAGRAPH_LIMITS, RowPlace, page_boxes
from segmentation.illumination import ink_threshold
from segmentation.local_fit import refine_field
from segmentation.looks import InkRow, look_at_bodies
from segmentation.marks import judge_mark
from segmentation.page import GlyphLine, SegmentedField, SegmentedPage
from segmentation.registration import Registration
from segmentation.rows import split_rows
from segmentation.templates import Box, FieldSpec, FormTemplate

MIN_WRITTEN_ROW = 0.12  # height or width of the largest piece of a row that is one, in heights of the row
SEEN = 0.6  # inked share of a frame's long sides below which the field is looked for around its place
BETTER = 0.1  # by which its frame must be seen better there


def segment_page(
    gray: NDArray[np.uint8], template: FormTemplate, registration: Registration | None = None
) -> SegmentedPage:
    """Finds the form on a page and cuts every field into candidate glyphs.

    Streaks of a dirty scanner are taken out first, uneven light is evened, a negative is made a positive.

    Args:
        gray: uint8 (H, W), 0 = black, origin top left.
        template: the form that should be on the page.
        registration: where it lies, if that is known already; ``gray`` is prepared then, see
            ``find_form``.

    Raises:
        RegistrationError: the form is not on this page.
    """
    begin = time.perf_counter()
    if registration is None:
        on_page = find_form(gray, [template])
        gray, found = on_page.gray, on_page.registration
    else:
        found = registration
    registered = time.perf_counter()
    regions = surroundings(template)
    levels = ink_levels(gray, ink_threshold(gray), found, template.fields, template.dpi)
    inks: dict[str, FieldInk] = {}
    for maps, threshold, specs in _alike(found, template.fields, levels.thresholds.tolist()):
        cut = cut_fields(gray, threshold, maps, specs, regions, template.dpi)
        inks |= {spec.name: ink for spec, ink in zip(specs, cut, strict=True)}
    places = [
        _place_field(
            gray, threshold, found.near(spec.box), spec, regions[spec.name], template.dpi, inks[spec.name]
        )
        for spec, threshold in zip(template.fields, levels.thresholds.tolist(), strict=True)
    ]
    cleaned = time.perf_counter()
    hidden = not_whole(template.fields, places, (gray.shape[0], gray.shape[1]), template.dpi)
    fields = _fields(template.fields, places, (levels.pale | hidden).tolist())
    done = time.perf_counter()
    seconds = {"register": registered - begin, "clean": cleaned - registered, "cut": done - cleaned}
    return SegmentedPage(gray.shape[1], gray.shape[0], found, tuple(fields), seconds, template.name)


def _alike(
    found: Registration, specs: Sequence[FieldSpec], thresholds: Sequence[float]
) -> Iterator[tuple[Registration, float, list[FieldSpec]]]:
    """Fields that can be cut together, and by which map and threshold: on flat paper, mostly all."""
    if found.bends is not None:
        for spec, threshold in zip(specs, thresholds, strict=True):
            yield found.near(spec.box), threshold, [spec]
        return
    for threshold in sorted(set(thresholds)):
        own = [spec for spec, level in zip(specs, thresholds, strict=True) if level == threshold]
        yield found, threshold, own


def _place_field(
    gray: NDArray[np.uint8],
    threshold: float,
    registration: Registration,
    spec: FieldSpec,
    region: Box,
    dpi: float,
    ink: FieldInk,
) -> tuple[FieldInk, Registration]:
    """A field's ink, and where it lies: as the page does, unless its own frame is seen better nearby."""
    if ink.frame_seen < SEEN:
        own = refine_field(gray, registration, spec, dpi)
        if own is not None:
            again = cut_field(gray, threshold, own, spec, region, dpi)
            if again.frame_seen > ink.frame_seen + BETTER:
                return again, own
    return ink, registration


def _fields(
    specs: Sequence[FieldSpec], places: Sequence[tuple[FieldInk, Registration]], doubtful: Sequence[bool]
) -> list[SegmentedField]:
    """The fields with what is written in each, all rows of writing looked at together."""
    largest = [largest_stroke(ink) for ink, _ in places]
    rows = [
        _rows(spec, ink) if stroke >= MIN_WRITING else []
        for spec, (ink, _), stroke in zip(specs, places, largest, strict=True)
    ]
    looked = iter(look_at_bodies([row for own in rows for row in own]))
    fields = []
    together = zip(specs, _page_boxes(specs, places), places, largest, rows, doubtful, strict=True)
    for spec, box, (ink, _), stroke, own, unsure in together:
        lines = list(islice(looked, len(own)))
        if spec.layout == "comb" and stroke >= MIN_WRITING:
            line = comb_line(ink)
            lines = [] if line is None else [replace(line, charset=spec.charset)]
        fields.append(_field(spec, box, ink, stroke, lines, unsure))
    return fields


def _page_boxes(
    specs: Sequence[FieldSpec], places: Sequence[tuple[FieldInk, Registration]]
) -> NDArray[np.float32]:
    """The upright rectangle around each field, float32 (N, 4) x, y, width, height in page pixels."""
    outer = [(spec.box.x, spec.box.y, spec.box.width, spec.box.height) for spec in specs]
    maps = [place.matrix for _, place in places]
    return page_boxes(np.array(outer, np.float32).reshape(-1, 4), maps, np.arange(len(specs)))


def _field(
    spec: FieldSpec,
    box: NDArray[np.float32],
    ink: FieldInk,
    largest: float,
    lines: Sequence[GlyphLine],
    doubtful: bool,
) -> SegmentedField:
    ratio = float(ink.parts.areas.sum() / (ink.area.width * ink.area.height))
    return SegmentedField(
        name=spec.name,
        box=box,
        lines=tuple(lines),
        ink_ratio=min(1.0, ratio),
        largest=largest,
        mark=judge_mark(ink, doubtful) if spec.layout == "mark" else None,
        doubtful=doubtful,
    )


def _rows(spec: FieldSpec, ink: FieldInk) -> list[InkRow]:
    """The rows of writing of a field of free characters; none of any other field."""
    if spec.layout in ("mark", "comb"):
        return []
    paragraph = spec.layout == "paragraph"
    limits = PARAGRAPH_LIMITS if paragraph else LINE_LIMITS
    least = 0 if paragraph else spec.min_length
    return [
        InkRow(row.parts, RowPlace(row.area, row.to_page), limits, spec.charset, least, spec.max_length)
        for row in (split_rows(ink) if paragraph else [ink])
        if row.parts.boxes[:, 2:].max(initial=0) >= MIN_WRITTEN_ROW * row.area.height
    ]
