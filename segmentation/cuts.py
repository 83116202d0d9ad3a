"""Where connected strokes of a row of writing may have to be cut: stroke width, slant, thin or low places."""

from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

MAX_SLANT = 0.6  # horizontal over vertical
CUT_DISTANCE = 0.11  # between two cuts, in heights of the writing area
NECK = 1.7  # ink across a cut in stroke widths at most, where the writing is thin there
LOW = 0.92  # of a component's usual reach from top to bottom: where it is lower there may be a neck
MIN_CUTS = 7  # that a component may have at most, however narrow it is
CUTS_PER_HEIGHT = 4.0  # the same for each height of the writing area that it is wide: about two a character
MAX_CUTS = 50  # however wide
SLANT_POINTS = 4000  # pixels that tell the slant of a row
_SLANTS = np.linspace(-MAX_SLANT, MAX_SLANT, 25)
_STEP = 2.0**20  # more than any profile is high


def stroke_width(ink: NDArray[np.bool_]) -> float:
    """Mean width of the strokes in pixels: four times the mean distance of ink to paper, as in a band."""
    count = np.count_nonzero(ink)
    if not count:
        return 2.0
    # Beyond the raster is paper, or a stroke that fills a tight raster would have none beside it.
    framed = cv2.copyMakeBorder(ink.view(np.uint8), 1, 1, 1, 1, cv2.BORDER_CONSTANT, value=0)
    distances = cv2.distanceTransform(framed, cv2.DIST_L2, 3)
    return float(max(2.0, 4 * cv2.sumElems(distances)[0] / count - 1))


def estimate_slant(xs: NDArray[np.intp], ys: NDArray[np.intp]) -> float:
    """Horizontal shift a row that makes the writing upright, within ``MAX_SLANT``.

    The right slant gives the most peaked histogram over columns. Positive for writing that leans right.
    Source: A. Vinciarelli, J. Luettin, "A new normalization technique for cursive handwritten words", 2001
    (the same idea, with peaks of whole strokes).
    """
    if len(xs) > SLANT_POINTS:
        step = len(xs) // SLANT_POINTS + 1
        xs, ys = xs[::step], ys[::step]
    # How far each slant shifts each row of pixels, as whole numbers, is looked up for each of its pixels.
    levels = np.arange(int(ys.max()) + 1) - ys.mean()
    shifts = np.floor(_SLANTS[:, None] * levels).astype(np.intp)
    left, lowest = int(xs.min()), int(shifts.min())
    width = int(xs.max()) - left + int(shifts.max()) - lowest + 1
    shifts += np.arange(len(_SLANTS))[:, None] * width - lowest - left  # histograms one after the other
    columns = shifts.take(ys, axis=1, mode="clip")  # in half the time of the default mode
    columns += xs
    histograms = np.bincount(columns.ravel(), minlength=len(_SLANTS) * width).reshape(len(_SLANTS), width)
    peaks = np.einsum("ij,ij->i", histograms, histograms)
    # Columns are rounded towards nought, so those on both sides of the raster's left edge are one, and
    # strokes there say a little more. What the classifier was trained on was cut so.
    edge = -lowest - left
    if 0 < edge < width:
        peaks += 2 * histograms[:, edge - 1] * histograms[:, edge]
    # Ties and near ties go to upright writing.
    return float(_SLANTS[np.argmax(peaks * (1 - 0.1 * np.abs(_SLANTS)))])


@dataclass(frozen=True, slots=True)
class _Profiles:
    """The columns of C components side by side, with empty ones between them.

    Attributes:
        place: int (N,) the column here of each of their pixels.
        component: int (W,) the component of each column.
        begins, widths: int (C,) first column of each component, and its number of columns.
        ink: float64 (W,) pixels of ink in a column, smoothed.
        reach: float64 (W,) rows from its highest to its lowest, smoothed.
    """

    place: NDArray[np.intp]
    component: NDArray[np.intp]
    begins: NDArray[np.intp]
    widths: NDArray[np.intp]
    ink: NDArray[np.float64]
    reach: NDArray[np.float64]

    @classmethod
    def of(
        cls, along: NDArray[np.intp], ys: NDArray[np.intp], areas: NDArray[np.intp], owner: NDArray[np.intp]
    ) -> "_Profiles":
        first = np.cumsum(areas) - areas
        origins = np.minimum.reduceat(along, first)
        widths = np.maximum.reduceat(along, first) - origins + 1
        begins = np.cumsum(widths + 2) - widths - 1
        place = along + (begins - origins)[owner]
        total = int(begins[-1] + widths[-1]) + 1
        counts = np.bincount(place, minlength=total)
        top, bottom = np.zeros(total, np.intp), np.zeros(total, np.intp)
        # The last value written to a place stays: the lowest row, and the other way round the highest.
        bottom[place] = ys
        top[place[::-1]] = ys[::-1]
        reach = np.where(counts > 0, bottom - top + 1, 0)
        smooth = np.ones(3) / 3
        component = np.repeat(np.arange(len(areas)), widths + 2)
        ink, reach = np.convolve(counts, smooth, "same"), np.convolve(reach, smooth, "same")
        return cls(place, component, begins, widths, ink, reach)


def find_parts(
    along: NDArray[np.intp],
    ys: NDArray[np.intp],
    owner: NDArray[np.intp],
    areas: NDArray[np.intp],
    worth: NDArray[np.bool_],
    strokes: NDArray[np.float64],
    heights: NDArray[np.float64],
) -> NDArray[np.intp]:
    """Cuts components, of any number of rows, where each may be two characters.

    A component has as many cuts at most as fit its width.

    Args:
        along: int (N,) columns of all pixels, one component after the other, slant taken out.
        ys: int (N,) their rows, increasing within a component.
        owner: int (N,) the component of each pixel, 0..C-1.
        areas: int (C,) pixels of each component.
        worth: bool (C,) which are cut at all.
        strokes: float64 (C,) stroke width in pixels.
        heights: float64 (C,) height of the writing area in pixels.

    Returns:
        int (N,) the part of its component that each pixel falls into, from 0, left to right.
    """
    profiles = _Profiles.of(along, ys, areas, owner)
    component, column = _chosen(profiles, worth, strokes, heights)
    marks = np.zeros(len(profiles.ink) + 1, np.intp)
    marks[profiles.begins[component] + column + 1] = 1
    parts = np.cumsum(marks)
    return parts[profiles.place] - parts[profiles.begins][owner]


def find_cuts(
    along: NDArray[np.intp], ys: NDArray[np.intp], stroke: float, height: float
) -> NDArray[np.float64]:
    """The cuts of ``find_parts`` through a single component: float (C,), increasing, between pixels."""
    whole = np.zeros(len(along), np.intp), np.array([len(along)])
    profiles = _Profiles.of(along, ys, whole[1], whole[0])
    _, column = _chosen(profiles, np.array([True]), np.array([stroke]), np.array([height]))
    cuts: NDArray[np.float64] = np.sort(column) + along.min() + 0.5
    return cuts


def _chosen(
    profiles: _Profiles,
    worth: NDArray[np.bool_],
    strokes: NDArray[np.float64],
    heights: NDArray[np.float64],
) -> tuple[NDArray[np.intp], NDArray[np.intp]]:
    """Where to cut: the component of each cut, and the column of it after which to cut."""
    margins = np.maximum(2, np.rint(strokes)).astype(np.intp)
    worth = worth & (profiles.widths > 2 * margins)
    lowest = LOW * _ninth_deciles(profiles)
    # A cut is cheap where little ink crosses it, and where the writing is low there: at the neck of two
    # touching round characters much ink stands in a column, but the column is short.
    found = _valleys(profiles, worth, margins, NECK * strokes, lowest, 0.4 * strokes)
    component = profiles.component[found]
    crossing = profiles.ink[found] / strokes[component]
    cost = np.minimum(crossing, 1 + 2 * profiles.reach[found] / heights[component])
    order = np.lexsort((found, cost, component))
    distances = np.maximum(CUT_DISTANCE * heights, margins).tolist()
    most = np.clip(np.rint(CUTS_PER_HEIGHT * profiles.widths / heights), MIN_CUTS, MAX_CUTS).tolist()
    owners: list[int] = []
    kept: list[int] = []
    own, first, distance = -1, 0, 0.0  # of the component at hand; its first in kept
    for index, column in zip(component[order].tolist(), found[order].tolist(), strict=True):
        if index != own:
            own, first, distance = index, len(kept), distances[index]
        elif len(kept) - first >= most[own]:
            continue
        for other in kept[first:]:
            if -distance < column - other < distance:
                break
        else:
            owners.append(own)
            kept.append(column)
    cut_owners = np.array(owners, np.intp)
    return cut_owners, np.array(kept, np.intp) - profiles.begins[cut_owners]


def _ninth_deciles(profiles: _Profiles) -> NDArray[np.float64]:
    """What ``np.percentile(values, 90)`` returns of the reach of the columns of each component."""
    ends = profiles.begins + profiles.widths
    # The empty columns on both sides come first and last.
    values = profiles.reach.copy()
    values[profiles.begins - 1], values[ends] = -1.0, np.inf
    ordered = values[np.lexsort((values, profiles.component))]
    places = 0.9 * (profiles.widths - 1)
    index = places.astype(np.intp)
    low = ordered[profiles.begins + index]
    high = ordered[profiles.begins + np.minimum(index + 1, profiles.widths - 1)]
    deciles: NDArray[np.float64] = high - (high - low) * (1 - (places - index))
    return deciles


def _valleys(
    profiles: _Profiles,
    worth: NDArray[np.bool_],
    margins: NDArray[np.intp],
    thin: NDArray[np.float64],
    low: NDArray[np.float64],
    depths: NDArray[np.float64],
) -> NDArray[np.intp]:
    """Middles of the local minima of both profiles with walls of at least a depth on both sides.

    Of each component, (C,) all: minima of the ink are at most ``thin``, those of the reach at most ``low``,
    walls at least ``depths``. Neither the minimum nor the middle lies within ``margins`` of an end; only
    those ``worth`` cutting are looked at.
    """
    size = len(profiles.ink)
    begins = profiles.begins + margins
    ends = profiles.begins + profiles.widths - margins
    component = profiles.component
    columns = np.arange(size)
    last = ends[component]
    inner = worth[component] & (columns >= begins[component]) & (columns < last)
    # Both profiles one after the other; between them are empty columns, as between components.
    both = np.concatenate([profiles.ink, profiles.reach])
    flat = np.concatenate(
        [inner & (profiles.ink <= thin[component]), inner & (profiles.reach <= low[component])]
    )
    falls = np.flatnonzero(flat[1:] & (both[1:] < both[:-1])) + 1
    if not len(falls):
        return falls
    changes = np.flatnonzero(both[1:] != both[:-1])
    stops = changes[np.searchsorted(changes, falls)]  # of the plateaus that begin there
    # The greatest values so far of each component: every component stands a step higher than the last.
    rises = np.concatenate([component, component + len(worth)]) * _STEP
    before = np.maximum.accumulate(both + rises)
    after = np.maximum.accumulate((both - rises)[::-1])[::-1]
    step = rises[falls]
    walls = np.minimum(before[falls - 1] - step, after[stops + 1] + step)
    second = np.where(falls >= size, size, 0)
    deep = (stops - second < last[falls - second]) & (both[stops + 1] > both[falls])
    deep &= walls - both[falls] >= depths[component[falls - second]]
    middles: NDArray[np.intp] = ((falls + stops) // 2 - second)[deep]
    return middles
