"""Printed frames go, and what is written stays: through the rule, along it, and beside it."""

import cv2
import numpy as np
import pytest

from segmentation.components import find_components
from segmentation.rules import Frame, remove_frame

HEIGHT, WIDTH = 220, 640
FRAME = Frame(60.0, 60.0, 580.0, 160.0, 5.0)  # middle lines of the sides
STROKE = 9


def raster(width=5, tilt=0.0):
    """A frame of rules ``width`` wide; ``tilt`` rows lower at the right end than at the left."""
    image = np.zeros((HEIGHT, WIDTH), np.uint8)
    above = width // 2
    for level in (60, 160):
        for x in range(60 - above, 580 - above + width):
            row = round(level + tilt * (x - 60) / 520) - above
            image[row : row + width, x] = 1
    for x, drop in ((60, 0), (580, round(tilt))):
        image[60 + drop : 161 + drop, x - above : x - above + width] = 1
    return image


def clean(image, frame=FRAME):
    cleaned, found = remove_frame(image > 0, frame)
    assert cleaned.shape == image.shape
    return cleaned, found


def components(cleaned, least=12):
    return int((find_components(cleaned).areas >= least).sum())


@pytest.mark.parametrize("width", [2, 3, 5, 7, 9])
def test_a_bare_frame_leaves_nothing(width):
    cleaned, found = clean(raster(width))
    assert cleaned.sum() <= 4
    assert found.width == pytest.approx(width, abs=0.6)


@pytest.mark.parametrize("tilt", [-10, -4, 4, 10])
def test_a_tilted_frame_leaves_nothing(tilt):
    assert clean(raster(tilt=tilt))[0].sum() <= 40


@pytest.mark.parametrize("offset", [-9, 6, 9])
def test_the_frame_is_found_off_its_expected_place(offset):
    expected = Frame(60.0 + offset, 60.0 - offset, 580.0 + offset, 160.0 - offset, 5.0)
    cleaned, found = clean(raster(), expected)
    assert components(cleaned, least=25) == 0  # the corner may stick out of what was expected
    assert (found.left, found.top, found.right, found.bottom) == pytest.approx((60, 60, 580, 160), abs=1)


@pytest.mark.parametrize("astray", [(30, 0), (0, -32), (-25, 38)])
def test_upright_sides_that_lie_farther_off_than_lying_ones_go(astray):
    left, right = 60 + astray[0], 580 + astray[1]
    image = np.zeros((HEIGHT, WIDTH), np.uint8)
    cv2.rectangle(image, (left, 60), (right, 160), 1, 5)
    cv2.putText(image, "4", (300, 140), 0, 2, 1, STROKE)
    cleaned, found = clean(image)
    assert components(cleaned) == 1
    assert (found.left, found.right) == pytest.approx((left, right), abs=1)


def test_a_digit_beside_a_missing_side_stays():
    image = raster()
    image[:, 572:589] = 0  # the right side
    cv2.line(image, (560, 82), (560, 138), 1, STROKE)
    cleaned, found = clean(image)
    assert cleaned[84:136, 557:564].all()
    assert found.right == FRAME.right


def bent(curve, gap=None):
    """A long frame of which both lying sides follow ``curve``, in rows, with a 7 in its middle."""
    image = np.zeros((HEIGHT, 1400), np.uint8)
    x = np.arange(60, 1341)
    rows = np.rint(curve(x)).astype(int)
    for level in (60, 160):
        for aside in range(-2, 3):
            image[level + rows + aside, x] = 1
    for side in (0, -1):
        image[60 + rows[side] : 161 + rows[side], x[side] - 2 : x[side] + 3] = 1
    if gap:
        image[:, slice(*gap)] = 0
    return cv2.putText(image, "7", (650, 140), 0, 2, 1, STROKE)


@pytest.mark.parametrize("gap", [None, (300, 420)])
@pytest.mark.parametrize(
    "curve",
    [
        lambda x: 9 * np.sin(x / 200),
        lambda x: 10 * ((x - 700) / 640) ** 2,
        lambda x: np.where(x < 900, 0, (x - 900) / 40),
    ],
)
def test_the_bent_sides_of_a_frame_on_curled_paper_go(curve, gap):
    cleaned, _ = clean(bent(curve, gap), Frame(60.0, 60.0, 1340.0, 160.0, 5.0))
    seven = cv2.putText(np.zeros(cleaned.shape, np.uint8), "7", (650, 140), 0, 2, 1, STROKE) > 0
    assert cleaned[seven].mean() > 0.95
    assert cleaned[~seven].sum() < 120


def test_writing_along_a_straight_side_bends_nothing():
    image = np.zeros((HEIGHT, 1400), np.uint8)
    cv2.rectangle(image, (60, 60), (1340, 160), 1, 5)
    image[160:163, 500:760] = 0  # broken there, and underlined above
    image[144:149, 480:780] = 1
    cleaned, found = clean(image, Frame(60.0, 60.0, 1340.0, 160.0, 5.0))
    assert found.bottom == pytest.approx(160, abs=1)
    assert cleaned[144:149, 500:760].mean() > 0.9


def test_a_ragged_frame_with_gaps_leaves_dust_at_most():
    image = raster()
    rng = np.random.default_rng(0)
    edge = cv2.dilate(image, np.ones((3, 3), np.uint8)) - image
    image[(edge > 0) & (rng.random(image.shape) < 0.3)] = 1
    image[:, 200:230] = 0
    cleaned, _ = clean(image)
    assert components(cleaned) == 0


def test_where_there_is_no_frame_nothing_goes():
    image = np.zeros((HEIGHT, WIDTH), np.uint8)
    cv2.putText(image, "42", (200, 140), 0, 2, 1, STROKE)
    cleaned, found = clean(image)
    np.testing.assert_array_equal(cleaned, image > 0)
    assert found == FRAME or (found.left, found.top) == (FRAME.left, FRAME.top)


def test_the_input_stays_as_it_was():
    image = raster() > 0
    before = image.copy()
    remove_frame(image, FRAME)
    np.testing.assert_array_equal(image, before)


def test_writing_inside_is_untouched():
    writing = np.zeros((HEIGHT, WIDTH), np.uint8)
    cv2.putText(writing, "8305", (150, 135), 0, 1.8, 1, 7)
    cleaned, _ = clean(raster() | writing)
    np.testing.assert_array_equal(cleaned[70:150, 70:570], writing[70:150, 70:570] > 0)
    assert cleaned.sum() == writing.sum()


@pytest.mark.parametrize("lean", [0, 15, -25])
@pytest.mark.parametrize("level", [60, 160])
def test_a_stroke_across_a_rule_stays_one(lean, level):
    stroke = np.zeros((HEIGHT, WIDTH), np.uint8)
    cv2.line(stroke, (300 - lean, level - 40), (300 + lean, level + 40), 1, STROKE)
    cleaned, _ = clean(raster() | stroke)
    assert components(cleaned) == 1
    assert cleaned.sum() >= 0.93 * stroke.sum()
    assert cleaned.sum() <= 1.1 * stroke.sum()


def test_a_stroke_across_the_side_stays_one():
    stroke = np.zeros((HEIGHT, WIDTH), np.uint8)
    cv2.line(stroke, (540, 100), (620, 110), 1, STROKE)
    cleaned, _ = clean(raster() | stroke)
    assert components(cleaned) == 1
    assert cleaned.sum() == pytest.approx(stroke.sum(), rel=0.1)


def test_a_crossing_stroke_that_dropped_out_beside_the_rule_is_joined():
    image = np.zeros((HEIGHT, WIDTH), np.uint8)
    cv2.line(image, (300, 110), (300, 210), 1, STROKE)
    image[154:157] = 0
    cleaned, _ = clean(image | raster())
    assert components(cleaned) == 1


def test_a_u_whose_bottom_lies_in_the_rule_stays_one():
    image = np.zeros((HEIGHT, WIDTH), np.uint8)
    cv2.ellipse(image, (300, 130), (14, 30), 0, 0, 180, 1, 7)
    cv2.line(image, (286, 90), (286, 130), 1, 7)
    cv2.line(image, (314, 90), (314, 130), 1, 7)
    assert find_components(image).boxes[0][3] + 90 > 160  # it does reach into the rule
    cleaned, _ = clean(image | raster())
    assert components(cleaned) == 1
    assert not cleaned[158:163, 340:560].any()


def test_two_upright_strokes_standing_on_the_rule_stay_two():
    image = np.zeros((HEIGHT, WIDTH), np.uint8)
    for x in (290, 315):
        cv2.line(image, (x, 90), (x, 160), 1, 7)
    cleaned, _ = clean(image | raster())
    assert components(cleaned) == 2


def test_a_frame_at_the_edge_of_its_raster_and_beyond_it():
    image = np.ascontiguousarray(raster()[58:163, 58:583])
    with np.errstate(all="raise"):
        cleaned, _ = clean(image, Frame(2.0, 2.0, 522.0, 102.0, 5.0))
        clean(image, Frame(-300.0, -90.0, 900.0, 400.0, 5.0))
    assert cleaned.sum() <= 4


@pytest.mark.parametrize("shape", [(1, 1), (3, 3), (20, 20)])
@pytest.mark.parametrize("value", [0, 1])
def test_rasters_smaller_than_any_rule(shape, value):
    with np.errstate(all="raise"):
        cleaned, _ = clean(np.full(shape, value, np.uint8), Frame(1.0, 1.0, 2.0, 2.0, 5.0))
    assert cleaned.shape == shape


def test_an_all_black_raster_costs_no_error():
    with np.errstate(all="raise"):
        clean(np.ones((HEIGHT, WIDTH), np.uint8))
