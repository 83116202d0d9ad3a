"""Makes the greys of a page again that a scanner set to photographs has written as patterns of black dots."""

import cv2
import numpy as np
from numpy.typing import NDArray

ROWS = 40  # that are looked at
DOTTED = (
    0.14  # share of pixels that differ from the next one in their row; dirt and writing stay below a tenth
)
SPREAD = 1.2  # pixels, standard deviation, over which dots are averaged


def without_halftone(gray: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """A page of dots as greys, somewhat soft.

    Args:
        gray: uint8 (H, W), 0 = black.

    Returns:
        uint8 (H, W); ``gray`` itself if it has other than two colours, or no such patterns.
    """
    rows = gray[np.linspace(0, len(gray) - 1, min(ROWS, len(gray))).astype(int)]
    changes = rows[:, 1:] != rows[:, :-1]
    if changes.size == 0 or changes.mean() < DOTTED or not ((rows == 0) | (rows == 255)).all():
        return gray
    return cv2.GaussianBlur(gray, (0, 0), SPREAD)  # type: ignore
