"""Laying a page upright by whole pixels: the same ink as by turning it, at the same place."""

import cv2
import numpy as np
import pytest
from synthetic_forms import draw_form, make_template, placed, small_form

from segmentation import upright_ink
from segmentation.fields import cut_fields, surroundings
from segmentation.registration import Registration
from segmentation.templates import Box
from segmentation.upright_ink import lay_upright

TEMPLATE = small_form()
WHOLE = Box(0, 0, TEMPLATE.width, TEMPLATE.height)


def written_page():
    page = draw_form(TEMPLATE)
    for i in range(12):
        cv2.putText(page, "Quick 47", (100 + 30 * i, 150 + 100 * i), 0, 2, 0, 6)
    return page


PAGE = written_page()


def lay(page, matrix, region=WHOLE, dpi=300):
    return lay_upright(page, 128.0, np.asarray(matrix, float), region, dpi)


def turned_back(page, upright):
    """The same ink by interpolation."""
    size = upright.ink.shape[::-1]
    flags = cv2.INTER_LINEAR | cv2.WARP_INVERSE_MAP
    return cv2.warpAffine(page, upright.to_page, size, flags=flags, borderValue=255) < 128


def difference(one, other):
    """Pixels that differ, as a share of the ink."""
    return np.count_nonzero(one != other) / np.count_nonzero(other)


def corners_map(upright, matrix):
    """The largest distance in page pixels between where two maps put the corners of the form."""
    page_corners = [matrix @ (x, y, 1) for x in (0, TEMPLATE.width) for y in (0, TEMPLATE.height)]
    places = [upright.place(Box(x, y, 0, 0)) for x in (0, TEMPLATE.width) for y in (0, TEMPLATE.height)]
    mapped = [upright.to_page @ (place.x, place.y, 1) for place in places]
    return np.abs(np.array(mapped) - np.array(page_corners)).max()


def test_a_straight_page_is_only_thresholded():
    upright = lay(PAGE, np.eye(2, 3))
    assert (upright.ink == (PAGE < 128)).all()
    assert upright.to_page == pytest.approx(np.eye(2, 3))


@pytest.mark.parametrize("angle", [-8, -3, -0.4, 0.05, 1, 5])
@pytest.mark.parametrize("scale", [0.985, 1, 1.015])
def test_a_page_askew_is_laid_upright(angle, scale):
    page, matrix = placed(PAGE, angle, scale, (30, -20))
    upright = lay(page, matrix)
    assert difference(upright.ink, turned_back(page, upright)) < 0.12
    assert corners_map(upright, matrix) < 1e-6
    assert upright.scale == pytest.approx((scale, scale), rel=0.015)


@pytest.mark.parametrize("turns", [1, 2, 3])
def test_a_page_turned_by_quarters_is_laid_upright(turns):
    tilted, matrix = placed(PAGE, 1)
    height, width = tilted.shape
    turn = {
        1: np.array([[0, -1, height - 1], [1, 0, 0]]),
        2: np.array([[-1, 0, width - 1], [0, -1, height - 1]]),
        3: np.array([[0, 1, 0], [-1, 0, width - 1]]),
    }[turns]
    page = np.ascontiguousarray(np.rot90(tilted, -turns))
    upright = lay(page, (np.vstack([turn, [0, 0, 1]]) @ np.vstack([matrix, [0, 0, 1]]))[:2])
    assert difference(upright.ink, lay(tilted, matrix).ink) < 0.12
    assert difference(upright.ink, turned_back(page, upright)) < 0.12


@pytest.mark.parametrize("scale", [0.5, 0.66, 1.3, 2])
def test_a_page_of_another_resolution_is_scaled(scale):
    page = cv2.resize(PAGE, None, fx=scale, fy=scale, interpolation=cv2.INTER_AREA)
    matrix = np.array([[scale, 0, 0.5 * scale - 0.5], [0, scale, 0.5 * scale - 0.5]])
    upright = lay(page, matrix)
    assert upright.scale == pytest.approx((1, 1), abs=0.01)
    assert difference(upright.ink, PAGE < 128) < 0.25
    assert corners_map(upright, matrix) < 1e-6


def test_a_mirrored_page_is_laid_as_the_map_says():
    mirrored = np.ascontiguousarray(PAGE[:, ::-1])
    upright = lay(mirrored, [[-1, 0, PAGE.shape[1] - 1], [0, 1, 0]])
    assert difference(upright.ink, PAGE < 128) < 0.01


@pytest.mark.parametrize("shift", [(-400, 0), (0, 700), (5000, 0), (0, -5000)])
def test_beyond_the_page_is_paper(shift):
    page, matrix = placed(PAGE, 2, shift=shift)
    upright = lay(page, matrix)
    assert np.count_nonzero(upright.ink != turned_back(page, upright)) < 0.12 * (PAGE < 128).sum()


def test_a_part_of_a_page_is_that_part():
    page, matrix = placed(PAGE, 2)
    whole, part = lay(page, matrix), lay(page, matrix, Box(300, 400, 500, 300))
    assert part.ink.shape == pytest.approx((300, 500), abs=2)
    place = whole.place(Box(300, 400, 500, 300))
    left, top = round(place.x), round(place.y)
    height, width = part.ink.shape
    assert difference(part.ink, whole.ink[top : top + height, left : left + width]) < 0.25


def test_only_what_fields_need_is_laid_upright(monkeypatch):
    boxes = [(100, 100, 400, 80), (560, 100, 400, 80), (100, 4000, 400, 80)]
    template = make_template(boxes, (1200, 4400))
    laid = []

    def counted(*args):
        laid.append(lay_upright(*args))
        return laid[-1]

    monkeypatch.setattr("segmentation.fields.lay_upright", counted)
    place = Registration(np.eye(2, 3), 0.0, 8, 8)
    inks = cut_fields(draw_form(template), 128.0, place, template.fields, surroundings(template), 300)
    assert len(inks) == 3
    assert sum(upright.ink.size for upright in laid) < 0.1 * 1200 * 4400


@pytest.mark.parametrize("angle", [-2.5, 0.4])
def test_it_is_the_same_however_few_rows_are_laid_at_a_time(angle, monkeypatch):
    turn = np.array(cv2.getRotationMatrix2D((TEMPLATE.width / 2, TEMPLATE.height / 2), angle, 1.0))
    monkeypatch.setattr(upright_ink, "FEWEST_ROWS", 10**6)
    at_once = lay(PAGE, turn).ink
    monkeypatch.setattr(upright_ink, "FEWEST_ROWS", 7)
    monkeypatch.setattr(upright_ink, "MOST_COPIES", 10**6)
    np.testing.assert_array_equal(lay(PAGE, turn).ink, at_once)
