"""Fields that a scan does not show whole go to people: the page ends in them, or something lies over them."""

from dataclasses import replace
from pathlib import Path

import cv2
import numpy as np
import pytest

from model.constraints import read_rows
from model.networks import load_networks
from pipeline.classifying import classify_pages
from pipeline.options import JobOptions
from pipeline.reading import page_rows
from pipeline.records import PageKey, PageToClassify
from segmentation.components import find_components
from segmentation.coverage import not_whole
from segmentation.fields import FieldInk, cut_field, surroundings
from segmentation.finding import register_best
from segmentation.page import EMPTY
from segmentation.rendering import render_blank
from segmentation.segmenting import segment_page
from segmentation.templates import Box, load_template, parse_template

HSF = load_template("hsf")
FORM = Path(__file__).parent.parent / "sample_forms" / "hsf" / "form_0002.png"
TICKS = parse_template(
    (
        '[form]\nname = "ticks"\ndpi = 300\nwidth = 1700\nheight = 1200\n'
        + "".join(
            f'[[field]]\nname = "{name}"\nbox = {box}\n{rest}\n'
            for name, box, rest in (
                ("yes", [200, 200, 70, 70], 'layout = "mark"'),
                ("no", [500, 200, 70, 70], 'layout = "mark"'),
                ("top", [200, 400, 900, 100], 'charset = "digits"'),
                ("middle", [300, 600, 900, 100], 'charset = "digits"'),
                ("low", [300, 800, 1100, 200], 'charset = "digits"'),
                ("free", [1250, 200, 400, 100], 'charset = "digits"\nframe = false'),
            )
        )
    ).encode(),
    "ticks.toml",
)


@pytest.fixture(scope="module")
def networks():
    return load_networks()


@pytest.fixture
def page():
    return cv2.imread(str(FORM), cv2.IMREAD_GRAYSCALE)


def rows_of(page, networks):
    options = JobOptions(inputs=("a",), output="o", template=HSF)
    segmented = segment_page(page, HSF)
    (classified,) = classify_pages([PageToClassify(PageKey("a", 1), "h", segmented, {})], networks)
    read = page_rows(classified.page, classified.log_probs, options, read_rows)
    return {row["field"]: row for row in read.fields}


def doubtful(page, template=HSF):
    return [one.name for one in segment_page(page, template).fields if one.doubtful]


def test_no_field_of_a_whole_page_is_doubted(page):
    assert doubtful(page) == []


@pytest.mark.parametrize("level", [0, 128, 255])
def test_what_a_band_covers_is_not_blank(page, networks, level):
    """A label, a flap of the envelope: of eight fields nothing is left; no other one is doubted."""
    whole = rows_of(page, networks)
    page[690:1040] = level
    rows = rows_of(page, networks)
    covered = [f"fld_{number:02}" for number in range(3, 11)]
    assert all(whole[name]["text"] for name in covered)
    assert [rows[name]["status"] for name in covered] == ["review"] * 8
    assert max(rows[name]["confidence"] for name in covered) <= 0.5
    assert doubtful(page) == covered


@pytest.mark.parametrize("beyond", [0, 30, 80])
def test_a_black_bar_over_a_field_does_not_make_it_blank(page, networks, beyond):
    box = rows_of(page, networks)["fld_12"]
    left, top = int(box["box_x"]) - beyond, int(box["box_y"]) - beyond
    page[
        top : top + int(box["box_height"]) + 2 * beyond, left : left + int(box["box_width"]) + 2 * beyond
    ] = 0
    assert rows_of(page, networks)["fld_12"]["status"] == "review"


@pytest.mark.parametrize("cut", [200, 300, 400])
def test_fields_through_which_the_page_was_cut_are_doubted(page, cut):
    boxes = {one.name: one.box for one in segment_page(page, HSF).fields}
    hit = {name for name, box in boxes.items() if box[0] < cut - 15}
    assert hit
    assert hit <= set(doubtful(np.ascontiguousarray(page[:, cut:])))
    untouched = {name for name, box in boxes.items() if box[0] > cut + 15}
    assert not untouched & set(doubtful(np.ascontiguousarray(page[:, cut:])))


def inks(page, template=TICKS):
    threshold, found, regions = 128.0, register_best(page, [template])[1], surroundings(template)
    return [
        (cut_field(page, threshold, found, spec, regions[spec.name], template.dpi), found)
        for spec in template.fields
    ]


def names(page, places, template=TICKS):
    hidden = not_whole(template.fields, places, page.shape, template.dpi)
    return [spec.name for spec, is_hidden in zip(template.fields, hidden, strict=True) if is_hidden]


def test_a_label_over_a_tick_box_leaves_it_unsure():
    page = render_blank(TICKS).copy()
    assert names(page, inks(page)) == []
    page[180:300, 480:600] = 255
    assert names(page, inks(page)) == ["no"]
    marks = {one.name: one.mark for one in segment_page(page, TICKS).fields if one.mark}
    assert (marks["no"].state, marks["yes"].state) == (EMPTY, EMPTY)
    assert marks["no"].confidence <= 0.5 < 0.9 < marks["yes"].confidence


def test_a_field_without_frame_is_doubted_where_the_page_ends_only():
    page = render_blank(TICKS).copy()
    places = inks(page)
    assert names(page[:, :1640], places) == ["free"]
    assert names(page[:, :1650], places) == []


def test_where_hardly_any_frame_is_seen_their_absence_says_nothing():
    page = render_blank(TICKS)
    pale = [(FieldInk(ink.parts, ink.area, ink.to_page), found) for ink, found in inks(page)]
    assert names(page, pale) == []
    unseen = [
        (FieldInk(ink.parts, ink.area, ink.to_page, frame_seen=0.0), found) for ink, found in inks(page)
    ]
    assert names(page, unseen) == [spec.name for spec in TICKS.fields]  # all of the page may be too pale
    written = [
        *unseen[:5],
        (replace(unseen[5][0], parts=find_components(np.ones((9, 9), bool))), unseen[5][1]),
    ]
    assert names(page, written) == []
    some = [*pale[:4], unseen[4], pale[5]]
    assert names(page, some) == ["low"]


def test_no_field_at_all():
    assert not_whole([], [], (100, 100), 300.0).tolist() == []


def test_a_small_box_may_lie_at_the_very_edge():
    spec = parse_template(
        (
            b'[form]\nname = "edge"\ndpi = 300\nwidth = 600\nheight = 400\n'
            b'[[field]]\nname = "a"\nbox = [0, 0, 60, 60]\ncharset = "digits"\nframe = false\n'
        ),
        "edge.toml",
    ).fields[0]
    assert spec.box == Box(0, 0, 60, 60)
    page = render_blank(TICKS)
    ink, found = inks(page)[0]
    still = type(found)(**{**{k: getattr(found, k) for k in found.__slots__}, "matrix": np.eye(2, 3)})
    assert not not_whole([spec], [(ink, still)], (60, 60), 300.0).any()
    assert not_whole([spec], [(ink, still)], (60, 50), 300.0).all()


def test_a_narrow_label_across_a_long_field_is_seen():
    """A tenth of its frame is missing; of broken print as much is, but not at once."""
    page = render_blank(HSF).copy()
    box = HSF.field("fld_03").box
    left, top = round(box.x + 200), round(box.y)
    page[top - 10 : top + round(box.height) + 10, left : left + 60] = 255
    assert doubtful(page) == ["fld_03"]
    broken = render_blank(HSF).copy()
    for x in range(round(box.x) + 20, round(box.right) - 40, 60):
        broken[top - 10 : top + 15, x : x + 7] = 255
        broken[top + round(box.height) - 15 : top + round(box.height) + 10, x : x + 7] = 255
    assert doubtful(broken) == []


def test_a_blackened_character_is_doubted(page, networks):
    """Filled, a digit looks like a thick 1."""
    options = JobOptions(inputs=("a",), output="o", template=HSF)
    (classified,) = classify_pages(
        [PageToClassify(PageKey("a", 1), "h", segment_page(page, HSF), {})], networks
    )
    read = page_rows(classified.page, classified.log_probs, options, read_rows)
    boxes = [row for row in read.characters if row["field"] == "fld_12"]
    x, y, wide, high = (round(boxes[1][f"box_{side}"]) for side in ("x", "y", "width", "height"))
    page[y : y + high, x : x + wide] = 0
    assert doubtful(page) == ["fld_12"]


def test_a_patch_that_reaches_into_a_field_is_seen_however_long_the_field_is(page):
    box = {one.name: one.box for one in segment_page(page, HSF).fields}["fld_03"]
    left, top, bottom = int(box[0]), int(box[1]), int(box[1] + box[3])
    page[top - 120 : bottom + 120, left - 100 : left + 60] = 0
    assert "fld_03" in doubtful(page)
