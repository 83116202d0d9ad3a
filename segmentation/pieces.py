"""Cuts the ink of one row of writing into pieces.

Over-segmentation: every place where two characters may touch is cut, so some characters fall into several
pieces, of which neighbouring ones are joined into candidates (``segmentation.glyphs``). Cuts follow the
slant of the writing. What is surely a whole character need not be cut (``segmentation.looks``). Survey of the
method: R. G. Casey, E. Lecolinet, "A survey of methods and strategies in character segmentation", IEEE PAMI
18 (1996).
"""

from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from segmentation.components import Components, find_components
from segmentation.cuts import MAX_CUTS, SLANT_POINTS, estimate_slant, find_parts, stroke_width

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


@dataclass(frozen=True, slots=True)
class Extents:
    """Pixels of ink of each piece, int (P,); its first and past-last x, y, place along the slant, (3, P)."""

    area: NDArray[np.intp]
    start: NDArray[np.intp]
    stop: NDArray[np.intp]

    @classmethod
    def of_components(cls, parts: Components, slant: float = 0.0, middle: float = 0.0) -> "Extents":
        """Those of whole components; along the slant about, as a slanted box is wider than its ink.

        Args:
            parts: the components.
            slant: horizontal shift a row that makes the writing upright.
            middle: the row, in pixels, that is not shifted.
        """
        start = parts.boxes[:, [0, 1, 0]].T.astype(np.intp)
        start[2] += np.rint(slant * (parts.centers[:, 1] - middle)).astype(np.intp)
        return cls(parts.areas.astype(np.intp), start, start + parts.boxes[:, [2, 3, 2]].T)

    @property
    def boxes(self) -> NDArray[np.intp]:
        """int (P, 4) x, y, width, height."""
        return np.concatenate([self.start[:2], (self.stop - self.start)[:2]]).T

    def join(self, other: "Extents") -> "Extents":
        """These and then the others."""
        return Extents(
            np.concatenate([self.area, other.area]),
            np.concatenate([self.start, other.start], axis=1),
            np.concatenate([self.stop, other.stop], axis=1),
        )


def main_components(parts: Components) -> Components:
    """The ``MAX_COMPONENTS`` largest components, or all if there are fewer."""
    if len(parts) <= MAX_COMPONENTS:
        return parts
    largest = np.concatenate([[False], parts.largest(MAX_COMPONENTS)])
    return find_components(largest[parts.labels])


def cut_pieces(parts: Components, height: float) -> Pieces:
    """Cuts one row of writing into pieces, wherever two characters may touch.

    Args:
        parts: the cleaned ink of the row.
        height: height of its writing area in pixels, the measure for all other sizes.
    """
    parts = main_components(parts)
    bodies = np.arange(len(parts))
    return cut_doubtful(parts, height, bodies, np.ones(len(parts), bool))


def cut_doubtful(
    parts: Components, height: float, bodies: NDArray[np.intp], doubtful: NDArray[np.bool_]
) -> Pieces:
    """Cuts some components of a row of writing into pieces; each of the others is a piece.

    Args:
        parts: the cleaned ink of the row, at most ``MAX_COMPONENTS``.
        height: height of its writing area in pixels, the measure for all other sizes.
        bodies: int (C,) the body of which each component is a part, from 0.
        doubtful: bool (C,) which are to be cut.
    """
    if not len(parts):
        nothing = np.zeros(parts.labels.shape, np.uint16)
        return Pieces(nothing, np.zeros((0, 4), np.int32), np.zeros(0, np.int32))
    ink = parts.ink
    inked = np.flatnonzero(ink)
    slant, middle, stroke = 0.0, 0.0, 2.0
    if (parts.boxes[doubtful, 2] >= MIN_CUT_WIDTH * height).any():
        stroke = stroke_width(ink)
        slant, middle = _lean(inked, ink.shape[1])
    cut = _cut(parts, inked, doubtful, slant, middle, stroke, height)
    whole = np.flatnonzero(~doubtful)
    extents = cut.extents.join(Extents.of_components(parts.these(whole), slant, middle))
    rank, joined = in_order(extents, hosts(extents))
    names = np.zeros(len(parts) + 1, np.uint16)
    names[whole + 1] = rank[len(cut.component) :] + 1
    labels = np.zeros(parts.labels.size, np.uint16)
    labels[inked] = names[parts.labels.ravel()[inked]]  # most of it is paper, which need not be looked up
    labels[cut.inked] = (rank[: len(cut.component)] + 1)[cut.piece]
    of_body = _common(bodies[np.concatenate([cut.component, whole])], rank, len(joined.area))
    return Pieces(
        labels.reshape(parts.labels.shape),
        joined.boxes.astype(np.int32),
        joined.area.astype(np.int32),
        of_body,
    )


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
        inked: int (N,) the pixels that were looked at, as places in the raster.
        piece: int (N,) the piece of each.
        component: int (P,) the component of each piece.
        extents: of each piece.
    """

    inked: NDArray[np.intp]
    piece: NDArray[np.intp]
    component: NDArray[np.intp]
    extents: Extents


def _cut(
    parts: Components,
    inked: NDArray[np.intp],
    doubtful: NDArray[np.bool_],
    slant: float,
    middle: float,
    stroke: float,
    height: float,
) -> _Cut:
    labels_of = parts.labels.ravel()[inked]
    chosen = np.flatnonzero(doubtful)
    if not len(chosen):
        nothing = np.zeros((3, 0), np.intp)
        return _Cut(nothing[0], nothing[0], nothing[0], Extents(nothing[0], nothing, nothing))
    if len(chosen) < len(parts):
        own = np.append(False, doubtful)[labels_of]
        inked, labels_of = inked[own], labels_of[own]
    # One component after the other, each in raster order.
    order = np.argsort(labels_of, kind="stable")
    inked = inked[order]
    ys = inked // parts.labels.shape[1]
    xs = inked - ys * parts.labels.shape[1]
    owner = np.repeat(np.arange(len(chosen)), parts.areas[chosen])
    along = np.rint(xs + slant * (ys - middle)).astype(np.intp)
    boxes, areas = parts.boxes[chosen], parts.areas[chosen].astype(np.intp)
    wide = (boxes[:, 2] >= MIN_CUT_WIDTH * height) & (boxes[:, 3] >= 2 * stroke)
    within = find_parts(along, ys, owner, areas, wide, stroke, height)
    key = owner * (MAX_CUTS + 1) + within
    used = np.bincount(key) > 0
    piece = (np.cumsum(used) - 1)[key]
    component = chosen[np.flatnonzero(used) // (MAX_CUTS + 1)]
    return _Cut(inked, piece, component, _extents(piece, np.stack([xs, ys, along])))


def _common(values: NDArray[np.intp], group: NDArray[np.intp], count: int) -> NDArray[np.intp]:
    """int (count,): the value that all members of a group have, or ``MIXED``; both arguments (N,)."""
    least, most = np.full(count, np.iinfo(np.intp).max), np.full(count, MIXED)
    np.minimum.at(least, group, values)
    np.maximum.at(most, group, values)
    return np.where(least == most, most, MIXED)


def _extents(piece: NDArray[np.intp], places: NDArray[np.intp]) -> Extents:
    """Measures pieces, numbered without a gap, from the piece (N,) and the places (3, N) of each pixel."""
    area = np.bincount(piece)
    first = np.concatenate([[0], np.cumsum(area)[:-1]])
    grouped = places[:, np.argsort(piece.astype(np.uint16), kind="stable")]
    return Extents(
        area, np.minimum.reduceat(grouped, first, axis=1), np.maximum.reduceat(grouped, first, axis=1) + 1
    )


def hosts(pieces: Extents) -> NDArray[np.intp]:
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


def in_order(pieces: Extents, host: NDArray[np.intp]) -> tuple[NDArray[np.intp], Extents]:
    """Joins pieces to their hosts; orders these left to right by the middle of their ink along the slant.

    Returns the place in that order of each piece, guests having their host's, and the extents in that order.
    """
    area = np.bincount(host, pieces.area, len(host)).astype(np.intp)
    start, stop = pieces.start.copy(), pieces.stop.copy()
    np.minimum.at(start.T, host, pieces.start.T)
    np.maximum.at(stop.T, host, pieces.stop.T)
    standing = np.unique(host)
    order = standing[np.argsort((start[2] + stop[2])[standing], kind="stable")]
    rank = np.zeros(len(host), np.intp)
    rank[order] = np.arange(len(order))
    return rank[host], Extents(area[order], start[:, order], stop[:, order])
