"""Rows in which one digit is crossed out, drawn over with the ways that people have of doing so."""

from collections.abc import Callable

import cv2
import numpy as np
from numpy.typing import NDArray

from jobs.composing import Ink, Source
from model.alphabets import class_index

KINDS = ("rising", "falling", "cross", "level", "twice", "scribble", "loops")
SHARES = (0.16, 0.1, 0.25, 0.1, 0.11, 0.18, 0.1)
LINED = (class_index("0"), class_index("7"))  # which some write with a line through them
SINGLE = ("rising", "falling", "level")


class StrikingSource:
    """A source of which each row has one character crossed out.

    Attributes:
        places: of that character in each row that was drawn, from 0.
    """

    def __init__(self, source: Source, kind: str | None = None) -> None:
        """Takes what it draws over, and one of ``KINDS``, None for any."""
        self._source, self._kind = source, kind
        self.labels, self.writers = source.labels, source.writers
        self.places: list[int] = []

    def draw(self, rows: NDArray[np.int64], capital: float, rng: np.random.Generator) -> list[Ink]:
        """See ``Source``."""
        inks = self._source.draw(rows, capital, rng)
        place = int(rng.integers(len(inks)))
        label = int(self.labels[rows[place]])
        inks[place] = strike_out(inks[place], label, capital, rng, self._kind)
        self.places.append(place)
        return inks


def strike_out(
    ink: Ink, label: int, capital: float, rng: np.random.Generator, kind: str | None = None
) -> Ink:
    """A character crossed out.

    Args:
        ink: uint8 (h, w), ink > 0.
        label: its class, which some strokes would be part of.
        capital: height of a capital, pixels.
        rng: all chance.
        kind: one of ``KINDS``, None for any.

    Returns:
        Somewhat larger, as strokes go beyond the character.
    """
    drawn = str(rng.choice(KINDS, p=SHARES))  # also where it is told, so that all else stays the same
    kind = kind or drawn
    if kind in SINGLE and label in LINED:
        kind = "cross"
    beside = int(capital * rng.uniform(0, 0.15))
    over = beside // 3
    struck = np.pad(ink, ((over, over), (beside, beside)))
    pen = max(2, round(capital * rng.uniform(0.04, 0.11)))
    room = np.array(struck.shape[::-1], float) - pen
    for stroke in _STROKES[kind](rng):
        if len(stroke) == 2:
            stroke = _bowed(stroke, rng)
        points = np.clip(stroke, 0, 1) * np.maximum(room, 1) + pen / 2
        cv2.polylines(struck, [points.round().astype(np.int32)], False, 255, pen)
    return struck


Stroke = NDArray[np.float64]  # (N, 2) x, y, each 0..1 of the character's box


def _bowed(stroke: Stroke, rng: np.random.Generator) -> Stroke:
    along = np.linspace(0, 1, 9)[:, None]
    way = stroke[1] - stroke[0]
    aside = np.array([-way[1], way[0]]) * rng.normal(0, 0.03)
    return stroke[0] + along * way + np.sin(np.pi * along) * aside


def _rising(rng: np.random.Generator) -> list[Stroke]:
    a, b, c, d = np.abs(rng.normal(0, 0.08, 4))
    return [np.array([[a, 1 - b], [1 - c, d]])]


def _falling(rng: np.random.Generator) -> list[Stroke]:
    a, b, c, d = np.abs(rng.normal(0, 0.08, 4))
    return [np.array([[a, b], [1 - c, 1 - d]])]


def _cross(rng: np.random.Generator) -> list[Stroke]:
    return _rising(rng) + _falling(rng)


def _level(rng: np.random.Generator) -> list[Stroke]:
    middle, turn = rng.normal(0.5, 0.1), rng.normal(0, 0.05)
    return [np.array([[0, middle + turn], [1, middle - turn]])]


def _twice(rng: np.random.Generator) -> list[Stroke]:
    middle, apart, turn = rng.normal(0.5, 0.08), rng.uniform(0.05, 0.13), rng.normal(0, 0.08)
    return [np.array([[0, y + turn], [1, y - turn]]) for y in (middle - apart, middle + apart)]


def _scribble(rng: np.random.Generator) -> list[Stroke]:
    count = int(rng.integers(5, 14))
    if rng.random() < 0.5:
        return [rng.random((count, 2))]
    down = np.linspace(0, 1, count) + rng.normal(0, 0.05, count)
    return [np.stack([np.arange(count) % 2, down], axis=1)]


def _loops(rng: np.random.Generator) -> list[Stroke]:
    turns = int(rng.integers(2, 5))
    angle = np.linspace(0, 2 * np.pi * turns, 16 * turns)
    drift = np.linspace(-1, 1, len(angle))
    across = 0.5 + rng.uniform(0.3, 0.5) * np.cos(angle) + drift * rng.normal(0, 0.1)
    down = 0.5 + rng.uniform(0.25, 0.5) * np.sin(angle + rng.normal(0, 0.5)) + drift * rng.normal(0, 0.15)
    return [np.stack([across, down], axis=1)]


_WAYS: tuple[Callable[[np.random.Generator], list[Stroke]], ...] = (
    _rising,
    _falling,
    _cross,
    _level,
    _twice,
    _scribble,
    _loops,
)
_STROKES = dict(zip(KINDS, _WAYS, strict=True))
