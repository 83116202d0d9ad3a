"""Whether anything is written in a field, or only dust, guide text and stray lines are on the paper."""

import numpy as np

from segmentation.fields import USUAL_HEIGHT, FieldInk

MIN_WRITING = 0.22  # longer side of the largest stroke where something is written, in heights of the area
STRAY_LENGTH = 1.6  # heights of the writing area from which a straight thin line is none of a character's
STRAIGHT = 0.06  # standard deviation across a stray line, as a share of that along it, at most ...
THICK = 0.05  # ... and in heights of the writing area: joined letters, and what is filled, are thicker
SHORTEST = 12.0  # standard deviation along a stray line, at least, in pixels


def largest_stroke(ink: FieldInk) -> float:
    """Longer side of the largest connected stroke that may be writing, in heights of the writing area.

    A long straight line, a fold or the edge of another sheet, is not.

    Args:
        ink: the field's own ink.
    """
    height = min(ink.area.height, USUAL_HEIGHT)
    sides = ink.parts.boxes[:, 2:].max(axis=1, initial=0)
    for index in np.argsort(-sides, kind="stable"):
        if sides[index] < STRAY_LENGTH * ink.area.height or not _is_stray_line(ink, int(index)):
            return float(sides[index] / height)
    return 0.0


def _is_stray_line(ink: FieldInk, index: int) -> bool:
    left, top, width, height = ink.parts.boxes[index]
    ys, xs = np.nonzero(ink.parts.labels[top : top + height, left : left + width] == index + 1)
    spread = np.linalg.eigvalsh(np.cov(np.stack([xs, ys]).astype(np.float64)))
    across, along = np.sqrt(np.maximum(spread, 0))
    thick = THICK * min(ink.area.height, USUAL_HEIGHT)
    return bool(along >= SHORTEST and across <= min(STRAIGHT * along, thick))
