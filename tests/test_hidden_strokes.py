"""Strokes that run on inside a printed rule are joined; what only stands beside them is not."""

import cv2
import numpy as np
import pytest

from segmentation.components import find_components
from segmentation.rules import Frame, remove_frame

FRAME = Frame(60.0, 60.0, 580.0, 160.0, 6.0)  # middle lines of the sides; rules lie at 57..62 and 157..162


def printed():
    image = np.zeros((220, 640), np.uint8)
    cv2.rectangle(image, (57, 57), (582, 162), 1, -1)
    cv2.rectangle(image, (63, 63), (576, 156), 0, -1)
    return image


def cleaned(writing, digits=False):
    return remove_frame((printed() | writing) > 0, FRAME, digits)[0]


def blank():
    return np.zeros((220, 640), np.uint8)


def bodies(ink):
    """The number of strokes with more ink than dust."""
    return int((find_components(ink).areas >= 12).sum())


def nine():
    """A loop that leans from the left into the upper rule and goes on in it to an upright stem."""
    image = blank()
    cv2.ellipse(image, (308, 73), (14, 13), 0, 90, 270, 1, 5)
    cv2.line(image, (308, 60), (316, 60), 1, 3)
    cv2.line(image, (308, 86), (316, 86), 1, 5)
    cv2.line(image, (316, 62), (316, 125), 1, 5)
    return image


@pytest.mark.parametrize("turned", [False, True])
def test_a_loop_whose_end_lies_in_the_rule_stays_closed(turned):
    writing, middle, outside = nine(), (73, 308), (100, 400)
    if turned:  # into the left side, of which it lies as far as from the upper one
        writing = np.roll(nine().T, -208, axis=0)[:220, :220]
        writing = np.pad(writing, ((0, 220 - len(writing)), (0, 640 - writing.shape[1])))
        middle = (308 - 208, 73)
    ink = cleaned(writing)
    paper = cv2.connectedComponents((~ink).astype(np.uint8), connectivity=4)[1]
    assert paper[middle] != paper[outside]
    assert bodies(ink) == 1


def test_the_open_arms_of_a_4_at_the_rule_stay_open():
    writing = blank()
    for x in (300, 318):
        cv2.line(writing, (x, 61), (x, 90), 1, 5)
    cv2.line(writing, (300, 90), (318, 90), 1, 5)
    ink = cleaned(writing)
    assert not ink[:80, 304:314].any()
    assert bodies(ink) == 1


def square_nine(rise):
    """A 9 with an upright left side; the middle of its top is ``rise`` pixels higher than the rule."""
    writing = blank()
    for x, bottom in ((300, 88), (318, 125)):
        cv2.line(writing, (x, 58), (x, bottom), 1, 5)
    cv2.line(writing, (300, 88), (318, 88), 1, 5)
    writing[57:62, 300:319] = 1
    writing[57 - rise : 57, 306:313] = 1
    return writing


def test_of_digits_a_loop_is_closed_where_the_rule_is_thicker():
    assert not cleaned(square_nine(rise=1))[58:62, 306:313].any()  # in a field of letters it may be an n
    ink = cleaned(square_nine(rise=1), digits=True)
    assert ink[60:62, 303:316].all()
    assert bodies(ink) == 1


def test_of_digits_too_a_4_stays_open_and_two_strokes_stay_two():
    four = square_nine(rise=0)
    four[57:62, 303:316] = 0
    assert not cleaned(four, digits=True)[:80, 304:314].any()
    eleven = square_nine(rise=1)
    eleven[80:96, 303:316] = 0
    assert not cleaned(eleven, digits=True)[63:80, 304:314].any()
    assert bodies(cleaned(eleven, digits=True)) == 2


def test_a_bar_above_the_rule_and_its_stem_below_it_stay_one():
    """A 7: its bar sticks out above, the corner is hidden, and the stem comes out below."""
    writing = blank()
    writing[53:60, 290:316] = 1
    writing[58:63, 316:324] = 1  # the corner, all of it within the rule
    cv2.line(writing, (326, 62), (318, 120), 1, 5)
    assert bodies(cleaned(writing)) == 1


def test_a_stroke_above_and_another_far_along_below_stay_two():
    writing = blank()
    writing[50:60, 290:300] = 1
    cv2.line(writing, (330, 61), (330, 110), 1, 5)
    assert bodies(cleaned(writing)) == 2


def test_strokes_that_cross_the_rule_are_not_joined_along_it():
    """A V that goes through the rule: its arms lean towards each other, but meet below."""
    writing = blank()
    cv2.line(writing, (300, 130), (316, 195), 1, 5)
    cv2.line(writing, (332, 130), (316, 195), 1, 5)
    ink = cleaned(writing)
    assert not ink[155:164, 313:320].any()
    assert bodies(ink) == 1


def test_the_inside_of_a_small_loop_across_the_rule_stays_empty():
    """Between the rule and the loop are fewer pixels than a scanner may drop."""
    writing = blank()
    cv2.ellipse(writing, (300, 60), (12, 10), 0, 0, 360, 1, 5)
    ink = cleaned(writing)
    for rows in (slice(54, 57), slice(63, 66)):
        assert not writing[rows, 297:304].any()
        assert not ink[rows, 297:304].any()
    assert (ink & (writing > 0)).sum() > 0.9 * writing.sum()
