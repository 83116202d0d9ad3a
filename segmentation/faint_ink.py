"""Finds fields written in pencil or a pale pen, for which the page's threshold of ink is too dark.

One threshold for a page parts its print from its paper. Writing that is much paler than the print falls on
the paper's side, and its fields would count as blank.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from segmentation.registration import Registration
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


@dataclass(frozen=True, slots=True)
class InkLevels:
    """What is ink in each of N fields.

    Attributes:
        thresholds: float64 (N,) grey value, 0..255; what is darker is read.
        pale: bool (N,) whether nothing is, but something paler is there that may be writing.
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
    thresholds, pale = np.full(len(specs), threshold), np.zeros(len(specs), bool)
    if _two_colours(gray):
        return InkLevels(thresholds, pale)
    counts = np.array([_levels(gray, registration, spec, dpi) for spec in specs]).reshape(-1, 256)
    paper, noise = _papers(counts)
    above = paper - np.maximum(NOISE * noise, LEAST)
    inks = np.where(np.arange(256) < above[:, None], counts, 0)
    sizes, usual = inks.sum(axis=1), _quantiles(inks, 0.5)
    written = (sizes > 0) & (sizes >= WRITTEN * counts.sum(axis=1))
    step = np.maximum(paper - threshold, 1.0)
    black = np.where(np.arange(256) < (threshold - BLACK * step)[:, None], counts, 0).sum(axis=1)
    contrast = (paper - usual) / step
    faint = written & (contrast >= PALEST) & (threshold < usual + TOO_DARK * (paper - usual))
    faint &= black < MOST_BLACK * sizes
    if faint.any():
        thresholds[faint] = np.median((usual + paper)[faint] / 2)
    return InkLevels(thresholds, written & (contrast >= DOUBTFUL) & (contrast < PALEST))


def _two_colours(gray: NDArray[np.uint8]) -> bool:
    """Whether a page has only black and white, as most archives have; then no writing is paler than print."""
    some = gray[::16, ::16]
    return bool(((some == 0) | (some == 255)).all())


def _levels(
    gray: NDArray[np.uint8], registration: Registration, spec: FieldSpec, dpi: float
) -> NDArray[np.intp]:
    """How many pixels have each grey level, int (256,), of some at equal distances inside a field."""
    box = spec.box
    margin = min(MARGIN * dpi, MOST_MARGIN * box.height)
    width, height = box.width - 2 * margin, box.height - 2 * margin
    step = max(1.0, float(np.sqrt(max(width * height, 1.0) / SAMPLES)))
    x = box.x + margin + np.arange(0, width, step)
    for line in spec.cell_lines:
        x = x[np.abs(x - line) > margin]
    y = box.y + margin + np.arange(0, height, step)[:, None]
    (xx, xy, x0), (yx, yy, y0) = registration.matrix
    column = np.clip(xx * x + (xy * y + x0 + 0.5), 0, gray.shape[1] - 1).astype(np.intp)
    row = np.clip(yx * x + (yy * y + y0 + 0.5), 0, gray.shape[0] - 1).astype(np.intp)
    return np.bincount(gray[row, column].ravel(), minlength=256)


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


def _quantiles(counts: NDArray[np.intp], share: float) -> NDArray[np.float64]:
    """The grey level, float64 (N,), below which a share of the pixels lies, int (N, 256) of each level."""
    below = np.cumsum(counts, axis=1)
    return (below < share * below[:, -1:]).sum(axis=1).astype(np.float64)
