"""Scores of the arcs of a lattice: candidates with a label, unreadable candidates, skipped pieces.

Paths of differing numbers of characters must compete fairly. A product of label probabilities has more terms
the more characters a path has, so it favours merged characters. Here the classifier's answer is split in two:

- ``p(c | it is a character)`` says which character it is and counts once per character. It sums to 1 over
  the charset, so that a cut neither gains nor loses by the mere number of its labels.
- ``p(it is a character)``, one minus not-a-character, says whether the cut is right and counts once per
  *piece*, so that every path has as many such terms as there are pieces, however it groups them.

Weighting by the number of pieces: Wang, Yin, Liu, "Handwritten Chinese Text Recognition by Integrating
Multiple Contexts", IEEE TPAMI 34(8), 2012, there called WSN.
"""

from bisect import bisect_right
from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache
from itertools import accumulate, pairwise
from math import log
from operator import itemgetter

import numpy as np
from numpy.typing import NDArray

from model.alphabets import CHARACTERS, CLASS_COUNT, NOT_A_CHARACTER, charset_mask
from model.lattice import Constraint, DecodingOptions, Lattice
from model.neighbours import weigh_by_neighbours
from model.writing_lines import weigh_labels

# Below this the classifier's numbers are noise; it also keeps every logarithm finite.
_LEAST_PROBABILITY = 1e-6
# A row of specks alone must not take them for its characters: no hand writes smaller than this.
_LEAST_HEIGHT = 0.25
_LEAST_INK = 0.02
# Usual ink width of a character relative to its height, for rows whose length is not prescribed.
_USUAL_ASPECT = 0.7
# Readings less probable than this, relative to the best, are not worth a reader's time.
LEAST_SHARE = 1e-4
LABELS_TRIED = 5  # of a candidate, on the best paths
_VALUE = itemgetter(0)
# Score of what no path needs to consider; finite, so that sums of it are.
NEVER = -1e4
# Pieces joined are not looked at if the classifier rejects them this surely, and some of their ink, cut
# otherwise, less than that. Half of all candidates; single pieces stay, so that every length stays possible.
_SURELY_REJECTED = 0.995
_READ_OTHERWISE = 0.05


@dataclass(frozen=True, slots=True)
class CloseLabels:
    """The best labels of each candidate, which are all that most readings ask for.

    Attributes:
        margin: labels so far below the candidate's best are left out.
        labels: for each candidate at most ``LABELS_TRIED`` pairs of log-probability and label, best first.
    """

    margin: float
    labels: list[list[tuple[float, int]]]

    @classmethod
    def of(cls, labels: NDArray[np.float64], margin: float) -> "CloseLabels":
        """Those of ``PathScores.labels``, float64 (N, C)."""
        best = labels.max(axis=1, keepdims=True, initial=-np.inf)
        return cls(margin, few_largest(labels, best - margin, LABELS_TRIED))


@dataclass(frozen=True, slots=True)
class Readable:
    """Each candidate with all of its labels together.

    Attributes:
        temperature: by which scores are divided before they are summed.
        shares: float64 (N, C) probability of each label given that the candidate is on the path. Rows sum
            to less than 1: the rest is that the candidate is unreadable.
        masses: float64 (N,) logarithm of the summed weights of all labels and of the unreadable character.
    """

    temperature: float
    shares: NDArray[np.float64]
    masses: NDArray[np.float64]

    @classmethod
    def of(
        cls,
        labels: NDArray[np.float64],
        cuts: NDArray[np.float64],
        unreadable: NDArray[np.float64],
        temperature: float,
    ) -> "Readable":
        """Sums arrays of ``PathScores``."""
        weights = np.exp((labels + (cuts - unreadable)[:, None]) / temperature)
        totals = 1.0 + weights.sum(axis=1)
        weights /= totals[:, None]
        return cls(temperature, weights, unreadable / temperature + np.log(totals))


def few_largest(
    values: NDArray[np.float64], least: NDArray[np.float64] | float, count: int
) -> list[list[tuple[float, int]]]:
    """The largest values of each row and their columns, largest first; of equal ones the leftmost first.

    Args:
        values: float64 (R, C).
        least: only larger ones are looked at, one for all rows or (R, 1).
        count: how many of a row at most.
    """
    large = values > least
    if 0 < count < values.shape[1]:
        place = values.shape[1] - count
        large &= values >= np.partition(values, place, axis=1)[:, place : place + 1]
    rows, columns = np.nonzero(large)
    found: list[list[tuple[float, int]]] = [[] for _ in values]
    for row, value, column in zip(rows.tolist(), values[large].tolist(), columns.tolist(), strict=True):
        found[row].append((value, column))
    for own in found:
        if len(own) > 1:
            own.sort(key=_VALUE, reverse=True)
            del own[count:]
    return found


@dataclass(frozen=True, slots=True)
class PathScores:
    """Log-scores of everything a path may use; a path's score is the sum over its arcs.

    Attributes:
        starts, stops: the candidates' pieces.
        characters: the charset; label k of ``labels`` is ``characters[k]``.
        cuts: float64 (N,) how well candidate i is cut: character or not, and geometry.
        labels: float64 (N, C) log p(label | it is a character); add to ``cuts``.
        unreadable: float64 (N,) candidate i stands for a character of which no reading is right. Never
            read; it takes its share of the probability, so that junk is not read with confidence.
        skips: float64 (P,) leaving out piece p.
        close: for each candidate its best labels, see ``CloseLabels``; None if they were not looked for.
        readable: the candidates' labels summed, see ``Readable``; None if they were not.
    """

    starts: list[int]
    stops: list[int]
    characters: str
    cuts: NDArray[np.float64]
    labels: NDArray[np.float64]
    unreadable: NDArray[np.float64]
    skips: NDArray[np.float64]
    close: CloseLabels | None = None
    readable: Readable | None = None


@dataclass(frozen=True, slots=True)
class ScoredLattice(Lattice):
    """A row whose arcs are scored already, together with those of other rows: see ``score_rows``.

    Attributes:
        scores: of its arcs.
        constraint, options: under which they hold.
    """

    scores: PathScores
    constraint: Constraint
    options: DecodingOptions


def score_lattice(lattice: Lattice, constraint: Constraint, options: DecodingOptions) -> PathScores:
    """Scores all arcs of a lattice under a charset; at once if ``score_rows`` did.

    Only the classes of the charset and not-a-character count; the mass of all others is renormalised away.

    Raises:
        ValueError: arrays that do not fit together, candidates outside the pieces, or NaN.
        KeyError: no charset has this name.
    """
    if isinstance(lattice, ScoredLattice) and (lattice.constraint, lattice.options) == (constraint, options):
        return lattice.scores
    return score_rows([lattice], [constraint], options)[0].scores


def score_rows(
    lattices: Sequence[Lattice], constraints: Sequence[Constraint], options: DecodingOptions
) -> list[ScoredLattice]:
    """Scores several rows, each as ``score_lattice`` does.

    Most rows of a form hold a few characters, for which calling numpy costs far more than computing does. So
    all that does not look beyond a candidate is computed for the candidates of all rows in one go.

    Args:
        lattices: the rows.
        constraints: of each row.
        options: weights.

    Raises:
        ValueError: as ``score_lattice``, for any of the rows.
        KeyError: no charset has this name.
    """
    if not lattices:
        return []
    rows = _Rows.of(lattices)
    sizes = [_usual_sizes(*row) for row in zip(lattices, constraints, strict=True)]
    rejection = np.zeros(rows.ends[-1])
    alike: dict[str, list[int]] = {}
    for row, constraint in enumerate(constraints):
        alike.setdefault(constraint.charset, []).append(row)
    labels = {
        charset: _score_labels(rows, [(row, lattices[row]) for row in members], charset, rejection, options)
        for charset, members in alike.items()
    }
    is_character = np.log(np.maximum(1.0 - rejection, options.rejection_floor))
    shape = _shape_scores(rows, sizes, options)
    widths = rows.stops - rows.starts
    throughout = _rejected_throughout(rows.starts, widths, rejection, len(rows.piece_ink))
    futile = (widths > 1) & (rejection > _SURELY_REJECTED) & (throughout < _READ_OTHERWISE)
    cuts = np.where(futile, NEVER, options.segmentation_weight * widths * is_character + shape)
    unreadable = np.where(futile, NEVER, np.log(throughout) + shape)
    skips = _skip_scores(rows, rejection, sizes, options)
    scored: list[ScoredLattice | None] = [None] * len(lattices)
    for charset, members in alike.items():
        parts = [(row, lattices[row], constraints[row]) for row in members]
        made = _taken_apart(rows, parts, labels[charset], cuts, unreadable, skips, options)
        for row, one in zip(members, made, strict=True):
            scored[row] = one
    return [one for one in scored if one is not None]


def _taken_apart(
    rows: "_Rows",
    parts: list[tuple[int, Lattice, Constraint]],
    labels: NDArray[np.float64],
    cuts: NDArray[np.float64],
    unreadable: NDArray[np.float64],
    skips: NDArray[np.float64],
    options: DecodingOptions,
) -> list[ScoredLattice]:
    """The rows of one charset, each with its part of the scores.

    Args:
        rows: all rows.
        parts: number, lattice and constraint of each of these rows.
        labels: float64 (M, C) of the candidates of these rows.
        cuts, unreadable: float64 (N,) of the candidates of all rows.
        skips: float64 (P,) of the pieces of all rows.
        options: weights.
    """
    own = np.concatenate([np.arange(rows.ends[row], rows.ends[row + 1]) for row, _, _ in parts])
    close = CloseLabels.of(labels, -options.temperature * log(LEAST_SHARE))
    readable = Readable.of(labels, cuts[own], unreadable[own], options.temperature)
    scored, at = [], 0
    for row, lattice, constraint in parts:
        candidates, here = rows.candidates(row), slice(at, at + len(lattice.starts))
        at = here.stop
        scores = PathScores(
            starts=lattice.starts.tolist(),
            stops=lattice.stops.tolist(),
            characters=_charset_columns(constraint.charset)[0],
            cuts=cuts[candidates],
            labels=labels[here],
            unreadable=unreadable[candidates],
            skips=skips[rows.pieces(row)],
            close=CloseLabels(close.margin, close.labels[here]),
            readable=Readable(options.temperature, readable.shares[here], readable.masses[here]),
        )
        scored.append(
            ScoredLattice(
                lattice.starts,
                lattice.stops,
                lattice.log_probs,
                lattice.bounds,
                lattice.piece_bounds,
                lattice.piece_ink,
                scores,
                constraint,
                options,
            )
        )
    return scored


@dataclass(frozen=True, slots=True)
class _Rows:
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
    def of(cls, lattices: Sequence[Lattice]) -> "_Rows":
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


def _score_labels(
    rows: _Rows,
    members: list[tuple[int, Lattice]],
    charset: str,
    rejection: NDArray[np.float64],
    options: DecodingOptions,
) -> NDArray[np.float64]:
    """Log-probabilities of the labels of the rows of one charset, float64 (M, C).

    ``rejection``, float64 (N,), takes up the probability of not-a-character of their candidates.
    """
    characters, columns = _charset_columns(charset)
    logs = np.concatenate([lattice.log_probs for _, lattice in members])
    if np.isnan(logs).any():
        raise ValueError("the lattice has log-probabilities that are not a number")
    probs = np.exp(logs[:, columns], dtype=np.float64) + _LEAST_PROBABILITY**2
    probs /= probs.sum(axis=1, keepdims=True)
    labels = probs[:, :-1] / probs[:, :-1].sum(axis=1, keepdims=True)
    at = 0
    for row, lattice in members:
        here = slice(at, at + len(lattice.starts))
        at = here.stop
        rejection[rows.candidates(row)] = probs[here, -1]
        weighed = _weighed(labels[here], 1.0 - probs[here, -1], lattice, characters, options)
        labels[here] = weighed
    return np.log(np.maximum(labels, _LEAST_PROBABILITY, out=labels), out=labels)


def _weighed(
    labels: NDArray[np.float64],
    trust: NDArray[np.float64],
    lattice: Lattice,
    characters: str,
    options: DecodingOptions,
) -> NDArray[np.float64]:
    """The label probabilities of a row, given also where the ink stands, and beside what."""
    labels = weigh_labels(labels, trust, lattice.bounds, characters, options.line_spread)
    starts, stops, bounds = lattice.starts, lattice.stops, lattice.bounds
    return weigh_by_neighbours(labels, trust, starts, stops, bounds, characters, options.kind_strength)


@lru_cache(maxsize=64)
def _charset_columns(charset: str) -> tuple[str, NDArray[np.intp]]:
    """The charset's characters in class order, and their columns followed by not-a-character."""
    allowed = np.flatnonzero(charset_mask(charset))
    return "".join(CHARACTERS[k] for k in allowed), np.append(allowed, NOT_A_CHARACTER)


def _check_shapes(lattice: Lattice) -> None:
    count, pieces = len(lattice.starts), len(lattice.piece_ink)
    shapes = (lattice.stops.shape, lattice.log_probs.shape, lattice.bounds.shape, lattice.piece_bounds.shape)
    if shapes != ((count,), (count, CLASS_COUNT), (count, 4), (pieces, 4)):
        raise ValueError(f"lattice of {count} candidates and {pieces} pieces has arrays of shapes {shapes}")


@dataclass(frozen=True, slots=True)
class _Sizes:
    """What a character of this row measures: pitch and height in writing-area heights, ink in squares."""

    pitch: float
    height: float
    ink: float


def _usual_sizes(lattice: Lattice, constraint: Constraint) -> _Sizes:
    if len(lattice.piece_ink) == 0:
        return _Sizes(1.0, 1.0, 1.0)
    left, top, right, bottom = lattice.piece_bounds.astype(np.float64).T
    height = max(_weighted_median(bottom - top, lattice.piece_ink), _LEAST_HEIGHT)
    if constraint.min_length == constraint.max_length:
        count = float(max(constraint.max_length, 1))
        pitch = max(float(right.max() - left.min()) / count, _LEAST_HEIGHT * _USUAL_ASPECT)
    else:
        count = max(float((right - left).sum()) / (_USUAL_ASPECT * height), constraint.min_length, 1.0)
        pitch = height
    return _Sizes(pitch, height, max(float(lattice.piece_ink.sum()) / count, _LEAST_INK))


def _weighted_median(values: NDArray[np.float64], weights: NDArray[np.float32]) -> float:
    order = values.argsort()
    cumulative = weights[order].cumsum()
    middle = cumulative.searchsorted(cumulative[-1] / 2)
    return float(values[order[min(int(middle), len(values) - 1)]])


def _shape_scores(rows: _Rows, sizes: list[_Sizes], options: DecodingOptions) -> NDArray[np.float64]:
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


def _inner_gaps(rows: _Rows) -> NDArray[np.float64]:
    """Squares of the white gaps between the pieces of each candidate, summed, float64 (N,).

    A gap is the white space between a piece and all ink of the row to its left; 0 where they overlap.
    """
    left, right = rows.piece_bounds[:, 0], rows.piece_bounds[:, 2]
    reach = np.zeros(len(left), np.float32)
    for first, last in pairwise(rows.piece_ends):
        np.maximum.accumulate(right[first:last], out=reach[first:last])
    gaps = np.zeros(len(left))
    gaps[1:] = np.maximum(left[1:] - reach[:-1], 0.0)
    squares = gaps * gaps
    # Those within a candidate stand before its second piece and the following ones.
    inner = np.zeros(len(rows.starts))
    widths = rows.stops - rows.starts
    for place in range(1, int(widths.max(initial=0))):
        wide = np.flatnonzero(widths > place)
        inner[wide] += squares[rows.starts[wide] + place]
    return inner


def _rejected_throughout(
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
    return np.maximum(throughout, _LEAST_PROBABILITY)


def _skip_scores(
    rows: _Rows, rejection: NDArray[np.float64], sizes: list[_Sizes], options: DecodingOptions
) -> NDArray[np.float64]:
    """A piece that no candidate covers alone is taken for surely no character."""
    alone = np.flatnonzero(rows.stops - rows.starts == 1)
    doubt = np.ones(len(rows.piece_ink))
    doubt[rows.starts[alone]] -= np.log(np.maximum(rejection[alone], _LEAST_PROBABILITY))
    ink = np.repeat(np.array([own.ink for own in sizes], np.float32), np.diff(rows.piece_ends))
    scores: NDArray[np.float64] = -options.skip_cost * rows.piece_ink / ink * doubt
    return scores
