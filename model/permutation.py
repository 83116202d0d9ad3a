"""Readings in which no character stands twice: the best one, and what it costs to exchange characters."""

import numpy as np
from numpy.typing import NDArray


def assign(costs: NDArray[np.float64]) -> NDArray[np.intp]:
    """Gives every row its own column so that the sum of costs is least, in O(rows^2 columns).

    Method: shortest augmenting paths with dual prices (Jonker, Volgenant, "A Shortest Augmenting Path
    Algorithm for Dense and Sparse Linear Assignment Problems", Computing 38, 1987).

    Args:
        costs: float (R, C), R <= C, finite.

    Returns:
        int (R,), the column of each row, no column twice.

    Raises:
        ValueError: more rows than columns.
    """
    rows, columns = costs.shape
    if rows > columns:
        raise ValueError(f"{rows} rows cannot each have their own of {columns} columns")
    row_price, column_price = np.zeros(rows), np.zeros(columns)
    owner = np.full(columns, -1)
    for row in range(rows):
        distance, previous, seen = np.full(columns, np.inf), np.full(columns, -1), np.zeros(columns, bool)
        current, column, length = row, -1, 0.0
        tree = [(row, 0.0)]
        while True:
            reach = length + costs[current] - row_price[current] - column_price
            closer = ~seen & (reach < distance)
            distance[closer], previous[closer] = reach[closer], column
            column = int(np.where(seen, np.inf, distance).argmin())
            length = float(distance[column])
            if owner[column] < 0:
                break
            seen[column] = True
            current = int(owner[column])
            tree.append((current, length))
        for member, entered in tree:
            row_price[member] += length - entered
        column_price[seen] -= length - distance[seen]
        while column >= 0:
            before = int(previous[column])
            owner[column] = owner[before] if before >= 0 else row
            column = before
    result = np.empty(rows, np.intp)
    taken = np.flatnonzero(owner >= 0)
    result[owner[taken]] = taken
    return result


def exchange_odds(scores: NDArray[np.float64], labels: NDArray[np.intp]) -> NDArray[np.float64]:
    """Odds of the assignment in which place i reads label k, against the given one.

    The place that had label k, if any, gets the label of place i in return.

    Args:
        scores: float64 (L, C) log-probabilities of the labels of each place.
        labels: int (L,) the best assignment.

    Returns:
        float64 (L, C), in 0..1; 0 for each place's own label.
    """
    places = np.arange(len(labels))
    own = scores[places, labels]
    change = scores - own[:, None]
    change[:, labels] += scores[:, labels].T - own
    odds = np.exp(np.minimum(change, 0.0))
    odds[places, labels] = 0.0
    return odds
