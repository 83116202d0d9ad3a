"""Reads the ink of a comb cell by cell: n printed cells in a row, one character a cell.

Every connected stroke goes to one cell, so that a character that leans over a cell line is read once. Only
where two characters have grown together over the line are they cut there.
"""

import numpy as np
from numpy.typing import NDArray

from segmentation.fields import FieldInk
from segmentation.glyphs import CandidateLimits, make_candidates
from segmentation.page import GlyphLine
from segmentation.pieces import Pieces

MIN_WRITING = 0.16  # longer side of the largest stroke in a cell that is not empty, in heights of the row
DUST = 0.08  # longer side of what is no part of any character, in heights of the row
GROWN = 1.1  # width, in cells, from which one stroke may be two characters
SHARE = 0.15  # of the ink of such a stroke that lies in a cell, at least, if it is cut
CELL_LIMITS = CandidateLimits(pieces=1, width=float("inf"))


def comb_line(ink: FieldInk) -> GlyphLine | None:
    """The lattice of a comb: one piece and one candidate for each cell that is not empty.

    Args:
        ink: the field, with its ``cell_edges``.

    Returns:
        The line with its ``cells``, from left to right; None if all cells are empty.
    """
    pieces, cells = cell_pieces(ink)
    if not len(cells):
        return None
    return make_candidates(pieces, ink.area, ink.to_page, CELL_LIMITS, cells)


def cell_pieces(ink: FieldInk) -> tuple[Pieces, NDArray[np.int16]]:
    """The ink of each cell that is not empty as one piece, and the cells, int16 (P,) from 0, increasing."""
    sides = ink.parts.boxes[:, 2:].max(axis=1, initial=0)
    ink = ink.only(sides >= DUST * ink.area.height)
    edges = ink.area.x + ink.cell_edges
    labels = ink.parts.labels
    ys, xs = np.nonzero(labels)
    owner = labels[ys, xs].astype(np.intp) - 1
    last = len(edges) - 2
    under = np.clip(np.searchsorted(edges, xs, side="right") - 1, 0, last)
    spread = np.zeros((len(ink.parts), last + 1), np.intp)
    np.add.at(spread, (owner, under), 1)
    cell = np.argmax(spread, axis=1)[owner] if len(owner) else owner
    for index in np.flatnonzero(_grown_together(ink, spread, edges)):
        mine = owner == index
        cell[mine] = _kept_cells(spread[index])[under[mine]]
    written = ink.parts.boxes[:, 2:].max(axis=1, initial=0) >= MIN_WRITING * ink.area.height
    return _pieces(xs, ys, cell, np.unique(cell[written[owner]]), labels.shape)


def _grown_together(ink: FieldInk, spread: NDArray[np.intp], edges: NDArray[np.float64]) -> NDArray[np.bool_]:
    """bool (N,): strokes wider than a cell with a fair share of their ink in more than one."""
    pitch = float(np.median(np.diff(edges)))
    wide = ink.parts.boxes[:, 2] >= GROWN * pitch
    several: NDArray[np.bool_] = (spread >= SHARE * ink.parts.areas[:, None]).sum(axis=1) > 1
    return wide & several


def _kept_cells(spread: NDArray[np.intp]) -> NDArray[np.intp]:
    """For each cell the nearest one that holds a fair share of a stroke, given its ink in each cell (n,)."""
    kept = np.flatnonzero(spread >= SHARE * spread.sum())
    nearest: NDArray[np.intp] = kept[np.argmin(np.abs(np.arange(len(spread))[:, None] - kept), axis=1)]
    return nearest


def _pieces(
    xs: NDArray[np.intp],
    ys: NDArray[np.intp],
    cell: NDArray[np.intp],
    cells: NDArray[np.intp],
    shape: tuple[int, ...],
) -> tuple[Pieces, NDArray[np.int16]]:
    """All ink of each of ``cells`` as one piece, given the pixels of all cells."""
    labels = np.zeros(shape, np.uint16)
    boxes, areas = [], []
    for place, index in enumerate(cells, start=1):
        x, y = xs[cell == index], ys[cell == index]
        boxes.append((x.min(), y.min(), np.ptp(x) + 1, np.ptp(y) + 1))
        areas.append(len(x))
        labels[y, x] = place
    pieces = Pieces(labels, np.array(boxes, np.int32).reshape(-1, 4), np.array(areas, np.int32))
    return pieces, cells.astype(np.int16)
