"""Reading a row of running text against a dictionary of its words.

Words and the gaps between them are found together, by one exact search over the row for the best path. A word
of the dictionary costs nothing; any other string costs by the character, so that ink which no word of the
dictionary explains keeps its raw reading. A new word begins where a gap is wide; a narrow gap may part words,
and a wide one may lie within a word, at a price.

The state of the search is a border between pieces and a node of the tree of all beginnings of words. All
nodes are one array, so that a candidate extends every beginning in a few operations.
"""

from dataclasses import dataclass
from functools import lru_cache
from math import exp, inf, prod
from statistics import median

import numpy as np
from numpy.typing import NDArray

from model.automata import Lexicon
from model.characters import PathLabels
from model.decoding import Draft, finish
from model.lattice import DEFAULT_OPTIONS, Constraint, DecodingOptions, Lattice, Reading
from model.lattice_chain import LatticeChain
from model.path_scores import PathScores, score_lattice
from model.path_search import SKIP, LengthCounter, Path

# Prices, in nats, of a string outside of the dictionary: for itself, and for each of its characters.
STRANGE_WORD = 5.0
STRANGE_CHARACTER = 2.5
# No gap asks a higher price for parting words or for not parting them.
MOST_FOR_GAP = 8.0
# How fast belief in a space grows with a gap, in heights of a character.
_GAP_SLOPE = 0.08
# Marks lower than this, in heights of a character, part no words: what lies around them is one gap.
_LEAST_MARK = 0.45
# A cut that scores less is left out of the search.
_HOPELESS = -200.0
# A weight, relative to the best way, that adds nothing to the sum of all: strings of a row have far more.
_NO_WEIGHT = 1e-30

_SHOWN = 4  # alternatives of a character at most

_ROOT = 0
_STRANGE = 1


@dataclass(frozen=True, slots=True)
class WordTree:
    """The beginnings of all words. Node 0 is the empty one, node 1 stands for any string at all.

    Attributes:
        parents: int (T,) the node that is one character shorter; nodes 0 and 1 are their own.
        labels: int (T,) the last character, as an index into the charset.
        ends: int (E,) nodes that are whole words, and node 1.
    """

    parents: NDArray[np.intp]
    labels: NDArray[np.intp]
    ends: NDArray[np.intp]


@lru_cache(maxsize=64)
def word_tree(words: Lexicon, characters: str) -> WordTree:
    """The tree of a lexicon; words with a character that the charset lacks are left out."""
    parents, labels, ends = [_ROOT, _STRANGE], [0, 0], [_STRANGE]
    nodes = {"": _ROOT}
    for word in words.words:
        if not word or not set(word) <= set(characters):
            continue
        for stop in range(1, len(word) + 1):
            if word[:stop] not in nodes:
                nodes[word[:stop]] = len(parents)
                parents.append(nodes[word[: stop - 1]])
                labels.append(characters.index(word[stop - 1]))
        ends.append(nodes[word])
    return WordTree(np.array(parents), np.array(labels), np.array(ends))


def decode_words(
    lattice: Lattice,
    constraint: Constraint,
    words: Lexicon,
    options: DecodingOptions = DEFAULT_OPTIONS,
) -> Reading:
    """Reads one row of words, with the spaces between them.

    Args:
        lattice: candidates and their log-probabilities.
        constraint: charset; the length has no part in it.
        words: the dictionary.
        options: weights.

    Returns:
        The reading, without runners-up. Its confidence is the product of those of its words: the share that a
        word has of everything its ink may read, where strings outside of the dictionary have their prices as
        prior. That the words are parted as they are is taken for granted.
    """
    return finish([draft_words(lattice, constraint, words, options)], _SHOWN + 1)[0]


def draft_words(lattice: Lattice, constraint: Constraint, words: Lexicon, options: DecodingOptions) -> Draft:
    """What ``decode_words`` finds before it reads the characters."""
    scores, pieces = score_lattice(lattice, constraint, options), len(lattice.piece_ink)
    chain = LatticeChain(scores, LengthCounter.of(0, pieces, pieces), options.temperature)
    search = _WordSearch(scores, word_tree(words, scores.characters), gap_scores(lattice, options))
    found = search.best_words()
    sure: dict[int, tuple[int, float]] = {}
    text, confidences = [], []
    for word in found:
        confidences.append(search.share(word, options.temperature))
        if word.node != _STRANGE:
            known = ((label, confidences[-1]) for label in word.labels)
            sure.update(zip(word.candidates, known, strict=True))
        text.append("".join(scores.characters[label] for label in word.labels))
    path = Path(
        0.0, *(tuple(k for word in found for k in getattr(word, name)) for name in ("candidates", "labels"))
    )
    labels = PathLabels(
        lattice, scores.characters, path, chain.candidate_probabilities(1.0)[0], chain.shares, sure
    )
    return Draft([(" ".join(text), min(prod(confidences), 1.0))], labels)


def gap_scores(lattice: Lattice, options: DecodingOptions) -> list[tuple[float, float]]:
    """For the gap before each piece the scores, at most 0, of parting words there and of not parting them.

    A logistic function of the gap, which is even where ``DecodingOptions.space_gap`` would write a space.
    """
    left, top, right, bottom = lattice.piece_bounds.astype(np.float64).T
    if len(left) == 0:
        return []
    ink = lattice.piece_ink + 1e-9
    height = max(float(((bottom - top) * ink).sum() / ink.sum(dtype=np.float64)), 1e-3)
    reach = np.maximum.accumulate(np.where(bottom - top >= _LEAST_MARK * height, right, -inf))
    gaps = np.maximum(left[1:] - reach[:-1], 0.0) / height
    gaps = np.append(0.0, np.where(np.isfinite(gaps), gaps, 0.0))
    white = gaps[gaps > 0.0].tolist()
    usual = median(white) if white else 0.0
    excess = (gaps - min(usual, options.space_gap / 2) - options.space_gap) / _GAP_SLOPE
    part = np.maximum(-np.logaddexp(0.0, -excess), -MOST_FOR_GAP)
    join = np.maximum(-np.logaddexp(0.0, excess), -MOST_FOR_GAP)
    return list(zip(part.tolist(), join.tolist(), strict=True))


@dataclass(frozen=True, slots=True)
class _Word:
    """A word of the best path: its node, first and last border, and its characters."""

    node: int
    start: int
    stop: int
    candidates: tuple[int, ...]
    labels: tuple[int, ...]


class _WordSearch:
    """The best way to cover a row with words."""

    def __init__(self, scores: PathScores, tree: WordTree, gaps: list[tuple[float, float]]) -> None:
        self._scores, self._tree, self._gaps = scores, tree, gaps
        self._pieces = len(scores.skips)
        self._skips = scores.skips.tolist()
        self._arcs: list[list[tuple[int, int]]] = [[] for _ in range(self._pieces)]
        self._arriving: list[list[int]] = [[] for _ in range(self._pieces + 1)]
        spans = zip(scores.starts, scores.stops, scores.cuts.tolist(), strict=True)
        for index, (start, stop, cut) in enumerate(spans):
            if cut > _HOPELESS:
                self._arcs[start].append((stop, index))
        for arcs in self._arcs:
            for stop, index in arcs:
                self._arriving[stop].append(index)
        # Score of each candidate read as the last character of each node.
        self._values = scores.labels.take(tree.labels, axis=1) + scores.cuts[:, None]
        self._best = scores.labels.argmax(axis=1)
        self._likeliest = scores.labels.max(axis=1, initial=-inf) + scores.cuts
        self._values[:, _STRANGE] = self._likeliest - STRANGE_CHARACTER
        self._weights: tuple[NDArray[np.float64], list[float], list[float]] | None = None

    def best_words(self) -> list[_Word]:
        """The words of the best path, from left to right."""
        ends, parents, values = self._tree.ends, self._tree.parents, self._values
        best = np.full((self._pieces + 1, len(parents)), -inf)
        bases = np.empty((self._pieces, len(parents)))  # what a candidate that begins at a border adds to
        scratch = np.empty(len(parents))
        before: list[int] = []  # by border: the node after which a word that begins there follows
        fresh: list[bool] = []  # by border: whether a string of node 1 rather begins there than goes on
        best[0, _ROOT] = 0.0
        for border, (part, join) in enumerate(self._gaps):
            here, base = best[border], bases[border]
            ended = int(ends[here.take(ends).argmax()])
            empty, parted = float(here[_ROOT]), float(here[ended]) + part
            before.append(_ROOT if empty >= parted else ended)
            begin = max(empty, parted)
            np.add(here, join, out=scratch)
            scratch[_ROOT] = begin
            scratch.take(parents, out=base, mode="clip")  # any mode but the default writes to ``out`` at once
            base[_ROOT] = -inf
            fresh.append(begin - STRANGE_WORD > base[_STRANGE])
            base[_STRANGE] = max(begin - STRANGE_WORD, base[_STRANGE])
            for stop, index in self._arcs[border]:
                np.add(base, values[index], out=scratch)
                np.maximum(best[stop], scratch, out=best[stop])
            np.add(here, self._skips[border], out=scratch)
            np.maximum(best[border + 1], scratch, out=best[border + 1])
        return self._traced(best, bases, before, fresh)

    def _traced(
        self, best: NDArray[np.float64], bases: NDArray[np.float64], before: list[int], fresh: list[bool]
    ) -> list[_Word]:
        """The words that lead to the best end; by which candidate a score was reached is seen from its value.

        To note that for every score while searching would double the work.
        """
        nodes = np.append(_ROOT, self._tree.ends)
        node, border = int(nodes[best[-1, nodes].argmax()]), self._pieces
        words: list[_Word] = []
        whole, stop, steps = node, border, list[tuple[int, int]]()
        while node != _ROOT:
            index = self._arrived_by(best, bases, border, node)
            if index == SKIP:
                border -= 1
                continue
            stop = stop if steps else self._scores.stops[index]
            steps.append((index, int(self._best[index] if node == _STRANGE else self._tree.labels[node])))
            border = self._scores.starts[index]
            if node != _STRANGE and self._tree.parents[node] != _ROOT:
                node = int(self._tree.parents[node])
            elif node != _STRANGE or fresh[border]:
                candidates, labels = zip(*reversed(steps), strict=True)
                words.append(_Word(whole, border, stop, candidates, labels))
                whole = node = before[border]
                steps = []
        return words[::-1]

    def _arrived_by(
        self, best: NDArray[np.float64], bases: NDArray[np.float64], border: int, node: int
    ) -> int:
        """The first candidate that gives a node its score at a border; else a piece was left out."""
        for index in self._arriving[border]:
            if bases[self._scores.starts[index], node] + self._values[index, node] == best[border, node]:
                return index
        return SKIP

    def share(self, word: _Word, temperature: float) -> float:
        """The share, 0..1, that a word has of the mass of everything its pieces may read as one word.

        All ways to read the pieces as a word of the dictionary, as any other string at its price, or with an
        unreadable character. Every weight is relative to that of the best way to read the pieces without a
        dictionary, so that nothing overflows.
        """
        if self._weights is None:
            self._weights = self._weigh(temperature)
        weights, skips, best = self._weights
        parents = self._tree.parents
        masses = np.zeros((word.stop - word.start + 1, len(parents)))
        masses[0, [_ROOT, _STRANGE]] = 1.0, np.exp(-STRANGE_WORD / temperature)
        base, scratch = np.empty(len(parents)), np.empty(len(parents))
        for border in range(word.start, word.stop):
            here = masses[border - word.start]
            here.take(parents, out=base, mode="clip")
            base[_ROOT] = 0.0
            for stop, index in self._arcs[border]:
                if stop <= word.stop:
                    np.multiply(base, weights[index], out=scratch)
                    masses[stop - word.start] += scratch
            if skips[border] > _NO_WEIGHT:
                np.multiply(here, skips[border], out=scratch)
                masses[border - word.start + 1] += scratch
        total = float(masses[-1].take(self._tree.ends).sum())
        own = float(masses[-1, word.node])
        if word.node == _STRANGE:
            own = exp((self._score(word) + best[word.start] - best[word.stop]) / temperature)
        return min(own / total, 1.0) if total > 0.0 else 0.0

    def _weigh(self, temperature: float) -> tuple[NDArray[np.float64], list[float], list[float]]:
        """Weights of each candidate read as the last character of each node, of skips; best scores.

        Node 1 is any character, or an unreadable one. The best scores are those of each border, reached
        without a dictionary; weights are relative to them.
        """
        scores, likeliest = self._scores, self._likeliest.tolist()
        best = [0.0] + [-inf] * self._pieces
        for border, arcs in enumerate(self._arcs):
            here = best[border]
            for stop, index in arcs:
                best[stop] = max(best[stop], here + likeliest[index])
            best[border + 1] = max(best[border + 1], here + self._skips[border])
        reached = np.array(best)
        rise = (reached[scores.starts] - reached[scores.stops])[:, None]
        rise[scores.cuts <= _HOPELESS] = -inf
        labels = np.exp((scores.labels + scores.cuts[:, None] + rise) / temperature)
        unreadable = np.exp((scores.unreadable[:, None] + rise) / temperature)
        weights = labels.take(self._tree.labels, axis=1)
        strange = labels.sum(axis=1) * exp(-STRANGE_CHARACTER / temperature) + unreadable[:, 0]
        weights[:, _STRANGE] = strange
        falls = zip(self._skips, best, best[1:], strict=False)
        return weights, [exp((skip + a - b) / temperature) for skip, a, b in falls], best

    def _score(self, word: _Word) -> float:
        """Of the word's best path, with its prices but those of the gaps."""
        covered = set()
        score = -STRANGE_WORD if word.node == _STRANGE else 0.0
        for candidate, label in zip(word.candidates, word.labels, strict=True):
            score += float(self._scores.labels[candidate, label] + self._scores.cuts[candidate])
            score -= STRANGE_CHARACTER if word.node == _STRANGE else 0.0
            covered |= set(range(self._scores.starts[candidate], self._scores.stops[candidate]))
        return score + sum(self._skips[p] for p in range(word.start, word.stop) if p not in covered)
