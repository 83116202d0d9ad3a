"""Finds which form lies on a page, and where, and makes the page ready to be cut.

Streaks of a dirty scanner go and uneven light is evened on every page. What costs more is tried where no form
was found: the page as a negative, pale print made black, a page more askew than rules are looked for.
"""

from collections.abc import Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass, replace

import cv2
import numpy as np
from numpy.typing import NDArray

from segmentation.halftone import without_halftone
from segmentation.illumination import even_light, otsu_level
from segmentation.registration import (
    MAX_SKEW,
    QUARTER_TURNS,
    Registration,
    RegistrationError,
    RuleFinder,
    register_in_any_size,
    register_rules,
)
from segmentation.streaks import without_streaks
from segmentation.templates import FormTemplate

Gray = NDArray[np.uint8]
Floats = NDArray[np.float64]

SAME_SHARE = 0.1  # of matched rules, within which the form with more of them matched is the better one
STEP = 16  # pixels between those that tell whether a page is dark
NEGATIVE = 96  # grey value of the usual pixel, below which a page may be a negative
PALE = 20  # grey levels, at least, by which pale print is darker than paper
SKEW_WIDTH = 800  # pixels of a page on which its skew is looked for
SOFT = 2.0  # pixels of these
SKEW_BIN = 0.25  # degrees
MOST_SKEW = 25.0  # degrees: a page lies no more askew than that, or it is turned on purpose
CLEAR_SKEW = 2.5  # how much steeper than usual edges are along the skew of a page that has one


@dataclass(frozen=True, slots=True)
class FoundForm:
    """A form on a page.

    Attributes:
        gray: uint8 (H, W), the page as it is to be cut: even, writing dark on light, in its own pixels.
        template: the form.
        registration: where it lies.
    """

    gray: Gray
    template: FormTemplate
    registration: Registration


def find_form(gray: Gray, templates: Sequence[FormTemplate]) -> FoundForm:
    """Finds out which form lies on a page, and where; see ``register_best``.

    Args:
        gray: uint8 (H, W), 0 = black, as decoded.
        templates: at least one.

    Raises:
        RegistrationError: as ``register_best`` raises it for the page as it is.
    """
    height, width = gray.shape
    sideways = all((width > height) != (template.width > template.height) for template in templates)
    prepared = _prepare(gray, sideways)
    try:
        return FoundForm(prepared, *register_best(prepared, templates))
    except RegistrationError:
        for page, seen, to_page in _otherwise(gray, prepared, sideways):
            with suppress(RegistrationError):
                template, found = register_best(seen, templates)
                matrix = (to_page @ np.vstack([found.matrix, [0, 0, 1]]))[:2]
                return FoundForm(page, template, replace(found, matrix=matrix))
        raise


def register_best(gray: Gray, templates: Sequence[FormTemplate]) -> tuple[FormTemplate, Registration]:
    """Finds out which form lies on an even page, and where.

    The form with the largest share of its rules on the page is taken. Forms within ``SAME_SHARE`` of it count
    as equal: of them the one with more rules matched, which says more than a few that fit by chance, then the
    one with the smaller residual. Pages are tried upright for all forms before they are tried turned, and in
    the size of their scan before others. The rules of the page are found once, not once for each form.

    Args:
        gray: uint8 (H, W), 0 = black, origin top left.
        templates: at least one.

    Raises:
        RegistrationError: ``form_not_found`` if none of the forms is on the page; of a single template
            what ``register_rules`` raises.
    """
    finder = RuleFinder(gray)
    errors: list[RegistrationError] = []
    # Forms look much the same upside down: a fit is believed when both ways to lie were tried.
    for turns in (QUARTER_TURNS[:2], QUARTER_TURNS[2:]) if len(templates) > 1 else [QUARTER_TURNS]:
        fits: list[tuple[FormTemplate, Registration]] = []
        for template in templates:
            try:
                fits.append((template, register_rules(finder, template, turns)))
            except RegistrationError as error:
                errors.append(error)
        if fits:
            return _best(fits)
    sized = [
        (template, found)
        for template in templates
        if (found := register_in_any_size(finder, template)) is not None
    ]
    if sized:
        return _best(sized)
    if len(templates) == 1:
        raise errors[0]
    names = ", ".join(repr(template.name) for template in templates)
    raise RegistrationError("form_not_found", f"none of the forms {names} is on this page")


def _best(fits: Sequence[tuple[FormTemplate, Registration]]) -> tuple[FormTemplate, Registration]:
    top = max(_share(found) for _, found in fits)
    near = [fit for fit in fits if _share(fit[1]) >= top - SAME_SHARE]
    return max(near, key=lambda fit: (fit[1].matched, -fit[1].residual))


def _share(found: Registration) -> float:
    return found.matched / found.landmarks


def _prepare(gray: Gray, sideways: bool) -> Gray:
    clean = without_streaks(without_halftone(gray), sideways)
    even = even_light(clean)
    return even if even is clean else without_streaks(even, sideways)  # those that shade has hidden


def _otherwise(gray: Gray, prepared: Gray, sideways: bool) -> Iterator[tuple[Gray, Gray, Floats]]:
    """Other ways to look at a page, those that its pixels make likely.

    Args:
        gray: uint8 (H, W), the page as decoded.
        prepared: uint8 (H, W), the same with even light.
        sideways: whether its shape says that it lies on its side.

    Yields:
        The page to cut; what is to be looked at; float64 (3, 3), from pixels of this to those of the page.
    """
    if np.median(gray[::STEP, ::STEP]) < NEGATIVE:
        prepared = _prepare(np.bitwise_not(gray), sideways)
        yield prepared, prepared, np.eye(3)
    level = pale_print(prepared)
    if level is not None:
        yield prepared, cv2.threshold(prepared, level, 255, cv2.THRESH_BINARY)[1], np.eye(3)  # type: ignore
    skew = page_skew(prepared)
    if MAX_SKEW - 1 < abs(skew) <= MOST_SKEW:
        turned, to_page = _turned(prepared, skew)
        yield prepared, turned, to_page


def pale_print(gray: Gray) -> float | None:
    """The grey level between paper and print that is paler than what is written; None if there is none such.

    Args:
        gray: uint8 (H, W), 0 = black, even.
    """
    lighter = gray[:: STEP // 4, :: STEP // 4]
    lighter = lighter[lighter > otsu_level(gray)]
    if not lighter.size:
        return None
    level = otsu_level(lighter[None])
    print_, paper = lighter[lighter <= level], lighter[lighter > level]
    if not print_.size or not paper.size or np.median(paper) - np.median(print_) < PALE:
        return None
    return level


def page_skew(gray: Gray) -> float:
    """By how many degrees the lines of a page lie askew, positive clockwise; 0 if that cannot be told.

    From -45 to 45: quarter turns are not told apart. The directions of all edges are counted, of which those
    of lines and print are many and alike.

    Args:
        gray: uint8 (H, W), 0 = black, even.
    """
    height, width = gray.shape
    factor = min(1.0, SKEW_WIDTH / max(width, 1))
    size = (max(1, round(width * factor)), max(1, round(height * factor)))
    # The stairs of pixels have directions of their own.
    small = cv2.GaussianBlur(cv2.resize(gray, size, interpolation=cv2.INTER_AREA), (0, 0), SOFT)
    across, down = (cv2.Scharr(small, cv2.CV_32F, *step) for step in ((1, 0), (0, 1)))
    strength, angle = cv2.cartToPolar(across, down, angleInDegrees=True)
    strong = strength > 0.2 * float(strength.max())
    bins = round(90 / SKEW_BIN)
    places = (angle[strong] / SKEW_BIN).astype(int) % bins
    counts = np.bincount(places, strength[strong], minlength=bins)
    smooth = np.sum([np.roll(counts, shift) for shift in (-2, -1, 0, 1, 2)], axis=0)
    best = int(np.argmax(smooth))
    if smooth[best] <= CLEAR_SKEW * np.mean(smooth):
        return 0.0
    skew = (best + 0.5) * SKEW_BIN
    return skew if skew <= 45 else skew - 90


def _turned(gray: Gray, degrees: float) -> tuple[Gray, Floats]:
    """The page turned back by its skew, all of it to be seen, and the map from there to the page, (3, 3)."""
    height, width = gray.shape
    turn = cv2.getRotationMatrix2D(((width - 1) / 2, (height - 1) / 2), degrees, 1.0)
    wide = abs(turn[0, 0]) * width + abs(turn[0, 1]) * height
    high = abs(turn[0, 1]) * width + abs(turn[0, 0]) * height
    turn[:, 2] += ((wide - width) / 2, (high - height) / 2)
    size = (round(wide), round(high))
    turned = cv2.warpAffine(gray, turn, size, flags=cv2.INTER_LINEAR, borderValue=255)  # type: ignore
    return turned, np.linalg.inv(np.vstack([turn, [0, 0, 1]]))
