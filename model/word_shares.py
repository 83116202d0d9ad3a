"""How probable each word of some rows is among everything that its ink may read as one word.

All words are weighed together, border by border: a word has few pieces, for which calling numpy costs more
than computing does.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from math import exp, inf

import numpy as np
from numpy.typing import NDArray

from model.path_scores import PathScores
from model.word_tree import ROOT, STRANGE, STRANGE_CHARACTER, STRANGE_WORD, Arcs, FoundWord, WordTree

# A weight, relative to the best way, that adds nothing to the sum of all: strings of a row have far more.
_NO_WEIGHT = 1e-30


@dataclass(frozen=True, slots=True, eq=False)
class WordRow:
    """A row with the words of its best path, and what may be read in their place.

    Attributes:
        scores: of its arcs.
        arcs: the candidates that may be read.
        words: from left to right.
    """

    scores: PathScores
    arcs: Arcs
    words: Sequence[FoundWord]


def word_shares(rows: Sequence[WordRow], tree: WordTree, temperature: float) -> list[list[float]]:
    """The share, 0..1, that each word of each row has of the mass of everything its pieces may read.

    All ways to read the pieces as a word of the dictionary, as any other string at its price, or with an
    unreadable character. Every weight is relative to that of the best way to read the pieces without a
    dictionary, so that nothing overflows.
    """
    weighed = [_Weights.of(row, temperature) for row in rows]
    spans = [(number, word) for number, row in enumerate(rows) for word in row.words]
    spans.sort(key=lambda span: span[1].start - span[1].stop)  # the longest first; of equal ones as they were
    if not spans:
        return [[] for _ in rows]
    own: dict[tuple[int, int], float] = {}
    masses = _final_masses(rows, weighed, spans, tree, temperature)
    totals = masses.take(tree.ends, axis=1).sum(axis=1).tolist()
    for mass, total, (number, word) in zip(masses, totals, spans, strict=True):
        weight = float(mass[word.node])
        if word.node == STRANGE:
            weight = weighed[number].of_word(rows[number].scores, word, temperature)
        own[number, word.start] = min(weight / total, 1.0) if total > 0.0 else 0.0
    return [[own[number, word.start] for word in row.words] for number, row in enumerate(rows)]


def _final_masses(
    rows: Sequence[WordRow],
    weighed: Sequence["_Weights"],
    spans: Sequence[tuple[int, FoundWord]],
    tree: WordTree,
    temperature: float,
) -> NDArray[np.float64]:
    """Mass of each node at the end of the pieces of each word, float64 (W, T).

    Args:
        rows, weighed: the rows and their weights.
        spans: row and word, the longest word first.
        tree, temperature: as in ``word_shares``.
    """
    lengths = np.array([word.stop - word.start for _, word in spans])
    longest = int(lengths[0])
    # By border within the words: how many reach it, since the longest come first.
    reach = [int(np.count_nonzero(lengths >= border)) for border in range(longest + 1)]
    firsts = np.cumsum([0, *(len(row.scores.starts) for row in rows)]).tolist()
    labels = np.concatenate([own.labels for own in weighed])
    strange = np.concatenate([own.strange for own in weighed])
    skips = np.zeros((longest, len(spans)))
    steps: list[dict[tuple[int, int], tuple[list[int], list[int]]]] = [{} for _ in range(longest)]
    for place, (number, word) in enumerate(spans):
        fall, arcs, first = weighed[number].skips, rows[number].arcs, firsts[number]
        for border in range(word.start, word.stop):
            skips[border - word.start, place] = fall[border]
            for stop, index in arcs[border]:
                if stop <= word.stop:
                    _add(steps[border - word.start], stop - border, place, first + index)
    skips[skips <= _NO_WEIGHT] = 0.0
    masses = [np.zeros((count, len(tree.parents))) for count in reach]
    masses[0][:, ROOT], masses[0][:, STRANGE] = 1.0, np.exp(-STRANGE_WORD / temperature)
    for border, step in enumerate(steps):
        going = reach[border + 1]
        here = masses[border][:going]
        base = here.take(tree.parents, axis=1)
        base[:, ROOT] = 0.0
        for (width, _), (places, candidates) in step.items():
            weights = labels[candidates].take(tree.labels, axis=1)
            weights[:, STRANGE] = strange[candidates]
            weights *= base[places]
            masses[border + width][places] += weights
        masses[border + 1] += here * skips[border, :going, None]
    ends = [own[count:] for own, count in zip(masses, [*reach[1:], 0], strict=True)]
    return np.concatenate(ends[::-1])


def _add(
    step: dict[tuple[int, int], tuple[list[int], list[int]]], width: int, place: int, candidate: int
) -> None:
    """Notes a candidate of a word among those of its width; another one of the same word stands apart."""
    rank = 0
    while (width, rank) in step and step[width, rank][0][-1] == place:
        rank += 1
    places, candidates = step.setdefault((width, rank), ([], []))
    places.append(place)
    candidates.append(candidate)


@dataclass(frozen=True, slots=True, eq=False)
class _Weights:
    """Weights of what a row may read, relative to the best way to reach each border without a dictionary.

    Attributes:
        labels: float64 (N, C) of each candidate with each label.
        strange: float64 (N,) of each candidate with any label at its price, or unreadable.
        skips: of leaving out each piece.
        best: score of the best way to each border.
    """

    labels: NDArray[np.float64]
    strange: NDArray[np.float64]
    skips: list[float]
    best: list[float]

    @classmethod
    def of(cls, row: WordRow, temperature: float) -> "_Weights":
        scores, skips = row.scores, row.scores.skips.tolist()
        likeliest = (scores.labels.max(axis=1, initial=-inf) + scores.cuts).tolist()
        best = [0.0] + [-inf] * len(skips)
        allowed = np.zeros(len(likeliest), bool)
        for border, arcs in enumerate(row.arcs):
            here = best[border]
            for stop, index in arcs:
                allowed[index] = True
                best[stop] = max(best[stop], here + likeliest[index])
            best[border + 1] = max(best[border + 1], here + skips[border])
        reached = np.array(best)
        rise = np.where(allowed, reached[scores.starts] - reached[scores.stops], -inf)
        labels = np.exp((scores.labels + (scores.cuts + rise)[:, None]) / temperature)
        unreadable = np.exp((scores.unreadable + rise) / temperature)
        strange = labels.sum(axis=1) * exp(-STRANGE_CHARACTER / temperature) + unreadable
        falls = zip(skips, best, best[1:], strict=False)
        return cls(labels, strange, [exp((skip + a - b) / temperature) for skip, a, b in falls], best)

    def of_word(self, scores: PathScores, word: FoundWord, temperature: float) -> float:
        """Weight of the best path of a strange word, with its prices but those of the gaps."""
        covered = set()
        score = -STRANGE_WORD
        for candidate, label in zip(word.candidates, word.labels, strict=True):
            score += float(scores.labels[candidate, label] + scores.cuts[candidate]) - STRANGE_CHARACTER
            covered |= set(range(scores.starts[candidate], scores.stops[candidate]))
        score += sum(float(scores.skips[p]) for p in range(word.start, word.stop) if p not in covered)
        return exp((score + self.best[word.start] - self.best[word.stop]) / temperature)
