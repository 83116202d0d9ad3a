"""Cuts the ink of rows of writing into pieces.

Over-segmentation: every place where two characters may touch is cut, so some characters fall into several
pieces, of which neighbouring ones are joined into candidates (``segmentation.glyphs``). Cuts follow the
slant of the writing. What is surely a whole character need not be cut (``segmentation.looks``). Survey of the
method: R. G. Casey, E. Lecolinet, "A survey of methods and strategies in character segmentation", IEEE PAMI
18 (1996).
"""

from collections.abc import Sequence
from dataclasses import dataclass, field
from itertools import pairwise

import numpy as np
from numpy.typing import NDArray

from segmentation.components import Components, find_components
from segmentation.cuts import MAX_CUTS, SLANT_POINTS, estimate_slant, find_parts, stroke_width
from segmentation.extents import Extents, hosts, in_order

MIN_CUT_WIDTH = 0.30  # of a component worth cutting, in heights of the writing area
MAX_COMPONENTS = 600  # in one row, the largest ones: their pieces are numbered in 16 bits
MIXED = -1  # of a piece with ink of several bodies


@dataclass(frozen=True, slots=True)
class Pieces:
    """A row of writing cut into pieces, left to right.

    Attributes:
        labels: uint16 or int32 (H, W), 0 = paper, p + 1 = piece p, in the field's raster.
        boxes: int32 (P, 4) x, y, width, height of each piece.
        areas: int32 (P,) pixels of ink of each piece.
        bodies: int (P,) the body that all ink of a piece is of, or ``MIXED``; empty where bodies are not
            looked at.
    """

    labels: NDArray[np.uint16] | NDArray[np.int32]
    boxes: NDArray[np.int32]
    areas: NDArray[np.int32]
    bodies: NDArray[np.intp] = field(default_factory=lambda: np.zeros(0, np.intp))


def main_components(parts: Components) -> Components:
    """The ``MAX_COMPONENTS`` largest components, or all if there are fewer."""
    if len(parts) <= MAX_COMPONENTS:
        return parts
    largest = np.concatenate([[False], parts.largest(MAX_COMPONENTS)])
    return find_components(largest[parts.labels])


@dataclass(frozen=True, slots=True)
class RowToCut:
    """A row of writing of which some is to be cut.

    Attributes:
        parts: its cleaned ink, at most ``MAX_COMPONENTS``.
        height: height of its writing area in pixels, the measure for all other sizes.
        bodies: int (C,) the body of which each component is a part, from 0.
        doubtful: bool (C,) which components are to be cut.
    """

    parts: Components
    height: float
    bodies: NDArray[np.intp]
    doubtful: NDArray[np.bool_]


def cut_pieces(parts: Components, height: float) -> Pieces:
    """Cuts one row of writing into pieces, wherever two characters may touch.

    Args:
        parts: the cleaned ink of the row.
        height: height of its writing area in pixels, the measure for all other sizes.
    """
    parts = main_components(parts)
    return cut_rows([RowToCut(parts, height, np.arange(len(parts)), np.ones(len(parts), bool))])[0]


def cut_rows(rows: Sequence[RowToCut]) -> list[Pieces]:
    """Cuts some components of each row of writing into pieces; each of the others is a piece."""
    if not rows:
        return []
    looked = [_Inked.of(row) for row in rows]
    cut = _cut(rows, looked)
    whole = [_whole(row, one) for row, one in zip(rows, looked, strict=True)]
    row_of = np.concatenate([cut.row, np.repeat(np.arange(len(rows)), [len(own) for own in whole])])
    joined = _Joined.of(cut.extents.join(_uncut(rows, whole, looked)), row_of, len(rows))
    bodies = _common(
        _bodies(rows, row_of, np.concatenate([cut.component, *whole])), joined.place, len(joined.areas)
    )
    labels = _rasters(rows, cut, whole, joined.names)
    return [
        Pieces(own, joined.boxes[first:last], joined.areas[first:last], bodies[first:last])
        for own, (first, last) in zip(labels, pairwise(joined.ends), strict=True)
    ]


def _uncut(
    rows: Sequence[RowToCut], whole: Sequence[NDArray[np.intp]], looked: "Sequence[_Inked | None]"
) -> Extents:
    """The extents of the components of each row that are a piece each, along the slant of the row."""
    return Extents.of_components(
        [row.parts.these(own) for row, own in zip(rows, whole, strict=True)],
        [0.0 if one is None else one.slant for one in looked],
        [0.0 if one is None else one.middle for one in looked],
    )


@dataclass(frozen=True, slots=True)
class _Joined:
    """Pieces of rows, of which those that stand over or under each other are one, row by row from the left.

    Attributes:
        place: int (N,) which of the joined ones each of those before is a part of.
        names: uint16 (N,) the number of that in its row, from 1.
        boxes: int32 (P, 4) x, y, width, height of the joined ones.
        areas: int32 (P,) their pixels of ink.
        ends: int (R + 1,), row r has the joined ones ``ends[r] <= p < ends[r + 1]``.
    """

    place: NDArray[np.intp]
    names: NDArray[np.uint16]
    boxes: NDArray[np.int32]
    areas: NDArray[np.int32]
    ends: list[int]

    @classmethod
    def of(cls, extents: Extents, row_of: NDArray[np.intp], rows: int) -> "_Joined":
        """Joins pieces of so many rows, given the row of each, int (N,)."""
        order = np.argsort(row_of, kind="stable")
        extents, ordered = extents.these(order), row_of[order]
        rank, joined, row_of_joined = in_order(extents, hosts(extents, ordered), ordered)
        place = np.empty(len(order), np.intp)
        place[order] = rank
        ends = np.searchsorted(row_of_joined, np.arange(rows + 1))
        names = (place - ends[row_of] + 1).astype(np.uint16)
        return cls(place, names, joined.boxes.astype(np.int32), joined.area.astype(np.int32), ends.tolist())


def _bodies(
    rows: Sequence[RowToCut], row_of: NDArray[np.intp], component: NDArray[np.intp]
) -> NDArray[np.intp]:
    """The body of each piece, int (N,), given its row and its component in that, int (N,) both."""
    firsts = np.cumsum([0, *(len(row.parts) for row in rows)])
    bodies: NDArray[np.intp] = np.concatenate([row.bodies for row in rows])[firsts[row_of] + component]
    return bodies


def _rasters(
    rows: Sequence[RowToCut], cut: "_Cut", whole: Sequence[NDArray[np.intp]], names: NDArray[np.uint16]
) -> list[NDArray[np.uint16]]:
    """The raster of the pieces of each row.

    Args:
        rows: as they were.
        cut: what was cut of them.
        whole: int, the components of each that were not.
        names: uint16 (N,) what is written for each piece: first those that were cut, then those that were
            not, of one row after the other.
    """
    named = np.split(names[len(cut.row) :], np.cumsum([len(own) for own in whole])[:-1])
    pixels = np.split(names[cut.piece], np.cumsum([len(own) for own in cut.inked])[:-1])
    return [_labelled(*one) for one in zip(rows, whole, named, cut.inked, pixels, strict=True)]


def _whole(row: RowToCut, looked: "_Inked | None") -> NDArray[np.intp]:
    """int (W,): the components that are a piece each; of a row that is not cut at all, the doubtful first."""
    whole = np.flatnonzero(~row.doubtful)
    return whole if looked is not None else np.concatenate([np.flatnonzero(row.doubtful), whole])


def _labelled(
    row: RowToCut,
    whole: NDArray[np.intp],
    named: NDArray[np.uint16],
    inked: NDArray[np.intp],
    pixels: NDArray[np.uint16],
) -> NDArray[np.uint16]:
    """The raster of a row's pieces, uint16 (H, W), 0 = paper.

    Args:
        row: as it was.
        whole: int (W,) the components that were not cut.
        named: uint16 (W,) what each of them is in the raster.
        inked: int (N,) the pixels of those that were.
        pixels: uint16 (N,) what each of them is in the raster.
    """
    names = np.zeros(len(row.parts) + 1, np.uint16)
    names[whole + 1] = named
    labels = row.parts.renamed(names)
    labels.ravel()[inked] = pixels
    return labels


@dataclass(frozen=True, slots=True)
class _Inked:
    """The ink of a row and how its strokes are.

    Attributes:
        inked: int (N,) its pixels, as places in the raster.
        labels: uint16 or int32 (N,) 1 + the component of each.
        slant: horizontal shift a row of pixels that makes the writing upright.
        middle: the row of pixels, about the middle of the ink, that is not shifted.
        stroke: width of the strokes in pixels.
    """

    inked: NDArray[np.intp]
    labels: NDArray[np.uint16] | NDArray[np.int32]
    slant: float
    middle: float
    stroke: float

    @classmethod
    def of(cls, row: RowToCut) -> "_Inked | None":
        """Looks at a row; None if nothing in it is wide enough to be cut, as in most rows."""
        if not (row.parts.boxes[row.doubtful, 2] >= MIN_CUT_WIDTH * row.height).any():
            return None
        ink = row.parts.ink
        inked = np.flatnonzero(ink)
        labels = row.parts.labels.ravel()[inked]
        return cls(inked, labels, *_lean(inked, ink.shape[1]), stroke_width(ink))


def _lean(inked: NDArray[np.intp], width: int) -> tuple[float, float]:
    """The slant of a row of writing and the mean row of its ink, given its pixels as places in a raster.

    ``width`` is the raster's. Of many pixels only some are looked at.
    """
    sample = inked[:: len(inked) // SLANT_POINTS + 1]
    ys = sample // width
    return estimate_slant(sample - ys * width, ys), float(ys.mean())


@dataclass(frozen=True, slots=True)
class _Cut:
    """What cutting gives, before anything is joined.

    Attributes:
        inked: of each row, int, the pixels that were looked at, as places in the raster.
        piece: int (N,) the piece of each of all these pixels.
        component: int (P,) the component, among those of its row, of each piece.
        row: int (P,) the row of each piece, not decreasing.
        extents: of each piece.
    """

    inked: list[NDArray[np.intp]]
    piece: NDArray[np.intp]
    component: NDArray[np.intp]
    row: NDArray[np.intp]
    extents: Extents


def _cut(rows: Sequence[RowToCut], looked: Sequence[_Inked | None]) -> _Cut:
    """Cuts the doubtful components of all rows that were looked at."""
    none, nothing = np.zeros(0, np.intp), np.zeros((3, 0), np.intp)
    places, inked, chosen = [], [], []
    for row, one in zip(rows, looked, strict=True):
        if one is None:
            inked.append(none)
            chosen.append(none)
            continue
        own = np.append(False, row.doubtful)[one.labels]
        # One component after the other, each in raster order.
        pixels = one.inked[own][np.argsort(one.labels[own], kind="stable")]
        height, width = row.parts.labels.shape
        ys = pixels // width
        xs = pixels - ys * width
        along = np.rint(xs + (one.slant * (np.arange(height) - one.middle))[ys]).astype(np.intp)
        inked.append(pixels)
        places.append((xs, ys, along))
        chosen.append(np.flatnonzero(row.doubtful))
    counts = [len(own) for own in chosen]
    if not any(counts):
        return _Cut(inked, none, none, none, Extents(none, nothing, nothing))
    boxes = np.concatenate([row.parts.boxes[own] for row, own in zip(rows, chosen, strict=True)])
    areas = np.concatenate([row.parts.areas[own] for row, own in zip(rows, chosen, strict=True)])
    heights = np.repeat([row.height for row in rows], counts)
    strokes = np.repeat([0.0 if one is None else one.stroke for one in looked], counts)
    owner = np.repeat(np.arange(len(areas)), areas)
    xs, ys, along = (np.concatenate(values) for values in zip(*places, strict=True))
    wide = (boxes[:, 2] >= MIN_CUT_WIDTH * heights) & (boxes[:, 3] >= 2 * strokes)
    within = find_parts(along, ys, owner, areas.astype(np.intp), wide, strokes, heights)
    key = owner * (MAX_CUTS + 1) + within
    used = np.bincount(key) > 0
    piece = (np.cumsum(used) - 1)[key]
    cut = np.flatnonzero(used) // (MAX_CUTS + 1)
    row_of = np.repeat(np.arange(len(rows)), counts)[cut]
    return _Cut(inked, piece, np.concatenate(chosen)[cut], row_of, _extents(piece, xs, ys, along))


def _common(values: NDArray[np.intp], group: NDArray[np.intp], count: int) -> NDArray[np.intp]:
    """int (count,): the value that all members of a group have, or ``MIXED``; both arguments (N,)."""
    least, most = np.full(count, np.iinfo(np.intp).max), np.full(count, MIXED)
    np.minimum.at(least, group, values)
    np.maximum.at(most, group, values)
    return np.where(least == most, most, MIXED)


def _extents(
    piece: NDArray[np.intp], xs: NDArray[np.intp], ys: NDArray[np.intp], along: NDArray[np.intp]
) -> Extents:
    """Measures pieces, numbered without a gap, from the piece and the place of each pixel, int (N,) all.

    ``ys`` increases within a piece.
    """
    area = np.bincount(piece)
    least, most = np.empty((3, len(area)), np.intp), np.empty((3, len(area)), np.intp)
    # The last value written to a place stays: the lowest row, and the other way round the highest.
    most[1, piece] = ys
    least[1, piece[::-1]] = ys[::-1]
    for axis, values in ((0, xs), (2, along)):
        least[axis], most[axis] = np.iinfo(np.intp).max, np.iinfo(np.intp).min
        np.minimum.at(least[axis], piece, values)
        np.maximum.at(most[axis], piece, values)
    return Extents(area, least, most + 1)
