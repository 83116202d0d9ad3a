"""The best way to cover a row with words of a dictionary, and with other strings at a price.

The state of the search is a border between pieces and a node of the tree of all beginnings of words: what has
been read of the word there. All nodes are one array, so that a candidate extends every beginning in a few
operations.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from math import inf

import numpy as np
from numpy.typing import NDArray

from model.path_scores import PathScores
from model.path_search import SKIP
from model.word_shapes import HOPELESS
from model.word_tree import ROOT, STRANGE, STRANGE_CHARACTER, STRANGE_WORD, Arcs, FoundWord, WordTree


@dataclass(frozen=True, slots=True, eq=False)
class _Searched:
    """What the search leaves behind, from which the best path is traced.

    Attributes:
        best: float64 (P + 1, T) score of the best way to each border with each node; with node 0 nothing has
            been read at all.
        bases: by border, float64 (T,): what a candidate that begins there adds to, if it makes each node.
        before: by border, the node of the word after which a word that begins there follows.
        fresh: by border, whether a string that is no word rather begins there than goes on.
    """

    best: NDArray[np.float64]
    bases: list[NDArray[np.float64]]
    before: list[int]
    fresh: list[bool]


class WordSearch:
    """The best way to cover a row with words.

    Attributes:
        arcs: the candidates that may be read, by the border at which they begin.
    """

    def __init__(self, scores: PathScores, tree: WordTree, gaps: list[tuple[float, float]]) -> None:
        """Gathers the arcs.

        Args:
            scores: of a row of P pieces, without punctuation.
            tree: of the words.
            gaps: for the gap before each piece the scores of parting words there, and of not parting them.
        """
        self._scores, self._tree, self._gaps = scores, tree, gaps
        self._pieces = len(scores.skips)
        self._skips = scores.skips.tolist()
        self.arcs: Arcs = [[] for _ in range(self._pieces)]
        self._arriving: list[list[int]] = [[] for _ in range(self._pieces + 1)]
        spans = zip(scores.starts, scores.stops, scores.cuts.tolist(), strict=True)
        for index, (start, stop, cut) in enumerate(spans):
            if cut > HOPELESS:
                self.arcs[start].append((stop, index))
        for arcs in self.arcs:
            for stop, index in arcs:
                self._arriving[stop].append(index)
        # Score of each candidate read as the last character of each node.
        self._values = scores.labels.take(tree.labels, axis=1) + scores.cuts[:, None]
        self._best = scores.labels.argmax(axis=1)
        likeliest = scores.labels.max(axis=1, initial=-inf) + scores.cuts
        self._values[:, STRANGE] = likeliest - STRANGE_CHARACTER

    def best_words(self) -> list[FoundWord]:
        """The words of the best path, from left to right."""
        return [*self._traced(self._searched())][::-1]

    def _searched(self) -> _Searched:
        """Finds the best way to every state, from left to right."""
        best = np.full((self._pieces + 1, len(self._tree.parents)), -inf)
        best[0, ROOT] = 0.0
        found = _Searched(best, [], [], [])
        for border, (part, join) in enumerate(self._gaps):
            here = best[border]
            before, begin = self._begun(here, part)
            base, fresh = self._bases(here, join, begin)
            found.before.append(before)
            found.bases.append(base)
            found.fresh.append(fresh)
            for stop, index in self.arcs[border]:
                np.maximum(best[stop], base + self._values[index], out=best[stop])
            np.maximum(best[border + 1], here + self._skips[border], out=best[border + 1])
        return found

    def _begun(self, here: NDArray[np.float64], part: float) -> tuple[int, float]:
        """The best way to begin a word at a border: the node of the word before it, and the score.

        ``here``, float64 (T,), are the scores of the nodes at that border, ``part`` that of parting words.
        """
        ends = self._tree.ends
        ended = int(ends[here.take(ends).argmax()])
        first, later = float(here[ROOT]), float(here[ended]) + part
        return (ROOT, first) if first >= later else (ended, later)

    def _bases(
        self, here: NDArray[np.float64], join: float, begin: float
    ) -> tuple[NDArray[np.float64], bool]:
        """What a candidate at a border adds to, as ``_Searched.bases``, and ``_Searched.fresh`` there.

        Args:
            here: float64 (T,) scores of the nodes at that border.
            join, begin: of going on with a word there, and of beginning one.
        """
        joined = here + join
        joined[ROOT] = begin
        base = joined.take(self._tree.parents)
        base[ROOT] = -inf  # no character makes the empty beginning
        fresh = begin - STRANGE_WORD > base[STRANGE]
        base[STRANGE] = max(begin - STRANGE_WORD, base[STRANGE])
        return base, bool(fresh)

    def _traced(self, searched: _Searched) -> Iterator[FoundWord]:
        """Yields the words that lead to the best end, from right to left."""
        nodes = np.append(ROOT, self._tree.ends)
        node, border = int(nodes[searched.best[-1, nodes].argmax()]), self._pieces
        while node != ROOT:
            word = self._word_until(searched, border, node)
            yield word
            node, border = searched.before[word.start], word.start

    def _word_until(self, searched: _Searched, border: int, whole: int) -> FoundWord:
        """The word that the best path has read when it is at a border, given its node there."""
        node, steps = whole, list[tuple[int, int]]()  # candidates and labels, from right to left
        while True:
            index = self._arrived_by(searched, border, node)
            if index == SKIP:
                border -= 1
                continue
            border = self._scores.starts[index]
            steps.append((index, int(self._best[index] if node == STRANGE else self._tree.labels[node])))
            if node != STRANGE:
                node = int(self._tree.parents[node])
            if node == ROOT or (node == STRANGE and searched.fresh[border]):
                break
        candidates, labels = zip(*reversed(steps), strict=True)
        return FoundWord(whole, border, self._scores.stops[candidates[-1]], candidates, labels)

    def _arrived_by(self, searched: _Searched, border: int, node: int) -> int:
        """The first candidate that gives a node its score at a border; else a piece was left out.

        It is seen from the value: to note it for every score while searching would double the work.
        """
        starts, reached = self._scores.starts, searched.best[border, node]
        for index in self._arriving[border]:
            if searched.bases[starts[index]][node] + self._values[index, node] == reached:
                return index
        return SKIP
