"""Combs: their lines go, their characters stay, each in its cell."""

import cv2
import numpy as np
import pytest

from model.decoding import CharacterReading, Reading
from pipeline.comb_text import with_empty_cells
from segmentation.cell_lines import remove_cell_lines
from segmentation.handwriting import Hand
from segmentation.rendering import fill_form, render_blank
from segmentation.rules import Frame
from segmentation.scanner import ScannerSettings, random_settings, scan
from segmentation.segmenting import segment_page
from segmentation.templates import TemplateError, parse_template

FORM = """
[form]
name = "comb"
dpi = 300
width = 1500
height = 900
[[field]]
name = "word"
box = [120, 150, 1200, 90]
layout = "comb"
cells = 15
charset = "upper"
[[field]]
name = "uneven"
box = [120, 400, 700, 90]
layout = "comb"
cell_edges = [190, 300, 390, 520, 600, 700]
charset = "digits"
[[field]]
name = "line"
box = [120, 650, 700, 90]
"""
COMB = parse_template(FORM.encode(), "comb.toml")
HAND = Hand("patrick-hand", 56, 1.0, 0, 6, 0.3, 0.6, 0, touching=0, crossing=0)
PITCH = 80


def rng(seed=1):
    return np.random.default_rng(seed)


def filled(texts, seed=1, **settings):
    page, _ = fill_form(COMB, texts, HAND, rng(seed))
    return scan(page, 300, ScannerSettings(**settings), rng(seed))[0] if settings else page


def cells(page, name="word"):
    """Which cells of a field are not empty."""
    (field,) = (f for f in segment_page(page, COMB).fields if f.name == name)
    return field.lines[0].cells.tolist() if field.lines else []


def stroke(page, *points, width=7):
    """Draws a stroke through points given in cells from the left and heights from the top of ``word``."""
    box = COMB.field("word").box
    places = [(round(box.x + x * PITCH), round(box.y + y * box.height)) for x, y in points]
    cv2.polylines(page, [np.array(places, np.int32)], False, 0, width)


@pytest.mark.parametrize("level", ["clean", "normal", "hard"])
@pytest.mark.parametrize("dpi", [200, 300])
def test_every_character_is_found_in_its_cell(level, dpi):
    page = filled({"word": "AB CDE FGH", "uneven": "12 45"}, dpi)
    image, _ = scan(page, 300, random_settings(level, rng(dpi), dpi=dpi), rng(dpi))
    assert cells(image) == [0, 1, 3, 4, 5, 7, 8, 9]
    assert cells(image, "uneven") == [0, 1, 3, 4]


def test_an_empty_comb_is_blank_whatever_the_scanner_did():
    for seed in range(4):
        image, _ = scan(render_blank(COMB), 300, random_settings("hard", rng(seed)), rng(seed))
        assert cells(image) == []


def test_double_cell_lines_go_as_one():
    page = filled({"word": "A1B2"})
    for x in COMB.field("word").cell_lines:
        page[150:240, round(x) + 8 : round(x) + 11] = 0
    assert cells(page) == [0, 1, 2, 3]
    empty = render_blank(COMB)
    for x in COMB.field("word").cell_lines:
        empty[150:240, round(x) + 8 : round(x) + 11] = 0
    assert cells(empty) == []


def test_a_character_over_a_cell_line_is_read_once_and_whole():
    page = render_blank(COMB)
    stroke(page, (2.35, 0.2), (3.25, 0.2), (2.35, 0.8), (3.25, 0.8))  # a Z, mostly in cell 2
    (field, *_) = segment_page(page, COMB).fields
    (line,) = field.lines
    assert line.cells.tolist() == [2]
    assert line.boxes[0, 2] == pytest.approx(0.9 * PITCH + 7, abs=4)
    pieces = cv2.connectedComponents((line.crops[0] > 100).astype(np.uint8))[0] - 1
    assert pieces == 1


def test_a_stroke_along_a_cell_line_does_not_vanish():
    page = render_blank(COMB)
    stroke(page, (4.12, 0.15), (4.12, 0.85))  # ten pixels from the line
    assert cells(page) == [4]


def test_two_characters_grown_together_are_cut_at_the_line():
    page = render_blank(COMB)
    stroke(page, (0.2, 0.8), (0.2, 0.2), (0.7, 0.8), (1.3, 0.8), (1.8, 0.2), (1.8, 0.8))
    assert cells(page) == [0, 1]


def test_accents_and_dots_stay_with_their_cell_and_specks_are_none():
    page = render_blank(COMB)
    stroke(page, (5.5, 0.4), (5.5, 0.85))
    stroke(page, (5.5, 0.2), (5.52, 0.22))
    stroke(page, (9.5, 0.5), (9.5, 0.5), width=5)
    segmented = segment_page(page, COMB)
    (line,) = segmented.fields[0].lines
    assert line.cells.tolist() == [5]
    assert line.boxes[0, 3] > 0.6 * 90


def test_rows_know_what_may_stand_in_them_whatever_their_layout():
    page = filled({"word": "AB", "uneven": "12", "line": "34"})
    found = {field.name: field.lines for field in segment_page(page, COMB).fields}
    assert {name: {line.charset for line in lines} for name, lines in found.items()} == {
        spec.name: {spec.charset} for spec in COMB.fields
    }


def test_print_beside_a_comb_is_no_part_of_it():
    page = filled({"word": "A"})
    cv2.putText(page, "Name", (10, 215), cv2.FONT_HERSHEY_SIMPLEX, 1.2, 0, 4)
    field = segment_page(page, COMB).fields[0]
    assert field.lines[0].boxes[0, 0] > COMB.field("word").box.x


def test_a_line_that_was_not_printed_stays_unfound():
    ink = np.zeros((120, 400), bool)
    ink[10:110, 100:104] = True
    cleaned, lines = remove_cell_lines(ink, Frame(10, 10, 390, 110, 4), [104.0, 200.0, 300.0])
    assert lines.found.tolist() == [True, False, False]
    assert lines.middles[0] == pytest.approx(101.5, abs=1)
    assert not cleaned.any()


def comb_ink(lines, width):
    """The ink of a field of 400 by 120 pixels with upright lines at so many middles, its frame gone."""
    ink = np.zeros((120, 400), bool)
    for middle in lines:
        first = round(middle - width / 2)
        ink[12:109, first : first + width] = True
    return ink


@pytest.mark.parametrize("off", [-5, -3, 3, 5])
@pytest.mark.parametrize("width", [3, 7, 10])
def test_thick_lines_go_whole_wherever_they_were_expected(width, off):
    middles = [100.0, 160.0, 220.0, 280.0]
    cleaned, lines = remove_cell_lines(
        comb_ink(middles, width), Frame(10, 10, 390, 110, 4), [middle + off for middle in middles]
    )
    assert lines.found.all()
    assert cleaned.sum() <= 20
    assert lines.middles == pytest.approx(middles, abs=1.1)


def test_double_lines_of_which_most_twins_are_broken_go_as_double_lines():
    ink = comb_ink([100, 160, 220, 280, 340], 3) | comb_ink([108, 168, 228, 288, 348], 3)
    for twin in (168, 228, 288):  # a third of each is left
        ink[:45, twin - 4 : twin + 5] = ink[75:, twin - 4 : twin + 5] = False
    cleaned, _ = remove_cell_lines(ink, Frame(10, 10, 390, 110, 4), [100.0, 160.0, 220.0, 280.0, 340.0])
    assert cleaned.sum() <= 40


def read(text, places, runners_up=()):
    characters = tuple(CharacterReading(c, 0.9, i, ()) for c, i in zip(text, places, strict=True))
    return Reading(text, 0.9, characters, runners_up)


def test_empty_cells_between_characters_are_spaces_and_none_at_the_end():
    line = segment_page(filled({"word": "AB CD"}), COMB).fields[0].lines[0]
    spaced = with_empty_cells(read("ABCD", range(4), (("A8CD", 0.1), ("ABC", 0.01))), line)
    assert spaced.text == "AB CD"
    assert spaced.runners_up == (("A8 CD", 0.1), ("ABC", 0.01))
    assert with_empty_cells(read("AD", (0, 3)), line).text == "A   D"
    assert with_empty_cells(read("", ()), line).text == ""


def test_templates_say_where_the_cells_are():
    word, uneven = COMB.field("word"), COMB.field("uneven")
    assert (word.cells, word.min_length, word.max_length) == (15, 0, 15)
    assert word.cell_lines[0] == pytest.approx(200)
    assert uneven.cells == 7
    assert uneven.cell_lines[-1] == 700


@pytest.mark.parametrize(
    ("key", "told"),
    [
        ("cells = 1", "cells"),
        ("cells = true", "cells"),
        ("cells = 900", "cells"),
        ("cell_edges = [300, 200]", "cell_edges"),
        ("cell_edges = [100, 200]", "cell_edges"),
        ("cell_edges = [200, nan]", "cell_edges"),
        ("cell_edges = []", "cell_edges"),
        ("cell_edges = [200, 300]\ncells = 4", "leave out one"),
        ("cells = 5\nlength = 6", "6 characters for 5 cells"),
        ('cells = 5\ngroup = "a"', "group"),
    ],
)
def test_wrong_combs_are_named(key, told):
    head = '[form]\nname = "f"\ndpi = 300\nwidth = 900\nheight = 900\n[[field]]\nname = "n"\n'
    text = f'{head}box = [120, 100, 500, 90]\nlayout = "comb"\n{key}\n'
    with pytest.raises(TemplateError, match=f"(?i)bad.toml: field 'n'.*{told}"):
        parse_template(text.encode(), "bad.toml")
    with pytest.raises(TemplateError, match="means nothing to a line"):
        parse_template((head + "box = [120, 100, 500, 90]\ncells = 3\n").encode(), "bad.toml")
