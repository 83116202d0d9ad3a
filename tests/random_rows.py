"""Rows made at random, and what it means that two readings of one are the same."""

import numpy as np
import pytest
from hypothesis import strategies as st

from model.alphabets import CHARSETS, CLASS_COUNT
from model.decoding import (
    Constraint,
    Lattice,
    Reading,
)

SEEDS = st.integers(0, 2**32 - 1)
EXACT = {"rel": 1e-9, "abs": 1e-9}


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
    edges = np.array(bounds, np.float32).reshape(-1, 4)
    whole = (stops - starts == 1) & (rng.random(len(spans)) < 0.8)
    return Lattice(starts, stops, logs, edges, boxes, ink, whole=whole)


def random_constraint(rng: np.random.Generator) -> Constraint:
    least = int(rng.integers(0, 6))
    most = least + int(rng.choice([0, 0, 2, 600]))
    return Constraint(str(rng.choice(list(CHARSETS))), least, most, spaces=bool(rng.integers(2)))


def numbers_of(reading: Reading) -> list[float]:
    """All probabilities of a reading, those of equal ones in any order."""
    characters = [(c.confidence, *sorted(p for _, p in c.alternatives)) for c in reading.characters]
    return [
        reading.confidence,
        reading.length_share,
        *sorted(p for _, p in reading.runners_up),
        *(p for c in characters for p in c),
    ]


def assert_same(reading: Reading, other: Reading) -> None:
    assert reading.text == other.text
    assert [(c.label, c.candidate) for c in reading.characters] == [
        (c.label, c.candidate) for c in other.characters
    ]
    assert numbers_of(reading) == pytest.approx(numbers_of(other), **EXACT)
