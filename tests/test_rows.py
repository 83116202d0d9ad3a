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


@pytest.mark.parametrize("slope", [-0.09, -0.05, 0.05, 0.09])
def test_rows_that_climb_or_fall_are_found_and_laid_level(slope):
    image = written(
        ["Handgloves and more", "of the same letters", "to fill the rows it"], slope=slope, height=500
    )
    image = np.roll(image, 60 if slope < 0 else 0, axis=0)
    rows = list(split_rows(paragraph(image)))
    assert len(rows) == 3
    for row in rows:
        short = row.parts.boxes[:, 3] < 30  # letters without a tail stand on the base line
        bottoms = (row.parts.boxes[:, 1] + row.parts.boxes[:, 3])[short]
        assert np.ptp(np.sort(bottoms)[2:-2]) <= 8


def test_each_row_follows_its_own_letters():
    first = written(["Handgloves and more"], slope=-0.04)
    second = written(["", "", "of the same letters"], slope=-0.01)
    rows = list(split_rows(paragraph(cv2.bitwise_or(np.roll(first, 40, axis=0), second))))
    assert len(rows) == 2
    assert [row.to_page[1, 0] for row in rows] == pytest.approx([-0.04, -0.01], abs=0.006)


@pytest.mark.parametrize("slope", [-0.06, 0.0, 0.06])
def test_the_ink_of_a_row_laid_level_is_where_its_map_says(slope):
    image = np.roll(written(["Handgloves and more"] * 3, slope=slope), 60 if slope < 0 else 0, axis=0)
    found = np.zeros_like(image)
    for row in split_rows(paragraph(image)):
        ys, xs = np.nonzero(row.parts.labels)
        places = row.to_page @ np.stack([xs, ys, np.ones(len(xs))]) - np.array([[100], [200]])
        x, y = np.rint(places).astype(int)
        found[y, x] = 255
    near = cv2.dilate(image, np.ones((3, 3), np.uint8)) > 0
    assert (found[~near] == 0).all()
    assert ((cv2.dilate(found, np.ones((3, 3), np.uint8)) > 0) >= (image > 0)).all()


def test_letters_that_hang_together_across_two_rows_are_cut_between_them():
    image = written(["Handgloves", "and more of"], pitch=90)
    cv2.line(image, (130, 60), (130, 150), 255, 4)
    rows = list(split_rows(paragraph(image)))
    assert len(rows) == 2
    heights = [row.parts.boxes[:, 3].max() for row in rows]
    assert max(heights) <= 80
    kept = sum(int(row.parts.areas.sum()) for row in rows)
    assert (image > 0).sum() - 16 <= kept < (image > 0).sum()


def test_a_tall_letter_in_one_row_stays_whole():
    image = written(["Handgloves", "and more of"], pitch=90)
    cv2.line(image, (500, 20), (500, 98), 255, 4)
    assert sum(int(row.parts.areas.sum()) for row in split_rows(paragraph(image))) == (image > 0).sum()


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
