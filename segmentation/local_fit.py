"""Finds one field near where the form says, where the page as a whole does not tell: pasted or printed askew.

The same matching of rules as for the page, in a small window around the field and with its own rules alone.
"""

from dataclasses import replace

import cv2
import numpy as np
from numpy.typing import NDArray

from segmentation.registration import (
    WORK_DPI,
    Registration,
    Rules,
    find_rules,
    fit_rules,
    rules_of_field,
    shortest_rule,
)
from segmentation.templates import FieldSpec

REACH = 15 / 25.4  # inches that the field may lie off
MAX_TILT = 4.0  # degrees that it may be turned against the page
SCALES = np.linspace(0.985, 1.015, 7)
MIN_MATCHED = 0.6  # of the field's rules
WINDOW_DPI = 300.0


def refine_field(
    gray: NDArray[np.uint8], registration: Registration, spec: FieldSpec, dpi: float
) -> Registration | None:
    """Fits the map of a page anew for one field with a printed frame.

    Args:
        gray: uint8 (H, W) page, 0 = black.
        registration: where the form lies on the page.
        spec: the field.
        dpi: resolution of the template.

    Returns:
        The map to use for this field; None if its rules are not within ``REACH`` and ``MAX_TILT``.
    """
    box, reach = spec.box, REACH * dpi
    scale = dpi / WINDOW_DPI
    to_template = np.array([[scale, 0, box.x - reach], [0, scale, box.y - reach], [0, 0, 1]])
    size = (round((box.width + 2 * reach) / scale), round((box.height + 2 * reach) / scale))
    window = cv2.warpAffine(
        gray,
        registration.matrix @ to_template,
        size,
        flags=cv2.INTER_LINEAR | cv2.WARP_INVERSE_MAP,
        borderValue=255,
    )
    targets = rules_of_field(spec, dpi)
    factor = WORK_DPI / WINDOW_DPI
    found = find_rules(window, factor, shortest_rule(targets, WORK_DPI / dpi))
    fit = fit_rules(_near(found, targets, WORK_DPI / dpi), targets, WORK_DPI / dpi, WORK_DPI / dpi * SCALES)
    if fit is None:
        return None
    matrix, _, matched = fit
    count = sum(len(rules.ends) for rules in targets)
    # From template pixels to the window at working resolution, to the window, and back to template pixels.
    shift = 0.5 / factor - 0.5
    to_window = np.array([[1 / factor, 0, shift], [0, 1 / factor, shift], [0, 0, 1]])
    moved = to_template @ to_window @ np.vstack([matrix, [0, 0, 1]])
    if matched < MIN_MATCHED * count or not _plausible(moved, spec, reach):
        return None
    full = np.vstack([registration.matrix, [0, 0, 1]]) @ moved
    return replace(registration, matrix=full[:2])


def _near(found: tuple[Rules, Rules], targets: tuple[Rules, Rules], factor: float) -> tuple[Rules, Rules]:
    """The horizontal rules that can be pieces of the field's own; short ones tell too little of the slope."""
    least = 0.15 * float(targets[0].lengths.max()) * factor
    across = found[0]
    return Rules(across.ends[across.lengths >= least], True), found[1]


def _plausible(moved: NDArray[np.float64], spec: FieldSpec, reach: float) -> bool:
    """Whether a correction in template pixels, float64 (3, 3), leaves the field near its place and shape."""
    box = spec.box
    middle = np.array([box.x + box.width / 2, box.y + box.height / 2, 1.0])
    off = np.abs(moved @ middle - middle)[:2].max()
    rise = np.degrees(np.arctan2(moved[1, 0], moved[0, 0]))
    lean = np.degrees(np.arctan2(-moved[0, 1], moved[1, 1]))
    stretch = np.abs(np.hypot(moved[0, :2], moved[1, :2]) - 1).max()
    return bool(off <= reach and abs(rise) <= MAX_TILT and abs(lean) <= 2 * MAX_TILT and stretch <= 0.08)
