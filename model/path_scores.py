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

from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache
from itertools import accumulate

import numpy as np
from numpy.typing import NDArray

from model.alphabets import CHARACTERS, NOT_A_CHARACTER, PUNCTUATION, charset_mask
from model.close_labels import CloseLabels, Readable
from model.joined_rows import (
    LEAST_PROBABILITY,
    JoinedRows,
    rejected_throughout,
    shape_scores,
    skip_scores,
    usual_sizes,
)
from model.lattice import Constraint, DecodingOptions, Lattice
from model.neighbours import weigh_by_neighbours
from model.punctuation import add_punctuation
from model.word_gaps import gap_scores
from model.word_shapes import ShapedRow, weigh_by_word_shapes
from model.writing_lines import weigh_labels

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
    rejection = np.zeros(rows.ends[-1])
    marks = np.zeros(rows.ends[-1])  # probability of punctuation
    alike: dict[_Kind, list[int]] = {}
    for row, constraint in enumerate(constraints):
        alike.setdefault(_Kind.of(constraint, options), []).append(row)
    labels = {
        kind: _score_labels(rows, [(row, lattices[row]) for row in members], kind, rejection, marks, options)
        for kind, members in alike.items()
    }
    is_character = np.log(np.maximum(1.0 - rejection, options.rejection_floor))
    widths = rows.stops - rows.starts
    shape = (1.0 - marks) * shape_scores(rows, sizes, options)
    unmarked = _unmarked(rows, marks)
    shape += np.where(widths > 1, unmarked[rows.stops] - unmarked[rows.starts], 0.0)
    throughout = rejected_throughout(rows.starts, widths, rejection, len(rows.piece_ink))
    futile = (widths > 1) & (rejection > _SURELY_REJECTED) & (throughout < _READ_OTHERWISE)
    cuts = np.where(futile, NEVER, options.segmentation_weight * widths * is_character + shape)
    unreadable = np.where(futile, NEVER, np.log(throughout) + shape)
    skips = skip_scores(rows, rejection, sizes, options) + np.diff(unmarked)
    scored: list[ScoredLattice | None] = [None] * len(lattices)
    arcs = _Arcs(rows, cuts, unreadable, skips)
    for kind, members in alike.items():
        parts = [(row, lattices[row], constraints[row]) for row in members]
        scores = labels[kind]
        if kind.shaped:
            scores = _shaped(arcs, parts, scores, kind.characters, options)
        made = _taken_apart(arcs, parts, scores, kind.characters, options)
        for row, one in zip(members, made, strict=True):
            scored[row] = one
    return [one for one in scored if one is not None]


@dataclass(frozen=True, slots=True)
class _Kind:
    """What rows have in common that are scored alike.

    Attributes:
        charset: of both.
        shaped: whether nothing but the shapes of words says which kinds of characters stand beside each
            other. A pattern or a list of values says it better, and identifiers mix them.
        punctuated: whether there may be punctuation.
    """

    charset: str
    shaped: bool
    punctuated: bool

    @classmethod
    def of(cls, constraint: Constraint, options: DecodingOptions) -> "_Kind":
        """That of a row."""
        charset, free = constraint.charset, constraint.automaton is None
        shaped = free and charset in ("letters", "text") and options.kind_strength > 0
        return cls(charset, shaped, free and charset == "text" and constraint.spaces)

    @property
    def characters(self) -> str:
        """The labels."""
        return _charset_columns(self.charset)[0] + PUNCTUATION * self.punctuated


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


def _shaped(
    arcs: _Arcs,
    parts: list[tuple[int, Lattice, Constraint]],
    labels: NDArray[np.float64],
    characters: str,
    options: DecodingOptions,
) -> NDArray[np.float64]:
    """Labels of rows of words, float64 (M, C), given also their shapes; others as in ``_taken_apart``."""
    shaped, at = [], 0
    for row, lattice, constraint in parts:
        gaps = None
        if constraint.spaces:
            gaps = gap_scores(lattice.piece_bounds, lattice.piece_ink, options.space_gap)
        own, at = labels[at : at + len(lattice.starts)], at + len(lattice.starts)
        cut, skipped = arcs.cuts[arcs.rows.candidates(row)], arcs.skips[arcs.rows.pieces(row)]
        shaped.append(ShapedRow(own, lattice.starts, lattice.stops, cut, skipped, gaps))
    weighed = weigh_by_word_shapes(shaped, characters)
    return np.maximum(np.concatenate(weighed), np.log(LEAST_PROBABILITY))


def _taken_apart(
    arcs: _Arcs,
    parts: list[tuple[int, Lattice, Constraint]],
    labels: NDArray[np.float64],
    characters: str,
    options: DecodingOptions,
) -> list[ScoredLattice]:
    """The rows of one charset, each with its part of the scores.

    Args:
        arcs: of all rows.
        parts: number, lattice and constraint of each of these rows.
        labels: float64 (M, C) of the candidates of these rows.
        characters: the C labels.
        options: weights.
    """
    rows = arcs.rows
    own = np.concatenate([np.arange(rows.ends[row], rows.ends[row + 1]) for row, _, _ in parts])
    searched = [constraint.words is None for _, _, constraint in parts]  # words need no best labels
    close = CloseLabels.of(labels[np.repeat(searched, [len(lattice.starts) for _, lattice, _ in parts])])
    readable = Readable.of(labels, arcs.cuts[own], arcs.unreadable[own], options.temperature)
    scored, at, looked_for = [], 0, 0
    for row, lattice, constraint in parts:
        candidates, here = rows.candidates(row), slice(at, at + len(lattice.starts))
        at = here.stop
        own_close = None
        if constraint.words is None:
            own_close = close.part(slice(looked_for, looked_for + len(lattice.starts)))
            looked_for += len(lattice.starts)
        scores = PathScores(
            starts=lattice.starts.tolist(),
            stops=lattice.stops.tolist(),
            characters=characters,
            cuts=arcs.cuts[candidates],
            labels=labels[here],
            unreadable=arcs.unreadable[candidates],
            skips=arcs.skips[rows.pieces(row)],
            close=own_close,
            readable=readable.part(here),
        )
        scored.append(ScoredLattice.of(lattice, scores, constraint, options))
    return scored


def _score_labels(
    rows: JoinedRows,
    members: list[tuple[int, Lattice]],
    kind: _Kind,
    rejection: NDArray[np.float64],
    marks: NDArray[np.float64],
    options: DecodingOptions,
) -> NDArray[np.float64]:
    """Log-probabilities of the labels of the rows of one kind, float64 (M, C).

    ``rejection`` and ``marks``, float64 (N,), take up the probability of not-a-character and of punctuation
    of their candidates. What neighbours say is left out of shaped rows, of which ``_shaped`` knows more.
    """
    characters, columns = _charset_columns(kind.charset)
    logs = np.concatenate([lattice.log_probs for _, lattice in members])
    if np.isnan(logs).any():
        raise ValueError("the lattice has log-probabilities that are not a number")
    probs = np.exp(logs[:, columns], dtype=np.float64) + LEAST_PROBABILITY**2
    probs /= probs.sum(axis=1, keepdims=True)
    labels = probs[:, :-1] / probs[:, :-1].sum(axis=1, keepdims=True)
    counts = [len(lattice.starts) for _, lattice in members]
    own = np.concatenate([np.arange(rows.ends[row], rows.ends[row + 1]) for row, _ in members])
    rejection[own] = probs[:, -1]
    trust, bounds, ends = 1.0 - probs[:, -1], rows.bounds[own], [0, *accumulate(counts)]
    labels, lines = weigh_labels(labels, trust, bounds, characters, options.line_spread, ends)
    if not kind.shaped:
        # A row's last candidates end where the next one's would begin, if rows were not numbered apart.
        apart = np.repeat(np.arange(len(members)), counts)
        starts, stops = rows.starts[own] + apart, rows.stops[own] + apart
        strength = options.kind_strength
        labels = weigh_by_neighbours(labels, trust, starts, stops, bounds, characters, strength, ends)
    if kind.punctuated:
        if lines is None:
            labels = np.hstack([labels, np.zeros((len(labels), len(PUNCTUATION)))])
        else:
            whole = np.concatenate([_whole(lattice) for _, lattice in members])
            labels, rejection[own], marks[own] = add_punctuation(
                labels, probs[:, -1], whole, bounds, characters, lines
            )
    return np.log(np.maximum(labels, LEAST_PROBABILITY))


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


def _whole(lattice: Lattice) -> NDArray[np.bool_]:
    """``Lattice.whole``, and no candidate where that is not known."""
    return lattice.whole if len(lattice.whole) else np.zeros(len(lattice.starts), np.bool_)


@lru_cache(maxsize=64)
def _charset_columns(charset: str) -> tuple[str, NDArray[np.intp]]:
    """The charset's characters in class order, and their columns followed by not-a-character."""
    allowed = np.flatnonzero(charset_mask(charset))
    return "".join(CHARACTERS[k] for k in allowed), np.append(allowed, NOT_A_CHARACTER)
