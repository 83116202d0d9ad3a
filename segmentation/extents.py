"""Where pieces of ink are, which stand over or under each other, and how they follow from left to right.

Rows of writing hold a dozen pieces each, for which calling numpy costs far more than computing does. So the
pieces of all rows of a page are handled together, and told apart by the number of their row.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise

import numpy as np
from numpy.typing import NDArray

from segmentation.components import Components

COVERED = 0.7  # of its width under or over another piece that makes a piece a part of it
SMALLER = 0.6  # of the other's ink that it has at most
AT_ONCE = 1 << 20  # pairs of pieces that are compared at a time; a noisy row has millions


@dataclass(frozen=True, slots=True)
class Extents:
    """Pixels of ink of each piece, int (P,); its first and past-last x, y, place along the slant, (3, P)."""

    area: NDArray[np.intp]
    start: NDArray[np.intp]
    stop: NDArray[np.intp]

    @classmethod
    def of_components(
        cls,
        parts: Sequence[Components],
        slants: Sequence[float] | None = None,
        middles: Sequence[float] | None = None,
    ) -> "Extents":
        """Those of whole components; along the slant about, as a slanted box is wider than its ink.

        Args:
            parts: the components of each row.
            slants: of each row the horizontal shift per pixel downwards that makes the writing upright; by
                default there is none.
            middles: of each row the level, in pixels, that is not shifted.
        """
        boxes = np.concatenate([own.boxes for own in parts]).astype(np.intp)
        start = boxes[:, [0, 1, 0]].T.copy()
        if slants is not None and middles is not None:
            counts = [len(own) for own in parts]
            levels = np.concatenate([own.centers[:, 1] for own in parts])
            shifts = np.repeat(slants, counts) * (levels - np.repeat(middles, counts))
            start[2] += np.rint(shifts).astype(np.intp)
        areas = np.concatenate([own.areas for own in parts]).astype(np.intp)
        return cls(areas, start, start + boxes[:, [2, 3, 2]].T)

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

    def these(self, which: NDArray[np.intp]) -> "Extents":
        """Some of them, int (M,), in that order."""
        return Extents(self.area[which], self.start[:, which], self.stop[:, which])


def hosts(pieces: Extents, row: NDArray[np.intp]) -> NDArray[np.intp]:
    """For each piece the larger one it stands over or under, as dots and broken strokes do, or itself.

    Args:
        pieces: P of any number of rows.
        row: int (P,) the row of each, not decreasing.
    """
    first, last = np.searchsorted(row, row, "left"), np.searchsorted(row, row, "right")
    host = np.arange(len(row))
    for begin, end in _few_at_a_time(last - first):
        counts = (last - first)[begin:end]
        small = np.repeat(np.arange(begin, end), counts)
        large = np.arange(len(small)) + np.repeat(first[begin:end] - (np.cumsum(counts) - counts), counts)
        left, right = pieces.start[2], pieces.stop[2]
        overlap = np.minimum(right[large], right[small]) - np.maximum(left[large], left[small])
        covers = (overlap >= COVERED * (right - left)[small]) & (pieces.area[large] > pieces.area[small])
        small, large, overlap = small[covers], large[covers], overlap[covers]
        # Of several the one that covers most, and of these the first.
        order = np.lexsort((large, -overlap, small))
        best = order[np.diff(small[order], prepend=-1) != 0]
        best = best[pieces.area[small[best]] <= SMALLER * pieces.area[large[best]]]
        host[small[best]] = large[best]
    while (host[host] != host).any():
        host = host[host]
    return host


def _few_at_a_time(counts: NDArray[np.intp]) -> list[tuple[int, int]]:
    """Parts items that each stand for so many into runs of about ``AT_ONCE``; first and past-last of each."""
    if not len(counts):
        return []
    group = np.cumsum(counts) // AT_ONCE
    edges = [0, *(np.flatnonzero(np.diff(group)) + 1).tolist(), len(counts)]
    return list(pairwise(edges))


def in_order(
    pieces: Extents, host: NDArray[np.intp], row: NDArray[np.intp]
) -> tuple[NDArray[np.intp], Extents, NDArray[np.intp]]:
    """Joins pieces to their hosts; orders these left to right by the middle of their ink along the slant.

    Args:
        pieces: P of any number of rows.
        host: int (P,) as ``hosts`` gives them.
        row: int (P,) the row of each, not decreasing.

    Returns:
        int (P,), the place of each piece in that order, one row after the other, guests having their host's;
        the extents in that order; int, the row of each of these.
    """
    area = np.bincount(host, pieces.area, len(host)).astype(np.intp)
    start, stop = pieces.start.copy(), pieces.stop.copy()
    guests = np.flatnonzero(host != np.arange(len(host)))
    np.minimum.at(start.T, host[guests], pieces.start.T[guests])
    np.maximum.at(stop.T, host[guests], pieces.stop.T[guests])
    standing = np.flatnonzero(host == np.arange(len(host)))
    order = standing[np.lexsort(((start[2] + stop[2])[standing], row[standing]))]
    rank = np.zeros(len(host), np.intp)
    rank[order] = np.arange(len(order))
    return rank[host], Extents(area, start, stop).these(order), row[order]
