"""Ink to 28x28: size, place, aspect, and odd inputs."""

import cv2
import numpy as np
import pytest

from segmentation.normalization import SIZE, normalize_all, normalize_glyph, normalize_tight


def extent(crop):
    """Width and height of the ink in a crop."""
    ys, xs = np.nonzero(crop)
    return np.ptp(xs) + 1, np.ptp(ys) + 1


def center(crop):
    ys, xs = np.indices(crop.shape)
    mass = crop.astype(float)
    return (xs * mass).sum() / mass.sum(), (ys * mass).sum() / mass.sum()


def letter(text, size=60):
    ink = np.zeros((2 * size, 2 * size), np.uint8)
    cv2.putText(ink, text, (size // 4, 3 * size // 2), 0, size / 30, 255, size // 12)
    return ink


@pytest.mark.parametrize("text", list("017LjW"))
@pytest.mark.parametrize("size", [30, 60, 150])
def test_the_longest_side_is_20_and_the_mass_in_the_middle(text, size):
    crop = normalize_glyph(letter(text, size))
    assert crop.shape == (SIZE, SIZE)
    assert crop.dtype == np.uint8
    assert max(extent(crop)) == 20
    assert center(crop) == pytest.approx((13.5, 13.5), abs=1)
    assert crop.max() > 200


@pytest.mark.parametrize("text", list("0LW"))
def test_the_aspect_is_kept(text):
    ink = letter(text)
    width, height = extent(ink)
    crop_width, crop_height = extent(normalize_glyph(ink))
    assert crop_width / crop_height == pytest.approx(width / height, rel=0.12)


def test_the_middle_of_a_lopsided_glyph_is_its_mass_not_its_box():
    ink = np.zeros((40, 40), np.uint8)
    ink[:, :10] = 255
    ink[-12:] = 255
    x, y = center(normalize_glyph(ink))
    assert (x, y) == pytest.approx((13.5, 13.5), abs=0.6)


def test_margins_and_place_in_the_raster_change_nothing():
    ink = letter("R")
    shifted = np.zeros((400, 300), np.uint8)
    shifted[200 : 200 + ink.shape[0], 100 : 100 + ink.shape[1]] = ink
    np.testing.assert_array_equal(normalize_glyph(ink), normalize_glyph(shifted))


def test_a_view_into_a_larger_raster_is_taken_as_it_is():
    raster = letter("R")
    view = raster[::2, ::2]
    np.testing.assert_array_equal(normalize_glyph(view), normalize_glyph(view.copy()))


def test_enlarged_and_reduced_glyphs_look_alike():
    small, large = (normalize_glyph(letter("S", size)).astype(float) for size in (40, 160))
    assert np.corrcoef(small.ravel(), large.ravel())[0, 1] > 0.95


@pytest.mark.parametrize("shape", [(0, 0), (0, 5), (5, 0), (1, 1), (40, 30)])
def test_no_ink_is_an_empty_crop(shape):
    crop = normalize_glyph(np.zeros(shape, np.uint8))
    assert crop.shape == (SIZE, SIZE)
    assert not crop.any()


@pytest.mark.parametrize("height", [1, 2, 5, 20, 21, 300])
@pytest.mark.parametrize("width", [1, 3, 5, 20, 28, 300])
def test_full_rectangles_of_any_size(width, height):
    crop = normalize_glyph(np.full((height, width), 255, np.uint8))
    assert max(extent(crop)) == 20
    assert min(extent(crop)) == max(1, round(20 * min(width, height) / max(width, height)))
    assert center(crop) == pytest.approx((13.5, 13.5), abs=0.6)


def test_a_dot_in_a_far_corner_keeps_the_glyph_inside():
    ink = np.zeros((100, 100), np.uint8)
    ink[:30, :30] = 255
    ink[99, 99] = 255
    crop = normalize_glyph(ink)
    assert (crop > 100).sum() >= 30
    assert center(crop) == pytest.approx((13.5, 13.5), abs=4.5)  # the far dot holds it back


def test_ink_of_one_grey_level_above_nothing_does_not_divide_by_zero():
    with np.errstate(all="raise"):
        crop = normalize_glyph(np.eye(300, dtype=np.uint8))
    assert crop.shape == (SIZE, SIZE)


def test_the_short_way_for_tight_ink_gives_the_same_pixels():
    ink = letter("g")
    ys, xs = np.nonzero(ink)
    tight = np.ascontiguousarray(ink[ys.min() : ys.max() + 1, xs.min() : xs.max() + 1])
    crop = np.zeros((SIZE, SIZE), np.uint8)
    normalize_tight(tight, crop)
    np.testing.assert_array_equal(crop, normalize_glyph(ink))


def test_many_glyphs_at_once_become_what_each_becomes_alone() -> None:
    rng = np.random.default_rng(5)
    inks = []
    shapes = [(1, 1), (1, 90), (90, 1), (20, 20), (3, 5), (200, 7), *rng.integers(2, 120, (60, 2))]
    for height, width in shapes:
        ink = np.where(rng.random((height, width)) < 0.3, rng.integers(1, 256, (height, width)), 0)
        ink[[0, -1]] = ink[:, [0, -1]] = 255
        inks.append(ink.astype(np.uint8))
    inks.append(np.ones((300, 300), np.uint8))
    boxes = np.array([(0, 0, ink.shape[1], ink.shape[0]) for ink in inks])
    alone = np.stack([normalize_glyph(ink) for ink in inks])
    np.testing.assert_array_equal(normalize_all(inks, boxes), alone)


def test_no_glyphs_are_no_crops() -> None:
    assert normalize_all([], np.zeros((0, 4), np.intp)).shape == (0, SIZE, SIZE)
