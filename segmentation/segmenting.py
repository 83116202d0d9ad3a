"""One page, from grey pixels to the candidate glyphs of every field."""

import time

import cv2
import numpy as np
from numpy.typing import NDArray

from segmentation.fields import FieldInk, cut_field, surroundings
from segmentation.glyphs import LINE_LIMITS, PARAGRAPH_LIMITS, cut_pieces, make_candidates, page_boxes
from segmentation.page import GlyphLine, SegmentedField, SegmentedPage
from segmentation.registration import register
from segmentation.rows import split_rows
from segmentation.templates import FieldSpec, FormTemplate

MIN_WRITING = 0.12  # height or width of the largest mark in a field, in heights of its writing area


def segment_page(gray: NDArray[np.uint8], template: FormTemplate) -> SegmentedPage:
    """Finds the form on a page and cuts every field into candidate glyphs.

    Args:
        gray: uint8 (H, W), 0 = black, origin top left.
        template: the form that should be on the page.

    Raises:
        RegistrationError: the form is not on this page.
    """
    begin = time.perf_counter()
    registration = register(gray, template)
    registered = time.perf_counter()
    threshold = ink_threshold(gray)
    regions = surroundings(template)
    fields, inks = [], []
    for spec in template.fields:
        inks.append(cut_field(gray, threshold, registration, spec, regions[spec.name], template.dpi))
    cleaned = time.perf_counter()
    for spec, ink in zip(template.fields, inks, strict=True):
        lines = tuple(_lines(spec, ink))
        outer = np.array([[spec.box.x, spec.box.y, spec.box.width, spec.box.height]], np.float32)
        box = page_boxes(outer, registration.matrix)[0]
        ratio = float(ink.parts.areas.sum() / (ink.area.width * ink.area.height))
        fields.append(SegmentedField(spec.name, box, lines, min(1.0, ratio)))
    cut = time.perf_counter()
    seconds = {"register": registered - begin, "clean": cleaned - registered, "cut": cut - cleaned}
    return SegmentedPage(gray.shape[1], gray.shape[0], registration, tuple(fields), seconds)


def ink_threshold(gray: NDArray[np.uint8]) -> float:
    """The grey value, 0..255, that best parts ink from paper over the whole page (Otsu, on every fourth row)."""
    value, _ = cv2.threshold(gray[::4, ::2], 0, 255, cv2.THRESH_BINARY_INV | cv2.THRESH_OTSU)
    # On a page of only black and white Otsu may return either; between them is where blended pixels part.
    return float(np.clip(value, 64, 208))


def _lines(spec: FieldSpec, ink: FieldInk) -> list[GlyphLine]:
    """The rows of writing of one field as lattices; none if nothing is written there."""
    paragraph = spec.layout == "paragraph"
    limits = PARAGRAPH_LIMITS if paragraph else LINE_LIMITS
    lines = []
    for row in split_rows(ink) if paragraph else [ink]:
        pieces = cut_pieces(row.parts, row.area.height)
        if len(pieces.areas) and pieces.boxes[:, 2:].max() >= MIN_WRITING * row.area.height:
            lines.append(make_candidates(pieces, row.area, row.to_page, limits))
    return lines
