"""Pages of dots become grey again; writing, dirt and greys stay."""

import cv2
import numpy as np
import pytest
from PIL import Image

from segmentation.finding import find_form
from segmentation.halftone import without_halftone
from segmentation.rendering import render_blank
from segmentation.segmenting import segment_page
from segmentation.templates import load_template

HSF = load_template("hsf")


@pytest.fixture(scope="module")
def page():
    """A form with a stroke in its first digit box."""
    blank = render_blank(HSF)
    box = HSF.field("fld_03").box
    cv2.line(blank, (round(box.x) + 60, round(box.y) + 25), (round(box.x) + 60, round(box.y) + 80), 0, 6)
    return blank


def dotted(gray):
    """As error diffusion writes greys with black and white."""
    return np.where(np.asarray(Image.fromarray(gray).convert("1")), np.uint8(255), np.uint8(0))


@pytest.mark.parametrize("paper", [0.85, 0.65])
def test_a_form_on_dots_is_found_and_cut_as_on_white(page, paper):
    dots = dotted((page * paper).astype(np.uint8))
    assert 0.1 < (dots == 0).mean() < 0.5
    found = find_form(dots, [HSF]).registration
    assert found.matched > 0.95 * found.landmarks
    assert [field.name for field in segment_page(dots, HSF).fields if field.lines] == ["fld_03"]


def test_dots_become_the_grey_that_they_stand_for():
    gray = without_halftone(dotted(np.full((400, 400), 190, np.uint8)))
    inner = gray[20:-20, 20:-20].astype(int)
    assert inner.mean() == pytest.approx(190, abs=3)
    assert np.percentile(np.abs(inner - 190), 95) < 45


def test_pages_without_dots_stay(page):
    assert without_halftone(page) is page
    dirty = page.copy()
    dirty[np.random.default_rng(1).random(page.shape) < 0.03] = 0
    assert without_halftone(dirty) is dirty


def test_noise_in_grey_is_no_halftone():
    noise = np.random.default_rng(1).integers(0, 256, (300, 300)).astype(np.uint8)
    assert without_halftone(noise) is noise


@pytest.mark.parametrize("shape", [(1, 1), (1, 80), (80, 1)])
def test_slivers_stay(shape):
    gray = np.zeros(shape, np.uint8)
    assert without_halftone(gray) is gray
