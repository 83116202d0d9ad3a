"""Ink to 28x28, the way the MNIST digits were made; the same function makes training and serving crops.

Method: LeCun, Cortes, Burges, "The MNIST database of handwritten digits": the longest side is scaled to 20
pixels keeping the aspect, and the centre of mass is moved to the middle of a 28x28 image.
"""

import cv2
import numpy as np
from numpy.typing import NDArray

SIZE = 28
LONGEST_SIDE = 20


def normalize_glyph(ink: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """Scales and centres one glyph.

    Args:
        ink: uint8 (H, W), ink > 0 (255 = full ink) on 0. It may have empty margins.

    Returns:
        uint8 (28, 28), ink up to 255 on 0, anti-aliased; all zero if there is no ink.
    """
    rows = np.flatnonzero(ink.any(axis=1))
    if len(rows) == 0:
        return np.zeros((SIZE, SIZE), np.uint8)
    columns = np.flatnonzero(ink.any(axis=0))
    tight = ink[rows[0] : rows[-1] + 1, columns[0] : columns[-1] + 1]
    height, width = tight.shape
    scale = LONGEST_SIDE / max(height, width)
    size = (max(1, round(width * scale)), max(1, round(height * scale)))
    method = cv2.INTER_AREA if scale < 1 else cv2.INTER_LINEAR
    small = cv2.resize(np.ascontiguousarray(tight), size, interpolation=method)
    return center_of_mass(small)


def center_of_mass(small: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """Places an image of at most 20x20 so that its centre of mass falls in the middle of 28x28.

    Shifts by whole pixels, and never so far that ink would leave the image.
    """
    height, width = small.shape
    weights = small.astype(np.float32)
    total = float(weights.sum())
    center_y = float(weights.sum(axis=1) @ np.arange(height)) / total if total else (height - 1) / 2
    center_x = float(weights.sum(axis=0) @ np.arange(width)) / total if total else (width - 1) / 2
    top = min(max(round((SIZE - 1) / 2 - center_y), 0), SIZE - height)
    left = min(max(round((SIZE - 1) / 2 - center_x), 0), SIZE - width)
    out = np.zeros((SIZE, SIZE), np.uint8)
    out[top : top + height, left : left + width] = small
    return out
