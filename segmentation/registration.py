"""Where the form lies on a page: printed rules are found, matched to the template, an affine map fitted.

Long straight runs of ink are found at half the template's resolution. Their slopes give the skew; a vote over
scale and shift, one axis at a time, gives a first map; a few rounds of matching and robust least squares
refine it. Rules may be broken or missing, and text or a black page edge adds false ones: only what agrees
counts.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace

import cv2
import numpy as np
from numpy.typing import NDArray

from segmentation.components import find_labels
from segmentation.templates import FieldSpec, FormTemplate

Floats = NDArray[np.float64]

WORK_DPI = 150.0
INTERPOLATED = (0.45, 0.55)  # working pixels per page pixel at which interpolation is as good as a mean
MIN_RUN = 14  # pixels at WORK_DPI; a 3 pixel rule keeps runs of this length up to 10 degrees of skew
MIN_RULE = 30  # pixels at WORK_DPI, about 5 mm: shorter ones are strokes of writing or print
SHORTEST_RULE = 16  # the same for forms of which the cell lines are that short
MAX_SKEW = 8.0  # degrees
QUARTER_TURNS = (0, 2, 1, 3)  # ways a page may lie, the likely ones first
SCALE_SWEEP = np.linspace(0.94, 1.06, 25)
MIN_LIKENESS = 0.1  # shorter by longer length of two rules of which one may be the other, or a part of it
VOTE_BIN = 4.0  # pixels at WORK_DPI
TRUSTED_LEAN = 60  # pixels at WORK_DPI of the longest vertical rule that makes their slope worth knowing
STIFFNESS = 300.0  # of the map where few rules hold it: as so many pixels of rule, so many pixels apart
TOLERANCES = (14.0, 8.0, 5.0, 4.0, 3.0)  # pixels at WORK_DPI, one matching round each
NEAR_GUESS = 3.0  # in widest tolerances: what lies farther from its place by a first guess is never matched
MIN_MATCHED = 0.5
FEW_RULES = 6  # a form needs these even if they are more than half, or all it has: four rules are on any page
UPRIGHT_BONUS = 0.15  # share of the rules by which a turned page must match better than one that is not
LONGEST = 1.5  # length of a found rule, at most, in lengths of the longest of the form
MANY_RULES = 40  # found in place, after which no other first guess is tried: four fit in several ways
SURE = 0.9  # share of rules found that ends the search; with less it may be seen upside down
MIN_AGREEMENT = 0.45  # share of rules found times share of their ends in place: a table has rules anywhere
END_REACH = 8.0  # pixels at WORK_DPI that the end of a rule may lie off
MAX_ENLARGED = 4.0  # a page of less than WORK_DPI / 4 shows no rules
MAX_STRETCH = 2.0  # height to width of a page, against the template's: beyond, it is no scan of it
MAX_RULES = 1500  # of one direction, the longest; noise has more
MAX_RULED = 0.1  # share of a page that rules may cover; what is more has black margins, or is all black
SOLID = 15  # pixels at WORK_DPI: what is as thick as that both ways is a black margin
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
        across = 1 if self.horizontal else 0
        lengths = self.lengths
        if not lengths.sum():
            return 0.0
        slopes = (self.ends[:, across + 2] - self.ends[:, across]) / lengths
        order = np.argsort(slopes)
        middle = np.searchsorted(np.cumsum(lengths[order]), lengths.sum() / 2)
        return float(slopes[order[min(middle, len(order) - 1)]])


class RuleFinder:
    """The rules of one page, found once for each scale and kept: for several forms, or turns of the page."""

    def __init__(self, gray: NDArray[np.uint8]) -> None:
        """Finds nothing yet; ``gray`` is uint8 (H, W), 0 = black."""
        self.gray = gray
        self._found: dict[float, tuple[Rules, Rules]] = {}

    def find(self, factor: float, shortest: float) -> tuple[Rules, Rules]:
        """Like ``find_rules``."""
        key = round(factor, 4)
        if key not in self._found:
            self._found[key] = find_rules(self.gray, factor, SHORTEST_RULE)
        horizontal, vertical = self._found[key]
        return _longer(horizontal, shortest), _longer(vertical, shortest)


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
    return register_rules(RuleFinder(gray), template)


def register_rules(
    finder: RuleFinder, template: FormTemplate, quarter_turns: Sequence[int] = QUARTER_TURNS
) -> Registration:
    """The same as ``register`` on a page whose rules may have been found already.

    Args:
        finder: of the page.
        template: the form to look for.
        quarter_turns: how the page may lie, in the order to try: so many quarter turns clockwise.

    Raises:
        RegistrationError: see ``register``.
    """
    targets = template_rules(template)
    count = sum(len(rules.ends) for rules in targets)
    if count == 0:
        raise RegistrationError("no_landmarks", f"template {template.name!r} has no framed field to find")
    found = _orientations(finder, template, targets, quarter_turns)
    # A form of a single strip fits as well upside down: then the page is taken to lie as pages do.
    best = max(
        found,
        key=lambda fit: (fit.matched - (abs(fit.skew) > 45) * UPRIGHT_BONUS * count, -fit.residual),
        default=None,
    )
    needed = max(MIN_MATCHED * count, min(count, FEW_RULES))
    if best is None or best.matched < needed:
        seen = best.matched if best else 0
        raise RegistrationError(
            "form_not_found",
            f"form {template.name!r} is not on this page: {seen} of its {count} rules found in place, "
            f"{needed:.0f} needed",
        )
    if best.residual > MAX_RESIDUAL * template.dpi * best.scale:
        raise RegistrationError(
            "form_not_found",
            f"form {template.name!r} does not fit this page: its rules lie {best.residual:.1f} pixels off",
        )
    return best


def template_rules(template: FormTemplate) -> tuple[Rules, Rules]:
    """The printed rules of a form, horizontal and vertical, in template pixels.

    Cell lines are among them where most fields are combs; a single comb would outweigh all others.
    """
    framed = [spec for spec in template.fields if spec.framed]
    if 2 * sum(spec.cells > 1 for spec in framed) < len(framed):
        framed = [replace(spec, cell_lines=()) for spec in framed]
    pairs = [rules_of_field(spec, template.dpi) for spec in framed]
    none = np.zeros((0, 4))
    horizontal, vertical = (
        Rules(np.concatenate([none, *(pair[i].ends for pair in pairs)]), i == 0) for i in (0, 1)
    )
    return horizontal, vertical


def rules_of_field(spec: FieldSpec, dpi: float) -> tuple[Rules, Rules]:
    """The printed rules of a field, frame and cell lines, horizontal and vertical, in template pixels."""
    inset = FRAME_INSET * dpi
    left, right = spec.box.x + inset, spec.box.right - inset
    top, bottom = spec.box.y + inset, spec.box.bottom - inset
    across = [(left, y, right, y) for y in (top, bottom)]
    down = [(x, top, x, bottom) for x in (left, *spec.cell_lines, right)]
    return Rules(np.array(across, np.float64), True), Rules(np.array(down, np.float64), False)


def _orientations(
    finder: RuleFinder, template: FormTemplate, targets: tuple[Rules, Rules], turns: Sequence[int]
) -> Iterator[Registration]:
    """Fits the page as it lies, and only if that fails, turned by each quarter turn.

    Forms look much the same upside down: a poor match is compared with the opposite turn.
    """
    count = sum(len(rules.ends) for rules in targets)
    height, width = finder.gray.shape
    seen: int | None = None
    for quarter_turns in turns:
        lying = quarter_turns % 2
        if seen is not None and lying != seen:
            return
        across, along = (height, width) if lying else (width, height)
        if not across or not along:
            return
        factor = WORK_DPI * template.width / (template.dpi * across)
        stretch = along * template.width / (across * template.height)
        if factor > MAX_ENLARGED or not 1 / MAX_STRETCH <= stretch <= MAX_STRETCH:
            continue
        size = (max(1, round(width * factor)), max(1, round(height * factor)))
        found = finder.find(factor, shortest_rule(targets, WORK_DPI / template.dpi))
        turned, turn = _turn(found, size, quarter_turns)
        fit = fit_rules(turned, targets, WORK_DPI / template.dpi)
        if fit is None:
            continue
        matrix, residual, matched = fit
        if matched * _ends_in_place(matrix, turned, targets) < MIN_AGREEMENT * count:
            continue
        # Not by the factor itself: the size was rounded.
        grown_x, grown_y = width / size[0], height / size[1]
        to_page = np.array([[grown_x, 0, 0.5 * grown_x - 0.5], [0, grown_y, 0.5 * grown_y - 0.5], [0, 0, 1]])
        full = to_page @ np.linalg.inv(turn) @ np.vstack([matrix, [0, 0, 1]])
        yield Registration(full[:2], residual / factor, matched, count)
        if matched >= SURE * count:
            return
        if matched >= MIN_MATCHED * count:
            seen = lying


def shortest_rule(targets: tuple[Rules, Rules], factor: float) -> float:
    """The least length in working pixels of a run that may be a rule of the form: cell lines can be short."""
    shortest = min((float(rules.lengths.min()) for rules in targets if len(rules.ends)), default=MIN_RULE)
    return float(np.clip(0.7 * shortest * factor, SHORTEST_RULE, MIN_RULE))


def find_rules(gray: NDArray[np.uint8], factor: float, shortest: float = MIN_RULE) -> tuple[Rules, Rules]:
    """Finds straight horizontal and vertical runs of ink.

    Args:
        gray: uint8 (H, W), 0 = black.
        factor: working pixels per page pixel; the search wants about ``WORK_DPI``.
        shortest: least length of a rule, in working pixels.

    Returns:
        Horizontal and vertical rules, in working pixels.
    """
    height, width = gray.shape
    size = (max(1, round(width * factor)), max(1, round(height * factor)))
    # Means of whole blocks of pixels are fast, and so is interpolation; means of other areas take a tenth of
    # the time of a page.
    halves = INTERPOLATED[0] <= factor <= INTERPOLATED[1] or factor >= 1
    blocks = width % size[0] == 0 and height % size[1] == 0
    method = cv2.INTER_LINEAR if halves and not blocks else cv2.INTER_AREA
    small = cv2.resize(gray, size, interpolation=method)
    level, _ = cv2.threshold(small[::2, ::2], 0, 255, cv2.THRESH_BINARY_INV | cv2.THRESH_OTSU)
    _, ink = cv2.threshold(small, level, 255, cv2.THRESH_BINARY_INV)
    return _rules_of(ink, shortest, horizontal=True), _rules_of(ink, shortest, horizontal=False)


def _rules_of(ink: NDArray[np.uint8], shortest: float, *, horizontal: bool) -> Rules:
    """Connected runs of at least ``shortest`` pixels, thin and straight, with a line fitted through each."""
    kernel = np.ones((1, MIN_RUN) if horizontal else (MIN_RUN, 1), np.uint8)
    mask = cv2.morphologyEx(ink, cv2.MORPH_OPEN, kernel)
    if cv2.countNonZero(mask) > MAX_RULED * mask.size:
        mask[cv2.morphologyEx(mask, cv2.MORPH_OPEN, np.ones((SOLID, SOLID), np.uint8)) > 0] = 0
    count, owner, first, last, level = _labelled_runs(mask, horizontal)
    pixels = (last - first).astype(np.float64)
    areas = np.bincount(owner, pixels, count)
    size = np.maximum(areas, 1)
    middle = (first + last - 1) / 2
    center_a, center_c = (np.bincount(owner, pixels * value, count) / size for value in (middle, level))
    a, c = middle - center_a[owner], level - center_c[owner]
    # Of the pixels of a run, n next to each other, the squares sum to n a² + n (n² - 1) / 12.
    variance = np.bincount(owner, pixels * (a * a + (pixels * pixels - 1) / 12), count)
    together = np.bincount(owner, pixels * a * c, count)
    slopes = together / np.maximum(variance, 1)
    square = np.bincount(owner, pixels * c * c, count) - slopes * (2 * together - slopes * variance)
    off_line = np.sqrt(np.maximum(square, 0) / size)
    start, stop = np.full(count, np.inf), np.full(count, -np.inf)
    np.minimum.at(start, owner, first)
    np.maximum.at(stop, owner, last)
    length = stop - start
    keep = (length >= shortest) & (np.abs(slopes) <= np.tan(np.radians(MAX_SKEW))) & (off_line <= 4)
    keep &= areas >= 0.5 * length
    if np.count_nonzero(keep) > MAX_RULES:
        keep &= length >= np.sort(length[keep])[-MAX_RULES]
    along, across = (0, 1) if horizontal else (1, 0)
    ends = np.empty((int(keep.sum()), 4))
    for offset, position in ((0, start[keep]), (2, stop[keep])):
        ends[:, along + offset] = position
        ends[:, across + offset] = center_c[keep] + slopes[keep] * (position - center_a[keep])
    return Rules(ends, horizontal)


def _labelled_runs(
    mask: NDArray[np.uint8], horizontal: bool
) -> tuple[int, NDArray[np.intp], NDArray[np.intp], NDArray[np.intp], NDArray[np.intp]]:
    """Runs of ink along the rules, which are far fewer than pixels, and the component of each.

    Returns:
        The number of components; and for each run its component, first and past-last place along its
        direction, and its place across.
    """
    width = mask.shape[1]
    edges = mask[:, [0, -1]] if horizontal else mask[[0, -1]]
    if edges.any():  # so that every run has paper before and after it
        mask[:, [0, -1]] = 0
        mask[[0, -1]] = 0
    labels = find_labels(mask)
    step = 1 if horizontal else width
    flat = mask.ravel()
    firsts = np.flatnonzero(flat[step:] > flat[:-step]) + step
    lasts = np.flatnonzero(flat[:-step] > flat[step:])
    owner = labels.ravel()[firsts].astype(np.intp) - 1
    level, first = np.divmod(firsts, width)
    last = lasts % width
    if not horizontal:
        # Firsts and lasts come row by row: only in the order of columns do they belong together.
        order, other = np.argsort(first, kind="stable"), np.argsort(last, kind="stable")
        first, level, owner = level[order], first[order], owner[order]
        last = (lasts // width)[other]
    return int(owner.max(initial=-1)) + 1, owner, first, last + 1, level


def _longer(rules: Rules, shortest: float) -> Rules:
    return Rules(rules.ends[rules.lengths >= shortest], rules.horizontal)


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
        corners = [_apply(turn[:2], rules.ends[:, first : first + 2]) for first in (0, 2)]
        ends = np.concatenate(corners, axis=1)
        along = 0 if horizontal else 1
        backwards = ends[:, along] > ends[:, along + 2]
        ends[backwards] = ends[backwards][:, [2, 3, 0, 1]]
        turned.append(Rules(ends, horizontal))
    turned.sort(key=lambda rules: not rules.horizontal)
    return (turned[0], turned[1]), turn


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
    start, stop = _apply(matrix, target.ends[:, :2]), _apply(matrix, target.ends[:, 2:])
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


def _ends_in_place(matrix: Floats, found: tuple[Rules, Rules], targets: tuple[Rules, Rules]) -> float:
    """Share of the ends of matched template rules, 0..1, where a found rule ends too."""
    seen, ends = 0, 0
    for rules, target in zip(found, targets, strict=True):
        along = 0 if rules.horizontal else 1
        rule_of, target_of, _ = _match(matrix, rules, target, TOLERANCES[-1])
        for first, corner in ((0, along), (2, along + 2)):
            expected = _apply(matrix, target.ends[:, first : first + 2])[target_of, along]
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
    source = _apply(inverse, points)
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


def _apply(matrix: Floats, points: Floats) -> Floats:
    """Maps points (N, 2) by an affine matrix (2, 3)."""
    return points @ matrix[:, :2].T + matrix[:, 2]
