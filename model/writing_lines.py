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
from dataclasses import dataclass
from functools import lru_cache

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


def weigh_labels(
    labels: NDArray[np.float64],
    trust: NDArray[np.float64],
    bounds: NDArray[np.float32],
    characters: str,
    spread: float,
) -> NDArray[np.float64]:
    """Label probabilities, given also where the ink stands.

    Args:
        labels: float64 (N, C) probability of each label of each candidate, rows summing to 1.
        trust: float64 (N,) how surely each candidate is a character at all, 0..1.
        bounds: float32 (N, 4) left, top, right, bottom in any unit.
        characters: the C labels.
        spread: standard deviation of tops and bottoms about their lines, in cap heights; 0 changes nothing.

    Returns:
        float64 (N, C), rows summing to 1.
    """
    kinds = _kinds(characters)
    if spread <= 0 or kinds.count == 1 or not trust.any():
        return labels
    top, bottom = bounds[:, 1].astype(np.float64), bounds[:, 3].astype(np.float64)
    heard = trust > min(_LEAST_HEARD, 0.5 * float(trust.max()))
    of_kind = labels[heard] @ kinds.members
    base, height = _find_lines(of_kind, trust[heard], top[heard], bottom[heard], kinds, spread)
    upper, lower = _keeps((top - base) / height + 1.0, (bottom - base) / height + 1.0, kinds, spread)
    weights = upper[kinds.tops] * lower[kinds.bottoms] + _LEAST_WEIGHT
    weighed = labels * weights.T[:, kinds.kind_of]
    result: NDArray[np.float64] = weighed / weighed.sum(axis=1, keepdims=True)
    return result


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
    kinds: _Kinds,
    spread: float,
) -> tuple[float, float]:
    """Base line and cap height of the greatest likelihood on a grid around the usual candidate."""
    order = np.argsort(bottom - top)
    middle = np.searchsorted(np.cumsum(trust[order]), trust.sum() / 2)
    usual = max(float((bottom - top)[order[min(int(middle), len(order) - 1)]]), 1e-3)
    level = float(bottom @ trust / trust.sum())
    # Places are counted from the level and in usual heights: on that grid lines are the same in every row.
    rise, fall = (top - level) / usual, (bottom - level) / usual
    bases, heights = np.repeat(_BASE_STEPS, len(_HEIGHT_STEPS)), np.tile(_HEIGHT_STEPS, len(_BASE_STEPS))
    down = (rise - bases[:, None]) / heights[:, None] + 1.0, (fall - bases[:, None]) / heights[:, None] + 1.0
    upper, lower = _keeps(*down, kinds, spread)
    # Summed over the kinds that reach down equally far first, so that there is one product for each kind.
    found = np.full(upper.shape[1:], 0.0)
    for bottom_line, reach in enumerate(lower):
        of_top = [kind for kind in range(kinds.count) if kinds.bottoms[kind] == bottom_line]
        likely = upper[kinds.tops[of_top[0]]] * of_kind[:, of_top[0]]
        for kind in of_top[1:]:
            likely += upper[kinds.tops[kind]] * of_kind[:, kind]
        found += likely * reach
    found += _LEAST_WEIGHT * of_kind.sum(axis=1)
    best = int(np.argmax(np.log(found) @ trust))
    return float(level + usual * bases[best]), float(usual * heights[best])


def _keeps(
    upper: NDArray[np.float64], lower: NDArray[np.float64], kinds: _Kinds, spread: float
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """How well tops and bottoms, from the cap line down in cap heights, keep to each line of the kinds.

    Args:
        upper, lower: float64 of any shape.
        kinds: U tops and L bottoms.
        spread: standard deviation about the lines.

    Returns:
        Two float64, (U, ...) and (L, ...), in 0..1. A character keeps to its lines as well as the product of
        the two: a dozen characters have the same top, so this asks for fewer exponentials.
    """
    return (
        np.exp(-0.5 * (np.subtract.outer(kinds.upper, upper) / spread) ** 2),
        np.exp(-0.5 * (np.subtract.outer(kinds.lower, lower) / spread) ** 2),
    )
