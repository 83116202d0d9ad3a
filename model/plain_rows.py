"""Plain rows: each piece is the one candidate, and there are as many characters as pieces.

Most rows of a form are: a few digits of known number, none touching. All paths of an allowed length hold the
same candidates, so that the best texts and all probabilities are products over independent places. Those of
all rows together are found by a few operations; ``model.decoding`` finds the same for any row.
"""

from collections.abc import Sequence
from dataclasses import replace
from itertools import combinations

import numpy as np
from numpy.typing import NDArray

from model.close_labels import LABELS_TRIED, LEAST_SHARE, CloseLabels, Readable
from model.decoding import Draft, RowReader
from model.path_scores import NEVER, ScoredLattice
from model.path_search import Path


def plain_drafts(rows: Sequence[ScoredLattice], n_best: int) -> dict[int, Draft]:
    """Drafts of those of some rows that are plain, by their number, as ``model.decoding.draft`` makes them.

    Args:
        rows: scored under the same options.
        n_best: how many texts of each, 1 to ``LABELS_TRIED``.

    Raises:
        ValueError: ``n_best`` is out of its range.
    """
    if not 1 <= n_best <= LABELS_TRIED:
        raise ValueError(f"n_best is {n_best}, not 1 to {LABELS_TRIED}")
    alike: dict[str, list[int]] = {}
    for number, row in enumerate(rows):
        if _is_plain(row):
            alike.setdefault(row.constraint.charset, []).append(number)
    drafts: dict[int, Draft] = {}
    for numbers in alike.values():
        found = _drafts([rows[number] for number in numbers], n_best)
        drafts.update(zip(numbers, found, strict=True))
    return drafts


def _is_plain(row: ScoredLattice) -> bool:
    constraint, pieces = row.constraint, len(row.piece_ink)
    return (
        constraint.min_length == constraint.max_length == pieces == len(row.starts) > 0
        and not constraint.permutation
        and constraint.automaton is constraint.words is None
        and row.scores.starts == list(range(pieces))
        and row.scores.stops == list(range(1, pieces + 1))
        and float(row.scores.cuts.min()) > NEVER / 4  # no candidate is left out of the search
    )


def _drafts(rows: Sequence[ScoredLattice], n_best: int) -> list[Draft]:
    """Those of plain rows of one charset."""
    options = rows[0].options
    scores = [row.scores for row in rows]
    readable = [
        one.readable or Readable.of(one.labels, one.cuts, one.unreadable, options.temperature)
        for one in scores
    ]
    close = CloseLabels.joined([one.close or CloseLabels.of(one.labels) for one in scores])
    ends = np.cumsum([len(row.starts) for row in rows])
    firsts = np.append(0, ends[:-1])
    masses = np.concatenate([one.masses for one in readable])
    skips = np.concatenate([one.skips for one in scores]) / options.temperature
    weights = np.logaddexp(masses, skips)
    taken = np.exp(masses - weights)
    allowed = np.multiply.reduceat(taken, firsts)
    kept = np.maximum(allowed + options.wrong_length * (1.0 - allowed), 1e-300)
    right = np.repeat(allowed, np.diff(ends, prepend=0))
    candidates = (right + options.wrong_length * (taken - right)) / np.repeat(kept, np.diff(ends, prepend=0))
    best = close.values[:, 0] + np.concatenate([one.cuts for one in scores])
    logs = np.add.reduceat(best / options.temperature - weights, firsts)
    losses = (close.values[:, :1] - close.values[:, 1:]) / options.temperature
    texts = _texts(losses, firsts, ends, n_best)
    likeliest = close.labels[:, 0].tolist()
    drafts = []
    for k, (row, first, end) in enumerate(zip(rows, firsts.tolist(), ends.tolist(), strict=True)):
        everything = tuple(range(end - first))
        ranked = []
        for loss, changes in texts[k]:
            labels = likeliest[first:end]
            for place, rank in changes:
                labels[place - first] = int(close.labels[place, rank])
            mass = np.exp(min(logs[k] - loss, 0.0))
            ranked.append((Path(0.0, everything, tuple(labels)), float(min(mass / kept[k], 1.0))))
        reader = RowReader(row, row.constraint, row.scores, options, n_best)
        drafted = reader.draft(ranked, candidates[first:end], readable[k].shares)
        drafts.append(replace(drafted, length_share=float(allowed[k])))
    return drafts


def _texts(
    losses: NDArray[np.float64], firsts: NDArray[np.intp], ends: NDArray[np.intp], n_best: int
) -> list[list[tuple[float, list[tuple[int, int]]]]]:
    """The likeliest texts of each row, likeliest first.

    None of the ``n_best`` likeliest texts has a change that is not among the ``n_best`` - 1 cheapest: each of
    these alone, and no change at all, give as many better texts. So all choices of the cheapest few changes
    are looked at.

    Args:
        losses: float64 (M, K), what the labels of each place cost against its best one, rising.
        firsts, ends: int (R,), row r has the places ``firsts[r] <= i < ends[r]``.
        n_best: how many of a row at most.

    Returns:
        For each row the texts that lose less than ``LEAST_SHARE`` allows: the loss, and each place whose
        label is not the best, with its column in ``losses`` plus one.
    """
    few = n_best - 1
    owners = np.repeat(np.arange(len(firsts)), ends - firsts)
    places, columns = np.nonzero(losses < -np.log(LEAST_SHARE))
    cheap = losses[places, columns]
    order = np.lexsort((cheap, owners[places]))
    rows = owners[places][order]
    rank = np.arange(len(rows)) - np.searchsorted(rows, rows)
    order, rows, rank = order[rank < few], rows[rank < few], rank[rank < few]
    change = np.full((len(firsts), few), -1)
    change[rows, rank] = order
    loss = np.append(cheap, np.inf)[change]
    place = np.append(places, -1)[change]
    chosen = _CHOICES[few]
    total = np.where(chosen, loss[:, None, :], 0.0).sum(axis=2)
    for one, other in combinations(range(few), 2):  # a place has one label
        both = chosen[:, one] & chosen[:, other]
        total[np.ix_(place[:, one] == place[:, other], both)] = np.inf
    best = np.argsort(total, axis=1, kind="stable")[:, :n_best]
    sums = np.take_along_axis(total, best, axis=1).tolist()
    where, which = place.tolist(), (np.append(columns, -1)[change] + 1).tolist()
    return [
        [
            (value, [(where[row][k], which[row][k]) for k in _MEMBERS[few][choice]])
            for value, choice in zip(sums[row], best[row].tolist(), strict=True)
            if value < -np.log(LEAST_SHARE)
        ]
        for row in range(len(firsts))
    ]


# Of up to so many changes all choices: bool (2 ** few, few), and the same as lists.
_CHOICES = [(np.arange(2**few)[:, None] >> np.arange(few) & 1).astype(bool) for few in range(LABELS_TRIED)]
_MEMBERS = [[np.flatnonzero(choice).tolist() for choice in choices] for choices in _CHOICES]
