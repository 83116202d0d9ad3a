"""What tells a right reading from a wrong one beside its probability: how surely each label won, how much ink
was left out, and how many characters reach the upper edge of the field, whose printed line may have cost them
what tells a 9 from a 4.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

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
    rows = zip(lattices, readings, charsets, strict=True)
    measured = iter(_measured([_Read.of(*row) for row in rows if row[1].characters]))
    return [
        next(measured) if reading.characters else _nothing_read(lattice)
        for lattice, reading in zip(lattices, readings, strict=True)
    ]


def _nothing_read(lattice: Lattice) -> Evidence:
    """The evidence for a reading without characters."""
    return Evidence(left_out=1.0 if lattice.piece_ink.sum() > 0 else 0.0)


@dataclass(frozen=True, slots=True)
class _Read:
    """A row, and of each character of its reading the candidate and the class, -1 of what is no class."""

    lattice: Lattice
    charset: str
    candidates: list[int]
    labels: list[int]

    @classmethod
    def of(cls, lattice: Lattice, reading: Reading, charset: str) -> "_Read":
        """That of a reading."""
        candidates = [character.candidate for character in reading.characters]
        return cls(lattice, charset, candidates, [CHARACTERS.find(c.label) for c in reading.characters])


def _measured(rows: Sequence[_Read]) -> list[Evidence]:
    """The evidence for rows of which each has characters.

    What is said of single characters below is of L in all, those of one row after the other.
    """
    if not rows:
        return []
    firsts = np.cumsum([0, *(len(row.candidates) for row in rows[:-1])])
    margins = -np.log(np.add.reduceat(_doubts(rows), firsts) + _LEAST_DOUBT)
    used = np.add.reduceat(_ink(rows).astype(np.float64), firsts).tolist()
    tops = np.concatenate([row.lattice.bounds[row.candidates, 1] for row in rows])
    touching = np.minimum(np.add.reduceat((tops <= 0).astype(np.float64), firsts), _MOST_TOUCHING)
    inked = [float(row.lattice.piece_ink.sum()) for row in rows]
    left_out = [
        min(max(1.0 - own / ink, 0.0), 1.0) if ink > 0 else 0.0 for own, ink in zip(used, inked, strict=True)
    ]
    return [*map(Evidence, margins.tolist(), left_out, touching.tolist())]


def _doubts(rows: Sequence[_Read]) -> NDArray[np.float64]:
    """How probable the next label of each character is, in that of the one that was read: float64 (L,).

    Above 1 where a rule chose a label against the ink. Punctuation is no class: there the likeliest label of
    the charset stands for it.
    """
    log_probs = np.concatenate([row.lattice.log_probs[row.candidates] for row in rows])
    lengths = [len(row.candidates) for row in rows]
    allowed = np.repeat([charset_mask(row.charset) for row in rows], lengths, axis=0)
    log_probs[~allowed] = -np.inf
    labels = np.array([label for row in rows for label in row.labels])
    best = np.where(labels >= 0, labels, log_probs.argmax(axis=1))
    every = np.arange(len(log_probs))
    first = log_probs[every, best]
    log_probs[every, best] = -np.inf
    return np.exp(np.minimum(log_probs.max(axis=1) - first, 50.0), dtype=np.float64)


def _ink(rows: Sequence[_Read]) -> NDArray[np.float32]:
    """The ink of the pieces of each character, float32 (L,)."""
    ink = np.concatenate([row.lattice.piece_ink for row in rows])
    lengths, pieces = [len(row.candidates) for row in rows], [len(row.lattice.piece_ink) for row in rows]
    starts = np.concatenate([row.lattice.starts[row.candidates] for row in rows])
    widths = np.concatenate([row.lattice.stops[row.candidates] for row in rows]) - starts
    starts = starts + np.repeat(np.cumsum([0, *pieces[:-1]]), lengths)
    taken: NDArray[np.float32] = ink[starts]
    for place in range(1, int(widths.max())):
        wide = np.flatnonzero(widths > place)
        taken[wide] += ink[starts[wide] + place]
    return taken
