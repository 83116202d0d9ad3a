"""Ink that is no character, as wrong cuts make it: halves, halves of two, pairs, line remains, specks."""

from collections.abc import Sequence

import cv2
import numpy as np
from numpy.typing import NDArray

from segmentation.pen import Pen, beside, crop_ink, scan

_BAR = 0.34  # a piece more slender than this may well be a 1, l or I


def merge(inks: Sequence[NDArray[np.uint8]], pen: Pen, rng: np.random.Generator) -> NDArray[np.uint8]:
    """Neighbours taken for one character: side by side on one line, touching or nearly.

    Args:
        inks: two or more inks, uint8 (H, W), 255 = ink.
        pen: its height measures gaps and drift.
        rng: chooses gaps and drift.

    Returns:
        uint8 (H, W), 255 = ink.
    """
    bodies = [crop_ink(ink) for ink in inks]
    tallest = max(len(body) for body in bodies)
    row = bodies[0], tallest - len(bodies[0])
    for body in bodies[1:]:
        drift = int(rng.normal(0, 0.06) * pen.height)
        top = max(0, tallest - len(body) + drift)
        gap = int(rng.uniform(-0.12, 0.14) * pen.height)
        row = beside(row, (body, top), gap), 0
    return row[0]


def cut_part(
    ink: NDArray[np.uint8], rng: np.random.Generator, low: float, high: float, left: bool
) -> NDArray[np.uint8]:
    """The left or right part of a character, a share of its width between ``low`` and ``high``."""
    body = crop_ink(ink)
    width = max(1, round(body.shape[1] * rng.uniform(low, high)))
    return body[:, :width] if left else body[:, -width:]


def half(ink: NDArray[np.uint8], rng: np.random.Generator) -> NDArray[np.uint8] | None:
    """About half a character, cut upright; None where that would be a bar, which is a character."""
    part = crop_ink(cut_part(ink, rng, 0.3, 0.7, bool(rng.random() < 0.5)))
    return None if not part.any() or part.shape[1] < _BAR * part.shape[0] else part


def straddle(
    first: NDArray[np.uint8], second: NDArray[np.uint8], pen: Pen, rng: np.random.Generator
) -> NDArray[np.uint8]:
    """The right part of one character with the left part of the next: two wrong cuts."""
    parts = [cut_part(first, rng, 0.25, 0.6, False), cut_part(second, rng, 0.25, 0.6, True)]
    return merge([part for part in parts if part.any()] or parts, pen, rng)


def line_remains(pen: Pen, rng: np.random.Generator) -> NDArray[np.uint8]:
    """What is left of a printed rule: one or a few ragged horizontal bits."""
    length = int(pen.height * rng.uniform(0.3, 1.2))
    ink = np.zeros((40, length + 20), np.uint8)
    row = 12
    for _ in range(rng.integers(1, 4)):
        start, stop = sorted(rng.integers(10, length + 10, 2))
        cv2.line(
            ink,
            (int(start), row),
            (int(stop) + 4, row + int(rng.integers(-1, 2))),
            255,
            int(rng.integers(2, 5)),
        )
        row += int(rng.integers(0, 5))
    return scan(ink, pen, rng)


def specks(pen: Pen, rng: np.random.Generator) -> NDArray[np.uint8]:
    """Dirt: a blob, or a few of them with nothing between."""
    ink = np.zeros((48, 48), np.uint8)
    for _ in range(rng.integers(1, 5)):
        center = tuple(int(v) for v in rng.integers(14, 34, 2))
        axes = tuple(int(v) for v in rng.integers(1, 6, 2))
        cv2.ellipse(ink, center, axes, float(rng.uniform(0, 180)), 0, 360, 255, -1)
    return scan(ink, pen, rng)
