"""Pen strokes to the ink of a binary scan: what a ballpoint or felt pen on a form looks like at 300 dpi.

Training crops are made from this ink by ``normalize_glyph``, exactly as serving crops are made from a page.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

Strokes = Sequence[NDArray[np.float32]]

_MARGIN = 8
_SUBPIXEL_BITS = 4


@dataclass(frozen=True, slots=True)
class Pen:
    """How a hand writes and a scanner sees it; lengths in pixels of the scan.

    Attributes:
        height: longest side of a full-height character.
        width: of the pen's line.
        slant: horizontal shear, positive leans right; tangent of the angle.
        rotation: radians, clockwise on screen.
        aspect: horizontal stretch.
        jitter: amplitude of the slow wobble of the hand, share of ``height``.
        blur: standard deviation of the optics.
        roughness: standard deviation of the grain before the threshold, share of full ink.
        threshold: share of full ink above which a pixel is ink; lower makes thicker lines.
        dropout: share of places where ink is missing.
    """

    height: float
    width: int
    slant: float = 0.0
    rotation: float = 0.0
    aspect: float = 1.0
    jitter: float = 0.0
    blur: float = 0.8
    roughness: float = 0.0
    threshold: float = 0.5
    dropout: float = 0.0


def random_pen(rng: np.random.Generator) -> Pen:
    """A pen and a hand as they occur on forms scanned at 300 dpi."""
    height = rng.uniform(34, 72)
    share = np.clip(rng.lognormal(np.log(0.115), 0.3), 0.055, 0.24)
    return Pen(
        height=height,
        width=int(np.clip(round(height * share), 2, 12)),
        slant=float(rng.normal(0.0, 0.13)),
        rotation=float(rng.normal(0.0, 0.07)),
        aspect=float(np.exp(rng.normal(0.0, 0.11))),
        jitter=float(rng.uniform(0.0, 0.03)),
        blur=float(rng.uniform(0.6, 1.6)),
        roughness=float(rng.choice([0.0, 0.08, 0.15, 0.25])),
        threshold=float(rng.uniform(0.35, 0.6)),
        dropout=float(rng.choice([0.0, 0.0, 0.0, 0.02, 0.05])),
    )


def move_points(strokes: Strokes, pen: Pen, rng: np.random.Generator) -> list[NDArray[np.float32]]:
    """Applies the hand to strokes: scale, aspect, slant, rotation and a slow wobble.

    Args:
        strokes: float (n, 2) x, y each, y down; the longest side of the whole is 1.
        pen: the hand.
        rng: source of the wobble.

    Returns:
        float32 (n, 2) each, in pixels, smallest x and y at 0.
    """
    points = np.concatenate(strokes).astype(np.float32)
    cos, sin = np.cos(pen.rotation), np.sin(pen.rotation)
    shape = np.array([[cos, -sin], [sin, cos]]) @ np.array([[pen.aspect, -pen.slant], [0, 1]])
    moved = points @ shape.T.astype(np.float32)
    if pen.jitter:
        for axis in (0, 1):
            waves = rng.uniform(-9, 9, (2, 2)).astype(np.float32)
            phase = rng.uniform(0, 2 * np.pi, 2).astype(np.float32)
            moved[:, axis] += pen.jitter * np.sin(points @ waves + phase).sum(axis=1)
    moved = (moved - moved.min(axis=0)) * np.float32(pen.height)
    return np.split(moved, np.cumsum([len(stroke) for stroke in strokes])[:-1])


def trace(strokes: Strokes, width: int) -> NDArray[np.uint8]:
    """Draws polylines in pixels with a round pen: uint8 (H, W), 255 = ink, with an empty margin."""
    points = np.concatenate(strokes)
    margin = _MARGIN + width
    right, bottom = np.ceil(points.max(axis=0)).astype(int) + 2 * margin
    canvas = np.zeros((bottom, right), np.uint8)
    fixed = [
        np.round((stroke + margin) * (1 << _SUBPIXEL_BITS)).astype(np.int32).reshape(-1, 1, 2)
        for stroke in (np.repeat(s, 2, axis=0) if len(s) == 1 else s for s in strokes)
    ]
    cv2.polylines(canvas, fixed, False, 255, width, cv2.LINE_8, _SUBPIXEL_BITS)
    return canvas


def scan(ink: NDArray[np.uint8], pen: Pen, rng: np.random.Generator) -> NDArray[np.uint8]:
    """Turns clean ink into a binary scan: blurred, grained, with ink missing, thresholded.

    Args:
        ink: uint8 (H, W), 255 = ink.
        pen: blur, roughness, threshold and dropout.
        rng: source of the grain.

    Returns:
        uint8 (H, W), 0 or 255.
    """
    gray = cv2.GaussianBlur(ink, (0, 0), pen.blur).astype(np.float32)
    height, width = ink.shape
    if pen.roughness:
        grain = rng.standard_normal((height // 2 + 1, width // 2 + 1), np.float32) * (255 * pen.roughness)
        gray += cv2.resize(grain, (width, height), interpolation=cv2.INTER_LINEAR) * (ink > 0)
    if pen.dropout:
        spots = rng.random((height // 3 + 1, width // 3 + 1), np.float32) < pen.dropout
        holes = cv2.resize(spots.astype(np.float32), (width, height), interpolation=cv2.INTER_LINEAR)
        gray -= 255 * holes
    return np.where(gray > 255 * pen.threshold, np.uint8(255), np.uint8(0))


def draw_strokes(strokes: Strokes, pen: Pen, rng: np.random.Generator) -> NDArray[np.uint8]:
    """Draws one character as binary ink.

    Args:
        strokes: float (n, 2) x, y each, y down; the longest side of the whole is 1.
        pen: the hand and the scanner.
        rng: source of wobble and grain.

    Returns:
        uint8 (H, W), 255 = ink, with an empty margin.
    """
    return scan(trace(move_points(strokes, pen, rng), pen.width), pen, rng)


def cross_with_line(ink: NDArray[np.uint8], pen: Pen, rng: np.random.Generator) -> NDArray[np.uint8]:
    """What a removed box line leaves of a character: a band cut out, mended badly, or short bits left over.

    Args:
        ink: uint8 (H, W), 255 = ink.
        pen: gives the size of the character.
        rng: chooses place, thickness and kind.

    Returns:
        uint8 (H, W), 255 = ink; a copy.
    """
    out = ink.copy()
    rows = np.flatnonzero(ink.any(axis=1))
    columns = np.flatnonzero(ink.any(axis=0))
    if len(rows) == 0:
        return out
    thickness = int(rng.integers(2, 5))
    top = int(rng.choice([rows[0], rows[-1] - thickness, rng.integers(rows[0], rows[-1] + 1)]))
    band = slice(max(top, 0), max(top, 0) + thickness)
    if rng.random() < 0.6:
        out[band] = 0
    for _ in range(rng.integers(0, 3)):
        length = int(pen.height * rng.uniform(0.05, 0.3))
        start = int(rng.integers(max(columns[0] - length // 2, 0), columns[-1] + 1))
        out[band.start : band.start + max(1, thickness - 1), start : start + length] = 255
    return out


def add_neighbour(
    ink: NDArray[np.uint8], neighbour: NDArray[np.uint8], rng: np.random.Generator
) -> NDArray[np.uint8]:
    """Leaves a piece of a neighbour's stroke at the left or right edge of a character.

    Args:
        ink: uint8 (H, W), 255 = ink.
        neighbour: another character's ink, uint8 (h, w).
        rng: chooses side, size of the piece and height.

    Returns:
        uint8 (H, W + something), 255 = ink.
    """
    piece = crop_ink(neighbour)
    share = max(2, int(piece.shape[1] * rng.uniform(0.08, 0.2)))
    piece = piece[:, -share:] if rng.random() < 0.5 else piece[:, :share]
    rows = np.flatnonzero(piece.any(axis=1))
    if len(rows):
        keep = max(2, int(len(rows) * rng.uniform(0.2, 0.7)))
        piece = piece[rows[0] : rows[0] + keep] if rng.random() < 0.5 else piece[-keep:]
    body = crop_ink(ink)
    gap = int(rng.integers(0, 5))
    offset = int(rng.integers(0, max(1, body.shape[0] - piece.shape[0] + 1)))
    character, bit = (body, 0), (piece, offset)
    return beside(character, bit, gap) if rng.random() < 0.5 else beside(bit, character, gap)


def beside(
    left: tuple[NDArray[np.uint8], int], right: tuple[NDArray[np.uint8], int], gap: int
) -> NDArray[np.uint8]:
    """Puts two inks side by side, each ``(ink, rows from the top)``; a negative gap makes them overlap."""
    (a, a_top), (b, b_top) = left, right
    start = max(0, a.shape[1] + gap)
    out = np.zeros(
        (max(a_top + a.shape[0], b_top + b.shape[0]), max(a.shape[1], start + b.shape[1])), np.uint8
    )
    out[a_top : a_top + a.shape[0], : a.shape[1]] = a
    view = out[b_top : b_top + b.shape[0], start : start + b.shape[1]]
    np.maximum(view, b, out=view)
    return out


def crop_ink(ink: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """The smallest rectangle that holds all ink; the whole image if there is none."""
    rows, columns = np.flatnonzero(ink.any(axis=1)), np.flatnonzero(ink.any(axis=0))
    if len(rows) == 0:
        return ink
    return ink[rows[0] : rows[-1] + 1, columns[0] : columns[-1] + 1]
