"""Two looks at a row of writing: its bodies as they are, then cuts where these are not surely characters.

A *body* is a connected stroke with what stands over or under it, as the dot of an i. Most characters are one
body each, and a classifier that knows what is no character is sure of them at once. Only what it doubts is
worth cutting.
"""

from dataclasses import dataclass, replace

import cv2
import numpy as np
from numpy.typing import NDArray

from segmentation.components import Components
from segmentation.glyphs import CandidateLimits, crops_of, find_runs, glyph_line
from segmentation.normalization import normalize_all
from segmentation.page import GlyphLine
from segmentation.pieces import MIXED, Extents, Pieces, cut_doubtful, hosts, in_order, main_components
from segmentation.templates import Box


@dataclass(frozen=True, slots=True)
class UncutRow:
    """What is needed to cut a row that was looked at once.

    Attributes:
        parts: the cleaned ink of the row.
        area: its writing area in raster pixels.
        to_page: float64 (2, 3), raster pixels to page pixels.
        limits: how much one character may cover.
        bodies: int (C,) the body, from 0 and left to right, of which each component is a part.
        ink: int (B,) pixels of ink of each body.
        charset: what may stand in the row.
        least, most: characters that it may hold.
    """

    parts: Components
    area: Box
    to_page: NDArray[np.float64]
    limits: CandidateLimits
    bodies: NDArray[np.intp]
    ink: NDArray[np.intp]
    charset: str
    least: int
    most: int

    @property
    def labels(self) -> NDArray[np.intp]:
        """int (H, W), 0 = paper, b + 1 = body b."""
        labels: NDArray[np.intp] = np.append(0, self.bodies + 1)[self.parts.labels]
        return labels


@dataclass(frozen=True, slots=True)
class SecondLook:
    """A row cut where it was doubtful.

    Attributes:
        line: the lattice.
        pieces: what its candidates are runs of.
        known: int (N,) the candidate of the first look, that is the body, which each candidate is; -1 for
            those whose ink was not looked at as a whole.
    """

    line: GlyphLine
    pieces: Pieces
    known: NDArray[np.intp]


def look_at_bodies(
    parts: Components,
    area: Box,
    to_page: NDArray[np.float64],
    limits: CandidateLimits,
    charset: str,
    least: int,
    most: int,
) -> GlyphLine:
    """The first look: a lattice in which each body is a piece, and a candidate by itself.

    Slant is left out of account: no pixel is touched that is not in a crop. What it joins or orders otherwise
    than the second look is looked at again there.

    Args:
        parts: the cleaned ink of the row.
        area: its writing area in raster pixels.
        to_page: float64 (2, 3), raster pixels to page pixels.
        limits: how much one character may cover, for the second look.
        charset: what may stand in the row.
        least, most: characters that it may hold.

    Returns:
        The line, with the ``uncut`` row for ``look_again``.
    """
    parts = main_components(parts)
    single = Extents.of_components(parts)
    bodies, joined = in_order(single, hosts(single)) if len(parts) else (np.zeros(0, np.intp), single)
    boxes = joined.boxes
    numbers = np.arange(len(boxes), dtype=np.int16)
    pieces = Pieces(parts.labels, boxes.astype(np.int32), joined.area.astype(np.int32))
    spans = np.stack([numbers, numbers + 1], axis=1)
    crops = normalize_all(_masks(parts, bodies, boxes), boxes)
    line = glyph_line(pieces, area, to_page, spans, boxes, crops)
    return replace(
        line, uncut=UncutRow(parts, area, to_page, limits, bodies, joined.area, charset, least, most)
    )


def _masks(parts: Components, bodies: NDArray[np.intp], boxes: NDArray[np.intp]) -> list[NDArray[np.uint8]]:
    """The ink of each body in its box, uint8 (h, w), 0 or 255."""
    members: list[list[int]] = [[] for _ in boxes]
    for component, body in enumerate(bodies.tolist(), start=1):
        members[body].append(component)
    masks = []
    for own, (x, y, width, height) in zip(members, boxes.tolist(), strict=True):
        view = parts.labels[y : y + height, x : x + width]
        if view.dtype == np.uint16:
            mask = cv2.inRange(view, own[0], own[0])
            for other in own[1:]:
                cv2.bitwise_or(mask, cv2.inRange(view, other, other), dst=mask)
        else:
            mask = np.isin(view, own).view(np.uint8) * np.uint8(255)
        masks.append(mask)
    return masks


def look_again(line: GlyphLine, settled: NDArray[np.bool_]) -> SecondLook | None:
    """The second look: bodies that are not settled are cut, and joined with what stands beside them.

    Args:
        line: of ``look_at_bodies``.
        settled: bool (B,) bodies that are surely whole characters.

    Returns:
        The row; None if there is nothing more to see, as all is settled.

    Raises:
        ValueError: the line has been cut already.
    """
    row = line.uncut
    if row is None:
        raise ValueError("this line has been cut already")
    if settled.all():
        return None
    pieces = cut_doubtful(row.parts, row.area.height, row.bodies, ~settled[row.bodies])
    body = pieces.bodies
    alone = (body != MIXED) & (pieces.areas == row.ink[body])
    spans, rectangles = find_runs(pieces, row.limits, row.area.height, alone & settled[body])
    known = _known(spans.astype(np.intp), pieces, row.ink)
    fresh = known < 0
    crops = line.crops[known]
    crops[fresh] = crops_of(pieces, spans[fresh], rectangles[fresh])
    return SecondLook(glyph_line(pieces, row.area, row.to_page, spans, rectangles, crops), pieces, known)


def _known(spans: NDArray[np.intp], pieces: Pieces, ink: NDArray[np.intp]) -> NDArray[np.intp]:
    """int (N,): the body that a run of pieces is, all of it and nothing else, or -1."""
    first, last = spans[:, 0], spans[:, 1] - 1
    body = pieces.bodies
    # Of a run whose ends are of one body all pieces between are of it, unless another's stands amidst them.
    changes = np.append(0, np.cumsum(np.diff(body) != 0)) if len(body) else body
    areas = np.append(0, np.cumsum(pieces.areas))
    one = (body[first] != MIXED) & (changes[first] == changes[last])
    whole = areas[spans[:, 1]] - areas[first] == ink[body[first]]
    return np.where(one & whole, body[first], -1)
