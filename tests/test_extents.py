"""Pieces of ink: which stand over or under each other, and how they follow, row by row."""

import numpy as np
import pytest

from segmentation import extents
from segmentation.extents import Extents, hosts, in_order


def pieces(*boxes):
    """Extents of pieces given as x, width, area, all of one height."""
    x, width, area = np.array(boxes).reshape(-1, 3).T
    start = np.stack([x, np.zeros_like(x), x])
    return Extents(area, start, start + np.stack([width, np.full_like(x, 9), width]))


def test_a_small_piece_under_a_larger_one_is_its_guest():
    assert hosts(pieces((10, 30, 90), (15, 5, 9), (60, 30, 90)), np.zeros(3, int)).tolist() == [0, 0, 2]


def test_a_piece_joins_none_of_another_row():
    assert hosts(pieces((10, 30, 90), (15, 5, 9)), np.array([0, 1])).tolist() == [0, 1]


def test_of_several_hosts_the_one_that_covers_most_and_then_the_first():
    assert hosts(pieces((8, 10, 50), (10, 10, 90), (9, 12, 95), (10, 10, 5)), np.zeros(4, int))[3] == 1


def test_the_guest_of_a_guest_has_its_host():
    assert hosts(pieces((0, 50, 900), (5, 20, 90), (10, 5, 9)), np.zeros(3, int)).tolist() == [0, 0, 0]


@pytest.mark.parametrize("size", [1, 7, 1 << 20])
def test_many_pieces_a_few_at_a_time(size, monkeypatch):
    rng = np.random.default_rng(2)
    row = np.sort(rng.integers(0, 5, 60))
    many = pieces(
        *zip(rng.integers(0, 200, 60), rng.integers(1, 40, 60), rng.integers(1, 300, 60), strict=True)
    )
    monkeypatch.setattr(extents, "AT_ONCE", size)
    found = hosts(many, row)
    expected = np.arange(60)
    for small in range(60):  # as the definition says, one by one
        width = many.stop[2, small] - many.start[2, small]
        best, most = small, 0
        for large in np.flatnonzero((row == row[small]) & (many.area > many.area[small])):
            overlap = min(many.stop[2, large], many.stop[2, small])
            overlap -= max(many.start[2, large], many.start[2, small])
            if overlap >= extents.COVERED * width and overlap > most:
                best, most = large, overlap
        if many.area[small] <= extents.SMALLER * many.area[best]:
            expected[small] = best
    while (expected[expected] != expected).any():
        expected = expected[expected]
    assert (found != np.arange(60)).sum() > 5
    np.testing.assert_array_equal(found, expected)


def test_rows_are_put_in_order_one_after_the_other():
    row = np.array([0, 0, 0, 1, 1])
    given = pieces((60, 10, 50), (10, 30, 90), (15, 5, 9), (40, 10, 50), (5, 10, 60))
    place, joined, row_of = in_order(given, hosts(given, row), row)
    assert place.tolist() == [1, 0, 0, 3, 2]
    assert joined.area.tolist() == [99, 50, 60, 50]
    assert row_of.tolist() == [0, 0, 1, 1]


def test_nothing():
    nothing = pieces()
    assert len(hosts(nothing, np.zeros(0, int))) == 0
    assert len(in_order(nothing, np.zeros(0, int), np.zeros(0, int))[1].area) == 0
