"""Which bodies of ink are surely whole characters, so that nothing else need be tried with them."""

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from model.alphabets import NOT_A_CHARACTER, charset_mask

# Probability of not-a-character up to which a body is taken for a whole character. Which one it is does not
# matter here: 1 and l are whole characters both. On composed fields 0.01 to 0.1 read as many digits right
# as cutting everything; of letters and words 2 to 4 in a hundred more.
DOUBT = 0.05


def surely_whole(
    log_probs: Sequence[NDArray[np.float32]],
    charsets: Sequence[str],
    most: Sequence[int],
    doubt: float = DOUBT,
) -> list[NDArray[np.bool_]]:
    """Which bodies are whole characters for the classifier.

    Args:
        log_probs: of each row float32 (B, 63) of its bodies, each as one candidate.
        charsets: of the field of each row; classes of other characters are left out of account.
        most: characters that each row may hold. If more bodies than these were sure, none is.
        doubt: probability of not-a-character, 0..1, up to which a body counts as whole.

    Returns:
        Of each row bool (B,).

    Raises:
        KeyError: no charset has this name.
    """
    settled: list[NDArray[np.bool_]] = [np.zeros(len(own), bool) for own in log_probs]
    for charset in dict.fromkeys(charsets):  # rows of one charset together
        rows = [row for row, name in enumerate(charsets) if name == charset]
        together = np.concatenate([log_probs[row] for row in rows])
        characters = np.logaddexp.reduce(together[:, np.flatnonzero(charset_mask(charset))], axis=1)
        whole = together[:, NOT_A_CHARACTER] - characters <= np.log(doubt / (1 - doubt))
        ends = np.cumsum([len(log_probs[row]) for row in rows])[:-1]
        for row, own in zip(rows, np.split(whole, ends), strict=True):
            if np.count_nonzero(own) <= most[row]:
                settled[row] = own
    return settled
