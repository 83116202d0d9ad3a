"""How a page lies off the map of its form where the paper is curled or was photographed at an angle.

One affine map holds for flat paper. On other paper each printed rule lies a little off its place; between the
rules the offsets are taken to change evenly. A local map is a weighted least-squares fit to the offsets
around a field (local linear regression: W. S. Cleveland, "Robust locally weighted regression and smoothing
scatterplots", Journal of the American Statistical Association 74 (1979)).
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from segmentation.rule_finding import WORK_DPI, Floats, Integers, Rules
from segmentation.rule_fitting import apply_map

REACH = 0.7  # inches around a field from which offsets count
TOLERANCES = (8.0, 6.0, 6.0, 5.0, 4.0)  # pixels at WORK_DPI that a rule may lie off what is known so far
STEEPEST = 0.06  # slope of a rule against its place
LONGER = 1.3  # length of a found rule, at most, in lengths of its target: it may be another one's
# Of lengths of rule: how much it takes to believe in an offset, and in its change from end to end of REACH.
STIFF, STIFFER = 0.02, 0.3
AT_ONCE = 32  # centers


@dataclass(frozen=True, eq=False)
class _Offsets:
    """Offsets of rules of one direction.

    Attributes:
        points: float64 (N, 2), places of the form, in template pixels.
        off: float64 (N,), how far what is printed there lies farther down, or to the right.
        weights: float64 (N,), lengths of rule, in inches.
    """

    points: Floats
    off: Floats
    weights: Floats

    def around(self, centers: Floats, reach: float) -> Floats:
        """At each center, float64 (C, 2): the offset, and its change per pixel along x and y, (C, 3)."""
        few = range(0, len(centers), AT_ONCE)  # all of a large comb form at once would take 50 MB
        parts = [self._around_some(centers[first : first + AT_ONCE], reach) for first in few]
        return np.concatenate([np.zeros((0, 3)), *parts])

    def _around_some(self, centers: Floats, reach: float) -> Floats:
        away = (self.points[None] - centers[:, None]) / reach
        weights = self.weights * np.exp(-0.5 * (away**2).sum(axis=2))
        terms = np.concatenate([np.ones((*away.shape[:2], 1)), away], axis=2)
        weighted = weights[..., None] * terms
        normal = np.einsum("cni,cnj->cij", weighted, terms) + np.diag([STIFF, STIFFER, STIFFER])
        wanted = np.einsum("cni,n->ci", weighted, self.off)
        found: Floats = np.linalg.solve(normal, wanted[..., None])[..., 0]
        return found / (1.0, reach, reach)


@dataclass(frozen=True, eq=False)
class Bends:
    """The offsets of all rules that were found, of both directions; ``reach`` is in template pixels."""

    lying: _Offsets
    standing: _Offsets
    reach: float

    def around(self, x: float, y: float) -> Floats:
        """The map, float64 (2, 3), from template pixels near a place to those of a form that lies flat."""
        center = np.array([[x, y]])
        rows = []
        for axis, offsets in enumerate((self.standing, self.lying)):
            [(off, along_x, along_y)] = offsets.around(center, self.reach).tolist()
            row = np.array([along_x, along_y, off - along_x * x - along_y * y])
            row[axis] += 1
            rows.append(row)
        return np.array(rows)


def find_bends(found: tuple[Rules, Rules], targets: tuple[Rules, Rules], matrix: Floats, dpi: float) -> Bends:
    """Finds how the rules of a page lie off where a map has them.

    It starts from those that lie near their places, and goes on from there to those farther off.

    Args:
        found: horizontal and vertical rules, in working pixels.
        targets: those of the form, in template pixels.
        matrix: float64 (2, 3), template to working pixels.
        dpi: resolution of the template.
    """
    back = np.linalg.inv(np.vstack([matrix, [0, 0, 1]]))[:2]
    reach = REACH * dpi
    lying, standing = (
        _follow(_laid(rules, back), target, reach, dpi) for rules, target in zip(found, targets, strict=True)
    )
    return Bends(lying, standing, reach)


def _laid(rules: Rules, back: Floats) -> Rules:
    ends = np.concatenate([apply_map(back, rules.ends[:, first : first + 2]) for first in (0, 2)], axis=1)
    return Rules(ends, rules.horizontal)


def _follow(rules: Rules, target: Rules, reach: float, dpi: float) -> _Offsets:
    """The offsets of rules of one direction, found and wanted ones in template pixels."""
    along, across = (0, 1) if rules.horizontal else (1, 0)
    middles = (target.ends[:, :2] + target.ends[:, 2:]) / 2
    places = (rules.ends[:, :2] + rules.ends[:, 2:]) / 2
    fair = (rules.lengths > 0) & (np.abs(_slopes(rules, along, across)) <= STEEPEST)
    offsets = _Offsets(np.zeros((0, 2)), np.zeros(0), np.zeros(0))
    for tolerance in TOLERANCES:
        known = offsets.around(middles, reach)
        rule_of, target_of = _nearest(rules, target, places, known, fair, tolerance * dpi / WORK_DPI)
        parts = []
        for share in (0.0, 0.5, 1.0):
            point = (1 - share) * rules.ends[rule_of, :2] + share * rules.ends[rule_of, 2:]
            off = point[:, across] - middles[target_of, across]
            point[:, across] = middles[target_of, across]
            parts.append(_Offsets(point, off, rules.lengths[rule_of] / (3 * dpi)))
        offsets = _Offsets(
            np.concatenate([part.points for part in parts]),
            np.concatenate([part.off for part in parts]),
            np.concatenate([part.weights for part in parts]),
        )
    return offsets


def _slopes(rules: Rules, along: int, across: int) -> Floats:
    rise = rules.ends[:, across + 2] - rules.ends[:, across]
    slopes: Floats = rise / np.maximum(rules.lengths, 1e-6)
    return slopes


def _nearest(
    rules: Rules, target: Rules, places: Floats, known: Floats, fair: NDArray[np.bool_], tolerance: float
) -> tuple[Integers, Integers]:
    """Pairs of a found rule and the target beside which it lies, int (P,) each.

    ``places`` are the middles of the rules, float64 (R, 2); ``known`` the offsets at the targets' middles,
    (T, 3); ``fair`` says of each rule, bool (R,), whether it may be one.
    """
    along, across = (0, 1) if rules.horizontal else (1, 0)
    middles = (target.ends[:, :2] + target.ends[:, 2:]) / 2
    from_middle = places[:, None, along] - middles[None, :, along]
    expected = middles[:, across] + known[:, 0] + known[:, 1 + along] * from_middle
    off = np.abs(places[:, None, across] - expected)
    ends, wanted = rules.ends[:, None], target.ends[None]
    overlap = np.minimum(ends[..., along + 2], wanted[..., along + 2]) - np.maximum(
        ends[..., along], wanted[..., along]
    )
    lengths = rules.lengths[:, None]
    near = (off <= tolerance) & (overlap >= 0.5 * lengths) & fair[:, None]
    near &= lengths <= LONGER * target.lengths + tolerance
    off = np.where(near, off, np.inf)
    target_of = np.argmin(off, axis=1) if off.shape[1] else np.zeros(len(off), np.intp)
    rule_of = np.flatnonzero(near.any(axis=1))
    return rule_of, target_of[rule_of]
