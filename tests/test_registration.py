"""Finding a form on a page: synthetic forms laid askew, damaged and absent, and one real page."""

import os
import time
import warnings
from pathlib import Path

import cv2
import numpy as np
import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st
from synthetic_forms import corner_error, draw_form, make_template, placed, small_form, speckled

from segmentation.finding import register_best
from segmentation.registration import RegistrationError, find_rules, template_rules
from segmentation.templates import load_template

DATA = os.environ.get("FORMSCRIBE_DATA")
TEMPLATE = small_form()
PAGE = draw_form(TEMPLATE)
IDENTITY = np.eye(2, 3)


def assert_found(scan, true, template=TEMPLATE, within=3.0):
    found = register_best(scan, [template])[1]
    assert corner_error(template, found.matrix, true) <= within
    return found


def assert_not_found(scan, template=TEMPLATE):
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        with pytest.raises(RegistrationError) as caught:
            register_best(scan, [template])[1]
    assert caught.value.code == "form_not_found"
    assert repr(template.name) in str(caught.value)


def test_a_page_like_the_template_maps_onto_itself():
    found = assert_found(PAGE, IDENTITY, within=1.5)
    assert (found.matched, found.landmarks) == (32, 32)
    assert found.residual < 1
    assert abs(found.skew) < 0.05
    assert found.scale == pytest.approx(1, abs=0.002)


@pytest.mark.parametrize("shift", [(100, 0), (-90, 0), (0, 80), (-60, -100)])
def test_shifted(shift):
    assert_found(*placed(PAGE, shift=shift))


@pytest.mark.parametrize("scale", [0.95, 0.99, 1.01, 1.04])
def test_scaled(scale):
    found = assert_found(*placed(PAGE, scale=scale))
    assert found.scale == pytest.approx(scale, abs=0.003)


@pytest.mark.parametrize("angle", [-5, -2, 0.5, 3, 5])
def test_skewed(angle):
    found = assert_found(*placed(PAGE, angle=angle))
    assert found.skew == pytest.approx(angle, abs=0.1)


def test_shifted_scaled_and_skewed_at_once():
    assert_found(*placed(PAGE, angle=-3, scale=0.98, shift=(40, -30)))


@pytest.mark.parametrize("dpi", [150, 200, 400, 600])
def test_scanned_at_another_resolution(dpi):
    factor = dpi / 300
    size = (round(1200 * factor), round(1500 * factor))
    scan = cv2.resize(PAGE, size, interpolation=cv2.INTER_AREA if factor < 1 else cv2.INTER_LINEAR)
    # Pixel centres, not corners, map onto each other.
    true = np.array([[factor, 0, factor / 2 - 0.5], [0, factor, factor / 2 - 0.5]])
    assert_found(scan, true, within=max(1.5, 2 * factor))


@pytest.mark.parametrize("top", [0, 900, 1760])
@pytest.mark.parametrize("turns", [0, 1, 2, 3])
def test_half_a_sheet_on_the_glass_for_a_whole_one(top, turns):
    width, height = 2480, 1748  # A5 lying, on A4
    boxes = [(150, 150, 1000, 90), (1300, 150, 700, 90), (150, 400, 500, 90), (800, 400, 1200, 90)]
    boxes += [(150, 700, 2100, 120), (600, 950, 700, 90), (150, 1250, 1500, 300)]
    template = make_template(boxes, (width, height))
    glass = np.full((3508, width), 255, np.uint8)
    glass[top : top + height] = draw_form(template)
    true = {
        0: np.array([[1, 0, 0], [0, 1, top]]),
        1: np.array([[0, -1, 3507 - top], [1, 0, 0]]),
        2: np.array([[-1, 0, width - 1], [0, -1, 3507 - top]]),
        3: np.array([[0, 1, top], [-1, 0, width - 1]]),
    }[turns]
    assert_found(np.ascontiguousarray(np.rot90(glass, -turns)), true, template)


def test_a_size_that_does_not_divide_into_working_pixels_costs_no_precision():
    template = make_template([(60, 80, 1700, 90), (60, 400, 900, 90), (1100, 2200, 660, 90)], (1837, 2351))
    assert_found(draw_form(template), IDENTITY, template, within=1.0)


@pytest.mark.parametrize("turns", [1, 2, 3])
def test_turned_by_quarters(turns):
    height, width = PAGE.shape
    true = {
        1: np.array([[0, -1, height - 1], [1, 0, 0]]),
        2: np.array([[-1, 0, width - 1], [0, -1, height - 1]]),
        3: np.array([[0, 1, 0], [-1, 0, width - 1]]),
    }[turns]
    found = assert_found(np.ascontiguousarray(np.rot90(PAGE, -turns)), true)
    assert abs(found.skew) % 90 == pytest.approx(0, abs=0.1) or abs(found.skew) % 90 > 89.9


def test_a_form_much_like_itself_upside_down_is_taken_the_right_way_up():
    boxes = [(100, 100 + 140 * i, 1000, 90) for i in range(5)]
    boxes += [(100, 1500 - 190 - 140 * i, 1000, 90) for i in range(3)] + [
        (100, 950, 300, 90),
        (500, 950, 120, 90),
    ]
    template = make_template(boxes)
    scan = np.ascontiguousarray(draw_form(template)[::-1, ::-1])
    assert_found(scan, np.array([[-1, 0, 1199], [0, -1, 1499]]), template)


def test_speckled():
    assert_found(speckled(PAGE, 0.01), IDENTITY)


def test_broken_rules():
    broken = PAGE.copy()
    broken[:, ::37] = 255
    broken[::41] = 255
    broken[:, 150:260] = 255
    assert_found(broken, IDENTITY)


def test_a_third_of_the_form_torn_off():
    torn = PAGE.copy()
    torn[1000:] = 255
    found = assert_found(torn, IDENTITY)
    assert found.matched < found.landmarks


def test_a_black_margin_around_the_page():
    scan, true = placed(PAGE, angle=2)
    framed = scan.copy()
    framed[:40], framed[-35:], framed[:, :30], framed[:, -45:] = 0, 0, 0, 0
    assert_found(framed, true)


def test_faint_print_on_grey_paper():
    scan = (150 + PAGE.astype(np.float64) / 255 * 60).astype(np.uint8)
    assert_found(scan, IDENTITY)


def test_a_form_of_one_field():
    template = make_template([(200, 300, 600, 120)])
    scan, true = placed(draw_form(template), angle=1, shift=(20, 30))
    assert_found(scan, true, template, within=4.0)


def test_half_of_a_form_of_two_fields_is_not_enough():
    template = make_template([(200, 300, 600, 120), (200, 700, 400, 90)])
    assert_not_found(draw_form(make_template([(200, 300, 600, 120)])), template)


def test_one_box_is_no_form_of_eight():
    assert_not_found(draw_form(make_template([(200, 300, 600, 120)])))


@pytest.mark.parametrize(("width", "height"), [(110, 150), (110, 90), (300, 90), (60, 60)])
def test_a_table_has_rules_everywhere_but_is_no_form(width, height):
    columns, rows = range(50, 1150 - width, width + 20), range(60, 1450 - height, height + 40)
    other = make_template([(x, y, width, height) for x in columns for y in rows])
    assert_not_found(draw_form(other))


@pytest.mark.parametrize("value", [0, 128, 255])
def test_a_page_of_one_colour_is_no_form(value):
    begin = time.process_time()
    assert_not_found(np.full((3300, 2560), value, np.uint8), load_template("hsf"))
    assert time.process_time() - begin < 10


def test_noise_is_no_form():
    assert_not_found(np.random.default_rng(1).integers(0, 256, (1500, 1200)).astype(np.uint8))


@pytest.mark.parametrize("share", [0.2, 0.5, 0.95])
def test_black_and_white_noise_is_no_form_and_soon_told(share):
    noise = np.where(np.random.default_rng(2).random((3300, 2560)) < share, 0, 255).astype(np.uint8)
    begin = time.process_time()
    assert_not_found(noise, load_template("hsf"))
    assert time.process_time() - begin < 30


@pytest.mark.parametrize("shape", [(0, 0), (1, 1), (3, 2), (1, 30_000), (30_000, 1), (100, 3000)])
def test_a_page_of_odd_size_is_no_form(shape):
    assert_not_found(np.zeros(shape, np.uint8))


def test_text_rows_are_no_form():
    page = np.full((1500, 1200), 255, np.uint8)
    for y in range(60, 1450, 40):
        cv2.putText(page, "Handgloves 0123456789 and some more words", (40, y), 0, 1.4, 0, 3)
    assert_not_found(page)


def test_a_template_without_a_frame_has_nothing_to_find():
    template = make_template([(200, 300, 600, 120)], framed=False)
    with pytest.raises(RegistrationError) as caught:
        register_best(PAGE, [template])[1]
    assert caught.value.code == "no_landmarks"


def test_rules_are_found_where_they_are_drawn():
    horizontal, vertical = find_rules(PAGE, 0.5)
    expected = template_rules(TEMPLATE)
    for found, target in ((horizontal, expected[0]), (vertical, expected[1])):
        assert len(found.ends) == len(target.ends)
        distance = np.abs(found.ends[:, None] * 2 - target.ends[None]).max(axis=2).min(axis=0)
        assert distance.max() <= 5
        assert (found.lengths > 0).all()


def test_more_runs_than_short_labels_can_hold():
    page = np.full((1700, 1700), 255, np.uint8)
    page[::2] = np.tile(np.repeat([0, 255], [14, 2]), 107)[:1700]
    horizontal, vertical = find_rules(page, 1.0)
    assert len(horizontal.ends) == len(vertical.ends) == 0


@st.composite
def forms_on_pages(draw):
    """A random form of rows of boxes, and how it lies on its page."""
    boxes, y = [], draw(st.integers(80, 160))
    while y < 1300:
        x, height = draw(st.integers(90, 250)), draw(st.integers(70, 160))
        while x < 1000:
            width = draw(st.integers(90, 600))
            if x + width <= 1100:
                boxes.append((x, y, width, height))
            x += width + draw(st.integers(40, 200))
        y += height + draw(st.integers(40, 200))
    angle, scale = draw(st.floats(-5, 5)), draw(st.floats(0.97, 1.03))
    return boxes, angle, scale, (draw(st.floats(-40, 40)), draw(st.floats(-40, 40)))


@settings(max_examples=12, derandomize=True, deadline=None)
@given(forms_on_pages())
def test_any_form_is_found_where_it_was_laid(case):
    boxes, angle, scale, shift = case
    assume(len(boxes) >= 5)
    template = make_template(boxes)
    scan, true = placed(draw_form(template), angle, scale, shift)
    assert corner_error(template, register_best(scan, [template])[1].matrix, true) <= 3


@pytest.mark.skipif(not DATA, reason="FORMSCRIBE_DATA names no folder of real pages")
def test_a_real_page():
    page = cv2.imread(str(Path(DATA or "") / "forms" / "hsf" / "f4164_10.png"), cv2.IMREAD_GRAYSCALE)
    found = register_best(page, [load_template("hsf")])[1]
    assert (found.matched, found.landmarks) == (136, 136)
    assert found.residual < 1.5


def test_a_form_of_four_rules_is_placed_by_the_best_of_its_guesses():
    folder = Path(__file__).parent.parent / "sample_forms" / "strip"
    page = cv2.imread(str(folder / "form_0004.jpg"), cv2.IMREAD_GRAYSCALE)
    template = load_template(str(folder / "strip.toml"))
    box = template.fields[0].box
    middle = box.y + box.height / 2
    places = (
        register_best(page, [template])[1].matrix @ np.array([[box.x, middle, 1], [box.right, middle, 1]]).T
    )
    # Where its upright sides are printed on this page; two strokes of writing would fit nearly as well.
    assert places[0] == pytest.approx((525, 1064.5), abs=3)
