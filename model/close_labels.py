"""What is asked of the labels of candidates again and again: the best few, and all of them summed."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

# Readings less probable than this, relative to the best, are not worth a reader's time.
LEAST_SHARE = 1e-4
LABELS_TRIED = 5  # of a candidate, on the best paths


@dataclass(frozen=True, slots=True)
class CloseLabels:
    """The best labels of each candidate, which are all that most readings ask for.

    Attributes:
        values: float64 (N, K) log-probabilities of the K best, best first; K is ``LABELS_TRIED``, or fewer
            where the charset has no more.
        labels: int (N, K) which ones they are.
    """

    values: NDArray[np.float64]
    labels: NDArray[np.intp]

    @classmethod
    def of(cls, labels: NDArray[np.float64]) -> "CloseLabels":
        """Those of ``PathScores.labels``, float64 (N, C); of equal ones the leftmost first."""
        return cls(*few_largest(labels, LABELS_TRIED))

    @classmethod
    def joined(cls, parts: "Sequence[CloseLabels]") -> "CloseLabels":
        """Those of the candidates of several rows of one charset, at least one."""
        return cls(
            np.concatenate([part.values for part in parts]), np.concatenate([part.labels for part in parts])
        )

    def part(self, rows: slice) -> "CloseLabels":
        """Those of neighbouring candidates."""
        return CloseLabels(self.values[rows], self.labels[rows])


@dataclass(frozen=True, slots=True)
class Readable:
    """Each candidate with all of its labels together.

    Attributes:
        temperature: by which scores are divided before they are summed.
        shares: float64 (N, C) probability of each label given that the candidate is on the path. Rows sum
            to less than 1: the rest is that the candidate is unreadable.
        masses: float64 (N,) logarithm of the summed weights of all labels and of the unreadable character.
    """

    temperature: float
    shares: NDArray[np.float64]
    masses: NDArray[np.float64]

    @classmethod
    def of(
        cls,
        labels: NDArray[np.float64],
        cuts: NDArray[np.float64],
        unreadable: NDArray[np.float64],
        temperature: float,
    ) -> "Readable":
        """Sums arrays of ``PathScores``."""
        weights = np.exp((labels + (cuts - unreadable)[:, None]) / temperature)
        totals = 1.0 + weights.sum(axis=1)
        weights /= totals[:, None]
        return cls(temperature, weights, unreadable / temperature + np.log(totals))

    def part(self, rows: slice) -> "Readable":
        """That of neighbouring candidates."""
        return Readable(self.temperature, self.shares[rows], self.masses[rows])


def few_largest(values: NDArray[np.float64], count: int) -> tuple[NDArray[np.float64], NDArray[np.intp]]:
    """The largest values of each row, largest first; of equal ones the leftmost first.

    Args:
        values: float64 (R, C).
        count: how many of a row; all of them if there are fewer.

    Returns:
        float64 (R, K) the values; int (R, K) their columns.
    """
    left, every = values.copy(), np.arange(len(values))
    count = min(count, values.shape[1])
    found, columns = np.empty((len(values), count)), np.empty((len(values), count), np.intp)
    for place in range(count):  # a few passes: sorting all of a row takes longer
        columns[:, place] = best = left.argmax(axis=1)
        found[:, place] = left[every, best]
        left[every, best] = -np.inf
    return found, columns
