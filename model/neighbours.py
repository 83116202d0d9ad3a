"""What the neighbours say of a character: digits stand among digits, small letters among small letters.

A crop alone cannot tell I from 1 or O from 0. Within a word, characters are mostly of one kind, or a capital
goes before small letters. Each candidate's labels are weighed by the kinds of the candidates that end where
it begins and begin where it ends. Labels are only weighed against each other: a cut gains or loses nothing.
"""

import string
from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache
from itertools import pairwise
from statistics import median

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
    bounds: NDArray[np.floating],
    characters: str,
    strength: float,
    ends: Sequence[int] | None = None,
) -> NDArray[np.float64]:
    """Label probabilities, given also what stands beside.

    Args:
        labels: float64 (N, C) probability of each label of each candidate, rows summing to 1.
        trust: float64 (N,) how surely each candidate is a character at all, 0..1.
        starts, stops: int (N,) pieces that each candidate covers, as in ``Lattice``.
        bounds: float (N, 4) left, top, right, bottom in any unit.
        characters: the C labels.
        strength: exponent of the weights; 0 changes nothing.
        ends: where there are several rows: int (R + 1,), row r has the candidates
            ``ends[r] <= i < ends[r + 1]``, and no candidate ends where one of another row begins.

    Returns:
        float64 (N, C), rows summing to 1.
    """
    kind_of, is_kind, mixed = kinds(characters)
    if strength <= 0 or not mixed or len(labels) < 2:
        return labels
    ends = (0, len(labels)) if ends is None else ends
    left, right = _meeting(starts, stops, bounds, trust, ends)
    before, after = _Side.of(right, left, trust, BEGINS), _Side.of(left, right, trust, ENDS)
    alone = np.repeat(np.diff(ends) == 1, np.diff(ends))
    weighed = labels
    for _ in range(_ROUNDS):
        likely = weighed @ is_kind
        weights = before.expects(likely @ FOLLOWS) * after.expects(likely @ FOLLOWS.T)
        weights **= strength
        weights[alone] = 1.0
        weighed = labels * weights[:, kind_of]
        weighed /= weighed.sum(axis=1, keepdims=True)
    return weighed


@lru_cache(maxsize=64)
def kinds(characters: str) -> tuple[NDArray[np.intp], NDArray[np.float64], bool]:
    """What kinds characters are of: 0 digits, 1 capitals, 2 small letters.

    Returns:
        int (C,) the kind of each; float64 (C, 3), 1 where it is of a kind; whether they differ. Read only.
    """
    kind_of = np.array([_kind(character) for character in characters])
    is_kind = (kind_of[:, None] == np.arange(3)).astype(np.float64)
    return kind_of, is_kind, bool(is_kind.any(axis=0).sum() > 1)


@dataclass(frozen=True, slots=True, eq=False)
class _Side:
    """What each candidate hears from what stands on one side of it.

    Several candidates on one side are cuts of the same ink: their trust shares one voice. Where there is
    none, the word begins or ends, and it expects what it would by itself.

    Attributes:
        listeners, speakers: int (K,) pairs of candidates.
        weights: float64 (K,) of what a speaker says.
        alone: float64 (N, 3) what is expected of each kind beside that.
    """

    listeners: NDArray[np.intp]
    speakers: NDArray[np.intp]
    weights: NDArray[np.float64]
    alone: NDArray[np.float64]

    @classmethod
    def of(
        cls,
        listeners: NDArray[np.intp],
        speakers: NDArray[np.intp],
        trust: NDArray[np.float64],
        alone: NDArray[np.float64],
    ) -> "_Side":
        """Weighs speakers by their trust; ``alone``, float64 (3,), is expected where nothing stands."""
        voice = np.bincount(listeners, trust[speakers], len(trust))
        weights = trust[speakers] / np.maximum(voice, 1.0)[listeners]
        return cls(listeners, speakers, weights, np.outer(1.0 - np.minimum(voice, 1.0), alone))

    def expects(self, said: NDArray[np.float64]) -> NDArray[np.float64]:
        """What each candidate expects of each kind, float64 (N, 3), from what each says of them."""
        words = said[self.speakers].T * self.weights
        heard = [np.bincount(self.listeners, word, len(said)) for word in words]
        expected: NDArray[np.float64] = np.stack(heard, axis=1) + self.alone
        return expected


def _meeting(
    starts: NDArray[np.integer],
    stops: NDArray[np.integer],
    bounds: NDArray[np.floating],
    trust: NDArray[np.float64],
    ends: Sequence[int],
) -> tuple[NDArray[np.intp], NDArray[np.intp]]:
    """The pairs of candidates of which one ends where the other begins, in the same word; left, right."""
    by_stop = np.argsort(stops, kind="stable")
    first = np.searchsorted(stops[by_stop], starts, side="left")
    counts = np.searchsorted(stops[by_stop], starts, side="right") - first
    right = np.repeat(np.arange(len(starts)), counts)
    left = by_stop[np.arange(len(right)) + np.repeat(first - (counts.cumsum() - counts), counts)]
    begin, end = bounds[:, 0].astype(np.float64), bounds[:, 2].astype(np.float64)
    heights, sure = (bounds[:, 3] - bounds[:, 1]).astype(np.float64), trust > 0.5
    rows = [slice(*row) for row in pairwise(ends)]
    widest = [_widest_gap(begin[row], end[row], heights[row], sure[row]) for row in rows]
    near = np.maximum(begin[right] - end[left], 0.0) <= np.repeat(widest, np.diff(ends))[right]
    return left[near], right[near]


def _widest_gap(
    begins: NDArray[np.float64],
    ends: NDArray[np.float64],
    heights: NDArray[np.float64],
    sure: NDArray[np.bool_],
) -> float:
    """The widest gap within a word.

    Args:
        begins, ends, heights: float64 (N,) of the candidates.
        sure: bool (N,) which are characters.
    """
    # The usual gap is that of each sure character to the nearest sure one on its left.
    if len(begins) < 2:
        return 0.0  # there is none
    beside, own = np.sort(ends[sure]), begins[sure]
    places = np.searchsorted(beside, own + 1e-6, side="right")
    follows = places > 0
    gaps = np.maximum(own[follows] - beside[places[follows] - 1], 0.0)
    usual = median(gaps.tolist()) if len(gaps) else 0.0  # a tenth of the time that numpy's takes for so few
    height = median((heights[sure] if len(beside) else heights).tolist())
    return WORD_GAP * usual + GAP_SLACK * height


def _kind(character: str) -> int:
    return 0 if character in string.digits else 1 if character in string.ascii_uppercase else 2
