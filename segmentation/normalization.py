"""Ink to 28x28, the way the MNIST digits were made; the same function makes training and serving crops.

Method: LeCun, Cortes, Burges, "The MNIST database of handwritten digits": the longest side is scaled to 20
pixels keeping the aspect, and the centre of mass is moved to the middle of a 28x28 image.
"""

from collections.abc import Iterable

import cv2
import numpy as np
from numpy.typing import NDArray

SIZE = 28
LONGEST_SIDE = 20
_PLACES = np.indices((LONGEST_SIDE, LONGEST_SIDE)).reshape(2, -1)
# Of an image in rows one after the other: its mass, and the sums of x and of y times it.
_MOMENTS = np.stack([np.ones(LONGEST_SIDE**2), _PLACES[1], _PLACES[0]], axis=1).astype(np.float32)


def normalize_glyph(ink: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """Scales and centres one glyph.

    Args:
        ink: uint8 (H, W), ink > 0 (255 = full ink) on 0. It may have empty margins.

    Returns:
        uint8 (28, 28), ink up to 255 on 0, anti-aliased; all zero if there is no ink.
    """
    crop = np.zeros((SIZE, SIZE), np.uint8)
    rows = np.flatnonzero(ink.any(axis=1))
    if len(rows):
        columns = np.flatnonzero(ink.any(axis=0))
        tight = ink[rows[0] : rows[-1] + 1, columns[0] : columns[-1] + 1]
        normalize_tight(np.ascontiguousarray(tight), crop)
    return crop


def normalize_all(inks: Iterable[NDArray[np.uint8]], boxes: NDArray[np.integer]) -> NDArray[np.uint8]:
    """Scales and centres many glyphs as ``normalize_glyph`` does each, with few calls for all of them.

    Args:
        inks: N images, uint8 (H, W), of ink that touches all four edges.
        boxes: int (N, 4) of which the last two columns are W and H of each image, at least 1.

    Returns:
        uint8 (N, 28, 28).
    """
    shapes = boxes[:, 2:]
    scales = LONGEST_SIDE / shapes.max(axis=1, initial=1)
    sizes = np.maximum(1, np.rint(shapes * scales[:, None])).astype(np.intp)
    corner = np.zeros((len(boxes), LONGEST_SIDE, LONGEST_SIDE), np.uint8)
    methods = np.where(scales < 1, cv2.INTER_AREA, cv2.INTER_LINEAR).tolist()
    # A thousand glyphs a page: one slice each, and no names of arguments, which take a tenth of the time.
    resize = cv2.resize
    places = sizes.tolist()
    smalls = [own[:height, :width] for own, (width, height) in zip(corner, places, strict=True)]
    for ink, small, size, method in zip(inks, smalls, places, methods, strict=True):
        resize(ink, size, small, 0, 0, method)
    crops = np.zeros((len(boxes), SIZE, SIZE), np.uint8)
    shifts = _shifts(corner, sizes)
    ends = (shifts + sizes).tolist()
    for crop, small, (left, top), (right, bottom) in zip(crops, smalls, shifts.tolist(), ends, strict=True):
        crop[top:bottom, left:right] = small
    return crops


def _shifts(corner: NDArray[np.uint8], sizes: NDArray[np.intp]) -> NDArray[np.intp]:
    """Shift right and down, int (N, 2), of images of a size in a corner, for ``normalize_all``."""
    # Whole numbers below 2 ** 24, so that the sums are exact.
    sums = corner.reshape(len(corner), LONGEST_SIDE**2).astype(np.float32) @ _MOMENTS
    mass, moments = sums[:, :1].astype(np.float64), sums[:, 1:].astype(np.float64)
    # Ink of a grey level near 0 may vanish on the way down; then the box itself is centred.
    centers = np.where(mass > 0, moments / np.maximum(mass, 1), (sizes - 1) / 2)
    return np.clip(np.rint((SIZE - 1) / 2 - centers).astype(np.intp), 0, SIZE - sizes)


def normalize_tight(ink: NDArray[np.uint8], crop: NDArray[np.uint8]) -> None:
    """Writes what ``normalize_glyph`` returns into ``crop``, for ink that touches all four edges.

    The image is shifted by whole pixels, and never so far that ink would leave it.

    Args:
        ink: uint8 (H, W), H and W at least 1, contiguous.
        crop: uint8 (28, 28), all zero.
    """
    height, width = ink.shape
    scale = LONGEST_SIDE / max(height, width)
    width, height = max(1, round(width * scale)), max(1, round(height * scale))
    method = cv2.INTER_AREA if scale < 1 else cv2.INTER_LINEAR
    small = cv2.resize(ink, (width, height), interpolation=method)
    moments = cv2.moments(small)
    mass = moments["m00"]
    # Ink of a grey level near 0 may vanish on the way down; then the box itself is centred.
    center_x = moments["m10"] / mass if mass else (width - 1) / 2
    center_y = moments["m01"] / mass if mass else (height - 1) / 2
    top = min(max(round((SIZE - 1) / 2 - center_y), 0), SIZE - height)
    left = min(max(round((SIZE - 1) / 2 - center_x), 0), SIZE - width)
    crop[top : top + height, left : left + width] = small
