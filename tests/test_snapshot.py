import cv2
import numpy as np
import pytest

from segmentation.snapshot import find_character

SIDE = 300


def drawn(side=SIDE, thickness=18):
    """A seven in the middle: bool (side, side)."""
    canvas = np.zeros((side, side), np.uint8)
    points = (np.array([[0.35, 0.3], [0.65, 0.3], [0.45, 0.75]]) * side).astype(np.int32)
    cv2.polylines(canvas, [points], False, 1, thickness)
    return canvas > 0


def overlap(found, truth):
    truth = cv2.resize(truth.astype(np.uint8), found.shape[::-1], interpolation=cv2.INTER_NEAREST) > 0
    found = found > 127
    return (found & truth).sum() / (found | truth).sum()


def paper(light, seed=0):
    noise = np.random.default_rng(seed).normal(0, 4, (SIDE, SIDE))
    return light * np.ones((SIDE, SIDE)) + noise


def as_picture(values):
    return np.clip(values, 0, 255).astype(np.uint8)


def test_dark_on_light_and_light_on_dark_are_the_same():
    dark = as_picture(np.where(drawn(), 40, paper(220)))
    np.testing.assert_array_equal(find_character(dark), find_character(255 - dark))
    assert overlap(find_character(dark), drawn()) > 0.9


@pytest.mark.parametrize("angle", [0.3, 2.0, 4.1])
def test_uneven_light(angle):
    y, x = np.mgrid[-1 : 1 : SIDE * 1j, -1 : 1 : SIDE * 1j]
    light = 190 * (1 - 0.35 * (np.cos(angle) * x + np.sin(angle) * y)) * (1 - 0.15 * (x * x + y * y))
    picture = as_picture(paper(0) + light * np.where(drawn(), 0.4, 1.0))
    assert picture[~drawn()].min() < picture[drawn()].max()  # no single threshold would do
    assert overlap(find_character(picture), drawn()) > 0.8


def test_specks_go_and_dots_stay():
    truth = drawn()
    with_dot = truth.copy()
    with_dot[40:60, 140:160] = True
    specked = with_dot.copy()
    specked[200:203, 220:223] = True
    found = find_character(as_picture(np.where(specked, 30, 230)))
    assert not found[195:210, 215:230].any()
    assert found[45:55, 145:155].any()


def test_a_dark_edge_of_the_table_is_not_the_character():
    picture = np.where(drawn(), 40, paper(220))
    picture[:, :14] = 50
    found = find_character(as_picture(picture))
    assert not found[:, :10].any()
    assert overlap(found, drawn()) > 0.85


def test_a_small_crop_keeps_its_grey_levels():
    crop = np.full((28, 28), 255, np.uint8)
    crop[5:23, 13:15] = 0
    crop[5:23, 15] = 128
    found = find_character(crop)
    assert found[10, 13] == 255
    assert 90 < found[10, 15] < 160
    assert found[10, 3] == 0


@pytest.mark.parametrize("level", [0, 128, 255])
def test_an_empty_picture_has_no_ink(level):
    assert not find_character(np.full((200, 150), level, np.uint8)).any()


def test_noise_alone_has_no_ink():
    assert not find_character(as_picture(paper(200))).any()


@pytest.mark.parametrize("shape", [(1, 1), (1, 40), (3, 500), (28, 28)])
def test_any_shape_is_accepted(shape):
    assert find_character(np.zeros(shape, np.uint8)).max(initial=0) == 0
