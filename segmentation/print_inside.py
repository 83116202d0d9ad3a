"""Takes out what a form has printed inside its fields, captions and units, where a template says it stands.

A component of ink goes only if all of it lies there: writing that reaches over print stays whole, and the
letters that it touches stay with it.
"""

from collections.abc import Sequence

import cv2
import numpy as np
from numpy.typing import NDArray

from segmentation.templates import Box

MARGIN = 6  # pixels at 300 dpi, 0.5 mm, that print may lie off the place where the template has it


def remove_print(ink: NDArray[np.bool_], areas: Sequence[Box]) -> None:
    """Clears the components of ink that lie within areas, in place.

    Args:
        ink: bool (H, W) of a field raster, upright, 300 dpi, its printed rules already removed; True = ink.
        areas: where print stands, in pixels of the raster.
    """
    height, width = ink.shape
    for area in areas:
        # One pixel more than may be cleared: what reaches there goes on outside.
        top, bottom = max(0, round(area.y) - MARGIN - 1), min(height, round(area.bottom) + MARGIN + 1)
        left, right = max(0, round(area.x) - MARGIN - 1), min(width, round(area.right) + MARGIN + 1)
        if top >= bottom or left >= right:
            continue
        part = ink[top:bottom, left:right]
        count, labels = cv2.connectedComponents(np.ascontiguousarray(part).view(np.uint8), connectivity=8)
        whole = np.ones(count, bool)
        edges = labels[0], labels[-1], labels[:, 0], labels[:, -1]
        whole[np.concatenate(edges)] = False
        whole[0] = False
        part &= ~whole[labels]
