"""Reading a row of running text against a dictionary of its words.

Words and the gaps between them are found together, by one exact search over the row for the best path
(``model.word_search``). A word of the dictionary costs nothing; any other string costs by the character, so
that ink which no word of the dictionary explains keeps its raw reading. A new word begins where a gap is
wide; a narrow gap may part words, and a wide one may lie within a word, at a price.
"""

from collections.abc import Sequence
from math import prod
from typing import NamedTuple

import numpy as np

from model.alphabets import PUNCTUATION
from model.automata import Lexicon
from model.characters import PathLabels
from model.decoding import Draft, finish
from model.lattice import DEFAULT_OPTIONS, Constraint, DecodingOptions, Lattice, Reading
from model.lattice_chain import LatticeChain
from model.path_scores import NEVER, PathScores, ScoredLattice, score_lattice
from model.path_search import LengthCounter, Path
from model.word_gaps import gap_scores
from model.word_search import WordSearch
from model.word_shares import WordRow, word_shares
from model.word_tree import STRANGE, word_tree

_SHOWN = 4  # alternatives of a character at most
_LIKELY = 0.8  # probability of punctuation above which it is that


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
        prior. That the words are parted as they are, and the punctuation after them, are taken for granted.
    """
    row = ScoredLattice.of(lattice, score_lattice(lattice, constraint, options), constraint, options)
    return finish(draft_words([row], words), _SHOWN + 1)[0]


def draft_words(rows: Sequence[ScoredLattice], words: Lexicon) -> list[Draft]:
    """What ``decode_words`` finds of each of some rows before it reads the characters.

    Args:
        rows: of one charset, scored under the same options; at least one.
        words: the dictionary.
    """
    parted = [_without_punctuation(row) for row in rows]
    options, tree = rows[0].options, word_tree(words, parted[0][0].characters)
    found = []
    for row, (scores, _) in zip(rows, parted, strict=True):
        gaps = gap_scores(row.piece_bounds, row.piece_ink, options.space_gap)
        search = WordSearch(scores, tree, gaps)
        found.append(WordRow(scores, search.arcs, search.best_words()))
    shares = word_shares(found, tree, options.temperature)
    return [
        _draft(row, own, marks, sure)
        for row, own, (_, marks), sure in zip(rows, found, parted, shares, strict=True)
    ]


class _Mark(NamedTuple):
    """Punctuation: its candidate, the first piece of that, its label in the row's scores, its probability."""

    candidate: int
    piece: int
    label: int
    probability: float


def _without_punctuation(row: ScoredLattice) -> tuple[PathScores, list[_Mark]]:
    """The scores of a row of which what is punctuation is left out: the words of a dictionary have none."""
    scores = row.scores
    letters = len(scores.characters.removesuffix(PUNCTUATION))
    if letters == len(scores.characters):
        return scores, []
    likely = np.exp(scores.labels[:, letters:])
    marks = [
        _Mark(int(k), scores.starts[k], letters + int(likely[k].argmax()), float(likely[k].sum()))
        for k in np.flatnonzero(likely.sum(axis=1) > _LIKELY)
    ]
    cuts, skips = scores.cuts.copy(), scores.skips.copy()
    starts, stops = np.array(scores.starts), np.array(scores.stops)
    for mark in marks:
        first, last = mark.piece, scores.stops[mark.candidate]
        cuts[(starts < last) & (stops > first)] = NEVER
        skips[first:last] = 0.0
    labels = scores.labels[:, :letters]
    own = PathScores(
        scores.starts,
        scores.stops,
        scores.characters[:letters],
        cuts,
        labels,
        np.where(cuts <= NEVER, NEVER, scores.unreadable),
        skips,
    )
    return own, marks


def _draft(row: ScoredLattice, found: WordRow, marks: Sequence[_Mark], confidences: list[float]) -> Draft:
    scores, pieces = found.scores, len(row.piece_ink)
    sure: dict[int, tuple[int, float]] = {}
    for word, confidence in zip(found.words, confidences, strict=True):
        if word.node != STRANGE:
            known = ((label, confidence) for label in word.labels)
            sure.update(zip(word.candidates, known, strict=True))
    sure.update({mark.candidate: (mark.label, mark.probability) for mark in marks})
    names, edges = row.scores.characters, [0, *(word.start for word in found.words[1:]), pieces]
    spelt: list[list[tuple[int, int]]] = []  # candidates and labels of each word and of the marks at it
    for word, first, end in zip(found.words, edges, edges[1:], strict=False):
        # Within a word of the dictionary a mark is a speck or a part of a letter; other strings have any.
        own = [
            (mark.candidate, mark.label)
            for mark in marks
            if first <= mark.piece < end
            and (word.node == STRANGE or not word.start <= mark.piece < word.stop)
        ]
        steps = [*zip(word.candidates, word.labels, strict=True), *own]
        spelt.append(sorted(steps, key=lambda step: scores.starts[step[0]]))
    text = " ".join(["".join([names[label] for _, label in word]) for word in spelt])
    candidates, labels = ([step[k] for word in spelt for step in word] for k in (0, 1))
    chain = LatticeChain(scores, LengthCounter.of(0, pieces, pieces), row.options.temperature)
    probable, _ = chain.candidate_probabilities(1.0)
    shares = np.pad(chain.shares, ((0, 0), (0, len(names) - chain.shares.shape[1])))
    path = Path(0.0, tuple(candidates), tuple(labels))
    read = PathLabels(row, names, path, probable, shares, sure)
    return Draft([(text, min(prod(confidences), 1.0))], read)
