"""Where the form lies on a page: printed rules are found, matched to the template, and an affine map is fitted.

Long straight runs of ink are found at half the template's resolution. Their slopes give the skew; a vote over
scale and shift, one axis at a time, gives a first map; a few rounds of matching and robust least squares refine
it. Rules may be broken or missing, and text or a black page edge adds false ones: only what agrees counts.
"""

from collections.abc import Iterator
from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

from segmentation.templates import FormTemplate

Floats = NDArray[np.float64]

WORK_DPI = 150.0
MIN_RUN = 14  # pixels at WORK_DPI; a 3 pixel rule keeps runs of this length up to 10 degrees of skew
MIN_RULE = 30  # pixels at WORK_DPI, about 5 mm: shorter ones are strokes of writing or print
MAX_SKEW = 8.0  # degrees
SCALE_SWEEP = np.linspace(0.94, 1.06, 25)
VOTE_BIN = 4.0  # pixels at WORK_DPI
TOLERANCES = (14.0, 8.0, 5.0, 4.0, 3.0)  # pixels at WORK_DPI, one matching round each
MIN_MATCHED = 0.5
MAX_RESIDUAL = 6.0 / 300  # inches
FRAME_INSET = 1.0 / 120  # inches from the outer edge of a printed frame to the middle of its rule


class RegistrationError(Exception):
    """The form was not found on the page; ``code`` is stable, the message says what was seen."""

    def __init__(self, code: str, message: str) -> None:
        """Keeps the code beside the message."""
        super().__init__(message)
        self.code = code


@dataclass(frozen=True, slots=True)
class Registration:
    """How the template maps onto a page.

    Attributes:
        matrix: float64 (2, 3). ``page = matrix @ (x, y, 1)`` for a point in template pixels.
        residual: root mean square distance of the matched rules from their place, in page pixels.
        matched: rules of the template that were found on the page.
        landmarks: rules that the template has.
    """

    matrix: Floats
    residual: float
    matched: int
    landmarks: int

    @property
    def skew(self) -> float:
        """Rotation of the form on the page in degrees, positive clockwise as seen on screen."""
        return float(np.degrees(np.arctan2(self.matrix[1, 0], self.matrix[0, 0])))

    @property
    def scale(self) -> float:
        """Page pixels per template pixel, the geometric mean of both axes."""
        return float(np.sqrt(abs(np.linalg.det(self.matrix[:, :2]))))


@dataclass(frozen=True, slots=True)
class Rules:
    """Straight printed rules of one direction as end points, float64 (N, 4): x0, y0, x1, y1.

    Horizontal rules run from left to right, vertical ones from top to bottom.
    """

    ends: Floats
    horizontal: bool

    @property
    def lengths(self) -> Floats:
        """Length of each rule along its direction, in pixels."""
        along = 0 if self.horizontal else 1
        return self.ends[:, along + 2] - self.ends[:, along]

    @property
    def slope(self) -> float:
        """The common slope, across over along: the median over the length of all rules."""
        along, across = (0, 1) if self.horizontal else (1, 0)
        lengths = self.lengths
        if not lengths.sum():
            return 0.0
        slopes = (self.ends[:, across + 2] - self.ends[:, across]) / lengths
        order = np.argsort(slopes)
        middle = np.searchsorted(np.cumsum(lengths[order]), lengths.sum() / 2)
        return float(slopes[order[min(middle, len(order) - 1)]])


def register(gray: NDArray[np.uint8], template: FormTemplate) -> Registration:
    """Finds the form on a page.

    The page may be shifted, skewed by up to ``MAX_SKEW`` degrees, turned by quarter turns, and scanned at
    another resolution than the template's, as long as the scan covers about the template's page.

    Args:
        gray: uint8 (H, W), 0 = black, origin top left.
        template: the form to look for; its framed fields are the landmarks.

    Raises:
        RegistrationError: ``form_not_found`` if too few rules of the form are on the page, or they do not
            lie where the form has them; ``no_landmarks`` if the template has no framed field.
    """
    targets = template_rules(template)
    count = sum(len(rules.ends) for rules in targets)
    if count == 0:
        raise RegistrationError("no_landmarks", f"template {template.name!r} has no framed field to find")
    best = max(_orientations(gray, template, targets), key=lambda found: found.matched, default=None)
    needed = MIN_MATCHED * count
    if best is None or best.matched < needed:
        seen = best.matched if best else 0
        raise RegistrationError(
            "form_not_found",
            f"form {template.name!r} is not on this page: {seen} of its {count} rules found, {needed:.0f} needed",
        )
    if best.residual > MAX_RESIDUAL * template.dpi * best.scale:
        raise RegistrationError(
            "form_not_found",
            f"form {template.name!r} does not fit this page: its rules lie {best.residual:.1f} pixels off",
        )
    return best


def template_rules(template: FormTemplate) -> tuple[Rules, Rules]:
    """The printed rules of a form, horizontal and vertical, in template pixels."""
    inset = FRAME_INSET * template.dpi
    horizontal, vertical = [], []
    for spec in template.fields:
        if spec.framed:
            box = spec.box
            left, right = box.x + inset, box.right - inset
            top, bottom = box.y + inset, box.bottom - inset
            horizontal += [(left, top, right, top), (left, bottom, right, bottom)]
            vertical += [(left, top, left, bottom), (right, top, right, bottom)]
    return (
        Rules(np.array(horizontal, np.float64).reshape(-1, 4), True),
        Rules(np.array(vertical, np.float64).reshape(-1, 4), False),
    )


def _orientations(
    gray: NDArray[np.uint8], template: FormTemplate, targets: tuple[Rules, Rules]
) -> Iterator[Registration]:
    """Fits the page as it lies, and only if that fails, turned by each quarter turn."""
    count = sum(len(rules.ends) for rules in targets)
    height, width = gray.shape
    for quarter_turns in (0, 2, 1, 3):
        across = width if quarter_turns % 2 == 0 else height
        factor = WORK_DPI * template.width / (template.dpi * across)
        found = find_rules(gray, factor)
        turned, turn = _turn(found, (round(width * factor), round(height * factor)), quarter_turns)
        fit = _fit(turned, targets, WORK_DPI / template.dpi)
        if fit is None:
            continue
        matrix, residual, matched = fit
        full = np.linalg.inv(turn) @ np.vstack([matrix, [0, 0, 1]])
        to_page = np.array([[1 / factor, 0, 0.5 / factor - 0.5], [0, 1 / factor, 0.5 / factor - 0.5]])
        full = np.vstack([to_page, [0, 0, 1]]) @ full
        yield Registration(full[:2], residual / factor, matched, count)
        if matched >= MIN_MATCHED * count:
            return


def find_rules(gray: NDArray[np.uint8], factor: float) -> tuple[Rules, Rules]:
    """Finds straight horizontal and vertical runs of ink.

    Args:
        gray: uint8 (H, W), 0 = black.
        factor: working pixels per page pixel; the search wants about ``WORK_DPI``.

    Returns:
        Horizontal and vertical rules, in working pixels.
    """
    height, width = gray.shape
    size = (max(1, round(width * factor)), max(1, round(height * factor)))
    method = cv2.INTER_AREA if factor < 1 else cv2.INTER_LINEAR
    small = cv2.resize(gray, size, interpolation=method)
    _, ink = cv2.threshold(small, 0, 255, cv2.THRESH_BINARY_INV | cv2.THRESH_OTSU)
    return _runs(ink, horizontal=True), _runs(ink, horizontal=False)


def _runs(ink: NDArray[np.uint8], *, horizontal: bool) -> Rules:
    """Connected runs of at least ``MIN_RULE`` pixels, thin and straight, with a line fitted through each."""
    kernel = np.ones((1, MIN_RUN) if horizontal else (MIN_RUN, 1), np.uint8)
    mask = cv2.morphologyEx(ink, cv2.MORPH_OPEN, kernel)
    count, labels, stats, centers = cv2.connectedComponentsWithStatsWithAlgorithm(
        mask, 8, cv2.CV_16U, cv2.CCL_SPAGHETTI
    )
    along, across = (0, 1) if horizontal else (1, 0)
    inked = np.flatnonzero(mask)
    ys, xs = np.divmod(inked, mask.shape[1])
    points = np.stack([xs, ys]).astype(np.float64)
    owner = labels.ravel()[inked]
    a, c = points[along] - centers[owner, along], points[across] - centers[owner, across]
    variance = np.bincount(owner, a * a, count)
    slopes = np.bincount(owner, a * c, count) / np.maximum(variance, 1)
    off_line = np.sqrt(np.bincount(owner, (c - slopes[owner] * a) ** 2, count) / np.maximum(stats[:, 4], 1))
    start = stats[:, along].astype(np.float64)
    length = stats[:, along + 2].astype(np.float64)
    keep = (length >= MIN_RULE) & (np.abs(slopes) <= np.tan(np.radians(MAX_SKEW))) & (off_line <= 4)
    keep[0] = False  # the background
    keep &= stats[:, 4] >= 0.5 * length
    ends = np.empty((int(keep.sum()), 4))
    for offset, position in ((0, start), (2, start + length)):
        ends[:, along + offset] = position[keep]
        ends[:, across + offset] = (centers[:, across] + slopes * (position - centers[:, along]))[keep]
    return Rules(ends, horizontal)


def _turn(
    found: tuple[Rules, Rules], size: tuple[int, int], quarter_turns: int
) -> tuple[tuple[Rules, Rules], Floats]:
    """Turns rules clockwise by quarter turns; returns them and the 3x3 map from page to turned page."""
    width, height = size
    turn = {
        0: np.eye(3),
        1: np.array([[0, -1, height], [1, 0, 0], [0, 0, 1]], np.float64),
        2: np.array([[-1, 0, width], [0, -1, height], [0, 0, 1]], np.float64),
        3: np.array([[0, 1, 0], [-1, 0, width], [0, 0, 1]], np.float64),
    }[quarter_turns]
    turned = []
    for rules in found:
        horizontal = rules.horizontal == (quarter_turns % 2 == 0)
        ends = np.concatenate([_apply(turn[:2], rules.ends[:, :2]), _apply(turn[:2], rules.ends[:, 2:])], axis=1)
        along = 0 if horizontal else 1
        backwards = ends[:, along] > ends[:, along + 2]
        ends[backwards] = ends[backwards][:, [2, 3, 0, 1]]
        turned.append(Rules(ends, horizontal))
    turned.sort(key=lambda rules: not rules.horizontal)
    return (turned[0], turned[1]), turn


def _fit(
    found: tuple[Rules, Rules], targets: tuple[Rules, Rules], nominal: float
) -> tuple[Floats, float, int] | None:
    """Best affine map from template to working pixels: matrix, residual, matched template rules."""
    if not len(found[0].ends) or not len(found[1].ends):
        return None
    starts = sorted(_hypotheses(found, targets, nominal), key=lambda start: -_support(start, found, targets))
    fits = [_refine(start, found, targets) for start in starts[:2]]
    return max(fits, key=lambda fit: (fit[2], -fit[1]), default=None)


def _support(matrix: Floats, found: tuple[Rules, Rules], targets: tuple[Rules, Rules]) -> int:
    """How many template rules a first guess of the map explains, within the widest tolerance."""
    pairs = zip(found, targets, strict=True)
    return sum(_match(matrix, rules, target, TOLERANCES[0])[2] for rules, target in pairs)


def _hypotheses(found: tuple[Rules, Rules], targets: tuple[Rules, Rules], nominal: float) -> Iterator[Floats]:
    """First guesses of the map, from the best scales and shifts of each axis on its own."""
    rise, lean = found[0].slope, found[1].slope
    rows = _vote(found[0], targets[0], rise, nominal)
    columns = _vote(found[1], targets[1], lean, nominal)
    for scale_y, shift_y in rows:
        for scale_x, shift_x in columns:
            # x - lean * y = scale_x * X + shift_x and y - rise * x = scale_y * Y + shift_y, solved for x and y
            skewed = np.array([[scale_x, 0, shift_x], [0, scale_y, shift_y]])
            yield np.linalg.inv(np.array([[1, -lean], [-rise, 1]])) @ skewed


def _vote(found: Rules, target: Rules, slope: float, nominal: float) -> list[tuple[float, float]]:
    """The three best pairs (scale, shift) along the axis across the rules, by votes of matching lengths."""
    along, across = (0, 1) if found.horizontal else (1, 0)
    middle = (found.ends[:, :2] + found.ends[:, 2:]) / 2
    level = middle[:, across] - slope * middle[:, along]
    wanted = target.ends[:, across]
    peaks = []
    for scale in nominal * SCALE_SWEEP:
        lengths = found.lengths[:, None], scale * target.lengths[None, :]
        shorter, longer = np.minimum(*lengths), np.maximum(*lengths)
        weights = (shorter * shorter / longer).ravel()
        shifts = (level[:, None] - scale * wanted[None, :]).ravel()
        lowest = shifts.min()
        bins = ((shifts - lowest) / VOTE_BIN).astype(np.int64)
        votes = np.convolve(np.bincount(bins, weights), (0.5, 1, 0.5), "same")
        for peak in np.argsort(votes)[-3:]:
            peaks.append((votes[peak], scale, lowest + (peak + 0.5) * VOTE_BIN))
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
    """Alternates matching and fitting while the tolerance shrinks; see ``_fit`` for what is returned."""
    residual, matched = np.inf, 0
    for tolerance in TOLERANCES:
        errors, matched = [], 0
        updated = matrix.copy()
        for rules, target in zip(found, targets, strict=True):
            rule_of, target_of, covered = _match(matrix, rules, target, tolerance)
            matched += covered
            if len(rule_of) < 3:
                return matrix, np.inf, 0
            row, error = _fit_row(matrix, rules, target, rule_of, target_of)
            updated[1 if rules.horizontal else 0] = row
            errors.append(error)
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
    start, stop = _apply(matrix, target.ends[:, :2]), _apply(matrix, target.ends[:, 2:])
    slope = (stop[:, across] - start[:, across]) / np.maximum(stop[:, along] - start[:, along], 1e-6)
    middle = (rules.ends[:, :2] + rules.ends[:, 2:]) / 2
    expected = start[None, :, across] + slope * (middle[:, None, along] - start[None, :, along])
    distance = np.abs(middle[:, None, across] - expected)
    overlap = np.minimum(rules.ends[:, None, along + 2], stop[None, :, along]) - np.maximum(
        rules.ends[:, None, along], start[None, :, along]
    )
    near = (distance <= tolerance) & (overlap >= 0.5 * rules.lengths[:, None])
    # a found rule much longer than its target (a page border) may lie along several targets, but is none of them
    near &= rules.lengths[:, None] <= 1.3 * target_length(start, stop, along)[None, :] + tolerance
    distance = np.where(near, distance, np.inf)
    nearest = np.argmin(distance, axis=1)
    rule_of = np.flatnonzero(np.isfinite(distance[np.arange(len(distance)), nearest]))
    target_of = nearest[rule_of]
    coverage = np.bincount(target_of, overlap[rule_of, target_of], len(target.ends))
    covered = int((coverage >= 0.4 * target_length(start, stop, along)).sum())
    return rule_of, target_of, covered


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
    along, across = (0, 1) if rules.horizontal else (1, 0)
    inverse = np.linalg.inv(np.vstack([matrix, [0, 0, 1]]))[:2]
    points = np.concatenate([rules.ends[rule_of, :2], rules.ends[rule_of, 2:]])
    source = _apply(inverse, points)
    source[:, across] = np.tile(target.ends[target_of, across], 2)
    design = np.column_stack([source, np.ones(len(source))])
    wanted = points[:, across]
    base = np.tile(np.sqrt(rules.lengths[rule_of]), 2)
    # Without much spread along the rules the slope is ill-determined: lean a little on the current map.
    prior = matrix[across]
    weights = base.copy()
    row = prior
    for _ in range(4):
        row = prior + np.linalg.lstsq(
            design * weights[:, None], (wanted - design @ prior) * weights, rcond=1e-9
        )[0]
        error = design @ row - wanted
        weights = base * np.sqrt(np.minimum(1, 1.5 / np.maximum(np.abs(error), 1e-9)))
    return row, error


def _apply(matrix: Floats, points: Floats) -> Floats:
    """Maps points (N, 2) by an affine matrix (2, 3)."""
    return points @ matrix[:, :2].T + matrix[:, 2]
