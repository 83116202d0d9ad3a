"""What tells a right reading from a wrong one beside its probability: how surely each label won, how much ink
was left out, and how many characters reach the upper edge of the field, whose printed line may have cost them
what tells a 9 from a 4.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import accumulate

import numpy as np

from model.alphabets import CHARACTERS, charset_mask
from model.lattice import Lattice, Reading

_LEAST_DOUBT = 1e-3  # labels that won by more than its logarithm make a reading no surer
_MOST_TOUCHING = 3.0  # characters; where more touch the line, the reading is no less sure


@dataclass(frozen=True, slots=True)
class Evidence:
    """Beside the probability of a reading.

    Attributes:
        margin: by how much the labels won over the next ones of the charset, by the classifier alone, in nats
            up to 6.9: -log(sum(exp(-m))) over the margins m of all characters, a soft least. Below 0 where
            several hardly won; nothing read won by nothing.
        left_out: share of the row's ink that belongs to no character of the reading, 0..1.
        touching: characters that reach the upper edge of the writing area, 0 to 3.
    """

    margin: float = 0.0
    left_out: float = 0.0
    touching: float = 0.0


NONE = Evidence()


def evidence_of(lattice: Lattice, reading: Reading, charset: str) -> Evidence:
    """The evidence for a reading of a lattice, whose field has a charset.

    Raises:
        KeyError: the charset is unknown.
    """
    return evidence_of_rows([lattice], [reading], [charset])[0]


def evidence_of_rows(
    lattices: Sequence[Lattice], readings: Sequence[Reading], charsets: Sequence[str]
) -> list[Evidence]:
    """The evidence for each of the readings of some rows, as ``evidence_of``.

    Raises:
        KeyError: a charset is unknown.
    """
    chosen = [[character.candidate for character in reading.characters] for reading in readings]
    read = [number for number, own in enumerate(chosen) if own]
    inked = [float(lattice.piece_ink.sum()) for lattice in lattices]
    evidence = [Evidence(0.0, 1.0 if ink > 0 else 0.0) for ink in inked]
    if not read:
        return evidence
    log_probs = np.concatenate([lattices[row].log_probs[chosen[row]] for row in read])
    lengths = [len(chosen[row]) for row in read]
    allowed = np.repeat([charset_mask(charsets[row]) for row in read], lengths, axis=0)
    log_probs[~allowed] = -np.inf
    high = np.concatenate([lattices[row].bounds[chosen[row], 1] for row in read]) <= 0
    every = np.arange(len(log_probs))
    labels = np.array([CHARACTERS.find(one.label) for row in read for one in readings[row].characters])
    # What was read, which a rule may have chosen against the ink; punctuation is no class.
    best = np.where(labels >= 0, labels, log_probs.argmax(axis=1))
    first = log_probs[every, best]
    log_probs[every, best] = -np.inf
    doubts = np.exp(np.minimum(log_probs.max(axis=1) - first, 50.0), dtype=np.float64)
    starts = np.concatenate([lattices[row].starts[chosen[row]] for row in read])
    widths = np.concatenate([lattices[row].stops[chosen[row]] for row in read]) - starts
    pieces = [0, *accumulate(len(lattices[row].piece_ink) for row in read)]
    starts = starts + np.repeat(pieces[:-1], lengths)
    ink = np.concatenate([lattices[row].piece_ink for row in read])
    taken = ink[starts]
    for place in range(1, int(widths.max())):
        wide = np.flatnonzero(widths > place)
        taken[wide] += ink[starts[wide] + place]
    firsts = np.cumsum([0, *lengths[:-1]])
    margins = (-np.log(np.add.reduceat(doubts, firsts) + _LEAST_DOUBT)).tolist()
    used = np.add.reduceat(taken.astype(np.float64), firsts).tolist()
    touching = np.minimum(np.add.reduceat(high.astype(np.float64), firsts), _MOST_TOUCHING).tolist()
    for row, margin, own, reaching in zip(read, margins, used, touching, strict=True):
        left_out = min(max(1.0 - own / inked[row], 0.0), 1.0) if inked[row] > 0 else 0.0
        evidence[row] = Evidence(margin, left_out, reaching)
    return evidence
