"""The words of a dictionary as the tree of their beginnings, and what a string outside of it costs."""

from dataclasses import dataclass
from functools import lru_cache

import numpy as np
from numpy.typing import NDArray

from model.automata import Lexicon

# Prices, in nats, of a string outside of the dictionary: for itself, and for each of its characters.
STRANGE_WORD = 5.0
STRANGE_CHARACTER = 2.5

ROOT = 0
STRANGE = 1

# Candidates by the border between pieces at which they begin: border after, index.
Arcs = list[list[tuple[int, int]]]


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
    parents, labels, ends = [ROOT, STRANGE], [0, 0], [STRANGE]
    nodes = {"": ROOT}
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


@dataclass(frozen=True, slots=True)
class FoundWord:
    """A word of the best path: its node, first and last border, and its characters."""

    node: int
    start: int
    stop: int
    candidates: tuple[int, ...]
    labels: tuple[int, ...]
