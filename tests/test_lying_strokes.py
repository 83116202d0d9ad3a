"""Strokes that lie along a printed rule stay; a rule that is thicker in places goes all the same."""

import cv2
import numpy as np
import pytest

from segmentation.lying_strokes import CORNER, LONGEST, lying_strokes
from segmentation.rules import Frame, remove_frame

FRAME = Frame(60.0, 60.0, 580.0, 160.0, 5.0)  # middle lines of the sides
USUAL = 4


def printed():
    """A frame of rules five pixels wide."""
    image = np.zeros((220, 640), np.uint8)
    cv2.rectangle(image, (58, 58), (582, 162), 1, -1)
    cv2.rectangle(image, (63, 63), (577, 157), 0, -1)
    return image


def two(foot):
    """A 2 without its arc: a slanted stroke, and a foot six pixels thick at the rows from ``foot`` on."""
    image = np.zeros((220, 640), np.uint8)
    cv2.line(image, (340, 100), (300, foot + 2), 1, 6)
    image[foot : foot + 6, 300:345] = 1
    return image


def cleaned(image):
    return remove_frame(image > 0, FRAME)[0]


@pytest.mark.parametrize("foot", [154, 155, 156, 157, 158, 159, 160])
def test_the_foot_of_a_2_on_the_rule_stays(foot):
    left = cleaned(printed() | two(foot))[:, 305:340]
    assert left.any(axis=0).all()
    thickness = left[foot - 4 : foot + 10].sum(axis=0)
    assert np.median(thickness) >= 4


@pytest.mark.parametrize("drop", [155, 156, 157])
def test_of_writing_just_above_the_rule_nothing_is_taken(drop):
    """From two pixels above the rule to touching it by its lowest row: what is not in the rule stays."""
    writing = np.zeros((220, 640), np.uint8)
    cv2.rectangle(writing, (300, drop - 30), (330, drop), 1, 5)  # its lower side is at drop - 2 .. drop + 2
    above = writing[:157] > 0
    if drop == 155:  # one row of paper between
        writing[157] = 0
    np.testing.assert_array_equal(cleaned(printed() | writing)[:157] & above, above)


@pytest.mark.parametrize("steps", [1, 2])
def test_a_rule_that_is_thicker_for_longer_than_any_foot_is_not_writing(steps):
    """As scanned rules are that lean; a stroke that crosses it there changes nothing."""
    image = printed()
    image[158 - steps : 158, 180:320] = 1
    cv2.line(image, (250, 120), (250, 190), 1, 7)
    left = cleaned(image)
    assert not left[:, 205:240].any()
    assert not left[:, 260:295].any()


def test_a_rule_that_is_thicker_at_its_corner_is_not_writing():
    image = printed()
    image[163:166, 58:110] = 1
    assert not cleaned(image)[:, 63:].any()


def columns(length=400, **runs):
    """Thickness, usual thickness, contacts and ends of one rule between empty columns."""
    thickness = np.full(length, USUAL, np.uint8)
    touched = np.zeros(length, bool)
    for first, last, more in runs.get("thick", ()):
        thickness[first:last] += more
    for first, last in runs.get("contacts", ()):
        touched[first:last] = True
        thickness[first:last] = 20
    return thickness, np.full(length, USUAL, np.uint8), touched, np.array([0]), np.array([length])


def found(**runs):
    lying = lying_strokes(*columns(**runs))
    return np.flatnonzero(np.diff(lying, prepend=False, append=False)).tolist()


def test_what_goes_on_from_a_contact_lies_along_the_rule():
    assert found(thick=[(110, 140, 2)], contacts=[(100, 110)]) == [110, 140]
    assert found(thick=[(70, 100, 2)], contacts=[(100, 110)]) == [70, 100]


def test_a_hole_parts_nothing():
    assert found(thick=[(114, 125, 2), (130, 140, 2)], contacts=[(100, 110)]) == [110, 140]


@pytest.mark.parametrize(
    ("thick", "contacts"),
    [
        pytest.param([(110, 140, 2)], [], id="no contact"),
        pytest.param([(120, 140, 2)], [(100, 110)], id="apart from its contact"),
        pytest.param([(110, 112, 2)], [(100, 110)], id="too short"),
        pytest.param([(110, 112 + LONGEST, 2)], [(100, 110)], id="too long"),
        pytest.param([(8, 40, 2)], [(0, 8)], id="from a corner"),
        pytest.param([(360, 392, 2)], [(392, 400)], id="to a corner"),
        pytest.param([(60, 100, 1), (110, 130, 2), (130, 200, 1)], [(100, 110)], id="beside it as thick"),
    ],
)
def test_what_does_not_lie_along_the_rule(thick, contacts):
    assert found(thick=thick, contacts=contacts) == []


def test_nothing_lies_between_two_rules():
    thickness, usual, touched, *_ = columns(thick=[(110, 200, 2)], contacts=[(100, 110)])
    thickness[200:208], usual[200:208] = 0, 255
    begins, ends = np.array([0, 208]), np.array([200, 400])
    lying = lying_strokes(thickness, usual, touched, begins, ends)
    assert np.flatnonzero(np.diff(lying, prepend=False, append=False)).tolist() == [110, 200]


def test_no_rule_long_enough():
    empty = np.zeros(CORNER, np.uint8)
    lying = lying_strokes(empty, empty + 255, empty > 0, np.array([0]), np.array([CORNER]))
    assert not lying.any()
