"""Finds fields written in pencil or a pale pen, for which the page's threshold of ink is too dark.

One threshold for a page parts its print from its paper. Writing that is much paler than the print falls on
the paper's side, and its fields would count as blank. So may guide text in the boxes of a form, which is
printed palely just for that; on a page with other writing in black, people decide.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

from segmentation.registration import FRAME_INSET, Registration
from segmentation.rule_fitting import apply_map
from segmentation.templates import FieldSpec

SAMPLES = 2000  # pixels of a field that are looked at
MARGIN = 0.04  # inches of a field beside its frame and its cell lines that are not looked at ...
MOST_MARGIN = 0.2  # ... and, of a small box, of its height
NOISE, LEAST = 6.0, 20.0  # deviations of the paper, and grey levels, by which ink is darker than paper
WRITTEN = 0.003  # share of a field that is ink if something is written there
TOO_DARK = 0.2  # of the way from ink to paper: a threshold below loses much of the ink
# Contrasts of the threshold below it, and share of the ink from which on there is black writing, and what is
# paler is shade.
BLACK, MOST_BLACK = 0.3, 0.12
# Contrasts to the paper, in that of the page's threshold.
PALEST = 0.5  # of ink that is read: paler may be the other side of the sheet, or a tint
DOUBTFUL = 0.25  # of what may yet be writing
SOFT = 0.01  # inches, standard deviation, over which a page is blurred to tell strokes from shades ...
SHARP, SHARP_TICK = 0.15, 0.09  # ... and the share of their contrast that strokes lose by it, at least


@dataclass(frozen=True, slots=True)
class InkLevels:
    """What is ink in each of N fields.

    Attributes:
        thresholds: float64 (N,) grey value, 0..255; what is darker is read.
        pale: bool (N,) whether it is doubtful that what is there is writing: it is too pale to be read, or
            faint on a page on which others wrote in black.
    """

    thresholds: NDArray[np.float64]
    pale: NDArray[np.bool_]


def ink_levels(
    gray: NDArray[np.uint8],
    threshold: float,
    registration: Registration,
    specs: Sequence[FieldSpec],
    dpi: float,
) -> InkLevels:
    """What is ink in each field: by the page's threshold, or if it is faint by one half-way to the paper.

    Args:
        gray: uint8 (H, W) page, 0 = black.
        threshold: grey value 0..255 between the ink and the paper of the page.
        registration: where the form lies on the page.
        specs: the fields.
        dpi: resolution of the template.

    Returns:
        Of the fields; all faint ones of a page have the same threshold.
    """
    thresholds = np.full(len(specs), threshold)
    if _two_colours(gray):
        return InkLevels(thresholds, np.zeros(len(specs), bool))
    ticks = np.array([spec.layout == "mark" for spec in specs], bool)
    found = _Writing.of(_all_levels(gray, registration, specs, dpi), ticks, threshold)
    faint, pale = found.faint(threshold), found.pale
    for place in np.flatnonzero(faint | pale).tolist():  # on most pages none
        inside = _inside(gray, registration.near(specs[place].box), specs[place], dpi)
        spread = SOFT * registration.scale * dpi
        lost = _lost_by_blur(*inside, float(found.usual[place]), float(found.paper[place]), spread)
        if lost < (SHARP_TICK if ticks[place] else SHARP):  # ticks are drawn with more pressure
            faint[place] = pale[place] = False
    if faint.any():
        thresholds[faint] = np.median((found.usual + found.paper)[faint] / 2)
    # Beside writing in black, what is faint may be in pencil; it may as well be guide text, printed palely.
    return InkLevels(thresholds, pale | faint if found.in_black.any() else pale)


@dataclass(frozen=True, slots=True, eq=False)
class _Writing:
    """What the grey levels of N fields tell of the writing in them.

    Attributes:
        paper: float64 (N,) grey level of the paper.
        usual: float64 (N,) that of the ink, the median.
        contrast: float64 (N,) how much darker than the paper the ink is, in that of the page's threshold.
        in_black: bool (N,) whether something is written as black as print.
        paler: bool (N,) whether something is written, but not so.
    """

    paper: NDArray[np.float64]
    usual: NDArray[np.float64]
    contrast: NDArray[np.float64]
    in_black: NDArray[np.bool_]
    paler: NDArray[np.bool_]

    @classmethod
    def of(cls, counts: NDArray[np.intp], ticks: NDArray[np.bool_], threshold: float) -> "_Writing":
        """Measures fields.

        Args:
            counts: int (N, 256) pixels of each grey level.
            ticks: bool (N,) which are tick boxes.
            threshold: the page's.
        """
        paper, noise = _papers(counts)
        # A tick may cover most of its box: the other fields tell what paper is.
        noise[ticks] = np.minimum(noise, np.median(noise))[ticks]
        paper[ticks] = np.maximum(paper, np.median(paper))[ticks]
        inks = _darker(counts, paper - np.maximum(NOISE * noise, LEAST))
        usual, sizes, least = _quantiles(inks, 0.5), inks.sum(axis=1), WRITTEN * counts.sum(axis=1)
        step = np.maximum(paper - threshold, 1.0)
        black = _darker(counts, threshold - BLACK * step).sum(axis=1)
        written, mostly_black = (sizes > 0) & (sizes >= least), black >= MOST_BLACK * sizes
        in_black = written & mostly_black & (black >= least)
        return cls(paper, usual, (paper - usual) / step, in_black, written & ~mostly_black)

    def faint(self, threshold: float) -> NDArray[np.bool_]:
        """Fields, bool (N,), whose writing is dark enough to be read, but not by the page's threshold."""
        too_dark = threshold < self.usual + TOO_DARK * (self.paper - self.usual)
        return self.paler & (self.contrast >= PALEST) & too_dark

    @property
    def pale(self) -> NDArray[np.bool_]:
        """Fields, bool (N,), whose writing, if it is any, is too pale to be read."""
        return self.paler & (self.contrast >= DOUBTFUL) & (self.contrast < PALEST)


def _two_colours(gray: NDArray[np.uint8]) -> bool:
    """Whether a page has only black and white; then no writing on it is paler than its print."""
    some = gray[::16, ::16]
    return bool(((some == 0) | (some == 255)).all())


def _all_levels(
    gray: NDArray[np.uint8], registration: Registration, specs: Sequence[FieldSpec], dpi: float
) -> NDArray[np.intp]:
    """How many of some pixels of each field have each grey level, int (N, 256)."""
    counts = [_levels(gray, registration.near(spec.box), spec, dpi) for spec in specs]
    return np.array(counts, np.intp).reshape(-1, 256)


def _levels(
    gray: NDArray[np.uint8], registration: Registration, spec: FieldSpec, dpi: float
) -> NDArray[np.intp]:
    """How many pixels have each grey level, int (256,), of some at equal distances inside a field."""
    box = spec.box
    margin = min(MARGIN * dpi, MOST_MARGIN * box.height)
    width, height = box.width - 2 * margin, box.height - 2 * margin
    step = max(1.0, float(np.sqrt(max(width * height, 1.0) / SAMPLES)))
    x = box.x + margin + np.arange(0, width, step)
    for line in spec.printed_lines(FRAME_INSET * dpi):
        x = x[np.abs(x - line) > margin]
    y = box.y + margin + np.arange(0, height, step)[:, None]
    (xx, xy, x0), (yx, yy, y0) = registration.matrix
    column = np.clip(xx * x + (xy * y + x0 + 0.5), 0, gray.shape[1] - 1).astype(np.intp)
    row = np.clip(yx * x + (yy * y + y0 + 0.5), 0, gray.shape[0] - 1).astype(np.intp)
    return np.bincount(gray[row, column].ravel(), minlength=256)


def _inside(
    gray: NDArray[np.uint8], registration: Registration, spec: FieldSpec, dpi: float
) -> tuple[NDArray[np.uint8], NDArray[np.bool_]]:
    """The part of a page around a field, and which of its pixels are inside it and not beside a cell line."""
    box = spec.box
    margin = min(MARGIN * dpi, MOST_MARGIN * box.height)
    lines = spec.printed_lines(FRAME_INSET * dpi)
    edges = [(box.x, box.right), *((line, line) for line in lines)]
    quads = []
    for (left, right), aside in zip(edges, [margin, *[-margin] * len(lines)], strict=True):
        left, right, top, bottom = left + aside, right - aside, box.y + margin, box.bottom - margin
        corners = np.array([[left, top], [right, top], [right, bottom], [left, bottom]])
        quads.append(np.rint(apply_map(registration.matrix, corners)).astype(np.int32))
    low = np.clip(quads[0].min(axis=0), 0, gray.shape[::-1])
    high = np.clip(quads[0].max(axis=0) + 1, 0, gray.shape[::-1])
    part = gray[low[1] : high[1], low[0] : high[0]]
    inside = np.zeros(part.shape, np.uint8)
    if not part.size:  # the page ends before the field
        return part, inside > 0
    for quad, value in zip(quads, [1, *[0] * len(lines)], strict=True):
        cv2.fillConvexPoly(inside, quad - low.astype(np.int32), value)
    return part, inside > 0


def _lost_by_blur(
    part: NDArray[np.uint8], inside: NDArray[np.bool_], ink: float, paper: float, spread: float
) -> float:
    """The share of its contrast that what is as dark as ink loses by a blur: folds and shades lose little."""
    dark = inside & (part < (ink + paper) / 2)
    if not dark.any():
        return 0.0
    blurred = cv2.GaussianBlur(part, (0, 0), spread)
    lost = blurred[dark].astype(np.float64) - part[dark]
    return float(lost.mean() / (paper - ink))


def _papers(counts: NDArray[np.intp]) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """The usual grey level of the paper of each field and the deviation of its noise, float64 (N,).

    ``counts`` are int (N, 256), pixels of each level; what is ink is left out step by step.
    """
    for _ in range(3):
        paper = _quantiles(counts, 0.5)
        noise = (paper - _quantiles(counts, 0.35)) / 0.385  # so many deviations lie between of normal noise
        darkest = paper - np.maximum(3 * noise, LEAST / 2)
        counts = np.where(np.arange(256) >= darkest[:, None], counts, 0)
    return paper, noise


def _darker(counts: NDArray[np.intp], below: NDArray[np.float64]) -> NDArray[np.intp]:
    """Of pixels of each grey level, int (N, 256), those that are darker than a level, float64 (N,)."""
    return np.where(np.arange(256) < below[:, None], counts, 0)


def _quantiles(counts: NDArray[np.intp], share: float) -> NDArray[np.float64]:
    """The grey level, float64 (N,), below which a share of the pixels lies, int (N, 256) of each level."""
    below = np.cumsum(counts, axis=1)
    return (below < share * below[:, -1:]).sum(axis=1).astype(np.float64)
