"""Where the form lies on a page."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray


@dataclass(frozen=True, slots=True)
class Registration:
    """How the template maps onto a page.

    Attributes:
        matrix: float64 (2, 3). ``page = matrix @ (x, y, 1)`` for a point in template pixels.
        residual: root mean square distance of the matched landmarks, in page pixels.
        matched: landmarks found on the page.
        landmarks: landmarks the template has.
    """

    matrix: NDArray[np.float64]
    residual: float
    matched: int
    landmarks: int

    @property
    def skew(self) -> float:
        """Rotation of the form on the page in degrees, positive clockwise as seen on screen."""
        return float(np.degrees(np.arctan2(self.matrix[1, 0], self.matrix[0, 0])))
