"""What the shape of a word says of its characters: KARL, Karl and karl are words, KaRl hardly is one.

A crop alone cannot tell K from k, I from 1 or O from 0. Most words are of digits, of small letters, of
capitals, or of a capital before small letters. So a hidden Markov model runs along all paths of the lattice
at once: its states are the shape that a word has so far, a gap may begin a new word, and each candidate's
labels are weighed by how likely their kind is at its place, given everything else in the row (forward and
backward pass; Rabiner, "A tutorial on hidden Markov models", Proceedings of the IEEE 77(2), 1989). Labels are
only weighed against each other: a cut gains or loses nothing.
"""

from collections.abc import Sequence
from functools import lru_cache
from math import exp, inf

import numpy as np
from numpy.typing import NDArray

from model.alphabets import PUNCTUATION
from model.neighbours import kinds

# Shapes of a word so far: ``CAPITAL`` is a single one, at last; after a mark something else begins. A date is
# digits, a slash, digits, a slash, digits.
DIGITS, SMALL, CAPITAL, CAPITALS, MARK, SLASH, MONTH, SECOND_SLASH, YEAR = SHAPES = range(9)
_KIND = [0, 2, 1, 1, 3, 4, 0, 4, 0]  # of the character that ends a word of each shape, see ``_kinds``
# How likely a word goes on to each shape (columns) from each (rows). Identifiers mix letters and digits, and
# names have capitals within: seldom, but a sure reading must not be changed by it. How often there is
# punctuation is told by ``model.punctuation``; here it stands anywhere, but slashes mostly between digits.
FOLLOWS = (
    (0.985, 0.007, 0.008, 0.0, 1.0, 1.0, 0.0, 0.0, 0.0),
    (0.003, 0.993, 0.004, 0.0, 1.0, 0.03, 0.0, 0.0, 0.0),
    (0.015, 0.65, 0.0, 0.335, 1.0, 0.03, 0.0, 0.0, 0.0),
    (0.01, 0.01, 0.0, 0.98, 1.0, 0.03, 0.0, 0.0, 0.0),
    (0.9, 0.5, 0.9, 0.0, 0.05, 0.0, 0.0, 0.0, 0.0),
    (0.0, 0.05, 0.05, 0.0, 0.0, 0.0, 1.0, 0.0, 0.0),
    (0.0, 0.007, 0.008, 0.0, 0.1, 0.0, 0.985, 1.0, 0.0),
    (0.0, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0, 1.0),
    (0.0, 0.007, 0.008, 0.0, 1.0, 0.0, 0.0, 0.0, 0.985),
)
BEGINS = (0.3, 0.3, 0.4, 0.0, 0.02, 0.05, 0.0, 0.0, 0.0)  # how likely a word begins with each
ENDS = (1.0, 1.0, 1.0, 1.0, 1.0, 0.02, 0.05, 0.02, 1.0)  # and a row ends with each
LEAST = 1e-4  # of all kinds, that anything else in the row makes one
_HOPELESS = -200.0  # a cut that scores less is on no path


def weigh_by_word_shapes(
    labels: NDArray[np.float64],
    starts: Sequence[int],
    stops: Sequence[int],
    cuts: NDArray[np.float64],
    skips: NDArray[np.float64],
    gaps: Sequence[tuple[float, float]] | None,
    characters: str,
) -> NDArray[np.float64]:
    """Label log-probabilities of the candidates of a row, given also the shapes of its words.

    Args:
        labels: float64 (N, C) log-probability of each label of each candidate.
        starts, stops: the pieces that each candidate covers, as in ``Lattice``.
        cuts: float64 (N,) score of each candidate as a cut, see ``PathScores``.
        skips: float64 (P,) score of leaving out each piece.
        gaps: for the gap before each piece the scores of parting words there and of not parting them; None
            if the row is one word.
        characters: the C labels.

    Returns:
        float64 (N, C), the exponentials of each row summing to 1.
    """
    kind_of, is_kind = _kinds(characters)
    if is_kind.any(axis=0).sum() < 2 or len(labels) < 2:
        return labels
    context = _context(np.exp(labels) @ is_kind, starts, stops, cuts, skips, gaps)
    weighed = labels + np.log(np.maximum(context, LEAST))[:, kind_of]
    weighed -= np.log(np.exp(weighed).sum(axis=1, keepdims=True))
    return weighed


@lru_cache(maxsize=64)
def _kinds(characters: str) -> tuple[NDArray[np.intp], NDArray[np.float64]]:
    """The kind of each character, int (C,), as ``model.neighbours`` numbers them, 3 for punctuation, 4 for a
    slash; and float64 (C, 5), 1 where it is of a kind. Read only.
    """
    kind_of = kinds(characters)[0].copy()
    for place, character in enumerate(characters):
        if character in PUNCTUATION:
            kind_of[place] = 4 if character == "/" else 3
    return kind_of, (kind_of[:, None] == np.arange(5)).astype(np.float64)


def _context(
    masses: NDArray[np.float64],
    starts: Sequence[int],
    stops: Sequence[int],
    cuts: NDArray[np.float64],
    skips: NDArray[np.float64],
    gaps: Sequence[tuple[float, float]] | None,
) -> NDArray[np.float64]:
    """How likely each kind is at the place of each candidate, by all else in the row: float64 (N, 5).

    ``masses``, float64 (N, 5), are the probabilities of the candidates' kinds by themselves.
    """
    pieces = len(skips)
    at: list[list[int]] = [[] for _ in range(pieces)]
    for index, (start, cut) in enumerate(zip(starts, cuts.tolist(), strict=True)):
        if cut > _HOPELESS:
            at[start].append(index)
    arcs, leave = _weights(cuts, skips, at, stops)
    drawn = (arcs[:, None] * masses[:, _KIND]).tolist()
    ways = [(1.0, 0.0) if gaps is None else (exp(gaps[p][1]), exp(gaps[p][0])) for p in range(pieces)]
    enters = _forward(drawn, stops, leave, ways, at)
    ends = _backward(drawn, stops, leave, ways, at)
    context = np.zeros_like(masses)
    for border, here in enumerate(at):
        for index in here:
            for kind, enter, end in zip(_KIND, enters[border], ends[stops[index]], strict=True):
                context[index, kind] += enter * end
    totals = context.sum(axis=1, keepdims=True)
    return np.divide(context, totals, out=np.full_like(context, 0.2), where=totals > 0.0)


def _weights(
    cuts: NDArray[np.float64], skips: NDArray[np.float64], at: list[list[int]], stops: Sequence[int]
) -> tuple[NDArray[np.float64], list[float]]:
    """Weights of candidates and of leaving out pieces, of which the best path's are all 1.

    Scores count from the best path to each border, so that no product of weights underflows on it.
    """
    scores, leave = cuts.tolist(), skips.tolist()
    best = [0.0] + [-inf] * len(leave)
    for border, here in enumerate(at):
        best[border + 1] = max(best[border + 1], best[border] + leave[border])
        for index in here:
            best[stops[index]] = max(best[stops[index]], best[border] + scores[index])
    weights = np.zeros(len(scores))
    for border, here in enumerate(at):
        leave[border] = exp(leave[border] + best[border] - best[border + 1])
        for index in here:
            weights[index] = exp(scores[index] + best[border] - best[stops[index]])
    return weights, leave


def _forward(
    drawn: list[list[float]],
    stops: Sequence[int],
    leave: list[float],
    ways: list[tuple[float, float]],
    at: list[list[int]],
) -> list[list[float]]:
    """For each border how likely a character that begins there makes a word of each shape, up to a factor."""
    alive = [[0.0] * len(SHAPES) for _ in range(len(leave) + 1)]
    fresh, enters = 1.0, []  # ``fresh``: nothing was read yet
    for border, (join, part) in enumerate(ways):
        here = alive[border]
        begin = fresh + part * sum(here)
        enter = [
            begin * BEGINS[shape] + join * sum([w * row[shape] for w, row in zip(here, FOLLOWS, strict=True)])
            for shape in SHAPES
        ]
        enters.append(enter)
        fresh *= leave[border]
        ahead = alive[border + 1]
        for shape in SHAPES:
            ahead[shape] += leave[border] * here[shape]
        for index in at[border]:
            ahead, weights = alive[stops[index]], drawn[index]
            for shape in SHAPES:
                ahead[shape] += weights[shape] * enter[shape]
    return enters


def _backward(
    drawn: list[list[float]],
    stops: Sequence[int],
    leave: list[float],
    ways: list[tuple[float, float]],
    at: list[list[int]],
) -> list[list[float]]:
    """For each border how likely the rest of the row is after a word of each shape, up to a factor."""
    ends = [list(ENDS) for _ in range(len(leave) + 1)]
    for border in range(len(leave) - 1, -1, -1):
        join, part = ways[border]
        entered = [0.0] * len(SHAPES)
        for index in at[border]:
            end, weights = ends[stops[index]], drawn[index]
            for shape in SHAPES:
                entered[shape] += weights[shape] * end[shape]
        parted = part * sum([a * b for a, b in zip(BEGINS, entered, strict=True)])
        ends[border] = [
            leave[border] * end + parted + join * sum([a * b for a, b in zip(row, entered, strict=True)])
            for end, row in zip(ends[border + 1], FOLLOWS, strict=True)
        ]
    return ends
