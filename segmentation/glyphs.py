"""Cuts the ink of one row of writing into pieces, and neighbouring pieces into candidate glyphs.

Over-segmentation: every place where two characters may touch is cut, so some characters fall into several
pieces; each run of neighbouring pieces that is no wider than a character becomes a candidate, and the decoder
chooses among them. Cuts follow the slant of the writing. Survey of the method: R. G. Casey, E. Lecolinet,
"A survey of methods and strategies in character segmentation", IEEE PAMI 18 (1996).
"""

from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

from segmentation.components import Components, find_components
from segmentation.cuts import MAX_CUTS, estimate_slant, find_parts, stroke_width
from segmentation.normalization import normalize_all
from segmentation.page import GlyphLine
from segmentation.templates import Box

MIN_CUT_WIDTH = 0.30  # of a component worth cutting, in heights of the writing area
# Two parts as large as this, in usual heights of the row's pieces, with as much white between them, are two
# characters; unless they are narrow enough together for a broken one.
BODY_GAP, BODY_HEIGHT, BODY_WIDTH, BODIES_WIDTH = 0.05, 0.65, 0.3, 1.2
MAX_COMPONENTS = 600  # in one row, the largest ones: their pieces are numbered in 16 bits


@dataclass(frozen=True, slots=True)
class CandidateLimits:
    """How much one character may cover: neighbouring pieces, and a width in heights of the writing area."""

    pieces: int
    width: float


LINE_LIMITS = CandidateLimits(pieces=5, width=1.5)
# The writing area of a row of a paragraph is measured from its letters, not from a box with room to spare.
PARAGRAPH_LIMITS = CandidateLimits(pieces=4, width=1.1)


@dataclass(frozen=True, slots=True)
class Pieces:
    """A row of writing cut into pieces, left to right.

    Attributes:
        labels: uint16 (H, W), 0 = paper, p + 1 = piece p, in the field's raster.
        boxes: int32 (P, 4) x, y, width, height of each piece.
        areas: int32 (P,) pixels of ink of each piece.
    """

    labels: NDArray[np.uint16]
    boxes: NDArray[np.int32]
    areas: NDArray[np.int32]


def cut_pieces(parts: Components, height: float) -> Pieces:
    """Cuts one row of writing into pieces.

    Args:
        parts: the cleaned ink of the row.
        height: height of its writing area in pixels, the measure for all other sizes.
    """
    if len(parts) > MAX_COMPONENTS:
        largest = np.concatenate([[False], parts.largest(MAX_COMPONENTS)])
        parts = find_components(largest[parts.labels])
    if not len(parts):
        nothing = np.zeros(parts.labels.shape, np.uint16)
        return Pieces(nothing, np.zeros((0, 4), np.int32), np.zeros(0, np.int32))
    ink = parts.ink
    stroke = stroke_width(ink)
    inked = np.flatnonzero(ink)
    ys = inked // ink.shape[1]
    xs = inked - ys * ink.shape[1]
    slant = estimate_slant(xs, ys)
    middle = ys.mean()
    # One component after the other, each in raster order.
    labels_of = parts.labels.ravel()[inked]
    order = np.argsort(labels_of, kind="stable")
    inked, xs, ys, owner = inked[order], xs[order], ys[order], labels_of[order].astype(np.intp) - 1
    along = np.rint(xs + slant * (ys - middle)).astype(np.intp)
    wide = (parts.boxes[:, 2] >= MIN_CUT_WIDTH * height) & (parts.boxes[:, 3] >= 2 * stroke)
    within = find_parts(along, ys, owner, parts.areas.astype(np.intp), wide, stroke, height)
    key = owner * (MAX_CUTS + 1) + within
    piece = (np.cumsum(np.bincount(key) > 0) - 1)[key]
    extents = _extents(piece, np.stack([xs, ys, along]))
    rank, extents = _in_order(extents, _hosts(extents))
    labels = np.zeros(parts.labels.size, np.uint16)
    labels[inked] = (rank + 1)[piece]
    boxes = np.concatenate([extents.start[:2], (extents.stop - extents.start)[:2]])
    return Pieces(labels.reshape(parts.labels.shape), boxes.T.astype(np.int32), extents.area.astype(np.int32))


@dataclass(frozen=True, slots=True)
class _Extents:
    """Pixels of ink of each piece, int (P,); its first and past-last x, y, place along the slant, (3, P)."""

    area: NDArray[np.intp]
    start: NDArray[np.intp]
    stop: NDArray[np.intp]


def _extents(piece: NDArray[np.intp], places: NDArray[np.intp]) -> _Extents:
    """Measures pieces, numbered without a gap, from the piece (N,) and the places (3, N) of each pixel."""
    area = np.bincount(piece)
    first = np.concatenate([[0], np.cumsum(area)[:-1]])
    grouped = places[:, np.argsort(piece.astype(np.uint16), kind="stable")]
    return _Extents(
        area, np.minimum.reduceat(grouped, first, axis=1), np.maximum.reduceat(grouped, first, axis=1) + 1
    )


def _hosts(pieces: _Extents) -> NDArray[np.intp]:
    """For each piece the larger one it stands over or under, as dots and broken strokes do, or itself."""
    count = len(pieces.area)
    area, start, stop = pieces.area, pieces.start[2], pieces.stop[2]
    host = np.arange(count)
    for first in range(0, count, 256):  # in blocks, as a noisy row has thousands of pieces
        small = np.arange(first, min(first + 256, count))
        overlap = np.minimum(stop, stop[small, None]) - np.maximum(start, start[small, None])
        overlap[area <= area[small, None]] = 0
        best = np.argmax(overlap, axis=1)
        covered = overlap[np.arange(len(small)), best] >= 0.7 * (stop[small] - start[small])
        joins = covered & (area[small] <= 0.6 * area[best])
        host[small[joins]] = best[joins]
    while (host[host] != host).any():
        host = host[host]
    return host


def _in_order(pieces: _Extents, host: NDArray[np.intp]) -> tuple[NDArray[np.intp], _Extents]:
    """Joins pieces to their hosts; orders these left to right by the middle of their ink along the slant.

    Returns the place in that order of each piece, guests having their host's, and the extents in that order.
    """
    area = np.bincount(host, pieces.area, len(host)).astype(np.intp)
    start, stop = pieces.start.copy(), pieces.stop.copy()
    np.minimum.at(start.T, host, pieces.start.T)
    np.maximum.at(stop.T, host, pieces.stop.T)
    hosts = np.unique(host)
    order = hosts[np.argsort((start[2] + stop[2])[hosts], kind="stable")]
    rank = np.zeros(len(host), np.intp)
    rank[order] = np.arange(len(order))
    return rank[host], _Extents(area[order], start[:, order], stop[:, order])


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
    spans, rectangles = _runs(pieces, limits, limits.width * area.height)
    masks = (
        cv2.inRange(pieces.labels[y : y + height, x : x + width], start + 1, stop)
        for (start, stop), (x, y, width, height) in zip(spans, rectangles, strict=True)
    )
    crops = normalize_all(masks, np.array(rectangles, np.intp).reshape(-1, 4))
    starts_stops = np.array(spans, np.int16).reshape(-1, 2)
    boxes = np.array(rectangles, np.float32).reshape(-1, 4)
    return GlyphLine(
        starts=starts_stops[:, 0],
        stops=starts_stops[:, 1],
        crops=crops,
        boxes=page_boxes(boxes, to_page),
        bounds=_in_heights(boxes, area),
        piece_bounds=_in_heights(pieces.boxes.astype(np.float32), area),
        piece_ink=(pieces.areas / area.height**2).astype(np.float32),
        cells=np.zeros(0, np.int16) if cells is None else cells,
    )


def _runs(
    pieces: Pieces, limits: CandidateLimits, widest: float
) -> tuple[list[tuple[int, int]], list[tuple[int, int, int, int]]]:
    """The runs of pieces that may be one character: first and past-last piece, and x, y, width, height.

    A run ends before it is wider than ``widest``, and before it holds two bodies: parts with white between
    them of which each is as large as a character. A third of all runs would be such neighbours.
    """
    usual = _usual_height(pieces)
    white, high, wide, narrow = (usual * v for v in (BODY_GAP, BODY_HEIGHT, BODY_WIDTH, BODIES_WIDTH))
    edges = [(x, y, x + width, y + height) for x, y, width, height in pieces.boxes.tolist()]
    spans, rectangles = [], []
    for start in range(len(edges)):
        left, top, right, bottom = edges[start]
        part_left, part_top, part_bottom, bodies = left, top, bottom, 0
        for stop in range(start + 1, min(start + limits.pieces, len(edges)) + 1):
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
            if stop > start + 1 and (across > widest or (bodies + body > 1 and across > narrow)):
                break
            spans.append((start, stop))
            rectangles.append((left, top, right - left, bottom - top))
    return spans, rectangles


def _usual_height(pieces: Pieces) -> float:
    """Height of the piece in which the middle pixel of all ink lies, when they are sorted by height."""
    if not len(pieces.areas):
        return 0.0
    heights = pieces.boxes[:, 3]
    order = np.argsort(heights)
    cumulative = np.cumsum(pieces.areas[order])
    return float(heights[order[np.searchsorted(cumulative, cumulative[-1] / 2)]])


def page_boxes(boxes: NDArray[np.float32], to_page: NDArray[np.float64]) -> NDArray[np.float32]:
    """Upright page rectangles, float32 (N, 4) x, y, width, height, around raster rectangles given so."""
    x, y, width, height = boxes.T.astype(np.float64)
    sides = []
    for along_x, along_y, shift in to_page[:2].tolist():
        # The corner that lies farthest left, or up, is the same for all.
        start = along_x * x + along_y * y + shift + min(along_x, 0.0) * width + min(along_y, 0.0) * height
        sides.append((start, abs(along_x) * width + abs(along_y) * height))
    (left, across), (top, down) = sides
    return np.stack([left, top, across, down], axis=1).astype(np.float32)


def _in_heights(boxes: NDArray[np.float32], area: Box) -> NDArray[np.float32]:
    """Left, top, right, bottom of raster rectangles, relative to the writing area, in units of its height."""
    left, top = boxes[:, 0] - area.x, boxes[:, 1] - area.y
    bounds = np.stack([left, top, left + boxes[:, 2], top + boxes[:, 3]], axis=1)
    return (bounds / area.height).astype(np.float32)
