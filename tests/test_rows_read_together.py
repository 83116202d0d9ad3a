"""Readings of the rows of a page together, against each alone and against sums by hand."""

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from random_rows import EXACT, SEEDS, assert_same, random_constraint, random_lattice

from model.alphabets import CHARSETS
from model.automata import Lexicon
from model.calibration import DOUBT, LEAST_LENGTH_SHARE, Calibration, ConfidenceMap
from model.characters import PathLabels, read_characters
from model.close_labels import LABELS_TRIED, LEAST_SHARE
from model.constraints import decode_constrained, read_rows
from model.decoding import (
    DEFAULT_OPTIONS,
    Constraint,
    DecodingOptions,
    Draft,
    Lattice,
    decode,
    draft,
)
from model.evidence import evidence_of
from model.lattice_chain import LatticeChain
from model.path_scores import score_lattice, score_rows
from model.path_search import LengthCounter, PathFinder
from model.plain_rows import plain_drafts
from model.unread_marks import unread_marks
from model.words import decode_words


@given(SEEDS)
@settings(max_examples=60, deadline=None)
def test_rows_read_together_read_as_each_alone(seed: int) -> None:
    """Rows of all kinds in one go, against the functions that read one row; many of them are plain."""
    rng = np.random.default_rng(seed)
    lattices = [random_lattice(rng, bool(rng.integers(2))) for _ in range(int(rng.integers(0, 9)))]
    constraints = [a_constraint(rng, lattice) for lattice in lattices]
    for lattice, constraint, reading in zip(
        lattices, constraints, read_rows(lattices, constraints), strict=True
    ):
        if constraint.words is not None:
            alone = decode_words(lattice, constraint, constraint.words)
        elif constraint.automaton is not None:
            alone = decode_constrained(lattice, constraint, constraint.automaton)
        else:
            alone = decode(lattice, constraint)
        assert_same(reading, alone)


def a_constraint(rng: np.random.Generator, lattice: Lattice) -> Constraint:
    """As many characters as pieces, more often than not; else any rule."""
    kind, pieces = int(rng.integers(0, 8)), len(lattice.piece_ink)
    words = Lexicon.of(["a", "an", "ant", "1", "12", "B"])
    other = random_constraint(rng)
    if kind == 0:
        return other
    if kind == 1:
        return replace(other, words=words)
    if kind == 2:
        return replace(other, automaton=words)
    return Constraint(
        str(rng.choice(list(CHARSETS))), pieces, pieces, permutation=kind == 3, spaces=bool(rng.integers(2))
    )


@given(SEEDS, st.integers(1, LABELS_TRIED))
@settings(max_examples=80, deadline=None)
def test_plain_rows_have_the_texts_of_the_search(seed: int, n_best: int) -> None:
    rng = np.random.default_rng(seed)
    lattices = [random_lattice(rng, plain=True) for _ in range(int(rng.integers(1, 6)))]
    charsets = [str(rng.choice(["digits", "lower"])) for _ in lattices]
    lengths = [len(lattice.piece_ink) for lattice in lattices]
    constraints = [Constraint(name, n, n) for name, n in zip(charsets, lengths, strict=True)]
    options = DecodingOptions(temperature=float(rng.choice([1.0, 1.7])))
    rows = score_rows(lattices, constraints, options)
    found = plain_drafts(rows, n_best)
    assert set(found) == {number for number, length in enumerate(lengths) if length}
    for number, own in found.items():
        expected = draft(rows[number], constraints[number], n_best, options)
        assert isinstance(expected, Draft)
        assert [text for text, _ in own.texts] == [text for text, _ in expected.texts]
        assert [p for _, p in own.texts] == pytest.approx([p for _, p in expected.texts], **EXACT)
        assert own.labels.path.labels == expected.labels.path.labels


def candidates_of(row: Lattice, which: slice) -> Lattice:
    names = ("starts", "stops", "log_probs", "bounds")
    return replace(row, **{name: getattr(row, name)[which] for name in names})


def test_what_is_not_plain_is_left_to_the_search() -> None:
    row = random_lattice(np.random.default_rng(1), plain=True)
    pieces = len(row.piece_ink)
    assert pieces > 2
    plain = Constraint("digits", pieces, pieces)
    fewer, turned = (candidates_of(row, which) for which in (slice(1, None), slice(None, None, -1)))
    others = [
        (row, replace(plain, max_length=pieces + 1)),
        (row, replace(plain, min_length=pieces - 1, max_length=pieces - 1)),
        (row, replace(plain, permutation=True)),
        (row, replace(plain, automaton=Lexicon.of(["12"]))),
        (row, replace(plain, words=Lexicon.of(["12"]))),
        (fewer, plain),
        (turned, plain),
    ]
    rows = score_rows(
        [row, *(one for one, _ in others)], [plain, *(own for _, own in others)], DEFAULT_OPTIONS
    )
    assert list(plain_drafts(rows, 5)) == [0]
    with pytest.raises(ValueError, match="n_best"):
        plain_drafts(rows, LABELS_TRIED + 1)


def characters_by_hand(row: PathLabels, shown: int) -> list[tuple[float, list[float]]]:
    """Confidence and alternatives of each character, summed candidate by candidate."""
    lattice, labels = row.lattice, row.candidates[:, None] * row.shares
    for candidate, (label, probability) in row.sure.items():
        labels[candidate] *= 1 - probability
        labels[candidate, label] += probability
    pieces = [set(range(*span)) for span in zip(lattice.starts, lattice.stops, strict=True)]
    ink = {p: float(own) + 1e-9 for p, own in enumerate(lattice.piece_ink)}
    found = []
    for candidate, label in zip(row.path.candidates, row.path.labels, strict=True):
        mine, around, same = pieces[candidate], np.zeros(labels.shape[1]), 0.0
        for other, own in enumerate(pieces):
            if mine & own:
                around += labels[other]
                if 2 * sum(ink[p] for p in mine & own) > sum(ink[p] for p in mine | own):
                    same += labels[other, label]
        confidence = min(same, 1.0)
        around = np.delete(around, label)
        around *= min(1.0, (1 - confidence) / max(around.sum(), 1e-300))
        found.append((confidence, sorted(around[around > LEAST_SHARE], reverse=True)[:shown]))
    return found


@given(SEEDS, st.integers(0, 6))
@settings(max_examples=60, deadline=None)
def test_characters_of_rows_read_together_are_sums_over_the_cuts_that_hold_their_ink(
    seed: int, shown: int
) -> None:
    rng = np.random.default_rng(seed)
    rows = []
    for _ in range(int(rng.integers(0, 6))):
        lattice, constraint = random_lattice(rng, bool(rng.integers(2))), random_constraint(rng)
        scores, pieces = score_lattice(lattice, constraint, DEFAULT_OPTIONS), len(lattice.piece_ink)
        counter = LengthCounter.of(0, pieces, pieces)
        chain = LatticeChain(scores, counter, 1.0)
        candidates, _ = chain.candidate_probabilities(1.0)
        for path in PathFinder(scores, counter).best_paths(3, np.inf):
            sure = {c: (k, float(rng.random())) for c, k in zip(path.candidates, path.labels, strict=True)}
            sure = sure if rng.random() < 0.5 else {}
            rows.append(PathLabels(lattice, scores.characters, path, candidates, chain.shares, sure))
    for row, read in zip(rows, read_characters(rows, shown), strict=True):
        assert [c.candidate for c in read] == list(row.path.candidates)
        assert [c.label for c in read] == [row.characters[k] for k in row.path.labels]
        for character, (confidence, alternatives) in zip(read, characters_by_hand(row, shown), strict=True):
            assert character.confidence == pytest.approx(confidence, **EXACT)
            assert [p for _, p in character.alternatives] == pytest.approx(alternatives, **EXACT)
            assert character.label not in dict(character.alternatives)


@given(SEEDS)
@settings(max_examples=40, deadline=None)
def test_readings_calibrated_together_are_those_of_each_alone(seed: int) -> None:
    rng = np.random.default_rng(seed)
    lattices = [random_lattice(rng) for _ in range(int(rng.integers(0, 6)))]
    constraints = [random_constraint(rng) for _ in lattices]
    readings = read_rows(lattices, constraints)
    map_ = ConfidenceMap(0.8, 0.9, 0.1, -0.2, 0.3, -4.0, -0.5)
    calibration = Calibration({"digits": map_, "text": map_}, {"digits": map_, "text": ConfidenceMap()})
    charsets = [constraint.charset for constraint in constraints]
    together = calibration.apply_all(readings, charsets, lattices)
    for one, reading, charset, lattice in zip(together, readings, charsets, lattices, strict=True):
        assert_same(one, calibration.apply(reading, charset, lattice))
        [marked] = unread_marks([lattice], [reading], [charset])
        of_another_length = reading.length_share < LEAST_LENGTH_SHARE
        left = DOUBT if marked or (of_another_length and charset not in ("upper", "lower")) else 1.0
        if charset in ("upper", "lower"):
            assert one == replace(reading, confidence=left * reading.confidence)
        elif reading.characters:
            evidence = evidence_of(lattice, reading, charset)
            assert one.confidence == pytest.approx(
                left * map_(reading.confidence, len(reading.characters), evidence), **EXACT
            )
