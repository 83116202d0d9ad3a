"""What the shape of a word says of its characters: KARL, Karl and karl are words, KaRl hardly is one.

A crop alone cannot tell K from k, I from 1 or O from 0. Most words are of digits, of small letters, of
capitals, or of a capital before small letters. So a hidden Markov model runs along all paths of the lattice
at once: its states are the shape that a word has so far, a gap may begin a new word, and each candidate's
labels are weighed by how likely their kind is at its place, given everything else in the row (forward and
backward pass; Rabiner, "A tutorial on hidden Markov models", Proceedings of the IEEE 77(2), 1989). Labels are
only weighed against each other: a cut gains or loses nothing.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache
from itertools import pairwise

import numpy as np
from numpy.typing import NDArray

from model.alphabets import PUNCTUATION
from model.neighbours import kinds

# Kinds of characters, of which the first three are those of ``model.neighbours``.
_DIGIT, _CAPITAL, _SMALL, _PUNCTUATION, _SLASH = KINDS = range(5)
# Shapes of a word so far: ``CAPITAL`` is a single one, at last; after a mark something else begins. A date is
# digits, a slash, digits, a slash, digits.
DIGITS, SMALL, CAPITAL, CAPITALS, MARK, SLASH, MONTH, SECOND_SLASH, YEAR = SHAPES = range(9)
# Of the character that ends a word of each shape.
_KIND_OF = {
    DIGITS: _DIGIT,
    SMALL: _SMALL,
    CAPITAL: _CAPITAL,
    CAPITALS: _CAPITAL,
    MARK: _PUNCTUATION,
    SLASH: _SLASH,
    MONTH: _DIGIT,
    SECOND_SLASH: _SLASH,
    YEAR: _DIGIT,
}
# How likely a word goes on from each shape to which others. Identifiers mix letters and digits, and names
# have capitals within: seldom, but a sure reading must not be changed by it. How often there is punctuation
# is told by ``model.punctuation``; here it stands anywhere, but slashes mostly between digits.
_GOES_ON = {
    DIGITS: {DIGITS: 0.985, SMALL: 0.007, CAPITAL: 0.008, MARK: 1.0, SLASH: 1.0},
    SMALL: {DIGITS: 0.003, SMALL: 0.993, CAPITAL: 0.004, MARK: 1.0, SLASH: 0.03},
    CAPITAL: {DIGITS: 0.015, SMALL: 0.65, CAPITALS: 0.335, MARK: 1.0, SLASH: 0.03},
    CAPITALS: {DIGITS: 0.01, SMALL: 0.01, CAPITALS: 0.98, MARK: 1.0, SLASH: 0.03},
    MARK: {DIGITS: 0.9, SMALL: 0.5, CAPITAL: 0.9, MARK: 0.05},
    SLASH: {SMALL: 0.05, CAPITAL: 0.05, MONTH: 1.0},
    MONTH: {MONTH: 0.985, SMALL: 0.007, CAPITAL: 0.008, MARK: 0.1, SECOND_SLASH: 1.0},
    SECOND_SLASH: {YEAR: 1.0},
    YEAR: {YEAR: 0.985, SMALL: 0.007, CAPITAL: 0.008, MARK: 1.0},
}
_BEGINS = {DIGITS: 0.3, SMALL: 0.3, CAPITAL: 0.4, MARK: 0.02, SLASH: 0.05}
_HARDLY_ENDS = {SLASH: 0.02, MONTH: 0.05, SECOND_SLASH: 0.02}
# The same as arrays by shape: from rows to columns, how likely a word begins with each, a row ends with each.
FOLLOWS = np.array([[_GOES_ON[before].get(after, 0.0) for after in SHAPES] for before in SHAPES])
BEGINS = np.array([_BEGINS.get(shape, 0.0) for shape in SHAPES])
ENDS = np.array([_HARDLY_ENDS.get(shape, 1.0) for shape in SHAPES])
_KIND = [_KIND_OF[shape] for shape in SHAPES]
LEAST = 1e-4  # of all kinds, that anything else in the row makes one
HOPELESS = -200.0  # a cut that scores less is on no path


@dataclass(frozen=True, slots=True)
class ShapedRow:
    """A row of words.

    Attributes:
        labels: float64 (N, C) log-probability of each label of each candidate.
        starts, stops: int (N,) the pieces that each candidate covers, as in ``Lattice``.
        cuts: float64 (N,) score of each candidate as a cut, see ``PathScores``.
        skips: float64 (P,) score of leaving out each piece.
        gaps: for the gap before each piece the scores of parting words there and of not parting them; None
            if the row is one word.
    """

    labels: NDArray[np.float64]
    starts: NDArray[np.integer]
    stops: NDArray[np.integer]
    cuts: NDArray[np.float64]
    skips: NDArray[np.float64]
    gaps: Sequence[tuple[float, float]] | None


def weigh_by_word_shapes(rows: Sequence[ShapedRow], characters: str) -> list[NDArray[np.float64]]:
    """Label log-probabilities of the candidates of rows, given also the shapes of their words.

    Args:
        rows: each is weighed as it would be by itself.
        characters: their labels.

    Returns:
        Of each row float64 (N, C), the exponentials of each candidate's summing to 1.
    """
    kind_of, is_kind = _kinds(characters)
    weighed = [row.labels for row in rows]
    mixed = [place for place, row in enumerate(rows) if len(row.starts) > 1]
    if is_kind.any(axis=0).sum() < 2 or not mixed:
        return weighed
    masses = [np.exp(rows[place].labels) @ is_kind for place in mixed]
    contexts = _contexts([rows[place] for place in mixed], masses)
    for place, context in zip(mixed, contexts, strict=True):
        labels = rows[place].labels + np.log(np.maximum(context, LEAST))[:, kind_of]
        labels -= np.log(np.exp(labels).sum(axis=1, keepdims=True))
        weighed[place] = labels
    return weighed


@lru_cache(maxsize=64)
def _kinds(characters: str) -> tuple[NDArray[np.intp], NDArray[np.float64]]:
    """The kind of each character, int (C,); and float64 (C, 5), 1 where it is of a kind. Read only."""
    kind_of = kinds(characters)[0].copy()
    for place, character in enumerate(characters):
        if character in PUNCTUATION:
            kind_of[place] = _SLASH if character == "/" else _PUNCTUATION
    return kind_of, (kind_of[:, None] == np.array(KINDS)).astype(np.float64)


@dataclass(frozen=True, slots=True)
class _Arcs:
    """The candidates of R rows of up to P pieces, those that begin at the same border after each other.

    A node is a border of a row: ``row * (P + 1) + border``. Rows that are shorter go on doing nothing.

    Attributes:
        source, target: int (K,) the nodes where each begins and ends.
        row: int (K,) whose it is.
        at: slices of the K, one for each border.
        weights: float64 (K,) of each candidate, without its labels.
        leave: float64 (P, R) weights of leaving out a piece.
        join, part: float64 (P, R) weights of going on with a word at a border, and of beginning another.
    """

    source: NDArray[np.intp]
    target: NDArray[np.intp]
    row: NDArray[np.intp]
    at: list[slice]
    weights: NDArray[np.float64]
    leave: NDArray[np.float64]
    join: NDArray[np.float64]
    part: NDArray[np.float64]

    @classmethod
    def of(cls, rows: Sequence[ShapedRow], order: NDArray[np.intp], row: NDArray[np.intp]) -> "_Arcs":
        """Those of rows; ``order``, int (K,), puts all their candidates in order, ``row`` is of each then."""
        pieces = max(len(one.skips) for one in rows)
        starts = np.concatenate([one.starts for one in rows])[order]
        stops = np.concatenate([one.stops for one in rows])[order]
        cuts = np.concatenate([one.cuts for one in rows])[order]
        edges = np.searchsorted(starts, np.arange(pieces + 1)).tolist()
        at = [slice(*pair) for pair in pairwise(edges)]
        skips, join, part = np.zeros((3, pieces, len(rows)))
        for place, one in enumerate(rows):
            skips[: len(one.skips), place] = one.skips
            join[: len(one.skips), place] = 1.0
            if one.gaps is not None:
                parted, joined = np.exp(np.array(one.gaps)).T
                join[: len(one.gaps), place], part[: len(one.gaps), place] = joined, parted
        source, target = (row * (pieces + 1) + border for border in (starts, stops))
        # Scores count from the best path to each border, so that no product of weights underflows on it.
        best = np.full((pieces + 1, len(rows)), -np.inf)
        best[0] = 0.0
        for border, here in enumerate(at):
            np.maximum(best[border + 1], best[border] + skips[border], out=best[border + 1])
            np.maximum.at(best, (stops[here], row[here]), best[border][row[here]] + cuts[here])
        weights = np.exp(cuts + best[starts, row] - best[stops, row])
        leave = np.exp(skips + best[:-1] - best[1:])
        return cls(source, target, row, at, weights, leave, join, part)


def _contexts(rows: Sequence[ShapedRow], masses: list[NDArray[np.float64]]) -> list[NDArray[np.float64]]:
    """How likely each kind is at the place of each candidate, by all else in its row: float64 (N, 5) each.

    ``masses``, float64 (N, 5), are the probabilities of the candidates' kinds by themselves.
    """
    counts = [len(row.starts) for row in rows]
    row_of, starts = np.repeat(np.arange(len(rows)), counts), np.concatenate([row.starts for row in rows])
    possible = np.flatnonzero(np.concatenate([row.cuts for row in rows]) > HOPELESS)
    order = possible[np.argsort(starts[possible], kind="stable")]
    arcs = _Arcs.of(rows, order, row_of[order])
    own = np.concatenate(masses)
    drawn = arcs.weights[:, None] * own[order][:, _KIND]
    found = _forward(arcs, drawn) * _backward(arcs, drawn)[arcs.target]
    context = np.zeros_like(own)
    for shape, kind in enumerate(_KIND):
        context[order, kind] += found[:, shape]
    totals = context.sum(axis=1, keepdims=True)
    context = np.divide(context, totals, out=np.full_like(context, 1 / len(KINDS)), where=totals > 0.0)
    return np.split(context, np.cumsum(counts)[:-1])


def _forward(arcs: _Arcs, drawn: NDArray[np.float64]) -> NDArray[np.float64]:
    """How likely a character that begins where a candidate does makes a word of each shape, up to a factor.

    ``drawn``, float64 (K, 9), are the weights of the candidates as a character of each shape's kind.
    """
    pieces, rows = arcs.leave.shape
    alive = np.zeros((rows * (pieces + 1), len(SHAPES)))
    fresh, enters = np.ones(rows), np.empty_like(drawn)  # ``fresh``: nothing was read yet
    for border, here in enumerate(arcs.at):
        now = alive[border :: pieces + 1]
        begin = fresh + arcs.part[border] * now.sum(axis=1)
        enter = begin[:, None] * BEGINS + arcs.join[border][:, None] * (now @ FOLLOWS)
        enters[here] = enter[arcs.row[here]]
        fresh *= arcs.leave[border]
        alive[border + 1 :: pieces + 1] += arcs.leave[border][:, None] * now
        np.add.at(alive, arcs.target[here], drawn[here] * enters[here])
    return enters


def _backward(arcs: _Arcs, drawn: NDArray[np.float64]) -> NDArray[np.float64]:
    """For each node how likely the rest of the row is after a word of each shape, up to a factor."""
    pieces, rows = arcs.leave.shape
    ends = np.tile(ENDS, (rows * (pieces + 1), 1))
    for border in range(pieces - 1, -1, -1):
        here = arcs.at[border]
        entered = np.zeros((rows, len(SHAPES)))
        np.add.at(entered, arcs.row[here], drawn[here] * ends[arcs.target[here]])
        parted, later = arcs.part[border] * (entered @ BEGINS), ends[border + 1 :: pieces + 1]
        joined = arcs.join[border][:, None] * (entered @ FOLLOWS.T)
        ends[border :: pieces + 1] = arcs.leave[border][:, None] * later + parted[:, None] + joined
    return ends
