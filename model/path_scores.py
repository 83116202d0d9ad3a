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

from dataclasses import dataclass
from functools import lru_cache

import numpy as np
from numpy.typing import NDArray

from model.alphabets import CHARACTERS, CLASS_COUNT, NOT_A_CHARACTER, charset_mask
from model.lattice import Constraint, DecodingOptions, Lattice
from model.neighbours import weigh_by_neighbours
from model.writing_lines import weigh_labels

# Below this the classifier's numbers are noise; it also keeps every logarithm finite.
_LEAST_PROBABILITY = 1e-6
# A row of specks alone must not take them for its characters: no hand writes smaller than this.
_LEAST_HEIGHT = 0.25
_LEAST_INK = 0.02
# Usual ink width of a character relative to its height, for rows whose length is not prescribed.
_USUAL_ASPECT = 0.7
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
        characters: the charset; label k of ``labels`` is ``characters[k]``.
        cuts: float64 (N,) how well candidate i is cut: character or not, and geometry.
        labels: float64 (N, C) log p(label | it is a character); add to ``cuts``.
        unreadable: float64 (N,) candidate i stands for a character of which no reading is right. Never
            read; it takes its share of the probability, so that junk is not read with confidence.
        skips: float64 (P,) leaving out piece p.
    """

    starts: list[int]
    stops: list[int]
    characters: str
    cuts: NDArray[np.float64]
    labels: NDArray[np.float64]
    unreadable: NDArray[np.float64]
    skips: NDArray[np.float64]


def score_lattice(lattice: Lattice, constraint: Constraint, options: DecodingOptions) -> PathScores:
    """Scores all arcs of a lattice under a charset.

    Only the classes of the charset and not-a-character count; the mass of all others is renormalised away.

    Raises:
        ValueError: arrays that do not fit together, candidates outside the pieces, or NaN.
        KeyError: no charset has this name.
    """
    _check(lattice)
    characters, columns = _charset_columns(constraint.charset)
    probs = np.exp(lattice.log_probs[:, columns], dtype=np.float64) + _LEAST_PROBABILITY**2
    probs /= probs.sum(axis=1, keepdims=True)
    rejection = probs[:, -1]
    labels = probs[:, :-1] / probs[:, :-1].sum(axis=1, keepdims=True)
    labels = weigh_labels(labels, 1.0 - rejection, lattice.bounds, characters, options.line_spread)
    labels = weigh_by_neighbours(
        labels,
        1.0 - rejection,
        lattice.starts,
        lattice.stops,
        lattice.bounds,
        characters,
        options.kind_strength,
    )
    starts, stops = lattice.starts.tolist(), lattice.stops.tolist()
    is_character = np.log(np.maximum(1.0 - rejection, options.rejection_floor))
    sizes = _usual_sizes(lattice, constraint)
    shape = _shape_scores(lattice, sizes, options)
    widths = lattice.stops - lattice.starts
    throughout = _rejected_throughout(starts, stops, rejection, len(lattice.piece_ink))
    futile = (widths > 1) & (rejection > _SURELY_REJECTED) & (throughout < _READ_OTHERWISE)
    return PathScores(
        starts=starts,
        stops=stops,
        characters=characters,
        cuts=np.where(futile, NEVER, options.segmentation_weight * widths * is_character + shape),
        labels=np.log(np.maximum(labels, _LEAST_PROBABILITY)),
        unreadable=np.where(futile, NEVER, np.log(throughout) + shape),
        skips=_skip_scores(lattice, rejection, sizes, options),
    )


@lru_cache(maxsize=64)
def _charset_columns(charset: str) -> tuple[str, NDArray[np.intp]]:
    """The charset's characters in class order, and their columns followed by not-a-character."""
    allowed = np.flatnonzero(charset_mask(charset))
    return "".join(CHARACTERS[k] for k in allowed), np.append(allowed, NOT_A_CHARACTER)


def _check(lattice: Lattice) -> None:
    count, pieces = len(lattice.starts), len(lattice.piece_ink)
    shapes = (lattice.stops.shape, lattice.log_probs.shape, lattice.bounds.shape, lattice.piece_bounds.shape)
    if shapes != ((count,), (count, CLASS_COUNT), (count, 4), (pieces, 4)):
        raise ValueError(f"lattice of {count} candidates and {pieces} pieces has arrays of shapes {shapes}")
    inside = (lattice.starts >= 0) & (lattice.starts < lattice.stops) & (lattice.stops <= pieces)
    if not inside.all():
        raise ValueError(f"candidate {np.argmin(inside)} of the lattice covers none of its {pieces} pieces")
    if np.isnan(lattice.log_probs).any():
        raise ValueError("the lattice has log-probabilities that are not a number")


@dataclass(frozen=True, slots=True)
class _Sizes:
    """What a character of this row measures: pitch and height in writing-area heights, ink in squares."""

    pitch: float
    height: float
    ink: float


def _usual_sizes(lattice: Lattice, constraint: Constraint) -> _Sizes:
    if len(lattice.piece_ink) == 0:
        return _Sizes(1.0, 1.0, 1.0)
    left, top, right, bottom = lattice.piece_bounds.astype(np.float64).T
    height = max(_weighted_median(bottom - top, lattice.piece_ink), _LEAST_HEIGHT)
    if constraint.min_length == constraint.max_length:
        count = float(max(constraint.max_length, 1))
        pitch = max(float(right.max() - left.min()) / count, _LEAST_HEIGHT * _USUAL_ASPECT)
    else:
        count = max(float((right - left).sum()) / (_USUAL_ASPECT * height), constraint.min_length, 1.0)
        pitch = height
    return _Sizes(pitch, height, max(float(lattice.piece_ink.sum()) / count, _LEAST_INK))


def _weighted_median(values: NDArray[np.float64], weights: NDArray[np.float32]) -> float:
    order = values.argsort()
    cumulative = weights[order].cumsum()
    middle = cumulative.searchsorted(cumulative[-1] / 2)
    return float(values[order[min(int(middle), len(values) - 1)]])


def _shape_scores(lattice: Lattice, sizes: _Sizes, options: DecodingOptions) -> NDArray[np.float64]:
    """Gaussian penalties on size and inner gaps, float64 (N,), at most 0."""
    left, top, right, bottom = lattice.bounds.astype(np.float64).T
    excess = np.log(np.maximum((right - left) / sizes.pitch, 1.0)) / options.width_tolerance
    heights = np.abs(np.log(np.maximum(bottom - top, 1e-3) / sizes.height))
    misfit = np.maximum(heights - np.log(2.0), 0.0) / options.height_tolerance
    gaps = _gaps_before(lattice) / (sizes.height * options.gap_tolerance)
    squares = np.append(0.0, (gaps * gaps).cumsum())
    # squares[p + 1] sums the gaps before pieces 0..p; those within a candidate start at its second piece.
    inner = squares[lattice.stops] - squares[lattice.starts + 1]
    scores: NDArray[np.float64] = -0.5 * (excess * excess + misfit * misfit + inner)
    return scores


def _gaps_before(lattice: Lattice) -> NDArray[np.float64]:
    """White space between each piece and all ink to its left, float64 (P,); 0 where they overlap."""
    gaps = np.zeros(len(lattice.piece_ink))
    if len(gaps) > 1:
        reach = np.maximum.accumulate(lattice.piece_bounds[:, 2])
        gaps[1:] = np.maximum(lattice.piece_bounds[1:, 0] - reach[:-1], 0.0)
    return gaps


def _rejected_throughout(
    starts: list[int], stops: list[int], rejection: NDArray[np.float64], pieces: int
) -> NDArray[np.float64]:
    """Probability that a candidate's ink is no character however it is cut: float64 (N,).

    The least not-a-character probability of all candidates that share a piece with it: half a letter is
    surely no character, but the whole letter is one.
    """
    verdicts = rejection.tolist()
    least = [1.0] * pieces
    for start, stop, verdict in zip(starts, stops, verdicts, strict=True):
        for piece in range(start, stop):
            if verdict < least[piece]:
                least[piece] = verdict
    throughout = [min(least[start:stop]) for start, stop in zip(starts, stops, strict=True)]
    return np.maximum(np.array(throughout, np.float64), _LEAST_PROBABILITY)


def _skip_scores(
    lattice: Lattice, rejection: NDArray[np.float64], sizes: _Sizes, options: DecodingOptions
) -> NDArray[np.float64]:
    """A piece that no candidate covers alone is taken for surely no character."""
    alone = np.flatnonzero(lattice.stops - lattice.starts == 1)
    doubt = np.ones(len(lattice.piece_ink))
    doubt[lattice.starts[alone]] -= np.log(np.maximum(rejection[alone], _LEAST_PROBABILITY))
    scores: NDArray[np.float64] = -options.skip_cost * lattice.piece_ink / sizes.ink * doubt
    return scores
