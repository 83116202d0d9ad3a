"""What is asked of the labels of candidates again and again: the best few, and all of them summed."""

from dataclasses import dataclass
from operator import itemgetter

import numpy as np
from numpy.typing import NDArray

# Readings less probable than this, relative to the best, are not worth a reader's time.
LEAST_SHARE = 1e-4
LABELS_TRIED = 5  # of a candidate, on the best paths
_VALUE = itemgetter(0)


@dataclass(frozen=True, slots=True)
class CloseLabels:
    """The best labels of each candidate, which are all that most readings ask for.

    Attributes:
        margin: labels so far below the candidate's best are left out.
        labels: for each candidate at most ``LABELS_TRIED`` pairs of log-probability and label, best first.
    """

    margin: float
    labels: list[list[tuple[float, int]]]

    @classmethod
    def of(cls, labels: NDArray[np.float64], margin: float) -> "CloseLabels":
        """Those of ``PathScores.labels``, float64 (N, C)."""
        best = labels.max(axis=1, keepdims=True, initial=-np.inf)
        return cls(margin, few_largest(labels, best - margin, LABELS_TRIED))


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


def few_largest(
    values: NDArray[np.float64], least: NDArray[np.float64] | float, count: int
) -> list[list[tuple[float, int]]]:
    """The largest values of each row and their columns, largest first; of equal ones the leftmost first.

    Args:
        values: float64 (R, C).
        least: only larger ones are looked at, one for all rows or (R, 1).
        count: how many of a row at most.
    """
    large = values > least
    if 0 < count < values.shape[1]:
        place = values.shape[1] - count
        large &= values >= np.partition(values, place, axis=1)[:, place : place + 1]
    rows, columns = np.nonzero(large)
    found: list[list[tuple[float, int]]] = [[] for _ in values]
    for row, value, column in zip(rows.tolist(), values[large].tolist(), columns.tolist(), strict=True):
        found[row].append((value, column))
    for own in found:
        if len(own) > 1:
            own.sort(key=_VALUE, reverse=True)
        del own[count:]
    return found
