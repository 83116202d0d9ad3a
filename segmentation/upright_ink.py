"""The ink of a part of a page, laid upright at about 300 dpi, so that each field is a piece of one raster.

No pixel is interpolated: all rows of pixels are shifted sideways by whole pixels, then all columns up or
down. On a page askew by a degree some sixty neighbouring rows are shifted alike, and so are copied together,
in a fifth of the time that turning takes. Two such shears are a turn but for the cosine of its angle, by
which one axis shrinks and the other grows.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from itertools import pairwise

import cv2
import numpy as np
from numpy.typing import NDArray

from segmentation.templates import Box

CUT_DPI = 300.0  # of every field raster, whatever the template's own, so that sizes in pixels mean the same
OWN_SCALE = 0.02  # by which a page may be finer or coarser than that and is not scaled
FEWEST_ROWS = 64  # of ink that are laid upright at a time
MOST_COPIES = 1000  # of strips; where that many are not enough, more rows are laid at a time
STEEPEST = 0.5  # across over along of a shear; registration finds no form that lies as much askew

Floats = NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class UprightInk:
    """The ink of a part of a page.

    Attributes:
        ink: bool (H, W), True = ink, the form's rows along the rows.
        corner: x and y in template pixels of the middle of the first pixel.
        scale: pixels per template pixel along x and y; about ``CUT_DPI`` over the template's resolution.
        to_page: float64 (2, 3), pixels of ``ink`` to page pixels.
    """

    ink: NDArray[np.bool_]
    corner: tuple[float, float]
    scale: tuple[float, float]
    to_page: Floats

    def place(self, box: Box) -> Box:
        """A box of the template, in pixels of ``ink``."""
        (x, y), (wide, high) = self.corner, self.scale
        return Box((box.x - x) * wide, (box.y - y) * high, box.width * wide, box.height * high)


def lay_upright(
    gray: NDArray[np.uint8], threshold: float, matrix: Floats, region: Box, dpi: float
) -> UprightInk:
    """Lays the ink of a part of a page upright.

    Args:
        gray: uint8 (H, W) page, 0 = black. Beyond it there is paper.
        threshold: grey value 0..255; what is darker is ink.
        matrix: float64 (2, 3), template pixels to page pixels.
        region: the part, in template pixels.
        dpi: resolution of the template.
    """
    wanted = CUT_DPI / dpi
    gray, to_whole, matrix = _turned_part(gray, matrix, region)
    zoom = wanted / float(np.sqrt(max(abs(np.linalg.det(matrix[:, :2])), 1e-9)))
    if gray.size and abs(zoom - 1) > OWN_SCALE:
        gray, to_unscaled = _scaled(gray, zoom)
        matrix = _product(_inverse(to_unscaled), matrix)
        to_whole = _product(to_whole, to_unscaled)
    # What is below the next whole number is below the threshold too, and is found without floats.
    level = int(np.ceil(threshold)) - 1
    (a, b), (d, e) = matrix[:, :2].tolist()
    start = matrix @ (region.x, region.y, 1.0)
    if not (a > 0 and e > 0 and abs(b) <= STEEPEST * e and abs(d) <= STEEPEST * a):
        to_part = np.column_stack([matrix[:, :2] / wanted, start])
        ink = _warped(gray, level, to_part, _size(region, wanted, wanted))
        return UprightInk(ink, (region.x, region.y), (wanted, wanted), _product(to_whole, to_part))
    # The map from ink (u, v) is x = u + lean * y + shift and y = v + rise * u + start.
    lean = b / e
    rise = d / (a - lean * d)
    scale = a / (1 + lean * rise), e
    shift = float(start[0] - lean * start[1])
    ink = _sheared(gray, level, lean, shift, rise, float(start[1]), _size(region, *scale))
    to_part = np.array([[1 + lean * rise, lean, start[0]], [rise, 1, start[1]]])
    return UprightInk(ink, (region.x, region.y), scale, _product(to_whole, to_part))


def _size(region: Box, wide: float, high: float) -> tuple[int, int]:
    """Width and height in pixels of a region, at so many pixels per template pixel."""
    return max(1, round(region.width * wide)), max(1, round(region.height * high))


def _sheared(
    gray: NDArray[np.uint8],
    level: int,
    lean: float,
    shift: float,
    rise: float,
    start: float,
    size: tuple[int, int],
) -> NDArray[np.bool_]:
    """For u, v of a raster the ink at row ``v + rise * u + start`` and column ``u + lean * row + shift``."""
    width, height = size
    falls = np.rint(rise * np.arange(width) + start).astype(np.intp)
    least, spread = int(falls.min()), int(np.ptp(falls))
    shifts = np.rint(lean * np.arange(least, least + spread + height) + shift).astype(np.intp)
    strips = [(first, last, int(falls[first]) - least) for first, last in equal_runs(falls)]
    upright = np.empty((height, width), np.uint8)
    # A few rows at a time, so that what leans stays in the processor's cache until it is laid upright.
    few = max(FEWEST_ROWS, height * len(strips) // MOST_COPIES)
    leaning = np.empty((min(few, height) + spread, width), np.uint8)
    for top in range(0, height, few):
        rows = min(few, height - top)
        own, block = shifts[top : top + rows + spread], upright[top : top + rows]
        for first, last in equal_runs(own):
            _threshold(gray, level, (least + top + first, int(own[first])), leaning[first:last])
        for first, last, fall in strips:
            block[:, first:last] = leaning[fall : fall + rows, first:last]
    return upright.view(np.bool_)


def _threshold(gray: NDArray[np.uint8], level: int, corner: tuple[int, int], ink: NDArray[np.uint8]) -> None:
    """Writes 1 into ``ink``, uint8 (H, W), where the page from a corner (row, column) on is dark, else 0."""
    (row, column), (height, width) = corner, ink.shape
    top, bottom = max(row, 0), min(row + height, gray.shape[0])
    left, right = max(column, 0), min(column + width, gray.shape[1])
    if (bottom - top, right - left) != ink.shape:
        ink[:] = 0  # beyond the page
        if top >= bottom or left >= right:
            return
    target = ink[top - row : bottom - row, left - column : right - column]
    cv2.threshold(gray[top:bottom, left:right], level, 1, cv2.THRESH_BINARY_INV, dst=target)


def equal_runs(values: NDArray[np.intp]) -> Iterator[tuple[int, int]]:
    """First and past-last place of each run of equal values."""
    changes = np.flatnonzero(values[1:] != values[:-1]) + 1
    return pairwise([0, *changes.tolist(), len(values)])


def _warped(gray: NDArray[np.uint8], level: int, to_part: Floats, size: tuple[int, int]) -> NDArray[np.bool_]:
    """The same by interpolation, for maps that are no turn by a few degrees."""
    if not gray.size:
        return np.zeros(size[::-1], np.bool_)
    flags = cv2.INTER_LINEAR | cv2.WARP_INVERSE_MAP
    return np.asarray(cv2.warpAffine(gray, to_part, size, flags=flags, borderValue=255) <= level)


def _turned_part(
    gray: NDArray[np.uint8], matrix: Floats, region: Box
) -> tuple[NDArray[np.uint8], Floats, Floats]:
    """The part of a page on which a region lies, turned by quarter turns until it is nearly upright.

    Returns:
        The part; the map from its pixels to page pixels; the map from template pixels to its pixels.
    """
    x, y = region.x + np.array([0, region.width]), region.y + np.array([0, region.height])
    corners = matrix[:, :2] @ np.array([x[[0, 1, 0, 1]], y[[0, 0, 1, 1]]]) + matrix[:, 2:]
    limits = np.array(gray.shape[::-1])
    left, top = np.clip(np.floor(corners.min(axis=1)) - 2, 0, limits).astype(int).tolist()
    right, bottom = np.clip(np.ceil(corners.max(axis=1)) + 3, 0, limits).astype(int).tolist()
    part = gray[top:bottom, left:right]
    to_page = np.array([[1.0, 0, left], [0, 1.0, top]])
    turns = round(float(np.degrees(np.arctan2(matrix[1, 0], matrix[0, 0]))) / 90) % 4
    if turns and part.size:
        height, width = part.shape
        how, back = {
            1: (cv2.ROTATE_90_COUNTERCLOCKWISE, [[0.0, -1, width - 1], [1, 0, 0]]),
            2: (cv2.ROTATE_180, [[-1.0, 0, width - 1], [0, -1, height - 1]]),
            3: (cv2.ROTATE_90_CLOCKWISE, [[0.0, 1, 0], [-1, 0, height - 1]]),
        }[turns]
        part = np.asarray(cv2.rotate(part, how))
        to_page = _product(to_page, np.array(back))
    return part, to_page, _product(_inverse(to_page), matrix)


def _scaled(gray: NDArray[np.uint8], zoom: float) -> tuple[NDArray[np.uint8], Floats]:
    """A picture at another size, and the map from its pixels to those it had."""
    height, width = gray.shape
    size = max(1, round(width * zoom)), max(1, round(height * zoom))
    # Between half and full size interpolation sees nearly all pixels; below, it would leave some out.
    method = cv2.INTER_AREA if zoom <= 0.5 else cv2.INTER_LINEAR
    grown_x, grown_y = width / size[0], height / size[1]
    to_unscaled = np.array([[grown_x, 0, 0.5 * grown_x - 0.5], [0, grown_y, 0.5 * grown_y - 0.5]])
    return cv2.resize(gray, size, interpolation=method), to_unscaled


def _product(second: Floats, first: Floats) -> Floats:
    """The map, float64 (2, 3), that does one after the other."""
    return np.column_stack([second[:, :2] @ first[:, :2], second[:, :2] @ first[:, 2] + second[:, 2]])


def _inverse(matrix: Floats) -> Floats:
    """The map, float64 (2, 3), back."""
    back = np.linalg.inv(matrix[:, :2])
    return np.column_stack([back, -back @ matrix[:, 2]])
