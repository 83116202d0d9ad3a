"""Two looks at a row: bodies as they are, then cuts where these are doubtful."""

import cv2
import numpy as np
import pytest

from segmentation.components import find_components
from segmentation.glyphs import LINE_LIMITS, RowPlace, make_candidates
from segmentation.looks import InkRow, look_again, look_at_bodies
from segmentation.normalization import normalize_glyph
from segmentation.pieces import MIXED, cut_pieces
from segmentation.templates import Box

HEIGHT = 100.0
IDENTITY = np.eye(2, 3)


def ring(image, x, radius=28):
    cv2.circle(image, (x, 60), radius, 1, 7)


def written(*centers, width=700):
    """Rings in a row; those nearer than twice a radius touch."""
    image = np.zeros((120, width), np.uint8)
    for x in centers:
        ring(image, x)
    return image


def first(image, most=10):
    area = Box(0, 10, image.shape[1], HEIGHT)
    place = RowPlace(area, IDENTITY)
    return look_at_bodies([InkRow(find_components(image), place, LINE_LIMITS, "digits", 0, most)])[0]


def again_at(line, settled):
    return look_again([line], [settled])[0]


def everything(image):
    """The lattice of cutting all of it."""
    area = Box(0, 10, image.shape[1], HEIGHT)
    return make_candidates(cut_pieces(find_components(image), HEIGHT), area, IDENTITY, LINE_LIMITS)


def test_every_body_is_one_piece_and_one_candidate_from_left_to_right():
    image = written(500, 60, 200)
    line = first(image)
    assert line.starts.tolist() == [0, 1, 2]
    assert line.stops.tolist() == [1, 2, 3]
    assert line.piece_count == 3
    assert (np.diff(line.boxes[:, 0]) > 0).all()
    whole = normalize_glyph(image[:, 20:110] * np.uint8(255))
    np.testing.assert_array_equal(line.crops[0], whole)
    assert (line.uncut.charset, line.uncut.most) == ("digits", 10)


def test_a_dot_over_a_stroke_is_of_its_body():
    image = written(300)
    cv2.line(image, (80, 50), (80, 90), 1, 8)
    cv2.circle(image, (80, 25), 4, 1, -1)
    line = first(image)
    assert line.piece_count == 2
    assert line.boxes[0, 1] <= 21
    assert line.uncut.bodies.tolist() in ([0, 0, 1], [0, 1, 0], [1, 0, 0])
    assert line.uncut.ink.sum() == np.count_nonzero(image)


def test_nothing_more_is_seen_where_all_is_settled():
    line = first(written(60, 200))
    assert again_at(line, np.ones(2, bool)) is None


def test_a_doubtful_body_is_cut_and_the_settled_ones_stay_whole():
    image = written(60, 200, 252, 400)  # the middle ones touch
    line = first(image)
    assert line.piece_count == 3
    again = again_at(line, np.array([True, False, True]))
    pieces = again.pieces
    assert again.line.piece_count > 3
    assert pieces.bodies.tolist() == [0, *[1] * (again.line.piece_count - 2), 2]
    assert ((pieces.labels > 0) == (image > 0)).all()
    assert (np.bincount(pieces.labels.ravel())[1:] == pieces.areas).all()
    cut = everything(image)
    halves = [box for box in cut.boxes.tolist() if 45 < box[2] < 75 and 160 < box[0] < 240]
    assert halves, "the case would prove nothing"
    assert all(box in again.line.boxes.tolist() for box in halves)
    assert again.line.uncut is None


def test_settled_bodies_are_joined_only_with_doubtful_ink():
    image = written(60)
    for x in (130, 150, 170, 190):  # four bars that might be joined
        cv2.line(image, (x, 35), (x, 85), 1, 6)
    line = first(image)
    again = again_at(line, np.array([True, True, True, False, True])).line
    runs = set(zip(again.starts.tolist(), again.stops.tolist(), strict=True))
    assert all(start <= 3 < stop for start, stop in runs if stop - start > 1)
    assert {(2, 4), (3, 5)} <= runs


def test_what_was_looked_at_is_known_again_and_the_rest_is_new():
    image = written(60, 200, 252, 400)
    line = first(image)
    again = again_at(line, np.array([True, False, True]))
    assert sorted(again.known[again.known >= 0].tolist()) == [0, 1, 2]
    for candidate, body in enumerate(again.known.tolist()):
        if body >= 0:
            np.testing.assert_array_equal(again.line.crops[candidate], line.crops[body])
            np.testing.assert_array_equal(again.line.boxes[candidate], line.boxes[body])
    spans = zip(again.line.starts, again.line.stops, strict=True)
    for crop, (start, stop) in zip(again.line.crops, spans, strict=True):
        run = (again.pieces.labels > start) & (again.pieces.labels <= stop)
        np.testing.assert_array_equal(crop, normalize_glyph(run.view(np.uint8) * np.uint8(255)))


@pytest.mark.parametrize("seed", range(8))
def test_doubting_everything_gives_the_lattice_of_cutting_everything(seed):
    rng = np.random.default_rng(seed)
    image = written(*(60 + 75 * i + int(rng.integers(-18, 18)) for i in range(7)))
    for _ in range(6):
        cv2.circle(image, (int(rng.integers(30, 600)), int(rng.integers(15, 110))), 2, 1, -1)
    line = first(image)
    again, cut = again_at(line, np.zeros(line.piece_count, bool)).line, everything(image)
    for name in ("starts", "stops", "crops", "boxes", "bounds", "piece_bounds", "piece_ink"):
        np.testing.assert_array_equal(getattr(again, name), getattr(cut, name), name)


def test_a_piece_that_takes_a_speck_of_another_body_is_new():
    """The speck stands over the stroke only along the slant, which the first look leaves out of account."""
    image = np.zeros((120, 500), np.uint8)
    for x in (100, 200, 300, 400):
        cv2.line(image, (x, 105), (x + 45, 35), 1, 8)
    cv2.circle(image, (155, 18), 4, 1, -1)
    line = first(image)
    assert line.piece_count == 5
    again = again_at(line, np.array([True, False, True, True, True]))
    if again.line.piece_count == 4:  # it was joined
        assert MIXED in again.pieces.bodies.tolist()
        mixed = again.pieces.bodies.tolist().index(MIXED)
        alone = (again.line.starts == mixed) & (again.line.stops == mixed + 1)
        assert again.known[alone].tolist() == [-1]
    assert again.line.piece_count in (4, 5)


def test_a_line_is_cut_once():
    line = first(written(60, 200))
    again = again_at(line, np.zeros(2, bool)).line
    with pytest.raises(ValueError, match="cut already"):
        again_at(again, np.zeros(again.piece_count, bool))


def test_a_row_without_ink_has_no_bodies():
    line = first(np.zeros((120, 300), np.uint8))
    assert line.piece_count == len(line.crops) == 0
    assert again_at(line, np.zeros(0, bool)) is None


def test_rows_together_are_as_each_alone():
    """Rows of other sizes, slants and strokes, one all settled and one empty, at other places of the page."""
    slanted = cv2.warpAffine(
        written(60, 110, 300, 420),
        np.array([[1, -0.3, 40.0], [0, 1, 0]]),
        (700, 120),
        flags=cv2.INTER_NEAREST,
    )
    thick = cv2.dilate(written(100, 180, 330, width=500), np.ones((5, 5), np.uint8))
    images = [written(60, 110, 300), slanted, np.zeros((40, 50), np.uint8), thick, written(80, 400)]
    turn = np.array([[0.9998, -0.0175, 30.0], [0.0175, 0.9998, 900.0]])
    rows = [
        InkRow(
            find_components(image),
            RowPlace(Box(k, 10 - k, 400, 70.0 + 9 * k), turn),
            LINE_LIMITS,
            "digits",
            0,
            9,
        )
        for k, image in enumerate(images)
    ]
    alone = [look_at_bodies([row])[0] for row in rows]
    together = look_at_bodies(rows)
    settled = [np.arange(line.piece_count) % 2 == 1 for line in alone]
    settled[-1][:] = True
    again_alone = [again_at(line, own) for line, own in zip(alone, settled, strict=True)]
    again_together = look_again(together, settled)
    assert [look is None for look in again_together] == [False, False, True, False, True]
    for one, other in zip(together, alone, strict=True):
        assert_same_line(one, other)
    for one, other in zip(again_together, again_alone, strict=True):
        if one is not None:
            assert_same_line(one.line, other.line)
            np.testing.assert_array_equal(one.known, other.known)
            np.testing.assert_array_equal(one.pieces.labels, other.pieces.labels)
            np.testing.assert_array_equal(one.pieces.bodies, other.pieces.bodies)


def assert_same_line(one, other):
    for name in ("starts", "stops", "crops", "piece_ink", "boxes", "bounds", "piece_bounds"):
        np.testing.assert_array_equal(getattr(one, name), getattr(other, name), err_msg=name)


def test_no_rows_at_all():
    assert look_at_bodies([]) == []
    assert look_again([], []) == []
