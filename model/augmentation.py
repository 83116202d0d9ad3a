"""Labelled pictures of characters, made different: rotation, slant, zoom, thickness, a slow elastic wobble.

Where there is a picture larger than the crop, it is bent first and normalised afterwards, as serving does.
"""

from collections.abc import Callable

import cv2
import numpy as np
from numpy.typing import NDArray

Normalize = Callable[[NDArray[np.uint8]], NDArray[np.uint8]]

_CANVAS = 92
_INK_SIDE = 60
_FIELDS = 128
_CROSS = cv2.getStructuringElement(cv2.MORPH_CROSS, (3, 3))


class Augmenter:
    """Bends pictures; each call draws from ``rng``.

    Args:
        rng: source of all chance.
        normalize: ink uint8 (H, W) to a crop uint8 (28, 28), the function that serves.
        strength: 1 is the range of hands; 0 changes nothing but the resampling.
    """

    def __init__(self, rng: np.random.Generator, normalize: Normalize, strength: float = 1.0) -> None:
        """Draws the elastic fields once; they are picked at random afterwards."""
        self._rng = rng
        self._normalize = normalize
        self._strength = strength
        self._maps = [_elastic_map(rng, strength) for _ in range(_FIELDS)]

    def bend(self, ink: NDArray[np.uint8]) -> NDArray[np.uint8]:
        """A crop from a picture of one character.

        Args:
            ink: uint8 (H, W), 255 = ink, any size.

        Returns:
            uint8 (28, 28), normalised; all zero if there is no ink.
        """
        rng = self._rng
        rows, columns = np.flatnonzero(ink.any(axis=1)), np.flatnonzero(ink.any(axis=0))
        if len(rows) == 0:
            return np.zeros((28, 28), np.uint8)
        height, width = rows[-1] - rows[0] + 1, columns[-1] - columns[0] + 1
        scale = _INK_SIDE / max(height, width)
        center = ((columns[0] + columns[-1]) / 2, (rows[0] + rows[-1]) / 2)
        matrix = self._affine(scale, center, _CANVAS)
        canvas = cv2.warpAffine(ink, matrix, (_CANVAS, _CANVAS), flags=cv2.INTER_LINEAR)
        if rng.random() < 0.6:
            canvas = cv2.remap(canvas, *self._maps[rng.integers(_FIELDS)], cv2.INTER_LINEAR)
        _, binary = cv2.threshold(canvas, rng.uniform(80, 165), 255, cv2.THRESH_BINARY)
        return self._normalize(self._change_thickness(binary))

    def nudge(self, crop: NDArray[np.uint8]) -> NDArray[np.uint8]:
        """A crop, uint8 (28, 28), turned, slanted, zoomed and moved by at most a pixel, grey values kept."""
        matrix = self._affine(1.0, (13.5, 13.5), 28)
        matrix[:, 2] += self._rng.uniform(-1, 1, 2) * self._strength
        return cv2.warpAffine(crop, matrix, (28, 28), flags=cv2.INTER_LINEAR)

    def _affine(self, scale: float, center: tuple[float, float], side: int) -> NDArray[np.float64]:
        normal = self._rng.standard_normal(4) * self._strength
        turn, slant = np.clip(0.08 * normal[0], -0.25, 0.25), np.clip(0.12 * normal[1], -0.4, 0.4)
        stretch, zoom = np.exp(0.08 * normal[2]), np.exp(np.clip(0.05 * normal[3], -0.12, 0.12))
        cos, sin = np.cos(turn), np.sin(turn)
        linear = scale * zoom * np.array([[cos, -sin], [sin, cos]]) @ np.array([[stretch, -slant], [0, 1]])
        shift = (side - 1) / 2 - linear @ np.array(center)
        return np.column_stack([linear, shift])

    def _change_thickness(self, binary: NDArray[np.uint8]) -> NDArray[np.uint8]:
        chance = self._rng.random()
        if chance < 0.15 * self._strength:
            return cv2.dilate(binary, _CROSS)
        if chance < 0.3 * self._strength:
            thinner = cv2.erode(binary, _CROSS)
            if np.count_nonzero(thinner) > 0.55 * np.count_nonzero(binary):
                return thinner
        return binary


def _elastic_map(
    rng: np.random.Generator, strength: float
) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
    """Absolute source coordinates of a smooth random displacement; Simard et al., ICDAR 2003."""
    coarse = rng.standard_normal((2, 5, 5)).astype(np.float32) * np.float32(1.7 * strength)
    fine = [cv2.resize(field, (_CANVAS, _CANVAS), interpolation=cv2.INTER_CUBIC) for field in coarse]
    y, x = np.mgrid[0:_CANVAS, 0:_CANVAS].astype(np.float32)
    return x + fine[0], y + fine[1]
