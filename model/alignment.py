"""What was read beside what was written: alignment of two strings, and the counts that follow from it.

The alignment is the one of least edits (Levenshtein 1966; Wagner and Fischer 1974), every edit costing the
same, as in the Scoring Package of NIST for forms (Garris 1993), which counts characters that are missing
(deletions), characters that stand instead of others (substitutions) and characters too many (insertions). Of
several alignments with equally few edits always the same is taken.
"""

from collections.abc import Iterable
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray


@dataclass(frozen=True, slots=True)
class EditCounts:
    """How characters of the truth fared; adds up over fields.

    Attributes:
        hits: characters read right.
        substitutions: characters read as another.
        insertions: characters read where the truth has none.
        deletions: characters of the truth that were not read.
    """

    hits: int = 0
    substitutions: int = 0
    insertions: int = 0
    deletions: int = 0

    def __add__(self, other: "EditCounts") -> "EditCounts":
        """The counts of both together."""
        return EditCounts(
            self.hits + other.hits,
            self.substitutions + other.substitutions,
            self.insertions + other.insertions,
            self.deletions + other.deletions,
        )

    @property
    def characters(self) -> int:
        """Characters of the truth."""
        return self.hits + self.substitutions + self.deletions

    @property
    def edits(self) -> int:
        """The Levenshtein distance."""
        return self.substitutions + self.insertions + self.deletions

    @property
    def accuracy(self) -> float | None:
        """Share of the truth's characters that were read right, 0..1; None if it has none."""
        return self.hits / self.characters if self.characters else None

    @property
    def error_rate(self) -> float | None:
        """Edits per character of the truth, 0 or more; above 1 if much was invented; None without any."""
        return self.edits / self.characters if self.characters else None


@dataclass(frozen=True, slots=True)
class Alignment:
    """Two strings side by side.

    Attributes:
        pairs: (character of the truth, character read) from left to right; ``""`` where one has none.
        counts: hits and the three kinds of error, counted once, as a report asks for them many times.
    """

    pairs: tuple[tuple[str, str], ...]
    counts: EditCounts = field(init=False, compare=False, repr=False)

    def __post_init__(self) -> None:
        """Counts."""
        hits = sum(truth == read for truth, read in self.pairs)
        insertions = sum(not truth for truth, _ in self.pairs)
        deletions = sum(not read for _, read in self.pairs)
        counts = EditCounts(hits, len(self.pairs) - hits - insertions - deletions, insertions, deletions)
        object.__setattr__(self, "counts", counts)

    @property
    def errors(self) -> tuple[tuple[str, str], ...]:
        """The pairs that differ."""
        return tuple(pair for pair in self.pairs if pair[0] != pair[1])


def align(truth: str, read: str) -> Alignment:
    """Aligns a reading with the truth by the fewest edits.

    Among equals, from the end of the strings: a pair rather than a gap, and a deletion rather than an
    insertion.
    """
    if truth == read:
        return Alignment(tuple(zip(truth, read, strict=True)))
    costs = _edit_costs(truth, read)
    pairs: list[tuple[str, str]] = []
    i, j = len(truth), len(read)
    while i or j:
        cost = costs[i, j]
        if i and j and cost == costs[i - 1, j - 1] + (truth[i - 1] != read[j - 1]):
            i, j = i - 1, j - 1
            pairs.append((truth[i], read[j]))
        elif i and cost == costs[i - 1, j] + 1:
            i -= 1
            pairs.append((truth[i], ""))
        else:
            j -= 1
            pairs.append(("", read[j]))
    return Alignment(tuple(reversed(pairs)))


def certain_pairs(truth: str, read: str) -> tuple[tuple[int, int], ...]:
    """Which characters surely belong to each other: (place in the truth, place in the reading), rising.

    A pair is sure if every alignment of least edits has it, and its neighbours too: beside a gap, a cut may
    hold a part of what is missing. "rn" read as "m" gives nothing, "1934" read as "134" only the 4.
    """
    before, after = _edit_costs(truth, read), _edit_costs(truth[::-1], read[::-1])[::-1, ::-1]
    least = before[-1, -1]
    letters = np.array([ord(c) for c in read], np.int32)
    sure: dict[int, int] = {}
    for i, character in enumerate(truth):
        paired = before[i, :-1] + (letters != ord(character)) + after[i + 1, 1:] == least
        left_out = before[i] + 1 + after[i + 1] == least
        if paired.sum() == 1 and not left_out.any():
            sure[i] = int(paired.argmax())
    sure[-1], sure[len(truth)] = -1, len(read)
    return tuple(
        (i, sure[i])
        for i in range(len(truth))
        if i in sure and sure.get(i - 1) == sure[i] - 1 and sure.get(i + 1) == sure[i] + 1
    )


def add_counts(counts: Iterable[EditCounts]) -> EditCounts:
    """The sum; zeros for none."""
    hits = substitutions = insertions = deletions = 0
    for one in counts:
        hits += one.hits
        substitutions += one.substitutions
        insertions += one.insertions
        deletions += one.deletions
    return EditCounts(hits, substitutions, insertions, deletions)


def _edit_costs(truth: str, read: str) -> NDArray[np.int32]:
    """Least edits from every beginning of the truth to every beginning of the reading: int32 (n+1, m+1).

    A row at a time: with the best of pairing and deleting known for a whole row, insertions only run to the
    right, and the cheapest start of such a run is a running minimum.
    """
    letters = np.array([ord(c) for c in read], np.int32)
    steps = np.arange(len(read) + 1, dtype=np.int32)
    costs = np.empty((len(truth) + 1, len(read) + 1), np.int32)
    costs[0] = steps
    for i, character in enumerate(truth, 1):
        above = costs[i - 1]
        row = above + 1
        np.minimum(row[1:], above[:-1] + (letters != ord(character)), out=row[1:])
        costs[i] = np.minimum.accumulate(row - steps) + steps
    return costs
