"""The paper that printed ink encloses: the insides of boxes with round corners, of rings, and of letters."""

from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

from segmentation.printed_lines import MAX_THICKNESS, PrintedPage

# Lengths in inches, so that pages of any resolution are treated alike.
MIN_INSIDE = 0.04  # of the loop of a letter that may be taken for a box
MAX_RADIUS = 0.14  # of the corners of a box
PIN_HOLE = 0.008  # gaps of rough print that are closed before insides are looked for
MOST_OF_PAGE = 0.6  # share of a page, beyond which what is enclosed is the page itself
LEAST_SOLID = 0.75  # share of its hull that an inside fills: print may hang into it
NOTCH = 0.7  # share of the side of an inside that its outermost rows take, at most, if they are a notch
BEND = 1 - np.sqrt(0.5)  # of the radius of a corner, from the sides to the middle of its curve
CORNER_AREA = 1 - np.pi / 4  # of a square, between a corner and the circle that touches its sides there


@dataclass(frozen=True, slots=True)
class Enclosure:
    """Paper that ink encloses.

    Attributes:
        left, top, right, bottom: the innermost ink around it, in pixels between the middles of pixels.
        radii: float64 (4,), of its corners in pixels, from the upper left one on, row by row.
        bends: float64 (4,), the radii as the diagonals of the corners tell them: a side that leans makes the
            area that misses in a corner larger, not these.
        filled: share of its rectangle, corners left out, that its hull fills, 0..1.
        share: of its whole rectangle, the same.
        around: left, top, right, bottom of the ink that encloses it, which may go on far beyond it.
    """

    left: float
    top: float
    right: float
    bottom: float
    radii: NDArray[np.float64]
    bends: NDArray[np.float64]
    filled: float
    share: float
    around: tuple[float, float, float, float]

    @property
    def width(self) -> float:
        """From ink to ink."""
        return self.right - self.left

    @property
    def height(self) -> float:
        """From ink to ink."""
        return self.bottom - self.top

    @property
    def middle(self) -> tuple[float, float]:
        """x and y."""
        return (self.left + self.right) / 2, (self.top + self.bottom) / 2


def find_enclosures(page: PrintedPage) -> list[Enclosure]:
    """Finds what ink encloses on a page, if it is not too small and has no deep bays."""
    size = max(3, round(PIN_HOLE * page.dpi)) | 1
    ink = cv2.morphologyEx(page.ink.astype(np.uint8), cv2.MORPH_CLOSE, np.ones((size, size), np.uint8))
    contours, family = cv2.findContours(ink, cv2.RETR_CCOMP, cv2.CHAIN_APPROX_SIMPLE)
    found = []
    for index, contour in enumerate(contours):
        parent = int(family[0, index, 3])
        _, _, width, height = cv2.boundingRect(contour)
        if parent < 0 or min(width, height) < MIN_INSIDE * page.dpi:
            continue
        if width * height > MOST_OF_PAGE * ink.size:
            continue
        hull = cv2.convexHull(contour)
        if cv2.contourArea(contour) >= LEAST_SOLID * cv2.contourArea(hull):
            found.append(_enclosure(hull, cv2.boundingRect(contours[parent]), page.dpi))
    return found


def _enclosure(hull: NDArray[np.int32], around: "cv2.typing.Rect", dpi: float) -> Enclosure:
    x, y, width, height = cv2.boundingRect(hull)
    inside = np.zeros((height, width), np.uint8)
    cv2.fillConvexPoly(inside, hull - (x, y), 1)
    top, bottom = _notched(inside.mean(axis=1)), _notched(inside.mean(axis=1)[::-1])
    left, right = _notched(inside.mean(axis=0)), _notched(inside.mean(axis=0)[::-1])
    x, y, width, height = x + left, y + top, width - left - right, height - top - bottom
    inside = inside[top : top + height, left : left + width]
    side = max(1, min(round(MAX_RADIUS * dpi), min(width, height) // 2))
    missing = 1 - inside.astype(np.float64)
    corners = [missing[rows, columns].sum() for rows in _ends(side) for columns in _ends(side)]
    plain = missing.size - 4 * side * side
    lost = missing.sum() - sum(corners)
    return Enclosure(
        left=float(x),
        top=float(y),
        right=float(x + width - 1),
        bottom=float(y + height - 1),
        radii=np.sqrt(np.array(corners) / CORNER_AREA),
        bends=np.array([_bend(inside[::down, ::right], side) for down in (1, -1) for right in (1, -1)]),
        filled=float(1 - lost / plain) if plain > 0 else 1.0,
        share=float(1 - missing.mean()),
        around=(around[0], around[1], around[0] + around[2] - 1, around[1] + around[3] - 1),
    )


def _notched(fill: NDArray[np.float64]) -> int:
    """Rows of a side that are but a notch in its line, which would make its corners seem round, 2 at most."""
    for rows in (2, 1):
        if len(fill) > 8 and fill[rows - 1] < NOTCH and fill[rows + 1] >= NOTCH + 0.2:
            return rows
    return 0


def _bend(inside: NDArray[np.uint8], side: int) -> float:
    """The radius of the upper left corner of an inside, looked at along its diagonal."""
    diagonal = int(np.argmax(np.diagonal(inside)))
    lean = max(int(np.argmax(inside[:, side - 1])), int(np.argmax(inside[side - 1])))
    return max(0, diagonal - lean) / BEND


def _ends(side: int) -> tuple[slice, slice]:
    return slice(0, side), slice(-side, None)


def line_around(page: PrintedPage, inside: Enclosure) -> tuple[float, float, float, float]:
    """Left, top, right and bottom of the middle of the line that is drawn around an inside, in pixels."""
    ink = page.ink
    x, y = inside.middle
    across = slice(round((inside.left + x) / 2), round((inside.right + x) / 2) + 1)
    down = slice(round((inside.top + y) / 2), round((inside.bottom + y) / 2) + 1)
    most = round(MAX_THICKNESS * page.dpi)
    left, right, top, bottom = (
        round(edge) for edge in (inside.left, inside.right, inside.top, inside.bottom)
    )
    return (
        left - _half(ink[down, max(0, left - most) : left + 1][:, ::-1].T),
        top - _half(ink[max(0, top - most) : top + 1, across][::-1]),
        right + _half(ink[down, right : right + most + 1].T),
        bottom + _half(ink[bottom : bottom + most + 1, across]),
    )


def _half(outwards: NDArray[np.bool_]) -> float:
    """Half the usual thickness of a line, less half a pixel; bool (N, M) from its inner edge outwards."""
    runs = np.cumprod(outwards, axis=0).sum(axis=0)
    return max(0.0, (float(np.median(runs[runs > 0])) - 1) / 2) if runs.any() else 0.0
