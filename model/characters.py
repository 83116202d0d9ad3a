"""The characters of readings: how probable each is, and what its ink may read else.

Those of all rows are found together: most rows hold a few characters, for which calling numpy costs far more
than computing does.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from itertools import accumulate

import numpy as np
from numpy.typing import NDArray

from model.close_labels import LEAST_SHARE, few_largest
from model.lattice import CharacterReading, Lattice
from model.path_search import Path


@dataclass(frozen=True, slots=True, eq=False)
class PathLabels:
    """A path, and how probable each label of each candidate of its lattice is.

    Attributes:
        lattice: of N candidates.
        characters: the charset of C labels.
        path: the reading.
        candidates: float64 (N,) probability that a candidate is on the path, readable or not.
        shares: float64 (N, C) probability of each label given that.
        sure: label of some candidates, and the probability that it is this one whatever its share is; the
            shares have what is left.
    """

    lattice: Lattice
    characters: str
    path: Path
    candidates: NDArray[np.float64]
    shares: NDArray[np.float64]
    sure: Mapping[int, tuple[int, float]] = field(default_factory=dict)


def read_characters(rows: Sequence[PathLabels], shown: int) -> list[tuple[CharacterReading, ...]]:
    """Characters of paths with their probabilities, summed over the cuts that hold the same ink.

    Args:
        rows: the paths.
        shown: alternatives of a character at most.

    Returns:
        The characters of each path, from left to right.
    """
    lengths = [len(row.path.labels) for row in rows]
    if not sum(lengths):
        return [()] * len(rows)
    offsets = [0, *accumulate(len(row.candidates) for row in rows)]
    own = [candidate for row in rows for candidate in row.path.candidates]
    chosen = np.array(own) + np.repeat(offsets[:-1], lengths)
    labels = np.array([label for row in rows for label in row.path.labels])
    places, holders, same = SharedInk.of([row.lattice for row in rows]).with_each(chosen)
    probabilities = _probabilities(rows, offsets)
    every = np.arange(len(chosen))
    gained = probabilities[holders, labels[places]] * same
    confidences = np.minimum(np.bincount(places, gained, len(chosen)), 1.0)
    around = np.add.reduceat(probabilities[holders], np.searchsorted(places, every))
    around[every, labels] = 0.0
    # Cut in two, the ink reads two characters at once, and both are counted: together they are no likelier
    # than that the label is wrong.
    left, total = 1.0 - confidences, around.sum(axis=1)
    around *= np.divide(left, total, out=np.ones_like(left), where=total > left)[:, None]
    around[every, labels] = -1.0
    values, others = few_largest(around, shown)
    likely = (values > LEAST_SHARE).sum(axis=1).tolist()
    alternatives = list(zip(others.tolist(), values.tolist(), likely, strict=True))
    confident, place = confidences.tolist(), 0
    read = []
    for row in rows:
        names, characters = row.characters, []
        for candidate, label in zip(row.path.candidates, row.path.labels, strict=True):
            other, value, count = alternatives[place]
            else_read = tuple([(names[other[k]], value[k]) for k in range(count)])
            characters.append(CharacterReading(names[label], confident[place], candidate, else_read))
            place += 1
        read.append(tuple(characters))
    return read


def _probabilities(rows: Sequence[PathLabels], offsets: Sequence[int]) -> NDArray[np.float64]:
    """Of each label of the candidates of all rows, float64 (N, C); 0 where a row's charset has fewer."""
    most = max(len(row.characters) for row in rows)
    probabilities = np.zeros((offsets[-1], most))
    for row, first, last in zip(rows, offsets, offsets[1:], strict=False):
        part = probabilities[first:last, : len(row.characters)]
        np.multiply(row.candidates[:, None], row.shares, out=part)
        for candidate, (label, probability) in row.sure.items():
            part[candidate] *= 1.0 - probability
            part[candidate, label] += probability
    return probabilities


@dataclass(frozen=True, slots=True, eq=False)
class SharedInk:
    """Which candidates of some rows hold the same ink. Borders and candidates are numbered in one go.

    Attributes:
        starts, stops: int (N,) the borders between pieces where the candidates begin and end.
        ink: float64 (B,) ink of the row before each border; a row of P pieces has P + 1 of them.
    """

    starts: NDArray[np.intp]
    stops: NDArray[np.intp]
    ink: NDArray[np.float64]

    @classmethod
    def of(cls, lattices: Sequence[Lattice]) -> "SharedInk":
        """That of the candidates of lattices."""
        firsts = [0, *accumulate(len(lattice.piece_ink) + 1 for lattice in lattices)]
        ink = np.zeros(firsts[-1])
        for lattice, begin, end in zip(lattices, firsts, firsts[1:], strict=False):
            np.cumsum(lattice.piece_ink.astype(np.float64) + 1e-9, out=ink[begin + 1 : end])
        first = np.repeat(firsts[:-1], [len(lattice.starts) for lattice in lattices])
        return cls(
            np.concatenate([lattice.starts for lattice in lattices]) + first,
            np.concatenate([lattice.stops for lattice in lattices]) + first,
            ink,
        )

    def with_each(
        self, chosen: NDArray[np.intp]
    ) -> tuple[NDArray[np.intp], NDArray[np.intp], NDArray[np.bool_]]:
        """All candidates that share ink with the chosen ones.

        Args:
            chosen: int (L,) candidates.

        Returns:
            Pairs that share a piece: int (K,) the place in ``chosen``, rising and none missing; int (K,) the
            candidate; and bool (K,), whether the two are the same but for specks: more than half of their
            joint ink is shared. Of these no path can hold two, so their probabilities may be summed.
        """
        starts, stops, ink = self.starts, self.stops, self.ink
        order = np.argsort(starts, kind="stable")
        ordered = starts[order]
        # What shares a piece begins before the end of the chosen one, and no further back than the widest.
        first = np.searchsorted(ordered, starts[chosen] - int((stops - starts).max(initial=0)), side="right")
        counts = np.searchsorted(ordered, stops[chosen], side="left") - first
        places = np.repeat(np.arange(len(chosen)), counts)
        holders = order[np.arange(len(places)) + np.repeat(first - (counts.cumsum() - counts), counts)]
        reaching = stops[holders] > starts[chosen[places]]
        places, holders = places[reaching], holders[reaching]
        mine = chosen[places]
        left, right = np.maximum(starts[mine], starts[holders]), np.minimum(stops[mine], stops[holders])
        shared = ink[right] - ink[left]
        sizes = ink[stops] - ink[starts]
        return places, holders, 2.0 * shared > sizes[mine] + sizes[holders] - shared
