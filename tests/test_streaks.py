"""Lines that dust on a scanner's glass draws through a page go; print, writing and black margins stay."""

import cv2
import numpy as np
import pytest

from segmentation.rendering import render_blank
from segmentation.streaks import without_streaks
from segmentation.templates import load_template


@pytest.fixture(scope="module")
def page():
    """A blank form with an 8 and a 1, its frames far longer than wide."""
    blank = render_blank(load_template("hsf"))
    cv2.putText(blank, "81", (1180, 640), 0, 3, 0, 6)
    return blank


def black(page):
    return int((page < 128).sum())


def streaked(page, columns, level=0, lying=False):
    dirty = page.copy()
    lines = dirty.T if lying else dirty
    lines[:, columns] = np.minimum(lines[:, columns], level)
    return dirty


@pytest.mark.parametrize("lying", [False, True])
@pytest.mark.parametrize(("columns", "level"), [([1205], 0), ([700, 701], 0), ([1500, 1501, 1502], 110)])
def test_a_streak_goes_and_leaves_what_it_crosses(page, columns, level, lying):
    dirty = streaked(page, columns, level, lying)
    cleaned = without_streaks(dirty, lying)
    assert black(dirty) > black(page) + 2000
    changed = (cleaned < 128) != (page < 128)
    assert changed.sum() < 150  # ends of strokes within the streak
    beside = np.delete(changed, columns, axis=0 if lying else 1)
    assert not beside.any()


def test_several_streaks_of_which_pixels_dropped_out_go(page):
    dirty = streaked(page, [400, 401, 900, 2100, 2101])
    holes = np.random.default_rng(1).random(dirty.shape) < 0.05
    dirty[holes & (dirty < page)] = 255
    assert abs(black(without_streaks(dirty)) - black(page)) < 250


def test_a_blurred_streak_goes_with_its_edges(page):
    dirty = cv2.GaussianBlur(streaked(page, [700, 701]), (0, 0), 0.7)
    cleaned = without_streaks(dirty)
    assert np.percentile(cleaned[:, 697:705], 10, axis=0).min() > 200


def test_a_page_without_streaks_comes_back_itself(page):
    assert without_streaks(page) is page


def test_a_line_that_ends_on_the_page_stays(page):
    ruled = page.copy()
    ruled[200:3100, 1300:1303] = 0
    assert without_streaks(ruled) is ruled


@pytest.mark.parametrize("columns", [range(60), range(600, 640), range(2500, 2560)])
def test_black_margins_and_bars_stay(page, columns):
    framed = streaked(page, list(columns))
    assert without_streaks(framed) is framed


def test_a_page_of_nothing_but_lines_stays():
    ruled = np.full((900, 900), 255, np.uint8)
    ruled[:, 20:880:20] = 0
    assert without_streaks(ruled) is ruled


@pytest.mark.parametrize(
    ("shape", "level"), [((900, 900), 0), ((900, 900), 255), ((1, 5), 0), ((70, 3), 255)]
)
def test_pages_of_one_colour_and_of_no_size_stay(shape, level):
    gray = np.full(shape, level, np.uint8)
    assert without_streaks(gray) is gray
