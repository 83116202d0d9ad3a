"""Makes a page ready to look for a form on it, and looks: streaks out, light even, negatives as positives."""

from collections.abc import Callable
from contextlib import suppress
from typing import TypeVar

import numpy as np
from numpy.typing import NDArray

from segmentation.illumination import even_light
from segmentation.registration import RegistrationError
from segmentation.streaks import without_streaks

Found = TypeVar("Found")

STEP = 16  # pixels between those that tell whether a page is dark
NEGATIVE = 96  # grey value of the usual pixel, below which a page may be a negative


def find_on_page(
    gray: NDArray[np.uint8], find: Callable[[NDArray[np.uint8]], Found]
) -> tuple[NDArray[np.uint8], Found]:
    """Prepares a page and finds a form on it; a dark page on which none is found is looked at as a negative.

    Args:
        gray: uint8 (H, W), 0 = black, as decoded.
        find: what looks for the form on an even page; raises ``RegistrationError`` if it is not there.

    Returns:
        The page on which the form was found, uint8 (H, W), writing dark on light; and what was found.

    Raises:
        RegistrationError: as ``find`` raised it for the page as it is.
    """
    prepared = _prepare(gray)
    try:
        return prepared, find(prepared)
    except RegistrationError:
        if np.median(gray[::STEP, ::STEP]) >= NEGATIVE:
            raise
        prepared = _prepare(np.bitwise_not(gray))
        with suppress(RegistrationError):
            return prepared, find(prepared)
        raise


def _prepare(gray: NDArray[np.uint8]) -> NDArray[np.uint8]:
    clean = without_streaks(gray)
    even = even_light(clean)
    return even if even is clean else without_streaks(even)  # those that shade has hidden
