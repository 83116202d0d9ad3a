"""Plain rows: each piece is the one candidate, and there are as many characters as pieces.

Most rows of a form are: a few digits of known number, none touching. All paths of an allowed length hold the
same candidates, so that the best texts and all probabilities are products over independent places. Those of
all rows together are found by a few operations; ``model.decoding`` finds the same for any row.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import combinations
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from model.close_labels import LABELS_TRIED, LEAST_SHARE, CloseLabels, Readable
from model.decoding import Draft, RowReader
from model.path_scores import NEVER, ScoredLattice
from model.path_search import Path

_MOST_LOSS = float(-np.log(LEAST_SHARE))


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
        for text in texts[k]:
            labels = likeliest[first:end]
            for place, rank in text.changes:
                labels[place - first] = int(close.labels[place, rank])
            mass = np.exp(min(logs[k] - text.loss, 0.0))
            ranked.append((Path(0.0, everything, tuple(labels)), float(min(mass / kept[k], 1.0))))
        reader = RowReader(row, row.constraint, row.scores, options, n_best)
        share = float(allowed[k])
        drafts.append(reader.draft(ranked, candidates[first:end], readable[k].shares, length_share=share))
    return drafts


class _Text(NamedTuple):
    """A text of a row: what it loses against the likeliest, and the places that read another label.

    Each of these has the rank of its label among those of the place, where 0 is the likeliest.
    """

    loss: float
    changes: list[tuple[int, int]]


def _texts(
    losses: NDArray[np.float64], firsts: NDArray[np.intp], ends: NDArray[np.intp], n_best: int
) -> list[list[_Text]]:
    """The likeliest texts of each row, likeliest first, that lose less than ``LEAST_SHARE`` allows.

    None of the ``n_best`` likeliest texts has a change that is not among the ``n_best`` - 1 cheapest: each of
    these alone, and no change at all, give as many better texts. So all choices of the cheapest few changes
    are looked at.

    Args:
        losses: float64 (M, K), what the labels of each place cost against its best one, rising.
        firsts, ends: int (R,), row r has the places ``firsts[r] <= i < ends[r]``.
        n_best: how many of a row at most.
    """
    few = n_best - 1
    changes = _Changes.cheapest(losses, firsts, ends, few)
    totals = _totals(changes)
    best = np.argsort(totals, axis=1, kind="stable")[:, :n_best]
    sums = np.take_along_axis(totals, best, axis=1).tolist()
    places, ranks = changes.places.tolist(), changes.ranks.tolist()
    return [
        [
            _Text(loss, [(own_places[k], own_ranks[k]) for k in _MEMBERS[few][choice]])
            for loss, choice in zip(own_sums, choices, strict=True)
            if loss < _MOST_LOSS
        ]
        for own_sums, choices, own_places, own_ranks in zip(sums, best.tolist(), places, ranks, strict=True)
    ]


@dataclass(frozen=True, slots=True, eq=False)
class _Changes:
    """The cheapest few changes of each of R rows: one place reads another label than its likeliest.

    Attributes:
        losses: float64 (R, F) what they cost, rising; infinity where a row has fewer.
        places: int (R, F) which place changes; of no change one that is none.
        ranks: int (R, F) of its new label among those of the place, from 1.
    """

    losses: NDArray[np.float64]
    places: NDArray[np.intp]
    ranks: NDArray[np.intp]

    @classmethod
    def cheapest(
        cls, losses: NDArray[np.float64], firsts: NDArray[np.intp], ends: NDArray[np.intp], few: int
    ) -> "_Changes":
        """The ``few`` cheapest of rows; the others as in ``_texts``."""
        places, columns = np.nonzero(losses < _MOST_LOSS)
        cheap = losses[places, columns]
        row_of = np.repeat(np.arange(len(firsts)), ends - firsts)[places]
        order = np.lexsort((cheap, row_of))
        rows = row_of[order]
        turn = np.arange(len(rows)) - np.searchsorted(rows, rows)
        chosen = np.full((len(firsts), few), -1)
        chosen[rows[turn < few], turn[turn < few]] = order[turn < few]
        # The last of each, which -1 stands for, is no change.
        return cls(
            np.append(cheap, np.inf)[chosen],
            np.append(places, -1)[chosen],
            np.append(columns, -1)[chosen] + 1,
        )


def _totals(changes: _Changes) -> NDArray[np.float64]:
    """What all choices of the changes of each row cost, float64 (R, 2 ** F), in the order of ``_CHOICES``.

    Infinity where a choice is none: a place has one label.
    """
    few = changes.losses.shape[1]
    chosen = _CHOICES[few]
    totals: NDArray[np.float64] = np.where(chosen, changes.losses[:, None, :], 0.0).sum(axis=2)
    for one, other in combinations(range(few), 2):
        both = chosen[:, one] & chosen[:, other]
        totals[np.ix_(changes.places[:, one] == changes.places[:, other], both)] = np.inf
    return totals


# Of up to so many changes all choices: bool (2 ** few, few), and the same as lists.
_CHOICES = [(np.arange(2**few)[:, None] >> np.arange(few) & 1).astype(bool) for few in range(LABELS_TRIED)]
_MEMBERS = [[np.flatnonzero(choice).tolist() for choice in choices] for choices in _CHOICES]
