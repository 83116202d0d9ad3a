"""Seeded handwriting: glyphs of openly licensed handwriting fonts, written by a hand with its own habits.

A font's outline becomes a signed distance field, which is warped smoothly and cut at another level: so the
pen's thickness is free, no two equal letters are alike, and edges are as rough as those of scanned ink.
Lengths in pixels are meant at 300 dpi unless said otherwise; ``y`` grows downwards.
"""

from dataclasses import dataclass
from functools import lru_cache
from importlib import resources
from io import BytesIO

import cv2
import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageDraw, ImageFont

HAND_FONTS = (
    "annie-use-your-telescope",
    "architects-daughter",
    "gaegu",
    "gloria-hallelujah",
    "kalam",
    "patrick-hand",
    "schoolbell",
    "shadows-into-light",
)
FALLBACK_FONT = "patrick-hand"  # has all of printable ASCII; gaegu lacks the backtick
MASTER_HEIGHT = 96  # capital height of the cached outlines, px
MASTER_MARGIN = 40
LOWEST_OFFSET = -0.1  # a heavy font may lose this share of its stroke on either side before hairlines break


@dataclass(frozen=True, slots=True)
class Hand:
    """The habits of one writer.

    Attributes:
        font: one of ``HAND_FONTS``.
        height: height of capitals and digits, px.
        width: horizontal stretch of the letters, 1 = as the font has it.
        slant: degrees that the letters lean to the right beyond the font's own slant.
        stroke: thickness of the pen's stroke, px.
        gap: white between two letters, in units of ``height``.
        unevenness: how much equal letters, gaps and the baseline differ, 0 = like print, 1 = lively.
        slope: degrees that the rows climb (negative) or fall.
        touching: probability that a letter touches the one before it.
        crossing: probability that the writing of a field touches or runs over its frame.
    """

    font: str
    height: float
    width: float
    slant: float
    stroke: float
    gap: float
    unevenness: float
    slope: float
    touching: float
    crossing: float


@dataclass(frozen=True, slots=True)
class Glyph:
    """A written character: ``ink`` bool (H, W) without margins; its first row lies at ``baseline + top``."""

    ink: NDArray[np.bool_]
    top: int


@dataclass(frozen=True, slots=True)
class _Master:
    """A font's glyph: signed distance to the outline in px, positive in ink; where its origin lies."""

    distance: NDArray[np.float32]
    origin: tuple[float, float]
    ink_width: float


def random_hand(rng: np.random.Generator, font: str | None = None) -> Hand:
    """Draws a legible writer; ``font`` fixes the shapes of the letters (default: any of ``HAND_FONTS``)."""
    return Hand(
        font=font or HAND_FONTS[int(rng.integers(len(HAND_FONTS)))],
        height=float(rng.uniform(46, 70)),
        width=float(rng.uniform(0.92, 1.2)),
        slant=float(rng.normal(2, 5)),
        stroke=float(rng.uniform(5.2, 8.0)),
        gap=float(rng.uniform(0.16, 0.5)),
        unevenness=float(rng.uniform(0.5, 1.1)),
        slope=float(rng.normal(0, 0.5)),
        touching=float(rng.choice([0.0, 0.02, 0.05, 0.12], p=[0.4, 0.3, 0.2, 0.1])),
        crossing=float(rng.choice([0.03, 0.1, 0.25], p=[0.4, 0.4, 0.2])),
    )


def natural_width(char: str, hand: Hand) -> float:
    """Width of a character's ink at a capital height of 1, before any unevenness; 0.35 for a space."""
    if char.isspace():
        return 0.35
    lean = abs(np.tan(np.radians(hand.slant)))
    return float(_master(hand.font, char).ink_width / MASTER_HEIGHT * hand.width + 0.6 * lean)


def draw_glyph(
    char: str, hand: Hand, height: float, stroke: float, width: float, rng: np.random.Generator
) -> Glyph:
    """Writes one character.

    Args:
        char: a printable ASCII character, not a space.
        hand: whose habits to follow.
        height: height of a capital in px of the page.
        stroke: thickness of the stroke in px of the page.
        width: horizontal stretch, on top of the hand's own.
        rng: the only source of chance.
    """
    master = _master(hand.font, char)
    lively = hand.unevenness
    scale = height / MASTER_HEIGHT * (1 + 0.045 * lively * rng.normal())
    stretch = scale * hand.width * width * (1 + 0.04 * lively * rng.normal())
    lean = np.tan(np.radians(hand.slant + 1.8 * lively * rng.normal()))
    turn = np.radians(1.8 * lively * rng.normal())
    shape = np.array([[stretch, -lean * scale], [0, scale]])
    rotation = np.array([[np.cos(turn), -np.sin(turn)], [np.sin(turn), np.cos(turn)]])
    distance, top = _warp(master, rotation @ shape, 0.022 * lively * MASTER_HEIGHT, rng)
    mean_scale = float(np.sqrt(scale * stretch))
    offset = (stroke - _font_stroke(hand.font) * mean_scale) / 2
    offset = max(offset, LOWEST_OFFSET * _font_stroke(hand.font) * mean_scale)
    level = distance * mean_scale + offset + _roughness(distance.shape, stroke, rng)
    return _trimmed(level > 0, top)


def _warp(
    master: _Master, matrix: NDArray[np.float64], wobble: float, rng: np.random.Generator
) -> tuple[NDArray[np.float32], int]:
    """Samples the distance field through an affine map and a smooth random displacement (elastic warp)."""
    rows, columns = master.distance.shape
    corners = np.array([[0, columns, 0, columns], [0, 0, rows, rows]], np.float64)
    corners -= np.array(master.origin)[:, None]
    low, high = np.floor((matrix @ corners).min(axis=1)), np.ceil((matrix @ corners).max(axis=1))
    width, height = (high - low).astype(int)
    inverse = np.linalg.inv(matrix)
    u = np.arange(width, dtype=np.float64)[None, :] + low[0]
    v = np.arange(height, dtype=np.float64)[:, None] + low[1]
    bend = rng.normal(0, wobble, (4, 4, 2)).astype(np.float32)
    smooth = cv2.resize(bend, (int(width), int(height)), interpolation=cv2.INTER_CUBIC)
    map_x = (inverse[0, 0] * u + inverse[0, 1] * v + master.origin[0]).astype(np.float32) + smooth[..., 0]
    map_y = (inverse[1, 0] * u + inverse[1, 1] * v + master.origin[1]).astype(np.float32) + smooth[..., 1]
    far = float(-MASTER_MARGIN)
    warped = cv2.remap(
        master.distance, map_x, map_y, cv2.INTER_LINEAR, borderMode=cv2.BORDER_CONSTANT, borderValue=far
    )
    return warped, int(low[1])


def _roughness(shape: tuple[int, ...], stroke: float, rng: np.random.Generator) -> NDArray[np.float32]:
    """What pressure and paper add to half the stroke: slow changes along it and a jagged edge, in px."""
    rows, columns = shape
    pressure = rng.normal(0, 0.055 * stroke, (5, 5)).astype(np.float32)
    grain = rng.normal(0, 0.055 * stroke, (rows // 3 + 2, columns // 3 + 2)).astype(np.float32)
    size = (columns, rows)
    smooth: NDArray[np.float32] = cv2.resize(pressure, size, interpolation=cv2.INTER_CUBIC)
    return smooth + cv2.resize(grain, size, interpolation=cv2.INTER_LINEAR)


def _trimmed(ink: NDArray[np.bool_], top: int) -> Glyph:
    rows, columns = np.flatnonzero(ink.any(axis=1)), np.flatnonzero(ink.any(axis=0))
    if len(rows) == 0:
        return Glyph(np.ones((1, 1), np.bool_), -1)
    return Glyph(ink[rows[0] : rows[-1] + 1, columns[0] : columns[-1] + 1], top + int(rows[0]))


@lru_cache(maxsize=32)
def load_font(name: str, size: float, weight: int = 400) -> ImageFont.FreeTypeFont:
    """A font that ships in ``segmentation/fonts``, at ``size`` px an em."""
    source = resources.files("segmentation") / "fonts" / f"{name}-latin-{weight}-normal.woff"
    return ImageFont.truetype(BytesIO(source.read_bytes()), size, layout_engine=ImageFont.Layout.BASIC)


@lru_cache(maxsize=len(HAND_FONTS))
def _master_font(name: str) -> ImageFont.FreeTypeFont:
    """The font at the size where its H is ``MASTER_HEIGHT`` high."""
    top = load_font(name, 200).getbbox("H", anchor="ls")[1]
    return load_font(name, 200 * MASTER_HEIGHT / -top)


@lru_cache(maxsize=1024)
def _master(name: str, char: str) -> _Master:
    font = _master_font(name)
    left, top, right, bottom = (int(edge) for edge in font.getbbox(char, anchor="ls"))
    if right <= left or bottom <= top:
        if name == FALLBACK_FONT:
            raise ValueError(f"no font has a glyph for {char!r}")
        return _master(FALLBACK_FONT, char)
    x, y = MASTER_MARGIN - left, MASTER_MARGIN - top
    size = (right - left + 2 * MASTER_MARGIN, bottom - top + 2 * MASTER_MARGIN)
    image = Image.new("L", size, 0)
    ImageDraw.Draw(image).text((x, y), char, font=font, fill=255, anchor="ls")
    ink = (np.asarray(image) > 127).astype(np.uint8)
    inside = cv2.distanceTransform(ink, cv2.DIST_L2, 5)
    outside = cv2.distanceTransform(1 - ink, cv2.DIST_L2, 5)
    return _Master((inside - outside).astype(np.float32), (x, y), float(right - left))


@lru_cache(maxsize=len(HAND_FONTS))
def _font_stroke(name: str) -> float:
    """Thickness of a font's stroke in px of its masters.

    Across a stroke of thickness t the distance to its edge rises to t/2 and falls again: its mean is t/4.
    """
    fields = [_master(name, char).distance for char in "AEHLOTanou2357"]
    return 4 * float(np.mean(np.concatenate([field[field > 0] for field in fields])))
