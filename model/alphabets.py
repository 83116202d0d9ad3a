"""Class index <-> character, the only place; charsets and their masks."""

import string
from functools import lru_cache

import numpy as np
from numpy.typing import NDArray

CHARACTERS = string.digits + string.ascii_uppercase + string.ascii_lowercase
NOT_A_CHARACTER = len(CHARACTERS)
CLASS_COUNT = len(CHARACTERS) + 1
# What free text may have besides; no classes of the model, see ``model.punctuation``.
PUNCTUATION = ",.-/"

CHARSETS: dict[str, str] = {
    "digits": string.digits,
    "upper": string.ascii_uppercase,
    "lower": string.ascii_lowercase,
    "letters": string.ascii_uppercase + string.ascii_lowercase,
    "alphanumeric": string.digits + string.ascii_uppercase,
    "text": CHARACTERS,
}

_INDEX = {character: index for index, character in enumerate(CHARACTERS)}


def class_index(character: str) -> int:
    """Index of a character's class, 0..61; raises KeyError for a character the model does not know."""
    return _INDEX[character]


def only_digits(charset: str) -> bool:
    """Whether nothing but digits may stand in a field of a charset.

    Raises:
        KeyError: no charset has this name.
    """
    return CHARSETS[charset].isdigit()


@lru_cache(maxsize=64)
def charset_mask(charset: str) -> NDArray[np.bool_]:
    """Which classes a charset allows: bool (63,), never the not-a-character class. Read-only.

    Raises:
        KeyError: no charset has this name.
    """
    mask = np.zeros(CLASS_COUNT, bool)
    mask[[_INDEX[c] for c in CHARSETS[charset]]] = True
    mask.flags.writeable = False
    return mask
