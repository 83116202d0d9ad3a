"""Several rows as one, and what of their scores follows from sizes, gaps and not-a-character.

Most rows of a form hold a few characters, for which calling numpy costs far more than computing does. So all
candidates of a page are one array.
"""

from bisect import bisect_right
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import accumulate, pairwise

import numpy as np
from numpy.typing import NDArray

from model.alphabets import CLASS_COUNT
from model.lattice import Constraint, DecodingOptions, Lattice

# Below this the classifier's numbers are noise; it also keeps every logarithm finite.
LEAST_PROBABILITY = 1e-6
# A row of specks alone must not take them for its characters: no hand writes smaller than this.
_LEAST_HEIGHT = 0.25
_LEAST_INK = 0.02
# Usual ink width of a character relative to its height, for rows whose length is not prescribed.
_USUAL_ASPECT = 0.7


@dataclass(frozen=True, slots=True)
class JoinedRows:
    """Several lattices as one.

    Attributes:
        starts, stops: int (N,) of all candidates, where the pieces of all rows are numbered in one go.
        bounds: float64 (N, 4) of all candidates.
        piece_bounds, piece_ink: float32 (P, 4), (P,) of all pieces.
        ends, piece_ends: int (R + 1,) row r has the candidates ``ends[r] <= i < ends[r + 1]``; the same for
            its pieces.
    """

    starts: NDArray[np.intp]
    stops: NDArray[np.intp]
    bounds: NDArray[np.float64]
    piece_bounds: NDArray[np.float32]
    piece_ink: NDArray[np.float32]
    ends: list[int]
    piece_ends: list[int]

    @classmethod
    def of(cls, lattices: Sequence[Lattice]) -> "JoinedRows":
        """Joins lattices.

        Raises:
            ValueError: the arrays of one do not fit together.
        """
        for lattice in lattices:
            _check_shapes(lattice)
        counts = [len(lattice.starts) for lattice in lattices]
        pieces = [len(lattice.piece_ink) for lattice in lattices]
        piece_ends = [0, *accumulate(pieces)]
        first = np.repeat(piece_ends[:-1], counts)
        starts = np.concatenate([lattice.starts for lattice in lattices])
        stops = np.concatenate([lattice.stops for lattice in lattices])
        inside = (starts >= 0) & (starts < stops) & (stops <= np.repeat(pieces, counts))
        ends = [0, *accumulate(counts)]
        if not inside.all():
            wrong = int(np.argmin(inside))
            row = bisect_right(ends, wrong) - 1
            raise ValueError(
                f"candidate {wrong - ends[row]} of the lattice covers none of its {pieces[row]} pieces"
            )
        return cls(
            starts + first,
            stops + first,
            np.concatenate([lattice.bounds for lattice in lattices]).astype(np.float64),
            np.concatenate([lattice.piece_bounds for lattice in lattices]),
            np.concatenate([lattice.piece_ink for lattice in lattices]),
            ends,
            piece_ends,
        )

    def candidates(self, row: int) -> slice:
        """Those of a row."""
        return slice(self.ends[row], self.ends[row + 1])

    def pieces(self, row: int) -> slice:
        """Those of a row."""
        return slice(self.piece_ends[row], self.piece_ends[row + 1])

    def by_candidate(self, values: list[float]) -> NDArray[np.float64]:
        """A value of each row for each of its candidates."""
        return np.repeat(values, np.diff(self.ends))


def _check_shapes(lattice: Lattice) -> None:
    count, pieces = len(lattice.starts), len(lattice.piece_ink)
    shapes = (lattice.stops.shape, lattice.log_probs.shape, lattice.bounds.shape, lattice.piece_bounds.shape)
    if shapes != ((count,), (count, CLASS_COUNT), (count, 4), (pieces, 4)):
        raise ValueError(f"lattice of {count} candidates and {pieces} pieces has arrays of shapes {shapes}")


@dataclass(frozen=True, slots=True)
class Sizes:
    """What a character of this row measures: pitch and height in writing-area heights, ink in squares."""

    pitch: float
    height: float
    ink: float


def usual_sizes(lattice: Lattice, constraint: Constraint) -> Sizes:
    """What a character of a row measures, from its pieces and, if it is prescribed, its length."""
    if len(lattice.piece_ink) == 0:
        return Sizes(1.0, 1.0, 1.0)
    left, top, right, bottom = lattice.piece_bounds.astype(np.float64).T
    height = max(_weighted_median(bottom - top, lattice.piece_ink), _LEAST_HEIGHT)
    if constraint.min_length == constraint.max_length:
        count = float(max(constraint.max_length, 1))
        pitch = max(float(right.max() - left.min()) / count, _LEAST_HEIGHT * _USUAL_ASPECT)
    else:
        count = max(float((right - left).sum()) / (_USUAL_ASPECT * height), constraint.min_length, 1.0)
        pitch = height
    return Sizes(pitch, height, max(float(lattice.piece_ink.sum()) / count, _LEAST_INK))


def _weighted_median(values: NDArray[np.float64], weights: NDArray[np.float32]) -> float:
    order = values.argsort()
    cumulative = weights[order].cumsum()
    middle = cumulative.searchsorted(cumulative[-1] / 2)
    return float(values[order[min(int(middle), len(values) - 1)]])


def shape_scores(rows: JoinedRows, sizes: list[Sizes], options: DecodingOptions) -> NDArray[np.float64]:
    """Gaussian penalties on size and inner gaps, float64 (N,), at most 0."""
    left, top, right, bottom = rows.bounds.T
    pitch = rows.by_candidate([own.pitch for own in sizes])
    height = rows.by_candidate([own.height for own in sizes])
    excess = np.log(np.maximum((right - left) / pitch, 1.0)) / options.width_tolerance
    heights = np.abs(np.log(np.maximum(bottom - top, 1e-3) / height))
    misfit = np.maximum(heights - np.log(2.0), 0.0) / options.height_tolerance
    inner = _inner_gaps(rows) / (height * options.gap_tolerance) ** 2
    scores: NDArray[np.float64] = -0.5 * (excess * excess + misfit * misfit + inner)
    return scores


def _inner_gaps(rows: JoinedRows) -> NDArray[np.float64]:
    """Squares of the white gaps between the pieces of each candidate, summed, float64 (N,).

    A gap is the white space between a piece and all ink of the row to its left; 0 where they overlap.
    """
    left, right = rows.piece_bounds[:, 0], rows.piece_bounds[:, 2]
    reach = np.zeros(len(left), np.float32)
    for first, last in pairwise(rows.piece_ends):
        np.maximum.accumulate(right[first:last], out=reach[first:last])
    gaps = np.zeros(len(left))  # what stands for the first piece of a row is within no candidate
    gaps[1:] = np.maximum(left[1:] - reach[:-1], 0.0)
    squares = gaps * gaps
    # Those within a candidate stand before its second piece and the following ones.
    inner = np.zeros(len(rows.starts))
    widths = rows.stops - rows.starts
    for place in range(1, int(widths.max(initial=0))):
        wide = np.flatnonzero(widths > place)
        inner[wide] += squares[rows.starts[wide] + place]
    return inner


def rejected_throughout(
    starts: NDArray[np.intp], widths: NDArray[np.intp], rejection: NDArray[np.float64], pieces: int
) -> NDArray[np.float64]:
    """Probability that a candidate's ink is no character however it is cut: float64 (N,).

    The least not-a-character probability of all candidates that share a piece with it: half a letter is
    surely no character, but the whole letter is one.
    """
    least = np.ones(pieces)
    np.minimum.at(least, starts, rejection)
    wider = [np.flatnonzero(widths > place) for place in range(1, int(widths.max(initial=0)))]
    for place, wide in enumerate(wider, 1):
        np.minimum.at(least, starts[wide] + place, rejection[wide])
    throughout = least[starts]
    for place, wide in enumerate(wider, 1):
        throughout[wide] = np.minimum(throughout[wide], least[starts[wide] + place])
    return np.maximum(throughout, LEAST_PROBABILITY)


def skip_scores(
    rows: JoinedRows, rejection: NDArray[np.float64], sizes: list[Sizes], options: DecodingOptions
) -> NDArray[np.float64]:
    """A piece that no candidate covers alone is taken for surely no character."""
    alone = np.flatnonzero(rows.stops - rows.starts == 1)
    doubt = np.ones(len(rows.piece_ink))
    doubt[rows.starts[alone]] -= np.log(np.maximum(rejection[alone], LEAST_PROBABILITY))
    ink = np.repeat(np.array([own.ink for own in sizes], np.float32), np.diff(rows.piece_ends))
    scores: NDArray[np.float64] = -options.skip_cost * rows.piece_ink / ink * doubt
    return scores
