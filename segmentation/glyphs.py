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

from segmentation.normalization import normalize_glyph
from segmentation.page import GLYPH_SIZE, GlyphLine
from segmentation.templates import Box

MAX_PIECES = 5  # neighbouring pieces in one candidate
MAX_WIDTH = 1.5  # of a candidate, in heights of the writing area
MAX_SLANT = 0.6  # horizontal over vertical
MIN_CUT_WIDTH = 0.30  # of a component worth cutting, in heights of the writing area
CUT_DISTANCE = 0.11  # between two cuts, in heights of the writing area
NECK = 1.7  # ink across a cut in stroke widths at most, where the writing is thin there
MAX_CUTS = 7  # in one component


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


def cut_pieces(ink: NDArray[np.bool_], height: float) -> Pieces:
    """Cuts one row of writing into pieces.

    Args:
        ink: bool (H, W), the cleaned ink of the row.
        height: height of its writing area in pixels, the measure for all other sizes.
    """
    count, labels, stats, _ = cv2.connectedComponentsWithStats(ink.astype(np.uint8), connectivity=8)
    if count == 1:
        return Pieces(np.zeros(ink.shape, np.uint16), np.zeros((0, 4), np.int32), np.zeros(0, np.int32))
    stroke = stroke_width(ink)
    inked = np.flatnonzero(labels)
    owner = labels.ravel()[inked]
    ys, xs = np.divmod(inked, ink.shape[1])
    slant = estimate_slant(xs, ys)
    middle = ys.mean()
    along = np.rint(xs + slant * (ys - middle)).astype(np.intp)
    parts = np.zeros(len(inked), np.intp)  # part of its component that each pixel falls into
    for component in range(1, count):
        if stats[component, 2] >= MIN_CUT_WIDTH * height and stats[component, 3] >= 2 * stroke:
            mine = np.flatnonzero(owner == component)
            cuts = find_cuts(along[mine], ys[mine], stroke, height)
            parts[mine] = np.searchsorted(cuts, along[mine], side="left")
    _, piece = np.unique(owner * (MAX_CUTS + 2) + parts, return_inverse=True)
    piece = _join_stacked(piece, along)
    return _in_order(inked, xs, ys, piece, along, ink.shape)


def stroke_width(ink: NDArray[np.bool_]) -> float:
    """Mean width of the strokes in pixels: four times the mean distance of ink to paper, as for a straight band."""
    distance = cv2.distanceTransform(ink.astype(np.uint8), cv2.DIST_L2, 3)
    inside = distance[ink]
    return float(max(2.0, 4 * inside.mean() - 1)) if len(inside) else 2.0


def estimate_slant(xs: NDArray[np.intp], ys: NDArray[np.intp]) -> float:
    """Horizontal shift a row that makes the writing upright, within ``MAX_SLANT``.

    The right slant gives the most peaked histogram over columns. Positive for writing that leans right.
    Source: A. Vinciarelli, J. Luettin, "A new normalization technique for cursive handwritten words", 2001
    (the same idea, with peaks of whole strokes).
    """
    if len(xs) > 4000:
        step = len(xs) // 4000 + 1
        xs, ys = xs[::step], ys[::step]
    offsets = ys - ys.mean()
    best, best_score = 0.0, -1.0
    for slant in np.linspace(-MAX_SLANT, MAX_SLANT, 25):
        columns = (xs + slant * offsets).astype(np.intp)
        histogram = np.bincount(columns - columns.min())
        # Ties and near ties go to upright writing.
        score = float((histogram.astype(np.float64) ** 2).sum()) * (1 - 0.1 * abs(slant))
        if score > best_score:
            best, best_score = float(slant), score
    return best


def find_cuts(
    along: NDArray[np.intp], ys: NDArray[np.intp], stroke: float, height: float
) -> NDArray[np.float64]:
    """Places where a component may be two characters.

    Args:
        along: int (N,) columns of the component's pixels, slant taken out.
        ys: int (N,) their rows.
        stroke: stroke width in pixels.
        height: height of the writing area in pixels.

    Returns:
        float (C,) increasing columns, each between two pixels, to cut at; at most ``MAX_CUTS``.
    """
    origin = along.min()
    columns = along - origin
    width = int(columns.max()) + 1
    ink = np.bincount(columns, minlength=width).astype(np.float64)
    top, bottom = np.full(width, 1 << 30), np.full(width, -1)
    np.minimum.at(top, columns, ys)
    np.maximum.at(bottom, columns, ys)
    reach = np.where(ink > 0, bottom - top + 1, 0).astype(np.float64)
    smooth = np.ones(3) / 3
    ink, reach = np.convolve(ink, smooth, "same"), np.convolve(reach, smooth, "same")
    margin = max(2, round(stroke))
    # A cut is cheap where little ink crosses it, and where the writing is low there: at the neck of two touching
    # round characters much ink stands in a column, but the column is short.
    candidates: list[tuple[float, int]] = []
    for profile, limit in ((ink, NECK * stroke), (reach, 0.75 * float(np.percentile(reach, 90)))):
        for column in _valleys(profile, margin, limit, 0.4 * stroke):
            cost = min(ink[column] / stroke, 1 + 2 * reach[column] / height)
            candidates.append((cost, column))
    chosen: list[int] = []
    distance = max(CUT_DISTANCE * height, margin)
    for _, column in sorted(candidates):
        if all(abs(column - other) >= distance for other in chosen):
            chosen.append(column)
        if len(chosen) == MAX_CUTS:
            break
    return np.sort(np.array(chosen, np.float64)) + origin + 0.5


def _valleys(profile: NDArray[np.float64], margin: int, limit: float, depth: float) -> list[int]:
    """Middles of the local minima not above ``limit`` with walls of at least ``depth`` on both sides."""
    found = []
    last = len(profile) - margin
    column = margin
    while column < last:
        end = column
        while end + 1 < last and profile[end + 1] == profile[column]:
            end += 1
        left_wall = profile[:column].max()
        right_wall = profile[end + 1 :].max() if end + 1 < len(profile) else 0.0
        low = profile[column]
        is_minimum = profile[column - 1] > low and (end + 1 >= len(profile) or profile[end + 1] > low)
        if is_minimum and low <= limit and min(left_wall, right_wall) - low >= depth:
            found.append((column + end) // 2)
        column = end + 1
    return found


def _join_stacked(piece: NDArray[np.intp], along: NDArray[np.intp]) -> NDArray[np.intp]:
    """Joins small pieces to the larger piece they stand over or under: dots, bars, broken strokes."""
    count = int(piece.max()) + 1
    areas = np.bincount(piece, minlength=count)
    left, right = np.full(count, 1 << 30), np.full(count, -(1 << 30))
    np.minimum.at(left, piece, along)
    np.maximum.at(right, piece, along)
    width = right - left + 1
    target = np.arange(count)
    for small in np.argsort(areas):
        overlap = np.minimum(right, right[small]) - np.maximum(left, left[small]) + 1
        overlap[areas <= areas[small]] = 0
        host = int(np.argmax(overlap))
        if overlap[host] >= 0.7 * width[small] and areas[small] <= 0.6 * areas[host]:
            target[small] = host
    while (target[target] != target).any():
        target = target[target]
    return target[piece]


def _in_order(
    inked: NDArray[np.intp],
    xs: NDArray[np.intp],
    ys: NDArray[np.intp],
    piece: NDArray[np.intp],
    along: NDArray[np.intp],
    shape: tuple[int, ...],
) -> Pieces:
    """Numbers pieces from left to right by the middle of their ink along the slant."""
    names, piece = np.unique(piece, return_inverse=True)
    count = len(names)
    areas = np.bincount(piece, minlength=count)
    left, right = np.full(count, 1 << 30), np.full(count, -(1 << 30))
    np.minimum.at(left, piece, along)
    np.maximum.at(right, piece, along)
    rank = np.empty(count, np.intp)
    rank[np.argsort(left + right, kind="stable")] = np.arange(count)
    piece = rank[piece]
    bounds = np.empty((count, 4), np.int32)
    for axis, values in ((0, xs), (1, ys)):
        low, high = np.full(count, 1 << 30), np.full(count, -1)
        np.minimum.at(low, piece, values)
        np.maximum.at(high, piece, values)
        bounds[:, axis], bounds[:, axis + 2] = low, high - low + 1
    labels = np.zeros(shape[0] * shape[1], np.uint16)
    labels[inked] = piece + 1
    ordered = np.empty(count, np.int32)
    ordered[rank] = areas
    return Pieces(labels.reshape(shape), bounds, ordered)


def make_candidates(pieces: Pieces, area: Box, to_page: NDArray[np.float64]) -> GlyphLine:
    """Builds all candidates of a row: each run of 1 to ``MAX_PIECES`` pieces no wider than a character.

    Args:
        pieces: the row as ``cut_pieces`` gives it.
        area: writing area of the row in raster pixels.
        to_page: float64 (2, 3), raster pixels to page pixels.
    """
    edges = [(x, y, x + width, y + height) for x, y, width, height in pieces.boxes.tolist()]
    spans, rectangles = [], []
    for start in range(len(edges)):
        left, top, right, bottom = edges[start]
        for stop in range(start + 1, min(start + MAX_PIECES, len(edges)) + 1):
            x0, y0, x1, y1 = edges[stop - 1]
            left, top, right, bottom = min(left, x0), min(top, y0), max(right, x1), max(bottom, y1)
            if stop > start + 1 and right - left > MAX_WIDTH * area.height:
                break
            spans.append((start, stop))
            rectangles.append((left, top, right - left, bottom - top))
    crops = np.empty((len(spans), GLYPH_SIZE, GLYPH_SIZE), np.uint8)
    for index, ((start, stop), (x, y, width, height)) in enumerate(zip(spans, rectangles, strict=True)):
        mask = cv2.inRange(pieces.labels[y : y + height, x : x + width], start + 1, stop)
        crops[index] = normalize_glyph(mask)
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
    )


def page_boxes(boxes: NDArray[np.float32], to_page: NDArray[np.float64]) -> NDArray[np.float32]:
    """Upright page rectangles, float32 (N, 4) x, y, width, height, around raster rectangles of the same form."""
    x, y, width, height = boxes.T
    corners_x = np.stack([x, x + width, x, x + width])
    corners_y = np.stack([y, y, y + height, y + height])
    page_x = to_page[0, 0] * corners_x + to_page[0, 1] * corners_y + to_page[0, 2]
    page_y = to_page[1, 0] * corners_x + to_page[1, 1] * corners_y + to_page[1, 2]
    left, top = page_x.min(axis=0), page_y.min(axis=0)
    size = page_x.max(axis=0) - left, page_y.max(axis=0) - top
    return np.stack([left, top, *size], axis=1).astype(np.float32)


def _in_heights(boxes: NDArray[np.float32], area: Box) -> NDArray[np.float32]:
    """Left, top, right, bottom of raster rectangles, relative to the writing area, in units of its height."""
    left, top = boxes[:, 0] - area.x, boxes[:, 1] - area.y
    bounds = np.stack([left, top, left + boxes[:, 2], top + boxes[:, 3]], axis=1)
    return (bounds / area.height).astype(np.float32)
