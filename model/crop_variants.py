"""Crops that the classifier is not sure of, read again a little changed: test-time augmentation.

A network that learned from slanted, narrowed and shifted crops still answers each of them a little
differently. Where its answer hangs on such a change, the mean over several says better what stands there, and
how sure that is. Only doubtful crops are worth it, one in twenty of those of digit fields. Letters were read
no better.

Method: averaging over altered copies of the input, as A. Krizhevsky, I. Sutskever, G. E. Hinton, "ImageNet
Classification with Deep Convolutional Neural Networks" (NIPS 2012) did with ten of them.
"""

import cv2
import numpy as np
from numpy.typing import NDArray

from model.alphabets import NOT_A_CHARACTER, charset_mask, only_digits
from model.classifier import Classifier

# What is surely read, and what is surely no character: a margin of 6 and a probability of 0.97 ask for three
# times as many crops and read no more.
MARGIN = 4.0  # nats by which a label that is sure wins
NO_CHARACTER = 0.7  # probability of not-a-character from which a cut is none

# Slanted, stretched and shifted at once: x' = across * x + slant * y, y' = y + down, in pixels from the
# middle of the crop. Chosen on composed fields: six changes one by one read as much and told less of what is
# wrong.
_CHANGES = (
    (0.88, 0.2, 1.0),
    (1.12, -0.2, -1.0),
    (1.12, 0.1, 1.0),
    (0.88, -0.1, -1.0),
)
VARIANTS = len(_CHANGES)


def doubtful(log_probs: NDArray[np.float32], charset: str) -> NDArray[np.bool_]:
    """Which crops are worth a second reading: bool (N,).

    Those that may be a character, but it is not sure which one of the charset.

    Args:
        log_probs: float32 (N, 63), natural logarithms over ``alphabets.CHARACTERS`` and not-a-character.
        charset: of the field; nothing is worth it where other characters than digits may stand, or where the
            charset was not said, "".

    Raises:
        KeyError: no charset has this name.
    """
    if not charset or not only_digits(charset) or not len(log_probs):
        return np.zeros(len(log_probs), bool)
    allowed = np.partition(log_probs[:, charset_mask(charset)], -2, axis=1)
    unsure = allowed[:, -1] - allowed[:, -2] < MARGIN
    return unsure & (log_probs[:, NOT_A_CHARACTER] < np.log(NO_CHARACTER))


def variants(crops: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """Each crop changed in all ways.

    Args:
        crops: uint8 (N, H, W), ink = 255 on 0.

    Returns:
        uint8 (N * ``VARIANTS``, H, W), all of one crop together.
    """
    height, width = crops.shape[1:]
    x, y = (width - 1) / 2, (height - 1) / 2
    maps = [
        np.array([[across, slant, x - across * x - slant * y], [0, 1, down]], np.float32)
        for across, slant, down in _CHANGES
    ]
    changed = np.empty((len(crops) * VARIANTS, height, width), np.uint8)
    for number, crop in enumerate(crops):
        for place, change in enumerate(maps, start=number * VARIANTS):
            cv2.warpAffine(crop, change, (width, height), dst=changed[place])
    return changed


def averaged(log_probs: NDArray[np.float32], of_variants: NDArray[np.float32]) -> NDArray[np.float32]:
    """Logarithms of the mean probabilities of crops and their variants.

    Args:
        log_probs: float32 (N, C) of the crops, over any classes.
        of_variants: float32 (N * ``VARIANTS``, C), in the order of ``variants``.

    Returns:
        float32 (N, C), natural logarithms.
    """
    every = np.concatenate(
        [log_probs[:, None], of_variants.reshape(-1, VARIANTS, log_probs.shape[1])], axis=1
    )
    mean: NDArray[np.float32] = np.logaddexp.reduce(every, axis=1) - np.float32(np.log(VARIANTS + 1))
    return mean


def classify_known(
    classifier: Classifier, crops: NDArray[np.uint8], charset: str | None
) -> NDArray[np.float32]:
    """Log-probabilities of crops whose charset is known, the doubtful ones read in all variants too.

    Args:
        classifier: see ``model.classifier``.
        crops: uint8 (N, 28, 28), ink = 255 on 0.
        charset: what they may be; None if that is not known, and each is read once.

    Returns:
        float32 (N, 63), natural logarithms over ``alphabets.CHARACTERS`` and not-a-character.

    Raises:
        KeyError: no charset has this name.
    """
    log_probs = classifier.classify(crops)
    chosen = np.flatnonzero(doubtful(log_probs, charset or ""))
    if not len(chosen):
        return log_probs
    log_probs = log_probs.copy()
    log_probs[chosen] = averaged(log_probs[chosen], classifier.classify(variants(crops[chosen])))
    return log_probs
