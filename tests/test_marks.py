"""Tick boxes: what is marked, empty, struck out; what a group says; and what makes a field blank."""

import cv2
import numpy as np
import pytest

from pipeline.reading import blank_confidence
from pipeline.records import PageKey
from pipeline.tick_boxes import read_choice, read_tick, tick_rows
from segmentation.handwriting import random_hand
from segmentation.page import EMPTY, MARKED, STRUCK_OUT, Mark
from segmentation.rendering import fill_form, render_blank
from segmentation.sample_texts import random_texts
from segmentation.scanner import random_settings, scan
from segmentation.segmenting import segment_page
from segmentation.templates import TemplateError, parse_template

FORM = """
[form]
name = "ticks"
dpi = 300
width = 1500
height = 900
[[field]]
name = "tick"
box = [120, 150, 70, 70]
layout = "mark"
[[field]]
name = "single"
box = [420, 150, 70, 70]
layout = "mark"
group = "status"
value = "single"
[[field]]
name = "married"
box = [720, 150, 70, 70]
layout = "mark"
group = "status"
value = "married"
[[field]]
name = "line"
box = [120, 400, 900, 90]
[[field]]
name = "wide"
box = [120, 650, 500, 120]
"""
TICKS = parse_template(FORM.encode(), "ticks.toml")
AREA = 126, 156, 184, 214  # left, top, right, bottom of the inside of ``tick``


def rng(seed=1):
    return np.random.default_rng(seed)


def mark(page, name="tick"):
    (field,) = (f for f in segment_page(page, TICKS).fields if f.name == name)
    return field.mark


def line(page, *points, width=6):
    """A stroke through points given in shares of the inside of ``tick``."""
    left, top, right, bottom = AREA
    places = [(round(left + x * (right - left)), round(top + y * (bottom - top))) for x, y in points]
    cv2.polylines(page, [np.array(places, np.int32)], False, 0, width)


def cross(page):
    line(page, (0.1, 0.1), (0.9, 0.9))
    line(page, (0.1, 0.9), (0.9, 0.1))


def check(page):
    line(page, (0.1, 0.5), (0.4, 0.9), (1.3, -0.5))


def dash(page):
    line(page, (0.1, 0.5), (0.9, 0.45))


def thick_cross(page):
    line(page, (0.1, 0.1), (0.9, 0.9), width=10)
    line(page, (0.1, 0.9), (0.9, 0.1), width=10)


def filled(page):
    line(page, *((x, y) for i in range(12) for x, y in [(0.02, i / 11), (0.98, i / 11)]))


def scribbled(page):
    line(page, *((i / 16, 0.02 if i % 2 else 0.98) for i in range(17)), width=4)


def speck(page):
    line(page, (0.5, 0.5), (0.54, 0.5))


def edge(page):
    line(page, (0.06, 0.03), (0.06, 0.97), width=4)  # what a frame a little off its place leaves


@pytest.mark.parametrize(
    ("draw", "state"),
    [
        (cross, MARKED),
        (check, MARKED),
        (dash, MARKED),
        (thick_cross, MARKED),
        (filled, STRUCK_OUT),
        (scribbled, STRUCK_OUT),
        (speck, EMPTY),
        (lambda page: None, EMPTY),
    ],
)
def test_states(draw, state):
    page = render_blank(TICKS)
    draw(page)
    found = mark(page)
    assert found.state == state
    assert 0.5 < found.confidence <= 1


def test_a_clear_cross_is_surer_than_a_short_stroke_and_an_edge_is_no_mark():
    sure, short, at_edge = render_blank(TICKS), render_blank(TICKS), render_blank(TICKS)
    cross(sure)
    line(short, (0.3, 0.4), (0.6, 0.6))
    edge(at_edge)
    assert mark(sure).confidence > 0.99
    assert mark(short).confidence < 0.9
    assert mark(at_edge).state == EMPTY
    assert mark(at_edge).confidence > 0.9


def ring(page, across, high, tilt=0):
    left, top, right, bottom = AREA
    middle = ((left + right) // 2, (top + bottom) // 2)
    cv2.ellipse(page, middle, (across, high), tilt, 10, 365, 0, 6)


@pytest.mark.parametrize(("across", "high"), [(42, 42), (60, 50), (90, 60), (50, 62)])
@pytest.mark.parametrize("tilt", [0, 20])
def test_a_ring_around_a_box_chooses_it_and_is_never_sure(across, high, tilt):
    page = render_blank(TICKS)
    ring(page, across, high, tilt)
    found = mark(page)
    assert found.state == MARKED
    assert found.confidence <= 0.5
    assert mark(page, "single") == mark(render_blank(TICKS), "single")


def test_lines_of_a_table_and_text_beside_a_box_are_no_ring():
    page = render_blank(TICKS)
    cv2.rectangle(page, (100, 130), (215, 240), 0, 3)
    cv2.putText(page, "married", (800, 210), 0, 1.5, 0, 4)
    for name in ("tick", "married"):
        assert mark(page, name).state == EMPTY
        assert mark(page, name).confidence > 0.95


@pytest.mark.parametrize("level", ["clean", "normal", "hard"])
def test_rendered_ticks_are_right_after_scanning(level):
    wrong = total = 0
    for seed in range(5):
        texts = random_texts(TICKS, rng(seed))
        page, truth = fill_form(TICKS, texts, random_hand(rng(seed)), rng(seed))
        image, _ = scan(page, 300, random_settings(level, rng(seed), dpi=200), rng(seed))
        assert "single" not in truth
        assert truth["status"] in ("", "single", "married")
        for found in segment_page(image, TICKS).fields:
            if found.mark is not None:
                total += 1
                wrong += found.mark.state != (MARKED if texts[found.name] else EMPTY)
    assert total == 15
    assert wrong == 0


SINGLE, MARRIED = TICKS.field("single"), TICKS.field("married")


def test_one_box():
    assert read_tick(Mark(MARKED, 0.99), 0.9).text == "x"
    assert read_tick(Mark(MARKED, 0.99), 0.9).status == "accepted"
    assert read_tick(Mark(EMPTY, 0.99), 0.9).status == "blank"
    assert read_tick(Mark(EMPTY, 0.7), 0.9).status == "review"
    filled_in = read_tick(Mark(STRUCK_OUT, 0.99), 0.9)
    assert (filled_in.text, filled_in.status) == ("", "review")
    assert filled_in.confidence < 0.5
    assert filled_in.others == (("x", filled_in.confidence),)


def test_the_only_filled_box_of_a_group_may_be_the_one_chosen():
    answer = read_choice([(SINGLE, Mark(EMPTY, 0.99)), (MARRIED, Mark(STRUCK_OUT, 0.99))], 0.9)
    assert (answer.text, answer.status) == ("", "review")
    assert answer.confidence < 0.5
    assert answer.others == (("married", answer.confidence),)


@pytest.mark.parametrize(
    ("single", "married", "text", "status"),
    [
        (MARKED, EMPTY, "single", "accepted"),
        (EMPTY, MARKED, "married", "accepted"),
        (STRUCK_OUT, MARKED, "married", "accepted"),  # corrected
        (STRUCK_OUT, EMPTY, "", "review"),
        (EMPTY, EMPTY, "", "blank"),
        (MARKED, MARKED, "single", "review"),
    ],
)
def test_a_group_gives_one_value_or_goes_to_review(single, married, text, status):
    answer = read_choice([(SINGLE, Mark(single, 0.99)), (MARRIED, Mark(married, 0.98))], 0.9)
    assert (answer.text, answer.status) == (text, status)
    doubtful = read_choice([(SINGLE, Mark(single, 0.99)), (MARRIED, Mark(married, 0.7))], 0.9)
    assert doubtful.status == "review"
    if single == married == MARKED:
        assert [value for value, _ in answer.others] == ["married"]
        assert answer.confidence < 0.5


def test_a_group_has_one_row_around_its_boxes():
    page, _ = fill_form(TICKS, {"married": "x"}, random_hand(rng()), rng())
    fields = segment_page(page, TICKS).fields
    rows = tick_rows(PageKey("a", 1), fields, TICKS, 0.9)
    assert sorted(rows) == ["single", "tick"]
    row = rows["single"]
    assert (row["field"], row["ordinal"], row["text"], row["status"]) == ("status", 1, "married", "accepted")
    assert (row["box_x"], row["box_width"]) == (pytest.approx(420, abs=2), pytest.approx(370, abs=3))


@pytest.mark.parametrize(
    ("keys", "told"),
    [
        ('layout = "mark"\ngroup = "g"', "needs group and value together"),
        ('layout = "mark"\ngroup = "g"\nvalue = "v"', "has one box"),
        ('layout = "mark"\ngroup = "n"\nvalue = "v"', "used twice"),
        ('layout = "line"\nvalue = "v"', "means nothing to a line"),
        ('layout = "mark"\ncells = 3', "means nothing to a mark"),
    ],
)
def test_wrong_groups_are_named(keys, told):
    text = '[form]\nname = "f"\ndpi = 300\nwidth = 900\nheight = 900\n[[field]]\nname = "n"\n'
    with pytest.raises(TemplateError, match=f"bad.toml: .*{told}"):
        parse_template(f"{text}box = [120, 100, 90, 90]\n{keys}\n".encode(), "bad.toml")


def field_of(page, name):
    return next(f for f in segment_page(page, TICKS).fields if f.name == name)


def test_dust_guide_text_and_a_stray_line_do_not_make_a_field_non_blank():
    page = render_blank(TICKS)
    for x, y in rng().integers((140, 410), (1000, 480), (40, 2)):
        cv2.circle(page, (int(x), int(y)), 2, 0, -1)
    cv2.putText(page, "please print", (140, 700), cv2.FONT_HERSHEY_SIMPLEX, 0.6, 0, 2)
    dusty, guided = field_of(page, "line"), field_of(page, "wide")
    assert dusty.lines == guided.lines == ()
    assert blank_confidence(dusty.largest) > blank_confidence(guided.largest) > 0.75
    assert blank_confidence(0.0) > 0.99
    cv2.line(page, (100, 470), (900, 425), 0, 4)
    assert field_of(page, "line").lines == ()


def test_writing_is_never_taken_for_dust():
    for seed in range(6):
        hand = random_hand(rng(seed))
        page, _ = fill_form(TICKS, {"line": "l", "wide": "Ida"}, hand, rng(seed))
        assert field_of(page, "line").lines
        assert field_of(page, "wide").lines
