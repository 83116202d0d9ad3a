"""Scores of the arcs of a lattice: candidates with a label, unreadable candidates, skipped pieces.

Paths of differing numbers of characters must compete fairly. A product of label probabilities has more terms
the more characters a path has, so it favours merged characters. Here the classifier's answer is split in two:

- ``p(c | it is a character)`` says which character it is and counts once per character. It sums to 1 over
  the charset, so that a cut neither gains nor loses by the mere number of its labels.
- ``p(it is a character)``, one minus not-a-character, says whether the cut is right and counts once per
  *piece*, so that every path has as many such terms as there are pieces, however it groups them.

Weighting by the number of pieces: Wang, Yin, Liu, "Handwritten Chinese Text Recognition by Integrating
Multiple Contexts", IEEE TPAMI 34(8), 2012, there called WSN.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from itertools import accumulate, pairwise

import numpy as np
from numpy.typing import NDArray

from model.close_labels import CloseLabels, Readable
from model.joined_rows import (
    LEAST_PROBABILITY,
    JoinedRows,
    Sizes,
    rejected_throughout,
    shape_scores,
    skip_scores,
    usual_sizes,
)
from model.label_scores import LabelScores, RowKind, score_labels
from model.lattice import Constraint, DecodingOptions, Lattice
from model.word_gaps import gap_scores
from model.word_shapes import ShapedRow, weigh_by_word_shapes

# Score of what no path needs to consider; finite, so that sums of it are.
NEVER = -1e4
# Pieces joined are not looked at if the classifier rejects them this surely, and some of their ink, cut
# otherwise, less than that. Half of all candidates; single pieces stay, so that every length stays possible.
_SURELY_REJECTED = 0.995
_READ_OTHERWISE = 0.05


@dataclass(frozen=True, slots=True)
class PathScores:
    """Log-scores of everything a path may use; a path's score is the sum over its arcs.

    Attributes:
        starts, stops: the candidates' pieces.
        characters: the charset, and in free text punctuation; label k of ``labels`` is ``characters[k]``.
        cuts: float64 (N,) how well candidate i is cut: character or not, and geometry.
        labels: float64 (N, C) log p(label | it is a character); add to ``cuts``.
        unreadable: float64 (N,) candidate i stands for a character of which no reading is right. Never
            read; it takes its share of the probability, so that junk is not read with confidence.
        skips: float64 (P,) leaving out piece p.
        close: for each candidate its best labels, see ``CloseLabels``; None if they were not looked for.
        readable: the candidates' labels summed, see ``Readable``; None if they were not.
    """

    starts: list[int]
    stops: list[int]
    characters: str
    cuts: NDArray[np.float64]
    labels: NDArray[np.float64]
    unreadable: NDArray[np.float64]
    skips: NDArray[np.float64]
    close: CloseLabels | None = None
    readable: Readable | None = None


@dataclass(frozen=True, slots=True)
class ScoredLattice(Lattice):
    """A row whose arcs are scored already, together with those of other rows: see ``score_rows``.

    Attributes:
        scores: of its arcs.
        constraint, options: under which they hold.
    """

    scores: PathScores
    constraint: Constraint
    options: DecodingOptions

    @classmethod
    def of(
        cls, lattice: Lattice, scores: PathScores, constraint: Constraint, options: DecodingOptions
    ) -> "ScoredLattice":
        """A lattice with scores."""
        return cls(
            lattice.starts,
            lattice.stops,
            lattice.log_probs,
            lattice.bounds,
            lattice.piece_bounds,
            lattice.piece_ink,
            scores,
            constraint,
            options,
            whole=lattice.whole,
        )


def score_lattice(lattice: Lattice, constraint: Constraint, options: DecodingOptions) -> PathScores:
    """Scores all arcs of a lattice under a charset; at once if ``score_rows`` did.

    Only the classes of the charset and not-a-character count; the mass of all others is renormalised away.

    Raises:
        ValueError: arrays that do not fit together, candidates outside the pieces, or NaN.
        KeyError: no charset has this name.
    """
    if isinstance(lattice, ScoredLattice) and (lattice.constraint, lattice.options) == (constraint, options):
        return lattice.scores
    return score_rows([lattice], [constraint], options)[0].scores


def score_rows(
    lattices: Sequence[Lattice], constraints: Sequence[Constraint], options: DecodingOptions
) -> list[ScoredLattice]:
    """Scores several rows, each as ``score_lattice`` does.

    Most rows of a form hold a few characters, for which calling numpy costs far more than computing does. So
    all that does not look beyond a candidate is computed for the candidates of all rows in one go.

    Args:
        lattices: the rows.
        constraints: of each row.
        options: weights.

    Raises:
        ValueError: as ``score_lattice``, for any of the rows.
        KeyError: no charset has this name.
    """
    if not lattices:
        return []
    rows = JoinedRows.of(lattices)
    sizes = [usual_sizes(*row) for row in zip(lattices, constraints, strict=True)]
    alike: dict[RowKind, list[_Row]] = {}
    for row in map(_Row, range(len(lattices)), lattices, constraints):
        alike.setdefault(RowKind.of(row.constraint, options), []).append(row)
    labels = {kind: _score_labels(rows, members, kind, options) for kind, members in alike.items()}
    arcs = _score_arcs(rows, sizes, labels.values(), options)
    scored: dict[int, ScoredLattice] = {}
    for kind, members in alike.items():
        own = labels[kind]
        if kind.shaped:
            own = replace(own, labels=_shaped(arcs, members, own.labels, kind.characters, options))
        scored |= _taken_apart(arcs, members, own, kind.characters, options)
    return [scored[number] for number in range(len(lattices))]


@dataclass(frozen=True, slots=True)
class _Row:
    """A row to score, and its number among all."""

    number: int
    lattice: Lattice
    constraint: Constraint


def _score_labels(
    rows: JoinedRows, members: Sequence[_Row], kind: RowKind, options: DecodingOptions
) -> LabelScores:
    """Those of the rows of one kind."""
    return score_labels(
        rows, [row.number for row in members], [row.lattice for row in members], kind, options
    )


@dataclass(frozen=True, slots=True)
class _Arcs:
    """What the arcs of all rows score, whatever their labels.

    Attributes:
        rows: N candidates and P pieces in all.
        cuts, unreadable: float64 (N,) as in ``PathScores``.
        skips: float64 (P,) as there.
    """

    rows: JoinedRows
    cuts: NDArray[np.float64]
    unreadable: NDArray[np.float64]
    skips: NDArray[np.float64]


def _score_arcs(
    rows: JoinedRows, sizes: list[Sizes], labels: Iterable[LabelScores], options: DecodingOptions
) -> _Arcs:
    """Scores what depends on a candidate's ink alone.

    Args:
        rows: N candidates in all.
        sizes: of a character of each row.
        labels: of the rows of each kind; together of all N candidates.
        options: weights.
    """
    rejection, marks = np.zeros(len(rows.starts)), np.zeros(len(rows.starts))
    for one in labels:
        rejection[one.candidates], marks[one.candidates] = one.rejection, one.marks
    is_character = np.log(np.maximum(1.0 - rejection, options.rejection_floor))
    widths = rows.stops - rows.starts
    unmarked = _unmarked(rows, marks)
    shape = (1.0 - marks) * shape_scores(rows, sizes, options)
    shape += np.where(widths > 1, unmarked[rows.stops] - unmarked[rows.starts], 0.0)
    throughout = rejected_throughout(rows.starts, widths, rejection, len(rows.piece_ink))
    futile = (widths > 1) & (rejection > _SURELY_REJECTED) & (throughout < _READ_OTHERWISE)
    return _Arcs(
        rows,
        cuts=np.where(futile, NEVER, options.segmentation_weight * widths * is_character + shape),
        unreadable=np.where(futile, NEVER, np.log(throughout) + shape),
        skips=skip_scores(rows, rejection, sizes, options) + np.diff(unmarked),
    )


def _shaped(
    arcs: _Arcs,
    members: Sequence[_Row],
    labels: NDArray[np.float64],
    characters: str,
    options: DecodingOptions,
) -> NDArray[np.float64]:
    """Labels of the candidates of rows of words, float64 (M, C), given also their shapes.

    Args:
        arcs: of all rows.
        members: these rows.
        labels: float64 (M, C) without.
        characters: the C labels.
        options: weights.
    """
    shaped = []
    for row, here in zip(members, _places(members), strict=True):
        lattice, gaps = row.lattice, None
        if row.constraint.spaces:
            gaps = gap_scores(lattice.piece_bounds, lattice.piece_ink, options.space_gap)
        cuts, skips = arcs.cuts[arcs.rows.candidates(row.number)], arcs.skips[arcs.rows.pieces(row.number)]
        shaped.append(ShapedRow(labels[here], lattice.starts, lattice.stops, cuts, skips, gaps))
    weighed = weigh_by_word_shapes(shaped, characters)
    return np.maximum(np.concatenate(weighed), np.log(LEAST_PROBABILITY))


def _taken_apart(
    arcs: _Arcs,
    members: Sequence[_Row],
    labels: LabelScores,
    characters: str,
    options: DecodingOptions,
) -> dict[int, ScoredLattice]:
    """The rows of one kind, by their number, each with its part of the scores.

    Args:
        arcs: of all rows.
        members: these rows.
        labels: of the candidates of these rows.
        characters: the labels themselves.
        options: weights.
    """
    rows, own = arcs.rows, labels.candidates
    readable = Readable.of(labels.labels, arcs.cuts[own], arcs.unreadable[own], options.temperature)
    close = _close_labels(members, labels.labels)
    scored = {}
    for row, here in zip(members, _places(members), strict=True):
        lattice, candidates = row.lattice, rows.candidates(row.number)
        scores = PathScores(
            starts=lattice.starts.tolist(),
            stops=lattice.stops.tolist(),
            characters=characters,
            cuts=arcs.cuts[candidates],
            labels=labels.labels[here],
            unreadable=arcs.unreadable[candidates],
            skips=arcs.skips[rows.pieces(row.number)],
            close=close.get(row.number),
            readable=readable.part(here),
        )
        scored[row.number] = ScoredLattice.of(lattice, scores, row.constraint, options)
    return scored


def _close_labels(members: Sequence[_Row], labels: NDArray[np.float64]) -> dict[int, CloseLabels]:
    """Of some rows, by their number; words of a dictionary need none. ``labels``: float64 (M, C), of them."""
    searched = [row for row in members if row.constraint.words is None]
    if len(searched) < len(members):
        counts = [len(row.lattice.starts) for row in members]
        labels = labels[np.repeat([row.constraint.words is None for row in members], counts)]
    close = CloseLabels.of(labels)
    return {row.number: close.part(own) for row, own in zip(searched, _places(searched), strict=True)}


def _places(members: Sequence[_Row]) -> list[slice]:
    """Where the candidates of each row are among those of all these rows."""
    return [
        slice(*ends) for ends in pairwise(accumulate((len(row.lattice.starts) for row in members), initial=0))
    ]


def _unmarked(rows: JoinedRows, marks: NDArray[np.float64]) -> NDArray[np.float64]:
    """The score of leaving punctuation out, or of joining it with what is beside it, summed over the pieces.

    Args:
        rows: P pieces in all.
        marks: float64 (N,) probability that a candidate is punctuation; of single pieces it counts.

    Returns:
        float64 (P + 1,); the difference of two is that of the pieces between.
    """
    scores = np.zeros(len(rows.piece_ink) + 1)
    marked = np.flatnonzero((marks > 0) & (rows.stops - rows.starts == 1))
    scores[rows.starts[marked] + 1] = np.log(np.maximum(1.0 - marks[marked], LEAST_PROBABILITY))
    return np.cumsum(scores)
