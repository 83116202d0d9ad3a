"""What tells a right reading from a wrong one beside its probability: how surely each label won, and how
much ink was left out.
"""

from dataclasses import dataclass

import numpy as np

from model.alphabets import charset_mask
from model.lattice import Lattice, Reading

_MOST = 12.0  # nats; a label that won by more is no surer


@dataclass(frozen=True, slots=True)
class Evidence:
    """Beside the probability of a reading.

    Attributes:
        margin: by how much the least sure label won over the next one of the charset, by the classifier
            alone, in nats, 0 to 12. Nothing read won by nothing.
        left_out: share of the row's ink that belongs to no character of the reading, 0..1.
    """

    margin: float = 0.0
    left_out: float = 0.0


NONE = Evidence()


def evidence_of(lattice: Lattice, reading: Reading, charset: str) -> Evidence:
    """The evidence for a reading of a lattice, whose field has a charset.

    Raises:
        KeyError: the charset is unknown.
    """
    inked = float(lattice.piece_ink.sum())
    if not reading.characters:
        return Evidence(0.0, 1.0 if inked > 0 else 0.0)
    chosen = [character.candidate for character in reading.characters]
    log_probs = lattice.log_probs[chosen][:, charset_mask(charset)]
    margin = _MOST
    if log_probs.shape[1] > 1:
        second, first = np.partition(log_probs, -2, axis=1)[:, -2:].T
        margin = float(np.minimum(first - second, _MOST).min())
    taken = sum(
        float(lattice.piece_ink[start:stop].sum())
        for start, stop in zip(lattice.starts[chosen].tolist(), lattice.stops[chosen].tolist(), strict=True)
    )
    return Evidence(margin, min(max(1.0 - taken / inked, 0.0), 1.0) if inked > 0 else 0.0)
