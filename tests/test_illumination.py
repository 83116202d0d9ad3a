import cv2
import numpy as np
import pytest

from segmentation.finding import register_best
from segmentation.illumination import even_light
from segmentation.rendering import render_blank
from segmentation.segmenting import segment_page
from segmentation.templates import load_template


@pytest.fixture(scope="module")
def page():
    """A blank form with one stroke in the first digit box, on paper of 235 with ink of 60."""
    template = load_template("hsf")
    blank = render_blank(template)
    box = template.field("fld_03").box
    x, y = round(box.x), round(box.y)
    cv2.line(blank, (x + 60, y + 25), (x + 60, y + 80), 0, 6)
    return 60 + (blank.astype(np.float32) / 255) * 175


def shade(page, name):
    height, width = page.shape
    y, x = np.mgrid[0:height, 0:width].astype(np.float32)
    x, y = x / width, y / height
    light = {
        "gradient": 1 - 0.65 * x,
        "corner": 1.05 - 0.55 * np.hypot(x - 1, y),
        "vignette": 1 - 1.3 * ((x - 0.5) ** 2 + (y - 0.5) ** 2),
        "shadow": cv2.GaussianBlur(np.where(x + 0.3 * y > 0.7, np.float32(0.5), np.float32(1)), (0, 0), 25),
    }[name]
    return np.clip(page * light, 0, 255).astype(np.uint8)


@pytest.mark.parametrize("name", ["gradient", "corner", "vignette", "shadow"])
def test_shaded_pages_are_read_like_even_ones(page, name):
    template = load_template("hsf")
    shaded = shade(page, name)
    found = segment_page(shaded, template)
    written = [field.name for field in found.fields if field.lines]
    assert written == ["fld_03"]
    assert register_best(even_light(shaded), [template])[1].matched > 0.95 * found.registration.landmarks


def test_an_even_page_comes_back_itself(page):
    even = page.astype(np.uint8)
    assert even_light(even) is even


def test_paper_becomes_white_and_ink_stays_dark(page):
    evened = even_light(shade(page, "gradient"))
    assert np.percentile(evened, 50) > 245
    assert evened.min() < 110


def test_a_black_edge_of_the_scanner_is_no_ink(page):
    framed = page.astype(np.uint8)
    framed[:, :300] = 0
    evened = even_light(framed)
    assert (evened[:, :270] == 255).all()
    ink = int((framed[:, 320:] < 128).sum())
    assert abs(int((evened[:, 320:] < 128).sum()) - ink) < 0.1 * ink


def test_writing_in_the_deepest_shade_stays(page):
    light = np.interp(np.linspace(0, 1, page.shape[1]), [0, 0.66, 0.75, 1], [1, 1, 0.28, 0.14])
    evened = even_light(np.rint(page * light).astype(np.uint8))
    box = load_template("hsf").field("fld_05").box  # on the right
    side = evened[round(box.y) : round(box.bottom), round(box.right) - 60 : round(box.right)]
    assert side.min() < 0.6 * np.median(side)


@pytest.mark.parametrize("shape", [(1, 1), (40, 2000), (600, 300)])
def test_small_pages_do_not_matter(shape):
    gray = np.full(shape, 255, np.uint8)
    assert even_light(gray).shape == shape
