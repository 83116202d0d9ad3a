"""Small forms drawn from their templates, and laid on a page in all the ways a scanner may lay them."""

from collections.abc import Sequence

import cv2
import numpy as np
from numpy.typing import NDArray

from segmentation.templates import Box, FieldSpec, FormTemplate

RULE = 5  # pixels at 300 dpi, as registration expects frames to be


def make_template(
    boxes: Sequence[tuple[float, float, float, float]],
    size: tuple[int, int] = (1200, 1500),
    layout: str = "line",
    dpi: float = 300,
    framed: bool = True,
) -> FormTemplate:
    """A form with a field for each box, ``x, y, width, height``, on a page of ``size``, width and height."""
    fields = tuple(
        FieldSpec(f"f{index}", Box(*box), layout, "digits", 0, 20, framed) for index, box in enumerate(boxes)
    )
    return FormTemplate("small", "A small form", dpi, *size, fields)


def small_form() -> FormTemplate:
    """Eight fields without any symmetry."""
    return make_template(
        [
            (100, 120, 500, 90),
            (700, 120, 350, 90),
            (100, 300, 250, 90),
            (420, 300, 300, 90),
            (100, 520, 900, 120),
            (300, 760, 420, 90),
            (100, 980, 180, 90),
            (100, 1180, 900, 230),
        ]
    )


def draw_form(template: FormTemplate, width: int = RULE) -> NDArray[np.uint8]:
    """The empty form, uint8 (H, W): black frames of ``width`` pixels inside the boxes, on white."""
    page = np.full((template.height, template.width), 255, np.uint8)
    for spec in template.fields:
        x, y = round(spec.box.x), round(spec.box.y)
        right, bottom = round(spec.box.right), round(spec.box.bottom)
        page[y:bottom, x:right] = 0
        page[y + width : bottom - width, x + width : right - width] = 255
    return page


def placed(
    page: NDArray[np.uint8], angle: float = 0, scale: float = 1, shift: tuple[float, float] = (0, 0)
) -> tuple[NDArray[np.uint8], NDArray[np.float64]]:
    """The page turned clockwise about its middle by ``angle`` degrees, scaled and shifted, on as much paper.

    Returns the scan and the map (2, 3) from pixels of the page to pixels of the scan.
    """
    height, width = page.shape
    matrix = cv2.getRotationMatrix2D((width / 2, height / 2), -angle, scale)
    matrix[:, 2] += shift
    scan = cv2.warpAffine(page, matrix, (width, height), flags=cv2.INTER_AREA, borderValue=255)
    return scan, matrix


def speckled(page: NDArray[np.uint8], share: float, seed: int = 0) -> NDArray[np.uint8]:
    """The page with that share of its pixels black or white by chance."""
    chance = np.random.default_rng(seed).random(page.shape)
    noisy = page.copy()
    noisy[chance < share / 2] = 0
    noisy[chance > 1 - share / 2] = 255
    return noisy


def corner_error(template: FormTemplate, found: NDArray[np.float64], true: NDArray[np.float64]) -> float:
    """The largest distance, in page pixels, between a field's corner as found and as it is."""
    corners = np.array(
        [
            (x, y, 1)
            for spec in template.fields
            for x in (spec.box.x, spec.box.right)
            for y in (spec.box.y, spec.box.bottom)
        ]
    )
    return float(np.linalg.norm(corners @ found.T - corners @ true.T, axis=1).max())
