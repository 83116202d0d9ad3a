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
    kinds, kind_of = _kinds(characters)
    if spread <= 0 or len(kinds) == 1 or not trust.any():
        return labels
    top, bottom = bounds[:, 1].astype(np.float64), bounds[:, 3].astype(np.float64)
    heard = trust > min(_LEAST_HEARD, 0.5 * float(trust.max()))
    of_kind = labels[heard] @ (kind_of[:, None] == np.arange(len(kinds)))
    base, height = _find_lines(of_kind, trust[heard], top[heard], bottom[heard], kinds, spread)
    weights = _fits(top, bottom, np.array([base]), np.array([height]), kinds, spread)[0][:, kind_of]
    weighed = labels * weights
    result: NDArray[np.float64] = weighed / weighed.sum(axis=1, keepdims=True)
    return result


@lru_cache(maxsize=64)
def _kinds(characters: str) -> tuple[NDArray[np.float64], NDArray[np.intp]]:
    """The extents that occur among characters, float64 (K, 2), and which of them each character has."""
    extents = np.array([EXTENTS[character] for character in characters])
    kinds, kind_of = np.unique(extents, axis=0, return_inverse=True)
    return kinds, kind_of.ravel()


def _find_lines(
    of_kind: NDArray[np.float64],
    trust: NDArray[np.float64],
    top: NDArray[np.float64],
    bottom: NDArray[np.float64],
    kinds: NDArray[np.float64],
    spread: float,
) -> tuple[float, float]:
    """Base line and cap height of the greatest likelihood on a grid around the usual candidate."""
    order = np.argsort(bottom - top)
    middle = np.searchsorted(np.cumsum(trust[order]), trust.sum() / 2)
    usual = max(float((bottom - top)[order[min(int(middle), len(order) - 1)]]), 1e-3)
    level = float(np.average(bottom, weights=trust))
    grid = np.meshgrid(usual * _HEIGHT_STEPS, level + usual * _BASE_STEPS)
    heights, bases = grid[0].ravel(), grid[1].ravel()
    fits = _fits(top, bottom, bases, heights, kinds, spread)
    likelihood = np.log((fits * of_kind).sum(axis=2)) @ trust
    best = int(np.argmax(likelihood))
    return float(bases[best]), float(heights[best])


def _fits(
    top: NDArray[np.float64],
    bottom: NDArray[np.float64],
    bases: NDArray[np.float64],
    heights: NDArray[np.float64],
    kinds: NDArray[np.float64],
    spread: float,
) -> NDArray[np.float64]:
    """How well N candidates keep to each of H pairs of lines as each of K kinds: float64 (H, N, K)."""
    upper = (top - bases[:, None]) / heights[:, None] + 1.0
    lower = (bottom - bases[:, None]) / heights[:, None] + 1.0
    off = ((upper[..., None] - kinds[:, 0]) / spread) ** 2 + ((lower[..., None] - kinds[:, 1]) / spread) ** 2
    fits: NDArray[np.float64] = np.exp(-0.5 * off) + _LEAST_WEIGHT
    return fits
