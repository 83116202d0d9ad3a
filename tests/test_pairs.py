import cv2
import numpy as np
import pytest

from model.alphabets import CLASS_COUNT, NOT_A_CHARACTER, only_digits
from model.decoding import Constraint, Lattice, decode
from model.pairs import OTHER, PAIR_CLASSES, PairOptions, doubtful_runs, mix_pairs, undecided
from segmentation.components import find_components
from segmentation.pairs import find_bodies, normalize_pair, pair_crops, pair_windows
from segmentation.pieces import cut_pieces

HEIGHT = 60
# Three pieces and all their runs.
STARTS, STOPS = np.array([0, 1, 2, 0, 1, 0], np.int16), np.array([1, 2, 3, 2, 3, 3], np.int16)
LEFT, RIGHT = 3, 2  # the candidates 0..2 and 2..3
BODY = np.array([[0, 3]], np.int32)
PLAIN = PairOptions(odds=0.0, support=0.0)  # the reader of pairs taken at its word


def rows_of(*tops):
    """Log-probabilities float32 (N, 63) of (class, probability); the rest is not-a-character."""
    probs = np.full((len(tops), CLASS_COUNT), 1e-6)
    for row, (label, probability) in enumerate(tops):
        probs[row, NOT_A_CHARACTER] = 1 - probability
        probs[row, label] = probability
    return np.log(probs / probs.sum(axis=1, keepdims=True)).astype(np.float32)


def pair_of(digits, probability, rest=OTHER):
    """A reading float32 (1, 101) of one pair; what is left goes to another class."""
    probs = np.full((1, PAIR_CLASSES), 1e-9)
    probs[0, digits], probs[0, rest] = probability, 1 - probability
    return np.log(probs).astype(np.float32)


def unsure():
    """A body of three pieces whose best cut shows an 8 on the left, and little on the right."""
    return rows_of((1, 0.2), (7, 0.3), (1, 0.3), (8, 0.7), (6, 0.1), (0, 0.4))


def lattice_of(log_probs):
    bounds = np.array([[s / 3, 0.2, e / 3, 0.8] for s, e in zip(STARTS, STOPS, strict=True)], np.float32)
    return Lattice(STARTS, STOPS, log_probs, bounds * 1.2, bounds[:3] * 1.2, np.full(3, 0.1, np.float32))


def test_a_sure_pair_is_read_on_the_cut_that_agrees_best():
    mixed = np.exp(mix_pairs(STARTS, STOPS, unsure(), BODY, pair_of(86, 0.99), PLAIN))
    assert mixed[LEFT, 8] > 0.98
    assert mixed[RIGHT, 6] > 0.98
    others = [row for row in range(len(STARTS)) if row not in (LEFT, RIGHT)]
    assert (mixed[others, NOT_A_CHARACTER] > 0.98).all()


def test_a_pair_is_read_by_the_decoder():
    constraint = Constraint("digits", 1, 16)
    assert decode(lattice_of(unsure()), constraint).text != "86"
    mixed = mix_pairs(STARTS, STOPS, unsure(), BODY, pair_of(86, 0.99))
    reading = decode(lattice_of(mixed), constraint)
    assert reading.text == "86"
    assert [character.candidate for character in reading.characters] == [LEFT, RIGHT]


def test_probabilities_stay_probabilities():
    mixed = mix_pairs(STARTS, STOPS, unsure(), BODY, pair_of(86, 0.6, rest=88))
    assert mixed.dtype == np.float32
    np.testing.assert_allclose(np.exp(mixed).sum(axis=1), np.ones(len(STARTS)), atol=1e-5)


def test_the_share_of_the_pair_is_its_probability():
    before = np.exp(unsure())
    after = np.exp(mix_pairs(STARTS, STOPS, unsure(), BODY, pair_of(86, 0.25), PLAIN))
    assert after[LEFT, NOT_A_CHARACTER] == pytest.approx(0.75 * before[LEFT, NOT_A_CHARACTER], rel=1e-3)
    assert after[RIGHT, 6] == pytest.approx(0.25, abs=1e-3)


def test_marginals_of_two_pairs_are_mixed():
    after = np.exp(mix_pairs(STARTS, STOPS, unsure(), BODY, pair_of(86, 0.7, rest=80), PLAIN))
    assert after[RIGHT, 6] == pytest.approx(0.7, abs=0.01)
    assert after[RIGHT, 0] == pytest.approx(0.3, abs=0.01)


@pytest.mark.parametrize(
    ("bodies", "readings"),
    [
        (np.zeros((0, 2), np.int32), np.zeros((0, PAIR_CLASSES), np.float32)),
        (BODY, pair_of(86, 0.001)),  # surely something else
        (np.array([[0, 1]], np.int32), pair_of(86, 0.99)),  # no cut
    ],
)
def test_nothing_changes_without_a_pair(bodies, readings):
    given = unsure()
    np.testing.assert_allclose(mix_pairs(STARTS, STOPS, given, bodies, readings), given, atol=1e-5)
    np.testing.assert_array_equal(given, unsure())


def test_a_reading_is_decided_if_it_is_of_no_pair_or_of_one_for_sure():
    readings = [pair_of(86, 0.999), pair_of(86, 1e-6), pair_of(86, 0.7), pair_of(86, 0.6, rest=88)]
    assert undecided(np.concatenate(readings)).tolist() == [False, False, True, True]
    assert undecided(np.zeros((0, PAIR_CLASSES), np.float32)).tolist() == []


def test_a_body_beside_the_pair_is_left_alone():
    starts, stops = np.append(STARTS, [3, 2]), np.append(STOPS, [4, 4])
    given = np.concatenate([unsure(), rows_of((5, 0.9), (9, 0.2))])
    mixed = mix_pairs(starts, stops, given, BODY, pair_of(86, 0.99), PLAIN)
    np.testing.assert_allclose(mixed[6], given[6], atol=1e-5)
    assert np.exp(mixed[7, NOT_A_CHARACTER]) > 0.98  # reaches into the pair


def test_only_what_is_not_surely_one_digit_is_asked_for():
    bodies = np.array([[0, 3], [3, 4], [4, 6]], np.int32)
    starts, stops = np.array([0, 3, 4], np.int16), np.array([3, 4, 6], np.int16)
    sure = rows_of((5, 0.99), (5, 0.5), (5, 0.9))
    assert doubtful_runs(starts, stops, sure, bodies).tolist() == [False, False, True]
    letters = rows_of((40, 0.99), (5, 0.5), (5, 0.9))
    assert doubtful_runs(starts, stops, letters, bodies).tolist() == [True, False, True]
    assert doubtful_runs(starts, stops, sure, bodies[:0]).shape == (0,)


def test_a_run_made_of_sure_digits_is_not_asked_for():
    starts, stops = np.array([0, 2, 3, 0], np.int16), np.array([2, 3, 4, 4], np.int16)
    log_probs = rows_of((5, 0.99), (7, 0.99), (1, 0.5), (0, 0.3))
    runs = np.array([[0, 3], [0, 4], [2, 4]], np.int32)
    assert doubtful_runs(starts, stops, log_probs, runs).tolist() == [False, True, True]


def test_of_runs_that_cannot_all_be_pairs_the_surest_counts():
    runs = np.array([[0, 3], [1, 3]], np.int32)
    readings = np.concatenate([pair_of(86, 0.9), pair_of(11, 0.99)])
    both = mix_pairs(STARTS, STOPS, unsure(), runs, readings, PLAIN)
    surest = mix_pairs(STARTS, STOPS, unsure(), runs[1:], readings[1:], PLAIN)
    np.testing.assert_array_equal(both, surest)


def test_pairs_may_share_a_digit():
    given = rows_of((1, 0.4), (2, 0.4), (3, 0.4), (0, 0.1), (0, 0.1), (0, 0.1))
    runs = np.array([[0, 2], [1, 3]], np.int32)
    readings = np.concatenate([pair_of(12, 0.99), pair_of(23, 0.99)])
    mixed = mix_pairs(STARTS, STOPS, given, runs, readings, PLAIN)
    assert decode(lattice_of(mixed), Constraint("digits", 1, 16)).text == "123"
    assert np.exp(mixed[[0, 1, 2], [1, 2, 3]]).min() > 0.95


@pytest.mark.parametrize(
    ("charset", "may"), [("digits", True), ("alphanumeric", False), ("upper", False), ("text", False)]
)
def test_only_one_charset_has_nothing_but_digits(charset, may):
    assert only_digits(charset) is may


def test_odds_lower_the_weight_of_pairs():
    options = PairOptions(odds=-6.0)
    after = np.exp(mix_pairs(STARTS, STOPS, unsure(), BODY, pair_of(86, 0.9), options))
    np.testing.assert_allclose(after, np.exp(unsure()), atol=0.03)


def rings(*places):
    ink = np.zeros((100, 300), np.uint8)
    for x, y in places:
        cv2.ellipse(ink, (x, y), (18, 28), 0, 0, 360, 255, 5)
    return ink > 0


def bodies_of(ink):
    parts = find_components(ink)
    pieces = cut_pieces(parts, HEIGHT)
    return pieces, find_bodies(pieces, parts)


def test_white_parts_bodies():
    pieces, bodies = bodies_of(rings((40, 50), (100, 50), (140, 50)))
    assert len(bodies) == 2
    assert bodies[0, 0] == 0
    assert bodies[-1, 1] == len(pieces.areas)
    assert (bodies[1:, 0] == bodies[:-1, 1]).all()
    crops = pair_crops(pieces, bodies)
    assert crops.shape == (2, 28, 44)
    widths = [int(crop.any(axis=0).sum()) for crop in crops]
    assert widths[0] < 20 < widths[1]


def test_narrow_bodies_are_one_window_and_wide_ones_all_their_runs():
    pieces, bodies = bodies_of(rings((40, 50), (74, 50), (180, 50), (214, 50), (248, 50), (282, 50)))
    assert len(bodies) == 2
    (first, last), (wide, end) = bodies.tolist()
    windows = pair_windows(pieces, bodies).tolist()
    assert [run for run in windows if run[0] < last] == [[first, last]]
    within = [run for run in windows if run[0] >= wide]
    assert len(within) > 2
    assert all(wide <= start < stop - 1 < end for start, stop in within)
    assert pair_windows(pieces, bodies[:0]).shape == (0, 2)


def test_a_loose_stroke_belongs_to_the_body_it_stands_over():
    ink = rings((40, 60))
    ink[20:24, 34:50] = True
    _, bodies = bodies_of(ink)
    assert len(bodies) == 1


@pytest.mark.parametrize("seed", range(8))
def test_bodies_are_parted_where_no_component_goes_on(seed):
    rng = np.random.default_rng(seed)
    ink = np.zeros((100, 500), np.uint8)
    for x, y in rng.integers((20, 20), (480, 80), (24, 2)).tolist():
        axes, angle = rng.integers(2, 26, 2).tolist(), int(rng.integers(180))
        cv2.ellipse(ink, (x, y), axes, angle, 0, int(rng.integers(90, 361)), 255, 3)
    parts = find_components(ink > 0)
    pieces = cut_pieces(parts, HEIGHT)
    of_components = [pieces.labels[parts.labels == name] for name in range(1, len(parts) + 1)]
    reaches = [(int(own.min()), int(own.max())) for own in of_components]
    borders = [b for b in range(len(pieces.areas)) if not any(low <= b < high for low, high in reaches)]
    bodies = find_bodies(pieces, parts)
    assert bodies[:, 0].tolist() == borders
    assert bodies[:, 1].tolist() == [*borders[1:], len(pieces.areas)]


def test_no_ink_has_no_bodies():
    pieces, bodies = bodies_of(np.zeros((40, 60), bool))
    assert bodies.shape == (0, 2)
    assert pair_crops(pieces, bodies).shape == (0, 28, 44)


@pytest.mark.parametrize("shape", [(200, 10), (10, 200), (24, 40), (1, 1), (480, 800), (60, 90)])
def test_a_crop_keeps_the_aspect_and_has_margins(shape):
    ink = np.zeros((shape[0] + 7, shape[1] + 3), np.uint8)
    ink[5 : 5 + shape[0], 2 : 2 + shape[1]] = 255
    crop = normalize_pair(ink)
    assert crop.shape == (28, 44)
    assert not crop[[0, 1, -1, -2]].any()
    assert not crop[:, [0, 1, -1, -2]].any()
    height, width = int(crop.any(axis=1).sum()), int(crop.any(axis=0).sum())
    scale = min(24 / shape[0], 40 / shape[1])
    assert abs(height - max(1, shape[0] * scale)) <= 0.5
    assert abs(width - max(1, shape[1] * scale)) <= 0.5


def test_an_empty_crop_is_empty():
    assert not normalize_pair(np.zeros((20, 20), np.uint8)).any()
