"""The characters of a reading: how probable each is, and what its ink may read else."""

from collections.abc import Mapping, Sequence
from math import exp, inf

import numpy as np
from numpy.typing import NDArray

from model.close_labels import LABELS_TRIED, LEAST_SHARE, CloseLabels, few_largest
from model.lattice import CharacterReading, Lattice
from model.lattice_chain import LatticeChain
from model.path_scores import PathScores
from model.path_search import Path


class LabelProbabilities:
    """Probability of each label of each candidate, computed where it is asked for.

    Most readings ask for a few labels of the candidates of one path, out of thousands of numbers.
    """

    def __init__(
        self,
        scores: PathScores,
        chain: LatticeChain,
        candidates: NDArray[np.float64],
        sure: Mapping[int, tuple[int, float]] | None = None,
    ) -> None:
        """Takes what the probabilities are products of.

        Args:
            scores: of N candidates and C labels.
            chain: that gives the share of each label.
            candidates: float64 (N,) probability that a candidate is on the path, readable or not.
            sure: label of some candidates, and the probability that it is this one whatever its share is; the
                shares have what is left.
        """
        self._scores, self._chain, self._sure = scores, chain, sure or {}
        self._every, self._candidates = candidates, candidates.tolist()
        self._close = scores.close or CloseLabels.of(scores.labels, inf)
        self._cuts = scores.cuts.tolist()

    def matrix(self) -> NDArray[np.float64]:
        """All of them, float64 (N, C)."""
        labels = self._every[:, None] * self._chain.shares
        for candidate, (label, probability) in self._sure.items():
            labels[candidate] *= 1.0 - probability
            labels[candidate, label] += probability
        return labels

    def of(self, candidate: int, label: int) -> float:
        """That of one label of a candidate."""
        value = self._candidates[candidate] * float(self._chain.shares[candidate, label])
        known, probability = self._sure.get(candidate, (label, 0.0))
        return value * (1.0 - probability) + (probability if known == label else 0.0)

    def close(self, candidate: int) -> list[tuple[int, float]]:
        """The likeliest labels of a candidate by their share, best first, each with its probability.

        ``LABELS_TRIED`` at most, and none with less than ``LEAST_SHARE`` of the best one's share.
        """
        known, probability = self._sure.get(candidate, (-1, 0.0))
        factor = self._candidates[candidate] * (1.0 - probability)
        mass, cut, heat = self._chain.masses[candidate], self._cuts[candidate], self._chain.temperature
        labels = [
            (label, factor * exp((value + cut) / heat - mass))
            for value, label in self._close.labels[candidate]
        ]
        if probability == 0.0:
            return labels
        return [(label, value + probability if label == known else value) for label, value in labels]


def read_characters(
    lattice: Lattice,
    scores: PathScores,
    path: Path,
    labels: LabelProbabilities | NDArray[np.float64],
    trust: float,
    shown: int,
) -> tuple[CharacterReading, ...]:
    """Characters of a path with their probabilities, summed over the cuts that hold the same ink.

    Args:
        lattice: of N candidates.
        scores: of its arcs.
        path: the reading.
        labels: probability of each label of each candidate, (N, C).
        trust: factor of all probabilities.
        shown: alternatives of a character at most.
    """
    places = list(range(len(path.labels)))
    found: dict[int, CharacterReading] = {}
    if isinstance(labels, LabelProbabilities) and shown < LABELS_TRIED:
        shared = _sharing(scores, path.candidates)
        for place in places:
            if place not in shared:
                found[place] = _single(
                    scores.characters, path.candidates[place], path.labels[place], labels, trust, shown
                )
        places = sorted(shared)
    if places:
        every = labels.matrix() if isinstance(labels, LabelProbabilities) else labels
        part = Path(0.0, *(tuple([own[k] for k in places]) for own in (path.candidates, path.labels)))
        found.update(
            zip(places, _overlapping(lattice, scores.characters, part, trust * every, shown), strict=True)
        )
    return tuple([found[place] for place in range(len(path.labels))])


def _single(
    names: str, candidate: int, label: int, labels: LabelProbabilities, trust: float, shown: int
) -> CharacterReading:
    """A character whose ink no other candidate holds: what it may read else are its own close labels."""
    confidence = min(trust * labels.of(candidate, label), 1.0)
    most = 1.0 - confidence
    if most <= LEAST_SHARE:
        return CharacterReading(names[label], confidence, candidate, ())
    others = [
        (names[other], min(trust * value, most))
        for other, value in labels.close(candidate)
        if other != label and trust * value > LEAST_SHARE
    ]
    return CharacterReading(names[label], confidence, candidate, tuple(others[:shown]))


def _overlapping(
    lattice: Lattice, names: str, path: Path, labels: NDArray[np.float64], shown: int
) -> list[CharacterReading]:
    """Characters of a path, each summed over all cuts that hold its ink."""
    chosen, own, places = np.array(path.candidates), np.array(path.labels), np.arange(len(path.labels))
    overlaps, same = shared_ink(lattice, chosen)
    confidences = np.minimum(summed(same, labels)[places, own], 1.0)
    around = np.minimum(summed(overlaps, labels), (1.0 - confidences)[:, None])
    around[places, own] = -1.0
    others = few_largest(around, LEAST_SHARE, shown)
    rows = zip(path.candidates, path.labels, confidences.tolist(), others, strict=True)
    return [
        CharacterReading(names[label], confidence, candidate, tuple([(names[k], v) for v, k in values]))
        for candidate, label, confidence, values in rows
    ]


def summed(which: NDArray[np.bool_], values: NDArray[np.float64]) -> NDArray[np.float64]:
    """For each of L rows of ``which``, bool (L, N), the sum of its values of (N, ...); no row may be empty.

    A product of matrices would do nearly all its work on zeros, and on several threads.
    """
    rows, columns = np.nonzero(which)
    return np.add.reduceat(values[columns], np.searchsorted(rows, np.arange(len(which))), axis=0)


def _sharing(scores: PathScores, chosen: Sequence[int]) -> set[int]:
    """Which of the candidates of a path, by their place on it, share ink with any other candidate."""
    starts, stops = scores.starts, scores.stops
    if len(chosen) == len(starts):
        return set()  # all candidates are of one path
    covers = [0] * len(scores.skips)
    for start, stop in zip(starts, stops, strict=True):
        for piece in range(start, stop):
            covers[piece] += 1
    return {
        place
        for place, candidate in enumerate(chosen)
        if max(covers[starts[candidate] : stops[candidate]]) > 1
    }


def shared_ink(lattice: Lattice, chosen: NDArray[np.integer]) -> tuple[NDArray[np.bool_], NDArray[np.bool_]]:
    """Which candidates share ink with the chosen ones, and which are the same but for specks.

    Returns:
        Two bool (chosen, N): those that share a piece; and those of which more than half of the joint ink
        is shared. Of the latter no path can hold two, so their probabilities may be summed.
    """
    ink = np.append(0.0, (lattice.piece_ink.astype(np.float64) + 1e-9).cumsum())
    starts, stops = lattice.starts, lattice.stops
    first = np.maximum(starts[chosen][:, None], starts)
    last = np.minimum(stops[chosen][:, None], stops)
    overlaps = last > first
    shared = np.where(overlaps, ink[np.maximum(last, first)] - ink[first], 0.0)
    sizes = ink[stops] - ink[starts]
    same = 2.0 * shared > sizes[chosen][:, None] + sizes - shared
    return overlaps, same
