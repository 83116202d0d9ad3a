"""Parts the ink of a paragraph into rows of writing, and lays each of them level.

Where no lines are printed, a hand climbs or falls by a few degrees, and each row by a little more or less.
So the slope is found under which the letters of the whole paragraph gather in the narrowest rows, then each
row follows its own letters.
"""

from collections.abc import Iterator
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from segmentation.components import Components, find_components
from segmentation.fields import FieldInk
from segmentation.templates import Box
from segmentation.upright_ink import equal_runs

MIN_LETTER = 20.0  # pixels at 300 dpi: what is lower is a dot or a dash and goes to the nearest row
SPARSE_ROW = 0.1  # a row needs this part of the ink width of the fullest one
ROW_DISTANCE = 0.9  # between two rows at least, in heights of a typical letter
ASCENT = 1.6  # height of a row's writing area in heights of its typical letters
TALLEST = 2.2  # of a letter, in heights of a typical one; what is taller hangs together across rows
STEEPEST = 0.1  # of a paragraph, down over along: six degrees
SLOPE_STEP = 0.25  # between slopes that are tried, in heights of a typical letter at the end of the rows
LEVEL_PULL = 0.05  # by which level rows are preferred to the steepest, in shares of how well they gather
BIN = 0.25  # height of a bin of the histograms that are compared, in heights of a typical letter
TURNS = 2  # of giving letters to rows and following these
FOLLOWED = 6  # letters of a row, at least, that tell its own slope
NEAR = 0.3  # of a typical letter's height from its row, where a letter tells half as much of the row
ROW_PULL = 2.0  # letters' worth by which a row keeps to the slope of the paragraph
LEAST_RISE = 6.0  # pixels by which a row climbs or falls from end to end and stays as it is
CORE = 0.25  # of a typical letter's height, by which a stroke reaches beyond the middle of a row it is in
CUT_BETWEEN = 0.3, 0.7  # of the way between two rows, where strokes that hang together across both are cut

Floats = NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class _Rows:
    """Rows as straight lines through the middles of their letters: y = ``levels`` + ``slopes`` * x."""

    levels: Floats
    slopes: Floats

    def at(self, x: Floats) -> Floats:
        """float64 (N, R), the height at which each row runs at each x."""
        return self.levels[None, :] + self.slopes[None, :] * x[:, None]

    def nearest(self, x: Floats, y: Floats) -> NDArray[np.intp]:
        """int (N,), the row next to each point."""
        return np.argmin(np.abs(y[:, None] - self.at(x)), axis=1)


def split_rows(ink: FieldInk) -> Iterator[FieldInk]:
    """Yields each row from top to bottom, laid level, with its own writing area.

    Components as high as letters vote for the rows by their middles; every component then goes to the nearest
    row, so that descenders and ascenders stay with their letters. Only what reaches through two rows is cut
    between them. A row that climbs or falls is sheared, and its ``to_page`` says so.
    """
    rows, typical = _find_rows(ink.parts)
    if not len(rows.levels):
        return
    ink = replace(ink, parts=_parted(ink.parts, rows, typical))
    x, y = _middles(ink.parts.boxes)
    letters = ink.parts.boxes[:, 3] >= MIN_LETTER
    row_of = rows.nearest(x, y)
    for row, (level, slope) in enumerate(zip(rows.levels.tolist(), rows.slopes.tolist(), strict=True)):
        own = row_of == row
        if (own & letters).any():
            height = ASCENT * typical
            begin = level + slope * float(ink.parts.boxes[own, 0].min())  # where the row's raster begins
            area = Box(ink.area.x, begin - height / 2, ink.area.width, height)
            yield _levelled(replace(ink, area=area).only(own), slope)


def _middles(boxes: NDArray[np.integer]) -> tuple[Floats, Floats]:
    left, top, width, height = boxes.T.astype(np.float64)
    return left + width / 2, top + height / 2


def _find_rows(parts: Components) -> tuple[_Rows, float]:
    """The rows, from top to bottom, and the height of a typical letter; none and 0 where no letters are."""
    nothing = np.zeros(0)
    widths, heights = parts.boxes[:, 2:].T.astype(np.float64)
    letters = heights >= MIN_LETTER
    if not letters.any():
        return _Rows(nothing, nothing), 0.0
    typical = float(np.median(heights[letters]))
    voters = letters & (heights <= TALLEST * typical)
    x, y = (values[voters] for values in _middles(parts.boxes))
    weights = widths[voters]
    slope = _common_slope(x, y, weights, typical)
    levels = _row_levels(y - slope * x, weights, typical)
    rows = _Rows(levels, np.full(len(levels), slope))
    for _ in range(TURNS):
        rows = _followed(rows, slope, x, y, typical)
    return rows, typical


def _common_slope(x: Floats, y: Floats, weights: Floats, typical: float) -> float:
    """The slope under which letters gather in the narrowest rows."""
    step = SLOPE_STEP * typical / max(float(np.ptp(x)), typical)
    steps = min(int(STEEPEST / step), 200)
    slopes = step * np.arange(-steps, steps + 1)
    bins = (y[None, :] - slopes[:, None] * x[None, :]) / (BIN * typical)
    bins = np.floor(bins - bins.min()).astype(np.intp) + 1
    size = int(bins.max()) + 2
    flat = (bins + size * np.arange(len(slopes))[:, None]).ravel()
    counts = np.bincount(flat, np.tile(weights, len(slopes)), size * len(slopes)).reshape(-1, size)
    smooth = counts[:, :-2] + 2 * counts[:, 1:-1] + counts[:, 2:]
    gathered = (smooth**2).sum(axis=1) * (1 - LEVEL_PULL * np.abs(slopes) / STEEPEST)
    return float(slopes[gathered.argmax()])


def _row_levels(middles: Floats, weights: Floats, typical: float) -> Floats:
    """Peaks of the smoothed histogram of letter middles, a letter's height apart, from top to bottom."""
    first = float(np.floor(middles.min()))
    sigma = max(2.0, 0.35 * typical)
    reach = round(3 * sigma)
    kernel = np.exp(-0.5 * (np.arange(-reach, reach + 1) / sigma) ** 2)
    # The full convolution leaves room around the first and the last row, so that they are peaks too.
    density = np.convolve(np.bincount((middles - first).astype(np.intp), weights), kernel, "full")
    peaks = np.flatnonzero((density[1:-1] > density[:-2]) & (density[1:-1] >= density[2:])) + 1
    kept: list[int] = []
    for peak in sorted(peaks, key=lambda position: -density[position]):
        far = all(abs(peak - other) >= ROW_DISTANCE * typical for other in kept)
        if far and density[peak] >= SPARSE_ROW * density.max():
            kept.append(int(peak))
    return np.array(sorted(kept), np.float64) - reach + first


def _followed(rows: _Rows, common: float, x: Floats, y: Floats, typical: float) -> _Rows:
    """The rows through the letters next to them; those of few letters stay."""
    row_of = rows.nearest(x, y)
    levels, slopes = rows.levels.copy(), rows.slopes.copy()
    for row in range(len(levels)):
        own = row_of == row
        if np.count_nonzero(own) < FOLLOWED:
            continue
        off = y[own] - levels[row] - slopes[row] * x[own]
        # Ascenders and descenders are not where the row is: the farther off, the less they tell.
        trust = 1 / (1 + (off / (NEAR * typical)) ** 2)
        trust /= trust.sum()
        middle, height = float(trust @ x[own]), float(trust @ y[own])
        along = x[own] - middle
        spread, rise = float(trust @ along**2), float(trust @ (along * (y[own] - height)))
        pull = ROW_PULL * spread / np.count_nonzero(own)
        slope = (rise + pull * common) / max(spread + pull, 1e-9)
        slopes[row], levels[row] = slope, height - slope * middle
    order = np.argsort(levels + slopes * float(x.mean()), kind="stable")
    return _Rows(levels[order], slopes[order])


def _parted(parts: Components, rows: _Rows, typical: float) -> Components:
    """Cuts what reaches through two rows or more, between them and where it has the least ink."""
    x, _ = _middles(parts.boxes)
    top = parts.boxes[:, 1] + CORE * typical
    bottom = parts.boxes[:, 1] + parts.boxes[:, 3] - CORE * typical
    levels = rows.at(x)
    within = (levels > top[:, None]) & (levels < bottom[:, None])
    across = np.flatnonzero(np.count_nonzero(within, axis=1) > 1)
    if not len(across):
        return parts
    ink = parts.ink.copy()
    for name in across:
        inside = np.flatnonzero(within[name])
        for upper, lower in zip(inside[:-1].tolist(), inside[1:].tolist(), strict=True):
            _cut_between(ink, parts, int(name), rows, (upper, lower))
    return find_components(ink)


def _cut_between(
    ink: NDArray[np.bool_], parts: Components, name: int, rows: _Rows, pair: tuple[int, int]
) -> None:
    """Takes a line, two pixels thick, out of a component's ink between two rows."""
    left, top, width, height = parts.boxes[name].tolist()
    own = parts.labels[top : top + height, left : left + width] == name + 1
    columns = np.arange(width)
    upper, lower = (rows.levels[row] + rows.slopes[row] * (left + columns) - top for row in pair)
    least, line = None, np.zeros(0, np.intp)
    for share in np.linspace(*CUT_BETWEEN, 9):
        way = np.clip(np.rint(upper + share * (lower - upper)).astype(np.intp), 0, height - 2)
        crossed = int(np.count_nonzero(own[way, columns]))
        if least is None or crossed < least:
            least, line = crossed, way
    for step in (0, 1):
        hit = own[line + step, columns]
        ink[top + line[hit] + step, left + columns[hit]] = False


def _levelled(row: FieldInk, slope: float) -> FieldInk:
    """A row that climbs or falls by ``slope``, its columns shifted by whole pixels until it is level.

    The shear keeps the left end of the raster in its place.
    """
    height, width = row.parts.labels.shape
    if abs(slope) * width < LEAST_RISE:
        return row
    falls = np.rint(slope * np.arange(width)).astype(np.intp)
    falls -= (lowest := int(falls.min()))
    room = int(falls.max())
    level = np.zeros((height + room, width), np.bool_)
    inked = row.parts.ink
    for first, last in equal_runs(falls):
        down = room - int(falls[first])
        level[down : down + height, first:last] = inked[:, first:last]
    # A point of the level raster at (x, y) was at y - room + fall(x) of the row.
    shear = np.array([[1, 0, 0], [slope, 1, -room - lowest], [0, 0, 1]], np.float64)
    area = Box(row.area.x, row.area.y + room + lowest, row.area.width, row.area.height)
    laid = replace(row, parts=find_components(level), area=area, to_page=row.to_page @ shear)
    return laid.only(np.ones(len(laid.parts), np.bool_))
