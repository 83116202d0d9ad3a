"""A page from grey pixels to candidates of every field."""

import os
import time
import warnings
from pathlib import Path

import cv2
import numpy as np
import pytest
from synthetic_forms import draw_form, make_template, placed, small_form, speckled

from segmentation.illumination import ink_threshold
from segmentation.registration import RegistrationError
from segmentation.segmenting import segment_page
from segmentation.templates import load_template

DATA = os.environ.get("FORMSCRIBE_DATA")
TEMPLATE = small_form()


def filled(paragraph=False):
    """The small form with digits in its first and fifth field, and its template."""
    template = make_template([(s.box.x, s.box.y, s.box.width, s.box.height) for s in TEMPLATE.fields])
    page = draw_form(template)
    for place, digit in enumerate("3850"):
        cv2.putText(page, digit, (130 + 70 * place, 192), 0, 1.9, 0, 6)
    for place, digit in enumerate("7214"):
        cv2.putText(page, digit, (130 + 90 * place, 612), 0, 2.2, 0, 6)
    if paragraph:
        for row, text in enumerate(("abcde", "fghik")):
            for place, letter in enumerate(text):
                cv2.putText(page, letter, (140 + 60 * place, 1260 + 90 * row), 0, 1.5, 0, 5)
        fields = [*template.fields[:-1], type(template.fields[-1])(**as_paragraph(template.fields[-1]))]
        template = type(template)("small", "", 300, 1200, 1500, tuple(fields))
    return page, template


def as_paragraph(spec):
    kept = {
        name: getattr(spec, name) for name in ("name", "box", "charset", "min_length", "max_length", "framed")
    }
    return {**kept, "layout": "paragraph"}


def has_whole_characters(line, count):
    """Whether some path covers the row with ``count`` candidates of a character's size."""
    sizes = (line.bounds[:, 3] - line.bounds[:, 1] > 0.3) & (line.bounds[:, 2] - line.bounds[:, 0] < 0.9)
    reach = {0: {0}}
    for start, stop in sorted(zip(line.starts[sizes].tolist(), line.stops[sizes].tolist(), strict=True)):
        reach.setdefault(stop, set()).update(n + 1 for n in reach.get(start, ()))
    return count in reach.get(line.piece_count, ())


def test_fields_come_in_the_order_of_the_template_and_blank_ones_are_empty():
    page, template = filled()
    found = segment_page(page, template)
    assert [field.name for field in found.fields] == [spec.name for spec in template.fields]
    assert [len(field.lines) for field in found.fields] == [1, 0, 0, 0, 1, 0, 0, 0]
    for field in found.fields:
        assert (field.ink_ratio > 0) == bool(field.lines)
    assert (found.width, found.height) == (1200, 1500)
    assert found.registration.matched == 32


@pytest.mark.parametrize(("angle", "scale"), [(0, 1), (3, 1), (-4, 0.98)])
def test_every_character_is_a_candidate_at_its_place(angle, scale):
    page, template = filled()
    scan, matrix = placed(page, angle, scale)
    found = segment_page(scan, template)
    for index, count, first in ((0, 4, 130), (4, 4, 130)):
        (line,) = found.fields[index].lines
        assert has_whole_characters(line, count)
        x = (line.boxes[0, 0] + line.boxes[0, 2] / 2, line.boxes[0, 1] + line.boxes[0, 3] / 2, 1)
        back = np.linalg.inv(np.vstack([matrix, [0, 0, 1]])) @ x
        assert first - 10 <= back[0] <= first + 70
        spec = template.fields[index].box
        assert spec.y <= back[1] <= spec.bottom


def test_the_box_of_a_field_is_its_place_on_the_page():
    page, template = filled()
    scan, _ = placed(page, shift=(30, -40))
    for field, spec in zip(segment_page(scan, template).fields, template.fields, strict=True):
        expected = (spec.box.x + 30, spec.box.y - 40, spec.box.width, spec.box.height)
        assert field.box == pytest.approx(expected, abs=3)


def test_a_paragraph_has_a_line_for_each_row():
    page, template = filled(paragraph=True)
    lines = segment_page(page, template).fields[-1].lines
    assert len(lines) == 2
    assert lines[0].boxes[:, 1].mean() < lines[1].boxes[:, 1].mean()
    assert all(has_whole_characters(line, 5) for line in lines)


def test_all_crops_of_a_page_are_in_the_order_of_its_lines():
    page, template = filled(paragraph=True)
    found = segment_page(page, template)
    lines = [line for field in found.fields for line in field.lines]
    crops = found.crops()
    assert crops.shape == (sum(len(line.starts) for line in lines), 28, 28)
    np.testing.assert_array_equal(crops[: len(lines[0].crops)], lines[0].crops)


def test_an_empty_form_has_no_crops():
    assert segment_page(draw_form(TEMPLATE), TEMPLATE).crops().shape == (0, 28, 28)


def test_grey_paper_and_faint_ink_read_like_black_on_white():
    page, template = filled()
    faint = (120 + page.astype(float) * 90 / 255).astype(np.uint8)
    clear, pale = segment_page(page, template), segment_page(faint, template)
    for one, other in zip(clear.fields, pale.fields, strict=True):
        assert len(one.lines) == len(other.lines)
        assert one.ink_ratio == pytest.approx(other.ink_ratio, abs=0.01)


def test_a_page_and_its_input_stay_as_they_were():
    page, template = filled()
    before = page.copy()
    first, second = segment_page(page, template), segment_page(page, template)
    np.testing.assert_array_equal(page, before)
    np.testing.assert_array_equal(first.crops(), second.crops())


@pytest.mark.parametrize("share", [0.005, 0.01])
def test_a_little_speckle_changes_few_candidates(share):
    page, template = filled()
    found = segment_page(speckled(page, share), template)
    assert [len(field.lines) for field in found.fields] == [1, 0, 0, 0, 1, 0, 0, 0]
    assert has_whole_characters(found.fields[0].lines[0], 4)


@pytest.mark.parametrize("share", [0.05, 0.2])
def test_a_page_of_heavy_speckle_is_bounded_in_time_and_candidates(share):
    page, template = filled(paragraph=True)
    noisy = speckled(page, share)
    begin = time.process_time()
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        try:
            candidates = len(segment_page(noisy, template).crops())
        except RegistrationError:
            candidates = 0
    assert time.process_time() - begin < 20
    assert candidates < 30_000


def test_another_form_is_refused():
    with pytest.raises(RegistrationError):
        segment_page(np.full((1500, 1200), 255, np.uint8), TEMPLATE)


def test_the_threshold_lies_between_ink_and_paper():
    assert 60 < ink_threshold(filled()[0]) < 210
    faint = np.full((400, 400), 200, np.uint8)
    faint[100:200, 100:200] = 120
    assert 119 < ink_threshold(faint) <= 200
    for value in (0, 255):
        assert 0 < ink_threshold(np.full((1, 1), value, np.uint8)) <= 208


@pytest.mark.parametrize(("ink", "paper"), [(0, 15), (0, 60), (150, 252), (40, 120), (0, 255)])
def test_what_is_as_dark_as_the_ink_is_below_the_threshold_and_paper_is_not(ink, paper):
    """Twelve bits of grey in sixteen decode to 0..15; of two levels, the darker one is Otsu's."""
    page = np.full((640, 640), paper, np.uint8)
    page[100:140, 100:500] = ink
    assert ink < ink_threshold(page) < paper


@pytest.mark.skipif(not DATA, reason="FORMSCRIBE_DATA names no folder of real pages")
def test_a_real_page_has_the_characters_its_fields_ask_for():
    template = load_template("hsf")
    page = cv2.imread(str(Path(DATA or "") / "forms" / "hsf" / "f4164_10.png"), cv2.IMREAD_GRAYSCALE)
    found = segment_page(page, template)
    for field, spec in zip(found.fields, template.fields, strict=True):
        if spec.charset == "digits":
            (line,) = field.lines
            assert line.piece_count >= spec.min_length
            assert has_whole_characters(line, spec.min_length), field.name
