"""Rows composed of known characters: the truth that goes with each candidate."""

from dataclasses import replace

import cv2
import numpy as np
import pytest

from segmentation.composition import UNCERTAIN, WRONG_CUT, LineHabits, _Owned, compose_line

CAPITAL = 60
PLAIN = LineHabits(gap=0.3, gap_spread=0.0, drift=0.0, size_spread=0.0)


def digit(text):
    """One character as high as a capital."""
    ink = np.zeros((120, 120), np.uint8)
    cv2.putText(ink, text, (30, 90), 0, 2, 255, 4)
    ys, xs = np.nonzero(ink)
    tight = ink[ys.min() : ys.max() + 1, xs.min() : xs.max() + 1]
    return cv2.resize(tight, (round(tight.shape[1] * CAPITAL / tight.shape[0]), CAPITAL))


def compose(text, habits=PLAIN, seed=0):
    inks = [digit(letter) for letter in text]
    return compose_line(inks, [(0.0, 1.0)] * len(inks), CAPITAL, habits, np.random.default_rng(seed))


def test_each_character_is_there_in_its_order():
    line = compose("2057")
    assert line.ink.shape == line.owner.shape
    np.testing.assert_array_equal(line.ink, line.owner > 0)
    lefts = [np.nonzero(line.owner == index)[1].min() for index in (1, 2, 3, 4)]
    assert lefts == sorted(lefts)
    assert line.owner.max() == 4


def test_every_character_of_a_loose_row_is_found_among_the_candidates():
    lattice, truth = compose("2057").candidates()
    assert len(truth) == len(lattice.starts) == len(lattice.crops)
    assert set(truth[truth >= 0].tolist()) == {0, 1, 2, 3}


def test_two_characters_in_one_candidate_are_a_wrong_cut():
    close = replace(PLAIN, gap=0.02)  # what stands apart is never one candidate
    lattice, truth = compose("11", close).candidates()
    pair = (lattice.starts == 0) & (lattice.stops == lattice.piece_count)
    assert truth[pair].tolist() == [WRONG_CUT]


def test_a_piece_of_a_character_is_a_wrong_cut():
    lattice, truth = compose("08888").candidates()
    parts = (lattice.stops - lattice.starts) == 1
    for start, verdict in zip(lattice.starts[parts], truth[parts], strict=True):
        share = lattice.piece_ink[start] / lattice.piece_ink.max()
        if share < 0.3:
            assert verdict in (WRONG_CUT, UNCERTAIN)


def test_touching_characters_are_mostly_still_found():
    found = 0
    for seed in range(8):
        _, truth = compose("38402957", LineHabits(gap=-0.02, gap_spread=0.03, drift=0.02), seed).candidates()
        found += len(set(truth[truth >= 0].tolist()))
    assert found >= 0.65 * 8 * 8


def test_a_lesson_is_the_best_cut_of_a_character_that_has_no_whole_one():
    touching, lessons_more = LineHabits(gap=-0.04, gap_spread=0.03, drift=0.02), 0
    for seed in range(12):
        line = compose("38402957", touching, seed)
        _, verdict = line.candidates()
        lattice, lesson = line.lessons()
        changed = verdict != lesson
        assert (verdict[changed] < 0).all()
        assert (lesson[verdict >= 0] == verdict[verdict >= 0]).all()
        added = lesson[changed & (lesson >= 0)]
        assert len(set(added.tolist())) == len(added)
        assert not set(added.tolist()) & set(verdict.tolist())
        assert len(lattice.starts) == len(lesson)
        lessons_more += len(added)
    assert lessons_more > 0


def test_the_best_of_several_cuts_counts_and_those_near_it_do_not():
    whose = np.array([0, 0, 0, 0, 1, 1])
    purity = np.array([0.95, 0.9, 0.85, 0.6, 1.0, 1.0])
    share = np.array([0.75, 0.8, 0.72, 0.9, 0.98, 0.8])
    owned = _Owned(whose, purity, share)
    assert owned.verdict().tolist() == [WRONG_CUT] * 4 + [1, WRONG_CUT]
    assert owned.lessons().tolist() == [UNCERTAIN, 0, UNCERTAIN, WRONG_CUT, 1, WRONG_CUT]


def test_a_character_of_which_too_little_is_offered_stays_without_a_lesson():
    owned = _Owned(np.array([0, 0]), np.array([0.75, 1.0]), np.array([0.9, 0.65]))
    assert owned.lessons().tolist() == [WRONG_CUT, WRONG_CUT]


@pytest.mark.parametrize("level", [0.97, 1.0, 1.1])
def test_a_printed_rule_is_taken_out_and_the_characters_stay(level):
    line = compose("2057", LineHabits(gap=0.3, gap_spread=0, drift=0, rule=5, rule_level=level))
    assert (line.ink & (line.owner > 0)).sum() >= 0.85 * (line.owner > 0).sum()
    assert (line.ink & (line.owner == 0)).sum() <= 0.05 * (line.owner > 0).sum()
    _, truth = line.candidates()
    assert len(set(truth[truth >= 0].tolist())) >= 3


@pytest.mark.parametrize(
    ("habits", "side"),
    [
        ({"upper_level": 0.1}, "top"),
        ({"rule_level": 0.9}, "bottom"),
        ({"ends": (-0.1, None)}, "left"),
        ({"ends": (None, -0.1)}, "right"),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
def test_a_row_may_be_written_over_each_side_of_its_frame(habits, side):
    """The frame goes, what is written beyond it stays, and the writing area is the inside of the frame."""
    line = compose("20576", replace(PLAIN, rule=5, **habits))
    ys, xs = np.nonzero(line.owner)
    beyond = {
        "top": line.area.y - ys.min(),
        "bottom": ys.max() + 1 - line.area.bottom,
        "left": line.area.x - xs.min(),
        "right": xs.max() + 1 - line.area.right,
    }
    assert beyond[side] == pytest.approx(0.1 * CAPITAL, abs=2)
    assert all(value < 0 for name, value in beyond.items() if name != side)
    written = line.owner > 0
    assert (line.ink & written).sum() >= 0.85 * written.sum()
    assert (line.ink & ~written).sum() <= 0.05 * written.sum()


def test_the_writing_area_holds_the_row():
    line = compose("2057")
    ys, xs = np.nonzero(line.ink)
    assert line.area.x <= xs.min()
    assert xs.max() <= line.area.right
    assert line.area.y <= ys.min()
    assert ys.max() <= line.area.bottom


def test_a_descender_hangs_below_the_line():
    inks = [digit("1"), digit("9")]
    line = compose_line(inks, [(0, 1), (0.4, 1.4)], CAPITAL, PLAIN, np.random.default_rng(0))
    first, second = (np.nonzero(line.owner == index)[0] for index in (1, 2))
    assert second.min() - first.min() == pytest.approx(0.4 * CAPITAL, abs=2)


def test_the_same_chance_gives_the_same_row():
    habits = LineHabits(rule=5)
    one, other = compose("2057", habits, 3), compose("2057", habits, 3)
    np.testing.assert_array_equal(one.ink, other.ink)
    assert not np.array_equal(one.owner, compose("2057", habits, 4).owner)


def test_a_row_of_nothing_has_no_candidates():
    line = compose_line([], [], CAPITAL, PLAIN, np.random.default_rng(0))
    lattice, truth = line.candidates()
    assert len(truth) == lattice.piece_count == 0
    empty = compose_line([np.zeros((20, 20), np.uint8)], [(0, 1)], CAPITAL, PLAIN, np.random.default_rng(0))
    assert len(empty.candidates()[1]) == len(empty.lessons()[1]) == 0
