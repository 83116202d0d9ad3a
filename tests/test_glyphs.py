"""Cutting a row into pieces, and pieces into candidates."""

import warnings
from itertools import pairwise

import cv2
import numpy as np
import pytest

from segmentation.components import find_components
from segmentation.cuts import MAX_CUTS, MAX_SLANT, estimate_slant, find_cuts, stroke_width
from segmentation.glyphs import LINE_LIMITS, CandidateLimits, make_candidates, page_boxes
from segmentation.normalization import normalize_glyph
from segmentation.pieces import MAX_COMPONENTS, cut_pieces
from segmentation.templates import Box

HEIGHT = 100.0  # of the writing area in all these rows
IDENTITY = np.eye(2, 3)


def row(width=500):
    return np.zeros((120, width), np.uint8)


def cut(image):
    pieces = cut_pieces(find_components(image), HEIGHT)
    assert ((pieces.labels > 0) == (image > 0)).all(), "every pixel of ink is in one piece"
    assert (np.bincount(pieces.labels.ravel())[1:] == pieces.areas).all()
    for index, (x, y, width, height) in enumerate(pieces.boxes):
        ys, xs = np.nonzero(pieces.labels == index + 1)
        assert (x, y, width, height) == (xs.min(), ys.min(), np.ptp(xs) + 1, np.ptp(ys) + 1)
    return pieces


def rings(count, step, radius=30):
    """Circles in a row, each with its own colour, drawn from left to right over the last."""
    image = row(80 + step * count)
    for index in range(count):
        cv2.circle(image, (40 + step * index, 60), radius, index + 1, 7)
    return image


def best_run(pieces, wanted):
    """How well some run of neighbouring pieces covers the pixels wanted: intersection over union."""
    best = 0.0
    for start in range(len(pieces.areas)):
        for stop in range(start + 1, min(start + LINE_LIMITS.pieces, len(pieces.areas)) + 1):
            run = (pieces.labels > start) & (pieces.labels <= stop)
            best = max(best, (run & wanted).sum() / (run | wanted).sum())
    return best


def slanted(image, shear):
    """The image with its upper part moved to the right by ``shear`` pixels a row."""
    height, width = image.shape
    matrix = np.array([[1, -shear, shear * height / 2 + 20], [0, 1, 0]])
    return cv2.warpAffine(image, matrix, (width + 60, height), flags=cv2.INTER_NEAREST)


def line_of(image, area=None, to_page=IDENTITY, limits=LINE_LIMITS):
    pieces = cut(image)
    return pieces, make_candidates(pieces, area or Box(0, 10, image.shape[1], HEIGHT), to_page, limits)


def test_no_ink_has_no_pieces():
    pieces = cut(row())
    line = make_candidates(pieces, Box(0, 0, 500, HEIGHT), IDENTITY)
    assert line.piece_count == len(line.starts) == len(line.stops) == 0
    assert line.crops.shape == (0, 28, 28)
    assert line.boxes.shape == line.bounds.shape == line.piece_bounds.shape == (0, 4)


def test_separate_bars_are_pieces_from_left_to_right():
    image = row()
    for x in (300, 100, 200, 400):
        cv2.line(image, (x, 30), (x, 90), 1, 8)
    pieces = cut(image)
    assert len(pieces.areas) == 4
    assert (np.diff(pieces.boxes[:, 0]) > 0).all()


def test_touching_rings_are_cut_at_the_neck():
    owner = rings(2, 64)
    pieces = cut((owner > 0).astype(np.uint8))
    neck = 40 + 32
    edges = pieces.boxes[:, 0] + pieces.boxes[:, 2]
    assert np.abs(edges - neck).min() <= 4
    for ring in (1, 2):
        assert best_run(pieces, owner == ring) > 0.9


@pytest.mark.parametrize("shear", [0.3, 0.5, -0.4])
def test_touching_bars_are_cut_along_their_slant(shear):
    owner = row(240)
    for index, x in enumerate((60, 100, 140)):
        cv2.line(owner, (x, 20), (x, 100), index + 1, 8)
    bridge = cv2.line(row(240), (60, 60), (140, 60), 9, 5)
    owner = slanted(np.where(owner > 0, owner, bridge), shear)
    pieces = cut((owner > 0).astype(np.uint8))
    for bar in (1, 2, 3):
        inside = pieces.labels[owner == bar]
        assert np.bincount(inside).max() >= 0.97 * len(inside), "an upright cut would part the bar"
    assert len({np.bincount(pieces.labels[owner == bar]).argmax() for bar in (1, 2, 3)}) == 3


def test_slanted_bars_are_in_the_order_of_their_bases():
    image = row(300)
    cv2.line(image, (60, 100), (120, 20), 1, 8)
    cv2.line(image, (110, 100), (170, 20), 1, 8)
    cv2.line(image, (160, 100), (220, 20), 1, 8)
    pieces = cut(image)
    assert len(pieces.areas) == 3
    assert (np.diff(pieces.boxes[:, 0]) > 0).all()


def test_the_dot_of_an_i_is_one_piece_with_its_stem():
    image = row()
    cv2.line(image, (100, 50), (100, 100), 1, 8)
    cv2.circle(image, (100, 28), 5, 1, -1)
    cv2.line(image, (200, 30), (200, 100), 1, 8)
    pieces = cut(image)
    assert len(pieces.areas) == 2
    assert tuple(pieces.boxes[0, [1, 3]]) == (23, 82)


def test_a_dot_beside_a_stem_stays_a_piece_of_its_own():
    image = row()
    cv2.line(image, (100, 50), (100, 100), 1, 8)
    cv2.circle(image, (130, 95), 6, 1, -1)
    assert len(cut(image).areas) == 2


def test_a_broken_stem_is_one_piece():
    image = row()
    cv2.line(image, (100, 20), (100, 105), 1, 8)
    image[42:46] = 0
    assert len(cut(image).areas) == 1


def test_every_character_of_a_long_chain_is_some_run_of_pieces():
    owner = row(700)
    for index in range(6):  # 0 and 1 in turns, each touching the next
        cv2.circle(owner, (45 + 100 * index, 60), 30, 2 * index + 1, 7)
        cv2.rectangle(owner, (78 + 100 * index, 28), (84 + 100 * index, 92), 2 * index + 2, -1)
        cv2.rectangle(owner, (85 + 100 * index, 57), (112 + 100 * index, 61), 2 * index + 2, -1)
    image = (owner > 0).astype(np.uint8)
    assert len(find_components(image)) == 1
    pieces = cut(image)
    for character in range(1, 13):
        assert best_run(pieces, owner == character) > 0.75


def test_a_stroke_of_any_length_gets_a_bounded_number_of_cuts():
    saw = np.zeros((120, 4000), np.uint8)
    saw[55:60] = 1
    saw[20:100, ::12] = saw[20:100, 1::12] = 1
    assert 1 < len(cut(saw).areas) <= MAX_CUTS + 1


def test_find_cuts_of_a_stroke_too_narrow_to_cut():
    xs, ys = np.repeat(np.arange(3), 40), np.tile(np.arange(40), 3)
    order = np.argsort(ys, kind="stable")
    assert len(find_cuts(xs[order], ys[order], 6.0, HEIGHT)) == 0


@pytest.mark.parametrize("width", [4, 8, 14])
def test_stroke_width_of_a_bar(width):
    image = row()
    image[20:100, 50 : 50 + width] = 1
    loose, tight = image > 0, image[20:100, 50 : 50 + width] > 0
    assert stroke_width(loose) == pytest.approx(width, rel=0.3)
    assert stroke_width(tight) == stroke_width(loose)


def test_stroke_width_without_ink():
    assert stroke_width(row() > 0) == 2.0


@pytest.mark.parametrize("shear", [-0.5, -0.2, 0, 0.25, 0.5])
def test_slant_of_bars(shear):
    image = row()
    for x in range(60, 440, 60):
        image[20:110, x : x + 6] = 1
    ys, xs = np.nonzero(slanted(image, shear))
    assert estimate_slant(xs, ys) == pytest.approx(shear, abs=0.06)


def test_slant_stays_within_its_bounds_and_a_dot_has_none():
    image = row()
    cv2.line(image, (30, 100), (300, 20), 1, 5)
    ys, xs = np.nonzero(image)
    assert abs(estimate_slant(xs, ys)) <= MAX_SLANT
    assert abs(estimate_slant(np.array([5]), np.array([5]))) < 1e-9


def test_candidates_are_all_runs_of_neighbouring_pieces_up_to_a_width():
    image = row()
    for x in (40, 70, 100, 130, 300):
        cv2.line(image, (x, 30), (x, 90), 1, 8)
    _, line = line_of(image, limits=CandidateLimits(3, 0.8))
    spans = set(zip(line.starts.tolist(), line.stops.tolist(), strict=True))
    assert spans == {(0, 1), (0, 2), (0, 3), (1, 2), (1, 3), (1, 4), (2, 3), (2, 4), (3, 4), (4, 5)}
    assert len(line.starts) == len(spans)


def widest(image):
    """Width of the widest candidate in pixels."""
    _, line = line_of(image)
    return round(float((line.bounds[:, 2] - line.bounds[:, 0]).max() * HEIGHT))


@pytest.mark.parametrize(("apart", "together"), [(1, True), (12, False)])
def test_two_bodies_with_white_between_are_no_candidate(apart, together):
    image = row()
    for left in (40, 95 + apart):
        image[25:95, left : left + 55] = 1
        image[32:88, left + 7 : left + 48] = 0
    assert widest(image) == (110 + apart if together else 55)


def test_the_halves_of_a_broken_character_are_one_candidate():
    image = row()
    cv2.ellipse(image, (70, 60), (27, 34), 0, 0, 360, 1, 7)
    image[:, 67:74] = 0
    assert widest(image) == 63


def test_a_flat_part_beside_a_body_is_one_candidate_with_it():
    image = row()
    image[30:90, 40:47], image[30:37, 40:62], image[84:90, 40:62] = 1, 1, 1
    image[30:37, 72:130] = 1
    assert widest(image) == 90


def test_a_piece_wider_than_a_character_is_still_a_candidate():
    image = row()
    image[55:60, 10:480] = 1
    _, line = line_of(image)
    covered = np.zeros(line.piece_count, bool)
    for start, stop in zip(line.starts, line.stops, strict=True):
        covered[start:stop] = True
    assert covered.all()
    assert len(line.starts) >= 1


def test_crops_show_exactly_the_pieces_of_their_candidate():
    image = np.where(rings(3, 58) > 0, 1, 0).astype(np.uint8)
    pieces, line = line_of(image)
    assert line.crops.dtype == np.uint8
    for start, stop, crop in zip(line.starts, line.stops, line.crops, strict=True):
        mask = ((pieces.labels > start) & (pieces.labels <= stop)).astype(np.uint8) * 255
        np.testing.assert_array_equal(crop, normalize_glyph(mask))


def test_bounds_are_in_heights_of_the_writing_area():
    image = row()
    image[35:110, 150:200] = 1
    _, line = line_of(image, Box(100, 10, 300, HEIGHT))
    whole = np.argmax(line.stops - line.starts)
    assert line.bounds[whole] == pytest.approx((0.5, 0.25, 1.0, 1.0))
    assert line.piece_bounds[:, 0].min() == pytest.approx(0.5)
    assert line.piece_bounds[:, 2].max() == pytest.approx(1.0)
    assert line.piece_ink.sum() == pytest.approx(75 * 50 / HEIGHT**2)


def test_boxes_are_in_page_pixels():
    image = row()
    image[35:95, 150:200] = 1
    quarter_turn = np.array([[0, -2, 1000], [2, 0, 30]], np.float64)  # clockwise, twice the size
    _, line = line_of(image, to_page=quarter_turn)
    whole = np.argmax(line.stops - line.starts)
    assert line.boxes[whole] == pytest.approx((1000 - 2 * 95, 30 + 2 * 150, 2 * 60, 2 * 50))


def test_boxes_of_several_rasters_go_to_the_page_by_their_own_maps():
    rng = np.random.default_rng(0)
    maps = [rng.uniform(-2, 2, (2, 3)) for _ in range(3)]
    boxes = rng.uniform(1, 50, (20, 4)).astype(np.float32)
    which = rng.integers(0, 3, 20)
    for box, map_of, found in zip(boxes, which, page_boxes(boxes, maps, which), strict=True):
        x, y, width, height = box.astype(float)
        corners = np.array([(a, b, 1.0) for a in (x, x + width) for b in (y, y + height)])
        mapped = corners @ maps[map_of].T
        least, most = mapped.min(axis=0), mapped.max(axis=0)
        np.testing.assert_allclose(found, [*least, *(most - least)], rtol=1e-4, atol=1e-3)


def test_the_lattice_can_be_walked_from_end_to_end():
    image = row(900)
    cv2.putText(image, "4018 273", (20, 95), 0, 2.4, 1, 8)
    _, line = line_of(image)
    reached = {0}
    for start, stop in sorted(zip(line.starts.tolist(), line.stops.tolist(), strict=True)):
        if start in reached:
            reached.add(stop)
    assert line.piece_count in reached
    assert line.piece_count >= 7
    assert all(a <= b for a, b in pairwise(line.starts.tolist()))


@pytest.mark.parametrize("shape", [(1, 1), (1, 400), (300, 1), (2, 2)])
def test_rasters_full_of_ink_of_any_shape(shape):
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        pieces = cut_pieces(find_components(np.ones(shape, bool)), 1.0)
        line = make_candidates(pieces, Box(0, 0, 1, 1), IDENTITY)
    assert pieces.areas.sum() == np.prod(shape)
    assert line.piece_count == len(pieces.areas) >= 1


def test_noise_is_bounded_and_its_numbers_do_not_wrap():
    dots = np.zeros((200, 1000), np.uint8)
    dots[::2, ::2] = 1
    dots[60:140, 400:440] = 1
    pieces = cut_pieces(find_components(dots), 150.0)
    assert len(pieces.areas) <= MAX_COMPONENTS * (MAX_CUTS + 1) < 2**15
    assert pieces.areas.max() >= 80 * 40, "the largest stroke is kept"
    line = make_candidates(pieces, Box(0, 0, 1000, 150), IDENTITY)
    assert (line.stops > line.starts).all()
    assert (line.starts >= 0).all()


@pytest.mark.parametrize("seed", range(6))
def test_the_slant_is_that_of_the_most_peaked_columns_one_by_one(seed):
    rng = np.random.default_rng(seed)
    ys = np.sort(rng.integers(0, 60, 900))
    xs = (rng.integers(0, 8, 900) * 40 + rng.normal(0, 3, 900) - rng.uniform(-0.5, 0.5) * ys).astype(np.intp)
    xs -= xs.min()  # a tight raster, whose left edge slanted columns cross
    slants = np.linspace(-MAX_SLANT, MAX_SLANT, 25)
    scores = []
    for slant in slants:
        columns = (xs + slant * (ys - ys.mean())).astype(np.intp)
        scores.append((1 - 0.1 * abs(slant)) * (np.unique(columns, return_counts=True)[1] ** 2).sum())
    assert estimate_slant(xs, ys) == slants[np.argmax(scores)]
