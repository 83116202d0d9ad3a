"""Two looks at rows of writing: their bodies as they are, then cuts where these are not surely characters.

A *body* is a connected stroke with what stands over or under it, as the dot of an i. Most characters are one
body each, and a classifier that knows what is no character is sure of them at once. Only what it doubts is
worth cutting.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from itertools import pairwise

import cv2
import numpy as np
from numpy.typing import NDArray

from segmentation.components import Components
from segmentation.extents import Extents, hosts, in_order
from segmentation.glyphs import CandidateLimits, RowPlace, Runs, crops_of, find_runs, glyph_lines
from segmentation.normalization import normalize_all
from segmentation.page import GlyphLine
from segmentation.pieces import MIXED, Pieces, RowToCut, cut_rows, main_components


@dataclass(frozen=True, slots=True)
class InkRow:
    """A row of writing that nobody has looked at yet.

    Attributes:
        parts: its cleaned ink.
        place: where it lies.
        limits: how much one character may cover, for the second look.
        charset: what may stand in it.
        least, most: characters that it may hold.
    """

    parts: Components
    place: RowPlace
    limits: CandidateLimits
    charset: str
    least: int
    most: int


@dataclass(frozen=True, slots=True)
class UncutRow(InkRow):
    """What is needed to cut a row that was looked at once.

    Attributes:
        bodies: int (C,) the body, from 0 and left to right, of which each component is a part.
        ink: int (B,) pixels of ink of each body.
    """

    bodies: NDArray[np.intp]
    ink: NDArray[np.intp]

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


def look_at_bodies(rows: Sequence[InkRow]) -> list[GlyphLine]:
    """The first look: lattices in which each body is a piece, and a candidate by itself.

    Slant is left out of account: no pixel is touched that is not in a crop. What it joins or orders otherwise
    than the second look is looked at again there.

    Args:
        rows: of writing, of any number of fields.

    Returns:
        Their lines, each with its ``uncut`` row for ``look_again``.
    """
    if not rows:
        return []
    parts = [main_components(row.parts) for row in rows]
    counts, numbers = [len(own) for own in parts], np.arange(len(rows))
    single, row_of = Extents.of_components(parts), np.repeat(numbers, counts)
    rank, joined, row_of_body = in_order(single, hosts(single, row_of), row_of)
    ends = np.searchsorted(row_of_body, np.append(numbers, len(rows)))
    bodies = np.split(rank - ends[row_of], np.cumsum(counts)[:-1])  # numbered from 0 in each row
    boxes = joined.boxes
    pieces, runs, masks = [], [], []
    for own, of_component, (first, last) in zip(parts, bodies, pairwise(ends.tolist()), strict=True):
        spans = np.arange(last - first, dtype=np.int16)[:, None] + np.array([0, 1], np.int16)
        rectangles, areas = boxes[first:last], joined.area[first:last]
        pieces.append(Pieces(own.labels, rectangles.astype(np.int32), areas.astype(np.int32)))
        runs.append(Runs(spans, rectangles))
        masks += _masks(own, of_component, rectangles)
    lines = glyph_lines([row.place for row in rows], pieces, runs, normalize_all(masks, boxes))
    edges = zip(rows, parts, bodies, pairwise(ends.tolist()), strict=True)
    uncut = [
        UncutRow(
            own,
            row.place,
            row.limits,
            row.charset,
            row.least,
            row.most,
            of_component,
            joined.area[first:last],
        )
        for row, own, of_component, (first, last) in edges
    ]
    return [
        replace(line, whole=np.ones(len(line.starts), np.bool_), charset=row.charset, uncut=row)
        for line, row in zip(lines, uncut, strict=True)
    ]


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


def look_again(lines: Sequence[GlyphLine], settled: Sequence[NDArray[np.bool_]]) -> list[SecondLook | None]:
    """The second look: bodies that are not settled are cut, and joined with what stands beside them.

    Args:
        lines: of ``look_at_bodies``, of any number of fields.
        settled: of each, bool (B,), the bodies that are surely whole characters.

    Returns:
        The rows; None for each in which there is nothing more to see, as all is settled.

    Raises:
        ValueError: a line has been cut already.
    """
    looks: list[SecondLook | None] = [None] * len(lines)
    doubtful = _Doubtful.of(lines, settled)
    if doubtful:
        for row, seen in zip(doubtful, _cut_again(doubtful), strict=True):
            looks[row.place] = seen
    return looks


@dataclass(frozen=True, slots=True)
class _Doubtful:
    """A row to look at again.

    Attributes:
        place: among those that were handed over.
        line: of the first look.
        uncut: the row.
        settled: bool (B,) the bodies that are surely whole characters.
    """

    place: int
    line: GlyphLine
    uncut: UncutRow
    settled: NDArray[np.bool_]

    @classmethod
    def of(cls, lines: Sequence[GlyphLine], settled: Sequence[NDArray[np.bool_]]) -> "list[_Doubtful]":
        """Those of some lines of which not all is settled; raises as ``look_again``."""
        rows = []
        for place, (line, own) in enumerate(zip(lines, settled, strict=True)):
            if line.uncut is None:
                raise ValueError("this line has been cut already")
            if not own.all():
                rows.append(cls(place, line, line.uncut, own))
        return rows

    @property
    def to_cut(self) -> RowToCut:
        """What is to be cut of it: the components of bodies that are not settled."""
        row = self.uncut
        return RowToCut(row.parts, row.place.area.height, row.bodies, ~self.settled[row.bodies])

    def runs(self, pieces: Pieces) -> Runs:
        """The candidates that its pieces make: runs of settled bodies alone are left out."""
        row, body = self.uncut, pieces.bodies
        alone = (body != MIXED) & (pieces.areas == row.ink[body])  # the piece is all of one body
        return find_runs(pieces, row.limits, row.place.area.height, alone & self.settled[body])


def _cut_again(rows: Sequence[_Doubtful]) -> list[SecondLook]:
    """Cuts rows, at least one; crops of the first look are used again where a candidate is a body."""
    cut = cut_rows([row.to_cut for row in rows])
    runs = [row.runs(pieces) for row, pieces in zip(rows, cut, strict=True)]
    known = [
        _known(own.spans.astype(np.intp), pieces, row.uncut.ink)
        for row, own, pieces in zip(rows, runs, cut, strict=True)
    ]
    fresh = [Runs(own.spans[body < 0], own.boxes[body < 0]) for own, body in zip(runs, known, strict=True)]
    # Of what is no body any crop stands there until its own is made.
    crops = np.concatenate([row.line.crops[body] for row, body in zip(rows, known, strict=True)])
    crops[np.concatenate(known) < 0] = crops_of(cut, fresh)
    lines = glyph_lines([row.uncut.place for row in rows], cut, runs, crops)
    return [
        SecondLook(replace(line, whole=body >= 0), pieces, body)
        for line, pieces, body in zip(lines, cut, known, strict=True)
    ]


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
