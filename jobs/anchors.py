"""Crops that a model trained further should go on reading as before, made without any data set.

Rows of the handwriting fonts that ship are composed and cut as those of a page are, so right cuts and wrong
ones are among them: what the model says of them now is what it should still say afterwards.
"""

import numpy as np
from numpy.typing import NDArray

from jobs.composing import DIGITS, LOWER, UPPER, LineComposer, random_habits
from model.alphabets import CHARACTERS, NOT_A_CHARACTER
from segmentation.composition import WRONG_CUT
from segmentation.handwriting import HAND_FONTS, draw_glyph, random_hand

Ink = NDArray[np.uint8]

_NAME = "rendered"
_KINDS = (DIGITS, UPPER, LOWER)
_WRONG_OF_RIGHT = 0.5  # wrong cuts kept for each right one; a row has several times as many


class RenderedSource:
    """Every character in every handwriting font, as a ``jobs.composing.Source``; each font is a hand."""

    def __init__(self) -> None:
        """Lists the characters; nothing is drawn before it is asked for."""
        fonts, classes = np.meshgrid(np.arange(len(HAND_FONTS)), np.arange(len(CHARACTERS)), indexing="ij")
        self.labels = np.repeat(classes.ravel(), 2).astype(np.int16)
        self.writers = np.repeat(fonts.ravel(), 2).astype(np.int32)

    def draw(self, rows: NDArray[np.int64], capital: float, rng: np.random.Generator) -> list[Ink]:
        """See ``jobs.composing.Source``."""
        hands: dict[int, object] = {}
        stroke = capital * float(rng.uniform(0.07, 0.16))
        inks = []
        for row in rows:
            font = int(self.writers[row])
            hand = hands.setdefault(font, random_hand(rng, HAND_FONTS[font]))
            glyph = draw_glyph(CHARACTERS[self.labels[row]], hand, capital, stroke, 1.0, rng)  # type: ignore[arg-type]
            inks.append(glyph.ink.astype(np.uint8) * np.uint8(255))
        return inks


def rendered_crops(count: int, seed: int) -> tuple[Ink, NDArray[np.int16]]:
    """Crops of rendered writing as the segmenter cuts them.

    Returns:
        uint8 (count, 28, 28), and int16 (count,): the class of a right cut, not-a-character of a wrong one.
    """
    composer, rng = LineComposer({_NAME: RenderedSource()}), np.random.default_rng(seed)
    crops: list[Ink] = []
    labels: list[NDArray[np.int16]] = []
    made = 0
    while made < count:
        kind, length = _KINDS[int(rng.integers(3))], int(rng.integers(4, 11))
        row, classes = composer.compose_string(_NAME, kind, length, random_habits(rng), rng)
        lattice, verdict = row.candidates()
        right = np.flatnonzero(verdict >= 0)
        wrong = rng.permutation(np.flatnonzero(verdict == WRONG_CUT))[: round(_WRONG_OF_RIGHT * length)]
        crops += [lattice.crops[right], lattice.crops[wrong]]
        labels.append(np.array([classes[i] for i in verdict[right]], np.int16))
        labels.append(np.full(len(wrong), NOT_A_CHARACTER, np.int16))
        made += len(right) + len(wrong)
    return np.concatenate(crops)[:count], np.concatenate(labels)[:count]
