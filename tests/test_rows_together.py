"""What is computed for the rows of a page together, or only where it is needed, against doing it in full."""

from dataclasses import fields, replace
from math import exp, log

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from model.alphabets import CHARSETS, CLASS_COUNT
from model.characters import LabelProbabilities, read_characters
from model.close_labels import LEAST_SHARE, CloseLabels, Readable, few_largest
from model.decoding import DEFAULT_OPTIONS, Constraint, DecodingOptions, Lattice, Reading, decode
from model.lattice_chain import LatticeChain
from model.path_scores import PathScores, ScoredLattice, score_lattice, score_rows
from model.path_search import LengthCounter, PathFinder

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


@given(SEEDS, st.booleans())
@settings(max_examples=80, deadline=None)
def test_few_labels_give_the_characters_that_all_labels_give(seed: int, plain: bool) -> None:
    """Characters from products of what is asked for, against sums over the whole table."""
    rng = np.random.default_rng(seed)
    lattice, constraint = random_lattice(rng, plain), random_constraint(rng)
    scores, pieces = score_lattice(lattice, constraint, DEFAULT_OPTIONS), len(lattice.piece_ink)
    counter = LengthCounter.of(0, pieces, pieces)
    chain = LatticeChain(scores, counter, 1.0)
    for path in PathFinder(scores, counter).best_paths(3, np.inf):
        sure = {c: (k, float(rng.random())) for c, k in zip(path.candidates, path.labels, strict=True)}
        labels = LabelProbabilities(
            scores, chain, chain.candidate_probabilities(1.0)[0], sure if rng.random() < 0.5 else None
        )
        few = read_characters(lattice, scores, path, labels, 0.9, 4)
        full = read_characters(lattice, scores, path, labels.matrix(), 0.9, 4)
        for one, other in zip(few, full, strict=True):
            assert (one.label, one.candidate) == (other.label, other.candidate)
            assert one.confidence == pytest.approx(other.confidence, **EXACT)
            values = [p for _, p in one.alternatives], [p for _, p in other.alternatives]
            assert values[0] == pytest.approx(values[1], **EXACT)


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
    found = few_largest(values, 0.3, count)
    for row, own in zip(values, found, strict=True):
        order = sorted((k for k in range(len(row)) if row[k] > 0.3), key=lambda k: (-row[k], k))
        assert own == [(row[k], k) for k in order[:count]]


def test_close_labels_and_sums() -> None:
    labels = np.log([[0.7, 0.29995, 0.00005], [1 / 3, 1 / 3, 1 / 3]])
    close = CloseLabels.of(labels, -log(LEAST_SHARE))
    assert [[k for _, k in own] for own in close.labels] == [[0, 1], [0, 1, 2]]
    cuts, unreadable = np.log([0.5, 0.25]), np.log([0.5, 0.75])
    readable = Readable.of(labels, cuts, unreadable, 1.0)
    assert readable.shares.sum(axis=1) == pytest.approx([0.5, 0.25])
    assert [exp(mass) for mass in readable.masses] == pytest.approx([1.0, 1.0])


def test_scores_can_be_made_by_hand() -> None:
    scores = PathScores([0], [1], "ab", np.zeros(1), np.log([[0.9, 0.1]]), np.full(1, -9.0), np.full(1, -9.0))
    (path, *_) = PathFinder(scores, LengthCounter.of(1, 1, 1)).best_paths(2, np.inf)
    assert path.labels == (0,)
