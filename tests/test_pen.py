from dataclasses import replace

import cv2
import numpy as np
import pytest

from segmentation import fragments, pen
from segmentation.normalization import normalize_glyph

BAR = [np.array([[0.5, 0.0], [0.5, 1.0]], np.float32)]
CROSS = [*BAR, np.array([[0.0, 0.5], [1.0, 0.5]], np.float32)]
RING = [
    np.array([[0.5 + 0.4 * np.cos(a), 0.5 + 0.5 * np.sin(a)] for a in np.linspace(0, 6.3, 60)], np.float32)
]
PLAIN = pen.Pen(height=60, width=6)


def rng(seed=1):
    return np.random.default_rng(seed)


def tight(ink):
    return pen.crop_ink(ink).shape


def test_a_bar_has_the_height_and_width_of_the_pen():
    height, width = tight(pen.draw_strokes(BAR, PLAIN, rng()))
    assert height == pytest.approx(60 + 6, abs=2)
    assert width == pytest.approx(6, abs=1.5)


def test_ink_is_binary_with_an_empty_margin():
    ink = pen.draw_strokes(CROSS, replace(PLAIN, roughness=0.25, jitter=0.03), rng())
    assert set(np.unique(ink)) == {0, 255}
    assert not ink[0].any()
    assert not ink[-1].any()
    assert not ink[:, 0].any()
    assert not ink[:, -1].any()


def test_slant_leans_to_the_right():
    ink = pen.draw_strokes(BAR, replace(PLAIN, slant=0.4), rng())
    top, bottom = pen.crop_ink(ink)[0], pen.crop_ink(ink)[-1]
    assert np.flatnonzero(top).mean() > np.flatnonzero(bottom).mean() + 15


def test_aspect_stretches_sideways_only():
    _, narrow = tight(pen.draw_strokes(CROSS, PLAIN, rng()))
    height, wide = tight(pen.draw_strokes(CROSS, replace(PLAIN, aspect=1.5), rng()))
    assert wide == pytest.approx(narrow + 30, abs=2)
    assert height == pytest.approx(66, abs=2)


def test_dropout_takes_ink_away():
    whole = pen.draw_strokes(CROSS, PLAIN, rng())
    holed = pen.draw_strokes(CROSS, replace(PLAIN, dropout=0.05), rng())
    assert 0.5 * whole.sum() < holed.sum() < 0.98 * whole.sum()


def test_a_single_point_is_a_dot():
    ink = pen.draw_strokes([np.array([[0.0, 0.0]], np.float32)], PLAIN, rng())
    assert tight(ink) == pytest.approx((6, 6), abs=2)


def test_same_seed_same_ink():
    hand = pen.random_pen(rng(5))
    first, second = (pen.draw_strokes(RING, hand, rng(6)) for _ in range(2))
    np.testing.assert_array_equal(first, second)


def test_random_pens_make_strokes_as_thick_as_scanned_ones():
    """Scanned NIST characters measure 0.10 to 0.29 of their height (5th and 95th percentile)."""
    random = rng(2)
    shares = []
    for _ in range(200):
        ink = pen.crop_ink(pen.draw_strokes(RING, pen.random_pen(random), random))
        distance = cv2.distanceTransform(np.pad(ink, 1), cv2.DIST_L2, 3)
        shares.append(4 * distance[distance > 0].mean() / max(ink.shape))
    low, middle, high = np.percentile(shares, [5, 50, 95])
    assert 0.06 < low < middle < high < 0.32
    assert 0.11 < middle < 0.2


def test_crossing_changes_a_band_and_keeps_the_rest():
    ink = pen.draw_strokes(CROSS, PLAIN, rng())
    changed_rows = [
        np.flatnonzero((pen.cross_with_line(ink, PLAIN, rng(seed)) != ink).any(axis=1)) for seed in range(20)
    ]
    touched = [rows for rows in changed_rows if len(rows)]
    assert len(touched) > 10
    assert max(np.ptp(rows) for rows in touched) <= 5


def test_neighbour_adds_ink_only_beside():
    ink = pen.draw_strokes(RING, PLAIN, rng())
    body = pen.crop_ink(ink)
    grown = pen.add_neighbour(ink, pen.draw_strokes(CROSS, PLAIN, rng()), rng(3))
    assert body.shape[1] < grown.shape[1] < 1.5 * body.shape[1]
    starts = range(grown.shape[1] - body.shape[1] + 1)
    assert any(np.array_equal(grown[: len(body), x : x + body.shape[1]], body) for x in starts)


def test_merged_pair_is_wider_than_either():
    inks = [pen.draw_strokes(shape, PLAIN, rng()) for shape in (RING, CROSS)]
    merged = fragments.merge(inks, PLAIN, rng())
    widths = [tight(ink)[1] for ink in inks]
    assert max(widths) * 1.4 < merged.shape[1] < sum(widths) * 1.4
    assert normalize_glyph(merged).any()


def test_half_a_bar_is_never_given_for_a_fragment():
    ink = pen.draw_strokes(BAR, PLAIN, rng())
    assert all(fragments.half(ink, rng(seed)) is None for seed in range(20))


def test_half_a_ring_is_narrower_than_the_ring():
    ink = pen.draw_strokes(RING, PLAIN, rng())
    halves = [fragments.half(ink, rng(seed)) for seed in range(20)]
    made = [part for part in halves if part is not None]
    assert made
    assert all(part.shape[1] < tight(ink)[1] for part in made)


@pytest.mark.parametrize("make", [fragments.line_remains, fragments.specks])
def test_dirt_has_ink(make):
    assert sum(make(PLAIN, rng(seed)).any() for seed in range(10)) >= 9
