"""What is computed for the rows of a page together, or only where it is needed, against doing it in full."""

from dataclasses import fields, replace
from itertools import accumulate
from math import exp

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from random_rows import EXACT, SEEDS, numbers_of, random_constraint, random_lattice

from model.alphabets import CHARSETS
from model.close_labels import LABELS_TRIED, CloseLabels, Readable, few_largest
from model.decoding import (
    DEFAULT_OPTIONS,
    Constraint,
    DecodingOptions,
    Lattice,
    decode,
)
from model.lattice_chain import LatticeChain
from model.neighbours import weigh_by_neighbours
from model.path_scores import PathScores, ScoredLattice, score_lattice, score_rows
from model.path_search import LengthCounter, PathFinder
from model.writing_lines import weigh_labels

BY_HAND = {"close": None, "readable": None}


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
def test_what_was_prepared_changes_no_reading(seed: int, plain: bool) -> None:
    """Scores with the close labels and sums of ``score_rows``, against scores without."""
    rng = np.random.default_rng(seed)
    lattice, constraint = random_lattice(rng, plain), random_constraint(rng)
    (scored,) = score_rows([lattice], [constraint], DEFAULT_OPTIONS)
    bare = ScoredLattice.of(lattice, replace(scored.scores, **BY_HAND), constraint, DEFAULT_OPTIONS)
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
    found, columns = few_largest(values, count)
    for row, own, places in zip(values, found, columns, strict=True):
        order = sorted(range(len(row)), key=lambda k: (-row[k], k))[:count]
        assert places.tolist() == order
        assert own.tolist() == row[order].tolist()


@pytest.mark.parametrize("count", [2, 7, 30])
def test_close_labels_are_the_best_ones(count: int) -> None:
    labels = np.log(np.random.default_rng(count).dirichlet(np.ones(count), 9))
    close = CloseLabels.of(labels)
    for row, values, which in zip(labels, close.values, close.labels, strict=True):
        best = sorted(range(count), key=lambda k: -row[k])[:LABELS_TRIED]
        assert which.tolist() == best
        assert values.tolist() == row[best].tolist()
    parts = CloseLabels.joined([close.part(slice(0, 4)), close.part(slice(4, 9))])
    assert (parts.values == close.values).all()
    assert (parts.labels == close.labels).all()


def test_readable_sums() -> None:
    labels = np.log([[0.7, 0.29995, 0.00005], [1 / 3, 1 / 3, 1 / 3]])
    cuts, unreadable = np.log([0.5, 0.25]), np.log([0.5, 0.75])
    readable = Readable.of(labels, cuts, unreadable, 1.0)
    assert readable.shares.sum(axis=1) == pytest.approx([0.5, 0.25])
    assert [exp(mass) for mass in readable.masses] == pytest.approx([1.0, 1.0])


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
    lines, _ = weigh_labels(every, own, bounds, names, 0.3, ends)
    beside = weigh_by_neighbours(every, own, starts, stops, bounds, names, 0.7, ends)
    for k, row in enumerate(rows):
        here = slice(ends[k], ends[k + 1])
        assert lines[here] == pytest.approx(
            weigh_labels(labels[k], trust[k], row.bounds, names, 0.3)[0], **EXACT
        )
        alone = weigh_by_neighbours(labels[k], trust[k], row.starts, row.stops, row.bounds, names, 0.7)
        assert beside[here] == pytest.approx(alone, **EXACT)


def test_scores_can_be_made_by_hand() -> None:
    scores = PathScores([0], [1], "ab", np.zeros(1), np.log([[0.9, 0.1]]), np.full(1, -9.0), np.full(1, -9.0))
    (path, *_) = PathFinder(scores, LengthCounter.of(1, 1, 1)).best_paths(2, np.inf)
    assert path.labels == (0,)
