"""Pages that do not lie, or look, as usual are found: on a larger glass, negative, pale, far askew."""

from pathlib import Path

import cv2
import numpy as np
import pytest

from segmentation.choosing import segment_best
from segmentation.finding import find_form, page_skew, pale_print
from segmentation.registration import MAX_SKEW, RegistrationError
from segmentation.rendering import render_blank
from segmentation.segmenting import segment_page
from segmentation.templates import load_template

SAMPLES = Path(__file__).parent.parent / "sample_forms"
HSF = load_template("hsf")
COMB = load_template(str(SAMPLES / "comb" / "membership.toml"))
STRIP = load_template(str(SAMPLES / "strip" / "strip.toml"))


@pytest.fixture(scope="module")
def page():
    """A blank form with one stroke in the first digit box."""
    blank = render_blank(HSF)
    box = HSF.field("fld_03").box
    x, y = round(box.x), round(box.y)
    cv2.line(blank, (x + 60, y + 25), (x + 60, y + 80), 0, 6)
    return blank


def laid(page, size, level):
    """The page on a scanner's glass of which it fills a share of the width, and where it lies."""
    height, width = page.shape
    glass = np.full((max(height, round(height / size)), round(width / size)), level, np.uint8)
    top, left = (glass.shape[0] - height) // 4, (glass.shape[1] - width) // 3
    glass[top : top + height, left : left + width] = page
    return glass, (left, top)


def find(gray, template=HSF):
    found = find_form(gray, [template])
    return found.gray, found.registration


@pytest.mark.parametrize("level", [255, 0, 20, 150])
@pytest.mark.parametrize("size", [0.93, 0.8, 0.62])
def test_a_form_on_a_larger_glass_is_found_where_it_lies(page, size, level):
    glass, (left, top) = laid(page, size, level)
    _, found = find(glass)
    corners = np.array([[0, 0, 1], [HSF.width, 0, 1], [0, HSF.height, 1], [HSF.width, HSF.height, 1]], float)
    off = corners @ found.matrix.T - corners[:, :2] - (left, top)
    assert np.abs(off).max() < 4
    assert found.matched > 0.95 * found.landmarks


def test_what_is_written_there_is_cut_as_on_a_page_of_its_own(page):
    alone, laid_down = segment_page(page, HSF), segment_page(laid(page, 0.7, 10)[0], HSF)
    written = [[field.name for field in found.fields if field.lines] for found in (alone, laid_down)]
    assert written[0] == written[1] == ["fld_03"]
    crops = [found.crops()[0].astype(int) for found in (alone, laid_down)]
    assert np.abs(crops[0] - crops[1]).mean() < 8


def test_a_form_of_which_the_margins_are_cut_off_is_found(page):
    _, found = find(page[250:-250, 190:-190])
    assert found.matched > 0.85 * found.landmarks
    assert found.matrix[:, 2] == pytest.approx((-190, -250), abs=4)


def test_a_turned_form_on_a_larger_glass_is_found(page):
    _, found = find(np.rot90(laid(page, 0.75, 0)[0]).copy())
    assert found.matched > 0.95 * found.landmarks
    assert abs(found.skew) == pytest.approx(90, abs=1)


def test_of_several_forms_the_one_on_the_glass_is_taken(page):
    assert segment_best(laid(page, 0.75, 255)[0], (COMB, STRIP, HSF)).template == "hsf"


def test_a_form_of_one_comb_is_not_found_in_the_combs_of_another(page):
    comb = cv2.imread(str(SAMPLES / "comb" / "form_0001.png"), cv2.IMREAD_GRAYSCALE)
    assert find(comb, COMB)[1].matched > 100
    for other in (STRIP, HSF):
        with pytest.raises(RegistrationError, match="is not on this page"):
            find(comb, other)


@pytest.mark.parametrize("glass", [None, 255])
def test_a_negative_is_read_as_a_positive(page, glass):
    negative = 255 - (page if glass is None else laid(page, 0.9, glass)[0])
    prepared, found = find(negative)
    assert found.matched > 0.95 * found.landmarks
    assert np.median(prepared) == 255
    assert [field.name for field in segment_page(negative, HSF).fields if field.lines] == ["fld_03"]
    assert segment_best(negative, (COMB, HSF)).template == "hsf"


def test_a_page_on_black_is_no_negative_though_most_is_dark(page):
    glass, _ = laid(page, 0.62, 0)
    assert np.median(glass) == 0
    prepared, _ = find(glass)
    assert prepared[0, 0] == 255  # the glass is blank, not the paper black
    assert np.median(prepared) == 255


def turned(page, degrees, level=255):
    """The page turned clockwise, with room for all of it, and the map from page to picture, (2, 3)."""
    height, width = page.shape
    size = (round(1.25 * width), round(1.15 * height))
    turn = cv2.getRotationMatrix2D((width / 2, height / 2), -degrees, 1)
    turn[:, 2] += (size[0] - width) / 2, (size[1] - height) / 2
    return cv2.warpAffine(page, turn, size, flags=cv2.INTER_LINEAR, borderValue=level), turn


@pytest.mark.parametrize("degrees", [-18, -9, 10.5, 20])
@pytest.mark.parametrize("level", [255, 0])
def test_a_page_far_askew_is_found_and_cut_in_its_own_pixels(page, degrees, level):
    askew, turn = turned(page, degrees, level)
    prepared, found = find(askew)
    assert prepared.shape == askew.shape
    assert found.skew == pytest.approx(degrees, abs=0.3)
    corners = np.array([[0, 0, 1], [HSF.width, 0, 1], [0, HSF.height, 1], [HSF.width, HSF.height, 1]], float)
    assert np.abs(corners @ found.matrix.T - corners @ turn.T).max() < 5
    cut = segment_page(askew, HSF)
    [written] = [field for field in cut.fields if field.lines]
    assert written.name == "fld_03"
    x, y = turn @ (HSF.field("fld_03").box.x + 60, HSF.field("fld_03").box.y + 52, 1)
    left, top, width, height = written.lines[0].boxes[0].tolist()
    assert (left + width / 2, top + height / 2) == pytest.approx((x, y), abs=6)


@pytest.mark.parametrize("degrees", [-30, -12, -3, 0, 7, 24])
def test_the_skew_of_a_page_is_told(page, degrees):
    assert page_skew(turned(page, degrees)[0]) == pytest.approx(degrees, abs=0.6)


def test_paper_and_noise_have_no_skew():
    noise = np.random.default_rng(1).normal(0, 4, (1650, 1280))
    assert page_skew(np.full((1650, 1280), 255, np.uint8)) == 0
    assert abs(page_skew(np.clip(245 + noise, 0, 255).astype(np.uint8))) < MAX_SKEW - 1


@pytest.mark.parametrize("level", [140, 170, 205])
def test_print_that_is_paler_than_the_writing_is_found(page, level):
    pen = np.zeros_like(page)
    box = HSF.field("fld_03").box
    for field in HSF.fields:  # enough of it to be told from the print
        cv2.putText(pen, "258", (round(field.box.x) + 60, round(field.box.y) + 78), 0, 2, 255, 6)
    drawn = np.where(page < 128, level, 245).astype(float)
    drawn[pen > 0] = 30
    drawn = cv2.GaussianBlur(drawn, (0, 0), 0.8) + np.random.default_rng(1).normal(0, 4, page.shape)
    gray = np.clip(drawn, 0, 255).astype(np.uint8)
    _, found = find(gray)
    assert found.matched > 0.95 * found.landmarks
    [field] = [field for field in segment_page(gray, HSF).fields if field.name == "fld_03"]
    assert len(field.lines) == 1
    assert field.lines[0].piece_count >= 3
    assert field.lines[0].boxes[:, 0].min() > box.x + 40  # the frame is not in it


@pytest.mark.parametrize("levels", [(255,), (0, 255), (30, 245)])
def test_a_page_of_black_print_has_no_pale_print(levels):
    assert pale_print(np.resize(np.array(levels, np.uint8), (1650, 1280))) is None


@pytest.mark.filterwarnings("error")
@pytest.mark.parametrize("level", [0, 90, 255])
def test_a_page_without_the_form_is_told_as_it_is(level):
    with pytest.raises(RegistrationError) as told:
        find(np.full((1650, 1280), level, np.uint8))
    assert told.value.code == "form_not_found"


@pytest.mark.parametrize("shaded", [False, True])
def test_a_streak_through_a_field_is_not_read(page, shaded):
    dirty = page.copy()
    x = round(HSF.field("fld_04").box.x) + 100
    dirty[:, x : x + 2] = 0
    if shaded:
        dirty = np.rint(dirty * np.linspace(1, 0.4, dirty.shape[1])).astype(np.uint8)
    assert [field.name for field in segment_page(dirty, HSF).fields if field.lines] == ["fld_03"]


def test_a_streak_through_a_page_that_was_scanned_sideways_is_not_read(page):
    dirty = page.copy()
    x = round(HSF.field("fld_04").box.x) + 100
    dirty[:, x : x + 2] = 0
    lying = np.rot90(dirty).copy()
    assert [field.name for field in segment_page(lying, HSF).fields if field.lines] == ["fld_03"]
