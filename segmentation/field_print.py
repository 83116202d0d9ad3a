"""Finds what is printed inside the fields of a blank form, which would be read as if it were written."""

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from segmentation.fields import FieldInk, cut_field, surroundings
from segmentation.finding import FoundForm
from segmentation.illumination import ink_threshold
from segmentation.templates import Box, FormTemplate

# Lengths in inches, so that forms of any resolution are treated alike.
DUST = 0.03  # longer side of what is no print
WORD_GAP = 0.08  # between the letters of words that are one area
TALL = 0.13  # height of what is mostly writing, not print
FILLED = 0.2  # share of the fields in which something is so tall, from which on the page has been filled


@dataclass(frozen=True, slots=True)
class PrintInside:
    """What stands in the fields of a page that should be blank.

    Attributes:
        areas: by name of the field, boxes around it in template pixels, from top to bottom.
        filled: whether it seems to be writing: the page is not blank.
    """

    areas: Mapping[str, tuple[Box, ...]]
    filled: bool


def find_print(found: FoundForm, template: FormTemplate | None = None) -> PrintInside:
    """Finds what would be read on a page although nobody has written on it.

    Args:
        found: where the form lies on the page.
        template: of which the fields are looked at; that which was found if None.
    """
    form = template or found.template
    regions, threshold = surroundings(form), ink_threshold(found.gray)
    areas, tall = {}, 0
    for spec in form.fields:
        place = found.registration.near(spec.box)
        ink = cut_field(found.gray, threshold, place, spec, regions[spec.name], form.dpi)
        boxes = _words(_boxes(ink, place.matrix, form), WORD_GAP * form.dpi)
        boxes = [box for box in boxes if max(box.width, box.height) >= DUST * form.dpi]
        if boxes:
            areas[spec.name] = tuple(boxes)
            least = 0 if spec.layout == "mark" else TALL * form.dpi
            tall += any(box.height >= least for box in boxes)
    return PrintInside(areas, tall >= max(2.0, FILLED * len(form.fields)))


def _boxes(ink: FieldInk, matrix: NDArray[np.float64], form: FormTemplate) -> list[Box]:
    """Boxes around the strokes of a field, in template pixels and on its page."""
    to_template = np.linalg.inv(np.vstack([matrix, [0, 0, 1]])) @ np.vstack([ink.to_page, [0, 0, 1]])
    boxes = []
    for x, y, width, height in ink.parts.boxes.tolist():
        ends = np.array([[x - 0.5, x + width - 0.5], [y - 0.5, y + height - 0.5], [1, 1]])
        (left, right), (top, bottom) = (to_template @ ends)[:2] + 0.5
        left, top = max(0.0, left), max(0.0, top)
        right, bottom = min(float(form.width), right), min(float(form.height), bottom)
        boxes.append(Box(float(left), float(top), float(right - left), float(bottom - top)))
    return boxes


def _words(boxes: list[Box], gap: float) -> list[Box]:
    """Joins boxes that stand beside or over each other to rows of print."""
    joined: list[Box] = []
    for box in sorted(boxes, key=lambda box: box.x):
        while True:
            near = next((other for other in joined if _are_near(box, other, gap)), None)
            if near is None:
                break
            joined.remove(near)
            box = _around(box, near)
        joined.append(box)
    return sorted(joined, key=lambda box: (box.y, box.x))


def _are_near(box: Box, other: Box, gap: float) -> bool:
    aside = max(box.x, other.x) - min(box.right, other.right)
    apart = max(box.y, other.y) - min(box.bottom, other.bottom)
    return aside <= gap and apart <= 0.25 * gap


def _around(one: Box, other: Box) -> Box:
    """The box around two."""
    x, y = min(one.x, other.x), min(one.y, other.y)
    return Box(x, y, max(one.right, other.right) - x, max(one.bottom, other.bottom) - y)
