"""Templates drafted from pages: every box is found where it is, and nothing else."""

import json
import os
import tomllib
from pathlib import Path

import cv2
import numpy as np
import pytest
from own_forms import membership, random_form
from PIL import Image, ImageDraw

from segmentation.drafting import (
    DraftingError,
    draft_template,
    guess_dpi,
    reading_order,
    template_text,
)
from segmentation.handwriting import load_font
from segmentation.printed_boxes import PrintedBox, cell_dividers
from segmentation.rendering import render_blank
from segmentation.scanner import ScannerSettings, scan
from segmentation.templates import load_template, parse_template

DATA = Path(os.environ["FORMSCRIBE_DATA"]) if "FORMSCRIBE_DATA" in os.environ else None
needs_data = pytest.mark.skipif(DATA is None, reason="FORMSCRIBE_DATA names no folder of real forms")


def blank(width=1200, height=800):
    return np.full((height, width), 255, np.uint8)


def draw_box(page, left, top, right, bottom, thickness=3, ink=0):
    cv2.rectangle(page, (left, top), (right, bottom), ink, thickness)


def assert_same_fields(draft, template, tolerance):
    assert [f.layout for f in draft.fields] == [spec.layout for spec in template.fields]
    for found, spec in zip(draft.fields, template.fields, strict=True):
        expected = (spec.box.x, spec.box.y, spec.box.width, spec.box.height)
        place = (found.box.x, found.box.y, found.box.width, found.box.height)
        assert np.abs(np.subtract(place, expected)).max() <= tolerance, spec.name
        if spec.layout == "comb":
            assert len(found.cell_edges) == len(spec.cell_lines)
            assert found.even


def test_a_blank_form_gives_its_own_template():
    template = membership()
    assert_same_fields(draft_template(render_blank(template), 200), template, 2.5)


def test_all_boxes_of_the_shipped_form_and_nothing_else():
    template = load_template("hsf")
    draft = draft_template(render_blank(template), 300)
    assert len(draft.fields) == 34
    assert_same_fields(draft, template, 3)


@pytest.mark.parametrize("skew", [-3.0, 1.5, 4.0])
def test_skew_is_taken_out(skew):
    page, _ = scan(
        render_blank(membership()), 200, ScannerSettings(skew_degrees=skew), np.random.default_rng(1)
    )
    draft = draft_template(page, 200)
    assert draft.skew == pytest.approx(skew, abs=0.1)
    assert_same_fields(draft, membership(), 4)


@pytest.mark.parametrize("seed", range(4))
def test_random_blank_forms_are_found_whole(seed):
    template = random_form(np.random.default_rng(seed))
    draft = draft_template(render_blank(template), template.dpi)
    found = {(round(f.box.x), round(f.box.y)) for f in draft.fields}
    assert len(found) == len(template.fields)
    for spec in template.fields:
        near = [f for f in draft.fields if abs(f.box.x - spec.box.x) < 4 and abs(f.box.y - spec.box.y) < 4]
        assert len(near) == 1, spec.name
        assert abs(near[0].box.width - spec.box.width) < 4
        assert near[0].layout == spec.layout
        assert len(near[0].cell_edges) == len(spec.cell_lines)


def test_pale_thin_lines_on_uneven_grey_paper():
    page = np.tile(np.linspace(235, 205, 1200).astype(np.uint8), (800, 1))
    for top in (100, 300, 500):
        draw_box(page, 100, top, 700, top + 70, thickness=1, ink=170)
    noisy = np.clip(page + np.random.default_rng(0).normal(0, 3, page.shape), 0, 255).astype(np.uint8)
    assert [f.layout for f in draft_template(noisy, 200).fields] == ["line"] * 3


def test_broken_lines_close():
    page = blank()
    draw_box(page, 100, 100, 700, 170)
    page[95:106, 200:204] = 255
    page[95:106, 420:430] = 255
    page[120:124, 95:106] = 255
    assert len(draft_template(page, 200).fields) == 1


def test_an_open_box_is_none():
    page = blank()
    draw_box(page, 100, 100, 700, 170)
    page[165:175, 100:400] = 255
    with pytest.raises(DraftingError, match="no closed box") as told:
        draft_template(page, 200)
    assert told.value.code == "no_boxes"


def test_a_frame_around_everything_is_no_field():
    page = blank()
    draw_box(page, 30, 30, 1170, 770)
    draw_box(page, 40, 40, 1160, 760, 2)
    draw_box(page, 100, 100, 700, 170)
    draw_box(page, 100, 300, 140, 340)
    assert [f.layout for f in draft_template(page, 200).fields] == ["line", "mark"]


def test_a_double_line_is_one_box():
    page = blank()
    draw_box(page, 100, 100, 700, 180, 2)
    draw_box(page, 106, 106, 694, 174, 2)
    fields = draft_template(page, 200).fields
    assert len(fields) == 1
    assert fields[0].box.x == pytest.approx(106 - 1.7, abs=2)


def test_two_boxes_that_share_a_line_are_two_fields():
    page = blank()
    draw_box(page, 100, 100, 700, 170)
    draw_box(page, 100, 170, 700, 240)
    draw_box(page, 100, 240, 360, 310)
    assert [f.layout for f in draft_template(page, 200).fields] == ["line"] * 3


@pytest.mark.parametrize("reach", [10, 20, 70])
def test_cells_parted_by_ticks_or_by_whole_lines(reach):
    page = blank()
    draw_box(page, 100, 100, 700, 170)
    for x in range(150, 700, 50):
        cv2.line(page, (x, 170 - reach), (x, 170), 0, 2)
    (field,) = draft_template(page, 200).fields
    assert (field.layout, len(field.cell_edges), field.even) == ("comb", 11, True)


def test_double_cell_lines():
    page = blank()
    for x in range(100, 700, 50):
        draw_box(page, x, 100, x + 45, 160, 2)
    cv2.line(page, (100, 100), (695, 100), 0, 2)
    cv2.line(page, (100, 160), (695, 160), 0, 2)
    (field,) = draft_template(page, 200).fields
    assert len(field.cell_edges) + 1 == 12


def test_bars_of_written_sevens_hide_no_cells():
    page = blank()
    for first in (100, 700):
        draw_box(page, first, 100, first + 400, 160)
        for x in range(first + 50, first + 400, 50):
            cv2.line(page, (x, 100), (x, 160), 0, 3)
        for x in (first + 100, first + 250):  # from line to line, and nearly straight
            cv2.line(page, (x + 3, 126), (x + 47, 125), 0, 4)
            cv2.line(page, (x + 45, 125), (x + 20, 152), 0, 4)
    cells = [len(field.cell_edges) + 1 for field in draft_template(page, 200).fields]
    assert cells == [8, 8]


def test_unequal_cells_keep_their_own_edges():
    page = blank()
    edges = [100, 146, 200, 244, 300, 346, 404, 450]
    draw_box(page, edges[0], 100, edges[-1], 160, 2)
    for x in edges[1:-1]:
        cv2.line(page, (x, 100), (x, 160), 0, 2)
    draft = draft_template(page, 200)
    assert not draft.fields[0].even
    assert draft.fields[0].cell_edges == pytest.approx(edges[1:-1], abs=1)
    assert parse_template(template_text(draft, "x", "x.png").encode(), "x").fields[0].cells == 7


def test_print_is_no_box():
    image = Image.fromarray(blank())
    for y, size, weight in ((40, 40, 400), (120, 60, 700), (200, 28, 700), (240, 14, 400)):
        font = load_font("tinos", size, weight)
        ImageDraw.Draw(image).text((80, y), "BOX HEAD 0808 DO H E L D H I I H ll [1]", 0, font)
    page = np.array(image)
    draw_box(page, 100, 300, 700, 370)
    assert len(draft_template(page, 200).fields) == 1


def test_reading_order_is_by_rows():
    boxes = [
        PrintedBox(500, 104, 700, 150),
        PrintedBox(100, 100, 300, 146),
        PrintedBox(100, 200, 300, 250),
        PrintedBox(800, 96, 900, 142),
    ]
    assert [b.left for b in reading_order(boxes)] == [100, 500, 800, 100]


def test_a_missing_divider_and_a_stroke_between():
    edges = cell_dividers([0, 10, 20, 23, 40, 50, 60, 70], 10, 4)
    assert edges == pytest.approx([10, 20, 30, 40, 50, 60])


def test_uprights_without_a_pitch_are_no_cells():
    assert cell_dividers([0, 300, 330, 900], 60, 20) == ()


@pytest.mark.parametrize(("size", "dpi"), [((2560, 3300), 300), ((1653, 2338), 200), ((2480, 3508), 300)])
def test_the_resolution_follows_from_the_paper(size, dpi):
    assert guess_dpi(*size) == dpi


def test_the_text_is_a_template_with_comments():
    draft = draft_template(render_blank(membership()), 200)
    text = template_text(draft, 'a "form"', "blank.png")
    assert "# To edit" in text
    assert tomllib.loads(text)["form"]["name"] == 'a "form"'
    template = parse_template(text.encode(), "draft.toml")
    assert [spec.name for spec in template.fields] == [f"field_{i:02d}" for i in range(1, 7)]
    assert {spec.charset for spec in template.fields} == {"text"}


@needs_data
def test_a_real_filled_page_of_the_shipped_form():
    page = cv2.imread(str(DATA / "forms/hsf/f4164_10.png"), cv2.IMREAD_GRAYSCALE)
    known = json.loads((DATA / "forms/hsf/f4164_10_fields.json").read_text())
    draft = draft_template(page, 300)
    assert len(draft.fields) == len(known) == 34
    for box in known:  # bounding boxes of frames that lie askew: up to 8 pixels larger
        centre = box["x"] + box["w"] / 2, box["y"] + box["h"] / 2
        near = [
            f
            for f in draft.fields
            if abs(f.box.x + f.box.width / 2 - centre[0]) < 12
            and abs(f.box.y + f.box.height / 2 - centre[1]) < 12
            and abs(f.box.width - box["w"]) < 16
            and abs(f.box.height - box["h"]) < 30
        ]
        assert len(near) == 1, box


@needs_data
def test_a_real_colour_form_of_combs_and_ticks():
    page = cv2.imread(str(DATA / "forms/boxdetect/customer_form.png"), cv2.IMREAD_GRAYSCALE)
    fields = draft_template(page, 200).fields
    cells = [len(f.cell_edges) + 1 for f in fields if f.layout == "comb"]
    assert cells == [28, 28, 28, 10, 16, 28, 28, 11, 11, 10, 11, 10, 9, 4, 10, 8, 10, 29, 10]
    assert [f.layout for f in fields if f.layout != "comb"] == ["mark"] * 2 + ["paragraph"] * 4
