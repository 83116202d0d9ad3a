"""Joins the pieces of rows of writing into candidate glyphs: each piece, and each run of neighbouring ones.

A run is a candidate if it is no wider than a character and holds no two bodies; the decoder chooses among
them.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from itertools import accumulate, pairwise
from typing import NamedTuple

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


_NO_BOXES = np.zeros((0, 4), np.intp)


class Runs(NamedTuple):
    """Runs of pieces of a row, N of them.

    Attributes:
        spans: int16 (N, 2) first and past-last piece.
        boxes: int (N, 4) x, y, width, height in raster pixels.
    """

    spans: NDArray[np.int16]
    boxes: NDArray[np.intp]


@dataclass(frozen=True, slots=True)
class RowPlace:
    """Where a row lies: its writing area, in raster pixels, and float64 (2, 3), raster to page pixels."""

    area: Box
    to_page: NDArray[np.float64]


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
    runs = find_runs(pieces, limits, area.height)
    line = glyph_lines([RowPlace(area, to_page)], [pieces], [runs], crops_of([pieces], [runs]))[0]
    return line if cells is None else replace(line, cells=cells)


def crops_of(pieces: Sequence[Pieces], runs: Sequence[Runs]) -> NDArray[np.uint8]:
    """The crops, uint8 (N, 28, 28), of runs of pieces of each row, one row after the other."""
    masks = (
        cv2.inRange(own.labels[y : y + height, x : x + width], start + 1, stop)
        for own, (spans, boxes) in zip(pieces, runs, strict=True)
        for (start, stop), (x, y, width, height) in zip(spans.tolist(), boxes.tolist(), strict=True)
    )
    return normalize_all(masks, np.concatenate([_NO_BOXES, *(own.boxes for own in runs)]))


def glyph_lines(
    places: Sequence[RowPlace],
    pieces: Sequence[Pieces],
    runs: Sequence[Runs],
    crops: NDArray[np.uint8],
) -> list[GlyphLine]:
    """The lattices of rows of writing, all measured together.

    Args:
        places: where each row lies.
        pieces: of each row.
        runs: the candidates of each row.
        crops: uint8 (N, 28, 28) of the candidates of all rows, one row after the other.
    """
    counts, piece_counts = [len(own.spans) for own in runs], [len(own.areas) for own in pieces]
    boxes = np.concatenate([_NO_BOXES, *(own.boxes for own in runs)]).astype(np.float32)
    of_pieces = np.concatenate([_NO_BOXES, *(own.boxes for own in pieces)]).astype(np.float32)
    row, row_of_piece = (np.repeat(np.arange(len(places)), number) for number in (counts, piece_counts))
    on_page = page_boxes(boxes, [place.to_page for place in places], row)
    bounds, piece_bounds = _in_heights(boxes, places, row), _in_heights(of_pieces, places, row_of_piece)
    own, own_pieces = (pairwise(accumulate(number, initial=0)) for number in (counts, piece_counts))
    rows = zip(places, pieces, runs, own, own_pieces, strict=True)
    return [
        GlyphLine(
            starts=spans[:, 0],
            stops=spans[:, 1],
            crops=crops[first:last],
            boxes=on_page[first:last],
            bounds=bounds[first:last],
            piece_bounds=piece_bounds[first_piece:last_piece],
            piece_ink=(of_row.areas / place.area.height**2).astype(np.float32),
        )
        for place, of_row, (spans, _), (first, last), (first_piece, last_piece) in rows
    ]


def find_runs(
    pieces: Pieces, limits: CandidateLimits, height: float, settled: NDArray[np.bool_] | None = None
) -> Runs:
    """The runs of pieces that may be one character.

    A run ends before it is wider than a character may be, and before it holds two bodies: parts with white
    between them of which each is as large as a character. A third of all runs would be such neighbours.

    Args:
        pieces: of the row.
        limits: how much one character may cover.
        height: of the writing area, pixels.
        settled: bool (P,) pieces that are surely whole characters; runs of these alone are left out.

    """
    sizes = _CharacterSizes.of(limits.width * height, usual_height(pieces))
    next_open = _next_open(settled, len(pieces.areas))
    edges = [(x, y, x + width, y + height) for x, y, width, height in pieces.boxes.tolist()]
    spans, boxes = [], []
    for start, (first_open, (left, top, right, bottom)) in enumerate(zip(next_open, edges, strict=True)):
        spans.append((start, start + 1))
        boxes.append((left, top, right - left, bottom - top))
        if first_open >= min(start + limits.pieces, len(edges)):
            continue
        grown = _grown(edges[start : start + limits.pieces], sizes)
        for stop, box in enumerate(grown, start + 2):
            if first_open < stop:
                spans.append((start, stop))
                boxes.append(box)
    return Runs(np.array(spans, np.int16).reshape(-1, 2), np.array(boxes, np.intp).reshape(-1, 4))


class _CharacterSizes(NamedTuple):
    """What tells one character from two neighbours, in raster pixels.

    Attributes:
        widest: more no character is wide.
        white: more than that between two parts tells them apart.
        high, wide: what each of them is at least if it is a character, a body.
        narrow: together no wider, they are a broken one nevertheless.
    """

    widest: float
    white: float
    high: float
    wide: float
    narrow: float

    @classmethod
    def of(cls, widest: float, usual: float) -> "_CharacterSizes":
        """Those of a row whose pieces usually are so high."""
        return cls(widest, *(usual * share for share in (BODY_GAP, BODY_HEIGHT, BODY_WIDTH, BODIES_WIDTH)))


_Rectangle = tuple[int, int, int, int]


def _grown(edges: Sequence[_Rectangle], sizes: _CharacterSizes) -> list[_Rectangle]:
    """The boxes of the first piece with the next one, with the next two and so on, while it is one character.

    ``edges`` are left, top, right, bottom of pieces from left to right; the boxes x, y, width, height. What
    was joined last and has no white between is a part; whether it is a body shows when the next part begins.
    """
    widest, white, high, wide, narrow = sizes
    left, top, right, bottom = edges[0]
    part_left, part_top, part_bottom, bodies = left, top, bottom, 0  # ``right`` is that of the part, too
    boxes = []
    # Comparing here takes a third of the time of calling min and max.
    for x0, y0, x1, y1 in edges[1:]:
        if x0 - right > white:
            bodies += part_bottom - part_top >= high and right - part_left >= wide
            part_left, part_top, part_bottom = x0, y0, y1
        else:
            part_left = x0 if x0 < part_left else part_left
            part_top = y0 if y0 < part_top else part_top
            part_bottom = y1 if y1 > part_bottom else part_bottom
        left = x0 if x0 < left else left
        top = y0 if y0 < top else top
        right = x1 if x1 > right else right
        bottom = y1 if y1 > bottom else bottom
        across = right - left
        if across > widest:
            break
        body = part_bottom - part_top >= high and right - part_left >= wide
        if bodies + body > 1 and across > narrow:
            break
        boxes.append((left, top, across, bottom - top))
    return boxes


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


def page_boxes(
    boxes: NDArray[np.float32], maps: Sequence[NDArray[np.float64]], which: NDArray[np.intp]
) -> NDArray[np.float32]:
    """Upright page rectangles around rectangles of rasters.

    Args:
        boxes: float32 (N, 4) x, y, width, height in raster pixels.
        maps: float64 (2, 3) each, the pixels of a raster to page pixels.
        which: int (N,) the map of each rectangle.

    Returns:
        float32 (N, 4) x, y, width, height in page pixels.
    """
    to_page = np.stack(maps)
    turns = np.zeros((len(maps), 4, 4))
    turns[:, :2, :2] = to_page[:, :, :2]
    # The corner that lies farthest left, or up, is the same for all.
    turns[:, :2, 2:] = np.minimum(to_page[:, :, :2], 0.0)
    turns[:, 2:, 2:] = np.abs(to_page[:, :, :2])
    placed = np.einsum("nij,nj->ni", turns[which], boxes)
    placed[:, :2] += to_page[which, :, 2]
    return placed.astype(np.float32)


def _in_heights(
    boxes: NDArray[np.float32], places: Sequence[RowPlace], row: NDArray[np.intp]
) -> NDArray[np.float32]:
    """Left, top, right, bottom of raster rectangles, relative to the writing area, in units of its height."""
    areas = np.array([(place.area.x, place.area.y, place.area.height) for place in places], np.float32)[row]
    bounds = np.empty((len(boxes), 4), np.float32)
    bounds[:, :2] = boxes[:, :2] - areas[:, :2]
    bounds[:, 2:] = bounds[:, :2] + boxes[:, 2:]
    bounds /= areas[:, 2:]
    return bounds
