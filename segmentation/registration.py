"""Where the form lies on a page: printed rules are found, matched to the template, an affine map fitted.

The rules are found by ``rule_finding`` at half the template's resolution and fitted by ``rule_fitting``; here
are the rules that a form has, the ways a page may lie, and what is too little to believe.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from functools import lru_cache

import numpy as np

from segmentation.bends import Bends, find_bends
from segmentation.rule_finding import (
    MAX_SKEW,
    MIN_RULE,
    SHORTEST_RULE,
    WORK_DPI,
    Floats,
    RuleFinder,
    Rules,
    find_rules,
)
from segmentation.rule_fitting import SURE, apply_map, ends_in_place, fit_rules
from segmentation.templates import Box, FieldSpec, FormTemplate

__all__ = [
    "FRAME_INSET",
    "MAX_SKEW",
    "QUARTER_TURNS",
    "SHORTEST_RULE",
    "WORK_DPI",
    "Registration",
    "RegistrationError",
    "RuleFinder",
    "Rules",
    "find_rules",
    "fit_rules",
    "register_in_any_size",
    "register_rules",
    "rules_of_field",
    "shortest_rule",
    "template_rules",
]

QUARTER_TURNS = (0, 2, 1, 3)  # ways a page may lie, the likely ones first
MIN_MATCHED = 0.5
FEW_RULES = 6  # a form needs these even if they are more than half, or all it has: four rules are on any page
UPRIGHT_BONUS = 0.15  # share of the rules by which a turned page must match better than one that is not
MIN_AGREEMENT = 0.45  # share of rules found times share of their ends in place: a table has rules anywhere
SIZES = np.geomspace(0.5, 1.3, 97)  # of a form that does not fill its scan, or more than fills it
# Of a form that is looked for in any size: lying rules, and standing ones, for a comb is on any form.
SIZED_RULES = 6
SIZED_MATCHED = 0.75  # of them that are found: in some size more fit by chance than in one
FLAT = 0.9  # pixels at WORK_DPI of residual; on paper that lies flat it is less
MAX_ENLARGED = 4.0  # a page of less than WORK_DPI / 4 shows no rules
# Height to width of a page, against the template's: beyond, it is no scan of it. Half a sheet, lying on glass
# for a whole one, makes 2.01.
MAX_STRETCH = 2.3
MAX_RESIDUAL = 6.0 / 300  # inches
JOINED = 0.015  # inches that rules of a form may lie apart and yet be one on paper
CURVED = 0.6  # share of the radius of a round corner that is too curved to be found as part of a rule
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
        bends: how the paper lies off the map, where it is not flat; None where it is.
    """

    matrix: Floats
    residual: float
    matched: int
    landmarks: int
    bends: Bends | None = None

    def near(self, box: Box) -> "Registration":
        """Where the form lies around a box in template pixels; the same on flat paper."""
        if self.bends is None:
            return self
        around = self.bends.around(box.x + box.width / 2, box.y + box.height / 2)
        return replace(self, matrix=self.matrix @ np.vstack([around, [0, 0, 1]]), bends=None)

    @property
    def skew(self) -> float:
        """Rotation of the form on the page in degrees, positive clockwise as seen on screen."""
        return float(np.degrees(np.arctan2(self.matrix[1, 0], self.matrix[0, 0])))

    @property
    def scale(self) -> float:
        """Page pixels per template pixel, the geometric mean of both axes."""
        return float(np.sqrt(abs(np.linalg.det(self.matrix[:, :2]))))


def register_in_any_size(finder: RuleFinder, template: FormTemplate) -> Registration | None:
    """Finds a form of many rules that is smaller or larger on its scan than the template's page.

    ``finder`` is of the page. None if the form has too few rules to be told from others, or is not there.
    """
    targets = template_rules(template)
    if min(len(rules.ends) for rules in targets) < SIZED_RULES:
        return None
    fits = _sized_fits(finder, template, targets)
    size, turns, matched = max(fits, key=lambda fit: fit[2], default=(1.0, 0, 0))
    if not matched:
        return None
    try:  # that was too coarse to rely on: the rules are looked for again as if the form filled its scan
        found = register_rules(finder, template, (turns,), size)
    except RegistrationError:
        return None
    return found if found.matched >= SIZED_MATCHED * found.landmarks else None


def register_rules(
    finder: RuleFinder,
    template: FormTemplate,
    quarter_turns: Sequence[int] = QUARTER_TURNS,
    size: float = 1.0,
) -> Registration:
    """Finds a form on a page whose rules may have been found already.

    The page may be shifted, skewed by up to ``MAX_SKEW`` degrees, turned by quarter turns, and scanned at
    another resolution than the template's.

    Args:
        finder: of the page.
        template: the form to look for.
        quarter_turns: how the page may lie, in the order to try: so many quarter turns clockwise.
        size: width of the form's page, in widths of the scan, within a twentieth.

    Raises:
        RegistrationError: ``form_not_found`` if too few rules of the form are on the page, or they do not
            lie where the form has them; ``no_landmarks`` if the template has no framed field.
    """
    targets = template_rules(template)
    count = sum(len(rules.ends) for rules in targets)
    if count == 0:
        raise RegistrationError("no_landmarks", f"template {template.name!r} has no framed field to find")
    found = _orientations(finder, template, targets, quarter_turns, size)
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


@lru_cache(maxsize=64)
def template_rules(template: FormTemplate) -> tuple[Rules, Rules]:
    """The printed rules of a form, horizontal and vertical, in template pixels.

    Cell lines are among them where most fields are combs; a single comb would outweigh all others. What
    adjoining boxes, as those of a table, have in common is one rule: on the page it is found as one.
    """
    framed = [spec for spec in template.fields if spec.framed]
    combs = 2 * sum(spec.cells > 1 for spec in framed) >= len(framed)
    across, down = _rules_of_fields(framed, template.dpi, combs)
    return _joined(across, JOINED * template.dpi), _joined(down, JOINED * template.dpi)


def rules_of_field(spec: FieldSpec, dpi: float) -> tuple[Rules, Rules]:
    """The printed rules of a field, frame and cell lines, horizontal and vertical, in template pixels."""
    return _rules_of_fields([spec], dpi, True)


def _rules_of_fields(specs: Sequence[FieldSpec], dpi: float, cell_lines: bool) -> tuple[Rules, Rules]:
    """The same of several fields, one after the other, with their cell lines or without."""
    inset, shortest = FRAME_INSET * dpi, SHORTEST_RULE / WORK_DPI * dpi
    across: list[tuple[float, float, float, float]] = []
    down: list[tuple[float, float, float, float]] = []
    for spec in specs:
        left, right = spec.box.x + inset, spec.box.right - inset
        top, bottom = spec.box.y + inset, spec.box.bottom - inset
        curve = CURVED * max(0.0, spec.radius - inset)
        if right - left - 2 * curve >= min(shortest, right - left):
            across += [(left + curve, y, right - curve, y) for y in (top, bottom)]
        if bottom - top - 2 * curve >= min(shortest, bottom - top):
            down += [(x, top + curve, x, bottom - curve) for x in (left, right)]
        if cell_lines:
            down += [(x, top, x, bottom) for x in spec.printed_lines(inset)]
    return (
        Rules(np.array(across, np.float64).reshape(-1, 4), True),
        Rules(np.array(down, np.float64).reshape(-1, 4), False),
    )


def _joined(rules: Rules, gap: float) -> Rules:
    """Level or upright rules of which those on one line that overlap, or nearly meet, are one.

    Args:
        rules: the rules.
        gap: pixels that they may lie apart, across and along.
    """
    along, across = (0, 1) if rules.horizontal else (1, 0)
    starts, stops, levels = rules.ends[:, along], rules.ends[:, along + 2], rules.ends[:, across]
    meet = np.abs(levels[:, None] - levels) <= gap
    meet &= starts[:, None] <= stops + gap
    meet &= starts <= stops[:, None] + gap
    if np.count_nonzero(meet) == len(levels):  # each meets itself alone
        return rules
    line = np.arange(len(levels))
    while True:  # the first rule that each hangs together with, over as many others as lie between
        first = np.where(meet, line, len(levels)).min(axis=1)
        if (first == line).all():
            break
        line = first
    joined = np.array(
        [
            (starts[own].min(), levels[own].mean(), stops[own].max(), levels[own].mean())
            for own in (line == place for place in np.unique(line))
        ]
    )
    return Rules(joined if rules.horizontal else joined[:, [1, 0, 3, 2]], rules.horizontal)


@dataclass(frozen=True, slots=True)
class _Lying:
    """The rules of a page, turned by quarter turns, and how to come back from there.

    Attributes:
        rules: horizontal and vertical ones, in working pixels of the turned page.
        factor: working pixels per page pixel.
        to_page: float64 (3, 3), from the turned working pixels to page pixels.
    """

    rules: tuple[Rules, Rules]
    factor: float
    to_page: Floats


def _lie(
    finder: RuleFinder,
    template: FormTemplate,
    targets: tuple[Rules, Rules],
    quarter_turns: int,
    size: float = 1.0,
) -> _Lying | None:
    """The page turned; None if it has not the shape or the resolution of a scan of the form, lying so.

    ``size`` is the width of the form's page, in widths of the scan.
    """
    height, width = finder.gray.shape
    across, along = (height, width) if quarter_turns % 2 else (width, height)
    if not across or not along:
        return None
    factor = WORK_DPI * template.width / (template.dpi * across * size)
    stretch = along * template.width / (across * template.height)
    if factor > MAX_ENLARGED or not 1 / MAX_STRETCH <= stretch <= MAX_STRETCH:
        return None
    shape = (max(1, round(width * factor)), max(1, round(height * factor)))
    found = finder.find(factor, shortest_rule(targets, WORK_DPI / template.dpi))
    turned, turn = _turn(found, shape, quarter_turns)
    # Not by the factor itself: the size was rounded.
    grown_x, grown_y = width / shape[0], height / shape[1]
    to_page = np.array([[grown_x, 0, 0.5 * grown_x - 0.5], [0, grown_y, 0.5 * grown_y - 0.5], [0, 0, 1]])
    return _Lying(turned, factor, to_page @ np.linalg.inv(turn))


def _orientations(
    finder: RuleFinder,
    template: FormTemplate,
    targets: tuple[Rules, Rules],
    turns: Sequence[int],
    size: float,
) -> Iterator[Registration]:
    """Fits the page as it lies, and only if that fails, turned by each quarter turn.

    Forms look much the same upside down: a poor match is compared with the opposite turn.
    """
    count = sum(len(rules.ends) for rules in targets)
    parity: int | None = None  # of the turns that are left to try, once the form was found half and half
    for quarter_turns in turns:
        if parity is not None and quarter_turns % 2 != parity:
            return
        fit = _fit_turned(finder, template, targets, quarter_turns, size)
        if fit is None:
            continue
        yield fit
        if fit.matched >= SURE * count:
            return
        if fit.matched >= MIN_MATCHED * count:
            parity = quarter_turns % 2


def _fit_turned(
    finder: RuleFinder,
    template: FormTemplate,
    targets: tuple[Rules, Rules],
    quarter_turns: int,
    size: float,
) -> Registration | None:
    """Fits the page turned by so many quarter turns; None if the form does not lie so."""
    page = _lie(finder, template, targets, quarter_turns, size)
    fit = None if page is None else fit_rules(page.rules, targets, WORK_DPI / template.dpi)
    if page is None or fit is None:
        return None
    matrix, residual, matched = fit
    count = sum(len(rules.ends) for rules in targets)
    if matched * ends_in_place(matrix, page.rules, targets) < MIN_AGREEMENT * count:
        return None
    full = page.to_page @ np.vstack([matrix, [0, 0, 1]])
    bends = find_bends(page.rules, targets, matrix, template.dpi) if residual > FLAT else None
    return Registration(full[:2], residual / page.factor, matched, count, bends)


def _sized_fits(
    finder: RuleFinder, template: FormTemplate, targets: tuple[Rules, Rules]
) -> Iterator[tuple[float, int, int]]:
    """For each way a page may lie: in which of ``SIZES`` the form fits best, the turns, the rules matched."""
    nominal = WORK_DPI / template.dpi
    for quarter_turns in QUARTER_TURNS:
        page = _lie(finder, template, targets, quarter_turns)
        fit = None if page is None else fit_rules(page.rules, targets, nominal, nominal * SIZES)
        if fit is not None and fit[2]:
            yield float(np.sqrt(abs(np.linalg.det(fit[0][:, :2])))) / nominal, quarter_turns, fit[2]


def shortest_rule(targets: tuple[Rules, Rules], factor: float) -> float:
    """The least length in working pixels of a run that may be a rule of the form: cell lines can be short."""
    shortest = min((float(rules.lengths.min()) for rules in targets if len(rules.ends)), default=MIN_RULE)
    return float(np.clip(0.7 * shortest * factor, SHORTEST_RULE, MIN_RULE))


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
        corners = [apply_map(turn[:2], rules.ends[:, first : first + 2]) for first in (0, 2)]
        ends = np.concatenate(corners, axis=1)
        along = 0 if horizontal else 1
        backwards = ends[:, along] > ends[:, along + 2]
        ends[backwards] = ends[backwards][:, [2, 3, 0, 1]]
        turned.append(Rules(ends, horizontal))
    turned.sort(key=lambda rules: not rules.horizontal)
    return (turned[0], turned[1]), turn
