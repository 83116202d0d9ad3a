"""Fits the printed rules of a form to those found on a page: an affine map.

Their slopes give the skew; a vote over scale and shift, one axis at a time, gives a first map; a few rounds
of matching and robust least squares refine it.
"""

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from segmentation.rule_finding import Floats, Integers, Rules

SCALE_SWEEP = np.linspace(0.94, 1.06, 25)
USUAL_SCALES = SCALE_SWEEP[10:15]  # of pages that no copier enlarged, tried first
MIN_LIKENESS = 0.1  # shorter by longer length of two rules of which one may be the other, or a part of it
VOTE_BIN = 4.0  # pixels at WORK_DPI
TRUSTED_LEAN = 60  # pixels at WORK_DPI of the longest vertical rule that makes their slope worth knowing
STIFFNESS = 300.0  # of the map where few rules hold it: as so many pixels of rule, so many pixels apart
TOLERANCES = (14.0, 8.0, 5.0, 4.0, 3.0)  # pixels at WORK_DPI, one matching round each
NEAR_GUESS = 3.0  # in widest tolerances: what lies farther from its place by a first guess is never matched
LONGEST = 1.5  # length of a found rule, at most, in lengths of the longest of the form
MANY_RULES = 40  # found in place, after which no other first guess is tried: four fit in several ways
FEW_MISSED = 2  # rules not found: fewer than are missed by who takes a row of boxes for the next one
SURE = 0.9  # share of rules found that ends the search; with less it may be seen upside down
END_REACH = 8.0  # pixels at WORK_DPI that the end of a rule may lie off

Fit = tuple[Floats, float, int]


def fit_rules(
    found: tuple[Rules, Rules], targets: tuple[Rules, Rules], nominal: float, scales: Floats | None = None
) -> Fit | None:
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
    # The edge of the scan, longer than any rule of a small form, would rule over its slopes.
    horizontal, vertical = (
        Rules(rules.ends[rules.lengths <= LONGEST * nominal * target.lengths.max()], rules.horizontal)
        for rules, target in zip(found, targets, strict=True)
    )
    found = horizontal, vertical
    if not len(horizontal.ends) or not len(vertical.ends):
        return None
    count = sum(len(rules.ends) for rules in targets)
    nearly_all = max(count - FEW_MISSED, MANY_RULES)
    enough = max(SURE * count, MANY_RULES)
    if scales is not None:
        return _best_fit(found, targets, nominal, scales, enough)[0]
    usual: tuple[Fit, float] = (np.eye(2, 3), np.inf, 0), 0.0
    if count >= nearly_all:
        usual = _best_fit(found, targets, nominal, nominal * USUAL_SCALES, nearly_all)
        if usual[0][2] >= nearly_all:
            return usual[0]
    other = _best_fit(found, targets, nominal, nominal * SCALE_SWEEP, enough)
    return max(usual, other, key=lambda fit: (fit[1], -fit[0][1]))[0]


def _best_fit(
    found: tuple[Rules, Rules], targets: tuple[Rules, Rules], nominal: float, scales: Floats, enough: float
) -> tuple[Fit, float]:
    """The better fit of the two best guesses, or the first one that finds ``enough`` rules.

    Also how many rules it finds, times the share of their ends in place if it does not find enough: one cell
    farther on, a comb fits nearly as well but for its ends.
    """
    best: tuple[Fit, float] = (np.eye(2, 3), np.inf, 0), 0.0
    for guess in _guesses(found, targets, nominal, scales):
        fit = _refine(guess, found, targets)
        if fit[2] >= enough:
            return fit, float(fit[2])
        agreement = fit[2] * ends_in_place(fit[0], found, targets) if fit[2] else 0.0
        if (agreement, -fit[1]) >= (best[1], -best[0][1]):
            best = fit, agreement
    return best


@dataclass(frozen=True, slots=True)
class _Pairs:
    """Found rules and template rules of one direction of which one may be the other, P of them.

    Attributes:
        rule_of, target_of: int (P,) the two of each pair, in order of the found ones.
        first, last, length: float64 (P,) where the found rule begins and ends along its direction.
        along, across, rise: float64 (P,) its middle, and how much farther across its end lies.
        corners: float64 (2 T, 2) the first ends of all T template rules, then their last, template pixels.
        horizontal: the direction.
    """

    rule_of: Integers
    target_of: Integers
    first: Floats
    last: Floats
    length: Floats
    along: Floats
    across: Floats
    rise: Floats
    corners: Floats
    horizontal: bool

    def place(self, matrix: Floats) -> tuple[Floats, Floats]:
        """All template rules by a map: places along and across of their first and last ends, (2, T) each."""
        along, across = (0, 1) if self.horizontal else (1, 0)
        mapped = apply_map(matrix, self.corners)
        return mapped[:, along].reshape(2, -1), mapped[:, across].reshape(2, -1)


@dataclass(frozen=True, slots=True)
class _Guess:
    """A first guess of the map, float64 (2, 3), and the horizontal and vertical pairs that it leaves."""

    matrix: Floats
    pairs: tuple[_Pairs, _Pairs]

    @property
    def support(self) -> int:
        """How many template rules it explains, within the widest tolerance."""
        return sum(_match(self.matrix, pairs, TOLERANCES[0])[1] for pairs in self.pairs)


def _guesses(
    found: tuple[Rules, Rules], targets: tuple[Rules, Rules], nominal: float, scales: Floats
) -> list[_Guess]:
    """The two guesses with most support; if the one with most votes explains nearly all rules, that alone."""
    guesses = []
    nearly_all = max(sum(len(rules.ends) for rules in targets) - FEW_MISSED, MANY_RULES)
    for matrix in _hypotheses(found, targets, nominal, scales):
        reach = NEAR_GUESS * TOLERANCES[0]
        across, down = (_pair(matrix, *both, reach) for both in zip(found, targets, strict=True))
        guesses.append(_Guess(matrix, (across, down)))
        if len(guesses) == 1 and guesses[0].support >= nearly_all:
            return guesses
    return sorted(guesses, key=lambda guess: -guess.support)[:2]


def _pair(matrix: Floats, rules: Rules, target: Rules, reach: float) -> _Pairs:
    """Pairs of which a map brings the middle of the found rule to ``reach`` from the line of the other."""
    along, across = (0, 1) if rules.horizontal else (1, 0)
    start, stop = apply_map(matrix, target.ends[:, :2]), apply_map(matrix, target.ends[:, 2:])
    slope = (stop[:, across] - start[:, across]) / np.maximum(stop[:, along] - start[:, along], 1e-6)
    middle = (rules.ends[:, :2] + rules.ends[:, 2:]) / 2
    level = start[:, across] - slope * start[:, along]
    off = middle[:, across, None] - middle[:, along, None] * slope - level
    rule_of, target_of = np.nonzero(np.abs(off) <= reach)
    ends, middle = rules.ends[rule_of], middle[rule_of]
    return _Pairs(
        rule_of,
        target_of,
        first=ends[:, along],
        last=ends[:, along + 2],
        length=ends[:, along + 2] - ends[:, along],
        along=middle[:, along],
        across=middle[:, across],
        rise=ends[:, across + 2] - ends[:, across],
        corners=np.concatenate([target.ends[:, :2], target.ends[:, 2:]]),
        horizontal=rules.horizontal,
    )


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
            yield np.array([[1, lean], [rise, 1]]) @ skewed / (1 - lean * rise)


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


def _refine(guess: _Guess, found: tuple[Rules, Rules], targets: tuple[Rules, Rules]) -> Fit:
    """Alternates matching and fitting while the tolerance shrinks; see ``fit_rules`` for what is returned."""
    matrix, residual, matched = guess.matrix, np.inf, 0
    area = np.linalg.det(matrix[:, :2])
    for tolerance in TOLERANCES:
        errors, matched = [], 0
        updated = matrix.copy()
        for pairs, rules, target in zip(guess.pairs, found, targets, strict=True):
            kept, covered = _match(matrix, pairs, tolerance)
            matched += covered
            if len(kept) < 2:
                return matrix, np.inf, 0
            row, error = _fit_row(matrix, rules, target, pairs.rule_of[kept], pairs.target_of[kept])
            updated[1 if rules.horizontal else 0] = row
            errors.append(error)
        if not 0.8 <= np.linalg.det(updated[:, :2]) / area <= 1.25:
            return matrix, np.inf, 0  # wrong pairs have flattened or mirrored the form
        matrix = updated
        residual = float(np.sqrt(np.mean(np.concatenate(errors) ** 2)))
    return matrix, residual, matched


def _match(matrix: Floats, pairs: _Pairs, tolerance: float) -> tuple[Integers, int]:
    """Gives each found rule the nearest template rule within ``tolerance`` and beside it.

    Returns the pairs that are left, and how many template rules are covered to two fifths.
    """
    (start, stop), (level, end_level) = pairs.place(matrix)
    lengths = np.maximum(stop - start, 1.0)  # at least a pixel
    slope = ((end_level - level) / np.maximum(stop - start, 1e-6))[pairs.target_of]
    start_of = start[pairs.target_of]
    distance = np.abs(pairs.across - level[pairs.target_of] - slope * (pairs.along - start_of))
    overlap = np.minimum(pairs.last, stop[pairs.target_of]) - np.maximum(pairs.first, start_of)
    tilt = np.abs(pairs.rise - slope * pairs.length) / 2  # how far both ends lie off when the middle fits
    near = (distance <= tolerance) & (tilt <= tolerance) & (overlap >= 0.5 * pairs.length)
    # A found rule much longer than its target, a page border, may lie along several but is none of them.
    near &= pairs.length <= 1.3 * lengths[pairs.target_of] + tolerance
    kept = np.flatnonzero(near)
    kept = kept[np.lexsort((distance[kept], pairs.rule_of[kept]))]
    rule_of = pairs.rule_of[kept]
    kept = kept[np.flatnonzero(np.diff(rule_of, prepend=-1))]
    coverage = np.bincount(pairs.target_of[kept], overlap[kept], len(lengths))
    return kept, int(np.count_nonzero(coverage >= 0.4 * lengths))


def ends_in_place(matrix: Floats, found: tuple[Rules, Rules], targets: tuple[Rules, Rules]) -> float:
    """Share of the ends of matched template rules, 0..1, where a found rule ends too."""
    seen, ends = 0, 0
    for rules, target in zip(found, targets, strict=True):
        pairs = _pair(matrix, rules, target, TOLERANCES[-1])
        kept, _ = _match(matrix, pairs, TOLERANCES[-1])
        target_of, count = pairs.target_of[kept], len(target.ends)
        expected, _ = pairs.place(matrix)
        for place, corner in zip((pairs.first, pairs.last), expected, strict=True):
            near = np.abs(place[kept] - corner[target_of]) <= END_REACH
            seen += int(np.count_nonzero(np.bincount(target_of[near], minlength=count)))
            ends += int(np.count_nonzero(np.bincount(target_of, minlength=count)))
    return seen / max(ends, 1)


def _fit_row(
    matrix: Floats, rules: Rules, target: Rules, rule_of: Integers, target_of: Integers
) -> tuple[Floats, Floats]:
    """One row of the affine map by least squares with Huber weights; also the errors in working pixels.

    A rule says nothing about the place along itself, so horizontal rules fix the row of y and vertical ones
    the row of x; the coordinate along the rule is taken from the current map.
    """
    across = 1 if rules.horizontal else 0
    points = np.concatenate([rules.ends[rule_of, :2], rules.ends[rule_of, 2:]])
    design = np.ones((len(points), 3))
    design[:, :2] = (points - matrix[:, 2]) @ np.linalg.inv(matrix[:, :2]).T
    design[:, across] = np.tile(target.ends[target_of, across], 2)
    # Where few rules hold it, scale and slope are ill-determined: lean a little on the current map.
    prior = matrix[across]
    stiff = np.diag([1.0, 1.0, 0.0]) * (STIFFNESS**2 / (prior[0] ** 2 + prior[1] ** 2))
    base = np.tile(rules.lengths[rule_of], 2)
    off = points[:, across] - design @ prior
    weights, error = base, -off
    row = prior
    for _ in range(4):
        weighted = design.T * weights
        step = np.linalg.solve(weighted @ design + stiff, weighted @ off)
        row, error = prior + step, design @ step - off
        weights = base * np.minimum(1, 1.5 / np.maximum(np.abs(error), 1e-9))
    return row, error


def apply_map(matrix: Floats, points: Floats) -> Floats:
    """Maps points (N, 2) by an affine matrix (2, 3)."""
    return points @ matrix[:, :2].T + matrix[:, 2]
