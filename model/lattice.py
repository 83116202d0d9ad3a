"""Types of the decoder: what it reads from, what may stand there, what it returns."""

from dataclasses import dataclass, field
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from model.automata import Automaton, Lexicon


@dataclass(frozen=True, slots=True)
class Lattice:
    """Candidates of one row of writing with their class log-probabilities.

    Attributes:
        starts, stops: int (N,). Candidate i covers pieces ``starts[i] <= p < stops[i]``.
        log_probs: float32 (N, 63) natural logarithms over ``alphabets.CHARACTERS`` and not-a-character.
        bounds: float32 (N, 4) left, top, right, bottom of the candidate's ink, in units of the height of the
            writing area (top 0 = its upper edge, bottom 1 = its lower edge).
        piece_bounds: float32 (P, 4) the same for single pieces, from left to right.
        piece_ink: float32 (P,) ink area of the pieces, in units of that height squared.
        whole: bool (N,) whether a candidate is a body of ink by itself, not cut off from what is beside it
            and joined with nothing; empty where that is not known.
    """

    starts: NDArray[np.integer]
    stops: NDArray[np.integer]
    log_probs: NDArray[np.float32]
    bounds: NDArray[np.float32]
    piece_bounds: NDArray[np.float32]
    piece_ink: NDArray[np.float32]
    whole: NDArray[np.bool_] = field(kw_only=True, default_factory=lambda: np.zeros(0, np.bool_))


@dataclass(frozen=True, slots=True)
class Constraint:
    """What may stand in a field.

    Attributes:
        charset: name of a charset of ``alphabets.CHARSETS``.
        min_length, max_length: how many characters, spaces not counted.
        permutation: no character of the charset stands twice (an alphabet written in any order).
        spaces: the row may hold several words; a space is written where a gap is clearly wider than usual.
        automaton: accepts the texts that are allowed, without their spaces; None for any text.
        words: the dictionary of a row of running text; None for no running text. Wins over ``automaton``.
    """

    charset: str
    min_length: int
    max_length: int
    permutation: bool = False
    spaces: bool = False
    automaton: Automaton | None = None
    words: Lexicon | None = None


class CharacterReading(NamedTuple):
    """One character of a reading. A tuple, since a page has hundreds.

    Attributes:
        label: the character.
        confidence: probability, 0..1, that this ink reads ``label``, whatever the rest of the row reads.
        candidate: index into the lattice.
        alternatives: the next characters that this ink, or a part of it, may read, with their probability;
            best first, without the label itself. They share what the confidence leaves, in the proportions in
            which they are likely, and so all together are never above 1.
    """

    label: str
    confidence: float
    candidate: int
    alternatives: tuple[tuple[str, float], ...]


@dataclass(frozen=True, slots=True)
class Reading:
    """The best reading of a line.

    Attributes:
        text: what is read.
        confidence: probability, 0..1, that all of it is right.
        characters: of the text, from left to right.
        runners_up: the next best texts with their probabilities, best first.
        length_share: share, 0..1, of the probability of all ways of cutting the ink that have a length which
            the field allows: whether the ink itself speaks for the length. 1 where nothing depends on it.
    """

    text: str
    confidence: float
    characters: tuple[CharacterReading, ...]
    runners_up: tuple[tuple[str, float], ...]
    length_share: float = 1.0


@dataclass(frozen=True, slots=True)
class DecodingOptions:
    """The weights of the decoder. Scores are natural logarithms; sizes are relative to the row's own hand.

    Checked by coordinate search on composed fields (``benchmarks/tune_decoder.py``): against 0.35, a
    ``width_tolerance`` of 0.5 raised the mean of fields and characters read right by 0.05 (digits), 0.4
    (letters) and 0.3 (mixed text) in a hundred. Half and double of the other weights read no more, or so
    little that dirt on real pages may well outweigh it.

    Attributes:
        temperature: flattens (above 1) or sharpens every posterior; never changes which path is best.
        segmentation_weight: weight, per piece, of the classifier's belief that a cut holds a character at
            all. Higher trusts its not-a-character class more than the labels and the geometry.
        rejection_floor: least probability of being a character that any cut is given, so that one wrong
            not-a-character verdict cannot veto a path that everything else favours.
        skip_cost: cost of leaving out as much ink as a whole character holds when the classifier is sure
            that it is none. Grows with the ink, and with the doubt that it is none.
        width_tolerance: how much wider than the expected pitch a candidate may be: the deviation, in
            natural logarithms of the ratio, that costs half a nat. Narrower ones cost nothing (1, I, l).
        height_tolerance: the same for a height below half or above double the usual height of the row.
        gap_tolerance: white gap inside a candidate, in character heights, that costs half a nat; the cost
            grows with its square. Pieces that overlap horizontally cost nothing.
        line_spread: how far tops and bottoms of characters lie off the lines of writing, in cap heights; 0
            leaves size and position out of account. See ``model.writing_lines``. On composed words of mixed
            case 0.3 raised the characters read right from 67 to 75 in a hundred, and on small letters by
            nearly one; 0.2 gave more, but composed rows keep to the lines better than hands do.
        kind_strength: weight of the rule that neighbours are of one kind, digits, capitals or small
            letters. See ``model.neighbours``. On composed words (a capital, then small letters) 0.6 raised
            those read right in full from 24 to 34 in a hundred, and 1 to 38; but identifiers mix letters and
            digits, which composed words do not. In free text the shapes of words take its place and have no
            weight of their own, see ``model.word_shapes``; 0 leaves both out.
        wrong_length: prior weight of readings that break the length which the field prescribes. They are
            never returned while one that keeps it exists, but they take their share of its confidence.
        space_gap: a space is written where a gap exceeds the row's median gap by this many median
            character heights.
    """

    temperature: float = 1.0
    segmentation_weight: float = 1.0
    rejection_floor: float = 1e-3
    skip_cost: float = 5.0
    width_tolerance: float = 0.5
    height_tolerance: float = 0.5
    gap_tolerance: float = 0.15
    line_spread: float = 0.3
    kind_strength: float = 0.7
    wrong_length: float = 0.003
    space_gap: float = 0.4


DEFAULT_OPTIONS = DecodingOptions()
