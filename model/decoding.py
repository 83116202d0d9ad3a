"""Reading a row: from candidates with class probabilities to a text that can be trusted or doubted.

Best paths (``model.path_search``) come from the lattice's scores (``model.path_scores``), probabilities from
all of its paths (``model.lattice_chain``). This module joins the two into a ``Reading``.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from statistics import median
from types import MappingProxyType

import numpy as np
from numpy.typing import NDArray

from model.characters import PathLabels, SharedInk, read_characters
from model.close_labels import LEAST_SHARE
from model.lattice import (
    DEFAULT_OPTIONS,
    CharacterReading,
    Constraint,
    DecodingOptions,
    Lattice,
    Reading,
)
from model.lattice_chain import LatticeChain, allowed_share
from model.path_scores import PathScores, score_lattice
from model.path_search import LengthCounter, Path, PathFinder
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
    return finish([draft(lattice, constraint, n_best, options)], n_best)[0]


@dataclass(frozen=True, slots=True, eq=False)
class Draft:
    """A row whose texts are known, but not yet its characters: see ``finish``.

    Attributes:
        texts: with their probabilities, most probable first, at least one.
        labels: the path of the first of them, and the probabilities of its characters.
        length_share: see ``Reading``.
    """

    texts: list[tuple[str, float]]
    labels: PathLabels
    length_share: float = 1.0


def finish(drafts: Sequence[Draft | Reading], n_best: int) -> list[Reading]:
    """The readings of drafts; their characters are read together.

    Args:
        drafts: of rows; what is a reading already stays as it is.
        n_best: see ``decode``.
    """
    characters = iter(
        read_characters([draft.labels for draft in drafts if isinstance(draft, Draft)], n_best - 1)
    )
    readings = []
    for draft in drafts:
        if isinstance(draft, Draft):
            best, confidence = draft.texts[0]
            runners_up = tuple([text for text in draft.texts[1:] if text[1] > LEAST_SHARE * confidence])
            readings.append(Reading(best, confidence, next(characters), runners_up, draft.length_share))
        else:
            readings.append(draft)
    return readings


def draft(lattice: Lattice, constraint: Constraint, n_best: int, options: DecodingOptions) -> Draft | Reading:
    """What ``decode`` finds before it reads the characters, if that is left to do. Raises as ``decode``."""
    if n_best < 1:
        raise ValueError(f"n_best is {n_best}; ask for at least one reading")
    scores = score_lattice(lattice, constraint, options)
    pieces = len(lattice.piece_ink)
    counter = LengthCounter.of(constraint.min_length, constraint.max_length, pieces)
    finder = PathFinder(scores, counter)
    fitting = finder.feasible
    if not fitting:
        counter = LengthCounter.of(0, pieces, pieces)
        finder = PathFinder(scores, counter)
    trust = 1.0 if fitting else options.wrong_length
    chain = LatticeChain(scores, counter, options.temperature)
    candidates, kept = chain.candidate_probabilities(options.wrong_length)
    texts = _ranked_texts(finder, chain, n_best, options.temperature)
    row = RowReader(lattice, constraint, scores, options, n_best)
    if constraint.permutation and 0 < len(texts[0][0].labels) <= len(scores.characters):
        return row.permuted(texts[0][0], candidates * chain.shares.sum(axis=1), trust)
    ranked = [(path, trust * min(mass / kept, 1.0)) for path, mass in texts]
    share = allowed_share(kept, options.wrong_length) if fitting else 0.0
    return row.draft(ranked, trust * candidates, chain.shares, length_share=share)


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
        self._gaps: dict[tuple[int, ...], list[int]] = {}

    def draft(
        self,
        ranked: list[tuple[Path, float]],
        candidates: NDArray[np.float64],
        shares: NDArray[np.float64],
        sure: Mapping[int, tuple[int, float]] = MappingProxyType({}),
        length_share: float = 1.0,
    ) -> Draft:
        """The draft of ranked texts; see ``PathLabels`` and ``Reading`` for the others."""
        texts = [(self.text(path), confidence) for path, confidence in ranked]
        names = self._scores.characters
        labels = PathLabels(self._lattice, names, ranked[0][0], candidates, shares, sure)
        return Draft(texts, labels, length_share)

    def text(self, path: Path) -> str:
        """The text of a path, with spaces where the field may have any."""
        names = self._scores.characters
        if not self._spaces or len(path.labels) <= 2:
            return "".join([names[label] for label in path.labels])
        if path.candidates not in self._gaps:  # most texts of a row have the same cuts
            bounds = self._lattice.bounds[list(path.candidates)]
            self._gaps[path.candidates] = _wide_gaps(bounds, self._options.space_gap)
        characters = [names[label] for label in path.labels]
        for place in self._gaps[path.candidates]:
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
        permuted = replace(path, labels=tuple(labels.tolist()))
        odds = exchange_odds(scores, labels)
        once = _exchanges_once(labels, odds.shape[1])
        cuts = trust * self._cut_probabilities(chosen, candidates)
        confidence = trust * float(np.prod(cuts / max(trust, 1e-300)) / (1.0 + odds[once]).prod())
        characters = self._permuted_characters(permuted, odds, cuts)
        runners_up = self._exchanges(permuted, np.where(once, odds, 0.0), confidence)
        return Reading(self.text(permuted), confidence, characters, runners_up)

    def _cut_probabilities(
        self, chosen: NDArray[np.intp], candidates: NDArray[np.float64]
    ) -> NDArray[np.float64]:
        """How probable the cut of each of some candidates is, float64 (L,): of it and of what is as good.

        Args:
            chosen: int (L,) these candidates.
            candidates: float64 (N,) probability of each candidate of the row.
        """
        places, holders, same = SharedInk.of([self._lattice]).with_each(chosen)
        held = np.bincount(places, candidates[holders] * same, len(chosen))
        return np.minimum(held, 1.0)

    def _permuted_characters(
        self, path: Path, odds: NDArray[np.float64], cuts: NDArray[np.float64]
    ) -> tuple[CharacterReading, ...]:
        """The characters of a permutation, given the odds of each exchange and probabilities of the cuts."""
        confidences = cuts * (1.0 / (1.0 + odds).prod(axis=1))
        each = zip(path.candidates, path.labels, confidences, odds, strict=True)
        return tuple(
            self._permuted_character(candidate, label, float(confidence), confidence * row)
            for candidate, label, confidence, row in each
        )

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
                (self.text(replace(path, labels=tuple(swapped))), confidence * float(odds[place, label]))
            )
        return tuple(texts)


def _exchanges_once(labels: NDArray[np.intp], columns: int) -> NDArray[np.bool_]:
    """Of all ways to give places another label, bool (L, C), those that name each exchange of two just once.

    ``labels``, int (L,), are what the places have. That one place takes the label of another is the same as
    the other way round; a label that no place has is taken by one alone.
    """
    once = np.ones((len(labels), columns), bool)
    once[:, labels] = np.triu(np.ones((len(labels), len(labels)), bool), 1)
    return once


def _wide_gaps(bounds: NDArray[np.float32], space_gap: float) -> list[int]:
    """Places after which a space stands, from the bounds of the row's characters (L, 4).

    The gap exceeds the median gap (the lower one of two) by ``space_gap`` median character heights.
    """
    reach = np.maximum.accumulate(bounds[:, 2])
    gaps = np.maximum(bounds[1:, 0] - reach[:-1], 0.0)
    usual = np.sort(gaps)[(len(gaps) - 1) // 2]
    height = median((bounds[:, 3] - bounds[:, 1]).tolist())
    return np.flatnonzero(gaps > usual + space_gap * height).tolist()
