"""Fields that lie elsewhere than the page says: pasted askew, or alone on a page of print."""

from pathlib import Path

import cv2
import numpy as np
import pytest

from segmentation.finding import register_best
from segmentation.handwriting import Hand
from segmentation.local_fit import refine_field
from segmentation.registration import Registration, RegistrationError
from segmentation.rendering import fill_form, render_blank
from segmentation.scanner import random_settings, scan
from segmentation.segmenting import segment_page
from segmentation.templates import load_template, parse_template

HAND = Hand("patrick-hand", 56, 1.0, 0, 6, 0.3, 0.6, 0, touching=0, crossing=0)
PAGE = """
[form]
name = "pasted"
dpi = 300
width = 1800
height = 1500
"""
BOXES = {
    "top": [150, 150, 1000, 95],
    "left": [150, 350, 500, 250],
    "right": [900, 370, 700, 240],
    "low": [150, 1150, 1300, 250],
    "strip": [300, 750, 990, 95],
}
PASTED = parse_template(
    (
        PAGE
        + "".join(
            f'[[field]]\nname = "{name}"\nbox = {box}\ncharset = "digits"\n'
            + ('layout = "comb"\ncells = 9\n' if name == "strip" else "")
            for name, box in BOXES.items()
        )
    ).encode(),
    "pasted.toml",
)
STRIP = load_template(str(Path(__file__).parent.parent / "sample_forms" / "strip" / "strip.toml"))


def rng(seed=1):
    return np.random.default_rng(seed)


def pasted(page, angle, shift):
    """The page with its strip cut out and pasted again, turned about its middle and shifted."""
    rows, columns = slice(690, 910), slice(200, 1400)
    piece = page[rows, columns]
    turn = cv2.getRotationMatrix2D((600, 110), -angle, 1)
    turn[:, 2] += shift
    loose = page.copy()
    loose[rows, columns] = 255
    matrix = np.vstack([turn, [0, 0, 1]])
    offset = np.array([[1, 0, columns.start], [0, 1, rows.start], [0, 0, 1]], np.float64)
    placed = cv2.warpAffine(piece, (offset @ matrix)[:2], page.shape[::-1], borderValue=255)
    return np.minimum(loose, placed)


@pytest.mark.parametrize(
    ("angle", "shift"), [(3, (0, 0)), (-3, (20, -30)), (1.5, (0, 90)), (0, (-110, 60)), (2, (50, 120))]
)
def test_a_strip_pasted_askew_finds_its_own_rules(angle, shift):
    page, _ = fill_form(PASTED, {"strip": "12 45 789", "top": "123"}, HAND, rng())
    segmented = segment_page(pasted(page, angle, shift), PASTED)
    strip = segmented.fields[-1]
    assert strip.lines[0].cells.tolist() == [0, 1, 3, 4, 6, 7, 8]
    box = BOXES["strip"]
    middle = strip.box[:2] + strip.box[2:] / 2
    assert middle == pytest.approx([box[0] + 495 + shift[0], box[1] + 47 + shift[1]], abs=6)
    assert segmented.fields[0].box[0] == pytest.approx(150, abs=2)


def test_a_field_that_is_not_there_is_left_where_it_was():
    page = render_blank(PASTED)
    page[690:910] = 255
    registration = register_best(page, [PASTED])[1]
    assert refine_field(page, registration, PASTED.field("strip"), PASTED.dpi) is None
    assert segment_page(page, PASTED).fields[-1].lines == ()


def test_a_place_too_far_away_is_refused():
    page = render_blank(PASTED)
    matrix = np.array([[1, 0, 0], [0, 1, 300.0]])
    wrong = Registration(matrix, 0.0, 1, 1)
    assert refine_field(page, wrong, PASTED.field("strip"), PASTED.dpi) is None


@pytest.mark.parametrize("seed", range(6))
def test_one_strip_of_cells_in_a_page_of_print_is_found(seed):
    page, _ = fill_form(STRIP, {"reading": "301264975"}, HAND, rng(seed))
    image, matrix = scan(page, 200, random_settings("normal", rng(seed)), rng(seed))
    found = segment_page(image, STRIP)
    assert found.fields[0].lines[0].cells.tolist() == list(range(9))
    box = STRIP.field("reading").box
    corners = np.array([[box.x, box.y, 1], [box.right, box.bottom, 1]]).T
    assert found.registration.matrix @ corners == pytest.approx(matrix @ corners, abs=4)


def test_print_alone_is_not_taken_for_the_strip():
    page = render_blank(STRIP)
    box = STRIP.field("reading").box
    page[int(box.y) - 4 : int(box.bottom) + 4] = 255
    with pytest.raises(RegistrationError):
        register_best(page, [STRIP])[1]
