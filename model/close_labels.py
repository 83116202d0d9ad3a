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
        count = min(labels.shape[1], LABELS_TRIED)
        place = labels.shape[1] - count
        least = np.partition(labels, place, axis=1)[:, place : place + 1]
        _, columns, values = _few(labels, labels >= least, count)
        return cls(values.reshape(-1, count), columns.reshape(-1, count))

    @classmethod
    def joined(cls, parts: "Sequence[CloseLabels]") -> "CloseLabels":
        """Those of the candidates of several rows of one charset, at least one."""
        return cls(
            np.concatenate([part.values for part in parts]), np.concatenate([part.labels for part in parts])
        )

    def part(self, rows: slice) -> "CloseLabels":
        """Those of neighbouring candidates."""
        return CloseLabels(self.values[rows], self.labels[rows])

    def pairs(self) -> list[list[tuple[float, int]]]:
        """For each candidate its log-probabilities and labels, best first."""
        rows = zip(self.values.tolist(), self.labels.tolist(), strict=True)
        return [list(zip(values, labels, strict=True)) for values, labels in rows]


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


def few_largest(
    values: NDArray[np.float64], least: float, count: int
) -> tuple[NDArray[np.intp], NDArray[np.intp], NDArray[np.float64]]:
    """The largest values of each row, largest first; of equal ones the leftmost first.

    Args:
        values: float64 (R, C).
        least: only larger ones are looked at; best where few are.
        count: how many of a row at most.

    Returns:
        int (K,) the row of each value found, rising; int (K,) its column; float64 (K,) the value.
    """
    return _few(values, values > least, count)


def _few(
    values: NDArray[np.float64], among: NDArray[np.bool_], count: int
) -> tuple[NDArray[np.intp], NDArray[np.intp], NDArray[np.float64]]:
    """The largest values of each row among some of them, as ``few_largest`` gives them."""
    rows, columns = np.nonzero(among)
    found = values[rows, columns]
    order = np.lexsort((-found, rows))  # keeps the order of equal ones
    order = order[np.arange(len(rows)) - np.searchsorted(rows, rows) < count]
    return rows[order], columns[order], found[order]
