"""The one character on a picture: its label, how sure that is, and what else it may be."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from model.alphabets import CHARACTERS, NOT_A_CHARACTER
from model.classifier import Classifier
from model.crop_variants import classify_known
from model.evaluation import restrict
from segmentation.images import ImageLimits, open_document
from segmentation.normalization import normalize_glyph
from segmentation.snapshot import find_character


@dataclass(frozen=True)
class Prediction:
    """What stands on one picture.

    Attributes:
        label: the likeliest character of the charset; empty if there is no ink.
        confidence: its probability among the charset, 0..1.
        alternatives: the next characters, (character, probability), likeliest first.
        not_a_character: probability that the ink is no character at all, 0..1.
    """

    label: str
    confidence: float
    alternatives: tuple[tuple[str, float], ...]
    not_a_character: float


def crop_of(data: bytes, limits: ImageLimits | None = None) -> NDArray[np.uint8]:
    """The character on a picture file, first page if it has several: uint8 (28, 28), normalised.

    Raises:
        ImageError: it is no picture that can be read.
    """
    with open_document(data, limits or ImageLimits()) as document:
        return normalize_glyph(find_character(document.read(1).gray))


def predict(
    classifier: Classifier, crops: NDArray[np.uint8], charset: str, alternatives: int
) -> list[Prediction]:
    """Classifies crops, uint8 (N, 28, 28); a crop without ink is not a character with certainty."""
    log_probs = classify_known(classifier, crops, charset)
    chosen = np.exp(restrict(log_probs, charset))
    predictions = []
    for crop, log_row, row in zip(crops, log_probs, chosen, strict=True):
        if not crop.any():
            predictions.append(Prediction("", 0.0, (), 1.0))
            continue
        order = np.argsort(-row)[: alternatives + 1]
        ranked = [(CHARACTERS[i], round(float(row[i]), 6)) for i in order if row[i] > 0]
        nothing = round(float(np.exp(log_row[NOT_A_CHARACTER])), 6)
        predictions.append(Prediction(*ranked[0], tuple(ranked[1:]), min(nothing, 1.0)))
    return predictions
