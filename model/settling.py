"""Which bodies of ink are surely whole characters, so that nothing else need be tried with them."""

import numpy as np
from numpy.typing import NDArray

from model.alphabets import NOT_A_CHARACTER, charset_mask

# Probability of not-a-character up to which a body is taken for a whole character. Which one it is does not
# matter here: 1 and l are whole characters both. On composed fields 0.01 to 0.1 read as many digits right
# as cutting everything; of letters and words 2 to 4 in a hundred more.
DOUBT = 0.05


def surely_whole(
    log_probs: NDArray[np.float32], charset: str, most: int, doubt: float = DOUBT
) -> NDArray[np.bool_]:
    """Which bodies are whole characters for the classifier.

    Args:
        log_probs: float32 (B, 63) of the bodies of a row, each as one candidate.
        charset: of the field; classes of other characters are left out of account.
        most: characters that the field may hold. If more bodies than these were sure, none is.
        doubt: probability of not-a-character, 0..1, up to which a body counts as whole.

    Returns:
        bool (B,).

    Raises:
        KeyError: no charset has this name.
    """
    characters = np.logaddexp.reduce(log_probs[:, np.flatnonzero(charset_mask(charset))], axis=1)
    whole: NDArray[np.bool_] = log_probs[:, NOT_A_CHARACTER] - characters <= np.log(doubt / (1 - doubt))
    return whole if whole.sum() <= most else np.zeros_like(whole)
