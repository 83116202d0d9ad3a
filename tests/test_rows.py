"""Parting a paragraph into rows."""

import cv2
import numpy as np
import pytest

from segmentation.components import find_components
from segmentation.fields import FieldInk
from segmentation.rows import split_rows
from segmentation.templates import Box


def paragraph(image):
    """The field of an image with its ink as 255 on 0, its raster as on a page at (100, 200)."""
    area = Box(0, 0, image.shape[1], image.shape[0])
    whole = FieldInk(find_components(image), area, np.array([[1, 0, 100], [0, 1, 200]], float))
    return whole.only(np.ones(len(whole.parts), bool))


def written(rows, pitch=70, height=400, slope=0.0):
    image = np.zeros((height, 900), np.uint8)
    for index, text in enumerate(rows):
        for place, letter in enumerate(text):
            x = 20 + 34 * place
            cv2.putText(image, letter, (x, round(60 + pitch * index + slope * x)), 0, 1.3, 255, 4)
    return image


def tops(rows):
    return [float(row.to_page[1, 2]) for row in rows]


@pytest.mark.parametrize("count", [1, 2, 4])
def test_rows_come_from_top_to_bottom_with_all_their_ink(count):
    image = written(["Handgloves and more"] * count)
    ink = paragraph(image)
    rows = list(split_rows(ink))
    assert len(rows) == count
    assert tops(rows) == sorted(tops(rows))
    assert sum(row.parts.areas.sum() for row in rows) == (image > 0).sum()
    assert len({len(row.parts) for row in rows}) == 1


def test_a_row_knows_its_place_on_the_page():
    rows = list(split_rows(paragraph(written(["Hxk", "abc"]))))
    for row, base in zip(rows, (60, 130), strict=True):
        ys, _ = np.nonzero(row.parts.labels)
        assert row.to_page[1, 2] + ys.max() - 200 == pytest.approx(base, abs=6)
        middle = row.to_page[1, 2] + row.area.y + row.area.height / 2 - 200
        assert middle == pytest.approx(base - 15, abs=10)


def test_rows_on_a_slope():
    image = written(["Handgloves", "and more of"], slope=0.03)
    assert [len(row.parts) for row in split_rows(paragraph(image))] == [10, 9]


def test_dots_and_commas_go_to_the_nearest_row():
    image = written(["HH", "HH"])
    cv2.circle(image, (95, 64), 5, 255, -1)
    assert [len(row.parts) for row in split_rows(paragraph(image))] == [3, 2]


def test_descenders_stay_with_their_letters():
    image = written(["gypq", "HHHH"])
    assert [len(row.parts) for row in split_rows(paragraph(image))] == [4, 4]


@pytest.mark.parametrize("height", [60, 75])
def test_one_row_that_fills_its_field(height):
    image = np.zeros((height, 500), np.uint8)
    for x in range(20, 460, 60):
        image[2 : height - 2, x : x + 8] = 255
    (row,) = split_rows(paragraph(image))
    assert row.area.y + row.area.height / 2 == pytest.approx(row.parts.labels.shape[0] / 2, abs=3)


def test_no_ink_and_dust_have_no_rows():
    image = np.zeros((300, 400), np.uint8)
    assert list(split_rows(paragraph(image))) == []
    image[100:105, 50:55] = 255
    assert list(split_rows(paragraph(image))) == []


def test_thousands_of_specks_are_soon_parted():
    image = written(["Handgloves"] * 4)
    image[::5, ::5] = 255
    rows = list(split_rows(paragraph(image)))
    assert 1 <= len(rows) <= 20
