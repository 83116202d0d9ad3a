"""Which label each candidate of some rows reads, as log-probabilities: by the classifier, then by its row.

The classifier's answers are narrowed down to the charset, and weighed by where the ink stands against the
lines of writing, by what stands beside it and, in free text, by whether it is punctuation. All rows of one
kind go together.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache
from itertools import accumulate

import numpy as np
from numpy.typing import NDArray

from model.alphabets import CHARACTERS, NOT_A_CHARACTER, PUNCTUATION, charset_mask
from model.joined_rows import LEAST_PROBABILITY, JoinedRows
from model.lattice import Constraint, DecodingOptions, Lattice
from model.neighbours import weigh_by_neighbours
from model.punctuation import add_punctuation
from model.writing_lines import Lines, weigh_labels

Floats = NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class RowKind:
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
    def of(cls, constraint: Constraint, options: DecodingOptions) -> "RowKind":
        """That of a row."""
        charset, free = constraint.charset, constraint.automaton is None
        shaped = free and charset in ("letters", "text") and options.kind_strength > 0
        return cls(charset, shaped, free and charset == "text" and constraint.spaces)

    @property
    def characters(self) -> str:
        """The labels: the charset's characters in class order, then punctuation.

        Raises:
            KeyError: no charset has this name.
        """
        return _charset_columns(self.charset)[0] + PUNCTUATION * self.punctuated


@dataclass(frozen=True, slots=True)
class LabelScores:
    """What M candidates read.

    Attributes:
        candidates: int (M,) which ones they are, of all that ``JoinedRows`` has.
        labels: float64 (M, C) log p(label | it is a character).
        rejection: float64 (M,) probability that it is no character.
        marks: float64 (M,) probability that it is punctuation.
    """

    candidates: NDArray[np.intp]
    labels: Floats
    rejection: Floats
    marks: Floats


def score_labels(
    rows: JoinedRows,
    numbers: Sequence[int],
    lattices: Sequence[Lattice],
    kind: RowKind,
    options: DecodingOptions,
) -> LabelScores:
    """Scores the labels of all candidates of some rows of one kind.

    What neighbours say is left out of shaped rows: ``model.word_shapes`` knows more of them.

    Args:
        rows: all rows of a page.
        numbers: those of this kind among them, at least one.
        lattices: of these alone.
        kind: of these.
        options: weights.

    Raises:
        ValueError: a lattice holds NaN.
        KeyError: no charset has this name.
    """
    characters, columns = _charset_columns(kind.charset)
    probs = _probabilities(lattices, columns)
    labels, rejection = probs[:, :-1] / probs[:, :-1].sum(axis=1, keepdims=True), probs[:, -1]
    counts = [len(lattice.starts) for lattice in lattices]
    own = np.concatenate([np.arange(rows.ends[row], rows.ends[row + 1]) for row in numbers])
    trust, bounds, ends = 1.0 - rejection, rows.bounds[own], [0, *accumulate(counts)]
    labels, lines = weigh_labels(labels, trust, bounds, characters, options.line_spread, ends)
    if not kind.shaped:
        # A row's last candidates end where the next one's would begin, if rows were not numbered apart.
        apart = np.repeat(np.arange(len(numbers)), counts)
        starts, stops = rows.starts[own] + apart, rows.stops[own] + apart
        strength = options.kind_strength
        labels = weigh_by_neighbours(labels, trust, starts, stops, bounds, characters, strength, ends)
    marks = np.zeros(len(own))
    if kind.punctuated:
        whole = np.concatenate([_whole(lattice) for lattice in lattices])
        labels, rejection, marks = _punctuated(labels, rejection, whole, bounds, characters, lines)
    return LabelScores(own, np.log(np.maximum(labels, LEAST_PROBABILITY)), rejection, marks)


def _probabilities(lattices: Sequence[Lattice], columns: NDArray[np.intp]) -> Floats:
    """Of some classes (K,) alone, those of all candidates of some rows, summing to 1: float64 (M, K)."""
    logs = np.concatenate([lattice.log_probs for lattice in lattices])
    if np.isnan(logs).any():
        raise ValueError("the lattice has log-probabilities that are not a number")
    probs = np.exp(logs[:, columns], dtype=np.float64) + LEAST_PROBABILITY**2
    probs /= probs.sum(axis=1, keepdims=True)
    return probs


def _punctuated(
    labels: Floats,
    rejection: Floats,
    whole: NDArray[np.bool_],
    bounds: Floats,
    characters: str,
    lines: Lines | None,
) -> tuple[Floats, Floats, Floats]:
    """``add_punctuation``; without lines of writing, which tell it, there is none."""
    if lines is not None:
        return add_punctuation(labels, rejection, whole, bounds, characters, lines)
    none = np.zeros(len(labels))
    return np.hstack([labels, np.zeros((len(labels), len(PUNCTUATION)))]), rejection, none


def _whole(lattice: Lattice) -> NDArray[np.bool_]:
    """``Lattice.whole``, and no candidate where that is not known."""
    return lattice.whole if len(lattice.whole) else np.zeros(len(lattice.starts), np.bool_)


@lru_cache(maxsize=64)
def _charset_columns(charset: str) -> tuple[str, NDArray[np.intp]]:
    """The charset's characters in class order, and their columns followed by not-a-character."""
    allowed = np.flatnonzero(charset_mask(charset))
    return "".join(CHARACTERS[k] for k in allowed), np.append(allowed, NOT_A_CHARACTER)
