"""Words in held-out hands, with punctuation drawn beside their letters, for benchmarks that write text."""

from collections.abc import Sequence
from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

from jobs.composing import Source
from model.alphabets import CHARACTERS, PUNCTUATION
from model.writing_lines import EXTENTS
from segmentation.composition import LineHabits, compose_line

SOURCE = "unipen"  # the only data set with hands that wrote all letters
MOST_BORROWED = 8  # of the characters that are needed a hand may lack so many; they come from other hands


@dataclass(frozen=True, eq=False)
class Sign:
    """A letter, digit or mark as written: uint8 (h, w), ink > 0; top and bottom in heights of a capital."""

    ink: NDArray[np.uint8]
    extent: tuple[float, float]


class Hands:
    """Those hands of a source that wrote nearly all characters that are needed."""

    def __init__(self, source: Source, needed: str) -> None:
        """Sorts the characters of the source."""
        self._source = source
        wanted = {CHARACTERS.index(character) for character in needed if character in CHARACTERS}
        of_hand = {int(hand): np.flatnonzero(source.writers == hand) for hand in np.unique(source.writers)}
        self._rows = {
            hand: rows
            for hand, rows in of_hand.items()
            if len(wanted - set(source.labels[rows].tolist())) <= MOST_BORROWED
        }

    def __len__(self) -> int:
        """How many."""
        return len(self._rows)

    def write(self, words: Sequence[str], capital: float, rng: np.random.Generator) -> list[list[Sign]]:
        """The signs of each word, all by one hand with one pen, where a capital is so many pixels high.

        Raises:
            ValueError: a character is neither one of the model's nor ``PUNCTUATION``, or nobody wrote it.
        """
        own = self._rows[int(rng.choice(list(self._rows)))]
        everywhere = np.concatenate(list(self._rows.values()))
        letters = [character for word in words for character in word if character not in PUNCTUATION]
        chosen = [self._row(character, own, everywhere, rng) for character in letters]
        inks = self._source.draw(np.array(chosen), capital, rng)
        pen, drawn = _pen_width(inks), iter(inks)
        return [
            [
                draw_mark(character, capital, pen, rng)
                if character in PUNCTUATION
                else Sign(next(drawn), EXTENTS[character])
                for character in word
            ]
            for word in words
        ]

    def _row(
        self, character: str, own: NDArray[np.intp], everywhere: NDArray[np.intp], rng: np.random.Generator
    ) -> int:
        label = CHARACTERS.index(character)
        for rows in (own, everywhere):
            found = rows[self._source.labels[rows] == label]
            if len(found):
                return int(rng.choice(found))
        raise ValueError(f"nobody wrote {character!r}")


def set_word(
    signs: Sequence[Sign], capital: float, habits: LineHabits, rng: np.random.Generator
) -> tuple[NDArray[np.bool_], int]:
    """A word as ink, bool (h, w), and the row of its base line."""
    line = compose_line([sign.ink for sign in signs], [sign.extent for sign in signs], capital, habits, rng)
    used = np.flatnonzero(line.ink.any(axis=0))
    # The area of a row without a frame ends where the frame would run.
    base = round(line.area.bottom - (habits.rule_level - 1) * capital)
    return line.ink[:, used[0] : used[-1] + 1], base


def draw_mark(mark: str, capital: float, pen: int, rng: np.random.Generator) -> Sign:
    """One of ``PUNCTUATION`` as a stroke of a pen, which is so many pixels wide."""
    size = float(rng.uniform(0.6, 1.3))
    if mark == ",":
        points = [(0.1, 0.9), (0.1 + 0.08 * size, 1.02), (0.1 - 0.1 * size, 1 + 0.25 * size)]
    elif mark == ".":
        points = [(0.0, 0.97), (0.04 * size, 1.0)]
    elif mark == "-":
        level = float(rng.uniform(0.42, 0.65))
        points = [(0.0, level), (float(rng.uniform(0.25, 0.6)), level + float(rng.normal(0, 0.03)))]
    else:
        top, bottom = float(rng.uniform(-0.25, 0.05)), float(rng.uniform(1.0, 1.3))
        points = [(float(np.tan(np.radians(rng.uniform(14, 40)))) * (bottom - top), top), (0.0, bottom)]
    at = np.array(points)
    top, bottom = float(at[:, 1].min()), float(at[:, 1].max())
    pixels = np.rint((at - at.min(axis=0)) * capital).astype(np.int32) + pen
    ink = np.zeros(tuple((pixels.max(axis=0) + pen + 1)[::-1].tolist()), np.uint8)
    cv2.polylines(ink, [pixels], False, 255, pen)
    half = pen / 2 / capital
    return Sign(ink, (top - half, bottom + half))


def _pen_width(inks: Sequence[NDArray[np.uint8]]) -> int:
    """Pixels: from the mean distance to paper within a character, a quarter of it in a straight stroke."""
    depths = []
    for ink in inks:
        inside = np.pad(ink > 0, 1)
        depths.append(cv2.distanceTransform(inside.view(np.uint8), cv2.DIST_L2, 5)[inside].mean())
    return max(2, round(3.6 * float(np.median(depths))))
