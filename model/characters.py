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
    read: list[tuple[CharacterReading, ...]] = [()] * len(rows)
    alike: dict[str, list[int]] = {}
    for number, row in enumerate(rows):
        if row.path.candidates:
            alike.setdefault(row.characters, []).append(number)
    for names, numbers in alike.items():
        found = _read_alike([rows[number] for number in numbers], names, shown)
        at = 0
        for number in numbers:
            stop = at + len(rows[number].path.candidates)
            read[number] = tuple(found[at:stop])
            at = stop
    return read


def _read_alike(rows: Sequence[PathLabels], names: str, shown: int) -> list[CharacterReading]:
    """The characters of paths of one charset, row by row."""
    offsets = [0, *accumulate(len(row.candidates) for row in rows)]
    own = [candidate for row in rows for candidate in row.path.candidates]
    lengths = [len(row.path.candidates) for row in rows]
    chosen = np.array(own) + np.repeat(offsets[:-1], lengths)
    labels = np.array([label for row in rows for label in row.path.labels])
    places, holders, same = SharedInk.of([row.lattice for row in rows]).with_each(chosen)
    probabilities = np.concatenate([row.candidates[:, None] * row.shares for row in rows])
    for first, row in zip(offsets, rows, strict=False):
        for candidate, (label, probability) in row.sure.items():
            probabilities[first + candidate] *= 1.0 - probability
            probabilities[first + candidate, label] += probability
    every = np.arange(len(chosen))
    gained = probabilities[holders, labels[places]] * same
    confidences = np.minimum(np.bincount(places, gained, len(chosen)), 1.0)
    around = np.add.reduceat(probabilities[holders], np.searchsorted(places, every))
    around = np.minimum(around, (1.0 - confidences)[:, None])
    around[every, labels] = -1.0
    of, others, values = few_largest(around, LEAST_SHARE, shown)
    named = list(zip([names[k] for k in others.tolist()], values.tolist(), strict=True))
    ends = np.searchsorted(of, np.arange(len(chosen) + 1)).tolist()
    return [
        CharacterReading(names[label], confidence, candidate, tuple(named[first:last]))
        for label, confidence, candidate, first, last in zip(
            labels.tolist(), confidences.tolist(), own, ends, ends[1:], strict=False
        )
    ]


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
