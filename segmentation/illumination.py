"""Evens the light of a page, so that one threshold parts ink from paper everywhere on it."""

from math import gcd

import cv2
import numpy as np
from numpy.typing import NDArray

STEP = 16  # page pixels for one pixel of the background
_ROWS = 4  # every so many rows are enough to see the paper
WIDEST_INK = 15  # background pixels: what is dark over more than this is shade or a dark area, not writing
UNEVEN = 30  # grey levels that the paper differs by, from which on it is evened
STRETCHES, STRETCH = 8192, 16  # so many of so many pixels tell where ink and paper part as well as all do
LEAST_BRIGHT = 100.0  # grey level that the lightest tenth of a page has at least, if it is no negative
EVEN = 24  # grey levels by which a scanner's glass differs from end to end
DARKEST = 0.35  # of the usual paper: what is darker is no paper in shade but a black edge
LOWEST, HIGHEST = 64.0, 208.0  # thresholds between ink and paper of usual scans
PALE = 160.0  # grey value of the darkest ink of a faint scan, at least ...
FAINT = 40.0  # ... and by how much it is darker than the paper, or it is noise
BLACKEST = 0.3  # percentage of the pixels that are as dark
SOFT = 0.3  # of the way from the paper to these, at least: what is paler are soft edges
APART, FAR = 8, 32  # pixels between those that tell what ink is, and what paper is
FEW_GREYS = 0.005  # of the pixels, of one grey level on a page that has only a few


def even_light(gray: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """Divides a page by its background where the background is uneven, as on a photograph.

    The background is what is left when writing and print are closed over (a grey closing at a sixteenth of
    the size), smoothed. A page from a scanner is even, and comes back as it is. Black glass around the paper
    becomes white, so that it counts as no ink.

    Args:
        gray: uint8 (H, W), 0 = black.

    Returns:
        uint8 (H, W), paper near 255 if it was evened; ``gray`` itself if nothing was to be done.
    """
    height, width = gray.shape
    size = (width // STEP, height // STEP)
    if min(size) < 2 * WIDEST_INK:
        return gray
    small = gray[: STEP * size[1] : _ROWS, : STEP * size[0]]
    for _ in range(2):  # means of four pixels take a thirtieth of the time of other means
        small = cv2.resize(small, (small.shape[1] // 2, small.shape[0] // 2), interpolation=cv2.INTER_AREA)
    small = cv2.resize(small, size, interpolation=cv2.INTER_AREA)
    bright = float(np.percentile(small[::4, ::4], 90))
    outside = _outside(small, DARKEST * bright)
    if outside is not None:
        gray = _whitened(gray, outside, DARKEST * bright)
        small = np.where(outside, np.uint8(bright), small)
    paper = cv2.morphologyEx(small, cv2.MORPH_CLOSE, np.ones((WIDEST_INK, WIDEST_INK), np.uint8))
    low, usual, high = np.percentile(paper, (5, 50, 95))
    if high - low < UNEVEN:
        return gray
    paper = np.maximum(cv2.GaussianBlur(paper, (0, 0), WIDEST_INK / 3), np.uint8(max(1, DARKEST * usual)))
    background = cv2.resize(paper, (width, height), interpolation=cv2.INTER_LINEAR)
    return cv2.divide(gray, background, scale=255)


def _outside(small: NDArray[np.uint8], darkest: float) -> NDArray[np.bool_] | None:
    """Where the scanner's glass is and no paper, bool (h, w); None if it is nowhere.

    It reaches the edge of the picture, and is as dark from end to end, unlike paper in deep shade.

    Args:
        small: uint8 (h, w), means of blocks of ``STEP`` pixels.
        darkest: grey level below which nothing is paper.
    """
    black = small < darkest
    if darkest < DARKEST * LEAST_BRIGHT or not any(edge.any() for edge in _edges(black)):
        return None
    count, areas = cv2.connectedComponents(black.view(np.uint8))
    outside = np.zeros_like(black)
    for area in range(1, count):
        inside = areas == area
        core = cv2.erode(inside.view(np.uint8), np.ones((3, 3), np.uint8)) > 0  # without the paper's edge
        if core.any() and any(edge.any() for edge in _edges(inside)):
            dark, light = np.percentile(small[core], (5, 95))
            if light - dark <= EVEN:
                outside |= inside
    return outside if outside.any() else None


def _edges(area: NDArray[np.bool_]) -> tuple[NDArray[np.bool_], ...]:
    return area[0], area[-1], area[:, 0], area[:, -1]


def _whitened(gray: NDArray[np.uint8], outside: NDArray[np.bool_], darkest: float) -> NDArray[np.uint8]:
    """A copy of a page with the glass around its paper white."""
    height, width = gray.shape
    # Where the paper begins is known to a block; of the next blocks, only what is black is glass too.
    blocks = cv2.dilate(outside.view(np.uint8), np.ones((3, 3), np.uint8)) + outside.view(np.uint8)
    blocks = cv2.copyMakeBorder(blocks, 0, 1, 0, 1, cv2.BORDER_REPLICATE)  # of less than a block is left over
    white = gray.copy()
    for top, row in zip(range(0, height, STEP), blocks, strict=False):  # all at once takes five pages' memory
        if row.any():
            strip, which = white[top : top + STEP], np.repeat(row, STEP)[:width]
            strip[:, which == 2] = 255
            strip[(strip < darkest) & (which == 1)] = 255
    return white


def otsu_level(gray: NDArray[np.uint8]) -> float:
    """The grey value, 0..255, that best parts ink from paper by Otsu's method; ``gray`` is uint8 (H, W).

    Told from a sample: reading all of a page takes longer than counting what is looked at.
    """
    flat = gray.reshape(-1)
    apart = flat.size // STRETCHES
    if apart > 2 * STRETCH:
        # At equal distance in reading order they lie in all columns alike, where nothing divides both.
        while gcd(apart, gray.shape[1]) > 1:
            apart += 1
        flat = flat[: flat.size // apart * apart].reshape(-1, apart)[:, :STRETCH]
    level, _ = cv2.threshold(flat, 0, 255, cv2.THRESH_BINARY_INV | cv2.THRESH_OTSU)
    return float(level)


def ink_threshold(gray: NDArray[np.uint8]) -> float:
    """The grey value, 0..255, that best parts ink from paper over the whole page (Otsu, on a sample)."""
    level, some = otsu_level(gray), gray[::FAR, ::FAR]
    if np.count_nonzero(some == level) >= FEW_GREYS * some.size:
        level += 0.5  # of a few greys the level is one, the lightest of the ink
    if level < LOWEST:
        # On a page of only black and white Otsu returns black; between both is where blended pixels part.
        level = max(level, min(LOWEST, float(np.median(some)) / 2))
    if level < HIGHEST:
        return level
    some = gray[::APART, ::APART]
    darkest, paper = np.percentile(some, (BLACKEST, 50))
    if darkest < PALE or darkest > paper - FAINT:
        return HIGHEST
    return max(HIGHEST, min(level, float(paper - SOFT * (paper - darkest))))
