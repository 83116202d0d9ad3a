"""What size and position say of a character: a crop has lost both, and ``c`` and ``C`` look alike without.

Capitals, digits and ascenders reach from the cap line to the base line, small letters from the x line,
descenders below. Where these lines run in a row is not known; it is found as the base line and cap height
under which the labels that the classifier finds likely have the extents they should have. Then each
candidate's labels are weighed by how well its ink keeps to the lines. Labels are only weighed against each
other: a cut gains or loses nothing.

Hands differ much: of free writing in NIST SD19, the middle two thirds of capital A are 0.6 to 1.3 capital
heights high. So the weights are mild.
"""

import string
from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache
from itertools import pairwise

import numpy as np
from numpy.typing import NDArray

X_HEIGHT = 0.42  # top of letters without ascender, from the cap line down, in cap heights
DESCENT = 1.42

# Top and bottom of a character, from the cap line down, in cap heights.
EXTENTS: dict[str, tuple[float, float]] = {
    **dict.fromkeys(string.digits + string.ascii_letters, (0.0, 1.0)),
    **dict.fromkeys("acemnorsuvwxz", (X_HEIGHT, 1.0)),
    **dict.fromkeys("gpqy", (X_HEIGHT, DESCENT)),
    "t": (0.12, 1.0),
    "i": (0.08, 1.0),
    "j": (0.08, DESCENT),
}
# However far off, a label keeps this share of its weight: hands break every rule.
_LEAST_WEIGHT = 0.05
# Candidates that are surely no character have no say in where the lines are: half of all.
_LEAST_HEARD = 0.01
_HEIGHT_STEPS = np.geomspace(0.63, 2.0, 9)  # of the cap height, in heights of the row's usual candidate
_BASE_STEPS = np.linspace(-0.45, 0.45, 7)  # of the base line, in such heights
_GRID = np.array([(base, height) for base in _BASE_STEPS for height in _HEIGHT_STEPS])
# Candidates for which the grid is computed in one go: what the nearest memory of a processor holds.
_BLOCK = 64


@dataclass(frozen=True, slots=True)
class Lines:
    """The lines of writing, of N candidates of some rows.

    Attributes:
        base, height: float64 (N,) base line of a candidate's row and height of its capitals, in the unit of
            the bounds.
        known: bool (N,) whether the row has any lines; if not, the two mean nothing.
        fit: float64 (N,) how well a candidate keeps to them, as the character that it may be: 1 for wholly.
    """

    base: NDArray[np.float64]
    height: NDArray[np.float64]
    known: NDArray[np.bool_]
    fit: NDArray[np.float64]

    def places(self, levels: NDArray[np.float64]) -> NDArray[np.float64]:
        """Tops or bottoms of the candidates, (N,), from the cap line down, in heights of a capital."""
        return (levels - self.base) / self.height + 1.0


def weigh_labels(
    labels: NDArray[np.float64],
    trust: NDArray[np.float64],
    bounds: NDArray[np.floating],
    characters: str,
    spread: float,
    ends: Sequence[int] | None = None,
) -> tuple[NDArray[np.float64], Lines | None]:
    """Label probabilities, given also where the ink stands.

    Args:
        labels: float64 (N, C) probability of each label of each candidate, rows summing to 1.
        trust: float64 (N,) how surely each candidate is a character at all, 0..1.
        bounds: float (N, 4) left, top, right, bottom in any unit.
        characters: the C labels.
        spread: standard deviation of tops and bottoms about their lines, in cap heights; 0 changes nothing.
        ends: where there are several rows, each with lines of its own: int (R + 1,), row r has the candidates
            ``ends[r] <= i < ends[r + 1]``.

    Returns:
        float64 (N, C), rows summing to 1; and the lines that were found, None if none were looked for.
    """
    kinds = _kinds(characters)
    if spread <= 0 or kinds.count == 1 or not trust.any():
        return labels, None
    top, bottom = bounds[:, 1].astype(np.float64), bounds[:, 3].astype(np.float64)
    ends = (0, len(labels)) if ends is None else ends
    heard = [first + _heard(trust[first:last]) for first, last in pairwise(ends)]
    rows = [row for row, own in enumerate(heard) if len(own)]  # no other has any trust
    base, height, known = np.zeros(len(heard)), np.ones(len(heard)), np.zeros(len(heard), np.bool_)
    of_kind = labels @ kinds.members
    base[rows], height[rows] = _find_lines(
        of_kind, trust, top, bottom, [heard[row] for row in rows], kinds, spread
    )
    known[rows] = True
    counts = np.diff(ends)
    base, height, known = np.repeat(base, counts), np.repeat(height, counts), np.repeat(known, counts)
    upper = _keeps((top - base) / height + 1.0, kinds.upper[:, None], spread)
    lower = _keeps((bottom - base) / height + 1.0, kinds.lower[:, None], spread)
    weights = upper[kinds.tops] * lower[kinds.bottoms] + _LEAST_WEIGHT
    weights[:, ~known] = 1.0
    weighed = labels * weights.T[:, kinds.kind_of]
    fit = weighed.sum(axis=1, keepdims=True)
    weighed /= fit
    return weighed, Lines(base, height, known, fit[:, 0])


def _heard(trust: NDArray[np.float64]) -> NDArray[np.intp]:
    """Which candidates of a row have a say in where its lines are; none if there is no trust in any."""
    return np.flatnonzero(trust > min(_LEAST_HEARD, 0.5 * trust.max(initial=0.0)))


@dataclass(frozen=True, slots=True)
class _Kinds:
    """The extents that occur among the C characters of a charset: K kinds.

    Attributes:
        kind_of: int (C,) the kind of each character.
        members: float64 (C, K), 1 where a character is of a kind.
        upper, lower: float64 (U,), (L,) where the tops and the bottoms of kinds are.
        tops, bottoms: int (K,) which of these each kind has.
    """

    kind_of: NDArray[np.intp]
    members: NDArray[np.float64]
    upper: NDArray[np.float64]
    lower: NDArray[np.float64]
    tops: NDArray[np.intp]
    bottoms: NDArray[np.intp]

    @property
    def count(self) -> int:
        """How many kinds."""
        return len(self.tops)


@lru_cache(maxsize=64)
def _kinds(characters: str) -> _Kinds:
    extents = np.array([EXTENTS[character] for character in characters])
    kinds, kind_of = np.unique(extents, axis=0, return_inverse=True)
    kind_of = kind_of.ravel()
    members = (kind_of[:, None] == np.arange(len(kinds))).astype(np.float64)
    upper, tops = np.unique(kinds[:, 0], return_inverse=True)
    lower, bottoms = np.unique(kinds[:, 1], return_inverse=True)
    return _Kinds(kind_of, members, upper, lower, tops.ravel(), bottoms.ravel())


def _find_lines(
    of_kind: NDArray[np.float64],
    trust: NDArray[np.float64],
    top: NDArray[np.float64],
    bottom: NDArray[np.float64],
    heard: list[NDArray[np.intp]],
    kinds: _Kinds,
    spread: float,
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Base line and cap height of the greatest likelihood on a grid around the usual candidate.

    Args:
        of_kind: float64 (N, K) probability of each kind of each candidate.
        trust, top, bottom: float64 (N,).
        heard: of each of R rows those of its candidates that have a say, at least one.
        kinds, spread: as in ``weigh_labels``.

    Returns:
        Two float64 (R,), in the unit of tops and bottoms.
    """
    usual, level = np.array([_usual(trust[own], top[own], bottom[own]) for own in heard]).T
    every, lengths = np.concatenate(heard), [len(own) for own in heard]
    # Places are counted from the level and in usual heights: on that grid lines are the same in every row.
    scale, middle = np.repeat(usual, lengths), np.repeat(level, lengths)
    rise, fall = (top[every] - middle) / scale, (bottom[every] - middle) / scale
    logs = np.empty((len(_GRID), len(every)))
    for first in range(0, len(every), _BLOCK):
        block = slice(first, first + _BLOCK)
        logs[:, block] = _log_likelihoods(rise[block], fall[block], of_kind[every[block]], kinds, spread)
    logs *= trust[every]
    best = np.add.reduceat(logs, np.cumsum([0, *lengths[:-1]]), axis=1).argmax(axis=0)
    return level + usual * _GRID[best, 0], usual * _GRID[best, 1]


def _log_likelihoods(
    rise: NDArray[np.float64],
    fall: NDArray[np.float64],
    of_kind: NDArray[np.float64],
    kinds: _Kinds,
    spread: float,
) -> NDArray[np.float64]:
    """How well M candidates keep to their lines, for each pair of ``_GRID``: logarithms, float64 (G, M).

    Args:
        rise, fall: float64 (M,) tops and bottoms, in the units of the grid.
        of_kind, kinds, spread: as in ``_find_lines``.
    """
    bases, heights = _GRID.T[:, :, None]
    upper, lower = (rise - bases) / heights + 1.0, (fall - bases) / heights + 1.0
    uppers = [_keeps(upper, line, spread) for line in kinds.upper]
    found = np.repeat(_LEAST_WEIGHT * of_kind.sum(axis=1)[None], len(_GRID), axis=0)
    # Summed over the kinds that reach down equally far first, so that there is one product for each kind.
    for bottom_line, reach in enumerate(kinds.lower):
        alike = np.flatnonzero(kinds.bottoms == bottom_line)
        of_top = uppers[kinds.tops[alike[0]]] * of_kind[:, alike[0]]
        for kind in alike[1:]:
            of_top += uppers[kinds.tops[kind]] * of_kind[:, kind]
        of_top *= _keeps(lower, reach, spread)
        found += of_top
    return np.log(found, out=found)


def _usual(
    trust: NDArray[np.float64], top: NDArray[np.float64], bottom: NDArray[np.float64]
) -> tuple[float, float]:
    """The usual height of candidates, and where their bottoms are: a weighted median and a mean."""
    heights = bottom - top
    order = heights.argsort()
    middle = trust[order].cumsum().searchsorted(trust.sum() / 2)
    usual = max(float(heights[order[min(int(middle), len(order) - 1)]]), 1e-3)
    return usual, float(bottom @ trust / trust.sum())


def _keeps(
    places: NDArray[np.float64], lines: NDArray[np.float64] | float, spread: float
) -> NDArray[np.float64]:
    """How well tops or bottoms, from the cap line down in cap heights, keep to lines, in 0..1.

    A character keeps to its lines as well as the product of the two: a dozen characters have the same top, so
    this asks for fewer exponentials.

    Args:
        places: float64 of any shape.
        lines: where they should be; what ``places`` can be subtracted from.
        spread: standard deviation about the lines.
    """
    off: NDArray[np.float64] = lines - places
    off *= off
    off *= -0.5 / spread**2
    return np.exp(off, out=off)
