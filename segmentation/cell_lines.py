"""Takes the cell lines of a comb out, each like a side of a frame, and leaves the strokes that cross them.

Forms are drawn by hand or by word processors: cells differ by a few pixels, and a cell line may be two thin
lines with a little white between them. So every line is looked for near its place, after their common shift.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

from segmentation.rule_band import ExpectedRule
from segmentation.rule_erasing import SLACK
from segmentation.rules import Frame, remove_rules

REACH = 14  # pixels at 300 dpi that a cell line may lie off its place, before the common shift is known
SETTLE = 6  # the same when it is known
STRAY = 0.02  # share of a line's ink that a pixel off its place must be made up for
TWIN = 14  # pixels between the middles of two lines that are one cell line
DOUBLE = 0.4  # share of the lines that have a twin, if all have
MIN_COVERAGE = 0.12  # inked share of three columns together: a hair line in a rough scan is mere dashes
MIN_LINE = 0.5  # inked share of a column that may be a cell line


@dataclass(frozen=True, slots=True)
class CellLines:
    """The cell lines of a comb in a field's raster: the x of their middles, and the width of each, pixels.

    ``found`` says of which there was ink; the others stand where they are expected, and nothing was removed.
    """

    middles: NDArray[np.float64]
    widths: NDArray[np.float64]
    found: NDArray[np.bool_]


def remove_cell_lines(
    ink: NDArray[np.bool_], frame: Frame, expected: Sequence[float]
) -> tuple[NDArray[np.bool_], CellLines]:
    """Removes the inner lines of a comb.

    Args:
        ink: bool (H, W) of a field raster, upright, 300 dpi, its frame already removed; True = ink.
        frame: where the frame was.
        expected: x at which registration expects the middle of each cell line, increasing.

    Returns:
        A copy without the cell lines, and the lines as they were found.
    """
    cleaned = ink.copy()
    inside = ink[max(0, round(frame.top + frame.width)) : max(1, round(frame.bottom - frame.width) + 1)]
    # Three columns wide, as a line may lean by a pixel or two.
    share = cv2.dilate(inside.view(np.uint8), np.ones((1, 3), np.uint8)).mean(axis=0, dtype=np.float32)
    places = _settle(share, np.asarray(expected, np.float64))
    middles, widths, found = places.copy(), np.zeros(len(places)), np.zeros(len(places), bool)
    rules = [
        ExpectedRule(_filled(ink, middle, apart), middle, frame.top, frame.bottom, upright=True)
        for middle, apart in _twins(share, places)
    ]
    removed = remove_rules(rules, [cleaned] * len(rules), 3, MIN_COVERAGE)
    for index, line in enumerate(removed):
        if line is not None:
            (middles[index], widths[index]), found[index] = line, True
    lines = CellLines(middles, widths, found)
    _clear_meetings(cleaned, frame, lines)
    return cleaned, lines


def _settle(share: NDArray[np.float32], expected: NDArray[np.float64]) -> NDArray[np.float64]:
    """Where the lines are, float64 (n,): first their common shift, then each near its place by itself."""
    shifts = np.arange(-REACH, REACH + 1)
    profile = _at(share, expected[:, None] + shifts)
    common = shifts[np.argmax(np.minimum(profile, 0.9).mean(axis=0) - 0.1 * STRAY * np.abs(shifts))]
    steps = np.arange(-SETTLE, SETTLE + 1)
    near = _at(share, expected[:, None] + common + steps)
    best = np.argmax(near - STRAY * np.abs(steps), axis=1)
    seen = near[np.arange(len(expected)), best] >= MIN_LINE
    places: NDArray[np.float64] = np.rint(expected) + common + np.where(seen, steps[best], 0)
    return places


def _at(share: NDArray[np.float32], columns: NDArray[np.floating]) -> NDArray[np.float32]:
    """The profile at columns, 0 beyond the raster."""
    index = np.rint(columns).astype(np.intp)
    inside = (index >= 0) & (index < len(share))
    values: NDArray[np.float32] = np.where(inside, share[np.clip(index, 0, len(share) - 1)], 0)
    return values


def _twins(share: NDArray[np.float32], places: NDArray[np.float64]) -> list[tuple[float, float]]:
    """Middle and distance of the two lines that each cell line consists of; distance 0 for single lines.

    A form has single or double cell lines: strokes beside some of them make it no comb of double lines, and
    a pale twin is believed where many have one.
    """
    pairs = [_twin(share, place) for place in places]
    apart = [distance for _, distance in pairs if distance]
    if len(apart) < DOUBLE * len(places):
        return [(_center(share, place), 0.0) for place in places]
    usual = float(np.median(apart))
    for index, place in enumerate(places):
        if abs(pairs[index][1] - usual) > 2:
            beside = _at(share, place + np.array([-1, 1])[:, None] * (usual + np.arange(-1, 2))).max(axis=1)
            pairs[index] = float(place + (usual / 2 if beside[1] >= beside[0] else -usual / 2)), usual
    return pairs


def _center(share: NDArray[np.float32], place: float) -> float:
    """The middle of a line of which a column is known: of a thick one it may be one at its edge."""
    steps = np.arange(1, TWIN + 1)
    left, right = (int(np.cumprod(_at(share, place + side * steps) >= MIN_LINE).sum()) for side in (-1, 1))
    if left + right > TWIN or _at(share, np.array([place]))[0] < MIN_LINE:
        return float(place)
    return float(place + (right - left) / 2)


def _twin(share: NDArray[np.float32], place: float) -> tuple[float, float]:
    """Middle and distance of the line at ``place`` and its nearest neighbour; distance 0 without one."""
    steps = np.arange(-TWIN, TWIN + 1)
    full = _at(share, place + steps) >= MIN_LINE
    changes = np.flatnonzero(np.diff(np.concatenate([[0], full.astype(np.int8), [0]])))
    centers = (changes[::2] + changes[1::2] - 1) / 2 - TWIN
    if len(centers) < 2:
        return float(place), 0.0
    first = int(np.argmin(np.abs(centers)))
    others = np.delete(centers, first)
    second = others[np.argmin(np.abs(others - centers[first]))]
    apart = abs(second - centers[first])
    if apart > TWIN:
        return float(place), 0.0
    return float(place + (centers[first] + second) / 2), float(apart)


def _filled(ink: NDArray[np.bool_], middle: float, apart: float) -> NDArray[np.bool_]:
    """The ink with the white between twin lines filled, so that they are traced as one rule."""
    if not apart:
        return ink
    filled = ink.copy()
    left = max(0, round(middle - apart / 2 - 2))
    band = filled[:, left : round(middle + apart / 2 + 3)]
    reach = int(apart) + 1
    kernel = np.ones((1, reach), np.uint8)
    padded = cv2.copyMakeBorder(band.view(np.uint8), 0, 0, reach, reach, cv2.BORDER_CONSTANT)
    closed = cv2.morphologyEx(padded, cv2.MORPH_CLOSE, kernel)[:, reach : reach + band.shape[1]]
    band |= closed > 0
    return filled


def _clear_meetings(cleaned: NDArray[np.bool_], frame: Frame, lines: CellLines) -> None:
    """Clears what is left where cell lines meet the frame: there each seems a stroke across the other."""
    up = round(frame.width / 2 + SLACK)
    for middle, width in zip(lines.middles[lines.found], lines.widths[lines.found], strict=True):
        aside = round(width / 2 + SLACK)
        columns = slice(max(0, round(middle) - aside), max(0, round(middle) + aside + 1))
        for level in (frame.top, frame.bottom):
            cleaned[max(0, round(level) - up) : max(0, round(level) + up + 1), columns] = False
