"""The search and the probabilities against the enumeration of every path of small lattices."""

from collections.abc import Iterator
from dataclasses import replace
from itertools import product
from math import exp, log

import numpy as np
import pytest

from model.lattice_chain import LatticeChain
from model.path_scores import NEVER, PathScores
from model.path_search import LengthCounter, Path, PathFinder

UNREADABLE = -2
RANGES = [(0, 9), (0, 0), (1, 1), (2, 2), (3, 3), (1, 9), (2, 9), (1, 2), (2, 3), (4, 9), (5, 7), (0, 2)]


def random_scores(seed: int, pieces: int = 4, label_count: int = 2) -> PathScores:
    """Some of the spans of up to four pieces, some of them twice, with scores that make many near ties."""
    rng = np.random.default_rng(seed)
    spans = [(a, b) for a in range(pieces) for b in range(a + 1, min(a + 4, pieces) + 1)]
    spans = [spans[i] for i in sorted(rng.choice(len(spans), rng.integers(3, len(spans) + 1)))]
    labels = np.log(rng.dirichlet(np.ones(label_count), len(spans)))
    return PathScores(
        starts=[a for a, _ in spans],
        stops=[b for _, b in spans],
        characters="abcdefgh"[:label_count],
        cuts=-rng.exponential(2.0, len(spans)),
        labels=labels,
        unreadable=-rng.exponential(4.0, len(spans)),
        skips=-rng.exponential(4.0, pieces),
    )


def every_path(scores: PathScores, node: int = 0) -> Iterator[Path]:
    """All ways from a node to the end, those with unreadable characters among them."""
    if node == len(scores.skips):
        yield Path(0.0, (), ())
        return
    for rest in every_path(scores, node + 1):
        yield Path(rest.score + scores.skips[node], rest.candidates, rest.labels)
    for i, (start, stop) in enumerate(zip(scores.starts, scores.stops, strict=True)):
        if start != node:
            continue
        ways = [(k, scores.cuts[i] + value) for k, value in enumerate(scores.labels[i])]
        ways.append((UNREADABLE, scores.unreadable[i]))
        for rest, (label, score) in product(list(every_path(scores, stop)), ways):
            yield Path(rest.score + score, (i, *rest.candidates), (label, *rest.labels))


@pytest.mark.parametrize("seed", range(40))
def test_best_paths_are_those_of_the_enumeration(seed: int) -> None:
    scores = random_scores(seed)
    readable = [path for path in every_path(scores) if UNREADABLE not in path.labels]
    for low, high in RANGES:
        allowed = [path for path in readable if low <= len(path.labels) <= high]
        allowed.sort(key=lambda path: -path.score)
        finder = PathFinder(scores, LengthCounter.of(low, high, 4))
        found = list(finder.best_paths(12, np.inf))
        assert finder.feasible == bool(allowed)
        assert [path.score for path in found] == pytest.approx([path.score for path in allowed[:12]])
        assert len({(path.candidates, path.labels) for path in found}) == len(found)
        every = {(path.candidates, path.labels): path.score for path in allowed}
        assert all(every[path.candidates, path.labels] == pytest.approx(path.score) for path in found)


@pytest.mark.parametrize("seed", range(5))
def test_all_paths_are_found_when_asked_for(seed: int) -> None:
    scores = random_scores(seed, pieces=3)
    readable = [path for path in every_path(scores) if UNREADABLE not in path.labels]
    found = list(PathFinder(scores, LengthCounter.of(0, 3, 3)).best_paths(10_000, np.inf))
    assert len(found) == len(readable)


def test_the_margin_ends_the_search() -> None:
    scores = random_scores(3)
    finder = PathFinder(scores, LengthCounter.of(0, 9, 4))
    every = list(finder.best_paths(50, np.inf))
    near = list(finder.best_paths(50, 2.0))
    assert len(near) == sum(path.score > every[0].score - 2.0 for path in every)
    assert 1 < len(near) < 50


@pytest.mark.parametrize("seed", range(30))
@pytest.mark.parametrize("temperature", [1.0, 2.5])
def test_probabilities_are_those_of_the_enumeration(seed: int, temperature: float) -> None:
    scores = random_scores(seed)
    paths = list(every_path(scores))
    weights = np.exp(np.array([path.score for path in paths]) / temperature)
    weights /= weights.sum()
    for low, high in RANGES:
        chain = LatticeChain(scores, LengthCounter.of(low, high, 4), temperature)
        allowed = np.array([low <= len(path.labels) <= high for path in paths])
        mixed = weights * np.where(allowed, 1.0, 0.01)
        candidates, kept = chain.candidate_probabilities(0.01)
        assert kept == pytest.approx(mixed.sum())
        on_path = [
            sum(w for w, path in zip(mixed, paths, strict=True) if i in path.candidates)
            for i in range(len(scores.starts))
        ]
        assert candidates == pytest.approx(np.array(on_path) / mixed.sum())


@pytest.mark.parametrize("seed", range(20))
def test_a_text_has_the_mass_of_all_paths_that_spell_it(seed: int) -> None:
    scores = random_scores(seed)
    paths = list(every_path(scores))
    total = sum(exp(path.score) for path in paths)
    counter = LengthCounter.of(0, 9, 4)
    chain = LatticeChain(scores, counter, 1.0)
    assert chain.log_mass == pytest.approx(log(total))
    for path in PathFinder(scores, counter).best_paths(10, np.inf):
        mass = sum(exp(other.score) for other in paths if other.labels == path.labels)
        assert chain.path_probability(path) == pytest.approx(exp(path.score) / total)
        assert chain.text_probability(path) == pytest.approx(mass / total, rel=1e-3)


def test_label_shares_leave_room_for_the_unreadable() -> None:
    scores = random_scores(0)
    chain = LatticeChain(scores, LengthCounter.of(0, 9, 4), 1.0)
    readable = np.exp(scores.cuts[:, None] + scores.labels)
    expected = readable / (readable.sum(axis=1) + np.exp(scores.unreadable))[:, None]
    assert chain.shares == pytest.approx(expected)


def test_nothing_overflows_on_a_long_row_of_improbable_pieces() -> None:
    pieces = 400
    scores = PathScores(
        starts=list(range(pieces)),
        stops=list(range(1, pieces + 1)),
        characters="ab",
        cuts=np.full(pieces, -40.0),
        labels=np.full((pieces, 2), log(0.5)),
        unreadable=np.full(pieces, -60.0),
        skips=np.full(pieces, -90.0),
    )
    for low, high in [(0, 400), (pieces, pieces), (200, 200)]:
        counter = LengthCounter.of(low, high, pieces)
        candidates, kept = LatticeChain(scores, counter, 1.0).candidate_probabilities(0.0)
        assert np.isfinite(candidates).all()
        assert 0.0 < kept <= 1.0
        assert np.all((candidates >= 0.0) & (candidates <= 1.0 + 1e-9))


def test_the_counter_uses_few_columns() -> None:
    assert LengthCounter.of(0, 600, 90).columns == 1
    assert LengthCounter.of(1, 600, 90).columns == 2
    assert LengthCounter.of(26, 26, 34).columns == 9
    assert LengthCounter.of(5, 5, 4).columns == 0


@pytest.mark.parametrize(("least", "most"), [(0, 9), (1, 9), (2, 9), (3, 9), (2, 3), (4, 4), (0, 2), (5, 5)])
def test_a_path_ends_in_an_allowed_column_just_if_its_length_is_allowed(least: int, most: int) -> None:
    """All ways to cover four pieces: by skipping (0), or by characters of so many pieces."""
    counter = LengthCounter.of(least, most, 4)
    ways = [way for arcs in range(5) for way in product((0, 1, 2, 3, 4), repeat=arcs)]
    for way in (way for way in ways if sum(max(pieces, 1) for pieces in way) == 4):
        shifts = [counter.shift(max(pieces, 1), character=pieces > 0) for pieces in way]
        column = 0
        for shift in shifts:
            column = counter.column(column, shift)
        length = sum(pieces > 0 for pieces in way)
        assert (column < counter.columns and counter.allowed[column]) == (least <= length <= most)
        assert all(map(counter.fits, shifts)) or column >= counter.columns


@pytest.mark.parametrize(("least", "most"), [(0, 9), (2, 9), (3, 9), (2, 3)])
def test_rows_of_the_table_move_as_single_columns_do(least: int, most: int) -> None:
    counter = LengthCounter.of(least, most, 4)
    values = [float(2**column) for column in range(counter.columns)]
    for shift in {counter.shift(pieces, character) for pieces in (1, 2) for character in (True, False)}:
        if not counter.fits(shift):
            continue
        ends = [counter.column(column, shift) for column in range(counter.columns)]
        masses = [0.0] * counter.columns
        for end, value in zip(ends, values, strict=True):
            if end < counter.columns:
                masses[end] += value
        assert counter.moved(values, shift)[: counter.columns] == masses
        looked_up = counter.padded(values, -1.0)[shift : shift + counter.columns]
        assert looked_up == [values[end] if end < counter.columns else -1.0 for end in ends]


def test_what_no_path_needs_is_not_searched() -> None:
    scores = random_scores(4)
    futile = np.arange(len(scores.starts)) % 2 == 1
    never = replace(
        scores,
        cuts=np.where(futile, NEVER, scores.cuts),
        unreadable=np.where(futile, NEVER, scores.unreadable),
    )
    kept = [path for path in every_path(never) if path.score > NEVER / 2]
    readable = sorted((path.score for path in kept if UNREADABLE not in path.labels), reverse=True)
    counter = LengthCounter.of(0, 9, 4)
    found = [path.score for path in PathFinder(never, counter).best_paths(1000, np.inf)]
    assert found == pytest.approx(readable)
    chain = LatticeChain(never, counter, 1.0)
    assert chain.log_mass == pytest.approx(log(sum(exp(path.score) for path in kept)))
    candidates, _ = chain.candidate_probabilities(1.0)
    assert (candidates[futile] == 0.0).all()
    assert candidates[~futile].sum() > 0
