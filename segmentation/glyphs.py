"""Joins the pieces of a row of writing into candidate glyphs: each piece, and each run of neighbouring ones.

A run is a candidate if it is no wider than a character and holds no two bodies; the decoder chooses among
them.
"""

from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

from segmentation.normalization import normalize_all
from segmentation.page import GlyphLine
from segmentation.pieces import Pieces
from segmentation.templates import Box

# Two parts as large as this, in usual heights of the row's pieces, with as much white between them, are two
# characters; unless they are narrow enough together for a broken one.
BODY_GAP, BODY_HEIGHT, BODY_WIDTH, BODIES_WIDTH = 0.05, 0.65, 0.3, 1.2


@dataclass(frozen=True, slots=True)
class CandidateLimits:
    """How much one character may cover: neighbouring pieces, and a width in heights of the writing area."""

    pieces: int
    width: float


LINE_LIMITS = CandidateLimits(pieces=5, width=1.5)
# The writing area of a row of a paragraph is measured from its letters, not from a box with room to spare.
PARAGRAPH_LIMITS = CandidateLimits(pieces=4, width=1.1)


def make_candidates(
    pieces: Pieces,
    area: Box,
    to_page: NDArray[np.float64],
    limits: CandidateLimits = LINE_LIMITS,
    cells: NDArray[np.int16] | None = None,
) -> GlyphLine:
    """Builds all candidates of a row: each piece, and each run of pieces no wider than a character.

    Args:
        pieces: the row as ``cut_pieces`` gives it.
        area: writing area of the row in raster pixels.
        to_page: float64 (2, 3), raster pixels to page pixels.
        limits: how much one character may cover.
        cells: int16 (P,) the cell of a comb in which each piece stands, if it is one.
    """
    spans, rectangles = find_runs(pieces, limits, area.height)
    crops = crops_of(pieces, spans, rectangles)
    return glyph_line(pieces, area, to_page, spans, rectangles, crops, cells)


def crops_of(pieces: Pieces, spans: NDArray[np.int16], rectangles: NDArray[np.intp]) -> NDArray[np.uint8]:
    """The crops, uint8 (N, 28, 28), of runs of pieces; both arguments as ``find_runs`` gives them."""
    masks = (
        cv2.inRange(pieces.labels[y : y + height, x : x + width], start + 1, stop)
        for (start, stop), (x, y, width, height) in zip(spans.tolist(), rectangles.tolist(), strict=True)
    )
    return normalize_all(masks, rectangles)


def glyph_line(
    pieces: Pieces,
    area: Box,
    to_page: NDArray[np.float64],
    spans: NDArray[np.int16],
    rectangles: NDArray[np.intp],
    crops: NDArray[np.uint8],
    cells: NDArray[np.int16] | None = None,
) -> GlyphLine:
    """The lattice of runs of pieces, int16 (N, 2), their rectangles, int (N, 4), and their crops."""
    boxes = rectangles.astype(np.float32)
    return GlyphLine(
        starts=spans[:, 0],
        stops=spans[:, 1],
        crops=crops,
        boxes=page_boxes(boxes, to_page),
        bounds=_in_heights(boxes, area),
        piece_bounds=_in_heights(pieces.boxes.astype(np.float32), area),
        piece_ink=(pieces.areas / area.height**2).astype(np.float32),
        cells=np.zeros(0, np.int16) if cells is None else cells,
    )


def find_runs(
    pieces: Pieces, limits: CandidateLimits, height: float, settled: NDArray[np.bool_] | None = None
) -> tuple[NDArray[np.int16], NDArray[np.intp]]:
    """The runs of pieces that may be one character.

    A run ends before it is wider than a character may be, and before it holds two bodies: parts with white
    between them of which each is as large as a character. A third of all runs would be such neighbours.

    Args:
        pieces: of the row.
        limits: how much one character may cover.
        height: of the writing area, pixels.
        settled: bool (P,) pieces that are surely whole characters; runs of these alone are left out.

    Returns:
        First and past-last piece, int16 (N, 2); and x, y, width, height in raster pixels, int (N, 4).
    """
    widest = limits.width * height
    next_open = _next_open(settled, len(pieces.areas))
    usual = usual_height(pieces)
    white, high, wide, narrow = (usual * v for v in (BODY_GAP, BODY_HEIGHT, BODY_WIDTH, BODIES_WIDTH))
    edges = [(x, y, x + width, y + height) for x, y, width, height in pieces.boxes.tolist()]
    spans, rectangles = [], []
    for start in range(len(edges)):
        left, top, right, bottom = edges[start]
        part_left, part_top, part_bottom, bodies = left, top, bottom, 0
        last = min(start + limits.pieces, len(edges))
        for stop in range(start + 1, last + 1 if next_open[start] < last else start + 2):
            x0, y0, x1, y1 = edges[stop - 1]
            if x0 - right > white:
                bodies += part_bottom - part_top >= high and right - part_left >= wide
                part_left, part_top, part_bottom = x0, y0, y1
            else:
                part_left, part_top = min(part_left, x0), min(part_top, y0)
                part_bottom = max(part_bottom, y1)
            left, top, right, bottom = min(left, x0), min(top, y0), max(right, x1), max(bottom, y1)
            body = part_bottom - part_top >= high and right - part_left >= wide
            across = right - left
            if stop > start + 1:
                if across > widest or (bodies + body > 1 and across > narrow):
                    break
                if next_open[start] >= stop:
                    continue
            spans.append((start, stop))
            rectangles.append((left, top, right - left, bottom - top))
    return np.array(spans, np.int16).reshape(-1, 2), np.array(rectangles, np.intp).reshape(-1, 4)


def _next_open(settled: NDArray[np.bool_] | None, count: int) -> list[int]:
    """For each of so many pieces the next one, itself included, that is not settled; ``count`` if none is."""
    places = np.arange(count)
    if settled is None:
        return places.tolist()
    following = np.minimum.accumulate(np.where(settled, count, places)[::-1])[::-1]
    result: list[int] = following.tolist()
    return result


def usual_height(pieces: Pieces) -> float:
    """Height of the piece in which the middle pixel of all ink lies, when they are sorted by height."""
    if not len(pieces.areas):
        return 0.0
    heights = pieces.boxes[:, 3]
    order = np.argsort(heights)
    cumulative = np.cumsum(pieces.areas[order])
    return float(heights[order[np.searchsorted(cumulative, cumulative[-1] / 2)]])


def page_boxes(boxes: NDArray[np.float32], to_page: NDArray[np.float64]) -> NDArray[np.float32]:
    """Upright page rectangles, float32 (N, 4) x, y, width, height, around raster rectangles given so."""
    turn, shift = to_page[:2, :2], to_page[:2, 2]
    placed = np.empty((len(boxes), 4), np.float32)
    # The corner that lies farthest left, or up, is the same for all.
    placed[:, :2] = boxes[:, :2] @ turn.T + shift + boxes[:, 2:] @ np.minimum(turn, 0.0).T
    placed[:, 2:] = boxes[:, 2:] @ np.abs(turn).T
    return placed


def _in_heights(boxes: NDArray[np.float32], area: Box) -> NDArray[np.float32]:
    """Left, top, right, bottom of raster rectangles, relative to the writing area, in units of its height."""
    bounds = np.empty((len(boxes), 4), np.float32)
    bounds[:, :2] = boxes[:, :2] - np.array([area.x, area.y], np.float32)
    bounds[:, 2:] = bounds[:, :2] + boxes[:, 2:]
    bounds /= np.float32(area.height)
    return bounds
