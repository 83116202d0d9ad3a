"""Boxes with round corners and rings to tick are drafted; letters with loops are not."""

import numpy as np
import pytest
from PIL import Image, ImageDraw, ImageFont

from segmentation.drafting import draft_template, template_text
from segmentation.handwriting import load_font
from segmentation.page import EMPTY, MARKED
from segmentation.scanner import ScannerSettings, scan
from segmentation.segmenting import segment_page
from segmentation.templates import TemplateError, parse_template

DPI = 300
MM = DPI / 25.4
BOXES = [(20, 40, 80, 8), (110, 40, 80, 8), (20, 60, 170, 8), (20, 80, 30, 8), (60, 80, 130, 8)]
TICKS = [(20, 100, 4, 4), (20, 108, 4, 4), (20, 116, 4, 4)]
NOTE = (20, 130, 170, 30)
RINGS = [(20, 100, 3.5), (20, 108, 3.5), (20, 116, 3.5), (80, 116, 3.5)]


def paper(width=210, height=180):
    return Image.new("L", (round(width * MM), round(height * MM)), 255)


def rounded(image, box, radius, line=0.35):
    x, y, width, height = box
    ends = [x * MM, y * MM, (x + width) * MM, (y + height) * MM]
    ImageDraw.Draw(image).rounded_rectangle(ends, radius * MM, None, 0, round(line * MM))


def ring(image, x, y, size, line=0.3):
    ends = [x * MM, y * MM, (x + size) * MM, (y + size) * MM]
    ImageDraw.Draw(image).ellipse(ends, None, 0, round(line * MM))


def write(image, x, y, text, points, weight=0):
    size = round(points / 72 * DPI)
    font = load_font("tinos", size, weight) if weight else ImageFont.load_default(size)
    ImageDraw.Draw(image).text((x * MM, y * MM), text, 0, font, "ls")


def scanned(image, skew=0.8):
    return scan(np.array(image), DPI, ScannerSettings(skew_degrees=skew), np.random.default_rng(1))[0]


def assert_boxes(fields, boxes, tolerance=4.0):
    assert len(fields) == len(boxes)
    for field, (x, y, width, height) in zip(fields, boxes, strict=True):
        found = field.box.x, field.box.y, field.box.width, field.box.height
        assert np.abs(np.subtract(found, np.array([x, y, width, height]) * MM)).max() <= tolerance, field


def rounded_form(radius, line=0.35):
    image = paper()
    write(image, 20, 25, "ORDER OF GOODS 008", 20)
    for box in [*BOXES, NOTE]:
        rounded(image, box, radius, line)
        write(image, box[0], box[1] - 1.5, "Door No", 8)
    for i, box in enumerate(TICKS):
        rounded(image, box, min(radius, 1), line)
        write(image, 26, 103.4 + 8 * i, ["Yes", "No", "Other"][i], 10)
    return image


@pytest.mark.parametrize("radius", [0.5, 0.8, 1, 2, 3])
@pytest.mark.parametrize("skew", [None, -1.3])
def test_boxes_with_round_corners(radius, skew):
    image = rounded_form(radius)
    page = np.array(image) if skew is None else scanned(image, skew)
    fields = draft_template(page, DPI).fields
    assert [field.layout for field in fields] == ["line"] * 5 + ["mark"] * 3 + ["paragraph"]
    if skew is None:
        assert_boxes(fields, [*BOXES, *TICKS, NOTE])


def test_a_thick_line_is_measured_to_its_outer_edge():
    assert_boxes(draft_template(np.array(rounded_form(2, line=0.8)), DPI).fields, [*BOXES, *TICKS, NOTE], 6)


def test_a_round_panel_divided_by_lines_is_a_field_for_each_part():
    image = paper()
    rounded(image, (20, 40, 170, 30), 2.5)
    draw = ImageDraw.Draw(image)
    for y in (50, 60):
        draw.line([20 * MM, y * MM, 190 * MM, y * MM], 0, 4)
    draw.line([100 * MM, 40 * MM, 100 * MM, 70 * MM], 0, 4)
    fields = draft_template(scanned(image), DPI).fields
    assert [field.layout for field in fields] == ["line"] * 6


def test_print_that_hangs_from_a_round_frame_is_no_matter():
    image = rounded_form(2)
    for x, y, _, _ in BOXES:
        write(image, x + 2, y + 2.1, "Name of the owner", 6)
    assert [field.layout for field in draft_template(np.array(image), DPI).fields][:5] == ["line"] * 5


@pytest.mark.parametrize("weight", [0, 400, 700])
@pytest.mark.parametrize("points", [12, 16, 20, 26, 32])
def test_letters_with_loops_are_no_boxes(weight, points):
    image = paper()
    rounded(image, BOXES[0], 0)
    for i, text in enumerate(["DOOR CODE 0800 BOB", "D O O R  Block D 0 0", "o o D. 0 O QUOTA"]):
        write(image, 15, 70 + 16 * i, text, points, weight)
    for page in (np.array(image), scanned(image)):
        assert [field.layout for field in draft_template(page, DPI).fields] == ["line"]


def test_a_ring_that_was_written_into_a_box_is_no_letter_around_it():
    image = paper()
    for box in [*BOXES[:2], (20, 100, 5, 5), (20, 110, 5, 5)]:
        rounded(image, box, 0)
    ring(image, 20.7, 100.7, 3.6, line=0.1)
    layouts = [field.layout for field in draft_template(np.array(image), DPI).fields]
    assert layouts == ["line"] * 2 + ["mark"] * 2


def ring_form():
    image = paper()
    write(image, 20, 25, "DOOR CODE O O O 0800", 18)
    for box in BOXES:
        rounded(image, box, 0)
    for (x, y, size), text in zip(RINGS, ["Once", "Often", "O", "Other"], strict=True):
        ring(image, x, y, size)
        write(image, x + size + 1.5, y + 3, text, 10)
    return image


def ring_template(image):
    text = template_text(draft_template(np.array(image), DPI), "rings", "rings.png")
    return parse_template(text.encode(), "rings.toml")


def test_rings_in_a_row_or_a_column_are_tick_boxes_without_a_frame():
    template = ring_template(ring_form())
    marks = [spec for spec in template.fields if spec.layout == "mark"]
    assert [spec.framed for spec in marks] == [False] * 4
    for spec, (x, y, size) in zip(marks, RINGS, strict=True):
        middle = spec.box.x + spec.box.width / 2, spec.box.y + spec.box.height / 2
        assert middle == pytest.approx(((x + size / 2) * MM, (y + size / 2) * MM), abs=2)
        assert np.hypot(spec.box.width, spec.box.height) <= size * MM


def test_a_ring_alone_may_be_a_letter():
    image = paper()
    rounded(image, BOXES[0], 0)
    ring(image, 20, 100, 3.5)
    assert len(draft_template(np.array(image), DPI).fields) == 1


@pytest.mark.parametrize("skew", [0, 1.5, -2])
def test_drafted_rings_are_read(skew):
    image = ring_form()
    template = ring_template(image)
    draw = ImageDraw.Draw(image)
    draw.line([20.3 * MM, 101.5 * MM, 21.5 * MM, 103 * MM, 25 * MM, 98 * MM], 0, 6)  # a tick
    draw.ellipse([18.5 * MM, 114.6 * MM, 25.2 * MM, 121 * MM], None, 0, 6)  # a ring around
    page = segment_page(scanned(image, skew), template)
    told = [field.mark for field in page.fields if field.mark]
    assert [mark.state for mark in told] == [MARKED, EMPTY, MARKED, EMPTY]
    assert told[2].confidence <= 0.5
    assert min(told[place].confidence for place in (0, 1, 3)) > 0.8


@pytest.mark.parametrize("radius", [0.8, 2, 3])
def test_drafted_boxes_with_round_corners_are_found_and_blank(radius):
    image = rounded_form(radius)
    text = template_text(draft_template(np.array(image), DPI), "rounded", "rounded.png")
    template = parse_template(text.encode(), "rounded.toml")
    for spec in template.fields:
        if radius == 0.8 and spec.layout != "mark":  # ink that bled into square corners looks the same
            continue
        assert spec.radius == pytest.approx(min(radius, 1 if spec.layout == "mark" else 9) * MM, abs=4)
    page = segment_page(scanned(image, 1.4), template)
    assert page.registration.matched >= 0.9 * page.registration.landmarks
    assert page.registration.residual < 1.5
    for field in page.fields:
        assert field.largest == 0
        assert not field.doubtful


def test_writing_beside_a_round_corner_stays():
    image = rounded_form(3)
    text = template_text(draft_template(np.array(image), DPI), "rounded", "rounded.png")
    x, y, _, height = BOXES[0]
    write(image, x + 4, y + 6.5, "4711", 16)
    page = segment_page(scanned(image, 0.5), parse_template(text.encode(), "rounded.toml"))
    assert page.fields[0].largest == pytest.approx(16 / 72 * 0.72 * 25.4 / height, abs=0.1)


@pytest.mark.parametrize(
    ("extra", "told"), [("frame = false\nradius = 9", "without a frame"), ("radius = 60", "0 to 45")]
)
def test_a_radius_that_cannot_be(extra, told):
    text = '[form]\nname = "f"\ndpi = 300\nwidth = 900\nheight = 900\n'
    text += f'[[field]]\nname = "a"\nbox = [100, 100, 600, 90]\n{extra}\n'
    with pytest.raises(TemplateError, match=told):
        parse_template(text.encode(), "f.toml")
