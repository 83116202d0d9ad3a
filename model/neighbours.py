"""What the neighbours say of a character: digits stand among digits, small letters among small letters.

A crop alone cannot tell I from 1 or O from 0. Within a word, characters are mostly of one kind, or a capital
goes before small letters. Each candidate's labels are weighed by the kinds of the candidates that end where
it begins and begin where it ends. Labels are only weighed against each other: a cut gains or loses nothing.
"""

import string
from functools import lru_cache

import numpy as np
from numpy.typing import NDArray

# How likely a kind (columns) follows a kind (rows): digits, capitals, small letters. Identifiers mix letters
# and digits freely, so the weights are mild: a sure reading is not changed.
FOLLOWS = np.array([[0.86, 0.07, 0.07], [0.07, 0.55, 0.38], [0.05, 0.05, 0.90]])
BEGINS = np.array([0.3, 0.45, 0.25])  # how likely a kind begins a word
ENDS = np.full(3, 1 / 3)
WORD_GAP = 1.8  # a gap wider than so many usual gaps, and then some, parts words
GAP_SLACK = 0.2  # in heights of the usual candidate
_ROUNDS = 2  # neighbours that became clearer make their own neighbours clearer


def weigh_by_neighbours(
    labels: NDArray[np.float64],
    trust: NDArray[np.float64],
    starts: NDArray[np.integer],
    stops: NDArray[np.integer],
    bounds: NDArray[np.float32],
    characters: str,
    strength: float,
) -> NDArray[np.float64]:
    """Label probabilities, given also what stands beside.

    Args:
        labels: float64 (N, C) probability of each label of each candidate, rows summing to 1.
        trust: float64 (N,) how surely each candidate is a character at all, 0..1.
        starts, stops: int (N,) pieces that each candidate covers, as in ``Lattice``.
        bounds: float32 (N, 4) left, top, right, bottom in any unit.
        characters: the C labels.
        strength: exponent of the weights; 0 changes nothing.

    Returns:
        float64 (N, C), rows summing to 1.
    """
    kind_of, is_kind = _kinds(characters)
    if strength <= 0 or is_kind.any(axis=0).sum() == 1 or len(labels) < 2:
        return labels
    meet = (stops[None, :] == starts[:, None]) & _near(bounds, trust)
    before, after = meet * trust, meet.T * trust
    weighed = labels
    for _ in range(_ROUNDS):
        kinds = weighed @ is_kind
        weights = _weights(before, kinds @ FOLLOWS, BEGINS) * _weights(after, kinds @ FOLLOWS.T, ENDS)
        weighed = labels * (weights**strength)[:, kind_of]
        weighed /= weighed.sum(axis=1, keepdims=True)
    return weighed


@lru_cache(maxsize=64)
def _kinds(characters: str) -> tuple[NDArray[np.intp], NDArray[np.float64]]:
    """The kind of each character, int (C,), and float64 (C, 3), 1 where it is of a kind."""
    kind_of = np.array([_kind(character) for character in characters])
    return kind_of, (kind_of[:, None] == np.arange(3)).astype(np.float64)


def _weights(
    beside: NDArray[np.float64], expected: NDArray[np.float64], alone: NDArray[np.float64]
) -> NDArray[np.float64]:
    """Weights of the three kinds, float64 (N, 3), from what each neighbour lets expect.

    Several candidates on one side are cuts of the same ink: their trust shares one voice. Where there is
    none, the word begins or ends, and ``alone`` speaks.
    """
    voice = beside.sum(axis=1, keepdims=True)
    shared = beside / np.maximum(voice, 1.0)
    silent = 1.0 - np.minimum(voice, 1.0)
    weights: NDArray[np.float64] = shared @ expected + silent * alone
    return weights


def _near(bounds: NDArray[np.float32], trust: NDArray[np.float64]) -> NDArray[np.bool_]:
    """Whether candidate j, left of i, is of the same word: bool (N, N), [i, j]."""
    left, right = bounds[:, 0].astype(np.float64), bounds[:, 2].astype(np.float64)
    heights = (bounds[:, 3] - bounds[:, 1]).astype(np.float64)
    gaps = np.maximum(left[:, None] - right[None, :], 0.0)
    # The usual gap is that of each sure character to the nearest sure one on its left.
    sure = trust > 0.5
    beside = np.where(sure[None, :] & (right[None, :] <= left[:, None] + 1e-6), gaps, np.inf).min(axis=1)
    beside = beside[sure & np.isfinite(beside)]
    usual = float(np.median(beside)) if len(beside) else 0.0
    height = float(np.median(heights[sure])) if sure.any() else float(np.median(heights))
    return gaps <= WORD_GAP * usual + GAP_SLACK * height


def _kind(character: str) -> int:
    return 0 if character in string.digits else 1 if character in string.ascii_uppercase else 2
