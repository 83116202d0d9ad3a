"""Fields of composed writing, cut and classified: what the decoder gets, beside what it should read.

A field is made from the seed, its kind and its number alone, so that any of them can be made again by itself.
Classifying is most of the work; what is fitted on fields decodes the same ones many times.
"""

import sys
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from jobs.composing import DIGITS, LOWER, SPACINGS, UPPER, LineComposer, spaced_habits
from model.alphabets import CHARACTERS
from model.decoding import Constraint, Lattice
from model.networks import Networks
from pipeline.classifying import ClassifiedRow, classify_rows
from pipeline.reading import lattice_of
from segmentation.composition import ComposedLine
from segmentation.page import GlyphLine

DIGIT_SOURCES = ("sd19", "mnist", "sd19", "unipen")  # in turn: half of the strings are from scanned forms
LETTER_SOURCES = ("unipen", "cleaned")
SPACING_SHARES = (0.5, 0.35, 0.12, 0.03)  # of SPACINGS: free, near, touching, overlapping
FRAMED_SHARE = 0.5
MOST_CHARACTERS = 16  # of a field whose length is not told
_CHUNK = 200  # fields classified together


@dataclass(frozen=True, slots=True)
class FieldKind:
    """What is composed.

    Attributes:
        name: of the row in a table.
        charset: that the decoder is told.
        layout: ``string`` of so many characters, ``alphabet`` (every letter once) or ``word``.
        kind: ``DIGITS``, ``UPPER`` or ``LOWER``.
        shortest, longest: how many characters; of an alphabet as many as the hand has.
        known_length: whether the decoder is told the length, or only that there are 1 to ``MOST_CHARACTERS``.
        sources: taken in turn.
    """

    name: str
    charset: str
    layout: str
    kind: int
    shortest: int
    longest: int
    known_length: bool
    sources: tuple[str, ...]


KINDS: tuple[FieldKind, ...] = (
    *(
        FieldKind(f"digits {n}", "digits", "string", DIGITS, n, n, True, DIGIT_SOURCES)
        for n in (2, 3, 4, 5, 6, 10)
    ),
    FieldKind("upper 26", "upper", "alphabet", UPPER, 26, 26, True, LETTER_SOURCES),
    FieldKind("lower 26", "lower", "alphabet", LOWER, 26, 26, True, LETTER_SOURCES),
    FieldKind("upper 3-8", "upper", "string", UPPER, 3, 8, False, LETTER_SOURCES),
    FieldKind("lower 3-8", "lower", "string", LOWER, 3, 8, False, LETTER_SOURCES),
    FieldKind("word 3-10", "text", "word", LOWER, 3, 10, False, LETTER_SOURCES),
)


@dataclass(frozen=True, eq=False)
class ComposedField:
    """A composed field before it is decoded.

    Attributes:
        kind, source, spacing: where it comes from.
        number: of its kind, from 0.
        truth: what stands there.
        lattice: its candidates, classified.
        verdict: int16 (N,), which character each candidate is, below 0 if none; see
            ``ComposedLine.candidates``.
    """

    kind: FieldKind
    source: str
    spacing: str
    number: int
    truth: str
    lattice: Lattice
    verdict: NDArray[np.int16]

    @property
    def whole(self) -> bool:
        """Whether some path through the lattice has all characters, whole."""
        return has_whole_path(self.lattice.starts, self.lattice.stops, self.verdict, len(self.truth))

    def constraint(self, permutation: bool = False, known_length: bool | None = None) -> Constraint:
        """What the decoder is told; ``known_length`` overrules the kind."""
        known = self.kind.known_length if known_length is None else known_length
        low, high = (len(self.truth), len(self.truth)) if known else (1, MOST_CHARACTERS)
        return Constraint(self.kind.charset, low, high, permutation=permutation)


def compose_field(
    composer: LineComposer,
    kind: FieldKind,
    number: int,
    seed: int,
    shares: Sequence[float] = SPACING_SHARES,
) -> tuple[ComposedLine, str, str, str]:
    """The row of one field, its truth, source and spacing; ``shares`` are those of ``SPACINGS``."""
    rng = np.random.default_rng([seed, KINDS.index(kind), number])
    source = kind.sources[number % len(kind.sources)]
    spacing = str(rng.choice(list(SPACINGS), p=shares))
    habits = spaced_habits(spacing, bool(rng.random() < FRAMED_SHARE), rng)
    length = int(rng.integers(kind.shortest, kind.longest + 1))
    if kind.layout == "alphabet":
        row, labels = composer.compose_alphabet(source, kind.kind, habits, rng)
    elif kind.layout == "word":
        row, labels = composer.compose_word(source, length, habits, rng)
    else:
        row, labels = composer.compose_string(source, kind.kind, length, habits, rng)
    return row, "".join(CHARACTERS[label] for label in labels), source, spacing


def make_fields(
    composer: LineComposer,
    networks: Networks,
    kinds: Sequence[FieldKind],
    count: int,
    seed: int,
    shares: Sequence[float] = SPACING_SHARES,
) -> list[ComposedField]:
    """Composes ``count`` fields of each kind, cuts and classifies them as on a page.

    ``shares`` are those of ``SPACINGS``.
    """
    fields: list[ComposedField] = []
    for kind in kinds:
        for start in range(0, count, _CHUNK):
            numbers = range(start, min(start + _CHUNK, count))
            rows = [_Row.of(composer, kind, number, seed, shares) for number in numbers]
            read, _ = classify_rows([row.line for row in rows], networks)
            fields += [row.classified(own) for row, own in zip(rows, read, strict=True)]
            print(
                f"\r{kind.name}: {numbers.stop:,} of {count:,} fields  ", end="", file=sys.stderr, flush=True
            )
    print(file=sys.stderr)
    return fields


@dataclass(frozen=True, eq=False)
class _Row:
    """A field composed and looked at once."""

    kind: FieldKind
    number: int
    row: ComposedLine
    truth: str
    source: str
    spacing: str
    line: GlyphLine

    @classmethod
    def of(
        cls, composer: LineComposer, kind: FieldKind, number: int, seed: int, shares: Sequence[float]
    ) -> "_Row":
        row, truth, source, spacing = compose_field(composer, kind, number, seed, shares)
        lengths = (len(truth), len(truth)) if kind.known_length else (1, MOST_CHARACTERS)
        return cls(kind, number, row, truth, source, spacing, row.look(kind.charset, *lengths))

    def classified(self, read: ClassifiedRow) -> ComposedField:
        line, uncut = read.line, self.line.uncut
        assert uncut is not None
        lattice = lattice_of(line, read.log_probs)
        verdict = self.row.verdict(line, read.pieces.labels if read.pieces else uncut.labels)
        return ComposedField(self.kind, self.source, self.spacing, self.number, self.truth, lattice, verdict)


def has_whole_path(
    starts: NDArray[np.integer], stops: NDArray[np.integer], verdict: NDArray[np.int16], characters: int
) -> bool:
    """Whether characters 0.. can be taken as whole candidates in order, none overlapping.

    Args:
        starts, stops: int (N,), the candidates' pieces.
        verdict: int16 (N,), the character that a candidate is, or below 0; see ``ComposedLine.candidates``.
        characters: how many there are.
    """
    reached = 0
    for character in range(characters):
        ends = stops[(verdict == character) & (starts >= reached)]
        if not len(ends):
            return False
        reached = int(ends.min())
    return True
