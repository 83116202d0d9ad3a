"""What is computed for the rows of a page together, or only where it is needed, against doing it in full."""

from dataclasses import fields, replace
from itertools import accumulate
from math import exp

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from model.alphabets import CHARSETS, CLASS_COUNT
from model.automata import Lexicon
from model.calibration import Calibration, ConfidenceMap
from model.characters import PathLabels, read_characters
from model.close_labels import LABELS_TRIED, LEAST_SHARE, CloseLabels, Readable, few_largest
from model.constraints import decode_constrained, read_rows
from model.decoding import (
    DEFAULT_OPTIONS,
    Constraint,
    DecodingOptions,
    Draft,
    Lattice,
    Reading,
    decode,
    draft,
)
from model.evidence import evidence_of
from model.lattice_chain import LatticeChain
from model.neighbours import weigh_by_neighbours
from model.path_scores import PathScores, ScoredLattice, score_lattice, score_rows
from model.path_search import LengthCounter, PathFinder
from model.plain_rows import plain_drafts
from model.words import decode_words
from model.writing_lines import weigh_labels

SEEDS = st.integers(0, 2**32 - 1)
EXACT = {"rel": 1e-9, "abs": 1e-9}
BY_HAND = {"close": None, "readable": None}


def random_lattice(rng: np.random.Generator, plain: bool = False) -> Lattice:
    """A row of up to eight pieces, some of them joined; if ``plain``, each piece is the one candidate."""
    pieces = int(rng.integers(0, 9))
    left = np.cumsum(rng.uniform(0.1, 0.9, pieces))
    top = rng.uniform(0, 0.5, pieces)
    size = rng.uniform(0.05, 0.7, (2, pieces))
    boxes = np.column_stack([left, top, left + size[0], top + size[1]]).astype(np.float32)
    spans = [(a, b) for a in range(pieces) for b in range(a + 1, min(a + (1 if plain else 3), pieces) + 1)]
    spans = [span for span in spans if plain or span[1] - span[0] == 1 or rng.random() < 0.4]
    starts, stops = np.array(spans, np.int16).reshape(-1, 2).T
    bounds = [(*boxes[a:b, :2].min(axis=0), *boxes[a:b, 2:].max(axis=0)) for a, b in spans]
    probs = rng.dirichlet(np.full(CLASS_COUNT, 10 ** rng.uniform(-2.5, 0.5)), len(spans))
    logs = np.log(probs.reshape(-1, CLASS_COUNT) + 1e-12).astype(np.float32)
    ink = rng.uniform(0.001, 0.1, pieces).astype(np.float32)
    return Lattice(starts, stops, logs, np.array(bounds, np.float32).reshape(-1, 4), boxes, ink)


def random_constraint(rng: np.random.Generator) -> Constraint:
    least = int(rng.integers(0, 6))
    most = least + int(rng.choice([0, 0, 2, 600]))
    return Constraint(str(rng.choice(list(CHARSETS))), least, most, spaces=bool(rng.integers(2)))


def numbers_of(reading: Reading) -> list[float]:
    """All probabilities of a reading, those of equal ones in any order."""
    characters = [(c.confidence, *sorted(p for _, p in c.alternatives)) for c in reading.characters]
    return [
        reading.confidence,
        *sorted(p for _, p in reading.runners_up),
        *(p for c in characters for p in c),
    ]


@given(SEEDS)
@settings(max_examples=60, deadline=None)
def test_rows_scored_together_have_the_scores_of_each_alone(seed: int) -> None:
    rng = np.random.default_rng(seed)
    lattices = [random_lattice(rng) for _ in range(int(rng.integers(0, 7)))]
    constraints = [random_constraint(rng) for _ in lattices]
    options = DecodingOptions(temperature=float(rng.choice([1.0, 1.7])))
    together = score_rows(lattices, constraints, options)
    for lattice, constraint, scored in zip(lattices, constraints, together, strict=True):
        alone = score_lattice(lattice, constraint, options)
        assert (scored.scores.starts, scored.scores.stops) == (alone.starts, alone.stops)
        assert scored.scores.characters == alone.characters
        for name in ("cuts", "labels", "unreadable", "skips"):
            assert getattr(scored.scores, name) == pytest.approx(getattr(alone, name), **EXACT)
        assert all(getattr(scored, f.name) is getattr(lattice, f.name) for f in fields(Lattice))
        assert (
            decode(scored, constraint, options=options).text
            == decode(lattice, constraint, options=options).text
        )


def test_scores_are_made_anew_for_what_they_were_not_made_for() -> None:
    lattice = random_lattice(np.random.default_rng(3))
    constraint = Constraint("digits", 2, 2)
    (scored,) = score_rows([lattice], [constraint], DEFAULT_OPTIONS)
    assert score_lattice(scored, replace(constraint), DecodingOptions()) is scored.scores
    other = Constraint("upper", 2, 2)
    assert score_lattice(scored, other, DEFAULT_OPTIONS).characters == CHARSETS["upper"]
    warmer = score_lattice(scored, constraint, DecodingOptions(temperature=2.0))
    assert warmer.readable is not None
    assert warmer.readable.temperature == 2.0


def test_a_row_that_does_not_fit_is_told_by_its_own_numbers() -> None:
    good, bad = (random_lattice(np.random.default_rng(seed), plain=True) for seed in (1, 6))
    assert len(bad.starts) > 2
    bad = replace(bad, stops=np.where(np.arange(len(bad.stops)) == 2, 99, bad.stops))
    with pytest.raises(ValueError, match=rf"candidate 2 .* its {len(bad.piece_ink)} pieces"):
        score_rows([good, bad], [Constraint("digits", 0, 9)] * 2, DEFAULT_OPTIONS)
    assert score_rows([], [], DEFAULT_OPTIONS) == []


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
        around = np.minimum(np.delete(around, label), 1 - confidence)
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


@given(SEEDS, st.booleans())
@settings(max_examples=80, deadline=None)
def test_what_was_prepared_changes_no_reading(seed: int, plain: bool) -> None:
    """Scores with the close labels and sums of ``score_rows``, against scores without."""
    rng = np.random.default_rng(seed)
    lattice, constraint = random_lattice(rng, plain), random_constraint(rng)
    (scored,) = score_rows([lattice], [constraint], DEFAULT_OPTIONS)
    bare = ScoredLattice(
        *(getattr(lattice, f.name) for f in fields(Lattice)),
        replace(scored.scores, **BY_HAND),
        constraint,
        DEFAULT_OPTIONS,
    )
    one, other = decode(scored, constraint), decode(bare, constraint)
    assert one.text == other.text
    assert numbers_of(one) == pytest.approx(numbers_of(other), **EXACT)


@given(SEEDS)
@settings(max_examples=80, deadline=None)
def test_a_plain_row_has_its_closed_form(seed: int) -> None:
    """A candidate for each piece, as many characters as pieces: products of independent doubts."""
    rng = np.random.default_rng(seed)
    lattice = random_lattice(rng, plain=True)
    pieces = len(lattice.piece_ink)
    scores = score_lattice(lattice, Constraint("digits", pieces, pieces), DEFAULT_OPTIONS)
    counter = LengthCounter.of(pieces, pieces, pieces)
    chain = LatticeChain(scores, counter, 1.0)
    taken = np.exp(chain.masses) / (np.exp(chain.masses) + np.exp(scores.skips))
    assert chain.candidate_probabilities(0.0)[0] == pytest.approx(np.ones(pieces), **EXACT)
    candidates, kept = chain.candidate_probabilities(0.01)
    assert kept == pytest.approx(taken.prod() + 0.01 * (1 - taken.prod()), **EXACT)
    assert candidates == pytest.approx((0.99 * taken.prod() + 0.01 * taken) / kept, **EXACT)
    for path in PathFinder(scores, counter).best_paths(6, np.inf):
        own = chain.shares[np.arange(pieces), list(path.labels)]
        assert path.candidates == tuple(range(pieces))
        assert chain.text_probability(path) == pytest.approx((taken * own).prod(), **EXACT)


@given(SEEDS, st.integers(0, 6))
@settings(max_examples=60, deadline=None)
def test_the_few_largest_are_those_of_sorting(seed: int, count: int) -> None:
    rng = np.random.default_rng(seed)
    values = rng.random((int(rng.integers(0, 5)), int(rng.integers(1, 9)))).round(1)
    rows, columns, found = few_largest(values, 0.3, count)
    expected = []
    for number, row in enumerate(values):
        order = sorted((k for k in range(len(row)) if row[k] > 0.3), key=lambda k: (-row[k], k))
        expected += [(number, k, row[k]) for k in order[:count]]
    assert list(zip(rows, columns, found, strict=True)) == expected


@pytest.mark.parametrize("count", [2, 7, 30])
def test_close_labels_are_the_best_ones(count: int) -> None:
    labels = np.log(np.random.default_rng(count).dirichlet(np.ones(count), 9))
    close = CloseLabels.of(labels)
    for row, own in zip(labels, close.pairs(), strict=True):
        best = sorted(range(count), key=lambda k: -row[k])[:LABELS_TRIED]
        assert own == [(row[k], k) for k in best]
    assert close.part(slice(2, 4)).pairs() == close.pairs()[2:4]


def test_readable_sums() -> None:
    labels = np.log([[0.7, 0.29995, 0.00005], [1 / 3, 1 / 3, 1 / 3]])
    cuts, unreadable = np.log([0.5, 0.25]), np.log([0.5, 0.75])
    readable = Readable.of(labels, cuts, unreadable, 1.0)
    assert readable.shares.sum(axis=1) == pytest.approx([0.5, 0.25])
    assert [exp(mass) for mass in readable.masses] == pytest.approx([1.0, 1.0])


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


def assert_same(reading: Reading, other: Reading) -> None:
    assert reading.text == other.text
    assert [(c.label, c.candidate) for c in reading.characters] == [
        (c.label, c.candidate) for c in other.characters
    ]
    assert numbers_of(reading) == pytest.approx(numbers_of(other), **EXACT)


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


@given(SEEDS)
@settings(max_examples=40, deadline=None)
def test_labels_of_rows_weighed_together_are_those_of_each_alone(seed: int) -> None:
    rng = np.random.default_rng(seed)
    names = CHARSETS["text"]
    rows = [random_lattice(rng) for _ in range(int(rng.integers(1, 6)))]
    counts = [len(row.starts) for row in rows]
    ends = [0, *accumulate(counts)]
    firsts = [0, *accumulate(len(row.piece_ink) + 1 for row in rows)]
    labels = [rng.dirichlet(np.full(len(names), 0.2), count) for count in counts]
    trust = [rng.random(count) * (rng.random(count) < rng.random()) for count in counts]
    bounds = np.concatenate([row.bounds for row in rows])
    starts, stops = (
        np.concatenate([getattr(row, name) + first for row, first in zip(rows, firsts, strict=False)])
        for name in ("starts", "stops")
    )
    every, own = np.concatenate(labels), np.concatenate(trust)
    lines = weigh_labels(every, own, bounds, names, 0.3, ends)
    beside = weigh_by_neighbours(every, own, starts, stops, bounds, names, 0.7, ends)
    for k, row in enumerate(rows):
        here = slice(ends[k], ends[k + 1])
        assert lines[here] == pytest.approx(
            weigh_labels(labels[k], trust[k], row.bounds, names, 0.3), **EXACT
        )
        alone = weigh_by_neighbours(labels[k], trust[k], row.starts, row.stops, row.bounds, names, 0.7)
        assert beside[here] == pytest.approx(alone, **EXACT)


@given(SEEDS)
@settings(max_examples=40, deadline=None)
def test_readings_calibrated_together_are_those_of_each_alone(seed: int) -> None:
    rng = np.random.default_rng(seed)
    lattices = [random_lattice(rng) for _ in range(int(rng.integers(0, 6)))]
    constraints = [random_constraint(rng) for _ in lattices]
    readings = read_rows(lattices, constraints)
    map_ = ConfidenceMap(0.8, 0.9, 0.1, -0.2, 0.3, -4.0)
    calibration = Calibration({"digits": map_, "text": map_}, {"digits": map_, "text": ConfidenceMap()})
    charsets = [constraint.charset for constraint in constraints]
    together = calibration.apply_all(readings, charsets, lattices)
    for one, reading, charset, lattice in zip(together, readings, charsets, lattices, strict=True):
        assert_same(one, calibration.apply(reading, charset, lattice))
        if charset in ("upper", "lower"):
            assert one is reading
        elif reading.characters:
            evidence = evidence_of(lattice, reading, charset)
            assert one.confidence == pytest.approx(
                map_(reading.confidence, len(reading.characters), evidence), **EXACT
            )


def test_scores_can_be_made_by_hand() -> None:
    scores = PathScores([0], [1], "ab", np.zeros(1), np.log([[0.9, 0.1]]), np.full(1, -9.0), np.full(1, -9.0))
    (path, *_) = PathFinder(scores, LengthCounter.of(1, 1, 1)).best_paths(2, np.inf)
    assert path.labels == (0,)
