"""Reading a row: from candidates with class probabilities to a text that can be trusted or doubted.

Best paths come from the lattice's scores (``model.path_scores``), probabilities from all of its paths
(``model.path_search``). This module joins the two into a ``Reading``.
"""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from math import exp, inf

import numpy as np
from numpy.typing import NDArray

from model.lattice import (
    DEFAULT_OPTIONS,
    CharacterReading,
    Constraint,
    DecodingOptions,
    Lattice,
    Reading,
)
from model.path_scores import LABELS_TRIED, LEAST_SHARE, CloseLabels, PathScores, few_largest, score_lattice
from model.path_search import LatticeChain, LengthCounter, Path, PathFinder
from model.permutation import assign, exchange_odds

__all__ = [
    "DEFAULT_OPTIONS",
    "CharacterReading",
    "Constraint",
    "DecodingOptions",
    "Lattice",
    "Reading",
    "decode",
]

# Several paths may spell one text (a speck kept or left out), so more paths than texts are looked at.
_PATHS_PER_TEXT = 3


def decode(
    lattice: Lattice,
    constraint: Constraint,
    n_best: int = 5,
    options: DecodingOptions = DEFAULT_OPTIONS,
) -> Reading:
    """Reads one row of writing.

    The texts of the best paths are ranked by their probability: the mass of all paths that spell them, as a
    share of all paths, among which are those with unreadable characters and, at little weight, those of a
    wrong length. If no path has an allowed length, the best of any length is returned and all its
    probabilities are multiplied by ``options.wrong_length``, so that it is sure to be reviewed.

    Args:
        lattice: candidates and their log-probabilities.
        constraint: what may stand in the field.
        n_best: how many texts to return at most, the best included; also the characters shown for a place.
        options: weights.

    Returns:
        The reading; all probabilities in 0..1. Nothing read is the text ``""``. Spaces are no characters of
        the reading and have no part in its confidence.

    Raises:
        ValueError: the lattice's arrays do not fit together or hold NaN, or ``n_best`` is less than 1.
        KeyError: the charset is unknown.
    """
    if n_best < 1:
        raise ValueError(f"n_best is {n_best}; ask for at least one reading")
    scores = score_lattice(lattice, constraint, options)
    pieces = len(lattice.piece_ink)
    counter = LengthCounter.of(constraint.min_length, constraint.max_length, pieces)
    finder, trust = PathFinder(scores, counter), 1.0
    if not finder.feasible:
        counter, trust = LengthCounter.of(0, pieces, pieces), options.wrong_length
        finder = PathFinder(scores, counter)
    chain = LatticeChain(scores, counter, options.temperature)
    candidates, kept = chain.candidate_probabilities(options.wrong_length)
    texts = _ranked_texts(finder, chain, n_best, options.temperature)
    row = RowReader(lattice, constraint, scores, options, n_best)
    if constraint.permutation and 0 < len(texts[0][0].labels) <= len(scores.characters):
        return row.permuted(texts[0][0], candidates * chain.shares.sum(axis=1), trust)
    ranked = [(path, trust * min(mass / kept, 1.0)) for path, mass in texts]
    return row.reading(ranked, LabelProbabilities(scores, chain, candidates), trust)


def _ranked_texts(
    finder: PathFinder, chain: LatticeChain, n_best: int, temperature: float
) -> list[tuple[Path, float]]:
    """The best path of each of the most probable texts, and the text's mass; most probable first."""
    paths: dict[tuple[int, ...], Path] = {}
    for path in finder.best_paths(_PATHS_PER_TEXT * n_best, -temperature * float(np.log(LEAST_SHARE))):
        paths.setdefault(path.labels, path)
        if len(paths) == n_best:
            break
    texts = [(path, chain.text_probability(path)) for path in paths.values()]
    return sorted(texts, key=lambda text: -text[1])


class LabelProbabilities:
    """Probability of each label of each candidate, computed where it is asked for.

    Most readings ask for a few labels of the candidates of one path, out of thousands of numbers.
    """

    def __init__(
        self,
        scores: PathScores,
        chain: LatticeChain,
        candidates: NDArray[np.float64],
        sure: Mapping[int, tuple[int, float]] | None = None,
    ) -> None:
        """Takes what the probabilities are products of.

        Args:
            scores: of N candidates and C labels.
            chain: that gives the share of each label.
            candidates: float64 (N,) probability that a candidate is on the path, readable or not.
            sure: label of some candidates, and the probability that it is this one whatever its share is; the
                shares have what is left.
        """
        self._scores, self._chain, self._sure = scores, chain, sure or {}
        self._every, self._candidates = candidates, candidates.tolist()
        self._close = scores.close or CloseLabels.of(scores.labels, inf)
        self._cuts = scores.cuts.tolist()

    def matrix(self) -> NDArray[np.float64]:
        """All of them, float64 (N, C)."""
        labels = self._every[:, None] * self._chain.shares
        for candidate, (label, probability) in self._sure.items():
            labels[candidate] *= 1.0 - probability
            labels[candidate, label] += probability
        return labels

    def of(self, candidate: int, label: int) -> float:
        """That of one label of a candidate."""
        value = self._candidates[candidate] * float(self._chain.shares[candidate, label])
        known, probability = self._sure.get(candidate, (label, 0.0))
        return value * (1.0 - probability) + (probability if known == label else 0.0)

    def close(self, candidate: int) -> list[tuple[int, float]]:
        """The likeliest labels of a candidate by their share, best first, each with its probability.

        ``LABELS_TRIED`` at most, and none with less than ``LEAST_SHARE`` of the best one's share.
        """
        known, probability = self._sure.get(candidate, (-1, 0.0))
        factor = self._candidates[candidate] * (1.0 - probability)
        mass, cut, heat = self._chain.masses[candidate], self._cuts[candidate], self._chain.temperature
        labels = [
            (label, factor * exp((value + cut) / heat - mass))
            for value, label in self._close.labels[candidate]
        ]
        if probability == 0.0:
            return labels
        return [(label, value + probability if label == known else value) for label, value in labels]


class RowReader:
    """What all readings of one row have in common."""

    def __init__(
        self,
        lattice: Lattice,
        constraint: Constraint,
        scores: PathScores,
        options: DecodingOptions,
        n_best: int,
    ) -> None:
        """Takes what ``decode`` does, and the scores of the lattice."""
        self._lattice, self._scores, self._options = lattice, scores, options
        self._spaces, self._shown = constraint.spaces, n_best - 1

    def reading(
        self,
        ranked: list[tuple[Path, float]],
        labels: "LabelProbabilities | NDArray[np.float64]",
        trust: float,
    ) -> Reading:
        """The reading of ranked texts, given the probability of each label of each candidate (N, C)."""
        texts = [(self._text(path), confidence) for path, confidence in ranked]
        best, confidence = texts[0]
        runners_up = tuple(text for text in texts[1:] if text[1] > LEAST_SHARE * confidence)
        return Reading(best, confidence, self._characters(ranked[0][0], labels, trust), runners_up)

    def _characters(
        self, path: Path, labels: "LabelProbabilities | NDArray[np.float64]", trust: float
    ) -> tuple[CharacterReading, ...]:
        """Characters with their probabilities, summed over the cuts that hold the same ink."""
        places = list(range(len(path.labels)))
        found: dict[int, CharacterReading] = {}
        if isinstance(labels, LabelProbabilities) and self._shown < LABELS_TRIED:
            shared = _sharing(self._scores, path.candidates)
            for place in places:
                if place not in shared:
                    found[place] = self._single(path.candidates[place], path.labels[place], labels, trust)
            places = sorted(shared)
        if places:
            every = labels.matrix() if isinstance(labels, LabelProbabilities) else labels
            found.update(zip(places, self._summed(path, places, every, trust), strict=True))
        return tuple([found[place] for place in range(len(path.labels))])

    def _single(
        self, candidate: int, label: int, labels: "LabelProbabilities", trust: float
    ) -> CharacterReading:
        """A character whose ink no other candidate holds: what it may read else are its own close labels."""
        names = self._scores.characters
        confidence = min(trust * labels.of(candidate, label), 1.0)
        most = 1.0 - confidence
        if most <= LEAST_SHARE:
            return CharacterReading(names[label], confidence, candidate, ())
        values = [
            (names[other], min(trust * value, most))
            for other, value in labels.close(candidate)
            if other != label and trust * value > LEAST_SHARE
        ]
        return CharacterReading(names[label], confidence, candidate, tuple(values[: self._shown]))

    def _summed(
        self, path: Path, which: list[int], labels: NDArray[np.float64], trust: float
    ) -> list[CharacterReading]:
        """Some characters of a path, by their place, each summed over all cuts that hold its ink."""
        chosen = np.array([path.candidates[place] for place in which])
        own = np.array([path.labels[place] for place in which])
        places = np.arange(len(which))
        overlaps, same = _shared_ink(self._lattice, chosen)
        confidences = np.minimum(trust * _summed(same, labels)[places, own], 1.0)
        around = np.minimum(trust * _summed(overlaps, labels), (1.0 - confidences)[:, None])
        around[places, own] = -1.0
        names = self._scores.characters
        others = few_largest(around, LEAST_SHARE, self._shown)
        rows = zip(chosen.tolist(), own.tolist(), confidences.tolist(), others, strict=True)
        return [
            CharacterReading(names[label], confidence, candidate, tuple([(names[k], v) for v, k in values]))
            for candidate, label, confidence, values in rows
        ]

    def _text(self, path: Path) -> str:
        characters = [self._scores.characters[label] for label in path.labels]
        if self._spaces and len(characters) > 2:
            for place in _wide_gaps(self._lattice.bounds[list(path.candidates)], self._options.space_gap):
                characters[place] += " "
        return "".join(characters)

    def permuted(self, path: Path, candidates: NDArray[np.float64], trust: float) -> Reading:
        """The best reading of a path's candidates in which no character stands twice.

        The cuts of the path are kept. Probabilities come from the exchanges of two characters (or of one
        with an unused one), each taken to be independent of the others: exact where doubts do not share a
        character, which is the usual case. The field's is that of these labels times that of each cut.

        Args:
            path: best path without the constraint.
            candidates: float64 (N,) probability that a candidate is on the path and readable.
            trust: factor of all probabilities.
        """
        chosen = np.array(path.candidates)
        scores = self._scores.labels[chosen] / self._options.temperature
        labels = assign(-scores)
        odds = exchange_odds(scores, labels)
        own = 1.0 / (1.0 + odds).prod(axis=1)
        _, same = _shared_ink(self._lattice, chosen)
        cuts = trust * np.minimum(_summed(same, candidates), 1.0)
        swaps = np.triu(np.ones((len(labels), len(labels)), bool), 1)
        apart = np.ones_like(odds, bool)
        apart[:, labels] = swaps
        doubt = odds[apart]
        confidence = trust * float(np.prod(cuts / max(trust, 1e-300)) / (1.0 + doubt).prod())
        permuted = replace(path, labels=tuple(labels.tolist()))
        characters = tuple(
            self._permuted_character(candidate, label, float(mine), mine * row)
            for candidate, label, mine, row in zip(
                path.candidates, permuted.labels, cuts * own, odds, strict=True
            )
        )
        runners_up = self._exchanges(permuted, np.where(apart, odds, 0.0), confidence)
        return Reading(self._text(permuted), confidence, characters, runners_up)

    def _permuted_character(
        self, candidate: int, label: int, confidence: float, others: NDArray[np.float64]
    ) -> CharacterReading:
        names = self._scores.characters
        order = np.argsort(-others)[: self._shown].tolist()
        alternatives = tuple((names[k], float(others[k])) for k in order if others[k] > LEAST_SHARE)
        return CharacterReading(names[label], confidence, candidate, alternatives)

    def _exchanges(
        self, path: Path, odds: NDArray[np.float64], confidence: float
    ) -> tuple[tuple[str, float], ...]:
        """Texts one exchange away from the best permutation, best first."""
        texts = []
        for flat in np.argsort(-odds, axis=None)[: self._shown].tolist():
            place, label = divmod(flat, odds.shape[1])
            if odds[place, label] <= LEAST_SHARE:
                break
            swapped = list(path.labels)
            if label in swapped:
                swapped[swapped.index(label)] = swapped[place]
            swapped[place] = label
            texts.append(
                (self._text(replace(path, labels=tuple(swapped))), confidence * float(odds[place, label]))
            )
        return tuple(texts)


def _summed(which: NDArray[np.bool_], values: NDArray[np.float64]) -> NDArray[np.float64]:
    """For each of L rows of ``which``, bool (L, N), the sum of its values of (N, ...); no row may be empty.

    A product of matrices would do nearly all its work on zeros, and on several threads.
    """
    rows, columns = np.nonzero(which)
    return np.add.reduceat(values[columns], np.searchsorted(rows, np.arange(len(which))), axis=0)


def _sharing(scores: PathScores, chosen: Sequence[int]) -> set[int]:
    """Which of the candidates of a path, by their place on it, share ink with any other candidate."""
    starts, stops = scores.starts, scores.stops
    if len(chosen) == len(starts):
        return set()  # all candidates are of one path
    covers = [0] * len(scores.skips)
    for start, stop in zip(starts, stops, strict=True):
        for piece in range(start, stop):
            covers[piece] += 1
    return {
        place
        for place, candidate in enumerate(chosen)
        if max(covers[starts[candidate] : stops[candidate]]) > 1
    }


def _shared_ink(lattice: Lattice, chosen: NDArray[np.integer]) -> tuple[NDArray[np.bool_], NDArray[np.bool_]]:
    """Which candidates share ink with the chosen ones, and which are the same but for specks.

    Returns:
        Two bool (chosen, N): those that share a piece; and those of which more than half of the joint ink
        is shared. Of the latter no path can hold two, so their probabilities may be summed.
    """
    ink = np.append(0.0, (lattice.piece_ink.astype(np.float64) + 1e-9).cumsum())
    starts, stops = lattice.starts, lattice.stops
    first = np.maximum(starts[chosen][:, None], starts)
    last = np.minimum(stops[chosen][:, None], stops)
    overlaps = last > first
    shared = np.where(overlaps, ink[np.maximum(last, first)] - ink[first], 0.0)
    sizes = ink[stops] - ink[starts]
    same = 2.0 * shared > sizes[chosen][:, None] + sizes - shared
    return overlaps, same


def _wide_gaps(bounds: NDArray[np.float32], space_gap: float) -> list[int]:
    """Places after which a space stands, from the bounds of the row's characters (L, 4).

    The gap exceeds the median gap (the lower one of two) by ``space_gap`` median character heights.
    """
    reach = np.maximum.accumulate(bounds[:, 2])
    gaps = np.maximum(bounds[1:, 0] - reach[:-1], 0.0)
    usual = np.sort(gaps)[(len(gaps) - 1) // 2]
    height = np.median(bounds[:, 3] - bounds[:, 1])
    return np.flatnonzero(gaps > usual + space_gap * height).tolist()
