"""Cutting one field out of a page: which ink is its own, and where it lay."""

import cv2
import numpy as np
import pytest
from synthetic_forms import draw_form, make_template, placed

from segmentation.fields import CUT_DPI, SPARE_COMPONENTS, cut_field, surroundings
from segmentation.registration import Registration

BOX = (300, 300, 600, 100)
TEMPLATE = make_template([BOX, (1000, 300, 150, 100)], (1300, 800))


def cut(page, template=TEMPLATE, index=0, matrix=None):
    place = Registration(np.eye(2, 3) if matrix is None else matrix, 0.0, 8, 8)
    spec = template.fields[index]
    with np.errstate(all="raise"):
        return cut_field(page, 128.0, place, spec, surroundings(template)[spec.name], template.dpi)


def stroke(page, *points, width=9):
    cv2.polylines(page, [np.array(points, np.int32)], False, 0, width)


def page_boxes_of(ink):
    """x, y of the two corners of each part in page pixels, rounded."""
    boxes = ink.parts.boxes
    corners = np.concatenate([boxes[:, :2], boxes[:, :2] + boxes[:, 2:]], axis=1).astype(float)
    mapped = [corners[:, i : i + 2] @ ink.to_page[:, :2].T + ink.to_page[:, 2] for i in (0, 2)]
    return np.rint(np.concatenate(mapped, axis=1)).astype(int).tolist()


def test_an_empty_field_has_no_ink():
    ink = cut(draw_form(TEMPLATE))
    assert len(ink.parts) == 0
    assert ink.parts.ink.sum() == 0
    assert (ink.area.width, ink.area.height) == pytest.approx((590, 90), abs=2)


def test_writing_is_found_at_its_place_on_the_page():
    page = draw_form(TEMPLATE)
    page[330:380, 400:412] = 0
    page[330:380, 500:512] = 0
    ink = cut(page)
    assert page_boxes_of(ink) == [[400, 330, 412, 380], [500, 330, 512, 380]]
    assert ink.parts.areas.tolist() == [600, 600]
    assert ink.parts.labels.shape == (50, 112), "the raster is tight"
    assert (ink.area.x + 400, ink.area.y + 330) == pytest.approx((305, 305), abs=1)


def test_writing_is_found_on_a_page_askew():
    page = draw_form(TEMPLATE)
    page[330:380, 400:412] = 0
    scan, matrix = placed(page, 3, 1.02, (10, -20))
    ink = cut(scan, matrix=matrix)
    assert len(ink.parts) == 1
    assert ink.parts.boxes[0, 2:] == pytest.approx((12, 50), abs=2)
    middle = ink.to_page @ (ink.parts.labels.shape[1] / 2, ink.parts.labels.shape[0] / 2, 1)
    assert middle == pytest.approx(matrix @ (406, 355, 1), abs=1.5)


def test_a_descender_through_the_lower_rule_belongs():
    page = draw_form(TEMPLATE)
    stroke(page, (400, 350), (395, 435))
    ink = cut(page)
    assert len(ink.parts) == 1
    assert page_boxes_of(ink)[0][3] >= 435


def test_the_last_letter_over_the_edge_belongs():
    page = draw_form(TEMPLATE)
    for x in (780, 830, 870):
        stroke(page, (x, 330), (x, 380))
    stroke(page, (920, 330), (920, 380))  # all of it outside
    assert len(cut(page).parts) == 4


def test_the_first_letter_before_the_edge_belongs():
    page = draw_form(TEMPLATE)
    for x in (285, 330, 370):
        stroke(page, (x, 330), (x, 380))
    assert len(cut(page).parts) == 3


def test_the_letters_of_a_neighbour_do_not_belong():
    page = draw_form(TEMPLATE)
    stroke(page, (600, 330), (600, 380))
    for x in (985, 1030, 1070):
        stroke(page, (x, 330), (x, 380))
    assert len(cut(page).parts) == 1
    assert len(cut(page, index=1).parts) == 3


def test_print_above_and_below_does_not_belong():
    page = draw_form(TEMPLATE)
    stroke(page, (600, 330), (600, 380))
    cv2.putText(page, "CAPTION", (320, 292), 0, 0.8, 0, 3)
    cv2.putText(page, "below", (320, 440), 0, 0.8, 0, 3)
    assert len(cut(page).parts) == 1


def test_dust_does_not_belong():
    page = draw_form(TEMPLATE)
    page[350:353, 400:403] = 0
    assert len(cut(page).parts) == 0


def test_speckle_is_bounded():
    page = draw_form(TEMPLATE)
    page[310:390:6, 310:890:6] = 0
    page[310:390, 310:890] = cv2.erode(page[310:390, 310:890], np.ones((4, 4), np.uint8))
    stroke(page, (600, 320), (600, 380), width=15)
    ink = cut(page)
    assert len(ink.parts) <= SPARE_COMPONENTS + 4 * TEMPLATE.fields[0].max_length
    assert ink.parts.areas.max() > 600, "the writing is among what is kept"


def test_a_field_without_a_frame_is_its_box():
    template = make_template([BOX], (1300, 800), framed=False)
    page = np.full((800, 1300), 255, np.uint8)
    page[330:380, 400:412] = 0
    ink = cut(page, template)
    assert page_boxes_of(ink) == [[400, 330, 412, 380]]
    assert (ink.area.width, ink.area.height) == (600, 100)


@pytest.mark.parametrize("dpi", [150, 200, 600])
def test_a_template_of_any_resolution_is_cut_at_300(dpi):
    factor = dpi / CUT_DPI
    template = make_template(
        [tuple(v * factor for v in BOX)], (round(1300 * factor), round(800 * factor)), dpi=dpi
    )
    full = draw_form(make_template([BOX], (1300, 800)))
    full[330:380, 400:412] = 0
    page = cv2.resize(full, (template.width, template.height), interpolation=cv2.INTER_AREA)
    ink = cut(page, template)
    assert len(ink.parts) == 1
    assert ink.parts.boxes[0, 2:] == pytest.approx((12, 50), abs=2)
    assert ink.area.height == pytest.approx(90, abs=2.5)


@pytest.mark.parametrize(
    "shift",
    [(-300, -300), (-450, 0), (700, 400), (-5000, 0), (0, 9000)],
    ids=lambda shift: f"{shift[0]},{shift[1]}",
)
def test_a_field_partly_or_wholly_off_the_page_costs_no_error(shift):
    page, _ = placed(draw_form(TEMPLATE), shift=shift)
    matrix = np.array([[1, 0, shift[0]], [0, 1, shift[1]]], float)
    ink = cut(page, matrix=matrix)
    assert ink.area.width >= 1
    assert ink.area.height >= 1
    assert len(ink.parts) <= 2


def test_a_field_at_the_corner_of_the_page_loses_its_frame():
    template = make_template([(0, 0, 500, 100)], (600, 300))
    assert len(cut(draw_form(template), template).parts) == 0


@pytest.mark.parametrize("value", [0, 255])
def test_a_page_of_one_colour(value):
    ink = cut(np.full((800, 1300), value, np.uint8))
    assert ink.area.height >= 1


def test_a_field_hardly_larger_than_its_frame_has_an_inside():
    template = make_template([(300, 300, 12, 12)], (1300, 800))
    ink = cut(draw_form(template), template)
    assert ink.area.width >= 1
    assert ink.area.height >= 1


def test_surroundings_end_half_way_to_the_neighbour_and_at_the_page():
    regions = surroundings(make_template([BOX, (1000, 300, 150, 100), (0, 700, 50, 90)], (1300, 800)))
    assert regions["f0"].right == 950 == regions["f1"].x
    assert regions["f0"].y < 300
    assert regions["f0"].bottom > 400
    assert (regions["f2"].x, regions["f2"].bottom) == (0, 800)
    assert all(region.width > 0 and region.height > 0 for region in regions.values())
