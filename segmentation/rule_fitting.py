"""Fits the printed rules of a form to those found on a page: an affine map.

Their slopes give the skew; a vote over scale and shift, one axis at a time, gives a first map; a few rounds
of matching and robust least squares refine it.
"""

from collections.abc import Iterator

import numpy as np
from numpy.typing import NDArray

from segmentation.rule_finding import Floats, Rules

SCALE_SWEEP = np.linspace(0.94, 1.06, 25)
MIN_LIKENESS = 0.1  # shorter by longer length of two rules of which one may be the other, or a part of it
VOTE_BIN = 4.0  # pixels at WORK_DPI
TRUSTED_LEAN = 60  # pixels at WORK_DPI of the longest vertical rule that makes their slope worth knowing
STIFFNESS = 300.0  # of the map where few rules hold it: as so many pixels of rule, so many pixels apart
TOLERANCES = (14.0, 8.0, 5.0, 4.0, 3.0)  # pixels at WORK_DPI, one matching round each
NEAR_GUESS = 3.0  # in widest tolerances: what lies farther from its place by a first guess is never matched
LONGEST = 1.5  # length of a found rule, at most, in lengths of the longest of the form
MANY_RULES = 40  # found in place, after which no other first guess is tried: four fit in several ways
SURE = 0.9  # share of rules found that ends the search; with less it may be seen upside down
END_REACH = 8.0  # pixels at WORK_DPI that the end of a rule may lie off


def fit_rules(
    found: tuple[Rules, Rules], targets: tuple[Rules, Rules], nominal: float, scales: Floats | None = None
) -> tuple[Floats, float, int] | None:
    """Fits the rules of a form to those found.

    Args:
        found: horizontal and vertical rules, in working pixels.
        targets: those of the form, in template pixels.
        nominal: working pixels per template pixel, about.
        scales: working pixels per template pixel to try; by default ``nominal``, give or take 6 per cent.

    Returns:
        The best affine map from template to working pixels, float64 (2, 3); root mean square distance of the
        matched rules in working pixels; matched template rules. None if a direction has no rule at all.
    """
    if not len(found[0].ends) or not len(found[1].ends):
        return None
    trials = nominal * SCALE_SWEEP if scales is None else scales
    # The edge of the scan, longer than any rule of a small form, would rule over its slopes.
    horizontal, vertical = (
        Rules(rules.ends[rules.lengths <= LONGEST * nominal * target.lengths.max()], rules.horizontal)
        for rules, target in zip(found, targets, strict=True)
    )
    found = horizontal, vertical
    if not len(horizontal.ends) or not len(vertical.ends):
        return None
    starts = list(_hypotheses(found, targets, nominal, trials))
    starts.sort(key=lambda start: -_support(start, found, targets))
    count = sum(len(rules.ends) for rules in targets)
    best: tuple[Floats, float, int] | None = None
    for start in starts[:2]:
        fit = _refine(start, _near_rules(start, found, targets), targets)
        if best is None or (fit[2], -fit[1]) > (best[2], -best[1]):
            best = fit
        if best[2] >= max(SURE * count, MANY_RULES):
            break
    return best


def _near_rules(
    matrix: Floats, found: tuple[Rules, Rules], targets: tuple[Rules, Rules]
) -> tuple[Rules, Rules]:
    """The found rules that a first guess of the map brings near to any rule of the form."""
    near = []
    for rules, target in zip(found, targets, strict=True):
        rule_of, _, _ = _match(matrix, rules, target, NEAR_GUESS * TOLERANCES[0])
        near.append(Rules(rules.ends[rule_of], rules.horizontal))
    return near[0], near[1]


def _support(matrix: Floats, found: tuple[Rules, Rules], targets: tuple[Rules, Rules]) -> int:
    """How many template rules a first guess of the map explains, within the widest tolerance."""
    pairs = zip(found, targets, strict=True)
    return sum(_match(matrix, rules, target, TOLERANCES[0])[2] for rules, target in pairs)


def _hypotheses(
    found: tuple[Rules, Rules], targets: tuple[Rules, Rules], nominal: float, scales: Floats
) -> Iterator[Floats]:
    """First guesses of the map, from the best scales and shifts of each axis on its own."""
    rise, lean = found[0].slope, found[1].slope
    if targets[1].lengths.max() * nominal < TRUSTED_LEAN:
        lean = -rise  # cell lines are too short, and too like strokes, to tell
    rows = _vote(found[0], targets[0], rise, scales)
    columns = _vote(found[1], targets[1], lean, scales)
    for scale_y, shift_y in rows:
        for scale_x, shift_x in columns:
            # x - lean * y = scale_x * X + shift_x and y - rise * x = scale_y * Y + shift_y, for x and y
            skewed = np.array([[scale_x, 0, shift_x], [0, scale_y, shift_y]])
            yield np.linalg.inv(np.array([[1, -lean], [-rise, 1]])) @ skewed


def _vote(found: Rules, target: Rules, slope: float, scales: Floats) -> list[tuple[float, float]]:
    """The three best pairs (scale, shift) along the axis across the rules, by votes of matching lengths."""
    along, across = (0, 1) if found.horizontal else (1, 0)
    middle = (found.ends[:, :2] + found.ends[:, 2:]) / 2
    lengths = found.lengths[:, None], scales[len(scales) // 2] * target.lengths[None, :]
    shorter, longer = np.minimum(*lengths), np.maximum(*lengths)
    # Strokes of writing are most of what was found, and have next to no vote for a long rule.
    rule_of, target_of = np.nonzero(shorter >= MIN_LIKENESS * longer)
    weights = (shorter * shorter / longer)[rule_of, target_of]
    level = (middle[:, across] - slope * middle[:, along])[rule_of]
    wanted = target.ends[target_of, across]
    peaks = []
    for scale in scales if len(weights) else ():
        shifts = level - scale * wanted
        lowest = shifts.min()
        bins = ((shifts - lowest) / VOTE_BIN).astype(np.int64)
        votes = np.convolve(np.bincount(bins, weights), (0.5, 1, 0.5), "same")
        best = np.argpartition(votes, -3)[-3:] if len(votes) > 3 else range(len(votes))
        peaks += [(votes[peak], scale, lowest + (peak + 0.5) * VOTE_BIN) for peak in best]
    chosen: list[tuple[float, float]] = []
    for _, scale, shift in sorted(peaks, reverse=True):
        if all(abs(shift - other) > 6 * VOTE_BIN for _, other in chosen):
            chosen.append((scale, shift))
        if len(chosen) == 3:
            break
    return chosen


def _refine(
    matrix: Floats, found: tuple[Rules, Rules], targets: tuple[Rules, Rules]
) -> tuple[Floats, float, int]:
    """Alternates matching and fitting while the tolerance shrinks; see ``fit_rules`` for what is returned."""
    residual, matched = np.inf, 0
    area = np.linalg.det(matrix[:, :2])
    for tolerance in TOLERANCES:
        errors, matched = [], 0
        updated = matrix.copy()
        for rules, target in zip(found, targets, strict=True):
            rule_of, target_of, covered = _match(matrix, rules, target, tolerance)
            matched += covered
            if len(rule_of) < 2:
                return matrix, np.inf, 0
            row, error = _fit_row(matrix, rules, target, rule_of, target_of)
            updated[1 if rules.horizontal else 0] = row
            errors.append(error)
        if not 0.8 <= np.linalg.det(updated[:, :2]) / area <= 1.25:
            return matrix, np.inf, 0  # wrong pairs have flattened or mirrored the form
        matrix = updated
        residual = float(np.sqrt(np.mean(np.concatenate(errors) ** 2)))
    return matrix, residual, matched


def _match(
    matrix: Floats, rules: Rules, target: Rules, tolerance: float
) -> tuple[NDArray[np.intp], NDArray[np.intp], int]:
    """Pairs found rules with template rules that lie within ``tolerance`` and beside one another.

    Returns indices of found and of template rules, and how many template rules are covered to two fifths.
    """
    along, across = (0, 1) if rules.horizontal else (1, 0)
    start, stop = apply_map(matrix, target.ends[:, :2]), apply_map(matrix, target.ends[:, 2:])
    slope = (stop[:, across] - start[:, across]) / np.maximum(stop[:, along] - start[:, along], 1e-6)
    middle = (rules.ends[:, :2] + rules.ends[:, 2:]) / 2
    expected = start[None, :, across] + slope * (middle[:, None, along] - start[None, :, along])
    distance = np.abs(middle[:, None, across] - expected)
    overlap = np.minimum(rules.ends[:, None, along + 2], stop[None, :, along]) - np.maximum(
        rules.ends[:, None, along], start[None, :, along]
    )
    rise = rules.ends[:, None, across + 2] - rules.ends[:, None, across]
    tilt = np.abs(rise - slope * rules.lengths[:, None]) / 2  # how far both ends lie off when the middle fits
    near = (distance <= tolerance) & (tilt <= tolerance) & (overlap >= 0.5 * rules.lengths[:, None])
    # A found rule much longer than its target, a page border, may lie along several but is none of them.
    near &= rules.lengths[:, None] <= 1.3 * target_length(start, stop, along)[None, :] + tolerance
    distance = np.where(near, distance, np.inf)
    nearest = np.argmin(distance, axis=1)
    rule_of = np.flatnonzero(np.isfinite(distance[np.arange(len(distance)), nearest]))
    target_of = nearest[rule_of]
    coverage = np.bincount(target_of, overlap[rule_of, target_of], len(target.ends))
    covered = int((coverage >= 0.4 * target_length(start, stop, along)).sum())
    return rule_of, target_of, covered


def ends_in_place(matrix: Floats, found: tuple[Rules, Rules], targets: tuple[Rules, Rules]) -> float:
    """Share of the ends of matched template rules, 0..1, where a found rule ends too."""
    seen, ends = 0, 0
    for rules, target in zip(found, targets, strict=True):
        along = 0 if rules.horizontal else 1
        rule_of, target_of, _ = _match(matrix, rules, target, TOLERANCES[-1])
        for first, corner in ((0, along), (2, along + 2)):
            expected = apply_map(matrix, target.ends[:, first : first + 2])[target_of, along]
            near = np.abs(rules.ends[rule_of, corner] - expected) <= END_REACH
            seen += len(np.unique(target_of[near]))
            ends += len(np.unique(target_of))
    return seen / max(ends, 1)


def target_length(start: Floats, stop: Floats, along: int) -> Floats:
    """Length of mapped template rules along their direction, at least a pixel."""
    return np.maximum(stop[:, along] - start[:, along], 1.0)


def _fit_row(
    matrix: Floats, rules: Rules, target: Rules, rule_of: NDArray[np.intp], target_of: NDArray[np.intp]
) -> tuple[Floats, Floats]:
    """One row of the affine map by least squares with Huber weights; also the errors in working pixels.

    A rule says nothing about the place along itself, so horizontal rules fix the row of y and vertical ones
    the row of x; the coordinate along the rule is taken from the current map.
    """
    across = 1 if rules.horizontal else 0
    inverse = np.linalg.inv(np.vstack([matrix, [0, 0, 1]]))[:2]
    points = np.concatenate([rules.ends[rule_of, :2], rules.ends[rule_of, 2:]])
    source = apply_map(inverse, points)
    source[:, across] = np.tile(target.ends[target_of, across], 2)
    design = np.column_stack([source, np.ones(len(source))])
    wanted = points[:, across]
    base = np.tile(np.sqrt(rules.lengths[rule_of]), 2)
    # Where few rules hold it, scale and slope are ill-determined: lean a little on the current map.
    prior = matrix[across]
    stiff = np.diag([1.0, 1.0, 0.0])[:2] * (STIFFNESS / np.hypot(prior[0], prior[1]))
    weights = base.copy()
    row = prior
    for _ in range(4):
        off = (wanted - design @ prior) * weights
        held = np.vstack([design * weights[:, None], stiff])
        row = prior + np.linalg.lstsq(held, np.append(off, (0.0, 0.0)), rcond=1e-9)[0]
        error = design @ row - wanted
        weights = base * np.sqrt(np.minimum(1, 1.5 / np.maximum(np.abs(error), 1e-9)))
    return row, error


def apply_map(matrix: Floats, points: Floats) -> Floats:
    """Maps points (N, 2) by an affine matrix (2, 3)."""
    return points @ matrix[:, :2].T + matrix[:, 2]
